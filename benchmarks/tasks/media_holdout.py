"""Forecast the last weeks of pymc-marketing's example; prints one line of JSON.

``python -m benchmarks.tasks.media_holdout FILE WEEKS``
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd

from cvmlib.attribution import media_fit
from cvmlib.attribution.media_holdout import score_holdout, tabulate_holdout
from cvmlib.attribution.media_panel import UnitWeeks


def main(file: Path, weeks: int) -> None:
    """Fit without the last weeks, forecast them, and print the mean absolute error in per cent and CPU seconds."""
    data = pd.read_csv(file, parse_dates=["date_week"]).rename(columns={"date_week": "week"})
    media = data.melt(id_vars="week", value_vars=["x1", "x2"], var_name="channel", value_name="spend")
    outcomes = data[["week", "event_1", "event_2"]].assign(value=data["y"], region="", outlet="")
    unit = UnitWeeks("example", "", media.assign(region=""), outcomes, pd.DataFrame(), 1.0, "example")
    start = time.process_time()
    fit = media_fit.fit_weeks({"example": unit}, holdout_weeks=weeks)
    cpu = time.process_time() - start
    scores = score_holdout(tabulate_holdout(fit.holdout, "example", weeks))
    print(json.dumps({"cpu": cpu, "passed": fit.diagnostics.passed, **scores}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
