"""Scores against their definitions, and against forecasts that are right or wrong by construction."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cvmlib.clv import scores
from cvmlib.clv.scores import score_rows, summarise_scores, tabulate_coverage, tabulate_pit


def forecast(rows: int, draws: int, seed: int = 1, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of customers with gamma rates; samples and actual purchases, and the rate of each row."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.8, 2.0, rows)
    return rng.poisson(factor * rate, (draws, rows)), rng.poisson(rate), rate


def test_means_by_hand():
    rows = score_rows(np.array([[0, 3, 7], [2, 5, 7]]), [0, 4, 9], mean=[1.0, 4.5, 7.0])
    weights = np.array([3, 1, 2])
    each = np.repeat(np.array([[0, 1.0], [4, 4.5], [9, 7.0]]), weights, axis=0)
    found = summarise_scores(rows, weights)
    assert (found.customers, found.actual, found.mean) == (6, 22, 21.5)
    assert found.bias == pytest.approx(21.5 / 22 - 1)
    assert found.mae == pytest.approx((3 * 1.0 + 0.0 + 2 * 2.0) / 6)  # medians 1, 4 and 7
    assert found.rmse == pytest.approx(np.sqrt(((each[:, 0] - each[:, 1]) ** 2).mean()))
    assert found.correlation == pytest.approx(np.corrcoef(each.T)[0, 1])
    assert found.as_dict()["mae"] == found.mae
    assert score_rows(np.array([[0, 3], [2, 5]]), [0, 4])["mean"].tolist() == [1.0, 4.0]


def test_nothing_bought_has_no_relative_bias():
    found = summarise_scores(score_rows(np.zeros((5, 2), dtype=int), [0, 0]), [1, 4])
    assert np.isnan(found.bias) and np.isnan(found.correlation) and found.mae == 0


def test_crps_of_a_sample_by_definition():
    rng = np.random.default_rng(2)
    samples, actual = rng.poisson(3.0, (30, 4)), np.array([0.0, 3.0, 4.0, 20.0])
    for i, y in enumerate(actual):
        x = samples[:, i]
        pairs = np.abs(x[:, None] - x[None, :]).sum() / (30 * 29)
        assert scores.fair_crps(samples, actual)[i] == pytest.approx(np.abs(x - y).mean() - pairs / 2)


def test_crps_is_that_of_the_distribution_however_few_the_samples():
    """Poisson(3) at y: the sum over counts of (F(k) - 1[k >= y]) squared; the mean over many small samples is that."""
    counts = np.arange(200)
    samples = np.random.default_rng(3).poisson(3.0, (3, 60_000))
    for y in (0, 3, 9):
        exact = ((stats.poisson(3).cdf(counts) - (counts >= y)) ** 2).sum()
        found = scores.fair_crps(samples, np.full(60_000, float(y)))
        assert found.mean() == pytest.approx(exact, abs=4 * found.std() / np.sqrt(60_000))


def test_log_score_approaches_the_exact_one():
    samples, actual, rate = forecast(3000, 1000)
    found = score_rows(samples, actual)["log_score"].to_numpy()
    exact = stats.poisson(rate).logpmf(actual)
    assert -0.015 < found.mean() - exact.mean() < 0.002  # the bias is about minus the plausible counts / (2 draws)
    few = score_rows(samples[:50], actual)["log_score"].to_numpy()
    assert np.isfinite(few).all() and -0.12 < few.mean() - exact.mean() < 0
    never = score_rows(np.zeros((100, 1), dtype=int), [5])["log_score"][0]
    assert -40 < never < np.log(1 / 101)


def test_a_right_forecast_is_uniform_and_covers():
    samples, actual, _ = forecast(20_000, 19)  # few draws: the PIT by ranks is uniform all the same
    rows, n = score_rows(samples, actual), np.ones(20_000)
    pit = tabulate_pit(rows, n)
    assert pit["share"].sum() == pytest.approx(1.0)
    assert (abs(pit["share"] - 0.1) < 4 * pit["standard_error"]).all()
    assert summarise_scores(rows, n).pit_distance < 0.012
    cover = tabulate_coverage(rows, n)
    assert cover["level"].tolist() == [0.5, 0.8, 0.9]
    assert (abs(cover["randomised"] - cover["level"]) < 4 * cover["standard_error"]).all()


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_wrong_forecast_is_not(factor):
    samples, actual, _ = forecast(5000, 99, factor=factor)
    right, _, _ = forecast(5000, 99)
    rows, n = score_rows(samples, actual), np.ones(5000)
    found, best = summarise_scores(rows, n), summarise_scores(score_rows(right, actual), n)
    assert found.pit_distance > 0.05 > best.pit_distance
    assert found.log_score < best.log_score and found.crps > best.crps
    assert np.sign(found.bias) == np.sign(factor - 1)


def test_coverage_says_what_was_promised():
    """An interval of counts promises more than its level, and a right forecast keeps the promise."""
    samples, actual, _ = forecast(20_000, 400)
    found = tabulate_coverage(score_rows(samples, actual), np.ones(20_000))
    assert (found["promised"] > found["level"]).all()
    assert found["covered"].to_numpy() == pytest.approx(found["promised"].to_numpy(), abs=0.015)
    narrow = score_rows(np.tile(samples.mean(axis=0).round().astype(int), (50, 1)), actual)
    assert (tabulate_coverage(narrow, np.ones(20_000))["covered"] < 0.5).all()


def test_weights_are_customers():
    samples, actual, _ = forecast(40, 99)
    n = np.random.default_rng(5).integers(1, 5, 40)
    rows = score_rows(samples, actual)
    each = rows.loc[rows.index.repeat(n)]
    ones = np.ones(len(each))
    pd.testing.assert_frame_equal(tabulate_pit(rows, n), tabulate_pit(each, ones))
    pd.testing.assert_frame_equal(tabulate_coverage(rows, n), tabulate_coverage(each, ones))
    assert summarise_scores(rows, n).as_dict() == pytest.approx(summarise_scores(each, ones).as_dict())


def test_pit_of_one_customer_by_hand():
    """Samples 0, 1, 1, 3 and an actual 1: two of five ranks... below 1/5, up to (1 + 2 + 1) / 5."""
    rows = score_rows(np.array([[0], [1], [1], [3]]), [1])
    assert (rows["below"][0], rows["upto"][0]) == (0.2, 0.8)
    assert tabulate_pit(rows, [7], bins=5)["share"].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0])
    assert rows["again"][0] == 0.75


def test_interval_score_is_proper():
    assert scores.interval_score([5, 12, 1], 2, 10, 0.9) == pytest.approx([8, 8 + 20 * 2, 8 + 20])
    drawn = np.random.default_rng(1).normal(size=100_000)
    ends = stats.norm.ppf([0.05, 0.95])
    means = [scores.interval_score(drawn, *(scale * ends), 0.9).mean() for scale in (0.8, 1.0, 1.2)]
    assert means[1] < means[0] and means[1] < means[2]


def test_groups_of_buying_again():
    rng = np.random.default_rng(1)
    p = rng.beta(0.7, 1.5, 4000)
    n = rng.integers(1, 4, 4000)
    bought = rng.random(4000) < p
    found = scores.tabulate_again(p, bought, n, groups=8)
    assert found["customers"].sum() == n.sum() and len(found) == 8
    assert found["customers"].to_numpy() == pytest.approx(n.sum() / 8, abs=5)
    assert found["predicted"].is_monotonic_increasing
    assert found["predicted"] @ found["customers"] == pytest.approx(p @ n)
    assert found["actual"] @ found["customers"] == pytest.approx(bought @ n)
    alike = scores.tabulate_again([0.3] * 5 + [0.6], [0, 1, 0, 0, 0, 1], [1] * 6, groups=10)
    assert alike["customers"].tolist() == [5, 1] and alike["actual"].tolist() == [0.2, 1.0]


def test_wilson_interval():
    """81 of 263 at 95%: 0.2553 to 0.3662 (Newcombe 1998, table I); none of 20 keeps off one, and reaches zero."""
    assert np.round(scores.wilson(81, 263, 0.95), 4).tolist() == [0.2553, 0.3662]
    assert np.round(scores.wilson([0, 1], [20, 29], 0.95), 4).T.tolist() == [[0.0, 0.1611], [0.0061, 0.1718]]
