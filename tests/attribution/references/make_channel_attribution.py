"""Write channel_attribution.json: what ChannelAttribution's simulation credits channels with, for several seeds.

    .venv-peers/bin/python tests/attribution/references/make_channel_attribution.py PATHS.csv.gz

PATHS.csv.gz is the package's own example (path, total_conversions, total_conversion_value, total_null).
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import ChannelAttribution
import pandas as pd

SEEDS = (1, 2, 3, 5, 8, 13)
ORDERS = (1, 2)

data = pd.read_csv(sys.argv[1])
runs = {}
for order in ORDERS:
    runs[str(order)] = []
    for seed in SEEDS:
        found = ChannelAttribution.markov_model(
            data, "path", "total_conversions", var_value="total_conversion_value", var_null="total_null", order=order,
            seed=seed, verbose=False, flg_pro=False,
        )  # fmt: skip
        credit = found.set_index("channel_name")["total_conversions"].round(3)
        runs[str(order)].append(credit.to_dict())
content = {"made_by": f"ChannelAttribution {version('ChannelAttribution')}", "seeds": SEEDS, "conversions": runs}
Path(__file__).with_name("channel_attribution.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
