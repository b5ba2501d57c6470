"""The BG/BB log-likelihood of a count table and its gradient, in one pass.

What was seen up to the last purchase is a product over opportunities j of factors that depend on a count alone, so it
needs one sum per j and group, with how many customers have that factor. The silence after the last purchase follows
the recurrence ``rest(j) = leaves(j) + stays(j) * rest(j + 1)`` down from ``rest(n) = 1``, which does not depend on
the recency: rows of equal (group, frequency, T) are one chain and share one sweep, whatever their number. The gradient
is the same sweep backwards (the adjoint of the recurrence). The cost is that of the chains' lengths, n - t_x at most.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from pytensor.graph.basic import Variable

from cvmlib.clv.families.bg_bb import check_counts
from cvmlib.compiled import fused
from cvmlib.compiled.fused import Kernel, integer_part, number_part, pack

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OpportunityData:
    """A count table laid out for the kernel; arrays are contiguous, groups are codes from 0.

    ``bought``, ``skipped`` and ``seen`` of shape (groups, opportunities) hold how many customers have more than j
    purchases, more than j opportunities without one before the last purchase, and a last purchase after opportunity j.
    Rows of one chain follow one another, the latest recency first; chain c owns the rows from ``chain_first[c]`` to
    ``chain_first[c + 1]``. Rows with a purchase at their last opportunity are certain and left out.
    """

    bought: Floats
    skipped: Floats
    seen: Floats
    chain_group: Integers
    chain_frequency: Integers
    chain_T: Integers
    chain_first: Integers
    row_recency: Integers
    row_customers: Floats


def lay_out(group: Integers, frequency: Integers, recency: Floats, T: Floats, customers: Floats) -> OpportunityData:
    """Arrange count rows for the kernel.

    Parameters
    ----------
    group : int array, shape (rows,)
        Group codes 0 … groups - 1.
    frequency, recency, T : array, shape (rows,)
        Counts of opportunities.
    customers : array, shape (rows,)
        Customers per row.

    Raises
    ------
    ValueError
        Counts that are not whole or not possible, see `bg_bb.check_counts`.
    """
    x, t_x, n = check_counts(frequency, recency, T)
    groups, longest = int(group.max()) + 1, int(n.max())
    silent = np.flatnonzero(t_x < n)
    chain_first, order = find_chains(group[silent], x[silent], t_x[silent], n[silent])
    rows = silent[order]
    heads = rows[chain_first[:-1]]
    return OpportunityData(
        bought=_count_above(group, x, customers, (groups, longest)),
        skipped=_count_above(group, t_x - x, customers, (groups, longest)),
        seen=_count_above(group, t_x, customers, (groups, longest)),
        chain_group=np.asarray(group)[heads].astype(np.int64),
        chain_frequency=x[heads],
        chain_T=n[heads],
        chain_first=chain_first,
        row_recency=t_x[rows],
        row_customers=np.asarray(customers, dtype=float)[rows],
    )


def find_chains(group: Integers, x: Integers, t_x: Integers, n: Integers) -> tuple[Integers, Integers]:
    """Sort rows into chains of equal (group, frequency, T), the latest recency first.

    Returns
    -------
    chain_first : int array, shape (chains + 1,)
        Where each chain begins in the sorted rows, and their number.
    order : int array, shape (rows,)
        The rows, sorted.
    """
    order = np.lexsort((-t_x, x, n, group))
    keys = np.column_stack([group, x, n])[order]
    new = np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)] if len(keys) else np.zeros(0, dtype=bool)
    return np.r_[np.flatnonzero(new), len(keys)].astype(np.int64), order


def _count_above(group: Integers, count: Integers, customers: Floats, shape: tuple[int, int]) -> Floats:
    exact = np.zeros((shape[0], shape[1] + 1))
    np.add.at(exact, (group, count), customers)
    return np.ascontiguousarray(exact[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:])


@numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def value_and_gradient(
    parameters: Floats, integers: Integers, numbers: Floats, gradient: Floats
) -> float:  # pragma: no cover - compiled
    """Log-likelihood of all rows; `gradient` is filled. Arguments are those of `cvmlib.compiled.fused.Kernel`."""
    alpha, beta, gamma, delta = parameters
    groups = parameters.shape[1]
    bought = number_part(integers, numbers, 0).reshape(groups, -1)
    skipped = number_part(integers, numbers, 1).reshape(groups, -1)
    seen = number_part(integers, numbers, 2).reshape(groups, -1)
    chain_group, chain_frequency = integer_part(integers, 3), integer_part(integers, 4)
    chain_T, chain_first = integer_part(integers, 5), integer_part(integers, 6)
    row_recency, row_customers = integer_part(integers, 7), number_part(integers, numbers, 8)
    longest = seen.shape[1]
    gradient[:] = 0.0
    total = 0.0
    per_choice = np.empty((groups, longest))  # 1 / (alpha + beta + j)
    per_life = np.empty((groups, longest))  # 1 / (gamma + delta + j)
    for g in range(groups):
        for j in range(longest):
            per_choice[g, j] = 1.0 / (alpha[g] + beta[g] + j)
            per_life[g, j] = 1.0 / (gamma[g] + delta[g] + j)
            if bought[g, j] > 0.0:
                total += bought[g, j] * np.log(alpha[g] + j)
                gradient[0, g] += bought[g, j] / (alpha[g] + j)
            if skipped[g, j] > 0.0:
                total += skipped[g, j] * np.log(beta[g] + j)
                gradient[1, g] += skipped[g, j] / (beta[g] + j)
            s = seen[g, j]
            if s > 0.0:
                total += s * np.log((delta[g] + j) * per_choice[g, j] * per_life[g, j])
                gradient[0, g] -= s * per_choice[g, j]
                gradient[1, g] -= s * per_choice[g, j]
                gradient[2, g] -= s * per_life[g, j]
                gradient[3, g] += s * (1.0 / (delta[g] + j) - per_life[g, j])
    pull = np.zeros((groups, longest))  # derivative of the total by the probability of leaving after opportunity j
    rest = np.ones(longest + 1)
    for c in range(chain_group.size):
        g, x, n = chain_group[c], chain_frequency[c], chain_T[c]
        first, row = chain_first[c], chain_first[c + 1] - 1
        lowest = row_recency[row]
        rest[n] = 1.0
        for j in range(n - 1, lowest - 1, -1):
            silent = (beta[g] + (j - x)) * per_choice[g, j]
            rest[j] = (gamma[g] + silent * (delta[g] + j) * rest[j + 1]) * per_life[g, j]
        weight = 0.0  # derivative of the total by rest[j]
        for j in range(lowest, n):
            while row >= first and row_recency[row] == j:
                total += row_customers[row] * np.log(rest[j])
                weight += row_customers[row] / rest[j]
                row -= 1
            silent = (beta[g] + (j - x)) * per_choice[g, j]
            stays = (delta[g] + j) * per_life[g, j]
            pull[g, j] += weight * (1.0 - silent * rest[j + 1])
            by_silent = weight * stays * rest[j + 1] * per_choice[g, j]
            gradient[0, g] -= by_silent * silent
            gradient[1, g] += by_silent * (alpha[g] + x) * per_choice[g, j]
            weight *= silent * stays
    for g in range(groups):
        for j in range(longest):
            squared = per_life[g, j] * per_life[g, j]
            gradient[2, g] += pull[g, j] * (delta[g] + j) * squared
            gradient[3, g] -= pull[g, j] * gamma[g] * squared
    return total


_KERNEL = Kernel(value_and_gradient, (__file__, fused.__file__))


def log_likelihood_of(
    data: OpportunityData, alpha: Variable, beta: Variable, gamma: Variable, delta: Variable
) -> Variable:
    """Log-likelihood of the laid-out count table as a PyTensor scalar; parameters have shape (groups,)."""
    return _KERNEL.log_likelihood((alpha, beta, gamma, delta), pack(list(vars(data).values())))


def evaluate(data: OpportunityData, alpha: Floats, beta: Floats, gamma: Floats, delta: Floats) -> tuple[float, Floats]:
    """Return the log-likelihood at these parameters and its gradient, of shape (4, groups); as `log_likelihood_of`."""
    return _KERNEL.evaluate(np.array([alpha, beta, gamma, delta], dtype=float), *pack(list(vars(data).values())))
