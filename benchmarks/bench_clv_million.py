"""A million customers in four units, two years of history: from the transactions to everybody's value with interval."""

from pathlib import Path

from benchmarks.measure import cold_environment, measure_module
from benchmarks.results import Figure

NAME = "clv-million"
CUSTOMERS = 1_000_000
BAR, PREDICTION_BAR = 600.0, 60.0  # CPU s
MEMORY_BAR = 3.0  # GB


def run(work: Path) -> list[Figure]:
    """Measure a process with empty caches; it prints what each of its stages took."""
    folder = work / NAME
    folder.mkdir(exist_ok=True)
    measure_module("benchmarks.tasks.write_units", folder, str(CUSTOMERS))
    ours = measure_module("benchmarks.tasks.value_units", folder, env=cold_environment(folder))
    found = ours.last_json()
    if not (found["customers"] == CUSTOMERS and found["complete"] and found["passed"]):
        raise RuntimeError(f"not everybody was valued, or a fit did not converge: {found}")
    return [
        Figure(NAME, ours.cpu, "CPU s in all", BAR),
        Figure(NAME, found["cpu"]["predict"], "CPU s of the prediction", PREDICTION_BAR),
        Figure(NAME, ours.memory, "GB", MEMORY_BAR),
    ]
