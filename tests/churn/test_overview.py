import numpy as np
import pytest

from cvmlib.churn import overview
from tests.churn.conftest import END_MONTH


def test_flow_adds_up(counts, subscriptions):
    flow = overview.tabulate_flow(counts, END_MONTH)
    active = subscriptions[subscriptions["end"].isna()]
    assert flow["joined"].sum() == len(subscriptions)
    assert flow["active"].iloc[-1] == len(active)
    assert flow["revenue"].iloc[-1] == pytest.approx(active["price"].sum())
    assert np.isnan(flow["churn_rate"].iloc[0])


def test_flow_by_hand(count_frame):
    counts = count_frame([("a", "2026-01-10", "2026-03-10", 10.0), ("b", "2026-02-10", None, 30.0)])
    flow = overview.tabulate_flow(counts, END_MONTH)
    assert flow["active"].tolist() == [1, 2, 1, 1, 1, 1]
    assert flow["left"].tolist() == [0, 0, 1, 0, 0, 0]
    assert flow["churn_rate"].tolist()[1:] == [0, 0.5, 0, 0, 0]
    assert flow["revenue"].tolist() == [10, 40, 30, 30, 30, 30]


def test_base_and_plans_agree(counts):
    base, plans = overview.summarise_base(counts, END_MONTH), overview.tabulate_plans(counts, END_MONTH)
    assert plans["active"].sum() == base["active"]
    assert plans["left"].sum() == base["left"]
    assert plans["share"].sum() == pytest.approx(1) and plans["revenue_share"].sum() == pytest.approx(1)
    assert overview.tabulate_tenure(counts)["active"].sum() == base["active"]


def test_everybody_gone(count_frame):
    counts = count_frame([("a", "2025-01-10", "2025-03-10", 10.0)])
    base = overview.summarise_base(counts, END_MONTH)
    assert base["active"] == 0 and base["revenue"] == 0 and np.isnan(base["churn_rate"])
    assert overview.tabulate_plans(counts, END_MONTH)["share"].tolist() == [0]


def test_cohort_triangle_equals_brute_force(counts, subscriptions):
    table = overview.tabulate_cohorts(counts, END_MONTH)
    starts = subscriptions["start"].dt.to_period("M")
    ends = subscriptions["end"].dt.to_period("M")
    for quarter in table.index:
        year, number = int(quarter[:4]), int(quarter[-1])
        part = (starts.dt.year == year) & (starts.dt.quarter == number)
        for age in table.columns[table.loc[quarter].notna()]:
            lived = (ends[part] - starts[part]).map(lambda gap: gap.n, na_action="ignore")
            assert table.loc[quarter, age] == pytest.approx(1 - (lived <= 3 * age).mean())
    last = table.iloc[-1].dropna()
    assert last.index.tolist() == [0] and table.index[-1] == "2026 Q2"


def test_cohorts_of_survivors_are_left_out(counts):
    table = overview.tabulate_cohorts(counts, END_MONTH, observed_from=END_MONTH - 5)
    assert table.index.tolist() == ["2026 Q1", "2026 Q2"]
