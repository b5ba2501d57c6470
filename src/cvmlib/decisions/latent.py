r"""How often each customer buys, what he spends each time, and whether he still comes: the posterior of a count row.

Given the unit's parameters, the rate of a customer has a posterior of its own. It is taken on nodes: with prior
Gamma(r, alpha) and the likelihood of the counts at a fixed rate (the family's with next to no spread of rates), nodes
lie at quantiles of Gamma(r + k x, alpha + T) and of Gamma(r + k x, alpha + t_x), which the posterior is of one who
still comes and of one who left after his last purchase; importance weights make up for what is between. Where the model
counts opportunities, the probability to buy at one takes the place of the rate, with prior Beta(alpha, beta) and nodes
at quantiles of Beta(alpha + x, beta + n - x) and Beta(alpha + x, beta + t_x - x). The mean of what he spends per
purchase is m = p / nu with nu ~ Gamma(q + p x, gamma + x z) (Fader and Hardie 2013), in closed form.

The parameters are taken at their posterior means: of a single customer, what is not known of the unit is small beside
what is not known of him.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

from cvmlib.clv.live import Live
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws

Array = npt.NDArray[np.float64]

DAYS_PER_YEAR = 365.25
NODES = 24
"""Nodes of each of the two parts of a posterior."""

_SHARP = 1e6  # shape of a gamma distribution that is next to one point


@dataclass(frozen=True)
class Rates:
    """Posterior of the purchase rate, arrays of shape (rows, nodes).

    Parameters
    ----------
    rate : array
        Purchases per year while a customer.
    weight : array
        Probability of each node; rows sum to 1.
    alive : array
        Probability of still being a customer, given the rate.
    """

    rate: Array
    weight: Array
    alive: Array

    def chance_above(self, purchases: float) -> Array:
        """Probability of still coming, more often than so many times a year; shape (rows,)."""
        return (self.weight * self.alive * (self.rate > purchases)).sum(axis=1)

    def moment(self, order: int) -> Array:
        """Mean of the rate to a power, zero for one who has left; shape (rows,)."""
        return (self.weight * self.alive * self.rate**order).sum(axis=1)


@dataclass(frozen=True)
class Spend:
    """Posterior of the mean spend per purchase: p / nu with nu ~ Gamma(shape, rate); arrays of shape (rows,)."""

    p: float
    shape: Array
    rate: Array

    def chance_below(self, amount: Array) -> Array:
        """Probability of a mean spend below `amount`, shape (rows,) or (rows, anything)."""
        amount = np.asarray(amount, dtype=float)
        shape, rate = (np.reshape(v, (-1,) + (1,) * (max(amount.ndim, 1) - 1)) for v in (self.shape, self.rate))
        return np.where(amount > 0, special.gammaincc(shape, self.p * rate / np.where(amount > 0, amount, 1.0)), 0.0)

    def moment(self, order: int) -> Array:
        """Mean of the mean spend to the power 1 or 2; where the second is infinite, its last finite size counts."""
        first = self.p * self.rate / np.maximum(self.shape - 1.0, 1e-9)
        return first if order == 1 else first * self.p * self.rate / np.maximum(self.shape - 2.0, 0.1)


def infer_rates(draws: PurchaseDraws, rows: pd.DataFrame, nodes: int = NODES, per_year: float = DAYS_PER_YEAR) -> Rates:
    """Posterior of the rate of customers of one set of parameters.

    Parameters
    ----------
    draws : Draws
        Posterior draws of the unit's (or pattern's) parameters; their geometric means are used.
    rows : DataFrame
        ``frequency``, ``recency``, ``T`` (operational days, or opportunities).
    nodes : int
        Nodes of each part.
    per_year : float
        Operational days, or opportunities, in a year.
    """
    family = draws.family
    first, second, *others = (float(np.exp(np.log(values).mean())) for values in draws.values)
    stages = int(round(others[-1])) if family.constant else 1
    others = [*others[:-1], stages] if family.constant else others
    counts = [rows[name].to_numpy(dtype=float)[:, None] for name in ("frequency", "recency", "T")]
    level = (np.arange(nodes) + 0.5) / nodes
    if family.symbols[:2] == ("r", "alpha"):
        rate, log_weight = _lay_gamma(first, second, stages, *counts, level)
        sharp = (_SHARP, _SHARP / rate, *others)
    else:
        rate, log_weight = _lay_beta(first, second, *counts, level)
        sharp = (_SHARP * rate, _SHARP * (1.0 - rate), *others)
    log_weight = log_weight + family.log_likelihood(*counts, *sharp)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    alive = np.broadcast_to(family.probability_alive(*counts, *sharp), rate.shape)
    return Rates(rate * per_year / stages, weight / weight.sum(axis=1, keepdims=True), alive)


def _lay_gamma(
    r: float, alpha: float, stages: int, x: Array, recency: Array, age: Array, level: Array
) -> tuple[Array, Array]:
    """Nodes of the rate, and the log of prior over proposal at each."""
    shape = r + stages * x
    unit_nodes = special.gammaincinv(shape, level)
    rate = np.concatenate([unit_nodes / (alpha + age), unit_nodes / (alpha + recency)], axis=1)
    proposal = np.logaddexp(*(stats.gamma.logpdf(rate, shape, scale=1 / (alpha + time)) for time in (age, recency)))
    return rate, stats.gamma.logpdf(rate, r, scale=1 / alpha) - proposal


def _lay_beta(alpha: float, beta: float, x: Array, recency: Array, age: Array, level: Array) -> tuple[Array, Array]:
    """Nodes of the probability to buy at an opportunity, and the log of prior over proposal at each."""
    skipped = [beta + time - x for time in (age, recency)]
    nodes = [special.betaincinv(alpha + x, other, level) for other in skipped]
    chance = np.clip(np.concatenate(nodes, axis=1), 1e-12, 1.0 - 1e-12)
    proposal = np.logaddexp(*(stats.beta.logpdf(chance, alpha + x, other) for other in skipped))
    return chance, stats.beta.logpdf(chance, alpha, beta) - proposal


def infer_unit_rates(live: Live, rows: pd.DataFrame) -> Rates:
    """Posterior of the rate of each count row of a unit, by its pattern; alike rows are worked out once.

    Parameters
    ----------
    live : Live
        The unit's saved posterior.
    rows : DataFrame
        ``pattern``, ``frequency``, ``recency``, ``T`` (calendar days).
    """
    keys = ["pattern", "frequency", "recency", "T"]
    alike = rows.groupby(keys, sort=True).ngroup().to_numpy()
    first = rows.iloc[np.unique(alike, return_index=True)[1]][keys]
    per_year = live.opportunities_per_year or DAYS_PER_YEAR
    found = [np.empty((len(first), 2 * NODES)) for _ in range(3)]
    for pattern, places in first.groupby("pattern").indices.items():
        counted = live.calendar.convert(first.iloc[places])
        rates = infer_rates(live.purchases[str(pattern)], counted, per_year=per_year)
        for whole, part in zip(found, (rates.rate, rates.weight, rates.alive), strict=True):
            whole[places] = part
    return Rates(*(values[alike] for values in found))


def infer_spend(draws: SpendDraws, rows: pd.DataFrame) -> Spend:
    """Posterior of the mean spend per purchase of each count row: ``frequency``, ``monetary_value`` (money)."""
    p, q, gamma = (float(values.mean()) for values in (draws.p, draws.q, draws.gamma))
    x, z = (rows[name].to_numpy(dtype=float) for name in ("frequency", "monetary_value"))
    return Spend(p, q + p * x, gamma + x * z)
