import pandas as pd
import pytest

from cvmlib.churn.validation import HoldoutCheck
from cvmlib.churn.verdict import Evidence, judge


def holdout(bias=0.0, inside=True, covered=6, groups=6):
    total = {"bias": bias, "inside": inside, "mean": 1.0, "low": 0.9, "high": 1.1, "actual": 1.0}
    cells = pd.DataFrame({"inside": [True] * covered + [False] * (groups - covered)})
    return HoldoutCheck(0, 12, 100, pd.DataFrame(), total, cells)


GOOD = {"active": 1000, "leavers": 900, "extrapolated": 0.1, "unpriced": 0.0, "holdout_months": 12}


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, "sound", "inside its forecast interval"),
        ({"active": 0}, "withheld", "No subscription is active"),
        ({"leavers": 0}, "withheld", "The data hold 0 leavers"),
        ({"leavers": 100}, "caution", "100 leavers only"),
        ({"leaving_months": 1}, "caution", "All leavers left in one and the same month, as in a snapshot"),
        ({"extrapolated": 0.4}, "caution", "40% of the months forecast lie beyond"),
        ({"unpriced": 0.02}, "caution", "2.0% of the active subscriptions have no positive price"),
        ({"holdout": None}, "caution", "had come and gone before the last 12 months"),
        ({"holdout": None, "holdout_months": 0}, "caution", "No months are held out"),
        ({"holdout": holdout(0.15, inside=False)}, "withheld", "15.0% more revenue than came"),
        ({"holdout": holdout(-0.03, inside=False)}, "caution", "3.0% less revenue than came"),
        ({"holdout": holdout(0.08)}, "caution", "8.0% more revenue"),
        ({"holdout": holdout(float("nan"), inside=False)}, "withheld", "outside its forecast interval"),
        ({"holdout": holdout(covered=3)}, "caution", "Of 6 groups of plan and tenure, 3"),
    ],
)
def test_levels_and_reasons(changes, level, words):
    verdict = judge(Evidence(**{**GOOD, "holdout": holdout(), **changes}))
    assert verdict["level"] == level
    assert any(words in reason for reason in verdict["reasons"])


def test_the_gravest_reason_comes_first():
    verdict = judge(Evidence(**{**GOOD, "leavers": 3, "extrapolated": 0.9, "holdout": holdout()}))
    assert "3 leavers" in verdict["reasons"][0]
