"""The same by ChannelAttribution, which simulates; runs in .venv-peers.

``python -m benchmarks.tasks.peer_channel_attribution FOLDER ORDER``
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import ChannelAttribution
import pandas as pd

rows = pd.read_parquet(Path(sys.argv[1]) / "paths.parquet")
counted = rows.groupby("path", as_index=False).agg(
    conversions=("converted", "sum"), journeys=("converted", "size"), value=("value", "sum")
)
counted["nulls"] = counted["journeys"] - counted["conversions"]
found = ChannelAttribution.markov_model(
    counted,
    "path",
    "conversions",
    var_value="value",
    var_null="nulls",
    order=int(sys.argv[2]),
    verbose=False,
    flg_pro=False,
)
total = found["total_conversions"].sum()
shares = dict(zip(found["channel_name"], (found["total_conversions"] / total).tolist(), strict=True))
print(json.dumps({"name": f"ChannelAttribution {version('ChannelAttribution')}", "shares": shares}))
