"""Smooth functions of one variable as polynomials on panels: made once, read at many points in nanoseconds.

Survival and purchase rates ahead are mixtures of decaying exponentials ``E[exp(-u y)]``, analytic up to a distance of
the order of ``y + scale``: on panels that lengthen with y, interpolation at Chebyshev nodes keeps its relative error.
"""

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NODES = -np.cos(np.pi * (np.arange(12) + 0.5) / 12)
"""Chebyshev nodes of a panel on (-1, 1), rising."""
_INTERPOLATE = np.ascontiguousarray(np.linalg.inv(np.vander(NODES, increasing=True)).T)


def distinct_pairs(frequency: Array, T: Array) -> tuple[Integers, Array, Array, Integers]:
    """Return the distinct (frequency, T) of rows, by frequency and then by age.

    Returns
    -------
    starts : int array, shape (frequencies + 1,)
        Where the pairs of each distinct frequency begin; the last is the number of pairs.
    pair_x, pair_T : array, shape (pairs,)
    of_pair : int array, shape (rows,)
        The pair of each row.
    """
    order = np.lexsort((T, frequency))
    x, age = frequency[order], T[order]
    new_x = np.diff(x, prepend=-1.0) != 0
    new = new_x | (np.diff(age, prepend=-1.0) != 0)
    of_pair = np.empty(x.size, dtype=np.int64)
    of_pair[order] = np.cumsum(new) - 1
    return np.r_[np.flatnonzero(new_x[new]), new.sum()], x[new], age[new], of_pair


@numba.njit(cache=True)
def panel_ends(scale: float, shape: float, power: float, top: float) -> Array:  # pragma: no cover - compiled
    """Ends of panels that cover (0, top).

    A panel is at most half of ``scale + start`` long, and short enough that a function that falls no faster
    than ``exp(-y / scale)``, ``y^-power`` and ``(1 + y)^-shape`` loses no more than a factor of about ``exp(-4)``.
    """
    ends = [0.0, min(top, 0.5 * scale)]
    while ends[-1] < top:
        start = ends[-1]
        slowest = max(scale, start / power, (1.0 + start) / shape)
        ends.append(min(top, start + min(0.5 * (scale + start), 4.0 * slowest)))
    return np.array(ends)


@numba.njit(cache=True)
def node_values(ends: Array) -> Array:  # pragma: no cover - compiled
    """Rising values of the variable at the nodes of all panels, shape (panels * nodes,)."""
    values = np.empty((ends.size - 1, NODES.size))
    for p in range(ends.size - 1):
        for m in range(NODES.size):
            values[p, m] = ends[p] + 0.5 * (ends[p + 1] - ends[p]) * (1.0 + NODES[m])
    return values.ravel()


@numba.njit(cache=True)
def polynomials(values: Array) -> Array:  # pragma: no cover - compiled
    """Coefficients (panels, powers) from `values` at `node_values`; the variable of a panel is in (-1, 1)."""
    return values.reshape(-1, NODES.size) @ _INTERPOLATE


@numba.njit(cache=True)
def integrals(ends: Array, coefficients: Array) -> Array:  # pragma: no cover - compiled
    """Coefficients (panels, powers + 1) of the integral from 0 on."""
    count, powers = coefficients.shape
    result = np.empty((count, powers + 1))
    reached = 0.0
    for p in range(count):
        half = 0.5 * (ends[p + 1] - ends[p])
        at_start, whole = 0.0, 0.0
        for k in range(powers):
            c = half * coefficients[p, k] / (k + 1.0)
            result[p, k + 1] = c
            at_start += -c if k % 2 == 0 else c
            whole += 2.0 * c if k % 2 == 0 else 0.0
        result[p, 0] = reached - at_start
        reached += whole
    return result


@numba.njit(cache=True)
def read(
    ends: Array, level: Array, integral: Array, edges: Array, unit: float, between: Array, at: Array
) -> None:  # pragma: no cover - compiled
    """Read the increase of `integral` between, and `level` at, rising `edges`, of which the first is 0.

    A point of the tables is an edge divided by `unit`; `between` and `at` have one element for each edge after the
    first.
    """
    p, last = 0, ends.size - 2
    powers = level.shape[1]
    before = 0.0
    for w in range(edges.size - 1):
        y = edges[w + 1] / unit
        while y > ends[p + 1] and p < last:
            p += 1
        width = ends[p + 1] - ends[p]
        t = (2.0 * y - ends[p] - ends[p + 1]) / width if width > 0.0 else -1.0
        s, c = 0.0, integral[p, powers]
        for k in range(powers - 1, -1, -1):
            s = s * t + level[p, k]
            c = c * t + integral[p, k]
        between[w] = max(c - before, 0.0)
        at[w] = s
        before = c
