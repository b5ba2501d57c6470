"""The likelihood of a count table and its gradient against the plain one, and against finite differences."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from cvmlib.clv.families import pareto_nbd, pareto_nbd_kernel

GROUPS = 3


def random_table(seed: int, rows: int = 400, *, longest: int = 60):
    """Group, frequency, recency, T and customers of random rows; ages shared by many, weights of one and more."""
    rng = np.random.default_rng(seed)
    group = np.r_[np.arange(GROUPS), rng.integers(0, GROUPS, rows - GROUPS)]
    T = rng.integers(1, 60, rows) / 30.0
    frequency = np.minimum(rng.geometric(0.3, rows) - 1, longest)
    frequency[rng.random(rows) < 0.02] = longest
    recency = np.where(frequency > 0, np.minimum(rng.integers(1, 60, rows) / 30.0, T), 0.0)
    customers = np.where(rng.random(rows) < 0.5, 1, rng.integers(2, 5000, rows)).astype(float)
    return group, frequency.astype(np.int64), recency, T, customers


def random_parameters(seed: int) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal([[-0.5], [0.0], [-0.3], [0.0]], 0.6, (4, GROUPS)))


def plain(table, parameters) -> float:
    group, frequency, recency, T, customers = table
    return float(customers @ pareto_nbd.log_likelihood(frequency, recency, T, *(v[group] for v in parameters)))


def kernel(table, parameters):
    return pareto_nbd_kernel.evaluator(pareto_nbd_kernel.lay_out(*table))(parameters)


def differences(of, parameters: np.ndarray) -> np.ndarray:
    """Central differences on the log scale, with Richardson's correction."""
    gradient = np.empty_like(parameters)
    for place in np.ndindex(parameters.shape):
        slopes = []
        for step in (1e-3, 5e-4):
            up, down = parameters.copy(), parameters.copy()
            up[place] *= np.exp(step)
            down[place] *= np.exp(-step)
            slopes.append((of(up) - of(down)) / (2 * step))
        gradient[place] = (4 * slopes[1] - slopes[0]) / 3 / parameters[place]
    return gradient


def without_repeats(table, group: int):
    """The same table, with no repeat buyer in one group."""
    of, frequency, recency, T, customers = table
    return of, np.where(of == group, 0, frequency), np.where(of == group, 0.0, recency), T, customers


CASES = {
    "several groups": random_table(1),
    "few rows": random_table(2, rows=60),
    "more than a batch of logarithms": random_table(3, rows=3000),
    "frequent buyers": random_table(4, longest=1500),
    "a group without repeat buyers": without_repeats(random_table(5), 1),
    "the last group without repeat buyers": without_repeats(random_table(6), 2),
    "nobody repeats": without_repeats(without_repeats(without_repeats(random_table(7), 0), 1), 2),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_value_and_gradient(name, seed):
    table, parameters = CASES[name], random_parameters(seed)
    value, gradient = kernel(table, parameters)
    assert value == pytest.approx(plain(table, parameters), rel=1e-12)
    expected = differences(lambda v: plain(table, v), parameters)
    assert gradient == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.abs(expected).max())


def test_a_weighted_row_stands_for_equal_customers():
    group, frequency, recency, T, _ = random_table(8, rows=80)
    customers = np.random.default_rng(8).integers(1, 6, 80)
    each = [np.repeat(v, customers) for v in (group, frequency, recency, T)]
    parameters = random_parameters(8)
    value, gradient = kernel((group, frequency, recency, T, customers.astype(float)), parameters)
    data = pareto_nbd_kernel.lay_out(*each, np.ones(customers.sum()))
    assert len(data.row_customers) == len(set(zip(*each, strict=True))) < 80
    value_of_each, gradient_of_each = kernel((*each, np.ones(customers.sum())), parameters)
    assert value == pytest.approx(value_of_each, rel=1e-12)
    assert gradient == pytest.approx(gradient_of_each, rel=1e-9)


def test_extreme_parameters_stay_finite():
    table = random_table(9, longest=1500)
    for scale in (1e-4, 1e4):
        for row in range(4):
            parameters = random_parameters(9)
            parameters[row] *= scale
            value, gradient = kernel(table, parameters)
            assert np.isfinite(gradient).all()
            assert value == pytest.approx(plain(table, parameters), rel=1e-10)


def test_parameters_that_overflowed_give_no_value():
    for wrong in (np.inf, 0.0, np.nan):
        for row in range(4):
            parameters = random_parameters(9)
            parameters[row, 1] = wrong
            assert not np.isfinite(kernel(CASES["few rows"], parameters)[0])


@pytest.mark.parametrize("name", ["several groups", "a group without repeat buyers"])
@pytest.mark.parametrize("mode", ["NUMBA", "FAST_COMPILE"])
def test_through_pytensor(name, mode):
    table, parameters = CASES[name], random_parameters(4)
    symbols = [pt.dvector(v) for v in pareto_nbd.PARAMETERS]
    total = pareto_nbd_kernel.log_likelihood_of(pareto_nbd_kernel.lay_out(*table), *symbols)
    gradients = pytensor.grad(3.0 * total, symbols)
    with pytensor.config.change_flags(numba__fastmath=False):
        compute = pytensor.function(symbols, [total, *gradients], mode=mode)
    value, *found = compute(*parameters)
    assert value == pytest.approx(plain(table, parameters), rel=1e-12)
    expected = differences(lambda v: 3 * plain(table, v), parameters)
    assert np.array(found) == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.abs(expected).max())


def test_gradient_through_a_transformation():
    """Mean rates instead of alpha and beta, as the model has them."""
    table, parameters = CASES["several groups"], random_parameters(5)
    data = pareto_nbd_kernel.lay_out(*table)
    symbols = shape, rate, dropout_shape, dropout_rate = [pt.dvector() for _ in range(4)]
    total = pareto_nbd_kernel.log_likelihood_of(data, shape, shape / rate, dropout_shape, dropout_shape / dropout_rate)
    with pytensor.config.change_flags(numba__fastmath=False):
        compute = pytensor.function(symbols, pytensor.grad(total, symbols), mode="NUMBA")
    r, alpha, s, beta = parameters
    at = np.array([r, r / alpha, s, s / beta])
    expected = differences(lambda v: plain(table, [v[0], v[0] / v[1], v[2], v[2] / v[3]]), at)
    assert np.array(compute(*at)) == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.abs(expected).max())
