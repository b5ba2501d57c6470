from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import overview
from cvmlib.churn.months import month_index
from cvmlib.churn.simulate import simulate_counts
from cvmlib.churn.validation import check_holdout, estimate_kaplan_meier
from cvmlib.reporting import subscriber_tables as tables
from cvmlib.reporting import subscriber_words as words

END = date(2026, 6, 30)
END_MONTH = month_index(END)
TOTALS = {
    "verdict": {"level": "sound", "headline": "Fine.", "reasons": []},
    "active": 4237, "horizon_months": 12, "currency": "EUR", "end_of_observation": "2026-06-30",
    "value": {"mean": 464e3, "low": 459e3, "high": 469e3}, "revenue": {"mean": 965e3, "low": 955e3, "high": 975e3},
    "holdout": {"months": 12, "mean": 660e3, "low": 648e3, "high": 670e3, "actual": 668e3, "inside": True, "bias": 0.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def counts():
    return simulate_counts(60, {"a": np.full(60, 0.03), "b": np.full(60, 0.01)}, {"a": 10.0, "b": 20.0}, END, 36, 1)


def test_value_is_told_with_its_uncertainty():
    text = words.describe_value(TOTALS)
    assert "between 459 and 469 thousand EUR, most likely 464" in text and "4,237 active customers" in text


def test_a_withheld_value_is_not_told():
    verdict = {"level": "withheld", "headline": "Not yet.", "reasons": []}
    text = words.describe_value({**TOTALS, "verdict": verdict})
    assert text.endswith("is withheld.") and "464" not in text


def test_holdout_in_words():
    assert "668 thousand EUR came, inside the interval" in words.describe_holdout(TOTALS)
    assert "never compared" in words.describe_holdout({**TOTALS, "holdout": None})


def test_base_in_words(counts):
    base = overview.summarise_base(counts, END_MONTH)
    data = SimpleNamespace(observed_from=END_MONTH - 20, active_customers=10, customers=20)
    assert words.describe_base(base, "Mobile").startswith("Mobile has ")
    sentences = words.describe_turnover(base, data, "EUR")
    assert any("on record from October 2024 only" in sentence for sentence in sentences)
    assert set(words.list_facts(base, data, "EUR")) == {
        "Active subscriptions", "Customers", "Revenue per month", "Leave per month",
    }  # fmt: skip


def test_words_without_history(counts):
    young = counts[counts["joined"] == END_MONTH]
    base = overview.summarise_base(young, END_MONTH)
    assert "none twelve months ago" in words.describe_base(base, "Mobile")
    assert words.describe_revenue(overview.tabulate_flow(young, END_MONTH), "EUR").endswith("per month.")
    assert words.describe_survival(estimate_kaplan_meier(young, "plan")) == "No plan has been observed for a year yet."
    assert "nothing to compare" in words.describe_cohorts(overview.tabulate_cohorts(young, END_MONTH))


def test_worst_plan_is_named(counts):
    assert "plan a leave most" in words.describe_plans(overview.tabulate_plans(counts, END_MONTH))


def test_spread_and_forecast_of_nobody():
    assert words.describe_spread(pd.DataFrame({"value": []}), "EUR") == "No customer has an active subscription."
    assert words.describe_plan_value(pd.DataFrame(), "EUR") == "No subscription is active."
    assert words.describe_hazard(pd.DataFrame({"tenure": [], "plan": [], "hazard": []})).startswith("There is nobody")


def test_holdout_tables(counts):
    check = check_holdout(counts, END_MONTH, 12, draws=100)
    course = tables.holdout_course(check.course, "revenue")
    assert course["date"].iloc[[0, -1]].dt.date.tolist() == [date(2025, 7, 31), END]
    assert "Kaplan–Meier" in tables.holdout_table(check.course, "active subscriptions")
    assert "Kaplan–Meier" not in tables.holdout_table(check.course, "revenue")
    assert tables.groups_table(check.cells)["Inside"].isin(["yes", "no"]).all()
    empty = replace(check, course=pd.DataFrame({"measure": []}))
    assert tables.holdout_course(empty.course, "revenue").empty


def test_reasons_by_year():
    leaving = pd.DataFrame(
        {
            "month": [END_MONTH, END_MONTH - 11, END_MONTH - 12],
            "end_reason": ["x", "y", "x"],
            "subscriptions": [1, 3, 5],
        }
    )
    table = tables.reasons_table(leaving, END_MONTH)
    assert table["Last 12 months"].tolist() == [1, 3]
    assert table["12 months before"].tolist() == [5, 0]
    assert table["Share of last 12 months"].tolist() == [0.25, 0.75]


def test_best_customers_come_first():
    customers = pd.DataFrame({"customer_id": list("abc"), "value": [1.0, 3.0, 2.0]})
    for name in ("plan", "tenure", "price", "p_active", "value_low", "value_high"):
        customers[name] = 0
    assert tables.best_customers_table(customers, "EUR", rows=2)["Customer"].tolist() == ["b", "c"]
