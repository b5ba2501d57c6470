"""Twenty demo companies against their truth: whether the intervals hold it, and whether pooling pays."""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "demo-recovery"
SEEDS = 20
MISSES = 4  # of 20 seeds, at most
OUTSIDE = 0.12  # share of customers, at most


def run(work: Path) -> list[Figure]:
    """Count the seeds whose true total lies outside its interval, and compare the small unit pooled and alone."""
    rows = measure_module("benchmarks.tasks.recovery", work / "recovery", str(SEEDS)).last_json()
    if not all(row["converged"] for row in rows):
        raise RuntimeError(f"a fit did not converge: seeds {[row['seed'] for row in rows if not row['converged']]}")
    figures = []
    for unit in ("fashion", "boutique"):
        for total in ("value", "purchases"):
            missed = sum(not row[unit][f"{total}_inside"] for row in rows)
            figures.append(Figure(NAME, missed, f"seeds of {SEEDS} with {unit} {total} outside", MISSES))
        outside = 1.0 - np.mean([row[unit]["customers"] for row in rows])
        figures.append(Figure(NAME, float(outside), f"share of {unit} customers outside", OUTSIDE))
    pooled, alone = (np.mean([abs(row[key]["purchases_bias"]) for row in rows]) for key in ("boutique", "alone"))
    figures.append(
        Figure(NAME, float(pooled), "error of boutique's total, pooled", float(alone), float(alone), "alone")
    )
    pooled, alone = (np.mean([row[key]["rmse"] for row in rows]) for key in ("boutique", "alone"))
    figures.append(
        Figure(NAME, float(pooled), "RMSE of boutique's customers, pooled", float(alone), float(alone), "alone")
    )
    return figures
