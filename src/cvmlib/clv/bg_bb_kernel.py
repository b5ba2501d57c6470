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
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from cvmlib.clv.bg_bb import check_counts

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

    def arrays(self) -> list[npt.NDArray]:
        """Return the arrays in the order the kernel takes them."""
        return list(vars(self).values())


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


def value_and_gradient(
    alpha: Floats,
    beta: Floats,
    gamma: Floats,
    delta: Floats,
    bought: Floats,
    skipped: Floats,
    seen: Floats,
    chain_group: Integers,
    chain_frequency: Integers,
    chain_T: Integers,
    chain_first: Integers,
    row_recency: Integers,
    row_customers: Floats,
) -> tuple[Floats, Floats]:
    """Log-likelihood of all rows (shape ()) and its gradient by the parameters, shape (4, groups); for Numba."""
    groups, longest = seen.shape
    gradient = np.zeros((4, groups))
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
    return np.asarray(total), gradient


class BGBBLogLikelihood(Op):
    """PyTensor operation around `value_and_gradient`: inputs are the parameters, then `OpportunityData.arrays`."""

    __props__ = ()

    def make_node(self, *inputs: Variable) -> Apply:
        """Return the node: outputs are the log-likelihood and its gradient (4, groups)."""
        return Apply(self, [pt.as_tensor(v) for v in inputs], [pt.dscalar(), pt.dmatrix()])

    def perform(self, node: Apply, inputs: list, output_storage: list) -> None:
        """Evaluate (outside Numba mode)."""
        value, gradient = _compiled(*inputs)
        output_storage[0][0], output_storage[1][0] = np.asarray(value), gradient

    def infer_shape(self, node: Apply, shapes: list) -> list:
        """Shapes of both outputs."""
        return [(), (4, shapes[0][0])]

    def pullback(self, inputs: list, outputs: list, cotangents: list) -> list:
        """Gradient by the four parameters; the data are not differentiated."""
        from pytensor.gradient import disconnected_type

        return [cotangents[0] * outputs[1][i] for i in range(4)] + [disconnected_type() for _ in inputs[4:]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only the parameters are connected, and only to the log-likelihood."""
        return [[i < 4, False] for i in range(len(node.inputs))]


_compiled = numba.njit(value_and_gradient, cache=True)


@register_funcify_default_op_cache_key(BGBBLogLikelihood)
def _funcify(op: BGBBLogLikelihood, **kwargs: object) -> tuple:
    return numba_njit(value_and_gradient), 1


def log_likelihood_of(
    data: OpportunityData, alpha: Variable, beta: Variable, gamma: Variable, delta: Variable
) -> Variable:
    """Log-likelihood of the laid-out count table as a PyTensor scalar; parameters have shape (groups,)."""
    return BGBBLogLikelihood()(alpha, beta, gamma, delta, *(pt.as_tensor(v) for v in data.arrays()))[0]
