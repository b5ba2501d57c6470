"""From posteriors to money: what each customer, and each unit, is worth over the horizon.

Predictions are made once per count row and stream over rows: no array of draws x customers outlives its chunk. Means
come from exact expectations under thinned posterior draws. Intervals are **predictive**: they are quantiles of what
this customer, or this unit, may really do, simulated from the posterior with individual noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.clv import bg_nbd, gamma_gamma
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws

DAYS_PER_YEAR = 365.25
_CELLS = 4_000_000  # simulated (draw, customer) pairs held at once


@dataclass(frozen=True)
class Terms:
    """What turns purchases into money.

    Parameters
    ----------
    horizon : float
        Days ahead.
    discount_rate : float
        Per year, as a fraction.
    margin : float
        Share of the value that is margin.
    returned_share : float
        Share of the money bought that is returned later.
    per_transaction, per_customer_year : float
        Costs in money, per purchase and per year of a living customer.
    interval : float
        Probability of the intervals.
    """

    horizon: float
    discount_rate: float = 0.0
    margin: float = 1.0
    returned_share: float = 0.0
    per_transaction: float = 0.0
    per_customer_year: float = 0.0
    interval: float = 0.9

    @property
    def discount_per_day(self) -> float:
        """Continuous discount rate per day."""
        return float(np.log1p(self.discount_rate) / DAYS_PER_YEAR)

    @property
    def kept(self) -> float:
        """Margin kept of one unit of money bought, after returns."""
        return self.margin * (1.0 - self.returned_share)


@dataclass(frozen=True)
class Prediction:
    """Predictions of one unit.

    Parameters
    ----------
    rows : DataFrame
        The count rows with ``p_alive``, ``purchases``, ``spend`` (money per purchase), ``value`` (discounted margin)
        and, for purchases and value, ``_low`` and ``_high`` ends of the predictive interval of one customer.
    purchases, value : array, shape (draws,)
        Simulated totals over all customers of the unit.
    interval : float
        Probability of the intervals.
    """

    rows: pd.DataFrame
    purchases: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    interval: float

    def total(self, name: str) -> dict[str, float]:
        """Mean and forecast interval of the unit's total of ``purchases`` or ``value``: keys mean, low, high."""
        low, high = np.quantile(getattr(self, name), [(1 - self.interval) / 2, (1 + self.interval) / 2])
        mean = float(self.rows[name] @ self.rows["customers"])
        return {"mean": mean, "low": float(min(low, mean)), "high": float(max(high, mean))}


def predict(
    rows: pd.DataFrame,
    purchase: PurchaseDraws,
    spend: SpendDraws,
    terms: Terms,
    *,
    seed: int,
    mean_draws: int = 200,
) -> Prediction:
    """Predict purchases and value of every count row and of the whole unit.

    Parameters
    ----------
    rows : DataFrame
        ``frequency``, ``recency``, ``T`` (days), ``monetary_value`` (money), ``customers``.
    purchase, spend : Draws
        Posterior draws of the unit, equally many.
    terms : Terms
        Horizon, discounting, margin and costs.
    seed : int
        Seed of the simulation.
    mean_draws : int
        Draws used for the means (exact expectations given the parameters, so that few suffice).

    Returns
    -------
    Prediction
    """
    rng = np.random.default_rng(seed)
    rows = rows.reset_index(drop=True)
    draws = len(purchase.r)
    purchases, value = np.zeros(draws), np.zeros(draws)
    parts = []
    for chunk in _chunks(rows, draws):
        part = _means(chunk, purchase, spend, terms, mean_draws)
        simulated = _simulate(chunk, part, purchase, spend, terms, rng)
        for name, one in (("purchases", simulated.purchases), ("value", simulated.value)):
            tails = [(1 - terms.interval) / 2, (1 + terms.interval) / 2]
            method = "inverted_cdf" if name == "purchases" else "linear"
            part[f"{name}_low"], part[f"{name}_high"] = np.quantile(one, tails, axis=0, method=method)
        purchases += simulated.total_purchases
        value += simulated.total_value
        parts.append(part)
    predicted = pd.concat(parts).drop(columns=["discounting", "service"])
    predicted = predicted[~predicted.index.duplicated()].assign(customers=rows["customers"])
    return Prediction(predicted, purchases, value, terms.interval)


def _chunks(rows: pd.DataFrame, draws: int) -> Iterator[pd.DataFrame]:
    """Split rows so that a chunk holds at most `_CELLS` simulated customers times draws.

    A row of more customers than fit comes in several pieces, each under the index of the row.
    """
    most = max(_CELLS // draws // 2, 1)  # of a piece, so that a chunk of several pieces ends before twice as many
    customers = rows["customers"].to_numpy(dtype=np.int64)
    pieces = -(-customers // most)
    of_row = np.repeat(np.arange(len(rows)), pieces)
    before = (np.arange(len(of_row)) - np.repeat(pieces.cumsum() - pieces, pieces)) * most
    split = rows.iloc[of_row].assign(customers=np.minimum(customers[of_row] - before, most))
    labels = (split["customers"].cumsum() - 1) // most
    for _, chunk in split.groupby(labels.to_numpy(), sort=True):
        yield chunk


def _means(
    chunk: pd.DataFrame, purchase: PurchaseDraws, spend: SpendDraws, terms: Terms, mean_draws: int
) -> pd.DataFrame:
    take = np.linspace(0, len(purchase.r) - 1, min(mean_draws, len(purchase.r))).round().astype(int)
    r, alpha, a, b = (v[take] for v in purchase.column())
    p, q, gamma = (v[take] for v in spend.column())
    x, t_x, age, z = (chunk[c].to_numpy(dtype=float) for c in ("frequency", "recency", "T", "monetary_value"))
    alive = bg_nbd.probability_alive(x, t_x, age, r, alpha, a, b)
    # The future of a living customer depends on (x, T) alone: once per distinct pair.
    pairs, of_pair = np.unique(np.column_stack([x, age]), axis=0, return_inverse=True)
    of_pair = of_pair.ravel()
    counts = (pairs[:, 0], pairs[:, 1], r, alpha, a, b)
    purchases = alive * bg_nbd.expected_purchases(terms.horizon, *counts)[:, of_pair]
    discounted = alive * bg_nbd.expected_purchases(terms.horizon, *counts, discount=terms.discount_per_day)[:, of_pair]
    per_purchase = gamma_gamma.expected_spend(x, z, p, q, gamma)
    value = discounted * (per_purchase * terms.kept - terms.per_transaction)
    service = np.zeros(len(chunk))
    if terms.per_customer_year:
        days = bg_nbd.expected_time_alive(terms.horizon, *counts, discount=terms.discount_per_day)[:, of_pair]
        service = (alive * days).mean(axis=0) * terms.per_customer_year / DAYS_PER_YEAR
    return chunk.assign(
        p_alive=alive.mean(axis=0),
        purchases=purchases.mean(axis=0),
        spend=per_purchase.mean(axis=0),
        value=value.mean(axis=0) - service,
        discounting=discounted.mean(axis=0) / np.maximum(purchases.mean(axis=0), 1e-300),
        service=service,
    )


@dataclass(frozen=True)
class _Simulated:
    purchases: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    total_purchases: npt.NDArray[np.float64]
    total_value: npt.NDArray[np.float64]


def _simulate(
    chunk: pd.DataFrame,
    means: pd.DataFrame,
    purchase: PurchaseDraws,
    spend: SpendDraws,
    terms: Terms,
    rng: np.random.Generator,
) -> _Simulated:
    """Simulate every customer of the chunk once per draw; the first customer of a row stands for one such customer."""
    customers = chunk["customers"].to_numpy(dtype=int)
    of_row = np.repeat(np.arange(len(chunk)), customers)
    x, t_x, age, z = (chunk[c].to_numpy(dtype=float)[of_row] for c in ("frequency", "recency", "T", "monetary_value"))
    count = bg_nbd.simulate_future(terms.horizon, x, t_x, age, *purchase.column(), rng)
    money = gamma_gamma.simulate_total(count, x, z, *spend.column(), rng)
    value = (money * terms.kept - terms.per_transaction * count) * means["discounting"].to_numpy()[of_row]
    value -= means["service"].to_numpy()[of_row]
    first = np.r_[0, customers.cumsum()[:-1]]
    return _Simulated(count[:, first], value[:, first], count.sum(axis=1).astype(float), value.sum(axis=1))
