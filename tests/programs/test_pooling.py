import numpy as np
import pytest
from scipy import stats

from cvmlib.programs.pooling import NEXT_TO_NOTHING, PRIOR_SCALE, TAIL, mix_tail, pool_lifts

S = PRIOR_SCALE


def draw_prior(rng: np.random.Generator, draws: int, programs: int) -> np.ndarray:
    """True lifts of one unit's programs, straight from the model as it is written down."""
    mu = stats.cauchy.rvs(0, S, draws, random_state=rng)
    tau, omega = (stats.halfcauchy.rvs(0, S, draws, random_state=rng) for _ in range(2))
    mean = rng.normal(mu, omega)[:, None]
    share = rng.random(draws)[:, None]
    idle = rng.random((draws, programs)) < share
    acting = mean + tau[:, None] * stats.t.rvs(TAIL, size=(draws, programs), random_state=rng)
    return np.where(idle, NEXT_TO_NOTHING * S * rng.standard_normal((draws, programs)), acting)


def test_posterior_is_that_of_the_model():
    """Oracle: draws of the prior, weighted with the likelihood."""
    rng = np.random.default_rng(1)
    lift, se = np.array([0.25, 0.02, -0.05]), np.array([0.10, 0.05, 0.08])
    theta = draw_prior(rng, 400_000, 3)
    weight = np.exp(stats.norm.logpdf(lift, theta, se).sum(axis=1))
    weight /= weight.sum()
    mean = weight @ theta
    sd = np.sqrt(weight @ (theta - mean) ** 2)
    above = weight @ (theta > np.log1p(0.05))
    pooled = pool_lifts(lift, se, np.zeros(3, int), draws=20_000)
    error = 4 * np.sqrt(((weight[:, None] * (theta - mean)) ** 2).sum(axis=0) + sd**2 / 20_000)
    assert (np.abs(pooled.centre.mean(axis=0) - mean) < error).all()
    assert pooled.theta.std(axis=0) == pytest.approx(sd, rel=0.05)
    assert pooled.probability_above(np.full(3, 0.05)) == pytest.approx(above, abs=0.02)
    assert pooled.mean_lift() == pytest.approx(weight @ np.expm1(np.minimum(theta, 5.0)), abs=0.01)


def test_tail_is_that_of_a_student_t():
    inverse, weights = mix_tail()
    x = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    mixed = (weights * stats.norm.sf(x[:, None] / np.sqrt(inverse))).sum(axis=1)
    assert mixed == pytest.approx(stats.t.sf(x, TAIL), rel=2e-3)


def test_intervals_cover_at_the_stated_rate():
    rng, inside = np.random.default_rng(2), []
    for _ in range(25):
        theta = np.where(rng.random(15) < 0.5, 0.0, rng.normal(0.08, 0.05, 15))
        se = rng.uniform(0.02, 0.06, 15)
        pooled = pool_lifts(theta + se * rng.standard_normal(15), se, np.zeros(15, int), draws=800)
        low, high = np.quantile(pooled.theta, [0.05, 0.95], axis=0)
        inside += list((low <= theta) & (theta <= high))
    assert 0.86 <= np.mean(inside) <= 0.97


def test_lucky_winner_shrinks_and_a_sure_one_stays():
    lift = np.array([0.50, 0.50, 0.02, -0.01, 0.03, 0.00])
    se = np.array([0.30, 0.02, 0.03, 0.03, 0.03, 0.03])
    mean = pool_lifts(lift, se, np.zeros(6, int)).centre.mean(axis=0)
    assert mean[0] < 0.25 and mean[1] > 0.47


def test_units_borrow_from_each_other_but_keep_their_own_mean():
    rng = np.random.default_rng(3)
    unit = np.repeat([0, 1], 12)
    lift = np.where(unit == 0, 0.30, 0.02) + 0.03 * rng.standard_normal(24)
    pooled = pool_lifts(lift, np.full(24, 0.03), unit, units=3)
    means = np.median(pooled.means, axis=0)
    assert means[0] == pytest.approx(0.30, abs=0.03) and means[1] < 0.1
    assert means[1] < means[2] < means[0]  # a unit without a program is guessed between the others
    assert pooled.fresh.shape == (4_000, 3)


def test_nothing_measured_is_the_prior():
    pooled = pool_lifts(np.zeros(0), np.zeros(0), np.zeros(0, int), draws=20_000)
    prior = draw_prior(np.random.default_rng(4), 200_000, 1)[:, 0]
    levels = [0.1, 0.25, 0.75, 0.9]
    assert np.quantile(pooled.fresh[:, 0], levels) == pytest.approx(np.quantile(prior, levels), abs=0.03)
    assert pooled.theta.shape == (20_000, 0)


def test_same_seed_same_draws():
    lift, se, unit = np.array([0.1, 0.0]), np.array([0.05, 0.05]), np.array([0, 0])
    first, second = (pool_lifts(lift, se, unit, seed=7, draws=50) for _ in range(2))
    assert (first.theta == second.theta).all()


@pytest.mark.parametrize("se", [0.0, np.nan])
def test_a_lift_without_an_error_is_refused(se):
    with pytest.raises(ValueError, match="standard error above 0"):
        pool_lifts(np.array([0.1]), np.array([se]), np.array([0]))
