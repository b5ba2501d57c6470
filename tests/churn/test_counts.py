from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.churn.counts import (
    OTHER_PLANS,
    active_cells,
    build_cohort_cube,
    build_life_table,
    build_spells,
    censor_counts,
    count_subscriptions,
    infer_observed_from,
)
from cvmlib.churn.months import month_index
from cvmlib.errors import DataError
from tests.churn.conftest import END, END_MONTH


def brute_force(subscriptions: pd.DataFrame, observed_from: int | None = None) -> pd.DataFrame:
    """At risk and churned per plan and tenure, one subscriber and month at a time."""
    cells: dict[tuple[str, int], list[int]] = {}
    for row in subscriptions.itertuples():
        joined = 12 * row.start.year + row.start.month - 1
        ended = not pd.isna(row.end)
        last = 12 * row.end.year + row.end.month - 1 if ended else END_MONTH
        for month in range(joined, last + 1):
            if observed_from is None or month >= observed_from:
                cell = cells.setdefault((row.plan, month - joined), [0, 0])
                cell[0] += 1
                cell[1] += ended and month == last
    rows = [(plan, tenure, n, d) for (plan, tenure), (n, d) in sorted(cells.items())]
    return pd.DataFrame(rows, columns=["plan", "tenure", "at_risk", "churned"])


@pytest.mark.parametrize("observed_from", [None, END_MONTH - 20])
def test_life_table_equals_brute_force(subscriptions, counts, observed_from):
    expected = brute_force(subscriptions, observed_from)
    found = build_life_table(counts, "plan", observed_from)[["plan", "tenure", "at_risk", "churned"]]
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_cohort_cube_sums_to_the_life_table(counts):
    plans, _, at_risk, churned = build_cohort_cube(counts, END_MONTH - 20)
    for plan, n, d in zip(plans, at_risk.sum(axis=1), churned.sum(axis=1), strict=True):
        table = build_life_table(counts[counts["plan"] == plan], None, END_MONTH - 20).set_index("tenure")
        np.testing.assert_array_equal(n[table.index], table["at_risk"])
        np.testing.assert_array_equal(d[table.index], table["churned"])


def test_censoring_the_counts_equals_counting_earlier(subscriptions, counts):
    earlier = date(2025, 6, 30)
    seen = subscriptions.assign(end=subscriptions["end"].where(subscriptions["end"] <= pd.Timestamp(earlier)))
    expected = count_subscriptions(build_spells(ibis.memtable(seen), earlier))
    found = censor_counts(counts, month_index(earlier))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_an_end_after_the_observation_is_not_known_yet(count_frame):
    counts = count_frame([("a", "2026-01-10", "2026-07-01", 5.0), ("b", "2026-07-01", None, 5.0)])
    assert counts[["subscriptions", "tenure", "churned"]].values.tolist() == [[1, 5, False]]


def test_end_equal_to_start_is_a_leaver_of_the_month_of_joining(count_frame):
    counts = count_frame([("a", "2026-03-10", "2026-03-10", 5.0)])
    assert counts[["tenure", "churned", "billed"]].values.tolist() == [[0, True, 1]]


def test_the_month_of_leaving_is_billed_only_after_the_billing_day(count_frame):
    ends = ["2026-05-10", "2026-05-11", "2026-05-09"]
    counts = count_frame([(str(i), "2026-03-10", end, 5.0, f"p{i}") for i, end in enumerate(ends)])
    assert counts["billed"].tolist() == [0, 1, 0]
    assert (counts["tenure"] == 2).all()


def test_contract_ends_fall_in_one_tenure_month_whatever_the_day(count_frame):
    rows = [(str(d), f"2024-05-{d:02d}", f"2025-05-{d:02d}", 5.0) for d in (1, 12, 28, 31)]
    assert count_frame(rows)["tenure"].tolist() == [12]


def test_missing_and_zero_prices_are_counted_and_worth_nothing(count_frame):
    counts = count_frame(
        [("a", "2026-01-10", None, None), ("b", "2026-01-10", None, 0.0), ("c", "2026-01-11", None, 9.0)]
    )
    assert counts[["subscriptions", "price", "unpriced"]].values.tolist() == [[3, 9.0, 2]]


def test_rejoining_customers_have_numbered_spells():
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b"],
            "start": pd.to_datetime(["2025-01-05", "2024-01-05", "2024-01-05"]),
            "end": pd.to_datetime([None, "2024-06-05", None]),
            "price": 5.0,
        }
    )
    spells = build_spells(ibis.memtable(frame), END).execute().sort_values(["customer_id", "start"])
    assert spells["spell"].tolist() == [1, 2, 1]
    assert spells["tenure"].tolist() == [5, 17, 29]


def test_small_plans_are_counted_together(count_frame):
    rows = [(f"{p}{i}", "2026-01-10", None, 5.0, f"plan {p}") for p in range(6) for i in range(6 - p)]
    counts = count_frame(rows, max_plans=3)
    assert dict(zip(counts["plan"], counts["subscriptions"], strict=True)) == {
        OTHER_PLANS: 10, "plan 0": 6, "plan 1": 5,
    }  # fmt: skip


def test_no_subscription_is_an_error_that_says_where_to_look(count_frame):
    with pytest.raises(DataError, match="no subscription starts on or before"):
        count_frame([("a", "2026-07-10", None, 5.0)])


def test_records_that_begin_late_are_found(subscriptions, counts):
    assert infer_observed_from(counts) is None
    begin = pd.Timestamp(2025, 1, 1)
    survivors = subscriptions[subscriptions["end"].isna() | (subscriptions["end"] >= begin)]
    late = count_subscriptions(build_spells(ibis.memtable(survivors), END))
    assert infer_observed_from(late) == month_index(date(2025, 2, 1))
    truth, told, naive = (
        build_life_table(*arguments).set_index("tenure")["hazard"].loc[1:12].mean()
        for arguments in ((counts,), (late, None, infer_observed_from(late)), (late,))
    )
    assert abs(told / truth - 1) < 0.15 < 0.3 < 1 - naive / truth


def test_a_minimum_term_is_not_taken_for_missing_records(count_frame):
    rows = [
        (f"{month}-{i}", f"{2024 + month // 12}-{1 + month % 12:02d}-03", None, 5.0)
        for month in range(24)
        for i in range(20)
    ]
    left = [
        (f"{name}x", start, f"{int(start[:4]) + 1}{start[4:]}", 5.0) for name, start, _, _ in rows if start < "2025-07"
    ]
    assert infer_observed_from(count_frame(rows + left)) is None


def test_active_cells_hold_all_active_subscriptions(subscriptions, counts):
    cells = active_cells(counts)
    active = subscriptions[subscriptions["end"].isna()]
    assert cells["subscriptions"].sum() == len(active)
    assert cells["price"].sum() == pytest.approx(active["price"].sum())
    assert cells["price_sq"].sum() == pytest.approx((active["price"] ** 2).sum())
