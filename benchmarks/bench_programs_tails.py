"""Programs of which 1% to 10% of the customers buy, in amounts with heavy tails: whether intervals hold the lift.

Lifts are read from money alone, and with what conversions say, in portfolios of twenty programs.
"""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "programs-tails"
PROGRAMS = 1_000  # of each share of buyers, spread of amounts, and lift
OFF = 0.03  # from 90%, at most
OFF_SHARP = 0.05  # the same where conversions are read too
ERROR = 1.0  # of the error without conversions, at most


def run(work: Path) -> list[Figure]:
    """Take the share of buyers and spread whose coverage is furthest off, beside that of plain normal intervals."""
    rows = measure_module("benchmarks.tasks.programs_tails", str(PROGRAMS)).last_json()
    worst, normal = (max(abs(row[name] - 0.9) for row in rows) for name in ("found", "normal"))
    sharp, error = max(abs(row["sharp"] - 0.9) for row in rows), max(row["error"] for row in rows)
    return [
        Figure(NAME, worst, "coverage off 90%, at worst", OFF, normal, "normal intervals"),
        Figure(NAME, sharp, "coverage off 90% with conversions, at worst", OFF_SHARP, normal, "normal intervals"),
        Figure(NAME, error, "error of lifts with conversions, of that without", ERROR),
    ]
