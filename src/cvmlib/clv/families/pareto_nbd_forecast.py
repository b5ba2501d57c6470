"""What customers of a fitted Pareto/NBD do next, for many draws of the parameters at once."""

import numba
import numpy as np
import numpy.typing as npt

from cvmlib.clv.families.pareto_nbd_integral import leaving_first_at_ages
from cvmlib.clv.families.pareto_nbd_kernel import Places

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def forecast(
    edges: Array, frequency: Array, recency: Array, T: Array, r: Array, alpha: Array, s: Array, beta: Array
) -> tuple[Array, Array]:
    """Return expected purchases in each window and the probability of being alive at each edge.

    Parameters
    ----------
    edges : array, shape (draws, windows + 1)
        Times after T, rising, the first 0.
    frequency, recency, T : array, shape (rows,)
        Counts.
    r, alpha, s, beta : array, shape (draws,)
        Parameters.

    Returns
    -------
    purchases : array, shape (windows, draws, rows)
    alive : array, shape (windows + 1, draws, rows)
    """
    parameters = _parameters(r, alpha, s, beta)
    return _forecast(np.ascontiguousarray(edges, dtype=float), *parameters, *_arrays(frequency, recency, T))


def simulate_future(
    horizon: Array,
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    s: Array,
    beta: Array,
    rng: np.random.Generator,
) -> Integers:
    """Draw each customer's purchases in the next `horizon`, given his counts: exact.

    Parameters
    ----------
    horizon : array, shape (draws,)
        Length of the window after T.
    frequency, recency, T : array, shape (rows,)
        Counts.
    r, alpha, s, beta : array, shape (draws,)
        Parameters.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    int array, shape (draws, rows)
    """
    parameters = _parameters(r, alpha, s, beta)
    return _simulate(np.ascontiguousarray(horizon, dtype=float), *parameters, rng, *_arrays(frequency, recency, T))


def _parameters(*values: Array) -> list[Array]:
    return [np.ascontiguousarray(v, dtype=float) for v in values]


def _arrays(frequency: Array, recency: Array, T: Array) -> tuple[npt.NDArray, ...]:
    x, t_x, age = np.asarray(frequency).astype(np.int64), np.asarray(recency, float), np.asarray(T, float)
    places = Places.of(np.zeros(len(x), np.int64), x, t_x, age)
    rows = (places.row_recency, places.row_T, places.row_recency_pair, places.row_T_pair)
    return places.age, places.age_pairs, places.pair_frequency, x, *rows


@numba.njit(cache=True, error_model="numpy")
def _alive(
    r: float,
    alpha: float,
    s: float,
    beta: float,
    age: Array,
    age_pairs: Integers,
    pair_frequency: Integers,
    row_frequency: Integers,
    row_recency: Integers,
    row_T: Integers,
    row_recency_pair: Integers,
    row_T_pair: Integers,
) -> Array:  # pragma: no cover - compiled
    """Probability that each row's customer is alive at T, shape (rows,)."""
    left = np.empty((pair_frequency.size, 4))
    p, q = alpha + age, beta + age
    leaving_first_at_ages(np.full(age.size, r), np.full(age.size, s), p, q, age_pairs, pair_frequency, left)
    log_p, log_q = np.log(p), np.log(q)
    alive = np.empty(row_frequency.size)
    for j in range(row_frequency.size):
        early, late = row_recency[j], row_T[j]
        waits = np.exp((r + row_frequency[j]) * (log_p[early] - log_p[late]) + s * (log_q[early] - log_q[late]))
        alive[j] = waits / (left[row_recency_pair[j], 0] + waits * (1.0 - left[row_T_pair[j], 0]))
    return alive


@numba.njit(cache=True, error_model="numpy")
def _forecast(
    edges: Array,
    r: Array,
    alpha: Array,
    s: Array,
    beta: Array,
    age: Array,
    age_pairs: Integers,
    pair_frequency: Integers,
    row_frequency: Integers,
    row_recency: Integers,
    row_T: Integers,
    row_recency_pair: Integers,
    row_T_pair: Integers,
) -> tuple[Array, Array]:  # pragma: no cover - compiled
    """Survival and time alive once per age, then one product per row, window and draw."""
    draws, windows, rows = edges.shape[0], edges.shape[1] - 1, row_frequency.size
    places = (row_frequency, row_recency, row_T, row_recency_pair, row_T_pair)
    purchases, alive = np.empty((windows, draws, rows)), np.empty((windows + 1, draws, rows))
    surviving, lived, ends = np.empty(age.size), np.empty(age.size), np.unique(row_T)
    for i in range(draws):
        now = _alive(r[i], alpha[i], s[i], beta[i], age, age_pairs, pair_frequency, *places)
        alive[0, i] = now
        for m in range(windows):
            for k in ends:
                q = beta[i] + age[k] + edges[i, m]  # at the start of the window
                grown = np.log1p((edges[i, m + 1] - edges[i, m]) / q)
                power = (1.0 - s[i]) * grown
                before = np.exp(-s[i] * np.log1p(edges[i, m] / (beta[i] + age[k])))
                lived[k] = before * q * (grown if power == 0.0 else grown * np.expm1(power) / power)
                lived[k] /= alpha[i] + age[k]
                surviving[k] = before * np.exp(-s[i] * grown)
            for j in range(rows):
                purchases[m, i, j] = now[j] * (r[i] + row_frequency[j]) * lived[row_T[j]]
                alive[m + 1, i, j] = now[j] * surviving[row_T[j]]
    return purchases, alive


@numba.njit(cache=True, error_model="numpy")
def _simulate(
    horizon: Array,
    r: Array,
    alpha: Array,
    s: Array,
    beta: Array,
    rng: np.random.Generator,
    age: Array,
    age_pairs: Integers,
    pair_frequency: Integers,
    row_frequency: Integers,
    row_recency: Integers,
    row_T: Integers,
    row_recency_pair: Integers,
    row_T_pair: Integers,
) -> Integers:  # pragma: no cover - compiled
    """Draw whether alive, then the lifetime left, ``(beta + T) (exp(E / s) - 1)`` with E exponential, and the rate."""
    places = (row_frequency, row_recency, row_T, row_recency_pair, row_T_pair)
    result = np.zeros((horizon.size, row_frequency.size), dtype=np.int64)
    for i in range(horizon.size):
        now = _alive(r[i], alpha[i], s[i], beta[i], age, age_pairs, pair_frequency, *places)
        for j in range(row_frequency.size):
            if rng.random() < now[j]:
                t = age[row_T[j]]
                time_left = (beta[i] + t) * np.expm1(min(rng.standard_exponential() / s[i], 600.0))
                rate = rng.standard_gamma(r[i] + row_frequency[j]) / (alpha[i] + t)
                result[i, j] = rng.poisson(rate * min(horizon[i], time_left))
    return result
