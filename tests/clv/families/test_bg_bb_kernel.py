"""The BG/BB likelihood of a count table and its gradient against the plain one, and against finite differences."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from cvmlib.clv.families import bg_bb, bg_bb_kernel

GROUPS = 3


def random_table(seed: int, rows: int = 300, *, longest: int = 30):
    """Group, frequency, recency, T and customers of random rows of up to `longest` opportunities."""
    rng = np.random.default_rng(seed)
    group = np.r_[np.arange(GROUPS), rng.integers(0, GROUPS, rows - GROUPS)]
    T = rng.integers(0, longest + 1, rows)
    T[0] = longest
    recency = np.where(rng.random(rows) < 0.3, 0, rng.integers(0, T + 1))
    frequency = np.where(recency > 0, rng.integers(1, np.maximum(recency, 1) + 1), 0)
    customers = np.where(rng.random(rows) < 0.5, 1, rng.integers(2, 5000, rows)).astype(float)
    return group, frequency, recency.astype(float), T.astype(float), customers


def random_parameters(seed: int) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal([[0.2], [-0.3], [-0.4], [1.0]], 0.6, (4, GROUPS)))


def plain(table, parameters) -> float:
    group, frequency, recency, T, customers = table
    return float(customers @ bg_bb.log_likelihood(frequency, recency, T, *(v[group] for v in parameters)))


def kernel(table, parameters):
    return bg_bb_kernel.evaluate(bg_bb_kernel.lay_out(*table), *parameters)


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


def changed(table, change):
    """The table with a change of (group, frequency, recency, T)."""
    group, frequency, recency, T, customers = table
    frequency, recency, T = change(group, frequency, recency, T)
    return group, frequency, recency, T, customers


def silence(group, frequency, recency, T):
    return frequency * 0, recency * 0, T


def silence_last(group, frequency, recency, T):
    return np.where(group == 2, 0, frequency), np.where(group == 2, 0.0, recency), T


def end_at_the_last_purchase(group, frequency, recency, T):
    return frequency, recency, recency


CASES = {
    "several groups": random_table(1),
    "few opportunities": random_table(2, longest=3),
    "many opportunities": random_table(3, rows=60, longest=1000),
    "nobody buys": changed(random_table(4), silence),
    "the last group never buys": changed(random_table(5), silence_last),
    "all certainly alive": changed(random_table(6), end_at_the_last_purchase),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_value_and_gradient(name, seed):
    table, parameters = CASES[name], random_parameters(seed)
    value, gradient = kernel(table, parameters)
    assert float(value) == pytest.approx(plain(table, parameters), rel=1e-12)
    expected = differences(lambda v: plain(table, v), parameters)
    assert gradient == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.abs(expected).max())


def test_a_weighted_row_stands_for_equal_customers():
    group, frequency, recency, T, _ = random_table(8, rows=80)
    customers = np.random.default_rng(8).integers(1, 6, 80)
    each = [np.repeat(v, customers) for v in (group, frequency, recency, T)]
    parameters = random_parameters(8)
    value, gradient = kernel((group, frequency, recency, T, customers.astype(float)), parameters)
    value_of_each, gradient_of_each = kernel((*each, np.ones(customers.sum())), parameters)
    assert float(value) == pytest.approx(float(value_of_each), rel=1e-12)
    assert gradient == pytest.approx(gradient_of_each, rel=1e-9)


def test_rows_of_one_frequency_and_age_share_a_chain():
    data = bg_bb_kernel.lay_out(*random_table(9, rows=2000, longest=6))
    assert len(data.chain_T) <= GROUPS * 6 * 7 / 2 and len(data.row_recency) > 1000
    assert data.chain_first[-1] == len(data.row_recency)


def test_extreme_parameters_stay_finite():
    table = random_table(10, rows=100, longest=400)
    for scale in (1e-6, 1e6):
        for row in range(4):
            parameters = random_parameters(9)
            parameters[row] *= scale
            value, gradient = kernel(table, parameters)
            assert np.isfinite(gradient).all()
            assert float(value) == pytest.approx(plain(table, parameters), rel=1e-11)
            expected = differences(lambda v: plain(table, v), parameters)
            assert parameters * gradient == pytest.approx(
                parameters * expected, rel=1e-5, abs=1e-7 * np.abs(parameters * expected).max()
            )


def test_days_are_refused():
    group, frequency, recency, T, customers = random_table(11)
    with pytest.raises(ValueError, match="whole number of opportunities.*Count opportunities"):
        bg_bb_kernel.lay_out(group, frequency, recency / 7, T / 7, customers)


@pytest.mark.parametrize("mode", ["NUMBA", "FAST_COMPILE"])
def test_through_pytensor(mode):
    """Mean and concentration instead of the published parameters, as the model has them."""
    table, parameters = CASES["several groups"], random_parameters(4)
    mean, size = pt.dvector("mean"), pt.dvector("size")
    gamma, delta = (pt.as_tensor(v) for v in parameters[2:])
    data = bg_bb_kernel.lay_out(*table)
    total = bg_bb_kernel.log_likelihood_of(data, mean * size, (1 - mean) * size, gamma, delta)
    with pytensor.config.change_flags(numba__fastmath=False):
        compute = pytensor.function([mean, size], [total, *pytensor.grad(3.0 * total, [mean, size])], mode=mode)
    at = np.array([parameters[0] / parameters[:2].sum(axis=0), parameters[:2].sum(axis=0)])
    value, *found = compute(*at)
    assert value == pytest.approx(plain(table, parameters), rel=1e-12)
    expected = differences(lambda v: 3 * plain(table, [v[0] * v[1], (1 - v[0]) * v[1], *parameters[2:]]), at)
    assert np.array(found) == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.abs(expected).max())
