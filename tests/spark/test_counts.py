"""DuckDB and Spark, given the same tables, count the same and join the same predictions."""

import datetime

import ibis
import pandas as pd
import pytest

from cvmlib.clv.counts import count_customers, count_purchases, count_returns, count_rows, holdout_split
from cvmlib.clv.families import bg_nbd
from cvmlib.tables.cleaning import clean_transactions
from cvmlib.tables.sources import mapped_table

UNITS = ["fashion", "boutique", "grocery"]
KEYS = ["frequency", "recency", "T"]
PUBLISHED = (0.243, 4.414, 0.793, 2.426)  # BG/NBD of CDNOW in weeks: any parameters would do here


def cleaned(portfolio, unit, con):
    transactions = mapped_table(portfolio, unit, "transactions", con)
    return clean_transactions(transactions, portfolio.end_of_observation)


def customers_of(portfolio, unit, con, *, months=12, time_unit="day"):
    end = portfolio.end_of_observation
    purchases = count_purchases(cleaned(portfolio, unit, con), time_unit)
    return count_customers(purchases, holdout_split(end, months), time_unit=time_unit, holdout_end=end)


def as_frame(table, keys) -> pd.DataFrame:
    """Bring a result into pandas with one resolution of time, sorted."""
    frame = table.to_pandas().sort_values(keys, ignore_index=True)
    times = frame.select_dtypes("datetime").columns
    return frame.astype({name: "datetime64[us]" for name in times})


@pytest.mark.parametrize("unit", UNITS)
def test_engines_read_the_same_transactions(portfolio, spark, duckdb, unit):
    sums = []
    for con in (duckdb, spark):
        table = cleaned(portfolio, unit, con)
        sums.append(table.agg(rows=table.count(), value=table.value.sum(), latest=table.date.max()).to_pandas())
    assert sums[0]["rows"][0] == sums[1]["rows"][0] > 500
    assert sums[0]["value"][0] == pytest.approx(sums[1]["value"][0], rel=1e-12)
    assert pd.Timestamp(sums[0]["latest"][0]) == pd.Timestamp(sums[1]["latest"][0])


@pytest.mark.parametrize(
    ("unit", "time_unit"), [("fashion", "hour"), ("fashion", "day"), ("boutique", "day"), ("grocery", "week")]
)
def test_customers_are_counted_the_same(portfolio, spark, duckdb, unit, time_unit):
    ours, theirs = (
        as_frame(customers_of(portfolio, unit, con, time_unit=time_unit), ["customer_id"]) for con in (duckdb, spark)
    )
    assert len(ours) > 20 and ours["frequency"].max() > 1 and ours["holdout_frequency"].sum() > 0
    exact = [name for name in ours if "value" not in name]
    pd.testing.assert_frame_equal(ours[exact], theirs[exact], check_exact=True)
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("unit", UNITS)
def test_count_rows_are_identical(portfolio, spark, duckdb, unit):
    ours, theirs = (count_rows(customers_of(portfolio, unit, con)).to_pandas() for con in (duckdb, spark))
    assert ours["customers"].sum() >= ours["customers"].size > 20
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


@pytest.mark.parametrize("unit", UNITS)
def test_returned_share_is_the_same(portfolio, spark, duckdb, unit):
    ours, theirs = (count_returns(cleaned(portfolio, unit, con)) for con in (duckdb, spark))
    assert vars(ours) == pytest.approx(vars(theirs), rel=1e-9)


def test_joined_predictions_are_identical(portfolio, spark, duckdb):
    """Predict once per count row, join back in the engine: every customer gets the same number from both."""
    joined = []
    for con in (duckdb, spark):
        customers = customers_of(portfolio, "fashion", con)
        rows = count_rows(customers).to_pandas()
        frequency, recency, age = (rows[key].to_numpy(float) for key in KEYS)
        alive = bg_nbd.probability_alive(frequency, recency, age, *PUBLISHED)
        rows["expected"] = alive * bg_nbd.expected_purchases(365.0, frequency, age, *PUBLISHED)
        scored = customers.inner_join(ibis.memtable(rows[[*KEYS, "expected"]]), KEYS)
        joined.append(as_frame(scored.select("customer_id", "expected"), ["customer_id"]))
        assert len(joined[-1]) == customers.count().execute()
    assert joined[0]["expected"].nunique() > 100
    pd.testing.assert_frame_equal(*joined, check_exact=True)


def test_difference_would_be_seen(portfolio, spark, duckdb):
    ours = count_rows(customers_of(portfolio, "boutique", duckdb)).to_pandas()
    theirs = count_rows(customers_of(portfolio, "boutique", spark, months=11)).to_pandas()
    with pytest.raises(AssertionError):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_midnight_belongs_to_its_own_day_on_both(spark, duckdb):
    moments = ["2025-03-30 00:00:00", "2025-03-30 23:59:59", "2025-10-26 02:30:00", "2025-10-27 00:00:00"]
    log = pd.DataFrame({"customer_id": "a", "date": pd.to_datetime(moments), "value": 1.0})
    frames = []
    for con in (duckdb, spark):
        table = con.create_table(f"log_{con.name}", log)
        frames.append(as_frame(count_purchases(table), ["period"]))
    days = [datetime.date(2025, 3, 30), datetime.date(2025, 10, 26), datetime.date(2025, 10, 27)]
    assert [list(frame["period"].dt.date) for frame in frames] == [days, days]
