"""The Laplace approximation of log intensities against sums, integrals and finite differences."""

import numpy as np
import pytest
from scipy import linalg, stats

from cvmlib.clv.laplace import find_mode, log_likelihood


def slow_path(bins: int, sd: float = 0.2, memory: float = 8.0) -> np.ndarray:
    """Covariance of an Ornstein-Uhlenbeck path around an uncertain level."""
    apart = np.abs(np.subtract.outer(np.arange(bins), np.arange(bins)))
    return sd**2 * np.exp(-apart / memory) + 0.3**2 + 1e-9 * np.eye(bins)


class TestLikelihood:
    def test_probabilities_add_up_to_one(self):
        y = np.arange(3000.0)
        for noise in (0.02, 0.3):
            value, _, _ = log_likelihood(np.full(3000, 0.3), y, np.full(3000, 60.0), noise)
            assert np.exp(value).sum() == pytest.approx(1.0, abs=1e-9)
            mean = np.exp(value) @ y
            assert mean == pytest.approx(60 * np.exp(0.3), rel=1e-6)
            variance = np.exp(value) @ (y - mean) ** 2
            assert variance == pytest.approx(mean + noise**2 * mean**2, rel=1e-6)

    def test_are_negative_binomial_and_without_noise_poisson(self):
        y, mean = np.arange(60.0), 20.0
        for noise, law in ((0.5, stats.nbinom(4.0, 4.0 / (4.0 + mean))), (1e-5, stats.poisson(mean))):
            value, _, _ = log_likelihood(np.full(60, np.log(2.0)), y, np.full(60, 10.0), noise)
            assert value == pytest.approx(law.logpmf(y), abs=1e-6)

    def test_derivatives_against_differences(self):
        latent = np.linspace(-2.0, 2.0, 41)
        y, expected = np.tile([0.0, 3.0, 40.0, 90.0], 11)[:41], np.full(41, 40.0)
        step = 1e-5
        for noise in (0.05, 0.4):
            _, slope, curvature = log_likelihood(latent, y, expected, noise)
            up, down = (log_likelihood(latent + s, y, expected, noise) for s in (step, -step))
            assert slope == pytest.approx((up[0] - down[0]) / (2 * step), rel=1e-5, abs=1e-6)
            assert -curvature == pytest.approx((up[1] - down[1]) / (2 * step), rel=1e-5, abs=1e-6)

    def test_bins_without_expectation_say_nothing(self):
        found = log_likelihood(np.array([0.3, 5.0]), np.array([0.0, 7.0]), np.zeros(2), 0.1)
        assert all((part == 0).all() for part in found)


class TestMode:
    @pytest.mark.parametrize("expected", [6.0, 40.0, 400.0])
    def test_against_integration_over_two_bins(self, expected):
        prior = np.array([[0.10, 0.06], [0.06, 0.09]])
        actual = np.array([1.3, 0.8]) * expected // 1
        mode = find_mode(actual, np.full(2, expected), 0.1, prior)
        line = np.linspace(-1.8, 1.8, 601)
        f = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
        log_density = stats.multivariate_normal(np.zeros(2), prior).logpdf(f)
        for i in range(2):
            one = np.full(len(f), actual[i])
            log_density += log_likelihood(f[:, i], one, np.full(len(f), expected), 0.1)[0]
        density = np.exp(log_density - log_density.max())
        evidence = np.log(density.sum() * (line[1] - line[0]) ** 2) + log_density.max()
        mean = density @ f / density.sum()
        covariance = np.cov(f.T, aweights=density, ddof=0)
        assert mode.evidence == pytest.approx(evidence, abs=0.05)
        sd = np.sqrt(np.diag(covariance))
        assert np.abs(mode.latent - mean).max() < 0.15 * sd.max()
        approximate = prior - prior @ mode.solve(prior, np.zeros((2, 2)))
        assert np.sqrt(np.diag(approximate)) == pytest.approx(sd, rel=0.05)

    def test_the_mode_is_stationary_wherever_the_search_begins(self):
        rng = np.random.default_rng(5)
        prior = slow_path(40)
        for _ in range(10):
            f = linalg.cholesky(prior, lower=True) @ rng.standard_normal(40)
            actual = rng.poisson(50 * np.exp(f) * rng.gamma(100.0, 0.01, 40)).astype(float)
            mode = find_mode(actual, np.full(40, 50.0), 0.1, prior)
            assert mode.latent == pytest.approx(prior @ mode.slope, abs=1e-4)
            again = find_mode(actual, np.full(40, 50.0), 0.1, prior, start=mode.latent + 0.1)
            assert again.latent == pytest.approx(mode.latent, abs=1e-4)
            assert again.evidence == pytest.approx(mode.evidence, abs=1e-5)

    def test_the_posterior_of_a_path_is_nearly_gaussian(self):
        """Importance weights from the approximation to the posterior, over a path of thirty weeks."""
        rng = np.random.default_rng(6)
        prior = slow_path(30)
        root = linalg.cholesky(prior, lower=True)
        for _ in range(5):
            actual = rng.poisson(20 * np.exp(root @ rng.standard_normal(30)) * rng.gamma(25.0, 0.04, 30))
            expected = np.full(30, 20.0)
            mode = find_mode(actual.astype(float), expected, 0.2, prior)
            free = root @ rng.standard_normal((30, 4000))
            told = mode.solve(free, rng.standard_normal((30, 4000)))
            drawn = (free + prior @ (mode.slope[:, None] - told)).T
            covariance = prior - prior @ mode.solve(prior, np.zeros((30, 30)))
            log_weight = -stats.multivariate_normal(mode.latent, covariance).logpdf(drawn)
            log_weight += stats.multivariate_normal(np.zeros(30), prior).logpdf(drawn)
            log_weight += [log_likelihood(f, actual, expected, 0.2)[0].sum() for f in drawn]
            weight = np.exp(log_weight - log_weight.max())
            effective = weight.sum() ** 2 / (weight**2).sum()
            assert effective > 0.5 * 4000
            mean = weight @ drawn / weight.sum()
            sd = np.sqrt(np.diag(covariance))
            assert (np.abs(mean - mode.latent) / sd).max() < 0.25
            # The mean of exp(-log q + log p) is the evidence itself.
            evidence = np.log(weight.mean()) + log_weight.max()
            assert mode.evidence == pytest.approx(evidence, abs=0.1)

    def test_nothing_known_gives_the_prior(self):
        prior = slow_path(5)
        mode = find_mode(np.zeros(5), np.zeros(5), 0.1, prior)
        assert mode.latent == pytest.approx(np.zeros(5), abs=1e-12) and mode.evidence == pytest.approx(0.0, abs=1e-12)
        noise = np.random.default_rng(1).standard_normal((5, 3))
        assert (mode.solve(np.ones((5, 3)), noise) == 0).all()
