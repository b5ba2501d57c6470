"""Shops with seasons and slow shocks: bias and coverage of the holdout's total, with and without a calendar."""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "calendar-coverage"
SEEDS = 20
COVERED = (
    0.80  # share of seeds inside the 90% interval: with 20 seeds and a true 90%, 15 or fewer come once in 25 times
)
WITHOUT = "without a calendar"


def run(work: Path) -> list[Figure]:
    """Compare both over the seeds, for a holdout of the six busiest months and for one of a whole year."""
    rows = measure_module("benchmarks.tasks.calendar_coverage", work / "calendar", str(SEEDS)).last_json()
    figures = []
    for months in (6, 12):
        ours, plain = (
            [row for row in rows if row["months"] == months and row["calendar"] is calendar]
            for calendar in (True, False)
        )
        for name, words in (("bias", "mean bias"), ("score", "interval score of the total")):
            found, other = (abs(float(np.mean([row[name] for row in some]))) for some in (ours, plain))
            bar = other / 2 if name == "bias" else other
            figures.append(Figure(NAME, found, f"{words}, {months} months", bar, other, WITHOUT))
        found, other = (float(np.mean([abs(row["bias"]) for row in some])) for some in (ours, plain))
        figures.append(Figure(NAME, found, f"mean absolute bias, {months} months", other, other, WITHOUT))
        found, other = (1.0 - float(np.mean([row["inside"] for row in some])) for some in (ours, plain))
        figures.append(Figure(NAME, found, f"share outside the interval, {months} months", 1 - COVERED, other, WITHOUT))
    return figures
