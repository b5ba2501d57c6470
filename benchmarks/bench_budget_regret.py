"""Three hundred markets: what the advice on the budget loses against the best plan, beside an optimiser of the mean.

Regret is a share of what media truly bring. 'Hold' is right when the plan that the optimiser of the mean would have
made instead gains less than a twentieth of that: then nothing worth the change was missed. In the first hundred markets
it is said in a handful, too few to tell four in five from anything else, so both are told, of these and of all.
"""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "budget-regret"
FIRST, WORLDS = 100, 300
WORTH = 0.05
WRONG = 0.2  # share of the holds, at most


def run(work: Path) -> list[Figure]:
    """Compare regrets and count the holds that missed something, in the first hundred and in all."""
    rows = measure_module("benchmarks.tasks.budget_regret", "1", str(WORLDS)).last_json()
    figures = []
    for count in (FIRST, WORLDS):
        ours, mean = (float(np.mean([row[name] for row in rows[:count]])) for name in ("advice", "mean"))
        unit = f"regret, share of what media bring, {count} worlds"
        figures.append(Figure(NAME, ours, unit, mean, mean, "mean-only optimiser"))
        holds = [row["forgone"] for row in rows[:count] if row["hold"]]
        wrong = float(np.mean([gain >= WORTH for gain in holds])) if holds else 0.0
        figures.append(Figure(NAME, wrong, f"share of {len(holds)} holds that were wrong, {count} worlds", WRONG))
    return figures
