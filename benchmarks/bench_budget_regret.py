"""A hundred markets: what the advice on the budget loses against the best plan, beside an optimiser of the mean.

Regret is a share of what media truly bring. 'Hold' is right when the plan that the optimiser of the mean would have
made instead gains less than a twentieth of that: then nothing worth the change was missed.
"""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "budget-regret"
WORLDS = 100
WORTH = 0.05
WRONG = 0.2  # share of the holds, at most


def run(work: Path) -> list[Figure]:
    """Compare regrets, and count the holds that missed something."""
    rows = measure_module("benchmarks.tasks.budget_regret", "1", str(WORLDS)).last_json()
    ours, mean = (float(np.mean([row[name] for row in rows])) for name in ("advice", "mean"))
    holds = [row for row in rows if row["hold"]]
    wrong = float(np.mean([row["forgone"] >= WORTH for row in holds])) if holds else 0.0
    return [
        Figure(NAME, ours, "regret, share of what media bring", mean, mean, "mean-only optimiser"),
        Figure(NAME, wrong, f"share of {len(holds)} holds that were wrong", WRONG),
    ]
