"""Forecast the last weeks of pymc-marketing's own example with its model as its guide sets it up; in .venv-peers.

``python -m benchmarks.tasks.peer_pymc_marketing_media FILE WEEKS``
"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from pymc_marketing.mmm import MMM, GeometricAdstock, LogisticSaturation

CHANNELS, CONTROLS = ["x1", "x2"], ["event_1", "event_2", "t"]


def main(file: Path, weeks: int, draws: int = 1000) -> None:
    """Fit without the last weeks, forecast them, and print the mean absolute error in per cent and CPU seconds."""
    data = pd.read_csv(file, parse_dates=["date_week"])
    seen, held = data.iloc[:-weeks], data.iloc[-weeks:]
    columns = ["date_week", *CHANNELS, *CONTROLS]
    model = MMM(
        date_column="date_week",
        channel_columns=CHANNELS,
        control_columns=CONTROLS,
        adstock=GeometricAdstock(l_max=8),
        saturation=LogisticSaturation(),
        yearly_seasonality=2,
    )
    start = sum(os.times()[:4])
    model.fit(seen[columns], seen["y"], draws=draws, tune=draws, chains=4, random_seed=1, progressbar=False)
    cpu = sum(os.times()[:4]) - start
    found = model.sample_posterior_predictive(
        held[columns], include_last_observations=True, extend_idata=False, random_seed=1, progressbar=False
    )
    name = next(iter(found.data_vars))
    draws_of = found[name].transpose("date", ...).to_numpy().reshape(len(held), -1)
    forecast = draws_of.mean(axis=1) * seen["y"].max()  # the model scales its target by the largest value it has seen
    error = np.abs(forecast - held["y"].to_numpy()) / held["y"].to_numpy()
    print(json.dumps({"name": f"pymc-marketing {version('pymc-marketing')}", "mape": float(error.mean()), "cpu": cpu}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))
