"""DuckDB and Spark count the products of purchases, and what goes together in them, the same."""

import pandas as pd

from cvmlib.decisions.add_on import count_lines, count_together
from cvmlib.tables.cleaning import clean_keyed, clean_transactions
from cvmlib.tables.sources import mapped_table


def test_engines_count_the_same_purchases(portfolio, spark, duckdb):
    found = []
    for con in (duckdb, spark):
        log = clean_transactions(mapped_table(portfolio, "fashion", "transactions", con), portfolio.end_of_observation)
        products = clean_keyed(mapped_table(portfolio, "fashion", "products", con), "products")
        lines = count_lines(log).to_pandas().sort_values("customer_id", ignore_index=True)
        together = count_together(log, products).to_pandas()
        found.append((lines, together.sort_values(["category", "other"], ignore_index=True)))
    for ours, theirs in zip(*found, strict=True):
        assert len(ours) > 5
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)
