"""Scores of survival forecasts against scikit-survival and lifelines, and their resamples against the customers."""

import json
from pathlib import Path

import numpy as np
import pytest

from cvmlib.churn import metrics
from cvmlib.churn.metrics import Outcomes

REFERENCES = Path(__file__).parent / "references" / "survival_metrics.json"


@pytest.fixture(scope="module")
def peers():
    found = json.loads(REFERENCES.read_text(encoding="utf-8"))
    arrays = {name: np.array(found[name]) for name in ("plan", "time", "cause", "forecast", "horizons")}
    return found | arrays


@pytest.fixture(scope="module")
def rows(peers):
    """The customers of the references, those alike in one weighted row."""
    keys = np.column_stack([peers["plan"], peers["time"], peers["cause"] > 0, peers["forecast"]])
    found, weight = np.unique(keys, axis=0, return_counts=True)
    outcomes = Outcomes(found[:, 1], found[:, 2] > 0, weight.astype(float))
    return outcomes, found[:, 3], found[:, 0].astype(int)


def test_scores_equal_scikit_survival(peers, rows):
    outcomes, forecast, _ = rows
    horizons = peers["horizons"]
    assert len(forecast) < len(peers["time"])  # rows stand for several customers
    auc = metrics.dynamic_auc(outcomes, forecast, horizons)
    np.testing.assert_allclose(auc, peers["auc"], atol=1e-8, rtol=0)
    assert metrics.mean_auc(outcomes, auc, horizons) == pytest.approx(peers["mean_auc"], abs=1e-8)
    brier = metrics.brier_scores(outcomes, (1 - forecast[:, None]) ** horizons, horizons)
    np.testing.assert_allclose(brier, peers["brier"], atol=1e-8, rtol=0)
    assert metrics.integrate_scores(brier, horizons) == pytest.approx(peers["integrated_brier"], abs=1e-8)
    times, level = (np.array(part) for part in peers["censoring"])
    np.testing.assert_allclose(metrics.estimate_censoring(outcomes).at(times), level, atol=1e-8, rtol=0)


def test_observed_risks_of_a_calibration_equal_lifelines(peers, rows):
    outcomes, forecast, plan = rows
    for column, horizon in enumerate(peers["horizons"]):
        table = metrics.calibrate(outcomes, 1 - (1 - forecast) ** horizon, horizon, plan)
        np.testing.assert_allclose(table["observed"], np.array(peers["observed_risk"])[:, column], atol=1e-8, rtol=0)
        of_plan = [peers["plan"] == g for g in range(3)]
        risk = 1 - (1 - peers["forecast"]) ** horizon
        np.testing.assert_allclose(table["forecast"], [risk[rows].mean() for rows in of_plan], rtol=1e-12)
        gap = sum(
            rows.sum() * abs(f - o) for rows, f, o in zip(of_plan, table["forecast"], table["observed"], strict=True)
        )
        assert metrics.calibration_error(table) == pytest.approx(gap / len(plan.repeat(outcomes.weight.astype(int))))


def test_a_perfect_ranking_has_an_auc_of_one_and_none_where_nobody_left():
    outcomes = Outcomes(np.array([1.0, 2.0, 5.0]), np.array([True, True, False]), np.array([2.0, 1.0, 7.0]))
    found = metrics.dynamic_auc(outcomes, np.array([3.0, 2.0, 1.0]), np.array([0.5, 2.0, 5.0]))
    assert np.isnan(found[0]) and found[1] == 1.0 and np.isnan(found[2])
    assert np.isnan(metrics.mean_auc(outcomes, found[:1], np.array([0.5])))


def test_groups_by_risk_are_of_equal_weight_and_keep_equal_risks_together():
    rng = np.random.default_rng(1)
    risk, weight = np.round(rng.random(3000), 2), rng.integers(1, 9, 3000).astype(float)
    group = metrics.group_by_risk(risk, weight, 5)
    shares = np.bincount(group, weights=weight) / weight.sum()
    assert len(shares) == 5 and np.abs(shares - 0.2).max() < 0.02
    assert all(len(set(group[risk == level])) == 1 for level in np.unique(risk))
    assert set(metrics.group_by_risk(np.zeros(5), np.ones(5))) == {0}


def test_resampled_rows_spread_like_resampled_customers():
    """Weights Gamma(w) are sums of w standard exponentials, so grouped and single customers give one distribution."""
    rng = np.random.default_rng(3)
    outcomes = Outcomes(np.array([1.0, 9.0]), np.array([True, False]), np.array([30.0, 70.0]))
    share = [r.weight[0] / r.weight.sum() for r in metrics.resample(outcomes, 4000, 1)]
    single = rng.exponential(size=(4000, 100))
    other = single[:, :30].sum(axis=1) / single.sum(axis=1)
    spread = np.sqrt(0.3 * 0.7 / 101)  # of Beta(30, 70)
    for draws in (share, other):
        assert np.mean(draws) == pytest.approx(0.3, abs=4 * spread / np.sqrt(4000))
        assert np.std(draws) == pytest.approx(spread, rel=0.05)
