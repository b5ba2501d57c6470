"""Forecast held-out weeks of pymc-marketing's own example with its model as its guide sets it up; in .venv-peers.

``python -m benchmarks.tasks.peer_pymc_marketing_media FILE WEEKS:LEFT_OFF …``: each split forecasts so many weeks from
those before, of a table that ends so many weeks early.
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
DRAWS = 1000


def main(file: Path, splits: list[str]) -> None:
    """Print per split the mean absolute error as a share of the outcome, and CPU seconds."""
    whole = pd.read_csv(file, parse_dates=["date_week"])
    rows = []
    for split in splits:
        weeks, left_off = map(int, split.split(":"))
        rows.append({"split": split, **forecast(whole.iloc[: len(whole) - left_off], weeks)})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"name": f"pymc-marketing {version('pymc-marketing')}", "splits": rows}))


def forecast(data: pd.DataFrame, weeks: int) -> dict[str, float]:
    """Fit without the last weeks and forecast them."""
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
    model.fit(seen[columns], seen["y"], draws=DRAWS, tune=DRAWS, chains=4, random_seed=1, progressbar=False)
    cpu = sum(os.times()[:4]) - start
    found = model.sample_posterior_predictive(
        held[columns], include_last_observations=True, extend_idata=False, random_seed=1, progressbar=False
    )
    name = next(iter(found.data_vars))
    draws_of = found[name].transpose("date", ...).to_numpy().reshape(len(held), -1)
    expected = draws_of.mean(axis=1) * seen["y"].max()  # the model scales its target by the largest value it has seen
    error = np.abs(expected - held["y"].to_numpy()) / held["y"].to_numpy()
    return {"mape": float(error.mean()), "cpu": cpu}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
