"""The published figures, and the CDNOW sample counted from its log of transactions."""

import json

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.counts import count_customers, count_purchases, count_rows
from tests.published.printed import END, SPLIT, WEEK, stored


@pytest.fixture(scope="session")
def reference() -> dict:
    return json.loads(stored("reference_values.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def log() -> pd.DataFrame:
    log = pd.read_csv(stored("clv/cdnow_sample.csv.gz"), parse_dates=["date"])
    return log.rename(columns={"amount": "value"}).astype({"customer_id": str})[["customer_id", "date", "value"]]


@pytest.fixture(scope="session")
def table(log) -> ir.Table:
    """Customers at the end of the calibration, with the 39 weeks after it; days."""
    return count_customers(count_purchases(ibis.memtable(log)), SPLIT, holdout_end=END)


@pytest.fixture(scope="session")
def customers(table) -> pd.DataFrame:
    return table.to_pandas().assign(ID=lambda t: t["customer_id"].astype(int)).sort_values("ID", ignore_index=True)


@pytest.fixture(scope="session")
def counts(customers) -> list[np.ndarray]:
    """Frequency, and recency and T in weeks, of each customer."""
    frequency, recency, age = (customers[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    return [frequency, recency / WEEK, age / WEEK]


@pytest.fixture(scope="session")
def rows(table) -> pd.DataFrame:
    """Weighted count rows, in days, of one unit."""
    return count_rows(table).to_pandas().assign(unit="cdnow")
