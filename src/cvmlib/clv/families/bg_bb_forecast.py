"""What customers of a fitted BG/BB do next, for many draws of the parameters at once.

Times are opportunities. Where one is not whole, the opportunity under way falls on a uniformly random moment of its
period: expectations are linear between whole opportunities, and simulated customers meet it with that probability.
"""

import numba
import numpy as np
import numpy.typing as npt

from cvmlib.clv.families.bg_bb import check_counts
from cvmlib.clv.families.bg_bb_kernel import find_chains

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def forecast(
    edges: Array, frequency: Array, recency: Array, T: Array, alpha: Array, beta: Array, gamma: Array, delta: Array
) -> tuple[Array, Array]:
    """Return expected purchases in each window and the probability of being alive at each edge.

    Given that a customer is alive at T, p is Beta(alpha + x, beta + n - x) and theta is Beta(gamma, delta + n),
    independent (equation 13 of the paper, as the sum over opportunities it closes: no pole at gamma = 1).

    Parameters
    ----------
    edges : array, shape (draws, windows + 1)
        Opportunities after T, rising, the first 0; whole or not.
    frequency, recency, T : array, shape (rows,)
        Counts of opportunities.
    alpha, beta, gamma, delta : array, shape (draws,)
        Parameters.

    Returns
    -------
    purchases : array, shape (windows, draws, rows)
    alive : array, shape (windows + 1, draws, rows)

    Raises
    ------
    ValueError
        Counts that are not whole or not possible, see `bg_bb.check_counts`.
    """
    x, t_x, n = check_counts(frequency, recency, T)
    parameters = [np.ascontiguousarray(v, dtype=float) for v in (alpha, beta, gamma, delta)]
    alive = _alive_at_T(*find_chains(np.zeros_like(x), x, t_x, n), x, t_x, n, *parameters)
    lengths, of_row = np.unique(n, return_inverse=True)
    ahead = _survive(np.ascontiguousarray(edges, dtype=float), lengths, *parameters[2:])
    return _combine(*ahead, of_row.astype(np.int64), x, n, alive, *parameters[:2])


def simulate_future(
    horizon: Array,
    frequency: Array,
    recency: Array,
    T: Array,
    alpha: Array,
    beta: Array,
    gamma: Array,
    delta: Array,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Draw purchases within the next `horizon` opportunities, exactly, given the counts.

    Parameters
    ----------
    horizon : array, shape (draws,)
        Opportunities after T, whole or not.
    frequency, recency, T : array, shape (rows,)
        Counts of opportunities.
    alpha, beta, gamma, delta : array, shape (draws,)
        Parameters.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    int array, shape (draws, rows)
        One draw of each customer under each draw of the parameters.
    """
    x, t_x, n = check_counts(frequency, recency, T)
    parameters = [np.ascontiguousarray(v, dtype=float) for v in (alpha, beta, gamma, delta)]
    alive = _alive_at_T(*find_chains(np.zeros_like(x), x, t_x, n), x, t_x, n, *parameters)
    return _simulate(np.ascontiguousarray(horizon, dtype=float), alive, x, n, *parameters, rng)


@numba.njit(cache=True)
def _alive_at_T(
    chain_first: Integers,
    order: Integers,
    x: Integers,
    t_x: Integers,
    n: Integers,
    alpha: Array,
    beta: Array,
    gamma: Array,
    delta: Array,
) -> Array:  # pragma: no cover - compiled
    """Probability of being alive at T, shape (draws, rows); one sweep per chain of equal (x, n) and draw."""
    alive = np.empty((alpha.size, x.size))
    longest = n.max()
    per_choice, leaves = np.empty(longest), np.empty(longest)
    for d in range(alpha.size):
        for j in range(longest):
            leaves[j] = gamma[d] / (gamma[d] + delta[d] + j)
            per_choice[j] = (delta[d] + j) / (gamma[d] + delta[d] + j) / (alpha[d] + beta[d] + j)
        for c in range(chain_first.size - 1):
            head = order[chain_first[c]]
            rest, still, j = 1.0, 1.0, n[head]
            for i in range(chain_first[c], chain_first[c + 1]):
                row = order[i]
                while j > t_x[row]:
                    j -= 1
                    silent = (beta[d] + (j - x[head])) * per_choice[j]
                    rest = leaves[j] + silent * rest
                    still *= silent
                alive[d, row] = still / rest
    return alive


@numba.njit(cache=True)
def _survive(
    edges: Array, lengths: Integers, gamma: Array, delta: Array
) -> tuple[Array, Array]:  # pragma: no cover - compiled
    """Opportunities expected to be survived in each window, and survival to each edge, of who is alive at n.

    Shapes (windows, draws, lengths) and (windows + 1, draws, lengths), for each n of `lengths`.
    """
    draws, count = edges.shape
    windows, survival = np.empty((count - 1, draws, lengths.size)), np.empty((count, draws, lengths.size))
    for d in range(draws):
        for k in range(lengths.size):
            n = lengths[k]
            alive, passed, whole, before = 1.0, 0.0, 0, 0.0
            following = (delta[d] + n) / (gamma[d] + delta[d] + n)
            for m in range(count):
                while whole + 1 <= edges[d, m]:
                    whole += 1
                    alive = following
                    passed += alive
                    following = alive * (delta[d] + n + whole) / (gamma[d] + delta[d] + n + whole)
                part = edges[d, m] - whole
                now = passed + part * following
                survival[m, d, k] = alive + part * (following - alive)
                if m > 0:
                    windows[m - 1, d, k] = now - before
                before = now
    return windows, survival


@numba.njit(cache=True)
def _combine(
    windows: Array,
    survival: Array,
    of_row: Integers,
    x: Integers,
    n: Integers,
    alive: Array,
    alpha: Array,
    beta: Array,
) -> tuple[Array, Array]:  # pragma: no cover - compiled
    draws, rows = alive.shape
    purchases, surviving = np.empty((windows.shape[0], draws, rows)), np.empty((survival.shape[0], draws, rows))
    for d in range(draws):
        for m in range(survival.shape[0]):
            for i in range(rows):
                surviving[m, d, i] = alive[d, i] * survival[m, d, of_row[i]]
        for m in range(windows.shape[0]):
            for i in range(rows):
                mean = alive[d, i] * (alpha[d] + x[i]) / (alpha[d] + beta[d] + n[i])
                purchases[m, d, i] = mean * windows[m, d, of_row[i]]
    return purchases, surviving


@numba.njit(cache=True)
def _simulate(
    horizon: Array,
    alive: Array,
    x: Integers,
    n: Integers,
    alpha: Array,
    beta: Array,
    gamma: Array,
    delta: Array,
    rng: np.random.Generator,
) -> Integers:  # pragma: no cover - compiled
    draws, rows = alive.shape
    purchases = np.zeros((draws, rows), dtype=np.int64)
    for d in range(draws):
        whole = int(np.floor(horizon[d]))
        part = horizon[d] - whole
        for i in range(rows):
            if rng.random() >= alive[d, i]:
                continue
            offered = whole
            if part > 0.0 and rng.random() < part:
                offered += 1
            theta = rng.beta(gamma[d], delta[d] + n[i])
            if theta > 0.0:
                survived = np.log(1.0 - rng.random()) / np.log1p(-theta) if theta < 1.0 else 0.0
                if survived < offered:
                    offered = int(survived)
            if offered > 0:
                p = rng.beta(alpha[d] + x[i], beta[d] + (n[i] - x[i]))
                purchases[d, i] = rng.binomial(offered, p)
    return purchases
