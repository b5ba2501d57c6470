"""Counts of opportunities against a brute-force count in pandas, and on a simulated log of yearly purchases."""

import os
from datetime import date, timedelta
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.counts import count_customers, count_purchases
from cvmlib.clv.families import bg_bb
from cvmlib.clv.opportunities import clock_opportunities
from cvmlib.periods import OPPORTUNITIES, last_period, last_whole_period

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


def count(log: pd.DataFrame, end: date, opportunity: str, holdout_end: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers as they are counted, by days, and on the clock of their opportunities."""
    end, holdout_end = (last_whole_period(day, opportunity) for day in (end, holdout_end))
    purchases = count_purchases(ibis.memtable(log), opportunity)
    table = count_customers(purchases, end, time_unit=opportunity, holdout_end=holdout_end)
    found = table.order_by("customer_id").to_pandas()
    now = pd.Timestamp(last_period(end, opportunity))
    clock = clock_opportunities(now, log["date"].min().date(), 365.0, opportunity)
    return found, clock.convert(found)


@pytest.mark.parametrize("opportunity", OPPORTUNITIES)
def test_counts_match_pandas(log, opportunity):
    by_days, found = count(log, END, opportunity, HOLDOUT_END)
    expected = brute(log, END, opportunity, HOLDOUT_END)
    assert (
        found["frequency"].max() >= 2
        and found["holdout_frequency"].sum() > 10
        and len(found) < len(set(log.iloc[:, 0]))
    )
    same = ["customer_id", "frequency", "recency", "T", "monetary_value", "total_value", "holdout_frequency"]
    pd.testing.assert_frame_equal(found[same], expected[same], check_dtype=False, rtol=1e-12)
    bg_bb.check_counts(found["frequency"], found["recency"], found["T"])
    starts = expected[["first", "last"]].map(lambda at: start_of(at, opportunity))
    pd.testing.assert_frame_equal(by_days[["first", "last"]], starts, check_dtype=False)
    whole = by_days["T"] == 0  # acquired in the last period
    assert (found.loc[whole, "T"] == 0).all()


@pytest.mark.parametrize(("opportunity", "ahead"), [("week", 52.0), ("month", 12.0), ("quarter", 4.0), ("year", 1.0)])
def test_the_clock_goes_on_by_one_a_period(opportunity, ahead):
    now = pd.Timestamp(last_period(date(2024, 12, 29), opportunity))
    clock = clock_opportunities(now, date(2010, 5, 5), 400.0, opportunity)
    later = now + (pd.Timedelta(weeks=52) if opportunity == "week" else pd.DateOffset(years=1))
    days = (later - now).days
    assert clock.ahead(np.array([days]), 3)[:, 0] == pytest.approx([ahead] * 3, abs=1e-9)
    assert clock.elapsed(np.array([0.0]))[0] == 0.0 and clock.plain


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


def test_parts_of_a_period_go_by_its_days():
    clock = clock_opportunities(pd.Timestamp(2024, 1, 1), date(2020, 1, 1), 400.0, "year")
    assert clock.ahead(np.array([182.0]), 1)[0, 0] == pytest.approx(182 / 366)


def test_unknown_lengths_are_refused():
    with pytest.raises(ValueError, match="opportunity is 'day'; allowed are week, month, quarter, year"):
        clock_opportunities(pd.Timestamp(2024, 1, 1), date(2020, 1, 1), 30.0, "day")


def test_a_log_of_yearly_purchases_recovers_its_model():
    """Ten thousand customers simulated from a BG/BB by others (BTYD), acquired in 1970 and seen for 13 more years."""
    path = DATA / "clv" / "discrete_sim_elog.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {DATA}; set CVM_DATA to the folder that holds it")
    log = pd.read_csv(path, parse_dates=["date"]).assign(value=1.0).astype({"customer_id": str})
    by_days, customers = count(log, date(1977, 12, 31), "year", date(1983, 12, 31))
    by_year = log["date"].dt.year.value_counts()
    assert len(customers) == 10_000 and np.allclose(customers["T"], 7) and (by_days["holdout_T"] == 365 * 6 + 1).all()
    assert customers["frequency"].sum() == by_year.loc[1971:1977].sum()
    assert customers["holdout_frequency"].sum() == by_year.loc[1978:].sum()
    keys = ["frequency", "recency", "T"]
    rows = customers[keys].round(9).groupby(keys).size().reset_index(name="customers")
    assert len(rows) == 29  # 7 * 8 / 2 + 1, every possible pair
    fitted = bg_bb.fit_maximum_likelihood(rows["frequency"], rows["recency"], rows["T"], rows["customers"])
    expected = 10_000 * np.diff(bg_bb.expected_since_start(np.arange(14.0), *fitted.parameters.values()))
    actual = by_year.loc[1971:].sort_index().to_numpy()
    # Within four standard errors of a year's count in the calibration, and 3 percent in the six years after it.
    assert expected[:7] == pytest.approx(actual[:7], abs=4 * 50)
    assert expected[7:] == pytest.approx(actual[7:], rel=0.03)
