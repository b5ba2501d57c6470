"""The one integral of the Pareto/NBD: how probable it is that a living customer leaves before he buys again.

A customer alive at age t with x repeat purchases has a purchase rate distributed Gamma(n, p) and a dropout rate
distributed Gamma(s, q), where ``n = r + x``, ``p = alpha + t`` and ``q = beta + t``. He leaves before his next purchase
with probability

    g = s / q * integral over v > 0 of (1 + v / p)^-n (1 + v / q)^-(s + 1) dv  =  s / (n + s) 2F1(1, n; n + s + 1; z),

``z = 1 - q / p``. The likelihood needs nothing else (see `families.pareto_nbd`). Three exact facts give it and its
derivatives without a sum that cancels:

* Gauss's continued fraction, after Pfaff's transformation where ``q < p``, has positive coefficients only; its error
  falls by ``(sqrt(1 + w) - 1) / (sqrt(1 + w) + 1)`` a step, or faster, where ``1 + w = max(p, q) / min(p, q)``.
* Where that ratio is large, the integral from t to t' is left to Gauss-Legendre panels in the logarithm of the smaller
  of p and q, and the fraction takes over at t', where the ratio has become moderate.
* ``(n + s) g_n = s + n z g_(n + 1)`` leads from one frequency to the next, stably so downwards while
  ``n |z| <= n + s`` and upwards otherwise.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(14)
_MODERATE = 300.0  # ratio of p and q up to which the continued fraction is the cheaper way
_WIDTH = 16  # fractions that are evaluated side by side

_INNER = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@numba.njit(cache=True, error_model="numpy")
def leaving_first(n: Array, s: Array, p: Array, q: Array, result: Array) -> None:  # pragma: no cover - compiled
    """``g`` and its derivatives by n and s, for any positive n, s, p, q; not a number for others.

    Parameters
    ----------
    n, s, p, q : array, shape (k,)
        Shapes of purchase and dropout rates, and their rates.
    result : array, shape (3, k)
        Filled with ``g`` and its derivatives by n and by s.
    """
    far, near = np.empty((7, _WIDTH)), np.empty((6, _WIDTH))
    for begin in range(0, n.size, _WIDTH):
        size = min(_WIDTH, n.size - begin)
        widest = 0.0
        for i in range(_WIDTH):
            j = begin + min(i, size - 1)
            _approach(n[j], s[j], p[j], q[j], far[:, i])
            widest = max(widest, _prepare(n[j], s[j], far[5, i], far[6, i], near[:, i]))
        for k in range(_count_pairs(widest) - 1, -1, -1):
            _step(float(k), near[0], near[1], near[2], near[3], near[4], near[5])
        for i in range(size):
            j = begin + i
            swapped, f = far[6, i] < far[5, i], near[3, i]
            c = n[j] + s[j]
            g = s[j] / (c * f) * (far[5, i] / far[6, i] if swapped else 1.0)
            by_n, by_s = (near[5, i], near[4, i]) if swapped else (near[4, i], near[5, i])
            by_n, by_s = -g * (1.0 / c + by_n / f), g * (n[j] / (s[j] * c) - by_s / f)
            log_p, log_q = far[3, i], far[4, i]
            weight = math.exp(-n[j] * log_p - s[j] * log_q)
            result[0, j] = far[0, i] + weight * g
            result[1, j] = far[1, i] + weight * (by_n - log_p * g)
            result[2, j] = far[2, i] + weight * (by_s - log_q * g)


@numba.njit(**_INNER)
def _prepare(n: float, s: float, p: float, q: float, near: Array) -> float:  # pragma: no cover - compiled
    """Begin a continued fraction; return its argument."""
    near[0], near[1] = (s + 1.0, n - 1.0) if q < p else (n, s)
    near[2] = (p - q) / q if q < p else (q - p) / p
    near[3] = 0.5 + 0.5 * math.sqrt(1.0 + near[2])  # the rest of it, if all its coefficients were 1/4
    near[4], near[5] = 0.0, 0.0
    return near[2]


@numba.njit(**_INNER)
def _count_pairs(w: float) -> int:  # pragma: no cover - compiled
    """How many pairs of coefficients make the error of a continued fraction with argument w less than 1e-16."""
    root = math.sqrt(1.0 + w)
    return int(19.0 / math.log((root + 1.0) / (root - 1.0))) + 1 if root > 1.0 else 0


@numba.njit(**_INNER)
def _step(
    k: float, first: Array, second: Array, w: Array, f: Array, by_first: Array, by_second: Array
) -> None:  # pragma: no cover - compiled
    """``f = 1 + odd w / (1 + even w / f)`` with coefficients 2k + 1 and 2k + 2, and its derivatives."""
    for i in range(_WIDTH):
        c = first[i] + second[i]
        place = c + 2.0 * k
        below = 1.0 / (place * (place + 1.0) * (place + 2.0))
        below_odd, below_even = (place + 2.0) * below, place * below
        odd, even = (first[i] + k) * (c + k) * below_odd, (k + 1.0) * (second[i] + k + 1.0) * below_even
        odd_second = (first[i] + k - odd * (2.0 * place + 1.0)) * below_odd
        odd_first = odd_second + (c + k) * below_odd
        even_first = -even * (2.0 * place + 3.0) * below_even
        even_second = even_first + (k + 1.0) * below_even
        turn = w[i] / (f[i] + even * w[i])
        by_first[i] = turn * (odd_first * f[i] + odd * turn * (even * by_first[i] - even_first * f[i]))
        by_second[i] = turn * (odd_second * f[i] + odd * turn * (even * by_second[i] - even_second * f[i]))
        f[i] = 1.0 + odd * f[i] * turn


@numba.njit(**_INNER)
def _approach(n: float, s: float, p: float, q: float, far: Array) -> None:  # pragma: no cover - compiled
    """Integrate until p and q are of similar size.

    `far` is filled with the integral so far and its derivatives by n and s, the logarithms of what p and q have grown
    by, and p and q.
    """
    g, g_n, g_s, log_p, log_q = 0.0, 0.0, 0.0, 0.0, 0.0
    if not (0.0 < min(n, s, p, q) and max(n, s, p, q) < math.inf):
        g, p, q = math.nan, 1.0, 1.0
    while max(p, q) > _MODERATE * min(p, q):
        weight = math.exp(-n * log_p - s * log_q)
        if weight < 1e-20 * g:
            p = q = max(p, q)
            break
        ratio = min(p, q) / max(p, q)
        on_small, on_large = (s, n) if q < p else (n - 1.0, s + 1.0)
        length = 2.0
        while length * (abs(on_small) + on_large * ratio * math.exp(length) / (1.0 + ratio * math.expm1(length))) > 8.0:
            length *= 0.5
        for i in range(_NODES.size):
            small = 0.5 * length * (1.0 + _NODES[i])
            large = math.log1p(ratio * math.expm1(small))
            to_p, to_q = (large, small) if q < p else (small, large)
            value = math.exp(-on_small * small - on_large * large) * s * (1.0 if q < p else ratio)
            value *= 0.5 * length * _WEIGHTS[i] * weight
            g += value
            g_n -= (log_p + to_p) * value
            g_s += (1.0 / s - log_q - to_q) * value
        grown = math.log1p(ratio * math.expm1(length))
        step = min(p, q) * math.expm1(length)
        log_p, log_q = (log_p + grown, log_q + length) if q < p else (log_p + length, log_q + grown)
        p, q = p + step, q + step
    far[0], far[1], far[2], far[3], far[4], far[5], far[6] = g, g_n, g_s, log_p, log_q, p, q


@numba.njit(cache=True, error_model="numpy")
def first_frequency(r: float, s: float, p: float, q: float, low: int, high: int) -> int:  # pragma: no cover - compiled
    """Where the recurrence over frequencies from `low` to `high` should start, to be stable: upwards from there on."""
    beyond = (q - p) / p - 1.0
    if beyond > 0.0 and s < (r + high) * beyond and 0.0 < r < math.inf:
        return max(low, int(math.ceil(s / beyond - r)))
    return high


@numba.njit(cache=True, error_model="numpy")
def spread_over_frequencies(
    r: float,
    s: float,
    p: float,
    q: float,
    start: int,
    at_start: Array,
    frequencies: Integers,
    result: Array,
) -> None:  # pragma: no cover - compiled
    """``g`` of customers of one age, for many frequencies, by recurrence.

    Parameters
    ----------
    r, s : float
        Shapes.
    p, q : float
        ``alpha + t`` and ``beta + t``.
    start : int
        What `first_frequency` returned for the lowest of the frequencies and one above the highest.
    at_start : array, shape (3,)
        What `leaving_first` returned for ``n = r + start``.
    frequencies : int array, shape (k,)
        Rising.
    result : array, shape (k, 4)
        Filled with ``g`` and its derivatives by r, by s and by log p; that by log q is the last with its sign changed.
    """
    z = (p - q) / p
    after = np.searchsorted(frequencies, start)
    g, g_n, g_s, x = at_start[0], at_start[1], at_start[2], start
    for i in range(after - 1, -1, -1):
        higher = g
        while x > frequencies[i]:
            x -= 1
            n = r + x
            turn, pull, higher = 1.0 / (n + s), n * z, g
            g = (s + pull * g) * turn
            g_n = (z * higher + pull * g_n - g) * turn
            g_s = (1.0 + pull * g_s - g) * turn
        result[i, 0], result[i, 1], result[i, 2], result[i, 3] = g, g_n, g_s, (r + x) * (g - higher)
    g, g_n, g_s, x = at_start[0], at_start[1], at_start[2], start
    for i in range(after, frequencies.size):
        while x <= frequencies[i]:
            if x == frequencies[i]:
                result[i, 0], result[i, 1], result[i, 2] = g, g_n, g_s
            n = r + x
            turn, lower = 1.0 / (n * z), g
            g = ((n + s) * lower - s) * turn
            g_n = ((n + s) * g_n + lower - z * g) * turn
            g_s = ((n + s) * g_s + lower - 1.0) * turn
            x += 1
        result[i, 3] = (r + frequencies[i]) * (result[i, 0] - g)


@numba.njit(cache=True, error_model="numpy")
def leaving_first_at_ages(
    r: Array,
    s: Array,
    p: Array,
    q: Array,
    age_pairs: Integers,
    pair_frequency: Integers,
    result: Array,
) -> None:  # pragma: no cover - compiled
    """``g`` of customers of many ages and frequencies.

    Parameters
    ----------
    r, s, p, q : array, shape (ages,)
        Shapes, ``alpha + t`` and ``beta + t`` of each age.
    age_pairs : int array, shape (ages + 1,)
        Where the frequencies of each age begin.
    pair_frequency : int array, shape (pairs,)
        Frequencies, rising within an age.
    result : array, shape (pairs, 4)
        Filled as by `spread_over_frequencies`.
    """
    start, n, at_start = np.empty(p.size, np.int64), np.empty(p.size), np.empty((3, p.size))
    for k in range(p.size):
        low, high = pair_frequency[age_pairs[k]], pair_frequency[age_pairs[k + 1] - 1] + 1
        start[k] = first_frequency(r[k], s[k], p[k], q[k], low, high)
        n[k] = r[k] + start[k]
    leaving_first(n, s, p, q, at_start)
    for k in range(p.size):
        here = slice(age_pairs[k], age_pairs[k + 1])
        spread_over_frequencies(r[k], s[k], p[k], q[k], start[k], at_start[:, k], pair_frequency[here], result[here])
