"""Fit the Pareto/NBD to the CDNOW sample, 4 chains x (1000 + 1000), twice; prints CPU seconds of both fits.

The first fit of the process includes what PyTensor, nutpie and Numba compile for it.
"""

import json
import os
from pathlib import Path

import pandas as pd

from benchmarks.measure import ROOT
from cvmlib.clv import purchase_model
from cvmlib.clv.families import registry
from cvmlib.inference import Sampling

SPLIT = pd.Timestamp("1997-09-30")
COLUMNS = ["unit", "frequency", "recency", "T"]


def read_customers() -> pd.DataFrame:
    """Count the 2,357 customers at the end of the calibration period; days, one purchase per customer and day."""
    path = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data")) / "clv" / "cdnow_sample.csv.gz"
    if not path.is_file():
        raise FileNotFoundError("The CDNOW sample is not there; set CVM_DATA to the folder that holds clv.")
    log = pd.read_csv(path, parse_dates=["date"]).query("date <= @SPLIT").drop_duplicates(["customer_id", "date"])
    dates = log.groupby("customer_id")["date"].agg(["min", "max", "size"])
    return pd.DataFrame(
        {
            "unit": "cdnow",
            "frequency": dates["size"] - 1,
            "recency": (dates["max"] - dates["min"]).dt.days.astype(float),
            "T": (SPLIT - dates["min"]).dt.days.astype(float),
        }
    ).reset_index(drop=True)


def main() -> None:
    """Fit twice."""
    counts = read_customers().groupby(COLUMNS, as_index=False).size().rename(columns={"size": "customers"})
    cpu = []
    for _ in range(2):
        start = sum(os.times()[:4])
        fit = purchase_model.fit(counts, Sampling(draws=1000, tune=1000, chains=4, seed=1), family=registry.PARETO_NBD)
        cpu.append(sum(os.times()[:4]) - start)
    gate = fit.diagnostics
    print(json.dumps({"first": cpu[0], "second": cpu[1], "passed": gate.passed, "diagnostics": gate.sentence()}))


if __name__ == "__main__":
    main()
