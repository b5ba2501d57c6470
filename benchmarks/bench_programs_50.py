"""Fifty programs of 100,000 customers each, studied from their counts."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "programs-50"
PROGRAMS, CUSTOMERS = 50, 100_000
CPU = 60.0


def run(work: Path) -> list[Figure]:
    """Count them, and measure the study alone, start of the interpreter included."""
    path = work / "programs-50.parquet"
    measure_module("benchmarks.tasks.programs_counts", path, str(PROGRAMS), str(CUSTOMERS))
    usage = measure_module("benchmarks.tasks.programs_study", path)
    if usage.last_json()["programs"] != PROGRAMS:
        raise RuntimeError(f"not all programs were judged: {usage.output}")
    return [Figure(NAME, usage.cpu, "CPU s", CPU)]
