"""Simulated shops whose journeys follow a known chain: do 90% intervals hold the truth 90% of the time."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "attribution-coverage"
SIMULATIONS = 200
BAR = 0.03  # distance from 90%


def run(work: Path) -> list[Figure]:
    """Measure the distance of the coverage from 90%, by order of the chain and by posterior."""
    found = measure_module("benchmarks.tasks.posterior_coverage", str(SIMULATIONS)).last_json()
    return [
        Figure(NAME, abs(share - 0.9), f"distance of coverage from 90%, {name}", BAR) for name, share in found.items()
    ]
