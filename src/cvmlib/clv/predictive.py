"""What customers may really do: simulation of every customer, with individual noise, under draws of the parameters.

Every customer is simulated once per draw, which gives the totals. The first few of each group of alike customers
(`cvmlib.clv.expectation.Alike`) also give the intervals of its rows: rows of a group differ in their mean spend z
alone, and money is ``(gamma + x z) W``, where W does not depend on z (`cvmlib.clv.gamma_gamma.simulate_scale`).
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.clv import gamma_gamma
from cvmlib.clv.ahead import Ahead, Outlook
from cvmlib.clv.expectation import Alike, group_alike
from cvmlib.clv.purchase_model import Draws

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_CELLS = 4_000_000  # simulated (draw, customer) pairs held at once
_LEAST, _MOST = 400, 1000  # samples of an interval: at least, and at most where a group has more customers


@dataclass(frozen=True)
class Pricing:
    """What turns simulated purchases into value: a share kept of the money, less a cost of each purchase, discounted.

    Parameters
    ----------
    kept : array, shape (draws,)
        Margin kept of one unit of money.
    per_transaction : float
        Cost of a purchase.
    discount : array, shape (groups,)
        Mean discount factor of the purchases of a group.
    tails : tuple of float
        Probabilities below the ends of the intervals.
    """

    kept: Array
    per_transaction: float
    discount: Array
    tails: tuple[float, float]


@dataclass(frozen=True)
class Simulated:
    """Intervals of one customer, and totals of all.

    Parameters
    ----------
    purchases : array, shape (3, groups)
        Of one customer's purchases: lower end of the interval, median, upper end.
    value : array, shape (2, rows)
        Ends of the interval of one customer's value, without costs of customer-years.
    totals : array, shape (4, draws)
        Of all customers: purchases, purchases discounted, money, money discounted.
    """

    purchases: Array
    value: Array
    totals: Array


def simulate(
    alike: Alike, monetary_value: Array, outlook: Outlook, pricing: Pricing, rng: np.random.Generator
) -> Simulated:
    """Simulate every customer once per draw.

    Parameters
    ----------
    alike : Alike
        Groups of the rows.
    monetary_value : array, shape (rows,)
        Mean spend so far.
    outlook : Outlook
        Draws; all are used.
    pricing : Pricing
        What purchases are worth.
    rng : numpy Generator
        Source of randomness: one stream for the purchases and one for the money are taken from it.

    Returns
    -------
    Simulated
    """
    streams, draws = rng.spawn(2), len(outlook)
    z = np.ascontiguousarray(monetary_value[alike.order])
    spend = np.repeat(z, alike.row_customers[alike.order])  # of each customer, those of a group together
    row_ends = np.r_[0, np.bincount(alike.of_row, minlength=len(alike)).cumsum()]
    pooled = np.clip(alike.customers, -(-_LEAST // draws), -(-_MOST // draws))
    totals, purchases, value = np.zeros((4, draws)), np.empty((3, len(alike))), np.empty((2, len(z)))
    step = max(_CELLS // (draws * int(pooled.max(initial=1))), 1)
    for start in range(0, len(alike), step):
        part = slice(start, min(start + step, len(alike)))
        crowd = _gather(alike, spend, np.arange(part.start, part.stop), np.zeros_like(pooled[part]), pooled[part])
        count, scale = _simulate_crowd(crowd, alike, outlook, pricing, streams, totals)
        ends = np.r_[0, pooled[part].cumsum()], row_ends[part.start : part.stop + 1]
        factors = alike.frequency[part], pricing.discount[part], z, outlook.spend.gamma, pricing.kept
        tails = np.array(pricing.tails)
        _find_intervals(count, scale, *ends, *factors, pricing.per_transaction, tails, purchases[:, part], value)
    others = _gather(alike, spend, np.arange(len(alike)), pooled, np.maximum(alike.customers - pooled, 0))
    for start in range(0, len(others.group), max(_CELLS // draws, 1)):
        part = slice(start, start + max(_CELLS // draws, 1))
        _simulate_crowd(_Crowd(others.group[part], others.spend[part]), alike, outlook, pricing, streams, totals)
    of_rows = np.empty_like(value)
    of_rows[:, alike.order] = value
    return Simulated(purchases, of_rows, totals)


def purchase_probabilities(
    purchase: Draws, ahead: Ahead, rows: pd.DataFrame, most: int, *, seed: int, samples: int = 4000
) -> Array:
    """Probability of 0, 1, …, `most` purchases in the time ahead, of a customer of each row; by simulation.

    Parameters
    ----------
    purchase : Draws
        Posterior draws of the unit.
    ahead : Ahead
        The windows, for as many draws.
    rows : DataFrame
        ``frequency``, ``recency``, ``T`` (operational days).
    most : int
        Largest number of purchases.
    seed : int
        Seed of the simulation.
    samples : int
        Simulated customers of each distinct (frequency, recency, T), at least: the standard error of a probability P is
        ``sqrt(P (1 - P) / samples)``.

    Returns
    -------
    array, shape (rows, most + 1)
        What is missing to a sum of 1 is the probability of more than `most`.

    Raises
    ------
    ValueError
        `purchase` and `ahead` have not equally many draws.
    """
    alike, outlook = group_alike(rows), Outlook(purchase, None, ahead)
    rng, draws = np.random.default_rng(seed), len(outlook)
    each = -(-samples // draws)
    found = np.empty((len(alike), most + 1))
    size = max(_CELLS // (draws * each), 1)
    for start in range(0, len(alike), size):
        group = np.repeat(np.arange(start, min(start + size, len(alike))), each)
        count = _simulate_counts(alike, group, outlook, rng).reshape(draws, -1, each)
        for k in range(most + 1):
            found[start : start + size, k] = (count == k).mean(axis=(0, 2))
    return found[alike.of_row]


@dataclass(frozen=True)
class _Crowd:
    """Customers simulated together: group and mean spend of each; NaN for one who is there for an interval alone."""

    group: Whole
    spend: Array


def _gather(alike: Alike, spend: Array, groups: Whole, first: Whole, width: Whole) -> _Crowd:
    """Take from each of `groups` its next `width` customers from its `first` on; those it does not have are nobody."""
    group = np.repeat(groups, width)
    rank = np.arange(len(group)) + np.repeat(first - (width.cumsum() - width), width)
    before = alike.customers.cumsum() - alike.customers
    somebody = rank < alike.customers[group]
    return _Crowd(group, np.where(somebody, spend[np.where(somebody, before[group] + rank, 0)], np.nan))


def _simulate_counts(alike: Alike, group: Whole, outlook: Outlook, rng: np.random.Generator) -> Whole:
    """Draw the purchases in the time ahead of one customer of each `group`: shape (draws, customers)."""
    purchase, horizon = outlook.purchase, outlook.ahead.edges[:, -1]
    return purchase.family.simulate_future(horizon, *alike.counts(group), *purchase.values, rng)


def _simulate_crowd(
    crowd: _Crowd,
    alike: Alike,
    outlook: Outlook,
    pricing: Pricing,
    streams: list[np.random.Generator],
    totals: Array,
) -> tuple[Whole, Array]:
    """Draw purchases and scale of the money of each customer, and add them to `totals`."""
    frequency, spend = alike.frequency[crowd.group], outlook.spend
    count = _simulate_counts(alike, crowd.group, outlook, streams[0])
    scale = gamma_gamma.simulate_scale(count, frequency, spend.p, spend.q, streams[1])
    _add_totals(count, scale, frequency, crowd.spend, pricing.discount[crowd.group], spend.gamma, totals)
    return count, scale


@numba.njit(cache=True)
def _add_totals(
    count: Whole, scale: Array, frequency: Array, spend: Array, discount: Array, gamma: Array, totals: Array
) -> None:  # pragma: no cover - compiled
    for s in range(count.shape[0]):
        for i in range(count.shape[1]):
            n = count[s, i]
            if n == 0 or np.isnan(spend[i]):
                continue
            money = (gamma[s] + frequency[i] * spend[i]) * scale[s, i]
            totals[0, s] += n
            totals[1, s] += discount[i] * n
            totals[2, s] += money
            totals[3, s] += discount[i] * money


@numba.njit(cache=True)
def _find_intervals(
    count: Whole,
    scale: Array,
    ends: Whole,
    row_ends: Whole,
    frequency: Array,
    discount: Array,
    spend: Array,
    gamma: Array,
    kept: Array,
    per_transaction: float,
    tails: Array,
    purchases: Array,
    value: Array,
) -> None:  # pragma: no cover - compiled
    """Write the intervals of each group's `purchases`, with their median, and of each of its rows' `value`.

    A group has the columns of `count` and `scale` between two `ends`, and the rows between two `row_ends`. Samples
    without a purchase, most of them, are counted; the others are sorted.
    """
    draws, most = count.shape[0], 0
    for g in range(ends.size - 1):  # which compiles in no time, unlike np.diff
        most = max(most, draws * (ends[g + 1] - ends[g]))
    number, size, draw, worth = np.empty(most), np.empty(most), np.empty(most, np.int64), np.empty(most)
    for g in range(ends.size - 1):
        some = 0
        for s in range(draws):
            for i in range(ends[g], ends[g + 1]):
                if count[s, i] > 0:
                    number[some], size[some], draw[some] = count[s, i], scale[s, i], s
                    some += 1
        samples = draws * (ends[g + 1] - ends[g])
        worth[:some] = number[:some]
        worth[:some].sort()
        for t, tail in enumerate((tails[0], 0.5, tails[1])):
            rank = max(int(np.ceil(tail * samples - 1e-9)) - 1, 0)
            purchases[t, g] = _order_statistic(worth[:some], samples - some, 0, rank)
        for j in range(row_ends[g], row_ends[g + 1]):
            negative = 0
            for m in range(some):
                money = (gamma[draw[m]] + frequency[g] * spend[j]) * size[m]
                worth[m] = discount[g] * (kept[draw[m]] * money - per_transaction * number[m])
                negative += worth[m] < 0
            worth[:some].sort()
            for t in range(2):
                rank = int(tails[t] * (samples - 1))
                low = _order_statistic(worth[:some], samples - some, negative, rank)
                high = _order_statistic(worth[:some], samples - some, negative, min(rank + 1, samples - 1))
                value[t, j] = low + (tails[t] * (samples - 1) - rank) * (high - low)


@numba.njit(cache=True)
def _order_statistic(ordered: Array, zeros: int, negative: int, rank: int) -> float:  # pragma: no cover - compiled
    """Element `rank` of the sorted values `ordered`, of which `negative` are below 0, and of `zeros` zeros."""
    if rank < negative:
        return ordered[rank]
    return 0.0 if rank < negative + zeros else ordered[rank - zeros]
