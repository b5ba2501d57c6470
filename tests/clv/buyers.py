"""Customers whose parameters are known, and draws of a posterior that knows them or does not."""

import numpy as np
import pandas as pd

from cvmlib.clv.ahead import Ahead
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws

BUYING = {"r": 0.8, "alpha": 60.0, "a": 0.9, "b": 4.0}
SPENDING = {"p": 6.0, "q": 4.0, "gamma": 15.0}
YEAR = 365.0
MONTHS = np.linspace(0.0, YEAR, 13)


def known(draws: int = 400) -> tuple[PurchaseDraws, SpendDraws]:
    """Posterior draws of someone who knows the parameters."""
    return (
        PurchaseDraws(BG_NBD, tuple(np.full(draws, v) for v in BUYING.values())),
        SpendDraws(**{name: np.full(draws, v) for name, v in SPENDING.items()}),
    )


def unsure(draws: int = 400, sd: float = 0.1) -> tuple[PurchaseDraws, SpendDraws]:
    """Posterior draws that are not all alike."""
    rng = np.random.default_rng(1)
    return (
        PurchaseDraws(BG_NBD, tuple(v * rng.lognormal(0, sd, draws) for v in BUYING.values())),
        SpendDraws(**{name: v * rng.lognormal(0, sd, draws) for name, v in SPENDING.items()}),
    )


def loyal(draws: int, price: float = 10.0) -> tuple[PurchaseDraws, SpendDraws]:
    """Customers who never leave, buy once a day in the mean, and always for the same price."""
    purchase = PurchaseDraws(BG_NBD, tuple(np.full(draws, v) for v in (1e8, 1e8, 1e-9, 1e3)))
    return purchase, SpendDraws(np.full(draws, 1e8), np.full(draws, 1e8), np.full(draws, price * (1e8 - 1) / 1e8))


def year_ahead(draws: int = 400, days: float = YEAR) -> Ahead:
    """Twelve equal windows, without a calendar."""
    return Ahead.plain(np.linspace(0.0, days, 13), draws)


def simulate_base(seed: int, customers: int = 1500) -> pd.DataFrame:
    """Customers with their counts, and the purchases and undiscounted money of their real next year."""
    rng = np.random.default_rng(seed)
    T = rng.integers(1, 1000, customers).astype(float)
    rate, p = rng.gamma(BUYING["r"], 1 / BUYING["alpha"], customers), rng.beta(BUYING["a"], BUYING["b"], customers)
    nu = rng.gamma(SPENDING["q"], 1 / SPENDING["gamma"], customers)
    past, leaves = rng.poisson(rate * T), rng.geometric(p)
    x = np.minimum(past, leaves)
    recency = np.where(x > 0, T * rng.beta(np.maximum(x, 1), np.maximum(past - x, 0) + 1), 0.0)
    ahead = np.where(past < leaves, np.minimum(rng.poisson(rate * YEAR), leaves - past), 0)
    spend = rng.gamma(np.maximum(SPENDING["p"] * x, 1e-9)) / nu / np.maximum(x, 1)
    money = rng.gamma(np.maximum(SPENDING["p"] * ahead, 1e-9)) / nu * (ahead > 0)
    return pd.DataFrame(
        {
            "frequency": x,
            "recency": recency,
            "T": T,
            "monetary_value": np.where(x > 0, spend, 0.0),
            "customers": 1,
            "ahead": ahead,
            "money": money,
        }
    )


def one_row(x=3, recency=200.0, T=300.0, z=40.0, customers=1) -> pd.DataFrame:
    names = ["frequency", "recency", "T", "monetary_value", "customers"]
    return pd.DataFrame([[x, recency, T, z, customers]], columns=names)


def counts_of(rows: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Frequency, recency and T."""
    return tuple(rows[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
