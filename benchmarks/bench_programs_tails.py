"""Programs of which 1% to 10% of the customers buy, in amounts with heavy tails: whether intervals hold the lift."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "programs-tails"
PROGRAMS = 1_000  # of each share of buyers, spread of amounts, and lift
OFF = 0.03  # from 90%, at most


def run(work: Path) -> list[Figure]:
    """Take the share of buyers and spread whose coverage is furthest off, beside that of plain normal intervals."""
    rows = measure_module("benchmarks.tasks.programs_tails", str(PROGRAMS)).last_json()
    worst, normal = (max(abs(row[name] - 0.9) for row in rows) for name in ("found", "normal"))
    return [Figure(NAME, worst, "coverage off 90%, at worst", OFF, normal, "normal intervals")]
