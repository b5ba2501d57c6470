"""Forty demo companies against their truth: whether intervals hold it, and whether pooling pays.

The spread of the units of a pool has priors that were chosen with an eye on the first companies (seeds below 100), so
pooling is judged on the twenty others, that had no part in that choice. The peer of the intervals is the forecast from
the true parameters: what it misses on these seeds is chance.
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
    first, others = _recover(work, FIRST), _recover(work, FIRST_OTHER, "--alone")
    return [*count_misses(first), *count_misses(others), *compare_pooling(others)]


def count_misses(rows: list[dict]) -> list[Figure]:
    """Figures of the intervals of totals and of customers."""
    figures, seeds = [], f"seeds {rows[0]['seed']} to {rows[-1]['seed']}"
    for unit in ("fashion", "boutique"):
        for total in ("value", "purchases"):
            missed, known = (sum(not row[key][f"{total}_inside"] for row in rows) for key in (unit, f"{unit}_known"))
            what = f"{unit} {total} outside, of {seeds}"
            figures.append(Figure(NAME, missed, what, MISSES, known, "true parameters"))
        outside, known = (1.0 - np.mean([row[key]["customers"] for row in rows]) for key in (unit, f"{unit}_known"))
        what = f"share of {unit} customers outside, {seeds}"
        figures.append(Figure(NAME, float(outside), what, OUTSIDE, float(known), "true parameters"))
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
