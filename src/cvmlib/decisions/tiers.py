"""Value tiers by what a customer brings in a year: criteria stated, assignments with probabilities, shares of value.

The measure is the margin a year of a customer as he now buys (of a subscriber, as he now pays); nothing for one who has
left. The criteria are those of ``[units.NAME.tiers]``; without them four tiers are cut at 2.5, 1 and 0.4 times
what the unit's average customer brings who still comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from cvmlib.business_unit import Tier
from cvmlib.clv.terms import Terms
from cvmlib.decisions.latent import Rates, Spend
from cvmlib.decisions.types import round_figure

Array = npt.NDArray[np.float64]

OUTSIDE = "no tier"
DEFAULT = {"platinum": 2.5, "gold": 1.0, "silver": 0.4, "basic": -np.inf}
"""Names and lower ends without criteria, as multiples of the mean margin a year of those who still come."""


@dataclass(frozen=True)
class Tiers:
    """Tiers, the best first.

    Parameters
    ----------
    names : tuple of str
        Their names; `OUTSIDE` is the last where the criteria leave customers out.
    low, high : tuple of float
        Margin a year (money): from `low` to less than `high`; not a number for `OUTSIDE`.
    stated : bool
        Whether the portfolio file states them.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    stated: bool

    @property
    def cuts(self) -> Array:
        """All ends between tiers, rising."""
        return np.unique([end for end in (*self.low, *self.high) if np.isfinite(end)])

    def of_bins(self) -> list[int]:
        """Tier of each interval between the cuts, from the lowest."""
        cuts, found = self.cuts, []
        for place in range(len(cuts) + 1):
            inside = cuts[place - 1] if place else -np.inf
            found.append(
                next(
                    (i for i, (a, b) in enumerate(zip(self.low, self.high, strict=True)) if a <= inside < b),
                    len(self.names) - 1,
                )
            )
        return found

    def place(self, margin: Array) -> npt.NDArray[np.int64]:
        """Number of the tier of each margin a year."""
        return np.asarray(self.of_bins())[np.searchsorted(self.cuts, np.asarray(margin, dtype=float), side="right")]


def set_tiers(settings: Mapping[str, Tier], mean: float) -> Tiers:
    """Take the tiers from the portfolio file, or cut them at multiples of the mean.

    Parameters
    ----------
    settings : mapping of str to Tier
        From the portfolio file; empty for none.
    mean : float
        Margin a year of the unit's average customer who still comes (money).
    """
    if not settings:
        lows = [round_figure(share * max(mean, 0.01)) if np.isfinite(share) else share for share in DEFAULT.values()]
        return Tiers(tuple(DEFAULT), tuple(lows), (np.inf, *lows[:-1]), False)
    best = sorted(settings.items(), key=lambda item: -item[1].low)
    lows, highs = [tier.low for _, tier in best], [tier.high for _, tier in best]
    names = [name for name, _ in best]
    whole = highs[0] == np.inf and lows[-1] == -np.inf and all(a == b for a, b in zip(lows, highs[1:], strict=False))
    if not whole:
        names, lows, highs = [*names, OUTSIDE], [*lows, np.nan], [*highs, np.nan]
    return Tiers(tuple(names), tuple(lows), tuple(highs), True)


def assign_tiers(rates: Rates, spend: Spend, terms: Terms, tiers: Tiers) -> Array:
    """Probability of each tier for each count row of a shop, shape (rows, tiers)."""
    kept, cost = terms.kept, terms.per_transaction
    below = [np.zeros(len(rates.rate))]
    for cut in tiers.cuts:
        needed = ((cut + terms.per_customer_year) / np.maximum(rates.rate, 1e-12) + cost) / kept
        there = (rates.weight * rates.alive * spend.chance_below(needed)).sum(axis=1)
        gone = (rates.weight * (1 - rates.alive)).sum(axis=1) * (cut > 0)
        below.append(there + gone)
    bins = np.diff([*below, np.ones(len(rates.rate))], axis=0).clip(0.0, 1.0)
    found = np.zeros((len(rates.rate), len(tiers.names)))
    for place, chance in zip(tiers.of_bins(), bins, strict=True):
        found[:, place] += chance
    return found / found.sum(axis=1, keepdims=True)


def tabulate_tiers(tiers: Tiers, chances: Array, value: Array, customers: Array, interval: float = 0.9) -> pd.DataFrame:
    """Customers and share of value by tier, with the interval of what the customers' own differences leave open.

    Parameters
    ----------
    tiers : Tiers
        The tiers.
    chances : array, shape (rows, tiers)
        From `assign_tiers`.
    value : array, shape (rows,)
        Money per customer of a row.
    customers : array, shape (rows,)
        Customers of each row.
    interval : float
        Probability of the intervals (normal; variance of a ratio over customers, assignments included).

    Returns
    -------
    DataFrame
        tier, low and high (margin a year), customers (expected), customer_share, value (money), value_share with
        share_low and share_high.
    """
    weighted = chances * customers[:, None]
    sums, total = value @ weighted, float(value @ customers)
    share = sums / total if total else np.full(len(sums), np.nan)
    spread = (value**2 @ weighted - 2 * share * (value**2 @ weighted) + share**2 * (value**2 @ customers)) / total**2
    reach = norm.ppf(0.5 + interval / 2) * np.sqrt(np.maximum(spread, 0.0))
    number = weighted.sum(axis=0)
    return pd.DataFrame(
        {
            "tier": tiers.names,
            "low": tiers.low,
            "high": tiers.high,
            "customers": number,
            "customer_share": number / max(customers.sum(), 1),
            "value": sums,
            "value_share": share,
            "share_low": np.clip(share - reach, 0, 1),
            "share_high": np.clip(share + reach, 0, 1),
        }
    )
