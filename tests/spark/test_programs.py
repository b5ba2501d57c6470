"""DuckDB and Spark count the same programs from the same tables."""

import pandas as pd
import pytest

from cvmlib.programs import counts
from cvmlib.tables.cleaning import clean_keyed, clean_subscriptions, clean_transactions
from cvmlib.tables.sources import mapped_table


def count_with(portfolio, unit, con) -> pd.DataFrame:
    end = portfolio.end_of_observation
    programs = clean_keyed(mapped_table(portfolio, unit, "programs", con), "programs")
    customers = clean_keyed(mapped_table(portfolio, unit, "customers", con), "customers")
    assigned = counts.assign_customers(mapped_table(portfolio, unit, "assignments", con), programs)
    assigned = counts.leave_out_strangers(assigned, customers)
    if unit == "mobile":
        log = clean_subscriptions(mapped_table(portfolio, unit, "subscriptions", con), end)
        rows = counts.add_fees(assigned, log, end)
    else:
        log = clean_transactions(mapped_table(portfolio, unit, "transactions", con), end)
        rows = counts.add_purchases(assigned, log, end)
    return counts.count_arms(*counts.add_segments(rows, customers))


@pytest.mark.parametrize("unit", ["fashion", "mobile"])
def test_programs_are_counted_the_same(portfolio, spark, duckdb, unit):
    ours, theirs = (count_with(portfolio, unit, con) for con in (duckdb, spark))
    keys = ["program_id", "dimension", "level", "arm"]
    assert len(ours) > 20 and ours["y1"].sum() > 0
    pd.testing.assert_frame_equal(ours[keys], theirs[keys])
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-9, atol=1e-6)
