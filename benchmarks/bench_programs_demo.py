"""Twenty demo companies: whether the intervals of their randomised programs hold the true incremental margin."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "programs-demo"
SEEDS = 20
OUTSIDE = 0.15  # share of programs, at most
UNBLOCKED = 0  # broken randomisations that got a verdict, at most


def run(work: Path) -> list[Figure]:
    """Count programs whose true incremental margin lies outside its interval, and broken ones that were judged."""
    rows = measure_module("benchmarks.tasks.programs_demo", work, "1", str(SEEDS)).last_json()
    judged = [row for row in rows if row["verdict"] != "withheld"]
    outside = 1 - sum(row["inside"] for row in judged) / len(judged)
    unblocked = sum(row["fault"] == "lost" and row["verdict"] != "withheld" for row in rows)
    return [
        Figure(NAME, outside, "share of programs outside their 90% interval", OUTSIDE),
        Figure(NAME, unblocked, "broken randomisations judged", UNBLOCKED),
    ]
