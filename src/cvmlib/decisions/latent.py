r"""How often each customer buys, what he spends each time, and whether he still comes: the posterior of a count row.

Given the unit's parameters, the rate of a customer has a posterior of its own. It is taken on nodes: with prior
Gamma(r, alpha) and the likelihood of the counts at a fixed rate (the family's with next to no spread of rates), nodes
lie at quantiles of Gamma(r + k x, alpha + T) and of Gamma(r + k x, alpha + t_x), which the posterior is of one who
still comes and of one who left after his last purchase; importance weights make up for what is between. The mean of
what he spends per purchase is m = p / nu with nu ~ Gamma(q + p x, gamma + x z) (Fader and Hardie 2013), in closed form.

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
from cvmlib.errors import UnfitModelError

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


def infer_rates(draws: PurchaseDraws, rows: pd.DataFrame, nodes: int = NODES) -> Rates:
    """Posterior of the rate of customers of one set of parameters.

    Parameters
    ----------
    draws : Draws
        Posterior draws of the unit's (or pattern's) parameters; their geometric means are used.
    rows : DataFrame
        ``frequency``, ``recency``, ``T`` (operational days).
    nodes : int
        Nodes of each part.

    Raises
    ------
    UnfitModelError
        The family has no gamma distribution of rates.
    """
    family = draws.family
    if family.symbols[:2] != ("r", "alpha"):
        raise UnfitModelError(f"Rates of single customers are worked out for gamma rates only, not for {family.title}.")
    r, alpha, *others = (float(np.exp(np.log(values).mean())) for values in draws.values)
    stages = int(round(others[-1])) if family.constant else 1
    others = [*others[:-1], stages] if family.constant else others
    x, recency, age = (rows[name].to_numpy(dtype=float)[:, None] for name in ("frequency", "recency", "T"))
    level = (np.arange(nodes) + 0.5) / nodes
    shape = r + stages * x
    unit_nodes = special.gammaincinv(shape, level)
    rate = np.concatenate([unit_nodes / (alpha + age), unit_nodes / (alpha + recency)], axis=1)
    proposal = np.logaddexp(*(stats.gamma.logpdf(rate, shape, scale=1 / (alpha + time)) for time in (age, recency)))
    sharp = (_SHARP, _SHARP / rate, *others)
    log_weight = stats.gamma.logpdf(rate, r, scale=1 / alpha) - proposal
    log_weight = log_weight + family.log_likelihood(x, recency, age, *sharp)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    alive = np.broadcast_to(family.probability_alive(x, recency, age, *sharp), rate.shape)
    return Rates(rate * DAYS_PER_YEAR / stages, weight / weight.sum(axis=1, keepdims=True), alive)


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
    found = [np.empty((len(first), 2 * NODES)) for _ in range(3)]
    for pattern, places in first.groupby("pattern").indices.items():
        counted = live.calendar.convert(first.iloc[places])
        rates = infer_rates(live.purchases[str(pattern)], counted)
        for whole, part in zip(found, (rates.rate, rates.weight, rates.alive), strict=True):
            whole[places] = part
    return Rates(*(values[alike] for values in found))


def infer_spend(draws: SpendDraws, rows: pd.DataFrame) -> Spend:
    """Posterior of the mean spend per purchase of each count row: ``frequency``, ``monetary_value`` (money)."""
    p, q, gamma = (float(values.mean()) for values in (draws.p, draws.q, draws.gamma))
    x, z = (rows[name].to_numpy(dtype=float) for name in ("frequency", "monetary_value"))
    return Spend(p, q + p * x, gamma + x * z)
