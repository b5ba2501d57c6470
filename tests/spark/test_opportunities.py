"""DuckDB and Spark count the same opportunities."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.counts import count_customers, count_purchases
from cvmlib.periods import OPPORTUNITIES, last_whole_period


@pytest.fixture(scope="module")
def purchases(tmp_path_factory):
    """A parquet file of purchases on random days around 1970 and of late, to the second, several in some periods."""
    rng = np.random.default_rng(3)
    days = np.r_[rng.integers(-900, 900, 1500), rng.integers(18_000, 20_500, 1500)]
    seconds = 86_400 * days + rng.integers(0, 86_400, days.size)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in rng.integers(0, 200, days.size)],
            "date": pd.to_datetime(seconds, unit="s").astype("datetime64[us]"),
            "value": rng.lognormal(3, 1, days.size).round(2),
        }
    )
    path = tmp_path_factory.mktemp("opportunities") / "purchases.parquet"
    frame.to_parquet(path, index=False)
    return path


@pytest.mark.parametrize("opportunity", OPPORTUNITIES)
def test_opportunities_are_counted_the_same(purchases, spark, duckdb, opportunity):
    counted = []
    for con in (duckdb, spark):
        counted_by = count_purchases(con.read_parquet(purchases), opportunity)
        ends = [last_whole_period(day, opportunity) for day in (date(2022, 5, 20), date(2025, 7, 1))]
        table = count_customers(counted_by, ends[0], time_unit=opportunity, holdout_end=ends[1])
        frame = table.to_pandas().sort_values("customer_id", ignore_index=True)
        counted.append(frame.astype({name: "datetime64[us]" for name in ("first", "last")}))
    ours, theirs = counted
    assert len(ours) > 150 and ours["frequency"].max() > 5 and ours["holdout_frequency"].sum() > 50
    exact = [name for name in ours if "value" not in name]
    pd.testing.assert_frame_equal(ours[exact], theirs[exact], check_exact=True)
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-12, atol=1e-9)
