"""Which channel to test next: what knowing more is worth, against what the test costs.

The decision is whether a channel goes on as it is or is stopped. It goes on if the margin it causes in a year exceeds
its cost. A test of a size and length measures what it causes with a standard error; the better decision after it, on
average over what it may show, is worth more than today's by the expected value of sample information (Raiffa and
Schlaifer 1961), here for a posterior that is updated as a normal one. Against it stands the margin lost on those from
whom the channel is withheld.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.attribution.calibrate import Calibrated

SHARE_HELD = 0.5
WEEKS = 8
_YEAR = 365.25


@dataclass(frozen=True)
class Economics:
    """What a decision about a channel rests on.

    Parameters
    ----------
    cost : array, shape (channels,)
        Money that each channel cost in the observed days; NaN where it is not known.
    margin : float
        Margin as a share of the value.
    days : float
        Days observed.
    noise : float
        Standard deviation of the value that a customer brings in those days (money).
    customers : float
        Customers who can be drawn for a test.
    """

    cost: np.ndarray
    margin: float
    days: float
    noise: float
    customers: float


def rank_tests(
    calibrated: Calibrated, economics: Economics, weeks: int = WEEKS, share_held: float = SHARE_HELD, seed: int = 1
) -> pd.DataFrame:
    """Rank the channels by what a test of each would bring.

    Parameters
    ----------
    calibrated : Calibrated
        Draws of the value (money) that each channel caused in the observed days.
    economics : Economics
        Costs and noise.
    weeks, share_held : int, float
        Length of the test, and share of the customers from whom the channel is withheld.
    seed : int
        Seed of the results that the test may show.

    Returns
    -------
    pandas.DataFrame
        channel, cost and caused (margin, both money per year), pays (probability that it pays), knowing (expected value
        of perfect information, money per year), test_worth (of the test's information, money per year), test_cost
        (money), gain (worth less cost), sorted by gain; channels without costs are left out.
    """
    year, rng = _YEAR / economics.days, np.random.default_rng(seed)
    rows = []
    for number, channel in enumerate(calibrated.channels):
        cost = economics.cost[number] * year
        if not np.isfinite(cost) or cost <= 0:
            continue
        profit = calibrated.draws[:, number] * economics.margin * year - cost
        today = max(profit.mean(), 0.0)
        error = _test_error(economics, weeks, share_held) * economics.margin * year
        variance = profit.var()
        weight = variance / (variance + error**2) if variance > 0 else 0.0
        seen = profit + error * rng.standard_normal(len(profit))
        after = profit.mean() + weight * (seen - profit.mean())
        withheld = calibrated.draws[:, number].mean() * economics.margin * year * share_held * weeks * 7 / _YEAR
        saved = cost * share_held * weeks * 7 / _YEAR
        worth = max(np.maximum(after, 0).mean() - today, 0.0)
        rows.append(
            {
                "channel": channel,
                "cost": cost,
                "caused": profit.mean() + cost,
                "pays": (profit > 0).mean(),
                "knowing": np.maximum(profit, 0).mean() - today,
                "test_worth": worth,
                "test_cost": max(withheld - saved, 0.0),
                "gain": worth - max(withheld - saved, 0.0),
            }
        )
    names = ["channel", "cost", "caused", "pays", "knowing", "test_worth", "test_cost", "gain"]
    return pd.DataFrame(rows, columns=names).sort_values("gain", ascending=False, ignore_index=True)


def _test_error(economics: Economics, weeks: int, share_held: float) -> float:
    """Standard error of the value caused in the observed days, as a test would measure it."""
    n, span = economics.customers, min(7.0 * weeks, economics.days)
    noise = economics.noise * np.sqrt(span / economics.days)
    per_customer = noise * np.sqrt(1 / (n * share_held) + 1 / (n * (1 - share_held)))
    return per_customer * n * economics.days / span
