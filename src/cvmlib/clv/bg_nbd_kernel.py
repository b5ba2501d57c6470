"""The BG/NBD log-likelihood of a count table and its gradient, in one pass.

The likelihood is split by what each term depends on. Terms of the frequency alone need one sum per frequency and group
(the gamma and beta functions become running sums of logarithms over ``j < x``), terms of an age alone one logarithm
per distinct age and group. What is left per row with a repeat purchase is one exponential; the logarithms of
``1 + exp(u)`` are taken of products of many rows at once.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CountData:
    """A count table laid out for the kernel; arrays are contiguous, groups are codes from 0.

    ``survivors[g, j]`` is the number of customers of group g with frequency above j; ``age_*`` are the distinct
    (group, age) pairs met as T or as recency; ``row_*`` are the rows with a repeat purchase.
    """

    survivors: Floats
    group_customers: Floats
    age_group: Integers
    age: Floats
    age_customers: Floats
    age_purchases: Floats
    row_group: Integers
    row_frequency: Integers
    row_T: Integers
    row_recency: Integers
    row_customers: Floats

    def arrays(self) -> list[npt.NDArray]:
        """Return the arrays in the order the kernel takes them."""
        return list(vars(self).values())


def lay_out(group: Integers, frequency: Integers, recency: Floats, T: Floats, customers: Floats) -> CountData:
    """Arrange count rows for the kernel.

    Parameters
    ----------
    group : int array, shape (rows,)
        Group codes 0 … groups - 1.
    frequency, recency, T : array, shape (rows,)
        Counts; times in the model's own (scaled) unit.
    customers : array, shape (rows,)
        Customers per row.
    """
    groups, longest = int(group.max()) + 1, int(frequency.max())
    exact = np.zeros((groups, longest + 1))
    np.add.at(exact, (group, frequency), customers)
    survivors = np.ascontiguousarray(exact[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:])
    repeat = frequency > 0
    pairs = pd.MultiIndex.from_arrays([np.r_[group, group[repeat]], np.r_[T, recency[repeat]]])
    codes, ages = pairs.factorize(sort=True)
    n_ages = len(ages)
    of_T, of_recency = codes[: len(T)], codes[len(T) :]
    order = np.lexsort((of_recency, of_T[repeat], group[repeat]))
    return CountData(
        survivors=survivors,
        group_customers=np.bincount(group, customers, groups),
        age_group=ages.get_level_values(0).to_numpy(dtype=np.int64),
        age=ages.get_level_values(1).to_numpy(dtype=float),
        age_customers=np.bincount(of_T, customers, n_ages),
        age_purchases=np.bincount(of_T, customers * frequency, n_ages),
        row_group=group[repeat][order].astype(np.int64),
        row_frequency=frequency[repeat][order].astype(np.int64),
        row_T=of_T[repeat][order].astype(np.int64),
        row_recency=of_recency[order].astype(np.int64),
        row_customers=customers[repeat][order].astype(float),
    )


def value_and_gradient(
    r: Floats,
    alpha: Floats,
    a: Floats,
    b: Floats,
    survivors: Floats,
    group_customers: Floats,
    age_group: Integers,
    age: Floats,
    age_customers: Floats,
    age_purchases: Floats,
    row_group: Integers,
    row_frequency: Integers,
    row_T: Integers,
    row_recency: Integers,
    row_customers: Floats,
) -> tuple[Floats, Floats]:
    """Log-likelihood of all rows (shape ()) and its gradient by (r, alpha, a, b), shape (4, groups); for Numba."""
    groups, longest = survivors.shape
    gradient = np.zeros((4, groups))
    total = 0.0
    log_odds = np.empty((groups, longest + 1))  # log a - log(b + x - 1)
    for g in range(groups):
        n = group_customers[g]
        total += n * r[g] * np.log(alpha[g])
        gradient[0, g] += n * np.log(alpha[g])
        gradient[1, g] += n * r[g] / alpha[g]
        log_a = np.log(a[g])
        for j in range(longest):
            log_b = np.log(b[g] + j)
            log_odds[g, j + 1] = log_a - log_b
            s = survivors[g, j]
            if s > 0.0:
                total += s * (np.log(r[g] + j) + log_b - np.log(a[g] + b[g] + j))
                gradient[0, g] += s / (r[g] + j)
                gradient[2, g] -= s / (a[g] + b[g] + j)
                gradient[3, g] += s / (b[g] + j) - s / (a[g] + b[g] + j)
    log_age = np.empty(age.size)
    pull = np.empty(age.size)  # derivative of the total by log(alpha + age)
    for k in range(age.size):
        g = age_group[k]
        log_age[k] = np.log(alpha[g] + age[k])
        events = r[g] * age_customers[k] + age_purchases[k]
        total -= events * log_age[k]
        gradient[0, g] -= age_customers[k] * log_age[k]
        pull[k] = -events
    product, factors = 1.0, 0
    for i in range(row_group.size):
        g, x, n = row_group[i], row_frequency[i], row_customers[i]
        gap = log_age[row_T[i]] - log_age[row_recency[i]]
        shape = r[g] + x
        u = log_odds[g, x] + shape * gap
        e = np.exp(-abs(u))
        left = (1.0 if u > 0.0 else e) / (1.0 + e)
        if u > 0.0:
            total += n * u
        if n == 1.0:
            product *= 1.0 + e
            factors += 1
            if factors == 512:
                total += np.log(product)
                product, factors = 1.0, 0
        else:
            total += n * np.log1p(e)
        left *= n
        gradient[0, g] += left * gap
        gradient[2, g] += left / a[g]
        gradient[3, g] -= left / (b[g] + x - 1.0)
        pull[row_T[i]] += left * shape
        pull[row_recency[i]] -= left * shape
    total += np.log(product)
    for k in range(age.size):
        gradient[1, age_group[k]] += pull[k] / (alpha[age_group[k]] + age[k])
    return np.asarray(total), gradient


class BGNBDLogLikelihood(Op):
    """PyTensor operation around `value_and_gradient`: inputs r, alpha, a, b, then the arrays of `CountData`."""

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


@register_funcify_default_op_cache_key(BGNBDLogLikelihood)
def _funcify(op: BGNBDLogLikelihood, **kwargs: object) -> tuple:
    return numba_njit(value_and_gradient), 1


def log_likelihood_of(data: CountData, r: Variable, alpha: Variable, a: Variable, b: Variable) -> Variable:
    """Log-likelihood of the laid-out count table as a PyTensor scalar; parameters have shape (groups,)."""
    return BGNBDLogLikelihood()(r, alpha, a, b, *(pt.as_tensor(v) for v in data.arrays()))[0]
