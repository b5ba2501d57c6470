"""Write the transactions of four units and two years to FOLDER/transactions.parquet, and a portfolio that maps them.

``python -m benchmarks.tasks.write_units FOLDER CUSTOMERS``
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.tasks.customers import BASES, simulate_log, simulate_units
from benchmarks.tasks.write_transactions import customer_names

BASE = "two-years"
END = np.datetime64("2026-06-30")

PORTFOLIO = f"""\
[portfolio]
name = "Benchmark"
source = "."
end_of_observation = {END}
currency = "EUR"
discount_rate = 0.1
horizon_months = 12
holdout_months = 0
purchase_models = ["bg_nbd"]
seed = 1
"""
UNIT = """\
[units.{name}]
setting = "noncontractual"
margin = 0.4
pool = "shops"
costs = {{ per_transaction = 1.0, per_customer_year = 0.5 }}
[units.{name}.tables.transactions]
path = "transactions.parquet"
columns = {{ customer_id = "customer", date = "day", value = "value" }}
filters = ["unit = '{name}'"]
"""


def write(folder: Path, customers: int) -> None:
    """Write the log, in the order of time, and the portfolio file."""
    log = simulate_log(simulate_units(customers, BASE), END)
    names = customer_names(log["customer"].to_numpy())
    table = pa.Table.from_pandas(log.drop(columns="customer"), preserve_index=False).append_column("customer", names)
    pq.write_table(table, folder / "transactions.parquet")
    text = PORTFOLIO + "".join(UNIT.format(name=name) for name in BASES[BASE][0])
    (folder / "portfolio.toml").write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").touch()


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
