"""The X-ray counted by the engine against the same counted customer by customer in pandas."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import customer_base as base
from tests.clv.bases import END, as_table, random_base


@pytest.fixture(scope="module")
def frame():
    return random_base()


@pytest.fixture(scope="module")
def purchases(frame):
    return as_table(frame)


def test_headline_equals_brute_force(frame, purchases):
    found = base.describe_base(purchases, END)
    recent = frame[frame["period"] > "2025-06-30"]
    before = frame[(frame["period"] > "2024-06-30") & (frame["period"] <= "2025-06-30")]
    assert found.customers == frame["customer_id"].nunique()
    assert found.purchases == len(frame)
    assert found.active == recent["customer_id"].nunique()
    assert found.active_before == before["customer_id"].nunique()
    assert found.recent_revenue == pytest.approx(recent["value"].sum())
    assert found.revenue_growth == pytest.approx(recent["value"].sum() / before["value"].sum() - 1)
    assert found.repeat_share == pytest.approx((frame.groupby("customer_id").size() > 1).mean())


def test_months_equal_brute_force(frame, purchases):
    months = base.count_months(purchases, END, lapse=3).set_index("month")
    at = frame["period"].dt.to_period("M")
    first = at.groupby(frame["customer_id"]).transform("min")
    by_customer = at.groupby(frame["customer_id"]).unique()
    for month in pd.period_range("2023-02", "2026-06", freq="M"):
        row = months.loc[month.to_timestamp()]
        window = pd.period_range(month - 2, month, freq="M")
        base_now = sum(any(m in window for m in bought) for bought in by_customer)
        lapsed = sum((month - 3) in bought and not any(m in window for m in bought) for bought in by_customer)
        assert row["new"] == frame.loc[(at == month) & (first == month), "customer_id"].nunique()
        assert row["returning"] == frame.loc[(at == month) & (first < month), "customer_id"].nunique()
        assert (row["base"], row["lapsed"]) == (base_now, lapsed)
    is_first = frame["period"] == frame.groupby("customer_id")["period"].transform("min")
    assert months["revenue_new"].sum() == pytest.approx(frame.loc[is_first, "value"].sum())
    assert months["revenue_repeat"].sum() == pytest.approx(frame.loc[~is_first, "value"].sum())


def test_months_observed_in_part_are_marked(purchases):
    months = base.count_months(purchases, date(2026, 6, 20))
    assert months["complete"].tolist() == [False] + [True] * (len(months) - 2) + [False]
    assert base.count_months(purchases, END)["complete"].iloc[-1]


def test_years_explain_every_cent_of_the_change(frame, purchases):
    years = base.count_years(purchases, END)
    assert years["end"].dt.date.tolist() == [date(2024, 6, 30), date(2025, 6, 30), date(2026, 6, 30)]
    causes = years[["from_customers", "from_frequency", "from_value"]].sum(axis=1).iloc[1:]
    assert causes.to_numpy() == pytest.approx(np.diff(years["revenue"]))
    assert years["revenue"].iloc[-1] == pytest.approx(frame.loc[frame["period"] > "2025-06-30", "value"].sum())
    assert (years["customers"] * years["frequency"] * years["value"]).to_numpy() == pytest.approx(years["revenue"])
    bridge = base.bridge_years(years)
    assert bridge["value"].iloc[:-1].sum() == pytest.approx(bridge["value"].iloc[-1])


def test_twice_the_customers_alike_is_explained_by_customers_alone():
    one = pd.DataFrame({"customer_id": ["a"], "period": ["2024-07-15"], "value": [10.0]})
    two = pd.DataFrame({"customer_id": ["a", "b"], "period": ["2025-08-01"] * 2, "value": [10.0, 10.0]})
    start = pd.DataFrame({"customer_id": ["z"], "period": ["2024-07-01"], "value": [10.0]})
    years = base.count_years(as_table(pd.concat([start.assign(value=0.0), one, two])), END)
    years_row = years.iloc[-1]
    assert years_row["customers"] == 2
    assert years_row[["from_customers", "from_frequency"]].to_numpy(float) == pytest.approx([0.0, 0.0])
    assert years_row["from_value"] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("start", "end", "months", "year", "lapse"),
    [
        (date(2026, 4, 1), date(2026, 6, 30), 3, False, 1),
        (date(2026, 4, 5), date(2026, 6, 30), 2, False, 1),
        (date(2025, 7, 1), date(2026, 6, 30), 12, True, 4),
        (date(2024, 7, 2), date(2026, 6, 30), 24, True, 12),
        (date(2016, 7, 1), date(2026, 6, 29), 119, True, 12),
        (date(2026, 6, 10), date(2026, 6, 20), 0, False, 1),
    ],
)
def test_span(start, end, months, year, lapse):
    span = base.Span(start, end)
    assert len(span.complete("month")) == months
    assert span.holds(12) is year
    assert span.months_to_lapse() == lapse


def test_a_short_history_compares_nothing():
    frame = random_base(40, date(2026, 4, 1))
    found = base.describe_base(as_table(frame), END)
    assert (found.recent_months, found.active_before, found.active_growth) == (None, None, None)
    assert found.active == found.customers == 40
    years = base.count_years(as_table(frame), END)
    assert years.empty
    assert base.bridge_years(years).empty


def test_hours_and_weeks_are_read_as_days():
    hours = random_base(60)
    hours["period"] += pd.Timedelta(hours=13)
    import ibis

    found = base.count_months(ibis.memtable(hours), END)
    assert found["new"].sum() == 60


def test_no_purchase_is_an_error_that_says_so(purchases):
    with pytest.raises(ValueError, match="no purchase up to 2020-01-01"):
        base.describe_base(purchases, date(2020, 1, 1))


def test_one_customer_one_purchase():
    table = as_table(pd.DataFrame({"customer_id": ["a"], "period": ["2026-05-03"], "value": [5.0]}))
    assert base.describe_base(table, END).repeat_share == 0
    months = base.count_months(table, END)
    assert months[["new", "returning", "revenue_repeat"]].sum().tolist() == [1, 0, 0]
