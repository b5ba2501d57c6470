"""The Gaussian process of the intensity: its structure, its draws, and whether its intervals cover."""

import numpy as np
import pytest
from scipy import linalg, special

from cvmlib.clv import intensity
from cvmlib.clv.intensity import SCALES, SHARES, Bins, covariance, draw_paths, find_path
from cvmlib.clv.laplace import find_mode

USUAL = {"season": 0.15, "shock": 0.1, "memory": 90.0, "noise": 0.1, "season_shared": 0.8, "shock_shared": 0.5}
MONTH = 28.0


def make_bins(rng: np.random.Generator, seen: int = 20, ahead: int = 6, expected: float = 300.0, units: int = 1):
    """Bins of four weeks from the process itself; the scales from priors half as wide. Also the true log path."""
    scales = SCALES if units == 1 else (*SCALES, *SHARES)
    drawn = {s.name: float(s.natural(s.mean + 0.5 * s.sd * rng.standard_normal())) for s in scales}
    days = MONTH * (np.arange(seen + ahead) + 0.5)
    prior = covariance(drawn, days, units) - np.kron(np.eye(units), np.full((len(days), len(days)), 4.0))
    path = (linalg.cholesky(prior + 1e-8 * np.eye(len(prior)), lower=True) @ rng.standard_normal(len(prior))).reshape(
        units, -1
    )
    k = drawn["noise"] ** -2.0
    rates = np.exp(path) * rng.gamma(k, 1.0 / k, path.shape)
    actual = rng.poisson(expected * rates[:, :seen]).astype(float)
    return Bins(days[:seen], actual, np.full((units, seen), expected)), days[seen:], path, rates


class TestCovariance:
    @pytest.mark.parametrize("units", [1, 3])
    def test_is_positive_definite_over_the_range_of_the_priors(self, units):
        rng = np.random.default_rng(1)
        days = 7.0 * np.arange(209)
        scales = SCALES if units == 1 else (*SCALES, *SHARES)
        for _ in range(6):
            drawn = {s.name: float(s.natural(s.mean + 2.5 * s.sd * rng.choice([-1, 1]))) for s in scales}
            found = covariance(drawn, days, units)
            assert (found == found.T).all()
            linalg.cholesky(found)

    def test_has_the_stated_structure(self):
        days = np.array([0.0, 7.0, 100.0, 365.25, 730.5])
        found = covariance(USUAL, days, 2).reshape(2, 5, 2, 5)
        level = 2.0**2
        one = found[0, :, 0, :]
        assert np.diag(one) == pytest.approx(level + 0.15**2 + 0.1**2)
        # A year later the pattern is the same, and the shocks are nearly forgotten.
        assert one[0, 3] == pytest.approx(level + 0.15**2 + 0.1**2 * np.exp(-365.25 / 90.0))
        assert one[0, 1] - level < one[0, 0] - level and one[0, 2] < one[0, 1]
        half_year = covariance(USUAL, np.array([0.0, 365.25 / 2]), 1)[0, 1]
        assert half_year == pytest.approx(level + 0.15**2 * np.exp(-8.0) + 0.1**2 * np.exp(-365.25 / 180.0))
        # Two units share four fifths of the pattern and half of the shocks, and no level.
        assert found[0, 0, 1, 0] == pytest.approx(0.8 * 0.15**2 + 0.5 * 0.1**2)
        assert np.array_equal(found[0, :, 0, :], found[1, :, 1, :])

    def test_scales_are_positive_and_shares_between_zero_and_one(self):
        for scale in (*SCALES, *SHARES):
            natural = scale.natural(scale.mean + scale.sd * np.array([-3.0, 0.0, 3.0]))
            assert (np.diff(natural) > 0).all() and natural[0] > 0
            assert not scale.share or natural[-1] < 1


class TestDraws:
    def test_have_the_mean_and_covariance_of_the_laplace_posterior(self):
        rng = np.random.default_rng(3)
        bins, ahead, _, _ = make_bins(rng, seen=10, ahead=4, expected=60.0, units=2)
        point = np.array([s.mean for s in bins.scales])
        draws = 40_000
        past, future = intensity._draw_given(bins, ahead, point, draws, rng)
        drawn = np.concatenate([past, future], axis=2).reshape(draws, -1)
        scales = intensity._as_scales(bins, point)
        joint = covariance(scales, np.r_[bins.days, ahead], 2)
        seen = np.r_[0:10, 14:24]
        mode = find_mode(bins.actual.ravel(), bins.expected.ravel(), scales["noise"], joint[np.ix_(seen, seen)])
        # Conditional Gaussian: what is seen has the precision W of the likelihood (W > 0 in every bin here).
        assert (mode.root > 0).all()
        gain = joint[:, seen] @ np.linalg.inv(joint[np.ix_(seen, seen)] + np.diag(mode.root**-2.0))
        mean = gain @ (mode.latent + mode.slope / mode.root**2)
        spread = joint - gain @ joint[seen]
        k = scales["noise"] ** -2.0  # the noise of single weeks comes on top of the future
        later = np.setdiff1d(np.arange(28), seen)
        mean[later] += special.digamma(k) - np.log(k)
        spread[later, later] += special.polygamma(1, k)
        sd = np.sqrt(np.diag(spread))
        assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 5 / np.sqrt(draws)
        assert mean[seen] == pytest.approx(mode.latent, abs=1e-5)
        # An entry of the sample covariance has an error of at most sqrt(2 / draws) times both sds.
        assert np.abs((np.cov(drawn.T) - spread) / np.outer(sd, sd)).max() < 6 * np.sqrt(2 / draws)

    def test_proposals_of_the_scales_are_efficient(self):
        for seed in range(4):
            rng = np.random.default_rng(seed)
            bins, ahead, _, _ = make_bins(rng, units=1 + seed % 2)
            paths = draw_paths(bins, ahead, 50, rng)
            assert paths.effective > 0.25 * intensity._ROUNDS * intensity._PROPOSALS
            assert set(paths.scales) == {scale.name for scale in bins.scales}
            assert paths.past.shape == (50, bins.units, 20) and paths.future.shape == (50, bins.units, 6)

    def test_scales_agree_with_a_sum_over_a_grid(self, monkeypatch):
        """Two scales that the data tell of; the others are fixed by narrow priors."""
        free = tuple(s if s.name in ("shock", "noise") else intensity.Scale(s.name, s.mean, 1e-3, "") for s in SCALES)
        monkeypatch.setattr(intensity, "SCALES", free)
        rng = np.random.default_rng(4)
        bins, ahead, _, _ = make_bins(rng, seen=30)
        posterior = intensity._ScalePosterior(bins)
        line = np.linspace(-3.0, 3.0, 21)
        grid = np.array([[0.0, a, 0.0, b] for a in line for b in line])
        log_density = -np.array([posterior.badness(z) for z in grid])
        weight = np.exp(log_density - log_density.max())
        weight /= weight.sum()
        paths = draw_paths(bins, ahead, 4000, np.random.default_rng(5))
        for column, name in ((1, "shock"), (3, "noise")):
            scale = SCALES[column]
            drawn = (np.log(paths.scales[name]) - scale.mean) / scale.sd
            mean = weight @ grid[:, column]
            sd = np.sqrt(weight @ (grid[:, column] - mean) ** 2)
            # About a hundred effective proposals are behind the draws.
            assert drawn.mean() == pytest.approx(mean, abs=0.35 * sd)
            assert drawn.std() == pytest.approx(sd, rel=0.3)

    def test_the_same_seed_gives_the_same_draws(self):
        bins, ahead, _, _ = make_bins(np.random.default_rng(7), seen=12, ahead=3)
        first, again = (draw_paths(bins, ahead, 20, np.random.default_rng(8)) for _ in range(2))
        assert np.array_equal(first.past, again.past) and np.array_equal(first.future, again.future)


class TestCoverage:
    def test_intervals_of_the_future_over_the_past_cover(self, monkeypatch):
        """90% intervals of the mean future intensity, weeks' noise included, relative to the mean of the past."""
        monkeypatch.setattr(intensity, "_PROPOSALS", 25)
        monkeypatch.setattr(intensity, "_SEARCH", intensity._SEARCH | {"maxfev": 40})
        inside, error, replications = 0, [], 60
        for seed in range(replications):
            rng = np.random.default_rng([11, seed])
            bins, ahead, path, rates = make_bins(rng)
            paths = draw_paths(bins, ahead, 300, rng)
            past = np.exp(path[0, :20]).mean()
            truth = np.log(rates[0, 20:].mean() / past)
            drawn = np.log(np.exp(paths.future[:, 0]).mean(axis=1) / np.exp(paths.past[:, 0]).mean(axis=1))
            low, high = np.quantile(drawn, [0.05, 0.95])
            inside += low <= truth <= high
            error.append((truth - drawn.mean()) / drawn.std())
        # 54 of 60 are expected, with a standard error of 2.3.
        assert 0.84 * replications <= inside <= 0.98 * replications
        assert abs(np.mean(error)) < 3.5 / np.sqrt(replications)
        assert 0.7 < np.std(error) < 1.3

    def test_a_closed_week_moves_neither_the_mean_of_the_past_nor_the_future(self):
        rng = np.random.default_rng(12)
        days = 7.0 * np.arange(60.0)
        actual = rng.poisson(80.0, (1, 60)).astype(float)
        ahead = days[-1] + 7.0 * np.arange(1, 14)

        def forecast(counts):
            paths = draw_paths(Bins(days, counts, np.full((1, 60), 80.0)), ahead, 1000, np.random.default_rng(13))
            return np.log(np.exp(paths.future[:, 0]).mean(axis=1) / np.exp(paths.past[:, 0]).mean(axis=1))

        closed = actual.copy()
        closed[0, 30] = 0.0
        usual, found = forecast(actual), forecast(closed)
        assert abs(found.mean() - usual.mean()) < 0.02
        assert found.std() < 1.5 * usual.std()

    def test_bins_without_expectation_are_ignored(self):
        rng = np.random.default_rng(14)
        bins, _, _, _ = make_bins(rng, seen=14)
        early = MONTH * (np.arange(-5, 0) + 0.5)
        more = Bins(
            np.r_[early, bins.days],
            np.c_[np.full((1, 5), 3.0), bins.actual],
            np.c_[np.zeros((1, 5)), bins.expected],
        )
        point = np.array([s.mean for s in SCALES])
        one, other = (find_path(b, point, search=False)[0] for b in (bins, more))
        assert other[:, 5:] == pytest.approx(one, abs=1e-5)

    @pytest.mark.parametrize(("actual", "expected"), [(0.0, 0.5), (0.0, 5.0), (3.0, 2.0), (0.0, 0.0)])
    def test_one_bin_says_nothing_of_the_future_but_its_level(self, actual, expected):
        bins = Bins(np.array([3.5]), np.array([[actual]]), np.array([[expected]]))
        paths = draw_paths(bins, np.array([10.5, 17.5]), 400, np.random.default_rng(15))
        assert np.isfinite(paths.past).all() and np.isfinite(paths.future).all()
        drift = paths.future[:, 0].mean(axis=1) - paths.past[:, 0, 0]
        assert abs(np.median(drift)) < 0.1

    def test_no_purchases_at_all(self):
        days = 7.0 * np.arange(20.0)
        bins = Bins(days, np.zeros((1, 20)), np.full((1, 20), 0.2))
        paths = draw_paths(bins, days[-1] + 7.0 * np.arange(1, 5), 300, np.random.default_rng(16))
        relative = np.exp(paths.future[:, 0]).mean(axis=1) / np.exp(paths.past[:, 0]).mean(axis=1)
        assert np.median(relative) == pytest.approx(1.0, abs=0.1)
