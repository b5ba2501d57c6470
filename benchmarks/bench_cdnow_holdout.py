"""CDNOW, replayed: seven calibrations of 26 to 52 weeks, holdouts of 13 to 39 weeks."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "cdnow-holdout"
SPLIT, MONTHS = "1997-09-30", 9  # the holdout of the literature, in which 1,882 purchases were made
MAE, RMSE = 0.7545, 1.603  # the best peer's on it: lifetimes' Pareto/NBD
COVERAGE = (0.88, 0.94)  # of the 90% intervals of single customers
PEER = "interval of the parameters alone"


def outside(value: float, low: float, high: float) -> float:
    """How far a value lies outside an interval; 0 inside."""
    return max(low - value, value - high, 0.0)


def compare_intervals(name: str, rows: list[dict[str, Any]]) -> list[Figure]:
    """Compare the interval scores of totals with those of parameters alone, and check the intervals of customers."""
    found, plain = (float(np.mean([part["score"] for part in some])) for some in _parts(rows))
    missed, other = (float(np.mean([not part["inside"] for part in some])) for some in _parts(rows))
    worst = max(outside(row["pit"], *COVERAGE) for row in rows)
    return [
        Figure(name, found, "interval score of the total (share of it), mean of the splits", plain, plain, PEER),
        Figure(name, missed, "share of splits with the total outside its 90% interval", 0.2, other, PEER),
        Figure(name, worst, "coverage of customers' 90% intervals beyond 88–94%, worst split", 0.0),
    ]


def _parts(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return rows, [row["parameters"] for row in rows]


def run(work: Path) -> list[Figure]:
    """Replay the splits, and look closely at the one of the literature."""
    rows = measure_module("benchmarks.tasks.replay_holdouts", work / "cdnow", "cdnow").last_json()
    (known,) = (row for row in rows if (row["split"], row["months"]) == (SPLIT, MONTHS))
    beyond = outside(known["actual"], known["low"], known["high"])
    return [
        Figure(NAME, beyond, f"purchases by which {known['actual']:.0f} is outside the 90% interval", 0.0),
        *compare_intervals(NAME, rows),
        Figure(NAME, known["mae"], "MAE of customers (median forecast), 39 + 39 weeks", MAE),
        Figure(NAME, known["mae_of_mean"], "MAE of customers (mean forecast), 39 + 39 weeks", MAE),
        Figure(NAME, known["rmse"], "RMSE of customers (mean forecast), 39 + 39 weeks", RMSE),
    ]
