"""The likelihood of customers' spend and its gradient against the plain formula."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import special

from cvmlib.clv import gamma_gamma, gamma_gamma_kernel

GROUPS = 3


def random_rows(seed: int, rows: int = 500):
    """Group, frequency, total and customers; the middle group is empty, a row may be many customers."""
    rng = np.random.default_rng(seed)
    group = rng.choice([0, 2], rows)
    frequency = np.where(rng.random(rows) < 0.02, 900, rng.geometric(0.4, rows))
    mean = np.exp(rng.normal(0, 0.7, rows)).round(2) + 0.01
    customers = np.where(rng.random(rows) < 0.5, 1, rng.integers(2, 900, rows)).astype(float)
    return group, frequency, frequency * mean, customers


def random_parameters(seed: int) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal([[1.0], [1.2], [0.0]], 0.5, (3, GROUPS)))


def plain(rows, parameters) -> tuple[float, np.ndarray]:
    """Sum of the logs of equation 1a without the log of the mean, and its slopes."""
    group, x, total, n = rows
    p, q, gamma = (np.asarray(v)[group] for v in parameters)
    value = n @ (gamma_gamma.log_likelihood(x, total / x, p, q, gamma) + np.log(total / x))
    share, events = np.log(total / (gamma + total)), p * x + q
    slopes = (
        x * (special.digamma(events) - special.digamma(p * x) + share),
        special.digamma(events) - special.digamma(q) + np.log(gamma / (gamma + total)),
        q / gamma - events / (gamma + total),
    )
    return float(value), np.array([np.bincount(group, n * slope, GROUPS) for slope in slopes])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("size", [5, 500, 5000])
def test_value_and_gradient(size, seed):
    rows, parameters = random_rows(seed, size), random_parameters(seed)
    value, gradient = gamma_gamma_kernel.evaluate(gamma_gamma_kernel.lay_out(*rows, GROUPS), *parameters)
    expected, slopes = plain(rows, parameters)
    assert value == pytest.approx(expected, rel=1e-11)  # gamma functions of 1e5 cancel, in SciPy's sum as in ours
    assert gradient == pytest.approx(slopes, rel=1e-11, abs=1e-12 * np.abs(slopes).max())


def test_the_formula_s_slopes_are_the_ones_of_the_plain_likelihood():
    rows, parameters = random_rows(4), random_parameters(4)
    _, slopes = plain(rows, parameters)
    for place in np.ndindex(parameters.shape):
        up, down = parameters.copy(), parameters.copy()
        up[place] *= np.exp(1e-4)
        down[place] *= np.exp(-1e-4)
        slope = (plain(rows, up)[0] - plain(rows, down)[0]) / 2e-4 / parameters[place]
        assert slope == pytest.approx(slopes[place], rel=1e-6, abs=1e-7 * np.abs(slopes).max())


def test_extreme_parameters_stay_finite():
    rows = random_rows(5)
    data = gamma_gamma_kernel.lay_out(*rows, GROUPS)
    for scale in (1e-4, 1e4):
        for row in range(3):
            parameters = random_parameters(5)
            parameters[row] *= scale
            value, gradient = gamma_gamma_kernel.evaluate(data, *parameters)
            expected, slopes = plain(rows, parameters)
            assert value == pytest.approx(expected, rel=1e-10)
            assert gradient == pytest.approx(slopes, rel=1e-7, abs=1e-9 * np.abs(slopes).max())


def test_a_group_without_rows_adds_nothing():
    data = gamma_gamma_kernel.lay_out(*random_rows(6), GROUPS)
    parameters = random_parameters(6)
    value, gradient = gamma_gamma_kernel.evaluate(data, *parameters)
    parameters[:, 1] *= 7.0
    assert gamma_gamma_kernel.evaluate(data, *parameters)[0] == value and (gradient[:, 1] == 0).all()


def test_through_pytensor():
    rows, parameters = random_rows(7), random_parameters(7)
    symbols = [pt.dvector(v) for v in ("p", "q", "gamma")]
    total = gamma_gamma_kernel.log_likelihood_of(gamma_gamma_kernel.lay_out(*rows, GROUPS), *symbols)
    with pytensor.config.change_flags(numba__fastmath=False):
        compute = pytensor.function(symbols, [total, *pytensor.grad(total, symbols)], mode="NUMBA")
    value, *gradient = compute(*parameters)
    expected, slopes = plain(rows, parameters)
    assert value == pytest.approx(expected, rel=1e-12)
    assert np.array(gradient) == pytest.approx(slopes, rel=1e-11, abs=1e-12 * np.abs(slopes).max())
