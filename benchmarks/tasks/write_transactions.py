"""Write a log of transactions to FOLDER/transactions.parquet in chunks, and a portfolio file that maps it.

One customer for ten transactions, gamma-distributed rates, orders at any second of three years.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 500_000
END = np.datetime64("2026-07-01T00:00:00")
DAYS = 1096

CONFIG = """\
[portfolio]
name = "Benchmark"
source = "."
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1
seed = 1
[units.shop]
label = "Shop"
setting = "noncontractual"
margin = 0.4
[units.shop.tables.transactions]
path = "transactions.parquet"
columns = { customer_id = "customer", date = "ordered_at", value = "quantity * unit_price", order_id = "order" }
filters = ["quantity > 0"]
"""


def write(folder: Path, transactions: int) -> None:
    """Write `transactions` rows and the portfolio file."""
    rng = np.random.default_rng(1)
    customers = max(transactions // 10, 1)
    weight = np.cumsum(rng.gamma(0.6, size=customers))
    writer = None
    for first in range(0, transactions, CHUNK):
        size = min(CHUNK, transactions - first)
        buyer = np.searchsorted(weight, rng.random(size) * weight[-1])
        seconds = rng.integers(1, DAYS * 86_400, size)
        table = pa.table(
            {
                "order": pa.array(np.arange(first, first + size)),
                "customer": customer_names(buyer),
                "ordered_at": pa.array((END - seconds.astype("timedelta64[s]")).astype("datetime64[us]")),
                "quantity": pa.array(rng.integers(1, 4, size)),
                "unit_price": pa.array(np.round(rng.gamma(2.0, 15.0, size) + 1.0, 2)),
            }
        )
        writer = writer or pq.ParquetWriter(folder / "transactions.parquet", table.schema)
        writer.write_table(table)
    if writer:
        writer.close()
    (folder / "portfolio.toml").write_text(CONFIG, encoding="utf-8")


def customer_names(buyer: np.ndarray) -> pa.Array:
    """Turn numbers into names such as ``C0000123``."""
    return pa.array(np.char.add("C", np.char.zfill(buyer.astype("U"), 7)))


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
