"""Every method of journey attribution against what channels truly caused, in worlds where that is known."""

from pathlib import Path

import pandas as pd

from benchmarks.measure import measure_module
from benchmarks.results import Figure
from cvmlib.attribution.study import CREDITS, LABELS
from cvmlib.attribution.validation import summarise_errors

NAME = "attribution-truth"
SEEDS = 10
LEFT = 0.5  # of the best uncalibrated method's error
OUTSIDE = 0.2  # share of 90% intervals of calibrated attribution that may miss the truth


def run(work: Path) -> list[Figure]:
    """Compare the error of calibrated attribution with the best that no experiment informs; tell every method's."""
    rows = measure_module("benchmarks.tasks.attribution_worlds", work / "worlds", str(SEEDS)).last_json()
    errors = summarise_errors(pd.DataFrame(rows)).set_index("method")
    best = errors.loc[list(CREDITS), "error"].idxmin()
    calibrated, other = errors.loc["calibrated"], errors.loc[best, "error"]
    figures = [
        Figure(NAME, calibrated["error"], "mean error, conversions a channel", LEFT * other, other, LABELS[best]),
        Figure(NAME, 1 - calibrated["inside"], "share of intervals that miss the truth", OUTSIDE),
    ]
    for method in (*CREDITS, "experiment", "calibrated"):
        wrong = errors.loc[method, "relative"]
        most = 1 + sum(abs(row["credited"]) for row in rows if row["method"] == method) / max(
            sum(row["caused"] for row in rows if row["method"] == method), 1.0
        )
        figures.append(Figure(NAME, wrong, f"sum of errors over what was caused, {LABELS[method]}", most))
    return figures
