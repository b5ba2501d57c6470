r"""Potential: what a customer would bring beyond what he does, if he spent like comparable customers who spend more.

Comparable are customers with the same covariates and a like number of purchases. Drawn at random, such a customer
spends more per purchase with some probability, and then so much more; the two together are the expected gap

.. math:: g(m) = E_j[(m_j - m)^+],

which his purchases to come multiply: headroom, not a forecast. With Gamma-Gamma spend of shapes p, q and scale
:math:`\gamma`, a customer of x repeat purchases of mean value z has a = q + p x and
:math:`\zeta = 1 + x z / \gamma`, and with :math:`b = 1 / (1 + \zeta)` the regularised incomplete beta function gives

.. math::
   P(m_j > m) = I_b(q, a), \qquad
   E[g(m)] = p \gamma \left[ \frac{I_b(q - 1, a)}{q - 1} - \zeta \frac{I_b(q, a - 1)}{a - 1} \right].

A group of comparable customers has a scale :math:`\gamma e^{\delta}` of its own; the deltas are shrunk towards none by
what tells the groups apart beyond chance. Of a subscription the price is known, and so are comparable subscribers'
prices: their shares are pooled towards the unit's (Dirichlet).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cvmlib.clv.spend_model import Draws as SpendDraws

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

CLASSES = (2, 4, 10)
"""Repeat purchases from which customers are of the next class of frequency; those with none or one are first."""

_BUDGET = 500_000  # pairs of draw and count row
_QUANTILES = 12  # nodes of the posterior of one customer's spend


@dataclass(frozen=True)
class Gaps:
    """Gap of each count row to comparable customers, in money per purchase (or per month).

    Parameters
    ----------
    chance : array, shape (rows,)
        Probability that a comparable customer spends more.
    mean : array, shape (rows,)
        Expected gap.
    spread : array, shape (rows,)
        Standard deviation of the customer's own gap about it.
    draws : array, shape (draws, rows)
        Expected gap in each posterior draw of the unit.
    """

    chance: Array
    mean: Array
    spread: Array
    draws: Array


@dataclass(frozen=True)
class Groups:
    """Groups of comparable customers: the group of each row, and the log of each group's spend, shrunk.

    Parameters
    ----------
    of_row : int array, shape (rows,)
        Group of each row.
    delta, error : array, shape (groups,)
        Difference of the log of the mean spend from the unit's, and its standard error.
    """

    of_row: Whole
    delta: Array
    error: Array


def group_comparable(rows: pd.DataFrame, draws: SpendDraws) -> Groups:
    """Find the groups of comparable customers and shrink what tells their spend apart (DerSimonian and Laird 1986).

    Parameters
    ----------
    rows : DataFrame
        ``pattern``, ``frequency``, ``monetary_value``, ``customers``.
    draws : Draws
        Posterior draws of the unit's spend model.
    """
    kind = np.searchsorted(CLASSES, rows["frequency"].to_numpy(), side="right")
    of_row = rows.assign(kind=kind).groupby(["pattern", "kind"], sort=True).ngroup().to_numpy()
    number = int(of_row.max(initial=-1)) + 1
    p, q = float(draws.p.mean()), float(draws.q.mean())
    x, z, n = (rows[name].to_numpy(dtype=float) for name in ("frequency", "monetary_value", "customers"))
    told = (x > 0) & (z > 0)
    shape = np.where(told, p * x, 1.0)
    log = np.log(np.where(told, z, 1.0)) - special.digamma(shape) + np.log(shape)
    precision = np.where(told, n / (special.polygamma(1, shape) + special.polygamma(1, q)), 0.0)
    weight = np.bincount(of_row, precision, number)
    known = weight > 0
    mean = np.divide(np.bincount(of_row, precision * log, number), weight, out=np.zeros(number), where=known)
    if known.sum() < 2:
        return Groups(of_row, np.zeros(number), np.zeros(number))
    center = np.average(mean[known], weights=weight[known])
    excess = weight[known] @ (mean[known] - center) ** 2 - (known.sum() - 1)
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    between = max(float(excess / scale), 0.0)
    delta = np.where(known, (mean - center) * between / (between + 1 / np.where(known, weight, 1.0)), 0.0)
    return Groups(of_row, delta, np.sqrt(between / (1 + between * weight)))


def measure_gaps(rows: pd.DataFrame, draws: SpendDraws, groups: Groups, seed: int = 1) -> Gaps:
    """Gap of each count row of a shop to comparable customers.

    Parameters
    ----------
    rows : DataFrame
        ``frequency``, ``monetary_value`` (money).
    draws : Draws
        Posterior draws of the spend model; evenly spaced ones are used where the rows are many.
    groups : Groups
        From `group_comparable`.
    seed : int
        Of the draws of the groups' differences.
    """
    table = rows[["frequency", "monetary_value"]].assign(group=groups.of_row).to_numpy(dtype=float)
    alike, row = np.unique(
        table, axis=0, return_inverse=True
    )  # those who bought once are told apart by their group only
    (x, z), group = alike[:, :2].T, alike[:, 2].astype(int)
    number = min(int(np.clip(_BUDGET // max(len(alike), 1), 20, 100)), len(draws.p))
    chosen = np.linspace(0, len(draws.p) - 1, number).round().astype(int)
    noise = np.random.default_rng(seed).standard_normal((number, len(groups.delta)))
    scale = np.exp(groups.delta + noise * groups.error)[:, group]
    gaps, chance = np.empty((number, len(alike))), np.zeros(len(alike))
    for place, draw in enumerate(chosen):
        p, q, gamma = draws.p[draw], draws.q[draw], draws.gamma[draw] * scale[place]
        above, gaps[place] = expected_gap(x, z, p, q, gamma)
        chance += above / number
    middle = [float(values.mean()) for values in (draws.p, draws.q, draws.gamma)]
    spread = gap_spread(x, z, *middle[:2], middle[2] * np.exp(groups.delta)[group])
    row = row.ravel()
    return Gaps(chance[row], gaps.mean(axis=0)[row], spread[row], gaps[:, row])


def expected_gap(x: Array, z: Array, p: float, q: float, gamma: Array) -> tuple[Array, Array]:
    """Probability that a comparable customer spends more, and the expected gap; see the head of the module.

    Parameters
    ----------
    x, z : array, shape (rows,)
        Repeat purchases and their mean value (money).
    p, q : float
        Shapes of the spend model.
    gamma : array or float
        Its scale (money).
    """
    a, zeta = q + p * x, 1.0 + x * z / gamma
    b = 1.0 / (1.0 + zeta)
    chance = special.betainc(q, a, b)
    part = special.betainc(q - 1, a, b) / (q - 1) - zeta * special.betainc(q, a - 1, b) / (a - 1)
    return chance, p * gamma * np.maximum(part, 0.0)


def gap_of(m: Array, p: float, q: float, gamma: Array) -> Array:
    """Gap g(m) of a customer whose mean spend m (money) is known, to customers of a Gamma-Gamma spend."""
    theta = p * gamma
    ratio = theta / m
    return theta / (q - 1) * special.gammainc(q - 1, ratio) - m * special.gammainc(q, ratio)


def gap_spread(x: Array, z: Array, p: float, q: float, gamma: Array) -> Array:
    """Standard deviation of a customer's own gap, given his purchases: by nodes at quantiles of his posterior."""
    level = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    nu = special.gammaincinv((q + p * x)[:, None], level) / (gamma + x * z)[:, None]
    return gap_of(p / nu, p, q, np.reshape(gamma, (-1, 1))).std(axis=1)


def measure_price_gaps(
    group: Whole, price: Array, customers: Array, draws: int = 200, concentration: float | None = None, seed: int = 1
) -> Gaps:
    """Gap of the price of each row of subscriptions to comparable subscribers' prices.

    Parameters
    ----------
    group : int array, shape (rows,)
        Group of comparable subscribers.
    price : array, shape (rows,)
        Price (money per month).
    customers : array, shape (rows,)
        Subscribers of each row.
    draws : int
        Posterior draws of the shares.
    concentration : float, optional
        Weight of the unit's shares in those of a group, in subscribers; by default what makes the groups' differences
        as large as they are beyond chance.
    seed : int
        Of the draws.
    """
    levels, of_price = np.unique(price, return_inverse=True)
    number = int(group.max(initial=0)) + 1
    table = np.zeros((number, len(levels)))
    np.add.at(table, (group, of_price), customers)
    shares = table.sum(axis=0) / max(table.sum(), 1.0)
    weight = find_concentration(table) if concentration is None else concentration
    rng = np.random.default_rng(seed)
    drawn = rng.standard_gamma(np.maximum(table + weight * shares, 1e-9), (draws, *table.shape))
    drawn /= drawn.sum(axis=2, keepdims=True)
    above = np.maximum(levels[None, :] - levels[:, None], 0.0)
    gaps = np.einsum("dgk,lk->dgl", drawn, above)[:, group, of_price]
    more = (levels[None, :] > levels[:, None]).astype(float)
    chance = np.einsum("gk,lk->gl", drawn.mean(axis=0), more)[group, of_price]
    return Gaps(chance, gaps.mean(axis=0), np.zeros(len(price)), gaps)


def find_concentration(table: Array) -> float:
    """Weight of the unit's shares in a group's, where groups differ as multinomial shares beyond chance.

    Parameters
    ----------
    table : array, shape (groups, levels)
        Counts.
    """
    size = table.sum(axis=1)
    kept = size > 1
    if kept.sum() < 2 or table.shape[1] < 2:
        return 1e4
    shares = table.sum(axis=0) / table.sum()
    used = shares > 0
    found = table[kept][:, used] - size[kept, None] * shares[used]
    chi = float((found**2 / (size[kept, None] * shares[used])).sum())
    free = (kept.sum() - 1) * (used.sum() - 1)
    between = max((chi / max(free, 1) - 1) / max(size[kept].mean() - 1, 1.0), 1e-4)
    return float(min(1 / between - 1, 1e4))
