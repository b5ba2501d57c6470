"""Rows of alike subscribers with everything the parts of value need: value ahead, price gap, type and tier."""

import numpy as np
import pandas as pd

from cvmlib.business_unit import BusinessUnit
from cvmlib.decisions.potential import measure_price_gaps
from cvmlib.decisions.shop_rows import Scored
from cvmlib.decisions.tiers import set_tiers
from cvmlib.decisions.types import TYPES, cross, draw_lines

KEYS = ("group", "plan", "tenure", "price", "subscriptions", "p_active", "value")
"""Of several subscriptions the last two differ with the same plan, tenure and price."""

MOST_PRICES = 60
"""Distinct prices beyond which they are rounded to a sixtieth of the range."""


def score_subscribers(
    unit: BusinessUnit, rows: pd.DataFrame, totals: pd.DataFrame, interval: float = 0.9, seed: int = 1
) -> Scored:
    """Score rows of alike subscribers with a running subscription.

    Parameters
    ----------
    unit : BusinessUnit
        Margin, costs, criteria.
    rows : DataFrame
        `KEYS` (group: number of the comparable subscribers; value: money), customers, value_low and value_high.
    totals : DataFrame
        Simulated totals of the unit: ``value``.
    interval : float
        Probability of the intervals.
    seed : int
        Of what is drawn.
    """
    customers, price = rows["customers"].to_numpy(float), rows["price"].to_numpy(float)
    subscriptions, value = rows["subscriptions"].to_numpy(float), rows["value"].to_numpy(float)
    cost = unit.costs.per_customer_year / 12 + unit.costs.per_transaction
    monthly = unit.margin * price - cost * subscriptions
    months = np.divide(value, monthly, out=np.zeros(len(rows)), where=np.abs(monthly) > 1e-9)
    spread = (rows["value_high"] - rows["value_low"]).to_numpy(float) / _width(interval)
    single = price / subscriptions
    gaps = measure_price_gaps(rows["group"].to_numpy(), _bin_prices(single), customers, seed=seed)
    potential = unit.margin * gaps.mean * subscriptions * months
    share = np.divide(spread, value, out=np.zeros(len(rows)), where=value > 0)
    stays = rows["p_active"].to_numpy(float)
    lines = draw_lines(monthly, 12 * stays, customers, unit.types)
    year = 12 * monthly
    tiers = set_tiers(unit.tiers, float(year @ customers / max(customers.sum(), 1.0)))
    ends = [
        np.divide(rows[f"value_{end}"].to_numpy(float), value, out=np.ones(len(rows)), where=value > 0)
        for end in ("low", "high")
    ]
    types = cross((monthly.round(9) >= lines.margin).astype(float), stays)
    place = tiers.place(year.round(9))
    found = rows[[*KEYS, "customers"]].assign(
        current=value,
        current_low=rows["value_low"],
        current_high=rows["value_high"],
        potential=potential,
        potential_low=potential * ends[0],
        potential_high=potential * ends[1],
        gap=gaps.mean,
        gap_chance=gaps.chance,
        spend_each=price,
        margin_each=monthly,
        often=12 * stays,
        margin_year=year,
        **{f"type_{name}": types[:, i] for i, name in enumerate(TYPES)},
        **{f"tier_{name}": (place == i).astype(float) for i, name in enumerate(tiers.names)},
    )
    drawn = totals["value"].to_numpy(float)
    rng = np.random.default_rng([seed, 7])
    each = unit.margin * gaps.draws @ (customers * subscriptions * months)
    own = float(customers @ (potential * share) ** 2)
    ahead = drawn / max(float(customers @ value), 1e-9)
    noise = np.sqrt(own) * rng.standard_normal(len(drawn))
    drawn_potential = each[rng.integers(len(each), size=len(drawn))] * ahead + noise
    return Scored(KEYS, found, lines, tiers, drawn, drawn_potential, "month", cost)


def _width(interval: float) -> float:
    """Standard deviations between the ends of a normal interval."""
    from scipy.stats import norm

    return float(2 * norm.ppf(0.5 + interval / 2))


def _bin_prices(price: np.ndarray) -> np.ndarray:
    """Round prices where there are very many different ones."""
    if len(np.unique(price)) <= MOST_PRICES:
        return price
    step = float(np.ptp(price)) / MOST_PRICES
    return np.round(price / step) * step
