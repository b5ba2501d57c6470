"""Fit the hierarchical BG/NBD to simulated customers of six units; prints CPU seconds after compilation.

The customers are also written to FOLDER/customers.csv, for the peer.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from cvmlib.clv import purchase_model
from cvmlib.clv.families import bg_nbd
from cvmlib.inference import Sampling

UNITS = {"a": 12_000, "b": 6_000, "c": 3_000, "d": 2_000, "e": 800, "f": 200}
COLUMNS = ["unit", "frequency", "recency", "T"]


def simulate() -> pd.DataFrame:
    """Draw 24,000 customers, with parameters like CDNOW's that differ between units; days."""
    rng = np.random.default_rng(1)
    frames = []
    for unit, size in UNITS.items():
        r, alpha, a, b = np.array([0.243, 30.9, 0.793, 2.426]) * np.exp(rng.normal(0.0, 0.2, 4))
        age = rng.integers(180, 274, size).astype(float)
        frequency, recency = bg_nbd.simulate_customers(age, r, alpha, a, b, rng)
        frames.append(pd.DataFrame({"unit": unit, "frequency": frequency, "recency": np.ceil(recency), "T": age}))
    return pd.concat(frames, ignore_index=True)


def main(folder: Path) -> None:
    """Fit twice, the first time briefly, so that everything is compiled; time the second."""
    customers = simulate()
    customers.to_csv(folder / "customers.csv", index=False)
    counts = customers.groupby(COLUMNS, as_index=False).size().rename(columns={"size": "customers"})
    purchase_model.fit(counts, Sampling(draws=20, tune=20))
    start = sum(os.times()[:4])
    fit = purchase_model.fit(counts, Sampling(draws=1000, tune=1000, chains=4, seed=1))
    cpu = sum(os.times()[:4]) - start
    diagnostics = fit.diagnostics
    print(json.dumps({"cpu": cpu, "rows": len(counts), "passed": diagnostics.passed, "ess": diagnostics.ess_bulk}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
