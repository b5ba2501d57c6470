"""A million subscribers of four units with three covariates: checked, counted and fitted with NUTS, in one process."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "churn-million"
SUBSCRIBERS = 1_000_000
BAR = 120.0  # CPU s, compilation included
MEMORY_BAR = 2.0  # GB


def run(work: Path) -> list[Figure]:
    """Measure counting and fitting together."""
    folder = work / "churn-million"
    folder.mkdir()
    measure_module("benchmarks.tasks.write_subscribers", folder, str(SUBSCRIBERS))
    usage = measure_module("benchmarks.tasks.churn_million", folder)
    found = usage.last_json()
    if not found["passed"] or found["subscriptions"] != SUBSCRIBERS:
        raise RuntimeError(f"not as it should be: {found}")
    return [Figure(NAME, usage.cpu, "CPU s", BAR), Figure(NAME, usage.memory, "GB", MEMORY_BAR)]
