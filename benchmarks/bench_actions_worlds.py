"""Worlds with known effects: next best actions that learn, against an oracle, risk first and value first."""

from pathlib import Path

import numpy as np

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "actions-worlds"
WORLDS = 60
SHORT_BAR, LOST_BAR = 0.10, 0.05  # of the oracle's value; of the worlds
COVERAGE_BAR = 0.05  # distance from 0.9


def run(work: Path) -> list[Figure]:
    """Compare total values, and count the rounds whose promised interval held."""
    rows = measure_module("benchmarks.tasks.actions_worlds", "1", str(WORLDS)).last_json()
    learning, oracle, risk, value = (
        np.array([row[name] for row in rows]) for name in ("learning", "oracle", "risk", "value")
    )
    short = 1 - learning.sum() / oracle.sum()
    rival = 1 - value.sum() / oracle.sum()
    lost = float(np.mean(learning <= np.maximum(risk, value)))
    covered = float(np.mean([row["covered"] for row in rows]))
    return [
        Figure(NAME, short, "share of the oracle's value missed", SHORT_BAR, rival, "highest value first"),
        Figure(NAME, lost, f"share of {WORLDS} worlds lost to risk or value first", LOST_BAR),
        Figure(NAME, abs(covered - 0.9), f"distance of coverage {covered:.3f} from 0.9", COVERAGE_BAR),
    ]
