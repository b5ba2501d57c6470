"""The same by marketing-attribution-models; runs in .venv-peers:  … FOLDER."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from mam import MAM

rows = pd.read_parquet(Path(sys.argv[1]) / "paths.parquet")
rows["journey_id"] = range(len(rows))
rows["time_till_end"] = [" > ".join("0" for _ in path.split(" > ")) for path in rows["path"]]
model = MAM(rows, "journey", channels_colname="path", journey_with_conv_colname="converted")
found = model.run_shapley().to_pandas()
name = f"marketing-attribution-models {version('marketing-attribution-models')}"
print(json.dumps({"name": name, "least": float(found["attribution"].min())}))
