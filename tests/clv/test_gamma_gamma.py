"""Gamma-Gamma functions against quadrature, Bayes' rule by hand, and simulation."""

import numpy as np
import pytest
from scipy import integrate, stats

from cvmlib.clv import gamma_gamma

CDNOW = (6.25, 3.74, 15.44)


def mixed(x: int, z: float, p: float, q: float, gamma: float, power: int = 0) -> float:
    """Density of the mean spend times E[(p / nu)^power], by integrating over nu."""

    def integrand(nu):
        density = stats.gamma.pdf(z, p * x, scale=1 / (nu * x))
        return density * stats.gamma.pdf(nu, q, scale=1 / gamma) * (p / nu) ** power

    return integrate.quad(integrand, 0, 8, epsabs=0, limit=400)[0]


@pytest.mark.parametrize(("x", "z"), [(1, 12.0), (1, 300.0), (2, 22.35), (9, 40.0)])
def test_likelihood_mixes_the_individual_one(x, z):
    found = gamma_gamma.log_likelihood(np.array([x]), np.array([z]), *CDNOW)[0]
    assert np.exp(found) == pytest.approx(mixed(x, z, *CDNOW), rel=1e-7)


@pytest.mark.parametrize("x", [1, 4])
def test_likelihood_integrates_to_one(x):
    total, _ = integrate.quad(lambda z: np.exp(gamma_gamma.log_likelihood(x, z, *CDNOW)), 0, np.inf, limit=400)
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("x", "z"), [(1, 12.0), (2, 22.35), (9, 40.0)])
def test_expected_spend_is_the_posterior_mean(x, z):
    expected = mixed(x, z, *CDNOW, power=1) / mixed(x, z, *CDNOW)
    assert gamma_gamma.expected_spend(np.array([x]), np.array([z]), *CDNOW)[0] == pytest.approx(expected, rel=1e-6)


def test_expected_spend_without_repeats_is_the_mean_of_all():
    p, q, gamma = CDNOW
    assert gamma_gamma.expected_spend(np.zeros(1), np.zeros(1), *CDNOW)[0] == pytest.approx(p * gamma / (q - 1))
    # Published (note 025): the population's mean is about 35.2.
    assert gamma_gamma.expected_spend(np.zeros(1), np.zeros(1), *CDNOW)[0] == pytest.approx(35.2, abs=0.05)


def test_expected_spend_nears_the_average_of_a_frequent_buyer():
    near = gamma_gamma.expected_spend(np.array([5000.0]), np.array([80.0]), *CDNOW)[0]
    assert near == pytest.approx(80.0, rel=1e-3)


def test_expected_spend_is_linear_in_the_average():
    x, z = np.array([0.0, 1.0, 9.0]), np.array([0.0, 12.0, 40.0])
    constant, factor = gamma_gamma.linear_spend(x, *CDNOW)
    assert constant + factor * z == pytest.approx(gamma_gamma.expected_spend(x, z, *CDNOW), rel=1e-14)
    p, q, gamma = CDNOW
    assert factor == pytest.approx(p * x / (p * x + q - 1))


def test_infinite_means_say_so():
    found = gamma_gamma.expected_spend(np.array([0.0, 1.0]), np.array([0.0, 10.0]), 2.0, 0.8, 5.0)
    assert np.isinf(found[0]) and found[1] == pytest.approx(2 * (5 + 10) / 1.8)


def test_simulated_total_given_the_history():
    rng = np.random.default_rng(4)
    purchases = np.tile([0, 1, 3, 3], (60_000, 1))
    x, z = np.array([2.0, 2.0, 2.0, 0.0]), np.array([60.0, 60.0, 60.0, 0.0])
    p, q, gamma = CDNOW
    scale = gamma_gamma.simulate_scale(purchases, x, np.full(60_000, p), np.full(60_000, q), rng)
    drawn = (gamma + x * z) * scale
    assert (drawn[:, 0] == 0).all()
    expected = np.array([0, 1, 3, 3]) * gamma_gamma.expected_spend(x, z, *CDNOW)
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(axis=0) - expected) <= 4 * error).all()
    # One purchase given nu is Gamma(p, nu), nu is Gamma(q + p x, gamma + x z): a scaled beta prime.
    shape = stats.betaprime(p, q + p * 2, scale=gamma + 2 * 60.0)
    assert stats.kstest(drawn[::20, 1], shape.cdf).pvalue > 0.001


def test_simulated_customers_recover_by_maximum_likelihood():
    rng = np.random.default_rng(12)
    frequency = rng.integers(0, 9, 12_000)
    spend = gamma_gamma.simulate_customers(frequency, *CDNOW, rng)
    assert (spend[frequency == 0] == 0).all() and (spend[frequency > 0] > 0).all()
    found = gamma_gamma.fit_maximum_likelihood(frequency, spend)
    assert found.parameters == pytest.approx(dict(zip(gamma_gamma.PARAMETERS, CDNOW, strict=True)), rel=0.1)
    kept = frequency > 0
    assert found.log_likelihood >= gamma_gamma.log_likelihood(frequency[kept], spend[kept], *CDNOW).sum()
    cents = gamma_gamma.fit_maximum_likelihood(frequency, 100 * spend)
    p, q, gamma = found.parameters.values()
    assert cents.parameters == pytest.approx({"p": p, "q": q, "gamma": 100 * gamma}, rel=1e-4)
    assert cents.log_likelihood == pytest.approx(found.log_likelihood - kept.sum() * np.log(100), abs=1e-4)


def test_weights_stand_for_customers():
    rng = np.random.default_rng(1)
    frequency = rng.integers(0, 5, 300)
    spend = gamma_gamma.simulate_customers(frequency, *CDNOW, rng)
    times = rng.integers(1, 4, 300)
    weighted = gamma_gamma.fit_maximum_likelihood(frequency, spend, times)
    repeated = gamma_gamma.fit_maximum_likelihood(np.repeat(frequency, times), np.repeat(spend, times))
    assert weighted.parameters == pytest.approx(repeated.parameters, rel=1e-4)
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, abs=1e-6)
