"""What customers of a fitted (M)BG/CNBD-k do next, under many draws of the parameters at once; k = 1 is the (M)BG/NBD.

If a customer is alive at T and has completed j of the k stages of the gap under way, ``lambda`` is
Gamma(r + k x + j, alpha + T) and ``p`` is Beta(a, b + x) (MBG: Beta(a, b + x + 1), since he has survived his first
purchase too), whatever the recency. For one x and j his survival and purchase rate at s ahead are therefore functions
of ``y = s / (alpha + T)`` alone: sums over the negative binomial number of stages completed by then, and 2F1 functions
if k = 1. Per draw, frequency and j they are laid down as polynomials (`families.piecewise`), read at each edge once
per age, and mixed by each row's own probabilities of being alive with j stages completed.
"""

import numba
import numpy as np
import numpy.typing as npt

from cvmlib.clv.families import piecewise
from cvmlib.clv.families.bg_cnbd_survival import tabulate

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_LARGE = 25.0  # expected stages beyond which a customer is drawn by his rate and dropout, not by inversion


def forecast(
    edges: Array,
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    k: Integers,
    *,
    modified: bool = False,
) -> tuple[Array, Array]:
    """Return expected purchases in each window and the probability of being alive at each edge, given the counts.

    Parameters
    ----------
    edges : array, shape (draws, windows + 1)
        Times after T, rising, the first 0.
    frequency, recency, T : array, shape (rows,)
        Counts; times in the unit of `edges`.
    r, alpha, a, b, k : array, shape (draws,)
        Parameters.
    modified : bool
        MBG: a customer may leave at his first purchase too.

    Returns
    -------
    purchases : array, shape (windows, draws, rows)
    alive : array, shape (windows + 1, draws, rows)
        The first edge is T.
    """
    windows = np.asarray(edges).shape[1] - 1
    each = np.eye(2 * windows + 1)
    found = forecast_sums(
        edges, each[:, :windows], each[:, windows:], frequency, recency, T, r, alpha, a, b, k, modified=modified
    )
    return found[:windows], found[windows:]


def forecast_sums(
    edges: Array,
    of_purchases: Array,
    of_alive: Array,
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    k: Integers,
    *,
    modified: bool = False,
) -> Array:
    """Return weighted sums, over windows and edges, of what `forecast` returns, without holding that.

    A row is a mixture of its stages, whose forecasts depend on frequency and age alone; so what is summed is that of
    each distinct frequency and age, and rows mix the sums.

    Parameters
    ----------
    edges, frequency, recency, T, r, alpha, a, b, k, modified
        As for `forecast`.
    of_purchases : array, shape (sums, windows)
        Weights of the expected purchases in each window.
    of_alive : array, shape (sums, windows + 1)
        Weights of the probability of being alive at each edge.

    Returns
    -------
    array, shape (sums, draws, rows)
    """
    edges, *weights = (np.ascontiguousarray(v, dtype=float) for v in (edges, of_purchases, of_alive))
    counts, draws = _prepared(frequency, recency, T), _parameters(r, alpha, a, b, k)
    pairs = piecewise.distinct_pairs(counts[0], np.ascontiguousarray(T, dtype=float))
    found = np.empty((len(weights[0]), len(edges), counts[0].size))
    _sum_forecast(found, edges, tuple(weights), counts, pairs, draws, modified)
    return found


def simulate_future(
    horizon: Array,
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    k: Integers,
    rng: np.random.Generator,
    *,
    modified: bool = False,
) -> Integers:
    """Draw purchases of each customer in the next `horizon`, given his counts: exact, one for each parameter draw.

    A living customer would complete M stages, negative binomial, and so make N = (M + j) // k purchases if he never
    left; he leaves at his G-th, ``P(G >= m) = E[(1 - p)^(m - 1)]``. He makes the smaller number, whose tail is the
    product of both tails. One uniform number is inverted for being alive, j and that number; where many stages are
    expected, ``lambda`` and ``p`` are drawn instead.

    Parameters
    ----------
    horizon : array, shape (draws,)
        Length of the window after T.
    frequency, recency, T : array, shape (rows,)
        Counts; times in the unit of `horizon`.
    r, alpha, a, b, k : array, shape (draws,)
        Parameters.
    rng : numpy Generator
        Source of randomness.
    modified : bool
        MBG: a customer may leave at his first purchase too.

    Returns
    -------
    int array, shape (draws, rows)
    """
    counts, draws = _prepared(frequency, recency, T), _parameters(r, alpha, a, b, k)
    result = np.empty((len(draws[0]), counts[0].size), dtype=np.int64)
    _simulate(result, np.ascontiguousarray(horizon, dtype=float), counts, draws, modified, rng)
    return result


def _prepared(frequency: Array, recency: Array, T: Array) -> tuple[Array, Array, Integers, Integers]:
    """Return frequency, the distinct times, and where among them each recency and T is."""
    x, t_x, age = (np.ascontiguousarray(v, dtype=float) for v in (frequency, recency, T))
    times, of_time = np.unique(np.r_[t_x, age], return_inverse=True)
    return x, times, of_time[: x.size].copy(), of_time[x.size :].copy()


def _parameters(r: Array, alpha: Array, a: Array, b: Array, k: Integers) -> tuple[Array, Array, Array, Array, Integers]:
    r, alpha, a, b = (np.ascontiguousarray(v, dtype=float) for v in (r, alpha, a, b))
    return r, alpha, a, b, np.ascontiguousarray(k, dtype=np.int64)


@numba.njit(cache=True)
def _living(
    out: Array,
    counts: tuple[Array, Array, Integers, Integers],
    r: float,
    alpha: float,
    a: float,
    b: float,
    k: int,
    modified: bool,
) -> None:  # pragma: no cover - compiled
    """Fill ``out`` (k, rows): the probability of being alive at T with j stages of the current gap completed."""
    frequency, times, of_recency, of_age = counts
    logs = np.log(alpha + times)
    chances = b if modified else b - 1.0
    log_odds = np.empty(int(frequency.max()) + 1 if frequency.size else 0)
    for x in range(log_odds.size):
        log_odds[x] = np.log(a / (chances + x)) if modified or x > 0 else -np.inf
    for i in range(frequency.size):
        x, age = frequency[i], times[of_age[i]]
        if i > 0 and x == frequency[i - 1] and of_age[i] == of_age[i - 1] and of_recency[i] == of_recency[i - 1]:
            for j in range(k):
                out[j, i] = out[j, i - 1]
            continue
        n = r + k * x
        total = np.exp(log_odds[int(x)] + n * (logs[of_age[i]] - logs[of_recency[i]]))
        out[0, i] = 1.0
        if k > 1:
            z = max(age - times[of_recency[i]], 0.0) / (alpha + age)
            for j in range(1, k):
                out[j, i] = out[j - 1, i] * (n + j - 1.0) / j * z
                total += out[j, i]
        for j in range(k):
            out[j, i] /= 1.0 + total


@numba.njit(cache=True)
def _sum_forecast(
    found: Array,
    edges: Array,
    weights: tuple[Array, Array],
    counts: tuple[Array, Array, Integers, Integers],
    pairs: tuple[Integers, Array, Array, Integers],
    draws: tuple[Array, Array, Array, Array, Integers],
    modified: bool,
) -> None:  # pragma: no cover - compiled
    """Fill the sums (sums, draws, rows); the pairs of one frequency lie between consecutive starts, ages rising."""
    starts, pair_x, pair_T, of_pair = pairs
    r, alpha, a, b, k = draws
    windows, rows = edges.shape[1] - 1, of_pair.size
    stages = k.max() if k.size else 1
    living = np.empty((stages, rows))
    sums = np.empty((stages, len(found), pair_x.size))
    between, at = np.empty(windows), np.empty(windows)
    for i in range(r.size):
        _living(living, counts, r[i], alpha[i], a[i], b[i], k[i], modified)
        for g in range(starts.size - 1):
            first, last = starts[g], starts[g + 1]
            chances = b[i] + pair_x[first] + (1.0 if modified else 0.0)
            top = edges[i, windows] / (alpha[i] + pair_T[first])
            for j in range(k[i]):
                ends, level, integral = tabulate(r[i] + k[i] * pair_x[first] + j, a[i], chances, k[i], j, top)
                for m in range(first, last):
                    piecewise.read(ends, level, integral, edges[i], alpha[i] + pair_T[m], between, at)
                    for f in range(len(found)):
                        sums[j, f, m] = _weigh(weights[0][f], weights[1][f], between, at)
        _mix(found[:, i], living[: k[i]], sums, of_pair)


@numba.njit(cache=True)
def _weigh(of_purchases: Array, of_alive: Array, between: Array, at: Array) -> float:  # pragma: no cover - compiled
    """Sum the purchases in, and survival to the end of, windows, of who is alive at T."""
    total = of_alive[0]
    for w in range(at.size):
        total += of_purchases[w] * between[w] + of_alive[w + 1] * at[w]
    return total


@numba.njit(cache=True)
def _mix(out: Array, living: Array, sums: Array, of_pair: Integers) -> None:  # pragma: no cover - compiled
    """Fill (sums, rows): those of the pairs (stages, sums, pairs) by each row's chances `living` (stages, rows)."""
    for f in range(len(out)):
        for q in range(of_pair.size):
            out[f, q] = living[0, q] * sums[0, f, of_pair[q]]
        for j in range(1, len(living)):
            for q in range(of_pair.size):
                out[f, q] += living[j, q] * sums[j, f, of_pair[q]]


@numba.njit(cache=True)
def _simulate(
    out: Integers,
    horizon: Array,
    counts: tuple[Array, Array, Integers, Integers],
    draws: tuple[Array, Array, Array, Array, Integers],
    modified: bool,
    rng: np.random.Generator,
) -> None:  # pragma: no cover - compiled
    frequency, times, _, of_age = counts
    weight = np.empty((draws[4].max() if draws[4].size else 1, frequency.size))
    for i in range(horizon.size):
        r, alpha, a, b, k = draws[0][i], draws[1][i], draws[2][i], draws[3][i], draws[4][i]
        _living(weight, counts, r, alpha, a, b, k, modified)
        ahead = horizon[i] / (alpha + times)
        log_ahead, share = np.log1p(ahead), horizon[i] / (alpha + times + horizon[i])
        of_n, of_time, none = -1.0, -1, 0.0  # alike customers follow one another: what they share is kept
        for q in range(frequency.size):
            u, j = rng.random(), 0
            while j < k and u >= weight[j, q]:
                u -= weight[j, q]
                j += 1
            if j == k:
                out[i, q] = 0
                continue
            n, y = r + k * frequency[q] + j, ahead[of_age[q]]
            chances = b + frequency[q] + (1.0 if modified else 0.0)
            if n * y > _LARGE:
                out[i, q] = _by_parts(n, a, chances, k, j, y, rng)
                continue
            if n != of_n or of_age[q] != of_time:
                of_n, of_time, none = n, of_age[q], np.exp(-n * log_ahead[of_age[q]])
            out[i, q] = _by_inversion(u, weight[j, q], n, a, chances, k, j, share[of_age[q]], none)


@numba.njit(cache=True)
def _by_inversion(
    u: float, weight: float, n: float, a: float, b: float, k: int, j: int, z: float, none: float
) -> int:  # pragma: no cover - compiled
    """Largest m with ``u < weight P(M >= m k - j) P(G >= m)``; z is ``y / (1 + y)``, `none` ``P(M = 0)``."""
    m, done, to_go, term, tail, stays = 0, 0, k - j, weight * none, weight, 1.0
    while True:
        for _ in range(to_go):
            if done > 0:
                term *= z * (n + done - 1.0) / done
            tail -= term
            done += 1
        if not (u < tail * stays and term > 1e-18):  # below which the tail is rounding error
            return m
        stays *= (b + m) / (a + b + m)
        m += 1
        to_go = k


@numba.njit(cache=True)
def _by_parts(
    n: float, a: float, b: float, k: int, j: int, y: float, rng: np.random.Generator
) -> int:  # pragma: no cover - compiled
    """Draw the smaller of (Poisson(lambda) + j) // k and Geometric(p)."""
    made = (rng.poisson(rng.standard_gamma(n) * y) + j) // k
    if made < 2:
        return made
    p = rng.beta(a, b)
    if p <= 0.0:
        return made
    # The purchase he leaves at, by inversion: compared before it is an integer, since it can be huge.
    until = np.ceil(-rng.standard_exponential() / np.log1p(-p)) if p < 1.0 else 1.0
    return made if until >= made else max(int(until), 1)
