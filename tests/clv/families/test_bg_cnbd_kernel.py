"""The likelihood of a count table and its gradient against the formulas in plain SciPy, and finite differences."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import special

from cvmlib.clv.families import bg_cnbd_kernel, bg_nbd

GROUPS = 3
SHAPES = {"one": np.array([1, 1, 1]), "two": np.array([2, 2, 2]), "mixed": np.array([1, 4, 3])}


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
    return np.exp(np.random.default_rng(seed).normal([[-0.5], [0.0], [-0.3], [1.0]], 0.6, (4, GROUPS)))


def of_customers(x, t_x, T, r, alpha, a, b, k, modified):
    """Reutterer, Platzer and Schroeder (2020), in logs, without the constant of the gaps."""
    s, z, y = r + k * x, (T - t_x) / (alpha + T), x + modified
    stages = np.arange(np.max(k))[:, None]
    terms = special.gammaln(s + stages) - special.gammaln(s) - special.gammaln(stages + 1) + special.xlogy(stages, z)
    alive = special.betaln(a, b + y) - s * np.log(alpha + T)
    alive += special.logsumexp(np.where(stages < k, terms, -np.inf), axis=0)
    left = special.betaln(a + 1, b + np.maximum(y, 1) - 1) - s * np.log(alpha + t_x)
    either = np.logaddexp(alive, np.where(y > 0, left, -np.inf))
    return either - special.betaln(a, b) + special.gammaln(s) - special.gammaln(r) + r * np.log(alpha)


def plain(table, parameters, k, modified) -> float:
    group, frequency, recency, T, customers = table
    each = (np.asarray(v)[group] for v in (*parameters, k))
    return float(customers @ of_customers(frequency, recency, T, *each, modified))


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
    "more than a block of rows": random_table(3, rows=3000),
    "frequent buyers": random_table(4, longest=1500),
    "a group without repeat buyers": without_repeats(random_table(5), 1),
    "the last group without repeat buyers": without_repeats(random_table(6), 2),
    "nobody repeats": without_repeats(without_repeats(without_repeats(random_table(7), 0), 1), 2),
}


@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("k", SHAPES)
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name, k, modified):
    table, parameters, k = CASES[name], random_parameters(1), SHAPES[k]
    value, gradient = bg_cnbd_kernel.evaluate(bg_cnbd_kernel.lay_out(*table), *parameters, k, modified=modified)
    assert value == pytest.approx(plain(table, parameters, k, modified), rel=1e-11)
    expected = differences(lambda v: plain(table, v, k, modified), parameters)
    assert gradient == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_one_stage_is_the_bg_nbd(name):
    table, parameters = CASES[name], random_parameters(2)
    group, frequency, recency, T, customers = table
    value, _ = bg_cnbd_kernel.evaluate(bg_cnbd_kernel.lay_out(*table), *parameters)
    each = bg_nbd.log_likelihood(frequency, recency, T, *(v[group] for v in parameters))
    assert value == pytest.approx(float(customers @ each), rel=1e-12)


@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("x, t_x, k", [(0, 0.0, 1), (0, 0.0, 3), (2, 0.7, 1), (2, 0.7, 3)])
def test_the_formula_is_the_model(x, t_x, k, modified):
    """Given his rate and his dropout probability a customer's likelihood is elementary; the formula is its mean."""
    T, r, alpha, a, b = 1.5, 0.8, 0.6, 1.3, 2.1
    u, weight = special.roots_genlaguerre(150, r - 1.0)
    rate, of_rate = (u / alpha)[:, None], (weight / weight.sum())[:, None]
    v, weight = special.roots_jacobi(20, b - 1.0, a - 1.0)
    p, of_p = (1.0 + v) / 2.0, weight / weight.sum()
    stay, silence = 1.0 - p, special.gammaincc(k, rate * (T - t_x))  # silence: the Erlang gap has not ended
    waits = rate ** (k * x) * np.exp(-rate * t_x)  # the gaps, without what does not depend on the rate
    if x + modified == 0:
        likelihood = silence
    else:
        likelihood = waits * stay ** (x - 1 + modified) * (stay * silence + p)
    density = float((of_rate * of_p * likelihood).sum())
    data = bg_cnbd_kernel.lay_out(np.array([0]), np.array([x]), np.array([t_x]), np.array([T]), np.array([1.0]))
    value, _ = bg_cnbd_kernel.evaluate(data, [r], [alpha], [a], [b], [k], modified=modified)
    assert np.exp(value) == pytest.approx(density, rel=1e-9)


def test_a_weighted_row_stands_for_equal_customers():
    group, frequency, recency, T, _ = random_table(8, rows=80)
    customers = np.random.default_rng(8).integers(1, 6, 80)
    each = [np.repeat(v, customers) for v in (group, frequency, recency, T)]
    parameters, k = random_parameters(8), SHAPES["mixed"]
    rows = bg_cnbd_kernel.lay_out(group, frequency, recency, T, customers.astype(float))
    value, gradient = bg_cnbd_kernel.evaluate(rows, *parameters, k)
    value_of_each, gradient_of_each = bg_cnbd_kernel.evaluate(
        bg_cnbd_kernel.lay_out(*each, np.ones(customers.sum())), *parameters, k
    )
    assert value == pytest.approx(value_of_each, rel=1e-12)
    assert gradient == pytest.approx(gradient_of_each, rel=1e-9)


def test_the_order_of_rows_does_not_matter_to_the_last_bit():
    table, parameters = random_table(10), random_parameters(10)
    shuffled = np.random.default_rng(10).permutation(len(table[0]))
    value, gradient = bg_cnbd_kernel.evaluate(bg_cnbd_kernel.lay_out(*table), *parameters)
    again, other = bg_cnbd_kernel.evaluate(bg_cnbd_kernel.lay_out(*(v[shuffled] for v in table)), *parameters)
    assert value == pytest.approx(again, rel=1e-14) and gradient == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize("modified", [False, True])
def test_extreme_parameters_stay_finite(modified):
    table, k = random_table(9, longest=1500), SHAPES["mixed"]
    data = bg_cnbd_kernel.lay_out(*table)
    for scale in (1e-4, 1e4):
        for row in range(4):
            parameters = random_parameters(9)
            parameters[row] *= scale
            value, gradient = bg_cnbd_kernel.evaluate(data, *parameters, k, modified=modified)
            assert np.isfinite(gradient).all()
            assert value == pytest.approx(plain(table, parameters, k, modified), rel=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_parameter_that_is_no_number_is_not_hidden(bad):
    data = bg_cnbd_kernel.lay_out(*random_table(11))
    for row in range(4):
        parameters = random_parameters(11)
        parameters[row, 1] = bad
        value, gradient = bg_cnbd_kernel.evaluate(data, *parameters)
        assert not np.isfinite(np.r_[value, gradient.ravel()]).all()


@pytest.mark.parametrize("mode", ["NUMBA", "FAST_COMPILE"])
def test_through_pytensor_with_mean_rate_instead_of_alpha(mode):
    table, parameters, k = CASES["a group without repeat buyers"], random_parameters(4), SHAPES["mixed"]
    shape, rate, a, b = (pt.dvector(v) for v in ("shape", "rate", "a", "b"))
    total = bg_cnbd_kernel.log_likelihood_of(
        bg_cnbd_kernel.lay_out(*table), shape, shape / rate, a, b, k, modified=True
    )
    gradients = pytensor.grad(3.0 * total, [shape, rate, a, b])
    with pytensor.config.change_flags(numba__fastmath=False):
        compute = pytensor.function([shape, rate, a, b], [total, *gradients], mode=mode)
    at = np.array([parameters[0], parameters[0] / parameters[1], *parameters[2:]])
    value, *found = compute(*at)

    def of(v):
        return plain(table, [v[0], v[0] / v[1], *v[2:]], k, True)

    assert value == pytest.approx(of(at), rel=1e-11)
    expected = 3 * differences(of, at)
    assert np.array(found) == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.abs(expected).max())
