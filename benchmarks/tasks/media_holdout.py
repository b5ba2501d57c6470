"""Forecast held-out weeks of pymc-marketing's example; prints one line of JSON with a row per split.

``python -m benchmarks.tasks.media_holdout FILE WEEKS:LEFT_OFF …``: each split forecasts so many weeks from those
before, of a table that ends so many weeks early.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd

from cvmlib.attribution import media_fit
from cvmlib.attribution.media_holdout import score_holdout, tabulate_holdout
from cvmlib.attribution.media_panel import UnitWeeks


def main(file: Path, splits: list[str]) -> None:
    """Print per split the mean absolute error as a share of the outcome, and CPU seconds."""
    whole = pd.read_csv(file, parse_dates=["date_week"]).rename(columns={"date_week": "week"})
    rows = []
    for split in splits:
        weeks, left_off = map(int, split.split(":"))
        start = time.process_time()
        fit = media_fit.fit_weeks({"example": read_unit(whole.iloc[: len(whole) - left_off])}, holdout_weeks=weeks)
        scores = score_holdout(tabulate_holdout(fit.holdout, "example", weeks))
        cpu = time.process_time() - start
        rows.append({"split": split, "cpu": cpu, "passed": fit.diagnostics.passed, **scores})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps(rows))


def read_unit(data: pd.DataFrame) -> UnitWeeks:
    """Map the columns of the example to those of the media mix."""
    media = data.melt(id_vars="week", value_vars=["x1", "x2"], var_name="channel", value_name="spend")
    outcomes = data[["week", "event_1", "event_2"]].assign(value=data["y"], region="", outlet="")
    return UnitWeeks("example", "", media.assign(region=""), outcomes, pd.DataFrame(), 1.0, "example")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
