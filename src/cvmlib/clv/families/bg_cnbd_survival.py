"""Survival and purchase rate of a living customer of the (M)BG/CNBD-k, laid down as polynomials (`families.piecewise`).

At ``y = s / (alpha + T)`` ahead they depend on his frequency and on the stages of the gap under way alone: sums over
the negative binomial number of stages completed by then, and 2F1 functions if k = 1.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from cvmlib.clv.families import piecewise
from cvmlib.clv.families.bg_nbd import mean_survival

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_STAGES = 50_000_000


@numba.njit(cache=True)
def tabulate(
    n: float, a: float, b: float, k: int, j: int, top: float
) -> tuple[Array, Array, Array]:  # pragma: no cover - compiled
    """Panels of (0, top), and on them survival and expected purchases since 0.

    ``lambda`` is Gamma(n, 1), ``p`` Beta(a, b), and j stages are completed at 0.
    """
    steepest = 2.0 + n if k > 1 else 1.0  # of stages, of which some end a gap, or of survival if each does
    if k == 1:
        for m in range(piecewise.NODES.size):  # the greatest ratio of consecutive Taylor coefficients at 0
            steepest = max(steepest, (n + 1.0 + m) * (a + m) / ((a + b + m) * (1.0 + m)))
    ends = piecewise.panel_ends(1.0 / steepest, n + 1.0, a, top)
    y = piecewise.node_values(ends)
    survival, rate = np.zeros(y.size), np.zeros(y.size)
    if k == 1:
        for m in range(y.size):
            survival[m] = mean_survival(n, a, a + b, y[m])
            rate[m] = n * mean_survival(n + 1.0, a, a + b, y[m])
    else:
        _over_stages(n, a, b, k, j, y, survival, rate)
    return ends, piecewise.polynomials(survival), piecewise.integrals(ends, piecewise.polynomials(rate))


@numba.njit(cache=True)
def _over_stages(
    n: float, a: float, b: float, k: int, j: int, y: Array, survival: Array, rate: Array
) -> None:  # pragma: no cover - compiled
    """Add survival and purchase rate at each of rising `y`: sums of positive terms over the stages M completed by then.

    ``P(M = m) = Gamma(n + m) / (Gamma(n) m!) y^m (1 + y)^-(n + m)``; after v purchases he is alive with probability
    ``E[(1 - p)^v]``; with M = m the next stage comes at the rate ``(n + m) / (1 + y)``. The sums of all y advance
    together: each begins at the stage below which next to nothing is left; those from `first` to `last` are under way.
    """
    z, starts, terms = y / (1.0 + y), _first_stages(n, y), np.zeros(y.size)
    first, last, done, passed = 0, 0, 0, 0
    bought, to_go, lives = 0, 0, 1.0
    while first < y.size and passed < _MOST_STAGES:
        passed += 1
        if first == last:
            done = starts[first]
            bought, to_go = (done + j) // k, k - (done + j) % k
            lives = np.exp(_log_rising(b, bought) - _log_rising(a + b, bought))
        if last < y.size and starts[last] <= done:
            log_choose = _log_rising(n, done) - _log_rising(1.0, done)
            while last < y.size and starts[last] <= done:
                log_power = done * np.log(z[last]) if done > 0 else 0.0
                terms[last] = np.exp(log_choose - n * np.log1p(y[last]) + log_power)
                last += 1
        to_go -= 1
        next_stage = (n + done) / (done + 1.0)
        done += 1
        # Slices, since loops from 0 are what the compiler vectorises.
        alive, bought_at, term, growth = survival[first:last], rate[first:last], terms[first:last], z[first:last]
        if to_go > 0:
            for m in range(term.size):
                alive[m] += term[m] * lives
                term[m] *= next_stage * growth[m]
            continue
        buying = lives * (n + done - 1.0)
        for m in range(term.size):
            alive[m] += term[m] * lives
            bought_at[m] += term[m] * buying
            term[m] *= next_stage * growth[m]
        # What is left is below a geometric series; a number that is not one ends the loop too.
        while first < last and not (
            next_stage * z[first] >= 1.0
            or terms[first] * buying > 1e-15 * (1.0 - next_stage * z[first]) * min(n * survival[first], rate[first])
        ):
            first += 1
        lives *= (b + bought) / (a + b + bought)
        bought += 1
        to_go = k
    rate /= 1.0 + y


@numba.njit(cache=True)
def _first_stages(n: float, y: Array) -> Integers:  # pragma: no cover - compiled
    """Numbers of stages below which there is next to nothing, for rising y: 12 standard deviations from the mean.

    Of the number itself, or of its rate, Gamma(n, 1), by the approximation of Wilson and Hilferty, and of the number
    given the rate: whichever is more.
    """
    starts = np.empty(y.size, dtype=np.int64)
    low_rate = n * max(1.0 - 1.0 / (9.0 * n) - 12.0 / (3.0 * np.sqrt(n)), 0.0) ** 3
    for m in range(y.size):
        whole = n * y[m] - 12.0 * np.sqrt(n * y[m] * (1.0 + y[m]))
        by_rate = low_rate * y[m] - 12.0 * np.sqrt(low_rate * y[m])
        starts[m] = max(0, int(max(whole, by_rate) - 12.0))
        if m > 0:
            starts[m] = max(starts[m], starts[m - 1])
    return starts


@numba.njit(cache=True)
def _log_rising(n: float, m: int) -> float:  # pragma: no cover - compiled
    """Logarithm of ``Gamma(n + m) / Gamma(n)``."""
    if m > 50:
        return math.lgamma(n + m) - math.lgamma(n)
    product = 0.0
    for i in range(m):
        product += np.log(n + i)
    return product
