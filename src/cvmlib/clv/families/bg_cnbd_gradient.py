"""Log-likelihood and gradient of a laid-out count table under BG/NBD, MBG/NBD, BG/CNBD-k and MBG/CNBD-k, compiled.

With ``s = r + k x``, ``w = b + x - 1`` (``b + x`` in the modified models) and ``y = x`` (``x + 1``), a customer has

``Gamma(s) / Gamma(r) * alpha^r * prod_{j < y - 1} (b + j) / prod_{j < y} (a + b + j) * (alpha + T)^-s * (w S + a / v)``

where ``v = ((alpha + t_x) / (alpha + T))^s`` and ``S = sum_{j < k} Gamma(s + j) / (Gamma(s) j!) z^j`` with
``z = (T - t_x) / (alpha + T)``; for y = 0 the last factor is S alone. What depends on the frequency alone, or on T
alone, is summed once per distinct value. What is left per row is an exponential and two logarithms.

The data come in blocks of `WIDTH` numbers. Loops over a block have no branch and add to `WIDTH` sums at once, so that
LLVM vectorises them; `fold` adds those up in an order of its own. Each step of a block is a loop of its own, which
leaves the processor independent work.
"""

import numba
import numpy as np
import numpy.typing as npt

from cvmlib.clv.families.blocks import WIDTH, fold
from cvmlib.clv.families.elementary import exp, log_ratio, multiply_add
from cvmlib.compiled.fused import integer_part, number_part

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_INNER = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_compile = numba.njit(**_INNER)


@_compile
def value_and_gradient(
    parameters: Floats, integers: Integers, numbers: Floats, gradient: Floats
) -> float:  # pragma: no cover - compiled
    """Log-likelihood of all rows; `gradient` is filled.

    Parameters
    ----------
    parameters, gradient : array, shape (4, groups)
        ``r``, ``alpha``, ``a``, ``b``, and the gradient by them.
    integers, numbers : array
        Packed fields of `bg_cnbd_kernel.CountData`, in their order.
    """
    k, modified = integer_part(integers, 0), integer_part(integers, 1)
    survivor_start, age_start = integer_part(integers, 2), integer_part(integers, 3)
    row_start = integer_part(integers, 4)
    customers, repeaters = number_part(integers, numbers, 5), number_part(integers, numbers, 6)
    survivors = number_part(integers, numbers, 7)
    age, age_customers = number_part(integers, numbers, 8), number_part(integers, numbers, 9)
    age_purchases, age_silent = number_part(integers, numbers, 10), number_part(integers, numbers, 11)
    row_frequency, row_recency = number_part(integers, numbers, 12), number_part(integers, numbers, 13)
    row_T, row_customers = number_part(integers, numbers, 14), number_part(integers, numbers, 15)
    slopes, never = np.zeros(4), np.zeros(WIDTH)
    total = 0.0
    for g in range(k.size):
        at, n = (parameters[0, g], parameters[1, g], parameters[2, g], parameters[3, g]), customers[g]
        r, alpha, _, _ = at
        slopes[0], slopes[1], slopes[2], slopes[3] = n * np.log(alpha), n * r / alpha, 0.0, 0.0
        total += n * r * np.log(alpha)
        first, last = survivor_start[g] * WIDTH, survivor_start[g + 1] * WIDTH
        total += _add_frequencies(at, k[g], modified[g], n, repeaters[g], survivors[first:last], slopes)
        first, last = age_start[g] * WIDTH, age_start[g + 1] * WIDTH
        T, silent = age[first:last], age_silent[first:last]
        total += _add_ages(at, k[g], T, age_customers[first:last], age_purchases[first:last], slopes)
        if modified[g] or k[g] > 1:
            total += _add_rows(at, k[g], modified[g], float(modified[g]), never, never, T, silent, slopes)
        first, last = row_start[g] * WIDTH, row_start[g + 1] * WIDTH
        x, t_x = row_frequency[first:last], row_recency[first:last]
        T, buyers = row_T[first:last], row_customers[first:last]
        total += _add_rows(at, k[g], modified[g], 1.0, x, t_x, T, buyers, slopes)
        for i in range(4):
            gradient[i, g] = slopes[i]
    return total


@_compile
def _add_frequencies(
    at: tuple, k: int, modified: int, customers: float, repeaters: float, survivors: Floats, slopes: Floats
) -> float:  # pragma: no cover - compiled
    """Add the gamma and beta functions, as products over j < x."""
    r, _, a, b = at
    entered = customers if modified else repeaters
    total = -entered * np.log(a + b)
    slopes[2] -= entered / (a + b)
    slopes[3] -= entered / (a + b)
    if modified:
        total += repeaters * np.log(b / (a + b + 1.0))
        slopes[2] -= repeaters / (a + b + 1.0)
        slopes[3] += repeaters / b - repeaters / (a + b + 1.0)
    for i in range(k):
        total += repeaters * np.log(r + i)
        slopes[0] += repeaters / (r + i)
    sums = np.zeros((4, WIDTH))
    for start in range(0, survivors.size, WIDTH):
        above = survivors[start : start + WIDTH]
        for i in range(k):
            for j in range(WIDTH):
                log, inverse, _ = log_ratio(r + (k * (start + j + 1) + i), 1.0)
                sums[0, j] += above[j] * log
                sums[1, j] += above[j] * inverse
        for j in range(WIDTH):
            c = b + (start + j + modified)
            log, inverse, inverse_sum = log_ratio(c, a + c + 1.0)
            sums[0, j] += above[j] * log
            sums[2, j] += above[j] * inverse_sum
            sums[3, j] += above[j] * inverse
    fold(sums)
    slopes[0] += sums[1, 0]
    slopes[2] -= sums[2, 0]
    slopes[3] += sums[3, 0] - sums[2, 0]
    return total + sums[0, 0]


@_compile
def _add_ages(
    at: tuple, k: int, age: Floats, customers: Floats, purchases: Floats, slopes: Floats
) -> float:  # pragma: no cover - compiled
    """Add ``(alpha + T)^-s``."""
    r, alpha, _, _ = at
    sums = np.zeros((3, WIDTH))
    for start in range(0, age.size, WIDTH):
        T, n, bought = age[start : start + WIDTH], customers[start : start + WIDTH], purchases[start : start + WIDTH]
        for i in range(WIDTH):
            log, inverse, _ = log_ratio(alpha + T[i], 1.0)
            events = r * n[i] + k * bought[i]
            sums[0, i] += events * log
            sums[1, i] += n[i] * log
            sums[2, i] += events * inverse
    fold(sums)
    slopes[0] -= sums[1, 0]
    slopes[1] -= sums[2, 0]
    return -sums[0, 0]


@_compile
def _add_rows(
    at: tuple,
    k: int,
    modified: int,
    may_leave: float,
    x: Floats,
    t_x: Floats,
    T: Floats,
    customers: Floats,
    slopes: Floats,
) -> float:  # pragma: no cover - compiled
    """Add ``w S + a / v``, or S alone where nobody may have left; x and t_x may be one block for all of T."""
    r, alpha, a, b = at
    below = b - 1.0 + modified if may_leave > 0.0 else 1.0
    work = np.zeros((16, WIDTH))
    shape, gap, pull, inverse, z, v, erlang, by_shape, by_z = (
        work[0],
        work[1],
        work[2],
        work[3],
        work[4],
        work[5],
        work[6],
        work[7],
        work[8],
    )
    erlang[:] = 1.0
    for start in range(0, T.size, WIDTH):
        at_x = start if x.size > WIDTH else 0
        frequency, recency = x[at_x : at_x + WIDTH], t_x[at_x : at_x + WIDTH]
        age, n = T[start : start + WIDTH], customers[start : start + WIDTH]
        for i in range(WIDTH):
            log, inverse[i], inverse_recency = log_ratio(alpha + age[i], alpha + recency[i])
            shape[i] = r + k * frequency[i]
            z[i] = (age[i] - recency[i]) * inverse[i]
            gap[i] = log * may_leave
            pull[i] = z[i] * inverse_recency * shape[i]
        for i in range(WIDTH):
            v[i] = exp(-shape[i] * gap[i])
        if k > 1:
            _sum_erlang(k, shape, z, erlang, by_shape, by_z, work[9], work[10])
        for i in range(WIDTH):
            w = (below + frequency[i]) * v[i]
            log, odds, _ = log_ratio(multiply_add(w, erlang[i], a * may_leave), 1.0)
            weight = n[i] * odds
            left, alive = a * may_leave * weight, w * weight
            work[11, i] += n[i] * multiply_add(shape[i], gap[i], log)
            work[12, i] += left * gap[i] + alive * by_shape[i]
            work[13, i] += left * pull[i] + alive * by_z[i] * inverse[i]
            work[14, i] += weight
            work[15, i] += weight * v[i] * erlang[i]
    sums = work[11:]
    fold(sums)
    slopes[0] += sums[1, 0]
    slopes[1] -= sums[2, 0]
    slopes[2] += sums[3, 0] * may_leave
    slopes[3] += sums[4, 0] * may_leave
    return sums[0, 0]


@_compile
def _sum_erlang(
    k: int,
    shape: Floats,
    z: Floats,
    total: Floats,
    by_shape: Floats,
    by_z: Floats,
    term: Floats,
    harmonic: Floats,
) -> None:  # pragma: no cover - compiled
    """Of a block of rows: S and its derivatives by s and by log z."""
    total[:] = 1.0
    by_shape[:] = 0.0
    by_z[:] = 0.0
    term[:] = 1.0
    harmonic[:] = 0.0
    for j in range(1, k):
        for i in range(WIDTH):
            factor = shape[i] + (j - 1)
            harmonic[i] += 1.0 / factor
            term[i] *= factor * z[i] / j
            total[i] += term[i]
            by_shape[i] += term[i] * harmonic[i]
            by_z[i] += term[i] * j
