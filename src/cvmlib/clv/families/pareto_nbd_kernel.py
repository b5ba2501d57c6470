"""The Pareto/NBD log-likelihood of a count table and its gradient, in one pass.

The likelihood of a row takes its (frequency, recency) and its (frequency, T) apart (`families.pareto_nbd`), so the
dropout integral is needed once for each distinct pair of a frequency and an age, and those of one age follow from one
another by a recurrence. Logarithms are taken per distinct age; what is left per row is one exponential, and the
logarithms of the sums are taken of products of many rows at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
from pytensor.graph.basic import Variable

from cvmlib.clv.families import pareto_nbd_integral
from cvmlib.clv.families.pareto_nbd_integral import leaving_first_at_ages
from cvmlib.compiled import fused
from cvmlib.compiled.fused import Kernel, integer_part, number_part, pack

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where rows find what the dropout integral needs only once.

    ``age_*`` are the distinct (group, age) pairs met as T or as recency; the frequencies met at age k, rising, are
    ``pair_frequency[age_pairs[k] : age_pairs[k + 1]]``; ``row_*`` are the places of a row's two ages and two pairs.
    """

    age_group: Integers
    age: Floats
    age_pairs: Integers
    pair_frequency: Integers
    row_recency: Integers
    row_T: Integers
    row_recency_pair: Integers
    row_T_pair: Integers

    @classmethod
    def of(cls, group: Integers, frequency: Integers, recency: Floats, T: Floats) -> "Places":
        """Find the places of rows, in their order."""
        codes, ages = pd.MultiIndex.from_arrays([np.r_[group, group], np.r_[recency, T]]).factorize(sort=True)
        wide = np.int64(frequency.max() + 1)
        pairs, place = np.unique(codes * wide + np.r_[frequency, frequency], return_inverse=True)
        of_recency, of_T = np.split(codes.astype(np.int64), 2)
        recency_pair, T_pair = np.split(place.astype(np.int64), 2)
        return cls(
            age_group=ages.get_level_values(0).to_numpy(dtype=np.int64),
            age=ages.get_level_values(1).to_numpy(dtype=float),
            age_pairs=np.searchsorted(pairs, np.arange(len(ages) + 1) * wide).astype(np.int64),
            pair_frequency=(pairs % wide).astype(np.int64),
            row_recency=of_recency,
            row_T=of_T,
            row_recency_pair=recency_pair,
            row_T_pair=T_pair,
        )


@dataclass(frozen=True, kw_only=True)
class CountData(Places):
    """A count table laid out for the kernel; groups are codes from 0.

    ``survivors[g, j]`` is the number of customers of group g with frequency above j; ``age_customers`` and
    ``age_purchases`` are the customers and purchases whose recency is an age.
    """

    survivors: Floats
    group_customers: Floats
    age_customers: Floats
    age_purchases: Floats
    row_group: Integers
    row_frequency: Integers
    row_customers: Floats


def lay_out(group: Integers, frequency: Integers, recency: Floats, T: Floats, customers: Floats) -> CountData:
    """Arrange count rows for the kernel; equal rows become one.

    Parameters
    ----------
    group : int array, shape (rows,)
        Group codes 0 … groups - 1.
    frequency, recency, T : array, shape (rows,)
        Counts; times in the model's own (scaled) unit.
    customers : array, shape (rows,)
        Customers per row.
    """
    table = pd.DataFrame({"group": group, "x": frequency, "recency": recency, "T": T, "n": customers})
    table = table.groupby(["group", "x", "recency", "T"], as_index=False)["n"].sum()
    group, frequency = (table[name].to_numpy(dtype=np.int64) for name in ("group", "x"))
    customers = table["n"].to_numpy(dtype=float)
    groups, longest = int(group.max()) + 1, int(frequency.max())
    exact = np.zeros((groups, longest + 1))
    np.add.at(exact, (group, frequency), customers)
    places = Places.of(group, frequency, table["recency"].to_numpy(dtype=float), table["T"].to_numpy(dtype=float))
    return CountData(
        survivors=np.ascontiguousarray(exact[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]),
        group_customers=np.bincount(group, customers, groups),
        age_customers=np.bincount(places.row_recency, customers, len(places.age)),
        age_purchases=np.bincount(places.row_recency, customers * frequency, len(places.age)),
        row_group=group,
        row_frequency=frequency,
        row_customers=customers,
        **vars(places),
    )


_INNER = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@numba.njit(**_INNER)
def value_and_gradient(
    parameters: Floats, integers: Integers, numbers: Floats, gradient: Floats
) -> float:  # pragma: no cover - compiled
    """Log-likelihood of all rows; `gradient` is filled.

    Parameters
    ----------
    parameters, gradient : array, shape (4, groups)
        ``r``, ``alpha``, ``s``, ``beta``, and the gradient by them.
    integers, numbers : array
        Packed fields of `CountData`, in their order.
    """
    age_group, age = integer_part(integers, 0), number_part(integers, numbers, 1)
    age_pairs, pair_frequency = integer_part(integers, 2), integer_part(integers, 3)
    customers, purchases = number_part(integers, numbers, 10), number_part(integers, numbers, 11)
    total = _add_groups(parameters, integers, numbers, gradient)
    log_p, log_q = np.empty(age.size), np.empty(age.size)
    pulls = np.empty((2, age.size))  # derivatives of the total by log p and log q
    left, pull = np.empty((pair_frequency.size, 4)), np.zeros(pair_frequency.size)
    shapes, rates = np.empty((2, age.size)), np.empty((2, age.size))
    for k in range(age.size):
        r, alpha, s, beta = parameters[:, age_group[k]]
        shapes[0, k], shapes[1, k] = r, s
        rates[0, k], rates[1, k] = alpha + age[k], beta + age[k]
        log_p[k], log_q[k] = np.log(rates[0, k]), np.log(rates[1, k])
        pulls[0, k], pulls[1, k] = -r * customers[k] - purchases[k], -s * customers[k]
        total += pulls[0, k] * log_p[k] + pulls[1, k] * log_q[k]
        gradient[0, age_group[k]] -= customers[k] * log_p[k]
        gradient[2, age_group[k]] -= customers[k] * log_q[k]
    leaving_first_at_ages(shapes[0], shapes[1], rates[0], rates[1], age_pairs, pair_frequency, left)
    total += _add_rows(parameters, log_p, log_q, left, integers, numbers, gradient, pulls, pull)
    for k in range(age.size):
        g = age_group[k]
        for i in range(age_pairs[k], age_pairs[k + 1]):
            gradient[0, g] += pull[i] * left[i, 1]
            gradient[2, g] += pull[i] * left[i, 2]
            pulls[0, k] += pull[i] * left[i, 3]
            pulls[1, k] -= pull[i] * left[i, 3]
        gradient[1, g] += pulls[0, k] / rates[0, k]
        gradient[3, g] += pulls[1, k] / rates[1, k]
    return total


@numba.njit(**_INNER)
def _add_groups(
    parameters: Floats, integers: Integers, numbers: Floats, gradient: Floats
) -> float:  # pragma: no cover - compiled
    """Begin with the terms of ``Gamma(r + x) / Gamma(r) alpha^r beta^s``."""
    survivors, customers = number_part(integers, numbers, 8), number_part(integers, numbers, 9)
    longest, total = survivors.size // customers.size, 0.0
    for g in range(customers.size):
        r, alpha, s, beta = parameters[:, g]
        log_alpha, log_beta = np.log(alpha), np.log(beta)
        total += customers[g] * (r * log_alpha + s * log_beta)
        gradient[0, g], gradient[1, g] = customers[g] * log_alpha, customers[g] * r / alpha
        gradient[2, g], gradient[3, g] = customers[g] * log_beta, customers[g] * s / beta
        for j in range(longest):
            more = survivors[g * longest + j]
            if more > 0.0:
                total += more * np.log(r + j)
                gradient[0, g] += more / (r + j)
    return total


@numba.njit(**_INNER)
def _add_rows(
    parameters: Floats,
    log_p: Floats,
    log_q: Floats,
    left: Floats,
    integers: Integers,
    numbers: Floats,
    gradient: Floats,
    pulls: Floats,
    pull: Floats,
) -> float:  # pragma: no cover - compiled
    """Return the sum of ``log(g(t_x) + exp(-u) (1 - g(T)))``; add what it pulls at log p, at log q and at g."""
    recency, T = integer_part(integers, 4), integer_part(integers, 5)
    recency_pair, T_pair = integer_part(integers, 6), integer_part(integers, 7)
    group, frequency = integer_part(integers, 12), integer_part(integers, 13)
    customers = number_part(integers, numbers, 14)
    total, product = 0.0, 1.0
    for i in range(group.size):
        g, early, late, first, second = group[i], recency[i], T[i], recency_pair[i], T_pair[i]
        n, s = parameters[0, g] + frequency[i], parameters[2, g]
        gap_p, gap_q = log_p[late] - log_p[early], log_q[late] - log_q[early]
        waits = np.exp(-n * gap_p - s * gap_q)
        stays = waits * (1.0 - left[second, 0])
        either = left[first, 0] + stays
        if customers[i] == 1.0 and either > 1e-100:
            product *= either
            if product < 1e-200:
                total += np.log(product)
                product = 1.0
        else:
            total += customers[i] * np.log(either)
        share = customers[i] / either
        pull[first] += share
        pull[second] -= share * waits
        share *= stays
        gradient[0, g] -= share * gap_p
        gradient[2, g] -= share * gap_q
        pulls[0, early] += share * n
        pulls[0, late] -= share * n
        pulls[1, early] += share * s
        pulls[1, late] -= share * s
    return total + np.log(product)


_KERNEL = Kernel(value_and_gradient, (__file__, pareto_nbd_integral.__file__, fused.__file__))


def log_likelihood_of(data: CountData, r: Variable, alpha: Variable, s: Variable, beta: Variable) -> Variable:
    """Log-likelihood of the laid-out count table as a PyTensor scalar; parameters have shape (groups,)."""
    return _KERNEL.log_likelihood((r, alpha, s, beta), pack(list(vars(data).values())))


def evaluator(data: CountData) -> Callable[[Floats], tuple[float, Floats]]:
    """Return a function of the parameters, shape (4, groups), that gives the log-likelihood and its gradient."""
    packed = pack(list(vars(data).values()))
    return lambda parameters: _KERNEL.evaluate(parameters, *packed)
