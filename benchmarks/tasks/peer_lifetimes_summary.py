"""Summarise FOLDER/transactions.parquet with lifetimes; runs in .venv-peers."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from lifetimes.utils import summary_data_from_transaction_data

log = pd.read_parquet(Path(sys.argv[1]) / "transactions.parquet")
log["value"] = log["quantity"] * log["unit_price"]
summary = summary_data_from_transaction_data(
    log, "customer", "ordered_at", monetary_value_col="value", observation_period_end="2026-06-30", freq="D"
)
counted = {"customers": len(summary), "purchases": int((summary["frequency"] + 1).sum())}
print(json.dumps({"name": f"lifetimes {version('lifetimes')}", **counted}))
