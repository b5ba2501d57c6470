from datetime import date

import ibis
import pandas as pd
import pytest

from cvmlib.churn.months import (
    closing_day,
    day_of_grid_month,
    month_index,
    month_index_column,
    month_label,
    month_start,
)


@pytest.mark.parametrize(
    ("end", "closing"),
    [(date(2026, 6, 30), 31), (date(2024, 2, 29), 31), (date(2023, 2, 28), 31), (date(2026, 6, 15), 15)],
)
def test_closing_day(end, closing):
    assert closing_day(end) == closing


def test_the_end_lies_in_its_own_month_and_the_next_day_does_not():
    for end in (date(2026, 6, 30), date(2026, 6, 15), date(2024, 2, 29)):
        following = (pd.Timestamp(end) + pd.Timedelta(days=1)).date()
        closing = closing_day(end)
        assert month_index(following, closing) == month_index(end, closing) + 1


@pytest.mark.parametrize("closing", [31, 15, 30])
def test_engine_counts_months_like_python(closing):
    days = pd.date_range("2023-12-25", "2025-03-05")
    table = ibis.memtable(pd.DataFrame({"day": days}))
    found = table.select("day", month=month_index_column(table.day, closing)).execute()
    assert found["month"].tolist() == [month_index(day.date(), closing) for day in found["day"]]


def test_place_in_the_month_rises_within_a_grid_month():
    days = pd.date_range("2026-05-16", "2026-06-15")
    table = ibis.memtable(pd.DataFrame({"day": days}))
    places = table.select("day", place=day_of_grid_month(table.day, 15)).execute().sort_values("day")["place"]
    assert places.is_monotonic_increasing and places.iloc[0] == 0


def test_labels():
    assert month_label(month_index(date(2026, 1, 31))) == "2026-01"
    assert month_start(month_index(date(2026, 12, 31))) == date(2026, 12, 1)
