r"""Influence: what a customer is worth through those he brought, and through those he is expected to bring.

**Those he brought** have a value of their own, which is counted once, with themselves. Influence credits a part of it
to whom it is owed: each customer who was referred passes a share :math:`\varphi` of his account on to his referrer, and
an account is his own value and what those he brought pass on to him. So a customer g generations down adds
:math:`\varphi^g` of his value, what is received in all is what is given in all, and no euro is counted twice: the
accounts of all customers sum to their own values.

**Those he will bring** nobody else counts, so their value is his. A customer refers at a rate
:math:`m_i\,\mathrm{d}H(t)`, where H is common to all, with a step 1 / N(t) for each referral among N(t) customers, and
:math:`m_i` is Gamma(k, k): so the number n so far, over an exposure E, is negative binomial, and the posterior of
:math:`m_i` Gamma(k + n, k + E).
"""

from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cvmlib.errors import DataError

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

PASSED_ON = 0.5
"""Share of an account that a referred customer passes on to his referrer."""

_YEAR = 365.25
_GROWTH_ERROR, _GROWTH_PRIOR = 0.05, 0.25  # of the log growth of arrivals: from year to year, and before any is seen
_SHAPES = np.exp(np.linspace(-3.0, 5.0, 60))  # of how much customers differ in referring


@dataclass(frozen=True)
class Tree:
    """Who referred whom.

    Parameters
    ----------
    customers : array of str, shape (members,)
        All who were referred by a known customer, and their referrers.
    parent : int array, shape (members,)
        Place of the referrer; -1 for one who was not referred.
    depth : int array, shape (members,)
        Generations above.
    """

    customers: npt.NDArray[np.object_]
    parent: Whole
    depth: Whole

    @property
    def weight(self) -> Array:
        """How often a euro of a member's own value is credited on the way up, discounted by generation."""
        depth = self.depth.astype(float)
        return PASSED_ON * (1 - PASSED_ON**depth) / (1 - PASSED_ON)


def find_links(people: ir.Table) -> pd.DataFrame:
    """List who was referred by whom, where the referrer is a customer and another one; the rest count as unknown.

    Parameters
    ----------
    people : ibis Table
        ``customer_id``, ``referred_by``: one row per customer.

    Returns
    -------
    DataFrame
        customer_id, referred_by.
    """
    known = people.select(referred_by=people.customer_id)
    named = people.filter(people.referred_by.notnull() & (people.referred_by != people.customer_id))
    links = named.select("customer_id", "referred_by").semi_join(known, "referred_by")
    return links.order_by("customer_id").execute()


def build_tree(links: pd.DataFrame, unit: str = "") -> Tree:
    """Build the tree of referrals.

    Parameters
    ----------
    links : DataFrame
        ``customer_id`` (each once), ``referred_by``; from `find_links`.
    unit : str
        Name of the unit, for messages.

    Raises
    ------
    DataError
        Referrals go in a circle.
    """
    child, by = (links[name].to_numpy(dtype=object) for name in ("customer_id", "referred_by"))
    members, code = np.unique(np.concatenate([child, by]).astype(str), return_inverse=True)
    parent = np.full(len(members), -1)
    parent[code[: len(child)]] = code[len(child) :]
    depth = np.where(parent < 0, 0, -1)
    while (open_ := np.flatnonzero((depth < 0) & (depth[parent] >= 0))).size:
        depth[open_] = depth[parent[open_]] + 1
    if (depth < 0).any():
        raise DataError(_describe_cycle(members, parent, np.flatnonzero(depth < 0), unit))
    return Tree(members.astype(object), parent, depth)


def _describe_cycle(members: npt.NDArray, parent: Whole, stuck: Whole, unit: str) -> str:
    at, seen = int(stuck[0]), []
    while at not in seen:
        seen.append(at)
        at = int(parent[at])
    circle = [members[place] for place in seen[seen.index(at) :]]
    shown = ", ".join(map(str, circle[:5])) + (" …" if len(circle) > 5 else "")
    return (
        f"{unit}.customers.referred_by: referrals go in a circle of {len(circle)} customers, each said to have been "
        f"brought by the next: {shown}; {len(stuck)} customers in all cannot be placed. A referrer must have come "
        "before. Mend the column referred_by of these customers, or leave it empty."
    )


def pass_on(tree: Tree, value: Array, share: float = PASSED_ON) -> tuple[Array, Array]:
    """Pass shares of the accounts up the tree.

    Parameters
    ----------
    tree : Tree
        Who referred whom.
    value : array, shape (members,)
        Own value of each (money).
    share : float
        Share passed on per generation.

    Returns
    -------
    received, given : array, shape (members,)
        Money; their sums are equal.
    """
    received, given = np.zeros(len(value)), np.zeros(len(value))
    for level in range(int(tree.depth.max(initial=0)), 0, -1):
        here = np.flatnonzero(tree.depth == level)
        given[here] = share * (value[here] + received[here])
        np.add.at(received, tree.parent[here], given[here])
    return received, given


@dataclass(frozen=True)
class Referring:
    """How often customers bring others.

    Parameters
    ----------
    rows : DataFrame
        joined (day), referred (so far), exposure, customers: the count rows.
    mean, low, high : array, shape (rows,)
        Referrals of one customer over the horizon, expected and with the ends of the predictive interval.
    draws : array, shape (draws,)
        Referrals of all customers over the horizon, an outcome per draw.
    """

    rows: pd.DataFrame
    mean: Array
    low: Array
    high: Array
    draws: Array


def expect_referrals(
    rows: pd.DataFrame,
    referred_on: Whole,
    end: int,
    days: float,
    interval: float = 0.9,
    draws: int = 1000,
    seed: int = 1,
) -> Referring:
    """Expect the referrals of all customers over a horizon.

    Parameters
    ----------
    rows : DataFrame
        Count rows: ``joined`` (day number), ``referred`` (customers brought so far), ``customers``.
    referred_on : int array
        Day numbers on which referred customers joined, one each.
    end : int
        Day number of the end of observation.
    days : float
        Length of the horizon.
    interval : float
        Probability of the intervals.
    draws, seed : int
        Of the outcomes.
    """
    rows = rows.sort_values(["joined", "referred"], ignore_index=True)
    joined, brought, size = (rows[name].to_numpy(dtype=float) for name in ("joined", "referred", "customers"))
    events, number = np.unique(referred_on, return_counts=True)
    here = np.maximum(np.searchsorted(np.repeat(joined, size.astype(int)), events, side="left"), 1)
    hazard = np.r_[0.0, np.cumsum(number / here)]
    exposure = hazard[-1] - hazard[np.searchsorted(events, joined, side="right")]
    weights = _weigh_shapes(brought, exposure, size)
    rate = weights @ ((_SHAPES[:, None] + brought) / (_SHAPES[:, None] + exposure))
    rng = np.random.default_rng(seed)
    arrivals, coming = _forecast_arrivals(joined, size, events, number, end, days, draws, rng)
    base = size.sum()
    step = coming / np.maximum(arrivals, 1e-9) * np.log1p(arrivals / base)
    expected = float(step.mean())
    shape = float(np.exp(weights @ np.log(_SHAPES)))
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    low, high = (_negative_binomial(tail, shape + brought, (shape + exposure) / expected) for tail in tails)
    level = rate / (size @ rate) * base
    total = rng.poisson(base * step)
    return Referring(rows.assign(exposure=exposure), level * expected, low, high, total)


def draw_sums(count: Array, number: float, mean: float, deviation: float, rng: np.random.Generator) -> Array:
    """Draw what so many newcomers bring together.

    Few of them bring very much: what one brings is taken as gamma, of the shape that mean and deviation have, and so
    are the sums. What is known of the mean is then inverse gamma, about the one seen (with a prior flat in the rate of
    the gamma). Where the mean is not positive, both are normal.

    Parameters
    ----------
    count : array, shape (draws,)
        Newcomers.
    number : float
        How many were seen.
    mean, deviation : float
        What these brought (money).
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    array, shape (draws,)
        Money.
    """
    if mean <= 0 or deviation <= 0:
        each = mean + deviation / np.sqrt(number) * rng.standard_normal(len(count))
        return count * each + deviation * np.sqrt(count) * rng.standard_normal(len(count))
    shape = (mean / deviation) ** 2
    each = number * shape * mean / rng.standard_gamma(number * shape + 1.0, len(count))
    return each / shape * rng.standard_gamma(count * shape)


def _weigh_shapes(brought: Array, exposure: Array, size: Array) -> Array:
    """Posterior of the shape k on its grid, flat in its logarithm; shape (grid,)."""
    k = _SHAPES[:, None]
    terms = special.gammaln(k + brought) - special.gammaln(k) + k * np.log(k) - (k + brought) * np.log(k + exposure)
    log = terms @ size
    weights = np.exp(log - log.max())
    return weights / weights.sum()


def _forecast_arrivals(
    joined: Array,
    size: Array,
    events: Whole,
    number: Whole,
    end: int,
    days: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Draw the customers who will join within the horizon, and those of them who will be referred."""
    span = min(365.0, float(end - joined.min()) + 1)
    recent = float(size[joined > end - span].sum())
    level, growth = _draw_growth(joined, size, end, span, draws, rng)
    part = np.clip(days / _YEAR - np.arange(int(np.ceil(days / _YEAR))), 0.0, 1.0)
    later = 0.5 * span / _YEAR + np.arange(len(part)) + 0.5 * part
    arrivals = level * _YEAR / span * (np.exp(np.outer(growth, later)) @ part)
    referred = number[events > end - span].sum()
    share = rng.beta(referred + 0.5, max(recent - referred, 0) + 0.5, draws)
    return arrivals, arrivals * share


def _draw_growth(
    joined: Array, size: Array, end: int, span: float, draws: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draw how many customers join in the last `span` days as a rule, and the log growth of that number in a year.

    Growth is told by the days whose counterparts a year earlier are on record, so that the season plays no part: all of
    a year's where two have been seen. Given the number of both together, the share of the later ones is binomial; its
    logit, with half a customer added to both, is normal (Haldane 1956), as is the prior. The shorter the time
    compared, the more it may be out of the ordinary.
    """
    compared = min(max(float(end - joined.min()) + 1 - 365, 0.0), 365.0)
    after = float(size[joined > end - compared].sum())
    before = float(size[(joined > end - 365 - compared) & (joined <= end - 365)].sum()) if compared else 0.0
    rest = float(size[joined > end - span].sum()) - after
    told = 1 / (1 / (after + 0.5) + 1 / (before + 0.5) + _GROWTH_ERROR**2 * 365 / max(compared, 1.0))
    known = told + _GROWTH_PRIOR**-2
    seen = told * np.log((after + 0.5) / (before + 0.5)) / known
    growth = rng.normal(seen, np.sqrt(1 / known), draws)
    both = rng.standard_gamma(after + before + 0.5, draws) if compared else np.zeros(draws)
    level = both / (1 + np.exp(-growth)) + rng.standard_gamma(rest + 0.5 * (compared < span), draws)
    return level, growth + rng.normal(0.0, _GROWTH_ERROR, draws)


def _negative_binomial(level: float, shape: Array, rate: Array) -> Array:
    """Quantile of a Poisson number whose mean is Gamma(shape, rate)."""
    from scipy.stats import nbinom

    return nbinom.ppf(level, shape, rate / (1 + rate))
