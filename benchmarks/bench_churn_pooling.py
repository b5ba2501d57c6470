"""A unit of 200 subscribers out of time: its error when pooled with larger units, against that of a fit of its own."""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "churn-pooling"
SEEDS = 20


def run(work: Path) -> list[Figure]:
    """Compare the errors over twenty seeds."""
    rows = measure_module("benchmarks.tasks.churn_pooling", "1", str(SEEDS)).last_json()
    wrong = [row["seed"] for row in rows if not row["pooled_passed"]]
    if wrong:
        raise RuntimeError(f"a pooled fit did not converge: seeds {wrong}")
    pooled, alone = (float(np.mean([row[key] for row in rows])) for key in ("pooled", "alone"))
    return [Figure(NAME, pooled, "error of 200 subscribers' chances to leave, pooled", alone, alone, "alone")]
