"""Scores against arithmetic by hand, and every path of the verdict with its words."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.families import bg_nbd
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.timing import Regularity
from cvmlib.clv.validation import (
    Holdout,
    class_names,
    classify_frequency,
    compare_by_frequency,
    judge,
    score_holdout,
    track,
)
from cvmlib.clv.value import Prediction
from cvmlib.inference import Diagnostics

CONVERGED = Diagnostics(1.003, 900.0, 850.0, 0, "rate[shop]")
RANDOM = Regularity(1.02, 0.95, 1.1, 400)


def tried(**changes) -> Holdout:
    usual = {
        "customers": 500,
        "actual": 1000.0,
        "mean": 1020.0,
        "low": 940.0,
        "high": 1110.0,
        "mae": 1.0,
        "rmse": 2.0,
        "correlation": 0.6,
        "coverage": 0.93,
        "interval": 0.9,
    }
    return Holdout(**usual | changes)


def verdict(purchase=CONVERGED, spend=CONVERGED, regularity=RANDOM, holdout="usual", repeat_buyers=200):
    return judge(purchase, spend, regularity, tried() if holdout == "usual" else holdout, repeat_buyers)


def test_a_sound_forecast_gives_no_reasons():
    found = verdict()
    assert found.level == "sound" and found.reasons == []
    assert {check.outcome for check in found.checks} == {"pass"}
    assert [check.name for check in found.checks] == [
        "convergence of the purchase model",
        "convergence of the spend model",
        "timing of purchases",
        "holdout total",
        "holdout intervals of customers",
        "repeat buyers",
    ]
    sentences = [check.sentence for check in found.checks]
    assert "the sampler converged: largest R-hat 1.003 (rate[shop])" in sentences[0]
    assert "Erlang shape of 1.02 (90% interval 0.95 to 1.10)" in sentences[2]
    assert sentences[3] == (
        "The model forecast 1,020 purchases in the holdout (90% interval 940 to 1,110); 1,000 happened, so the "
        "forecast was 2% too high, within its interval."
    )
    assert sentences[4].startswith("Of the customers, 93% bought as often in the holdout as their 90% intervals said")


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        (
            {"purchase": Diagnostics(1.02, 900, 900, 0, "rate[shop]")},
            "withheld",
            "did not converge: largest R-hat 1.020",
        ),
        (
            {"spend": Diagnostics(1.0, 399, 900, 0, "p[shop]")},
            "withheld",
            "The spend model could not be computed reliably, so its numbers are not to be used: the sampler did not",
        ),
        ({"purchase": Diagnostics(1.0, 900, 900, 1, "rate[shop]")}, "withheld", "1 divergent"),
        ({"spend": None}, "sound", ""),
        ({"regularity": None}, "sound", ""),
        ({"regularity": Regularity(3.1, 2.6, 3.8, 400)}, "withheld", "far more regularly than the model assumes"),
        ({"regularity": Regularity(3.1, 1.9, 5.0, 30)}, "caution", "somewhat more regularly than the model assumes"),
        ({"regularity": Regularity(1.5, 1.1, 2.0, 30)}, "sound", ""),
        ({"regularity": Regularity(0.3, 0.2, 0.4, 400)}, "withheld", "far more in clusters"),
        ({"regularity": Regularity(0.6, 0.5, 0.7, 400)}, "caution", "somewhat more in clusters"),
        ({"holdout": None}, "caution", "too short to hold out a part of it"),
        ({"holdout": tried(actual=930.0)}, "caution", "10% too high, outside its interval: totals are less certain"),
        ({"holdout": tried(actual=1250.0)}, "caution", "18% too low, outside its interval"),
        ({"holdout": tried(actual=1300.0)}, "withheld", "22% too low: totals cannot be relied on"),
        ({"holdout": tried(actual=700.0, low=600.0)}, "sound", ""),  # far off, but not surer than that
        ({"holdout": tried(actual=0.0)}, "withheld", "none happened: totals cannot be relied on"),
        ({"holdout": tried(actual=0.0, mean=0.4, low=0.0, high=2.0)}, "sound", ""),
        ({"holdout": tried(coverage=0.849)}, "caution", "85% bought as often in the holdout as their 90% intervals"),
        ({"holdout": tried(coverage=0.79)}, "withheld", "79% bought as often"),
        ({"holdout": tried(coverage=0.99)}, "sound", ""),
        ({"repeat_buyers": 0}, "withheld", "No customer bought again, so nothing in the unit's own data tells"),
        ({"repeat_buyers": 49}, "caution", "Only 49 customers bought again"),
        ({"repeat_buyers": 50}, "sound", ""),
    ],
)
def test_every_check_decides(changes, level, words):
    found = verdict(**changes)
    assert found.level == level
    assert len(found.reasons) == (0 if level == "sound" else 1)
    assert all(words in reason for reason in found.reasons)
    for check in found.checks:
        assert check.sentence.endswith(".") and "nan" not in check.sentence


def test_failures_come_first_and_decide():
    found = verdict(repeat_buyers=10, holdout=tried(coverage=0.5), regularity=Regularity(0.6, 0.5, 0.7, 400))
    assert found.level == "withheld"
    assert "50% bought as often" in found.reasons[0] and len(found.reasons) == 3
    assert [check.outcome for check in found.checks].count("warn") == 2


def test_the_portfolios_interval_is_named():
    found = verdict(holdout=tried(interval=0.8, mean=1900.0, high=2000.0, actual=1000.0, coverage=0.85))
    total = next(check.sentence for check in found.checks if check.name == "holdout total")
    assert "(80% interval 940 to 2,000); 1,000 happened, so the forecast was 90% too high" in total


def predicted() -> Prediction:
    rows = pd.DataFrame(
        {
            "frequency": [0, 0, 4, 120],
            "customers": [3, 1, 2, 1],
            "holdout_frequency": [0, 5, 2, 40],
            "purchases": [0.5, 0.5, 2.5, 38.0],
            "purchases_median": [0, 0, 2, 37],
            "purchases_low": [0, 0, 0, 30],
            "purchases_high": [2, 2, 6, 39],
        }
    )
    rows["value"] = 0.0
    return Prediction(rows, np.linspace(35, 65, 101), np.zeros(101), 0.9)


def test_scores_by_hand():
    found = score_holdout(predicted())
    each = np.array([[0, 0.5]] * 3 + [[5, 0.5]] + [[2, 2.5]] * 2 + [[40, 38.0]])
    assert found.customers == 7 and found.actual == 49 and found.mean == pytest.approx(45)
    assert (found.low, found.high) == pytest.approx((36.5, 63.5))
    assert found.inside and found.bias == pytest.approx(45 / 49 - 1)
    assert found.mae == pytest.approx((0 * 3 + 5 + 0 * 2 + 3) / 7)  # of the medians
    assert found.rmse == pytest.approx(np.sqrt(((each[:, 0] - each[:, 1]) ** 2).mean()))
    assert found.correlation == pytest.approx(np.corrcoef(each.T)[0, 1])
    assert found.coverage == pytest.approx(5 / 7)  # the one who bought 5 times, and the one who bought 40
    assert found.as_dict()["bias"] == found.bias


def test_scores_without_variation():
    prediction = predicted()
    alone = Prediction(prediction.rows.head(1), prediction.purchases, prediction.value, 0.9)
    found = score_holdout(alone)
    assert np.isnan(found.correlation) and np.isnan(found.bias) and found.actual == 0
    assert verdict(holdout=found).level == "withheld"


def test_comparison_by_frequency_by_hand():
    found = compare_by_frequency(predicted())
    expected = pd.DataFrame(
        {
            "frequency": ["0", "4–5", "99 or more"],
            "customers": [4, 2, 1],
            "actual": [5 / 4, 2.0, 40.0],
            "expected": [0.5, 2.5, 38.0],
        }
    )
    pd.testing.assert_frame_equal(found, expected)


def test_classes_of_frequency():
    names = class_names()
    assert names[:6] == ["0", "1", "2", "3", "4–5", "6–8"] and names[-2:] == ["49–98", "99 or more"]
    placed = [names[i] for i in classify_frequency([0, 1, 2, 3, 4, 5, 6, 8, 9, 13, 14, 98, 99, 5000])]
    assert placed == [
        "0", "1", "2", "3", "4–5", "4–5", "6–8", "6–8", "9–13", "9–13", "14–23", "49–98", "99 or more", "99 or more",
    ]  # fmt: skip


def test_tracking_sums_the_cohorts():
    rng = np.random.default_rng(1)
    names = {"r": 0.8, "alpha": 30.0, "a": 0.9, "b": 4.0}
    draws = Draws(BG_NBD, tuple(v * rng.lognormal(0, 0.1, 50) for v in names.values()))
    cohorts = pd.DataFrame({"customers": [5, 100, 20, 60], "pattern": ["", "b", "", "b"]})
    pace = rng.lognormal(0, 0.2, 50)  # of operational time, which differs between draws
    starts = np.outer(pace, [0.0, 10.0, 45.0, 300.0])
    times = np.outer(pace, [0.0, 5.0, 30.0, 120.0, 299.0, 700.0])
    found = track(cohorts, {"": draws, "b": draws}, starts, times)
    paths = []
    for i, (r, alpha, a, b) in enumerate(zip(*draws.values, strict=True)):
        ages = np.clip(times[i] - starts[i][:, None], 0, None)
        by_cohort = [bg_nbd.expected_since_start(age, r, alpha, a, b) for age in ages]
        paths.append(cohorts["customers"].to_numpy() @ np.array(by_cohort))
    low, high = np.quantile(paths, [0.05, 0.95], axis=0)
    assert list(found) == ["mean", "low", "high"] and found["mean"][0] == 0
    for name, expected in (("mean", np.mean(paths, axis=0)), ("low", low), ("high", high)):
        assert found[name].to_numpy() == pytest.approx(expected, rel=0.003)
