"""Fit pymc-marketing's BG/NBD, which cannot pool units, to FOLDER/customers.csv; runs in .venv-peers."""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from pymc_marketing.clv import BetaGeoModel


def cpu_seconds() -> float:
    """CPU seconds of this process and of the sampling processes that ended."""
    return sum(os.times()[:4])


def read_customers(folder: Path) -> pd.DataFrame:
    """Read the customers of a folder, numbered, as the peer asks for it; without their units, which it would refuse."""
    data = pd.read_csv(folder / "customers.csv").drop(columns="unit", errors="ignore")
    data.insert(0, "customer_id", range(len(data)))
    return data


def fit(data: pd.DataFrame, **lengths: int) -> BetaGeoModel:
    """Fit four chains."""
    model = BetaGeoModel()
    model.fit(data=data, chains=4, progressbar=False, random_seed=1, **lengths)
    return model


def main(folder: Path) -> None:
    """Fit twice, the first time briefly, so that everything is compiled; time the second."""
    data = read_customers(folder)
    fit(data, draws=20, tune=20)
    start = cpu_seconds()
    fit(data, draws=1000, tune=1000)
    name = f"pymc-marketing {version('pymc-marketing')}, without units"
    print(json.dumps({"name": name, "cpu": cpu_seconds() - start}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
