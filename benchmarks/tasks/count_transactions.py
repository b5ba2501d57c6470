"""Turn FOLDER/transactions.parquet into a count table, the way a report does; prints what was counted."""

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
purchases = count_purchases(clean_transactions(log, portfolio.end_of_observation))
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
