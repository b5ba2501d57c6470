"""Twenty demo companies against their truth: whether intervals hold it, and, on twenty others, whether pooling pays.

The spread of the units of a pool has priors that were chosen with an eye on the first companies (seeds below 100), so
pooling is judged on companies that had no part in that choice.
"""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "demo-recovery"
SEEDS = 20
FIRST, FIRST_OTHER = 1, 101
MISSES = 4  # of 20 seeds, at most
OUTSIDE = 0.12  # share of customers, at most


def run(work: Path) -> list[Figure]:
    """Count the seeds whose true total lies outside its interval, and compare the small unit pooled and alone."""
    return [*count_misses(_recover(work, FIRST)), *compare_pooling(_recover(work, FIRST_OTHER, "--alone"))]


def count_misses(rows: list[dict]) -> list[Figure]:
    """Figures of the intervals of totals and of customers."""
    figures = []
    for unit in ("fashion", "boutique"):
        for total in ("value", "purchases"):
            missed = sum(not row[unit][f"{total}_inside"] for row in rows)
            figures.append(Figure(NAME, missed, f"seeds of {SEEDS} with {unit} {total} outside", MISSES))
        outside = 1.0 - np.mean([row[unit]["customers"] for row in rows])
        figures.append(Figure(NAME, float(outside), f"share of {unit} customers outside", OUTSIDE))
    return figures


def compare_pooling(rows: list[dict]) -> list[Figure]:
    """Figures of the small unit's errors, pooled against alone."""
    figures = []
    for name, of in ((lambda row: abs(row["purchases_bias"]), "total"), (lambda row: row["rmse"], "customers' RMSE")):
        pooled, alone = (float(np.mean([name(row[key]) for row in rows])) for key in ("boutique", "alone"))
        figures.append(Figure(NAME, pooled, f"error of boutique's {of}, pooled", alone, alone, "alone"))
    return figures


def _recover(work: Path, first: int, *options: str) -> list[dict]:
    seeds = [str(first), str(first + SEEDS - 1)]
    rows = measure_module("benchmarks.tasks.recovery", work / f"recovery-{first}", *seeds, *options).last_json()
    wrong = [row["seed"] for row in rows if not row["converged"]]
    if wrong:
        raise RuntimeError(f"a fit did not converge: seeds {wrong}")
    return rows
