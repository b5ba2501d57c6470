import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from cvmlib.churn.counts import build_life_table
from cvmlib.churn.simulate import simulate_counts
from cvmlib.churn.validation import check_holdout, count_outcomes, estimate_kaplan_meier, log_log_interval
from tests.churn.conftest import END, END_MONTH, MONTHS


def expand(counts: pd.DataFrame) -> pd.DataFrame:
    return counts.loc[counts.index.repeat(counts["subscriptions"]), ["tenure", "churned"]]


def test_kaplan_meier_equals_statsmodels_on_single_subscribers(counts):
    rows = expand(counts)
    fit = SurvfuncRight((rows["tenure"] + 1).to_numpy(float), rows["churned"].to_numpy(float))
    found = estimate_kaplan_meier(counts).iloc[1:]
    np.testing.assert_array_equal(found["months"], fit.surv_times)
    np.testing.assert_allclose(found["retention"], fit.surv_prob, rtol=1e-12)
    np.testing.assert_array_equal(found["at_risk"], fit.n_risk)
    low, high = log_log_interval(fit.surv_prob, fit.n_risk, fit.n_events, 0.9)
    np.testing.assert_allclose(found[["low", "high"]], np.column_stack([low, high]), rtol=1e-12)


def test_interval_has_greenwoods_standard_error(counts):
    rows = expand(counts)
    fit = SurvfuncRight((rows["tenure"] + 1).to_numpy(float), rows["churned"].to_numpy(float))
    low, high = log_log_interval(fit.surv_prob, fit.n_risk, fit.n_events, 0.02)
    width = 2 * 0.02507  # a narrow normal interval has the width of its standard error times this
    np.testing.assert_allclose((high - low) / width, fit.surv_prob_se, rtol=0.01)


@pytest.mark.parametrize("observed_from", [None, END_MONTH - 15])
def test_kaplan_meier_equals_the_life_table(counts, observed_from):
    life = build_life_table(counts, "plan", observed_from)
    left = life[life["churned"] > 0].assign(months=life["tenure"] + 1)
    found = estimate_kaplan_meier(counts, "plan", observed_from)
    merged = left.merge(found[found["months"] > 0], on=["plan", "months"], how="outer", suffixes=("", "_km"))
    np.testing.assert_allclose(merged["retention"], merged["retention_km"], rtol=1e-12)
    np.testing.assert_array_equal(merged["at_risk"], merged["at_risk_km"])


def test_kaplan_meier_without_leavers_and_with_everybody_gone(count_frame):
    assert estimate_kaplan_meier(count_frame([("a", "2026-01-10", None, 5.0)]))["retention"].tolist() == [1.0]
    gone = estimate_kaplan_meier(count_frame([("a", "2026-01-10", "2026-02-10", 5.0)]))
    assert gone["retention"].tolist() == [1.0, 0.0]
    assert gone[["low", "high"]].iloc[-1].between(0, 1).all()


def test_outcomes_by_hand(count_frame):
    counts = count_frame(
        [
            ("stays", "2025-01-10", None, 10.0),
            ("left before", "2025-01-10", "2025-02-10", 20.0),
            ("leaves on the billing day", "2025-01-10", "2026-05-10", 100.0),
            ("leaves after it", "2025-01-10", "2026-05-20", 1000.0),
            ("joins later", "2026-05-10", None, 7.0),
        ]
    )
    found = count_outcomes(counts, END_MONTH - 2, 2)
    assert found["active"].tolist() == [1, 1]
    assert found["revenue"].tolist() == [1010.0, 10.0]


def test_holdout_tells_a_right_forecast_from_a_wrong_one():
    hazard = {"a": np.full(60, 0.02)}
    steady = simulate_counts(100, hazard, {"a": 10.0}, END, 36, 5)
    check = check_holdout(steady, END_MONTH, 12, draws=300)
    assert check.total["inside"] and abs(check.total["bias"]) < 0.03
    assert check.subscriptions == check.cells["subscriptions"].sum()
    assert set(check.course["measure"]) == {"active subscriptions", "revenue"}
    worse = steady.copy()  # churn trebles in the holdout: two in three of those who would stay leave in its third month
    split = END_MONTH - 12
    staying = ~worse["churned"] & (worse["joined"] <= split)
    leavers = worse[staying].assign(churned=True, tenure=split + 3 - worse["joined"])
    columns = ["subscriptions", "price", "price_sq"]
    leavers[columns] = 2 * leavers[columns] // 3
    worse.loc[staying, columns] -= leavers[columns]
    failed = check_holdout(pd.concat([worse, leavers]), END_MONTH, 12, draws=300)
    assert not failed.total["inside"] and failed.total["bias"] > 0.3 and failed.coverage < 0.5


@pytest.mark.parametrize(
    ("months", "history"), [(0, 36), (12, 14)], ids=["nothing held out", "too little before the split"]
)
def test_no_holdout_where_there_is_nothing_to_learn_from(months, history):
    counts = simulate_counts(50, {"a": np.full(60, 0.03)}, {"a": 1.0}, END, history, 1)
    assert check_holdout(counts, END_MONTH, months) is None


def test_no_holdout_without_leavers_before_the_split():
    counts = simulate_counts(50, {"a": np.zeros(60)}, {"a": 1.0}, END, 36, 1)
    assert check_holdout(counts, END_MONTH, 12) is None


def test_group_coverage_over_seeds():
    hazards = {"a": 0.015 + 0.05 * np.exp(-MONTHS / 8), "b": np.full(60, 0.02)}
    coverage = []
    for seed in range(30):
        counts = simulate_counts(40, hazards, {"a": 10.0, "b": 40.0}, END, 42, seed)
        coverage.append(check_holdout(counts, END_MONTH, 12, draws=300, seed=seed).coverage)
    assert 0.8 <= np.mean(coverage) <= 1.0
