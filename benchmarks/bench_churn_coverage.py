"""Twenty demo operators against their truth: survivors, effects of covariates, and BdW against sBG out of time."""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "churn-coverage"
SEEDS = 20
MISSES = 4  # of 20 seeds, at most
OUTSIDE = 0.15  # share of the effects outside their 90% intervals, at most


def run(work: Path) -> list[Figure]:
    """Count the seeds whose survivors of the next year lie outside their interval, and compare the models."""
    rows = measure_module("benchmarks.tasks.churn_coverage", work / "churn-coverage", "1", str(SEEDS)).last_json()
    wrong = [row["seed"] for row in rows if not row["passed"]]
    if wrong:
        raise RuntimeError(f"a fit did not converge: seeds {wrong}")
    outside = sum(row["outside"] for row in rows) / sum(row["levels"] for row in rows)
    bdw, sbg = (float(np.mean([row[name] for row in rows])) for name in ("bdw", "sbg"))
    return [
        Figure(NAME, sum(not row["inside"] for row in rows), f"seeds of {SEEDS} with survivors outside", MISSES),
        Figure(NAME, outside, "share of effects outside", OUTSIDE),
        Figure(NAME, bdw, "negative log score of the year held out, BdW", sbg, sbg, "sBG"),
    ]
