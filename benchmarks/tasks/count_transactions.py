"""Turn FOLDER/transactions.parquet into a count table, and print what was counted.

As `cvmlib.clv.prepare.prepare_unit` does it for a log in which the checks found no copies of rows.
"""

import json
import sys
from pathlib import Path

from pyarrow import parquet

from cvmlib.clv.counts import count_customers, count_purchases, count_rows
from cvmlib.portfolio import read_portfolio
from cvmlib.tables.cleaning import clean_transactions
from cvmlib.tables.sources import mapped_table

portfolio = read_portfolio(Path(sys.argv[1]) / "portfolio.toml")
log = mapped_table(portfolio, "shop", "transactions")
purchases = count_purchases(clean_transactions(log, portfolio.end_of_observation, deduplicate=False))
customers = count_customers(purchases, portfolio.end_of_observation)
rows = count_rows(customers).to_pandas()
print(
    json.dumps(
        {
            "transactions": parquet.read_metadata(Path(sys.argv[1]) / "transactions.parquet").num_rows,
            "customers": int(rows["customers"].sum()),
            "rows": len(rows),
            "purchases": int((rows["customers"] * (rows["frequency"] + 1)).sum()),
        }
    )
)
