"""Simulator of a contractual unit with a known truth: the oracle of the tests of this package."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from cvmlib.churn.months import month_index


@dataclass(frozen=True)
class PlanTruth:
    """Truth of one plan.

    Parameters
    ----------
    share : float
        Share of joiners.
    price : float
        Money per month.
    hazard : array, shape (months,)
        Probability to leave in each month since joining; the last one holds from there on.
    """

    share: float
    price: float
    hazard: np.ndarray


def simulate_subscriptions(
    customers: int,
    end: date,
    plans: dict[str, PlanTruth],
    history_months: int = 36,
    heterogeneity: float = 0.0,
    shock_sd: float = 0.0,
    seed: int = 1,
) -> pd.DataFrame:
    """Simulate subscriptions to their true end, which may lie after the end of observation.

    Parameters
    ----------
    customers : int
        Number of joiners, evenly spread over the history.
    end : datetime.date
        End of observation (a month end).
    plans : dict of str to PlanTruth
        The plans with their hazards.
    history_months : int, default 36
        Months between the first joining and `end`.
    heterogeneity : float, default 0
        Standard deviation of the log of a subscriber's own hazard factor.
    shock_sd : float, default 0
        Standard deviation of the log of the factor that all hazards share in a calendar month.
    seed : int, default 1
        Seed.

    Returns
    -------
    pandas.DataFrame
        subscription_id, customer_id, start, end (NaT = beyond ten years), price, plan. Cut `end` at the end of
        observation before a model reads it.
    """
    rng = np.random.default_rng(seed)
    names = list(plans)
    plan = rng.choice(len(names), size=customers, p=[plans[name].share for name in names])
    length, cap = 365.25 / 12, 120
    hazards = np.stack([_extended(plans[name].hazard, cap) for name in names])
    start = rng.integers(1, int(history_months * length), size=customers)
    factor = np.exp(heterogeneity * rng.standard_normal(customers) - heterogeneity**2 / 2)
    shocks = np.exp(shock_sd * rng.standard_normal(history_months + cap + 2) - shock_sd**2 / 2)
    life = np.full(customers, np.inf)
    alive = np.ones(customers, bool)
    for month in range(cap):
        calendar_month = ((history_months * length - start) / length - month).astype(int)
        shock = shocks[np.clip(history_months - calendar_month, 0, len(shocks) - 1)]
        leaves = alive & (rng.random(customers) < np.clip(hazards[plan, month] * factor * shock, 0, 0.99))
        life[leaves] = (month + rng.random(leaves.sum())) * length
        alive &= ~leaves
    joined = pd.Timestamp(end) - pd.to_timedelta(start, unit="D")
    days = np.where(np.isfinite(life), np.floor(np.where(np.isfinite(life), life, 0)), 0)
    left = (joined + pd.to_timedelta(days, unit="D")).where(np.isfinite(life), pd.NaT)
    return pd.DataFrame(
        {
            "subscription_id": [f"S{i:07d}" for i in range(customers)],
            "customer_id": [f"C{i:07d}" for i in range(customers)],
            "start": joined,
            "end": left,
            "price": np.array([plans[name].price for name in names])[plan],
            "plan": np.array(names)[plan],
        }
    )


def _extended(hazard: np.ndarray, months: int) -> np.ndarray:
    """Hold the last hazard up to `months`."""
    hazard = np.asarray(hazard, float)[:months]
    return np.concatenate([hazard, np.full(months - len(hazard), hazard[-1])])


def simulate_counts(
    joiners_per_month: int, hazards: dict[str, np.ndarray], prices: dict[str, float], end: date, months: int, seed: int
) -> pd.DataFrame:
    """Simulate the count table directly, at month resolution, with binomial leavers: quick worlds for coverage tests.

    Parameters
    ----------
    joiners_per_month : int
        Joiners per plan and month.
    hazards : dict of str to array
        Probability to leave in each month of tenure per plan; the last one holds from there on.
    prices : dict of str to float
        Money per month per plan.
    end : datetime.date
        End of observation (a month end).
    months : int
        Months of history.
    seed : int
        Seed.

    Returns
    -------
    pandas.DataFrame
        The columns of `cvmlib.churn.counts.count_subscriptions`.
    """
    rng = np.random.default_rng(seed)
    last = month_index(end)
    rows = []
    for plan, hazard in hazards.items():
        hazard = _extended(hazard, months)
        for joined in range(last - months + 1, last + 1):
            active = joiners_per_month
            for tenure in range(last - joined + 1):
                left = rng.binomial(active, hazard[tenure])
                rows.append((plan, joined, tenure, True, left))
                active -= left
            rows.append((plan, joined, last - joined, False, active))
    counts = pd.DataFrame(rows, columns=["plan", "joined", "tenure", "churned", "subscriptions"])
    counts = counts[counts["subscriptions"] > 0].reset_index(drop=True)
    price = counts["plan"].map(prices)
    billed = 0.5 * counts["churned"]
    return counts.assign(
        price=counts["subscriptions"] * price,
        price_sq=counts["subscriptions"] * price**2,
        billed=counts["subscriptions"] * billed,
        price_billed=counts["subscriptions"] * price * billed,
        unpriced=0,
    )


def observe(subscriptions: pd.DataFrame, end: date) -> pd.DataFrame:
    """Cut the truth down to what a table shows at the end of observation: no later joiners, no later ends."""
    seen = subscriptions[subscriptions["start"] <= pd.Timestamp(end)]
    return seen.assign(end=seen["end"].where(seen["end"] <= pd.Timestamp(end)))
