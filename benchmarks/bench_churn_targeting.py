"""Retention campaigns in 100 simulated worlds: effect times value, measured in a pilot, against ranking by risk."""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "churn-targeting"
WORLDS = 100
LOST = 5  # worlds of 100, at most


def run(work: Path) -> list[Figure]:
    """Count the worlds in which other lists earn as much; where it pays to contact nobody, equal lists are empty."""
    rows = measure_module("benchmarks.tasks.targeting", "1", str(WORLDS)).last_json()
    effect, size = (np.array([row[key] for row in rows]) for key in ("effect", "listed"))
    figures = []
    for key, words in (
        ("risk", "as many contacts by risk earn as much"),
        ("risk_own_size", "contacts by risk, of the size that seems best, earn as much"),
        ("risk_times_value", "contacts by risk times value, of the size that seems best, earn as much"),
    ):
        other = np.array([row[key] for row in rows])
        lost = int(((effect <= other) & ((size > 0) | (other > 0))).sum())
        figures.append(Figure(NAME, lost, f"worlds of {WORLDS} in which {words}", LOST))
    losing = int((effect < 0).sum())
    return [*figures, Figure(NAME, losing, f"worlds of {WORLDS} in which the list loses money", 2 * LOST)]
