"""Payback: Kaplan-Meier by hand, first months by hand, and costs that cannot be."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.decisions.payback import (
    ALL,
    check_costs,
    compare_costs,
    count_paybacks,
    estimate_payback,
    sum_first_months,
)
from cvmlib.decisions.penetration import Account, compare_returns, value_steps
from cvmlib.errors import DataError

END = date(2026, 6, 30)


def cash(rows: list[tuple]) -> ibis.Table:
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "margin"])
    return ibis.memtable(frame.assign(day=pd.to_datetime(frame["day"]), revenue=frame["margin"], purchases=1))


FLOW = cash(
    [("a", "2025-01-01", 5.0), ("a", "2025-01-20", 5.0), ("b", "2025-01-01", 4.0), ("b", "2025-04-15", 8.0)]
    + [("c", "2025-12-01", 1.0), ("d", "2026-06-20", 20.0)]
)
PEOPLE = ibis.memtable(
    pd.DataFrame(
        {
            "customer_id": list("abcde"),
            "acquisition_cost": [10.0, 10.0, 10.0, 10.0, np.nan],
            "acquisition_channel": ["web", "web", "shop", None, "web"],
        }
    )
)


def test_months_to_payback_are_counted_and_the_others_followed():
    counts = count_paybacks(FLOW, PEOPLE, END)
    found = counts.set_index("channel")[["month", "paid"]].apply(tuple, axis=1)
    assert sorted(found["web"]) == [(1, True), (4, True)]
    assert found["shop"] == (7, False) and found["not stated"] == (1, True)


def test_share_paid_back_is_that_of_kaplan_and_meier():
    counts = pd.DataFrame(
        {"channel": "x", "month": [1, 2, 2, 5], "paid": [True, False, True, True], "customers": [2, 3, 1, 4]}
    )
    table = estimate_payback(counts, (1, 3, 6)).set_index(["channel", "month"])["paid"]
    assert table[(ALL, 1)] == pytest.approx(0.2)
    assert table[(ALL, 3)] == pytest.approx(1 - 0.8 * (1 - 1 / 8))
    assert (ALL, 6) not in table.index


def test_interval_holds_the_true_share():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(100):
        month, seen = rng.geometric(0.1, 300), rng.integers(1, 30, 300)
        counts = pd.DataFrame({"channel": "x", "month": np.minimum(month, seen), "paid": month <= seen, "customers": 1})
        row = estimate_payback(counts.groupby(["channel", "month", "paid"], as_index=False).sum(), (6,)).iloc[0]
        inside += row["low"] <= 1 - 0.9**6 <= row["high"]
    assert 82 <= inside <= 98


def test_first_months_leave_out_whoever_came_too_late():
    people = PEOPLE.mutate(kind=ibis.literal("k"))
    found = sum_first_months(FLOW, people, END, 6, 0.0, "kind")
    assert found["customers"].item() == 3  # the fourth came ten days ago
    assert found["mean"].item() == pytest.approx((10 + 12 + 1) / 3)
    discounted = sum_first_months(FLOW, None, END, 6, 0.10)
    later = 1.1 ** -((pd.Timestamp("2025-04-15") - pd.Timestamp("2025-01-01")).days / 365.25)
    soon = 1.1 ** (-19 / 365.25)
    assert discounted["mean"].item() == pytest.approx((5 + 5 * soon + 4 + 8 * later + 1) / 3)


def test_twelve_months_of_a_subscription_are_twelve_payments():
    begun = pd.to_datetime(["2024-01-31", "2024-03-15", "2025-06-30", "2025-07-01"])  # a leap year, and the last days
    paid = [(name, day + pd.DateOffset(months=month), 1.0) for name, day in zip("abcd", begun, strict=True)
            for month in range(30) if day + pd.DateOffset(months=month) <= pd.Timestamp(END)]  # fmt: skip
    found = sum_first_months(cash(paid), None, END, 12, 0.0).iloc[0]
    assert found["customers"] == 4 and found["mean"] == 12.0 and found["deviation"] == 0.0


def test_mean_margin_is_held_against_mean_cost():
    table = compare_costs(FLOW, PEOPLE, END, (1, 6)).set_index(["channel", "month"])
    assert table.loc[(ALL, 6), ["followed", "margin", "cost"]].tolist() == pytest.approx([3, 23 / 3, 10.0])
    assert table.loc[("web", 6), "margin"] == 11.0 and 0.5 < table.loc[("web", 6), "chance"] < 1


def test_negative_costs_are_refused():
    people = PEOPLE.mutate(acquisition_cost=-PEOPLE.acquisition_cost)
    with pytest.raises(DataError, match=r"shop.customers.acquisition_cost: 4 rows have a negative cost: a \(-10\)"):
        check_costs(people.filter(people.acquisition_cost.notnull() & ~people.acquisition_cost.isnan()), "shop")


def test_ways_to_earn_more_are_compared_and_one_alone_is_not():
    newcomers = pd.DataFrame({"customers": [100], "mean": [30.0], "deviation": [10.0]})
    names = ["intended_outcome", "cost", "gain", "gain_low", "gain_high", "back", "verdict"]
    results = pd.DataFrame(
        [("retention", 100.0, 90.0, 60.0, 120.0, 0.9, "retest"), ("acquisition", 5.0, 500.0, 1.0, 900.0, 99.0, "keep"),
         ("revenue", 50.0, 0.0, -5.0, 5.0, 0.0, "not measured")],
        columns=names,
    )  # fmt: skip
    table = compare_returns(newcomers, 20.0, results, 0.9).set_index("way")
    assert table.loc["market", "back"] == pytest.approx(1.5) and table.loc["account", "back"] == pytest.approx(0.9)
    assert table.loc["account", "rests_on"] == 1 and table["chance"].sum() == pytest.approx(1.0)
    assert table.loc["market", "chance"] > 0.95
    alone = compare_returns(newcomers, float("nan"), results, 0.9)
    assert alone["way"].tolist() == ["account"] and np.isnan(alone["chance"].item())


def test_one_more_customer_is_held_against_more_of_each():
    newcomers = pd.DataFrame({"customers": [100], "mean": [30.0], "deviation": [10.0]})
    account = Account(50.0, 8.0, np.linspace(6.0, 10.0, 101), float("nan"), np.ones(1))
    table = value_steps(newcomers, 20.0, account, 400.0, 0.9).set_index("step")
    assert table.loc["customer", ["gross", "cost", "each", "number", "hundredth"]].tolist() == [30, 20, 10, 400, 40]
    reach = 1.6449 * 10 / np.sqrt(100)
    assert table.loc["customer", ["low", "high"]].tolist() == pytest.approx([10 - reach, 10 + reach], abs=1e-3)
    assert table.loc["purchase", ["each", "low", "high", "hundredth"]].tolist() == pytest.approx([8.0, 6.2, 9.8, 4.0])
    assert table.loc["purchase", "most"] == pytest.approx(8.0 / 1.5)  # then 8 for 5.33 is 1.5 back, as of 30 for 20
    assert "category" not in table.index
    unknown = value_steps(newcomers, float("nan"), account, float("nan"), 0.9)
    assert unknown["step"].tolist() == ["purchase"] and np.isnan(unknown["most"].item())
