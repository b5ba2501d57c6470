"""A million customers and 12 actions under a budget and capacities, no two customers alike."""

from pathlib import Path

from benchmarks.measure import cold_environment, measure_module
from benchmarks.results import Figure

NAME = "actions-million"
CUSTOMERS = 1_000_000
BAR, MEMORY_BAR, GAP_BAR = 120.0, 4.0, 0.005  # CPU s, GB, share of the bound


def run(work: Path) -> list[Figure]:
    """Measure a process with empty caches."""
    folder = work / NAME
    folder.mkdir(exist_ok=True)
    ours = measure_module("benchmarks.tasks.actions_million", str(CUSTOMERS), env=cold_environment(folder))
    found = ours.last_json()
    if not (found["kept"] and found["binding"] >= 2):
        raise RuntimeError(f"a limit is broken, or none binds: {found}")
    return [
        Figure(NAME, ours.cpu, "CPU s", BAR),
        Figure(NAME, ours.memory, "GB", MEMORY_BAR),
        Figure(NAME, found["gap"], "optimality gap, share of the bound", GAP_BAR),
    ]
