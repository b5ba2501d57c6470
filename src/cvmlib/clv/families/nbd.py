"""NBD: purchases of customers who never leave, the model to beat before dropout is believed.

Assumptions (Ehrenberg 1959, *Applied Statistics* 8(1); Schmittlein, Morrison and Colombo 1987)

1. A customer buys by a Poisson process with rate ``lambda``, for ever.
2. Rates vary over customers as Gamma with shape ``r`` and rate ``alpha`` (in units of time).

Code names and the symbols of the papers: ``frequency`` is x, ``T`` is T. The likelihood does not depend on the recency,
which is taken only so that all families of purchase models are called alike; that of purchase times, not of their
number, so that it compares with the other families'. Times are in any one unit.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from scipy import optimize, special

from cvmlib.clv.families.bg_nbd import MaximumLikelihood

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
PARAMETERS = ("r", "alpha")


def log_likelihood(frequency: Array, recency: Array, T: Array, r: Array, alpha: Array) -> Array:
    """Log-likelihood of each customer.

    Parameters
    ----------
    frequency, recency, T : array
        Repeat purchases, age at the last of them (of no influence), and age at the end of observation.
    r, alpha : array or float
        Parameters; they broadcast against the customers.

    Returns
    -------
    array
        Log-likelihood, of the broadcast shape.
    """
    x, age = np.asarray(frequency, dtype=float), np.asarray(T, dtype=float)
    value = special.gammaln(r + x) - special.gammaln(r) - r * np.log1p(age / alpha) - x * np.log(alpha + age)
    return value + np.zeros(np.shape(recency))


def probability_alive(frequency: Array, recency: Array, T: Array, r: Array, alpha: Array) -> Array:
    """Return 1 for each customer, of the broadcast shape: nobody leaves."""
    return np.ones(np.broadcast_shapes(*(np.shape(v) for v in (frequency, recency, T, r, alpha))))


def forecast(edges: Array, frequency: Array, recency: Array, T: Array, r: Array, alpha: Array) -> tuple[Array, Array]:
    """Return expected purchases in each window and the probability of being alive at each edge, which is 1.

    Parameters
    ----------
    edges : array, shape (draws, windows + 1)
        Times after T, rising, the first 0.
    frequency, recency, T : array, shape (rows,)
        Counts.
    r, alpha : array, shape (draws,)
        Parameters.

    Returns
    -------
    purchases : array, shape (windows, draws, rows)
    alive : array, shape (windows + 1, draws, rows)
    """
    rate = (r[:, None] + np.asarray(frequency)) / (alpha[:, None] + np.asarray(T))
    return np.diff(edges, axis=1).T[:, :, None] * rate, np.ones((edges.shape[1], *rate.shape))


def simulate_future(
    horizon: Array, frequency: Array, recency: Array, T: Array, r: Array, alpha: Array, rng: np.random.Generator
) -> Integers:
    """Draw purchases within `horizon` (draws,) of each customer (rows,) under each draw: shape (draws, rows)."""
    arrays = (np.ascontiguousarray(v, dtype=float) for v in (horizon, frequency, T, r, alpha))
    return _simulate(*arrays, rng)


@numba.njit(cache=True)
def _simulate(
    horizon: Array, frequency: Array, T: Array, r: Array, alpha: Array, rng: np.random.Generator
) -> Integers:  # pragma: no cover - compiled
    result = np.empty((horizon.size, T.size), dtype=np.int64)
    for i in range(horizon.size):
        for j in range(T.size):
            rate = rng.standard_gamma(r[i] + frequency[j]) / (alpha[i] + T[j])
            result[i, j] = rng.poisson(rate * horizon[i])
    return result


def simulate_customers(T: Array, r: float, alpha: float, rng: np.random.Generator) -> tuple[Integers, Array]:
    """Draw ``(frequency, recency)`` of new customers observed for ``T``, each of shape (customers,)."""
    T = np.asarray(T, dtype=float)
    frequency = rng.poisson(rng.standard_gamma(r, T.size) / alpha * T)
    last = T * rng.random(T.size) ** (1.0 / np.maximum(frequency, 1))
    return frequency, np.where(frequency > 0, last, 0.0)


def expected_since_start(age: Array, r: float, alpha: float) -> Array:
    """Return the expected repeat purchases of a new customer up to each `age`, of the shape of `age`."""
    return np.asarray(age, dtype=float) * r / alpha


def fit_maximum_likelihood(
    frequency: Array, recency: Array, T: Array, customers: Array | None = None
) -> MaximumLikelihood:
    """Fit one group by maximum likelihood.

    Parameters
    ----------
    frequency, recency, T : array
        Count rows; the recency has no influence.
    customers : array, optional
        Customers per row; 1 by default.
    """
    weights = np.ones(len(frequency)) if customers is None else np.asarray(customers, dtype=float)
    x, age = (np.asarray(v, dtype=float) for v in (frequency, T))
    scale = float(np.average(age, weights=weights)) or 1.0

    def negative(theta: Array) -> tuple[float, Array]:
        r, alpha = np.exp(theta)
        value = weights @ log_likelihood(x, 0.0, age / scale, r, alpha)
        by_r = special.digamma(r + x) - special.digamma(r) - np.log1p(age / scale / alpha)
        by_alpha = r / alpha - (r + x) / (alpha + age / scale)
        return -float(value), -np.array([r * (weights @ by_r), alpha * (weights @ by_alpha)])

    start = np.log([1.0, 1.0 / max(float(weights @ x) / float(weights.sum()), 1e-3)])
    options = {"ftol": 1e-15, "gtol": 1e-7 * float(weights.sum()), "maxiter": 2000}
    found = optimize.minimize(negative, start, jac=True, bounds=[(-12.0, 12.0)] * 2, options=options)
    r, alpha = np.exp(found.x)
    # Rescaling time multiplies the density of every purchase time by the scale: back to the units of the data.
    value = -float(found.fun) - float(weights @ x) * np.log(scale)
    return MaximumLikelihood({"r": r, "alpha": alpha * scale}, value)


@dataclass(frozen=True)
class CountData:
    """What the likelihood needs of a count table.

    ``survivors[g, j]`` is the number of customers of group g with frequency above j; ``age_*`` are the distinct
    (group, T) pairs, with their customers and purchases.
    """

    survivors: Array
    group_customers: Array
    age_group: Integers
    age: Array
    age_customers: Array
    age_purchases: Array


def lay_out(group: Integers, frequency: Integers, recency: Array, T: Array, customers: Array) -> CountData:
    """Arrange count rows for the density.

    Parameters
    ----------
    group : int array, shape (rows,)
        Group codes 0 … groups - 1.
    frequency, recency, T : array, shape (rows,)
        Counts; times in the model's own (scaled) unit.
    customers : array, shape (rows,)
        Customers per row.
    """
    groups, longest = int(group.max()) + 1, int(frequency.max())
    exact = np.zeros((groups, longest + 1))
    np.add.at(exact, (group, frequency), customers)
    codes, ages = pd.MultiIndex.from_arrays([group, T]).factorize(sort=True)
    return CountData(
        survivors=np.ascontiguousarray(exact[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]),
        group_customers=np.bincount(group, customers, groups),
        age_group=ages.get_level_values(0).to_numpy(dtype=np.int64),
        age=ages.get_level_values(1).to_numpy(dtype=float),
        age_customers=np.bincount(codes, customers, len(ages)),
        age_purchases=np.bincount(codes, customers * frequency, len(ages)),
    )


def log_likelihood_of(data: CountData, r: Variable, alpha: Variable) -> Variable:
    """Log-likelihood of the laid-out count table as a PyTensor scalar; parameters have shape (groups,)."""
    steps = np.arange(data.survivors.shape[1])
    gamma = (data.survivors * pt.log(r[:, None] + steps)).sum()
    start = (data.group_customers * r * pt.log(alpha)).sum()
    purchases = r[data.age_group] * data.age_customers + data.age_purchases
    return gamma + start - (purchases * pt.log(alpha[data.age_group] + data.age)).sum()
