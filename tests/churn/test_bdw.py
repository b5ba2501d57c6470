import numpy as np
import pytest
from scipy import stats

from cvmlib.churn.bdw import fit_curve, log_survival, simulate_periods, survive

YEARS = np.arange(13)


def test_shares_are_the_mean_over_the_beta_distribution():
    a, b, exposure = 0.6, 3.1, np.array([0.0, 0.5, 1.0, 7.3])
    theta = stats.beta(a, b).ppf((np.arange(200_000) + 0.5) / 200_000)
    mean = ((1 - theta) ** exposure[:, None]).mean(axis=1)
    np.testing.assert_allclose(np.exp(log_survival(exposure, a, b)), mean, rtol=2e-5)


def test_fit_finds_the_truth_of_a_large_cohort():
    rng = np.random.default_rng(3)
    exposure = np.arange(1, 9.0) ** 1.4
    leaves = simulate_periods(400_000, 0.5, 2.0, exposure, np.ones(400_000), rng)
    survivors = np.array([(leaves >= t).sum() for t in range(9)])
    curve = fit_curve(survivors)
    np.testing.assert_allclose(survive(np.arange(9), curve), survivors / 400_000, atol=4 * 0.5 / np.sqrt(400_000))
    assert curve.c == pytest.approx(1.4, abs=0.03)


def test_doubling_a_cohort_changes_the_likelihood_alone():
    survivors = np.array([1000.0, 869, 743, 653, 593])
    one, two = fit_curve(survivors), fit_curve(2 * survivors)
    np.testing.assert_allclose(one[:3], two[:3], rtol=1e-4)
    assert two.log_likelihood == pytest.approx(2 * one.log_likelihood)


@pytest.mark.parametrize("survivors", [[100, 100, 100], [100, 110, 90], [100, 90], [10, 5, -1]])
def test_what_is_no_retention_curve_is_refused(survivors):
    with pytest.raises(ValueError, match="Expected survivors that fall from period to period, found"):
        fit_curve(survivors)
