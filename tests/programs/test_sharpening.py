import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cvmlib.programs.lift import measure_lift
from cvmlib.programs.sharpening import SHARES, learn_link, sharpen_lifts, widen_error
from cvmlib.programs.simulate import simulate_counts

RATE_SE, AMOUNT_SE = 0.03, 0.12


def draw_lifts(theta: np.ndarray, rho: np.ndarray | float, rng: np.random.Generator, amount: float = AMOUNT_SE):
    """Measured lifts in money and conversions; lifts in money are those in conversions and amounts added up."""
    rate = rho * theta + RATE_SE * rng.standard_normal(theta.size)
    lift = rate + (1 - rho) * theta + amount * rng.standard_normal(theta.size)
    errors = {"log_ratio_se": np.hypot(RATE_SE, amount), "rate_log_ratio_se": RATE_SE, "rate_covariance": RATE_SE**2}
    return pd.DataFrame({"log_ratio": lift, "rate_log_ratio": rate, "freedom": 1e9, **errors})


def test_errors_shrink_and_stay_as_large_as_stated():
    rng, raw, off, inside = np.random.default_rng(1), [], [], []
    for _ in range(30):
        theta = np.where(rng.random(40) < 0.5, 0.0, rng.normal(0.1, 0.05, 40))
        table = draw_lifts(theta, 0.5, rng)
        lift, se = sharpen_lifts(table)
        raw += list(table["log_ratio"] - theta)
        off += list(lift - theta)
        inside += list(np.abs(lift - theta) < stats.norm.ppf(0.95) * se)
    assert np.std(off) < 0.65 * np.std(raw)
    assert abs(np.mean(off)) < 0.01
    assert 0.87 <= np.mean(inside) <= 0.95


@pytest.mark.parametrize("how", ["by amounts alone", "some by buyers, some by amounts"])
def test_lifts_that_conversions_do_not_follow_are_left_nearly_as_they_are(how):
    rng, off, inside = np.random.default_rng(2), [], []
    for _ in range(30):
        theta = rng.normal(0.2, 0.2, 40)
        rho = 0.0 if how == "by amounts alone" else rng.integers(0, 2, 40) * 1.0
        lift, se = sharpen_lifts(draw_lifts(theta, rho, rng))
        off += list(lift - theta)
        inside += list(np.abs(lift - theta) < stats.norm.ppf(0.95) * se)
    assert np.std(off) < 1.02 * np.hypot(RATE_SE, AMOUNT_SE) and abs(np.mean(off)) < 0.01
    assert 0.87 <= np.mean(inside) <= 0.93


def test_two_programs_do_not_teach_how_conversions_go_with_money():
    table = draw_lifts(np.array([0.1, 0.3]), 0.5, np.random.default_rng(3))
    lift, se = sharpen_lifts(table)
    assert (lift == table["log_ratio"]).all() and (se == widen_error(table)).all()


@pytest.mark.parametrize("lift", [0.0, 0.1])
def test_conversions_that_are_the_money_add_nothing(lift):
    rng = np.random.default_rng(4)
    table = draw_lifts(lift + 0.1 * rng.random(20), 1.0, rng, amount=1e-6)
    found, se = sharpen_lifts(table)
    assert found == pytest.approx(table["log_ratio"], abs=1e-4) and se == pytest.approx(RATE_SE, rel=1e-3)


def test_link_is_the_posterior_of_the_model():
    """Oracle: the same integral by draws of the prior, weighted with the likelihood of all four numbers."""
    rng = np.random.default_rng(5)
    y, r = np.array([0.2, 0.05]), np.array([0.15, 0.02])
    vy, vr, both = np.full(2, 0.05**2), np.full(2, 0.03**2), np.full(2, 0.03**2)
    size = 400_000
    rho, m = rng.uniform(0, 2, size), rng.normal(0, 0.3, size)
    tau, kappa = (np.minimum(stats.halfcauchy.rvs(0, 0.1, size, random_state=rng), 2.0) for _ in range(2))
    logs = np.zeros(size)
    for i in range(2):
        a, b, c = vy[i] + tau**2, vr[i] + kappa**2 + (rho * tau) ** 2, both[i] + rho * tau**2
        u, w = y[i] - m, r[i] - rho * m
        logs -= 0.5 * ((b * u**2 - 2 * c * u * w + a * w**2) / (a * b - c**2) + np.log(a * b - c**2))
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    mean = weight @ rho
    found, variance, _ = learn_link(y, r, vy, vr, both)
    assert found == pytest.approx(mean, abs=0.03)
    assert variance == pytest.approx(weight @ (rho - mean) ** 2, rel=0.1)
    assert 0 < found < SHARES.max()


def test_simulated_programs_come_nearer_to_the_truth_and_keep_their_errors():
    rng = np.random.default_rng(6)
    true = np.where(np.arange(40) % 2 == 1, 0.15, 0.0)
    table = measure_lift(simulate_counts(true, [20_000] * 40, rng))
    lift, se = sharpen_lifts(table)
    off = lift - np.log1p(true)
    assert np.sqrt((off**2).mean()) < np.sqrt(((table["log_ratio"] - np.log1p(true)) ** 2).mean())
    assert (se <= widen_error(table)).all() and se.mean() < 0.98 * widen_error(table).mean()
    assert (np.abs(off) < stats.norm.ppf(0.95) * se).mean() >= 0.8


def test_unknown_conversions_leave_a_lift_as_it_is():
    table = draw_lifts(np.full(20, 0.1), 0.5, np.random.default_rng(7))
    table.loc[3, "rate_log_ratio"] = np.nan
    lift, se = sharpen_lifts(table)
    assert (lift[3], se[3]) == (table["log_ratio"][3], widen_error(table)[3])
    assert lift[4] != table["log_ratio"][4]
