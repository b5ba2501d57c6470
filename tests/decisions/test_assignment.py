"""Assignment: whole problems solved by an independent solver, bounds that hold, limits that are kept."""

import numpy as np
import pytest
from scipy import optimize

from cvmlib.decisions import assignment
from cvmlib.decisions.assignment import Limits, assign, bound_value


def problem(rows, actions, seed, per_customer=1, most_customers=6):
    rng = np.random.default_rng(seed)
    value = rng.lognormal(2, 1, rows)[:, None] * rng.normal(0.1, 0.15, (rows, actions)) - rng.uniform(0.1, 1, actions)
    value[rng.random(value.shape) < 0.2] = np.nan
    customers = rng.integers(1, most_customers, rows)
    cost = rng.uniform(0.2, 2.0, actions)
    channel = (np.arange(actions) % 2 == 0).astype(float)
    most = np.array([0.2 * customers.sum() * cost.mean(), np.floor(0.15 * customers.sum())])
    return value, customers, Limits(("budget", "channel"), np.vstack([cost, channel]), most, per_customer)


def best_value(value, customers, limits):
    """Optimum in whole numbers, written down densely and solved by branch and bound."""
    rows, actions = value.shape
    gain = np.where(np.nan_to_num(value) > 0, np.nan_to_num(value), -1e3).ravel()
    row_sums = np.kron(np.eye(rows), np.ones(actions))
    uses = np.tile(limits.use, rows)
    found = optimize.milp(
        -gain,
        integrality=np.ones(gain.size),
        bounds=optimize.Bounds(0, np.repeat(customers, actions)),
        constraints=[
            optimize.LinearConstraint(row_sums, ub=limits.per_customer * customers),
            optimize.LinearConstraint(uses, ub=limits.most),
        ],
    )
    return -found.fun


@pytest.mark.parametrize(("seed", "per_customer"), [(1, 1), (2, 1), (3, 2)])
def test_value_is_that_of_an_independent_solver_up_to_the_stated_gap(seed, per_customer):
    value, customers, limits = problem(40, 5, seed, per_customer)
    found, best = assign(value, customers, limits), best_value(value, customers, limits)
    assert found.value <= best + 1e-6 <= found.bound + 2e-6
    assert found.value >= best * (1 - found.gap) - 1e-6 and found.gap < 2e-3


@pytest.mark.parametrize("per_customer", [1, 3])
def test_limits_are_kept(per_customer):
    value, customers, limits = problem(500, 7, 4, per_customer)
    found = assign(value, customers, limits)
    assert (limits.use @ found.contacts.sum(axis=0) <= limits.most + 1e-6).all()
    assert (found.contacts.sum(axis=1) <= per_customer * customers).all()
    assert (found.contacts <= customers[:, None]).all() and (found.contacts >= 0).all()
    assert not found.contacts[~(np.nan_to_num(value) > 0)].any()
    assert found.value == pytest.approx((found.contacts * np.nan_to_num(value)).sum())


def test_bound_holds_at_any_prices():
    value, customers, limits = problem(30, 4, 5)
    best = best_value(value, customers, limits)
    for prices in np.random.default_rng(1).uniform(0, 3, (20, 2)):
        assert bound_value(np.nan_to_num(value), customers, limits, prices)[0] >= best - 1e-6


def test_prices_from_a_sample_of_the_rows_reach_the_tolerance(monkeypatch):
    value, customers, limits = problem(4000, 6, 6)
    whole = assign(value, customers, limits)
    monkeypatch.setattr(assignment, "LP_ROWS", 60)
    sampled = assign(value, customers, limits)
    assert sampled.gap <= assignment.TOLERANCE and sampled.value >= whole.value * (1 - 2e-3)


def test_identical_customers_in_one_row_are_worth_what_they_are_worth_apart():
    value, customers, limits = problem(60, 4, 7)
    together = assign(value, customers, limits)
    apart = assign(np.repeat(value, customers, axis=0), np.ones(customers.sum(), dtype=int), limits)
    assert together.value == pytest.approx(apart.value, rel=3e-3)


def test_nothing_that_pays_means_no_contact():
    found = assign(np.full((3, 2), -1.0), np.array([1, 2, 3]), Limits((), np.zeros((0, 2)), np.zeros(0)))
    assert found.value == found.bound == found.gap == 0 and not found.contacts.any()


def test_without_limits_everybody_gets_the_best():
    value = np.array([[1.0, 3.0], [2.0, -1.0]])
    found = assign(value, np.array([5, 7]), Limits((), np.zeros((0, 2)), np.zeros(0)))
    assert found.contacts.tolist() == [[0, 5], [7, 0]] and found.value == 29
