"""Counts of opportunities against a brute-force count in pandas, and on a simulated log of yearly purchases."""

import os
from datetime import date, timedelta
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.counts import count_purchases, count_rows
from cvmlib.clv.families import bg_bb
from cvmlib.clv.opportunities import (
    OPPORTUNITIES,
    count_opportunities,
    last_whole_period,
    opportunities_between,
)

DATA = Path(os.environ.get("CVM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
END, HOLDOUT_END = date(2025, 8, 20), date(2027, 2, 28)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """Purchases of 300 customers over five years, some several on a day or in a week, one of value zero."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(300):
        days = rng.integers(0, 1000) + np.r_[0, np.cumsum(rng.geometric(1 / rng.choice([3, 40, 200]), 12))]
        for day in days[: rng.integers(1, 13)]:
            at = pd.Timestamp(2022, 12, 25) + pd.Timedelta(days=int(day), seconds=int(rng.integers(0, 86_400)))
            rows.append((f"c{number}", at, round(float(rng.lognormal(3, 1)), 2)))
    rows.append(("free", pd.Timestamp(2023, 1, 2), 0.0))
    # the first and last days of years, quarters, months and weeks
    rows += [
        ("edge", pd.Timestamp(day), 10.0) for day in ("2023-12-31 23:59:59", "2024-01-01", "2024-03-31", "2024-04-01")
    ]
    return pd.DataFrame(rows, columns=["customer_id", "date", "value"])


def start_of(at: pd.Timestamp, opportunity: str) -> pd.Timestamp:
    day = at.normalize()
    if opportunity == "week":
        return day - pd.Timedelta(days=day.day_of_week)
    month = {"month": day.month, "quarter": 3 * ((day.month - 1) // 3) + 1, "year": 1}[opportunity]
    return pd.Timestamp(day.year, month, 1)


def brute(log: pd.DataFrame, end: date, opportunity: str, holdout_end: date) -> pd.DataFrame:
    step = {"week": {"weeks": 1}, "month": {"months": 1}, "quarter": {"months": 3}, "year": {"years": 1}}[opportunity]
    calendar = [start_of(pd.Timestamp(2022, 12, 19), opportunity)]
    while calendar[-1] < pd.Timestamp(2036, 1, 1):
        calendar.append(calendar[-1] + pd.DateOffset(**step))
    number = {start: i for i, start in enumerate(calendar)}
    last, final = (
        max(i for i, following in enumerate(calendar[1:]) if following.date() <= day + timedelta(days=1))
        for day in (end, holdout_end)
    )
    rows = []
    for customer, bought in log.sort_values("date").groupby("customer_id"):
        of = bought["date"].map(lambda at: number[start_of(at, opportunity)])
        by_period = bought.groupby(of)["value"].sum()
        seen, after = (
            by_period[by_period.index <= last],
            by_period[(by_period.index > last) & (by_period.index <= final)],
        )
        if seen.empty:
            continue
        before = bought["date"][of <= last].dt.floor("D")
        rows.append(
            {
                "customer_id": customer,
                "first": before.min(),
                "last": before.max(),
                "frequency": len(seen) - 1,
                "recency": float(seen.index[-1] - seen.index[0]),
                "T": float(last - seen.index[0]),
                "monetary_value": seen.iloc[1:].mean() if len(seen) > 1 else 0.0,
                "total_value": seen.sum(),
                "holdout_frequency": len(after),
                "holdout_value": after.sum(),
                "holdout_T": float(final - last),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("opportunity", OPPORTUNITIES)
def test_counts_match_pandas(log, opportunity):
    table = count_opportunities(count_purchases(ibis.memtable(log)), END, opportunity, holdout_end=HOLDOUT_END)
    found = table.order_by("customer_id").to_pandas()
    expected = brute(log, END, opportunity, HOLDOUT_END)
    assert (
        found["frequency"].max() >= 2
        and found["holdout_frequency"].sum() > 10
        and len(found) < len(set(log.iloc[:, 0]))
    )
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)
    bg_bb.check_counts(found["frequency"], found["recency"], found["T"])
    without = count_opportunities(count_purchases(ibis.memtable(log)), END, opportunity).order_by("customer_id")
    pd.testing.assert_frame_equal(without.to_pandas(), found.iloc[:, :8])


def test_rows_group_as_those_of_customers(log):
    customers = count_opportunities(count_purchases(ibis.memtable(log)), END, "quarter")
    rows = count_rows(customers).to_pandas()
    assert list(rows) == ["frequency", "recency", "T", "customers"]
    assert rows["customers"].sum() == customers.count().to_pandas() > 1.5 * len(rows)


@pytest.mark.parametrize(
    ("end", "opportunity", "expected"),
    [
        (date(2024, 12, 31), "year", date(2024, 12, 31)),
        (date(2024, 12, 30), "year", date(2023, 12, 31)),
        (date(2024, 2, 28), "month", date(2024, 1, 31)),
        (date(2024, 2, 29), "month", date(2024, 2, 29)),
        (date(2024, 6, 30), "quarter", date(2024, 6, 30)),
        (date(2024, 8, 1), "quarter", date(2024, 6, 30)),
        (date(2024, 6, 30), "week", date(2024, 6, 30)),  # a Sunday
        (date(2024, 7, 6), "week", date(2024, 6, 30)),
    ],
)
def test_only_whole_periods_count(end, opportunity, expected):
    assert last_whole_period(end, opportunity) == expected


def test_opportunities_between_days():
    assert opportunities_between(date(2024, 1, 1), date(2027, 1, 1), "year") == 3
    assert opportunities_between(date(2024, 1, 1), date(2024, 4, 1), "quarter") == 1
    assert opportunities_between(date(2024, 2, 1), date(2024, 2, 15), "month") == pytest.approx(14 / 29)
    assert opportunities_between(date(2024, 1, 1), date(2024, 7, 1), "year") == pytest.approx(182 / 366)
    for days in (0, 1, 7, 365, 4000):
        until = date(1965, 3, 3) + timedelta(days=days)
        assert opportunities_between(date(1965, 3, 3), until, "week") == pytest.approx(days / 7, abs=1e-9)


def test_unknown_lengths_are_refused(log):
    with pytest.raises(ValueError, match="opportunity is 'day'; allowed are week, month, quarter, year"):
        count_opportunities(ibis.memtable(log), END, "day")


def test_a_log_of_yearly_purchases_recovers_its_model():
    """Ten thousand customers simulated from a BG/BB by others (BTYD), acquired in 1970 and seen for 13 more years."""
    path = DATA / "clv" / "discrete_sim_elog.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {DATA}; set CVM_DATA to the folder that holds it")
    log = pd.read_csv(path, parse_dates=["date"]).assign(value=1.0).astype({"customer_id": str})
    purchases = count_purchases(ibis.memtable(log))
    table = count_opportunities(purchases, date(1977, 12, 31), "year", holdout_end=date(1983, 12, 31))
    customers = table.to_pandas()
    by_year = log["date"].dt.year.value_counts()
    assert len(customers) == 10_000 and (customers["T"] == 7).all() and (customers["holdout_T"] == 6).all()
    assert customers["frequency"].sum() == by_year.loc[1971:1977].sum()
    assert customers["holdout_frequency"].sum() == by_year.loc[1978:].sum()
    rows = count_rows(table).to_pandas()
    assert len(rows) == 29  # 7 * 8 / 2 + 1, every possible pair
    fitted = bg_bb.fit_maximum_likelihood(rows["frequency"], rows["recency"], rows["T"], rows["customers"])
    expected = 10_000 * np.diff(bg_bb.expected_since_start(np.arange(14.0), *fitted.parameters.values()))
    actual = by_year.loc[1971:].sort_index().to_numpy()
    # Within four standard errors of a year's count in the calibration, and 3 percent in the six years after it.
    assert expected[:7] == pytest.approx(actual[:7], abs=4 * 50)
    assert expected[7:] == pytest.approx(actual[7:], rel=0.03)
