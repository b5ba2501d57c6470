"""The elementary functions for compiled loops against mpmath, in units in the last place."""

import mpmath
import numba
import numpy as np
import pytest
from scipy import special

from cvmlib.clv.families import elementary

exp, log_ratio, log_gamma = elementary.exp, elementary.log_ratio, elementary.log_gamma


@numba.njit(error_model="numpy")
def exp_of(x):
    found = np.empty_like(x)
    for i in range(x.size):
        found[i] = exp(x[i])
    return found


@numba.njit(error_model="numpy")
def log_ratio_of(p, q):
    found = np.empty((3, p.size))
    for i in range(p.size):
        found[0, i], found[1, i], found[2, i] = log_ratio(p[i], q[i])
    return found


@numba.njit(error_model="numpy")
def log_gamma_of(x):
    found = np.empty((2, x.size))
    for i in range(x.size):
        found[0, i], found[1, i] = log_gamma(x[i])
    return found


def units_off(found: np.ndarray, exact: list) -> np.ndarray:
    """Distance from the exact value in units of the last place of the exact value."""
    pairs = zip(found, exact, strict=True)
    with mpmath.workdps(40):
        return np.array([float(abs(mpmath.mpf(f) - e) / np.spacing(abs(float(e)))) for f, e in pairs])


def test_exp():
    rng = np.random.default_rng(1)
    x = np.r_[rng.uniform(-708, 709, 2000), rng.normal(0, 1, 2000), rng.normal(0, 1e-9, 50), 0.0, -708.0, 709.0]
    with mpmath.workdps(40):
        exact = [mpmath.exp(mpmath.mpf(v)) for v in x]
    assert units_off(exp_of(x), exact).max() < 2


def test_exp_below_its_range_is_next_to_nothing():
    assert (exp_of(np.array([-708.5, -1e4, -1e300, -np.inf])) < 1e-307).all()
    assert np.isnan(exp_of(np.array([np.nan])))[0]


def test_log_ratio():
    rng = np.random.default_rng(2)
    p = np.exp(np.r_[rng.uniform(-200, 200, 1000), rng.normal(0, 1, 2000), rng.normal(0, 1e-3, 1000)])
    q = np.exp(np.r_[rng.uniform(-200, 200, 1000), rng.normal(0, 1, 2000), np.zeros(1000)])
    found = log_ratio_of(p, q)
    with mpmath.workdps(40):
        logs = [mpmath.log(mpmath.mpf(a) / mpmath.mpf(b)) for a, b in zip(p, q, strict=True)]
        inverse_p, inverse_q = [1 / mpmath.mpf(v) for v in p], [1 / mpmath.mpf(v) for v in q]
    assert units_off(found[0], logs).max() < 3.5
    assert units_off(found[1], inverse_p).max() < 3
    assert units_off(found[2], inverse_q).max() < 3


def test_log_ratio_of_equals_is_zero():
    values = np.exp(np.random.default_rng(3).normal(0, 20, 100))
    assert (log_ratio_of(values, values)[0] == 0).all()


@pytest.mark.parametrize("p, q", [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_log_ratio_outside_its_range_is_not_finite(p, q):
    assert not np.isfinite(log_ratio_of(np.array([p]), np.array([q]))).all()


def test_log_gamma():
    x = np.exp(np.random.default_rng(4).uniform(np.log(1e-12), np.log(1e12), 3000))
    value, slope = log_gamma_of(x)
    assert np.abs(value - special.gammaln(x)).max(where=x < 10, initial=0) < 1e-14
    assert value == pytest.approx(special.gammaln(x), rel=2e-15, abs=1e-14)
    assert slope == pytest.approx(special.digamma(x), rel=2e-15, abs=4e-15)
