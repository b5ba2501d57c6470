r"""Who gets which action: the most value under a budget, capacities of channels and contacts per customer.

Identical customers are one row with a count :math:`n_i`. With the value :math:`v_{ia}` of a contact, less its cost, and
what it uses of each limit, :math:`u_{ja}`,

.. math:: \max_x \sum_{ia} v_{ia} x_{ia}, \quad \sum_{ia} u_{ja} x_{ia} \le b_j, \quad \sum_a x_{ia} \le K n_i,
          \quad 0 \le x_{ia} \le n_i.

HiGHS solves the linear program, of a large problem on rows drawn evenly from all. Its dual prices :math:`\lambda_j`
give a bound for the whole problem, whatever they are (weak duality),

.. math:: L(\lambda) = \sum_j \lambda_j b_j + \sum_i n_i \sum_{a \in \mathrm{best}\,K} (v_{ia} - \lambda' u_a)^+,

and the whole numbers of contacts that are taken in the order of what is lost without them. The gap between both is
stated; while it is too large, cutting planes improve the prices.

References
----------
Fisher, M. L. (1981). The Lagrangian relaxation method for solving integer programming problems. Management Science 27.
Kelley, J. E. (1960). The cutting-plane method for solving convex programs. J. SIAM 8.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

LP_ROWS = 10_000
"""Rows up to which HiGHS sees all of them."""
TOLERANCE = 1e-3
CUTS = 60
WHOLE_ROWS, WHOLE_SECONDS = 2_000, 10.0
"""Rows up to which HiGHS looks for whole numbers where rounding loses too much, and the time it gets."""


@dataclass(frozen=True)
class Limits:
    """What contacts use up.

    Parameters
    ----------
    names : tuple of str
        Names of the limits.
    use : array, shape (limits, actions)
        What a contact of each action uses.
    most : array, shape (limits,)
        What there is.
    per_customer : int
        Contacts of a customer, at most.
    """

    names: tuple[str, ...]
    use: Array
    most: Array
    per_customer: int = 1


@dataclass(frozen=True)
class Assignment:
    """A solution.

    Parameters
    ----------
    contacts : int array, shape (rows, actions)
        Customers of each row that get each action.
    value : float
        What it is worth, less costs.
    bound : float
        No solution is worth more.
    prices : array, shape (limits,)
        What one more unit of each limit is worth.
    """

    contacts: Whole
    value: float
    bound: float
    prices: Array

    @property
    def gap(self) -> float:
        """What it may fall short of the best, as a share of the bound."""
        return max(self.bound - self.value, 0.0) / self.bound if self.bound > 0 else 0.0


def assign(value: Array, customers: Whole, limits: Limits, tolerance: float = TOLERANCE) -> Assignment:
    """Assign actions to customers.

    Parameters
    ----------
    value : array, shape (rows, actions)
        Value of a contact less its cost, in money; zero or less, or NaN, where there is to be none.
    customers : int array, shape (rows,)
        Customers of each row.
    limits : Limits
        What contacts use up.
    tolerance : float
        Gap that is small enough to stop at.

    Returns
    -------
    Assignment
    """
    value = np.ascontiguousarray(np.nan_to_num(value, nan=0.0), dtype=float)
    customers = np.asarray(customers, dtype=np.int64)
    chosen = np.flatnonzero((value > 0).any(axis=1) & (customers > 0))
    kept, count = value[chosen], customers[chosen]
    prices = _solve_prices(*_draw_rows(kept, count), limits)
    best = _complete(kept, count, limits, prices)
    if best.gap > tolerance:
        best = _cut_planes(kept, count, limits, best, tolerance)
    if best.gap > tolerance and len(kept) <= WHOLE_ROWS:
        best = _solve_whole(kept, count, limits, best, tolerance)
    contacts = np.zeros(value.shape, dtype=np.int64)
    contacts[chosen] = best.contacts
    return Assignment(contacts, best.value, best.bound, best.prices)


def bound_value(value: Array, customers: Whole, limits: Limits, prices: Array) -> tuple[float, Array]:
    """Upper bound at given prices, and what is left of each limit (a subgradient).

    Parameters
    ----------
    value, customers, limits
        As in `assign`, without NaN.
    prices : array, shape (limits,)
        Zero or more.
    """
    reduced = np.where(value > 0, value - prices @ limits.use, 0.0)
    total, used = _relax(reduced, customers, limits.use, limits.per_customer)
    return float(total + prices @ limits.most), limits.most - used


def _draw_rows(value: Array, customers: Whole) -> tuple[Array, Array]:
    """Rows for the linear program: all, or every so many in the order of their best value, standing for the others."""
    if len(value) <= LP_ROWS:
        return value, customers.astype(float)
    order = np.argsort(value.max(axis=1), kind="stable")
    share = np.cumsum(customers[order]) / customers.sum()
    place = np.minimum(np.searchsorted(share, (np.arange(LP_ROWS) + 0.5) / LP_ROWS), len(order) - 1)
    return value[order[place]], np.full(LP_ROWS, customers.sum() / LP_ROWS)


def _solve_prices(value: Array, customers: Array, limits: Limits) -> Array:
    """Dual prices of the linear program by HiGHS."""
    row, action = np.nonzero(value > 0)
    if not len(row) or not len(limits.most):
        return np.zeros(len(limits.most))
    constraints, most = _constrain(row, action, len(value), customers, limits)
    found = optimize.linprog(
        -value[row, action],
        A_ub=constraints,
        b_ub=most,
        bounds=np.column_stack([np.zeros(len(row)), customers[row]]),
        method="highs",
    )
    if found.status != 0:
        raise RuntimeError(f"HiGHS did not solve the linear program: {found.message}")
    return np.maximum(-found.ineqlin.marginals[: len(limits.most)], 0.0)


def _constrain(
    row: Whole, action: Whole, rows: int, customers: Array, limits: Limits
) -> tuple[sparse.csr_array, Array]:
    """Left and right sides of all constraints on the contacts (row, action): the limits, then those of the rows."""
    per_row = sparse.csr_array((np.ones(len(row)), (row, np.arange(len(row)))), shape=(rows, len(row)))
    sides = sparse.vstack([sparse.csr_array(limits.use[:, action]), per_row], format="csr")
    return sides, np.r_[limits.most, limits.per_customer * customers]


def _solve_whole(value: Array, customers: Whole, limits: Limits, best: Assignment, tolerance: float) -> Assignment:
    """Solution in whole numbers by branch and bound, where it is better than the best so far."""
    row, action = np.nonzero(value > 0)
    constraints, most = _constrain(row, action, len(value), customers, limits)
    found = optimize.milp(
        -value[row, action],
        integrality=np.ones(len(row)),
        bounds=optimize.Bounds(0.0, customers[row]),
        constraints=optimize.LinearConstraint(constraints, ub=most),
        options={"mip_rel_gap": tolerance, "time_limit": WHOLE_SECONDS},
    )
    if found.x is None or -found.fun <= best.value:
        return best
    contacts = np.zeros(value.shape, dtype=np.int64)
    contacts[row, action] = np.round(found.x).astype(np.int64)
    bound = min(best.bound, -float(found.mip_dual_bound))
    return Assignment(contacts, float((contacts * value).sum()), bound, best.prices)


def _complete(value: Array, customers: Whole, limits: Limits, prices: Array) -> Assignment:
    """Whole numbers of contacts in the order of what is lost without them, with the bound of the same prices."""
    reduced = value - prices @ limits.use
    ranked = -np.sort(-np.maximum(reduced, 0.0), axis=1)
    second = ranked[:, min(limits.per_customer, ranked.shape[1] - 1)] if ranked.shape[1] > limits.per_customer else 0.0
    order = np.argsort(second - ranked[:, 0], kind="stable")
    left = limits.most.astype(float).copy()
    contacts = np.zeros(value.shape, dtype=np.int64)
    _fill(value, reduced, customers, limits.use, limits.per_customer, order, left, contacts, True)
    _fill(value, reduced, customers, limits.use, limits.per_customer, np.argsort(-reduced.max(axis=1), kind="stable"),
          left, contacts, False)  # fmt: skip
    bound, _ = bound_value(value, customers, limits, prices)
    return Assignment(contacts, float((contacts * value).sum()), bound, prices)


def _cut_planes(value: Array, customers: Whole, limits: Limits, start: Assignment, tolerance: float) -> Assignment:
    """Lower the bound by cutting planes around the best prices so far, and complete the assignment again."""
    best, centre = start, start.prices
    width = np.maximum(centre, centre.max(initial=0.0) * 0.05) + 1e-9
    slopes, levels = [], []
    point = centre
    for _ in range(CUTS):
        bound, slope = bound_value(value, customers, limits, point)
        slopes.append(slope)
        levels.append(bound - slope @ point)
        if bound < best.bound:
            found = _complete(value, customers, limits, point)
            best = found if found.value >= best.value else Assignment(best.contacts, best.value, bound, point)
            centre, width = point, width * 0.7
        if best.gap <= tolerance:
            break
        count = len(centre)
        lower, upper = np.maximum(centre - 0.5 * width, 0.0), centre + 0.5 * width
        found = optimize.linprog(
            np.r_[np.zeros(count), 1.0],
            A_ub=np.column_stack([np.array(slopes), -np.ones(len(slopes))]),
            b_ub=-np.array(levels),
            bounds=[*zip(lower, upper, strict=True), (None, None)],
            method="highs",
        )
        if found.status != 0 or np.allclose(found.x[:-1], point, rtol=1e-9, atol=0):
            break
        point = found.x[:-1]
    return best


@numba.njit(cache=True)
def _relax(
    reduced: Array, customers: Whole, use: Array, most: int
) -> tuple[float, Array]:  # pragma: no cover - compiled
    """Sum of the best contacts of every row at reduced values, and what they use."""
    total, used = 0.0, np.zeros(use.shape[0])
    for i in range(reduced.shape[0]):
        taken = np.zeros(reduced.shape[1], np.bool_)
        for _ in range(most):
            best, place = 0.0, -1
            for a in range(reduced.shape[1]):
                if not taken[a] and reduced[i, a] > best:
                    best, place = reduced[i, a], a
            if place < 0:
                break
            taken[place] = True
            total += customers[i] * best
            for j in range(use.shape[0]):
                used[j] += customers[i] * use[j, place]
    return total, used


@numba.njit(cache=True)
def _fill(
    value: Array,
    reduced: Array,
    customers: Whole,
    use: Array,
    per_customer: int,
    order: Whole,
    left: Array,
    contacts: Whole,
    only_paying: bool,
) -> None:  # pragma: no cover - compiled
    """Give each row, in order, its best actions as far as the limits allow; only those worth their price at first."""
    for i in order:
        free = per_customer * customers[i] - contacts[i].sum()
        tried = np.zeros(value.shape[1], np.bool_)
        while free > 0:
            best, place = -np.inf, -1
            for a in range(value.shape[1]):
                if not tried[a] and value[i, a] > 0 and reduced[i, a] > best:
                    best, place = reduced[i, a], a
            if place < 0 or (only_paying and best <= 0):
                break
            tried[place] = True
            many = float(min(free, customers[i] - contacts[i, place]))
            for j in range(use.shape[0]):
                if use[j, place] > 0:
                    many = min(many, np.floor(left[j] / use[j, place] + 1e-9))
            number = int(max(many, 0.0))
            contacts[i, place] += number
            free -= number
            for j in range(use.shape[0]):
                left[j] -= number * use[j, place]
