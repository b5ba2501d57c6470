"""Count tables against a brute-force count in pandas, on a messy log."""

from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.counts import count_customers, count_purchases, count_returns, count_rows, holdout_split
from cvmlib.periods import last_period

SPLIT, END = date(2025, 3, 14), date(2025, 12, 31)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """Same-day repeats, same-day and later returns, zero values, and single-row customers, to the second."""
    rng = np.random.default_rng(42)
    rows = []
    for number in range(250):
        first = rng.integers(0, 700)
        for day in first + np.r_[0, rng.integers(1, 400, rng.geometric(0.2) - 1)]:
            if day > 730:
                continue
            at = datetime(2024, 1, 1) + timedelta(days=int(day), seconds=int(rng.integers(0, 86_400)))
            value = round(float(rng.lognormal(3, 1)), 2)
            rows.append((f"c{number}", at, value))
            kind = rng.random()
            if kind < 0.15:  # a second order, some hours later
                rows.append((f"c{number}", at + timedelta(hours=int(rng.integers(0, 6))), round(value / 3, 2)))
            elif kind < 0.25:  # returned in part the same day, unless it was late
                rows.append((f"c{number}", at + timedelta(minutes=20), -round(value / 2, 2)))
            elif kind < 0.32:  # returned whole at once
                rows.append((f"c{number}", at, -value))
            elif kind < 0.42:  # returned days later
                rows.append((f"c{number}", at + timedelta(days=int(rng.integers(1, 40))), -value))
            elif kind < 0.50:  # a gift with it, or alone
                rows.append((f"c{number}", at + timedelta(days=int(rng.integers(0, 3))), 0.0))
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "value"])
    frame = frame[frame["date"] < "2026-01-01"].sample(frac=1.0, random_state=1, ignore_index=True)
    assert frame["value"].eq(0).sum() > 50 and frame["value"].lt(0).sum() > 100
    return frame


def start_of_period(at: pd.Series, unit: str) -> pd.Series:
    if unit == "week":
        return at.dt.normalize() - pd.to_timedelta(at.dt.day_of_week, unit="D")
    return at.dt.floor("h" if unit == "hour" else "D")


def brute_purchases(log: pd.DataFrame, unit: str) -> pd.DataFrame:
    kept = []
    for (customer, period), rows in log.groupby(["customer_id", start_of_period(log["date"], unit)]):
        cents = sum(round(100 * v) for v in rows["value"])
        if cents > 0 or (rows["value"].min() == 0 and cents == 0):
            kept.append((customer, period, cents / 100))
    return pd.DataFrame(kept, columns=["customer_id", "period", "value"])


def brute_customers(log: pd.DataFrame, end: date, unit: str, holdout_end: date | None = None) -> pd.DataFrame:
    purchases = brute_purchases(log, unit)
    cut = start_of_period(pd.Series([pd.Timestamp(end) + pd.Timedelta(hours=23)]), unit)[0]
    rows = []
    for customer, bought in purchases.sort_values("period").groupby("customer_id"):
        before = bought[bought["period"] <= cut]
        if before.empty:
            continue
        first, last = before["period"].iloc[0], before["period"].iloc[-1]
        row = {
            "customer_id": customer,
            "first": first,
            "last": last,
            "frequency": len(before) - 1,
            "recency": (last - first) / pd.Timedelta(days=1),
            "T": (cut - first) / pd.Timedelta(days=1),
            "monetary_value": before["value"].iloc[1:].mean() if len(before) > 1 else 0.0,
            "total_value": before["value"].sum(),
        }
        if holdout_end is not None:
            until = start_of_period(pd.Series([pd.Timestamp(holdout_end) + pd.Timedelta(hours=23)]), unit)[0]
            after = bought[(bought["period"] > cut) & (bought["period"] <= until)]
            row |= {"holdout_frequency": len(after), "holdout_value": after["value"].sum()}
            row["holdout_T"] = (until - cut) / pd.Timedelta(days=1)
        rows.append(row)
    return pd.DataFrame(rows)


def same(table, expected: pd.DataFrame, keys: list[str]) -> None:
    found = table.to_pandas().sort_values(keys, ignore_index=True)
    expected = expected.sort_values(keys, ignore_index=True)
    assert list(found) == list(expected) and len(found) == len(expected) > 0
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=0, atol=2e-6)


@pytest.mark.parametrize("unit", ["hour", "day", "week"])
def test_purchases_of_a_messy_log(log, unit):
    same(count_purchases(ibis.memtable(log), unit), brute_purchases(log, unit), ["customer_id", "period"])


@pytest.mark.parametrize("unit", ["hour", "day", "week"])
def test_customers_of_a_messy_log(log, unit):
    found = count_customers(count_purchases(ibis.memtable(log), unit), END, time_unit=unit)
    same(found, brute_customers(log, END, unit), ["customer_id"])


@pytest.mark.parametrize("unit", ["hour", "day", "week"])
@pytest.mark.parametrize("split", [SPLIT, date(2024, 2, 29), date(2025, 12, 28), date(2024, 1, 3)])
def test_calibration_and_holdout_at_any_date(log, split, unit):
    until = date(2025, 12, 30)  # before the end of the log: what comes after must not count
    purchases = count_purchases(ibis.memtable(log), unit)
    found = count_customers(purchases, split, time_unit=unit, holdout_end=until)
    same(found, brute_customers(log, split, unit, until), ["customer_id"])


def test_a_holdout_does_not_change_the_calibration(log):
    purchases = count_purchases(ibis.memtable(log))
    alone = count_customers(purchases, SPLIT).to_pandas().sort_values("customer_id", ignore_index=True)
    split = count_customers(purchases, SPLIT, holdout_end=END).to_pandas().sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(alone, split[list(alone)])


def test_grouped_rows_stand_for_all_customers(log):
    purchases = count_purchases(ibis.memtable(log), "week")
    customers = count_customers(purchases, END, time_unit="week").mutate(region=ibis._.customer_id.right(1))
    rows = count_rows(customers, by=["region"]).to_pandas()
    each = customers.to_pandas()
    expected = each.groupby(["region", "frequency", "recency", "T"]).size().rename("customers").reset_index()
    pd.testing.assert_frame_equal(rows, expected, check_dtype=False)
    assert rows["customers"].sum() == len(each) and rows["customers"].max() > 1 and len(rows) < len(each)


def test_rows_by_frequency_and_spend(log):
    customers = count_customers(count_purchases(ibis.memtable(log)), END)
    rows = count_rows(customers, columns=["frequency", "monetary_value"]).to_pandas()
    assert list(rows) == ["frequency", "monetary_value", "customers"]
    each = customers.to_pandas()
    assert rows["customers"].sum() == len(each)
    assert rows["customers"] @ (rows["frequency"] * rows["monetary_value"]) == pytest.approx(
        (each["frequency"] * each["monetary_value"]).sum()
    )


def test_repeated_runs_give_identical_bytes(log, tmp_path):
    for name, order in (("a", 1), ("b", 2), ("c", 2)):
        shuffled = log.sample(frac=1.0, random_state=order)  # the sums are added in another order
        customers = count_customers(count_purchases(ibis.memtable(shuffled)), SPLIT, holdout_end=END)
        customers.order_by("customer_id").to_parquet(tmp_path / f"{name}-customers")
        count_rows(customers, columns=["frequency", "recency", "T", "monetary_value"]).to_parquet(tmp_path / name)
    for name in ("{}", "{}-customers"):
        first, *others = ((tmp_path / name.format(n)).read_bytes() for n in "abc")
        assert all(other == first for other in others)


def test_weeks_begin_on_monday():
    log = pd.DataFrame(
        {
            "customer_id": "a",
            "date": pd.to_datetime(["2026-06-14 23:59", "2026-06-15 00:01", "2026-06-21 23:59"]),  # Sun, Mon, Sun
            "value": [1.0, 2.0, 4.0],
        }
    )
    found = count_purchases(ibis.memtable(log), "week").order_by("period").to_pandas()
    assert list(found["period"]) == [pd.Timestamp("2026-06-08"), pd.Timestamp("2026-06-15")]
    assert list(found["value"]) == [1.0, 6.0]


def test_last_period():
    assert last_period(date(2026, 6, 30), "hour") == datetime(2026, 6, 30, 23)
    assert last_period(date(2026, 6, 30), "day") == datetime(2026, 6, 30)
    assert last_period(date(2026, 6, 30), "week") == datetime(2026, 6, 29)
    assert last_period(date(2026, 6, 29), "week") == datetime(2026, 6, 29)
    assert last_period(date(2026, 6, 28), "week") == datetime(2026, 6, 22)


def test_an_unknown_time_unit_is_refused():
    with pytest.raises(ValueError, match="'minute'; allowed are hour, day, week"):
        count_purchases(ibis.memtable({"customer_id": ["a"], "date": [datetime(2026, 1, 1)], "value": [1.0]}), "minute")


@pytest.mark.parametrize(
    ("end", "months", "split"),
    [
        ("2026-06-30", 12, "2025-06-30"),
        ("2026-06-30", 3, "2026-03-31"),
        ("2026-12-31", 6, "2026-06-30"),
        ("2024-02-29", 12, "2023-02-28"),
        ("2025-02-28", 12, "2024-02-29"),
        ("2026-03-31", 1, "2026-02-28"),
        ("2024-03-31", 1, "2024-02-29"),
        ("2026-01-15", 1, "2025-12-15"),
        ("1998-06-30", 9, "1997-09-30"),
    ],
)
def test_holdout_split_keeps_whole_months(end, months, split):
    assert holdout_split(date.fromisoformat(end), months) == date.fromisoformat(split)


def returns(*rows: tuple[str, str, float]) -> float:
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "value"])
    return count_returns(ibis.memtable(frame.assign(date=pd.to_datetime(frame["date"], format="ISO8601")))).share


def test_returned_share_by_hand():
    bought = [("a", "2026-01-01 10:00", 100.0), ("b", "2026-01-02", 60.0), ("c", "2026-01-03", 40.0)]
    assert returns(*bought) == 0.0
    assert returns(*bought, ("b", "2026-01-09", -30.0)) == pytest.approx(30 / 200)
    # The same day nets: 100 - 20 is a purchase of 80, and no return.
    assert returns(*bought, ("a", "2026-01-01 18:00", -20.0)) == 0.0
    assert returns(*bought, ("a", "2026-01-01 18:00", -20.0), ("c", "2026-02-01", -40.0)) == pytest.approx(40 / 180)
    # Another customer's purchase on that day nets nothing.
    assert returns(*bought, ("a", "2026-01-02", -60.0)) == pytest.approx(60 / 200)


def test_returned_share_stays_a_share():
    assert returns(("a", "2026-01-01", 10.0), ("a", "2026-01-05", -30.0)) == 1.0
    assert returns(("a", "2026-01-01", -10.0)) == 0.0
    assert returns(("a", "2026-01-01", 0.0)) == 0.0


def test_returns_know_how_sure_they_are():
    """Orders of 20, a fifth of them sent back whole: the share scatters over companies as its standard error says."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(60):
        customer = np.repeat(np.arange(150), rng.integers(1, 6, 150))
        back = rng.random(len(customer)) < 0.2
        day = pd.Timestamp("2026-01-01") + pd.to_timedelta(2 * np.arange(len(customer)), unit="D")
        orders = pd.DataFrame({"customer_id": customer.astype(str), "date": day, "value": 20.0})
        sent = orders[back].assign(date=day[back] + pd.Timedelta(days=1), value=-20.0)
        found.append(count_returns(ibis.memtable(pd.concat([orders, sent], ignore_index=True))))
    shares, errors = np.array([r.share for r in found]), np.array([r.share_sd for r in found])
    assert shares.mean() == pytest.approx(0.2, abs=3 * shares.std() / np.sqrt(60))
    assert errors.mean() == pytest.approx(shares.std(), rel=0.3)  # three standard errors of a deviation from 60
    # What one customer sends back varies by 20^2 x 0.2 x 0.8 per order of 20.
    assert np.mean([r.noise for r in found]) == pytest.approx(20 * 0.2 * 0.8, rel=0.1)
