"""The Gamma-Gamma log-likelihood of customers' spend and its gradient, in one pass.

The gamma functions are needed once per frequency; what is left per row is the logarithm of ``gamma`` plus the
customer's total.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
from pytensor.graph.basic import Variable

from cvmlib.clv.families import blocks, elementary
from cvmlib.clv.families.blocks import WIDTH, Blocks, fold
from cvmlib.clv.families.elementary import log_gamma, log_ratio
from cvmlib.compiled import fused
from cvmlib.compiled.fused import Kernel, integer_part, number_part, pack

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SpendData:
    """Customers' spend laid out for the kernel, in blocks; those of group g are ``*_start[g]`` to ``*_start[g + 1]``.

    ``group_log_total`` is the sum of ``x log(total)`` over customers; ``pair_*`` are the distinct frequencies, and
    ``row_*`` the distinct frequencies and totals, each with their customers.
    """

    pair_start: Integers
    row_start: Integers
    group_customers: Floats
    group_log_total: Floats
    pair_frequency: Floats
    pair_customers: Floats
    row_frequency: Floats
    row_total: Floats
    row_customers: Floats


def lay_out(group: Integers, frequency: Floats, total: Floats, customers: Floats, groups: int) -> SpendData:
    """Arrange rows for the kernel.

    Parameters
    ----------
    group : int array, shape (rows,)
        Group codes 0 … groups - 1.
    frequency, total : array, shape (rows,)
        Repeat purchases (at least one) and their total value (above zero), in the model's own unit of money.
    customers : array, shape (rows,)
        Customers per row.
    groups : int
        How many groups there are; a group may have no row.
    """
    table = pd.DataFrame({"group": group, "x": frequency, "total": total, "n": customers}, dtype=float)
    table["group"] = table["group"].astype(np.int64)
    rows = table.groupby(["group", "x", "total"], as_index=False)["n"].sum()
    pairs = table.groupby(["group", "x"], as_index=False)["n"].sum()
    of_row, of_pair = Blocks.of(rows["group"].to_numpy(), groups), Blocks.of(pairs["group"].to_numpy(), groups)
    return SpendData(
        pair_start=of_pair.start,
        row_start=of_row.start,
        group_customers=np.bincount(table["group"], table["n"], groups),
        group_log_total=np.bincount(table["group"], table["n"] * table["x"] * np.log(table["total"]), groups),
        pair_frequency=of_pair.fill(pairs["x"], padding=1.0),
        pair_customers=of_pair.fill(pairs["n"]),
        row_frequency=of_row.fill(rows["x"], padding=1.0),
        row_total=of_row.fill(rows["total"], padding=1.0),
        row_customers=of_row.fill(rows["n"]),
    )


_INNER = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@numba.njit(**_INNER)
def value_and_gradient(
    parameters: Floats, integers: Integers, numbers: Floats, gradient: Floats
) -> float:  # pragma: no cover - compiled
    """Log-likelihood of all rows; `gradient` is filled.

    Parameters
    ----------
    parameters, gradient : array, shape (3, groups)
        ``p``, ``q``, ``gamma``, and the gradient by them.
    integers, numbers : array
        Packed fields of `SpendData`, in their order.
    """
    pair_start, row_start = integer_part(integers, 0), integer_part(integers, 1)
    customers, log_total = number_part(integers, numbers, 2), number_part(integers, numbers, 3)
    pair_frequency, pair_customers = number_part(integers, numbers, 4), number_part(integers, numbers, 5)
    row_frequency, row_total = number_part(integers, numbers, 6), number_part(integers, numbers, 7)
    row_customers = number_part(integers, numbers, 8)
    slopes, value = np.zeros(3), 0.0
    for g in range(customers.size):
        p, q, gamma = parameters[0, g], parameters[1, g], parameters[2, g]
        log_gamma_q, digamma_q = log_gamma(q)
        value += customers[g] * (q * np.log(gamma) - log_gamma_q) + p * log_total[g]
        slopes[0], slopes[1] = log_total[g], customers[g] * (np.log(gamma) - digamma_q)
        slopes[2] = customers[g] * q / gamma
        first, last = pair_start[g] * WIDTH, pair_start[g + 1] * WIDTH
        value += _add_pairs(p, q, pair_frequency[first:last], pair_customers[first:last], slopes)
        first, last = row_start[g] * WIDTH, row_start[g + 1] * WIDTH
        x, total, n = row_frequency[first:last], row_total[first:last], row_customers[first:last]
        value += _add_rows(p, q, gamma, x, total, n, slopes)
        for i in range(3):
            gradient[i, g] = slopes[i]
    return value


@numba.njit(**_INNER)
def _add_pairs(
    p: float, q: float, frequency: Floats, customers: Floats, slopes: Floats
) -> float:  # pragma: no cover - compiled
    """Add ``log(Gamma(p x + q) / Gamma(p x))``."""
    sums = np.zeros((3, WIDTH))
    for start in range(0, frequency.size, WIDTH):
        x, n = frequency[start : start + WIDTH], customers[start : start + WIDTH]
        for i in range(WIDTH):
            shape = p * x[i]
            above, above_slope = log_gamma(shape + q)
            below, below_slope = log_gamma(shape)
            sums[0, i] += n[i] * (above - below)
            sums[1, i] += n[i] * x[i] * (above_slope - below_slope)
            sums[2, i] += n[i] * above_slope
    fold(sums)
    slopes[0] += sums[1, 0]
    slopes[1] += sums[2, 0]
    return sums[0, 0]


@numba.njit(**_INNER)
def _add_rows(
    p: float, q: float, gamma: float, frequency: Floats, totals: Floats, customers: Floats, slopes: Floats
) -> float:  # pragma: no cover - compiled
    """Add ``-(p x + q) log(gamma + total)``."""
    sums = np.zeros((4, WIDTH))
    for start in range(0, frequency.size, WIDTH):
        x, total, n = frequency[start : start + WIDTH], totals[start : start + WIDTH], customers[start : start + WIDTH]
        for i in range(WIDTH):
            log, inverse, _ = log_ratio(gamma + total[i], 1.0)
            events = n[i] * (p * x[i] + q)
            sums[0, i] += events * log
            sums[1, i] += n[i] * x[i] * log
            sums[2, i] += n[i] * log
            sums[3, i] += events * inverse
    fold(sums)
    for i in range(3):
        slopes[i] -= sums[i + 1, 0]
    return -sums[0, 0]


_KERNEL = Kernel(value_and_gradient, (__file__, blocks.__file__, elementary.__file__, fused.__file__))


def log_likelihood_of(data: SpendData, p: Variable, q: Variable, gamma: Variable) -> Variable:
    """Log-likelihood of the laid-out spend as a PyTensor scalar, but for ``-sum(log(monetary_value))``.

    Parameters
    ----------
    data : SpendData
        Customers' spend.
    p, q, gamma : Variable, shape (groups,)
        Parameters.
    """
    return _KERNEL.log_likelihood((p, q, gamma), pack(list(vars(data).values())))


def evaluate(data: SpendData, p: Floats, q: Floats, gamma: Floats) -> tuple[float, Floats]:
    """Return the log-likelihood at these parameters and its gradient, of shape (3, groups); as `log_likelihood_of`."""
    return _KERNEL.evaluate(np.array([p, q, gamma], dtype=float), *pack(list(vars(data).values())))
