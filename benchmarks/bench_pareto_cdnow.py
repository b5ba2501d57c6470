"""Pareto/NBD on the CDNOW sample (2,357 customers), NUTS, 4 chains x (1000 + 1000).

pymc-marketing 1.3.0, sampling the same way, had not finished when it was stopped after 225 CPU seconds, and is not
run again here.
"""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "pareto-cdnow"
BAR = 60.0  # CPU s


def run(work: Path) -> list[Figure]:
    """Measure the first fit of a process, with what is compiled for it, and the second."""
    fits = measure_module("benchmarks.tasks.pareto_cdnow").last_json()
    if not fits["passed"]:
        raise RuntimeError(f"the fit did not converge: {fits}")
    return [
        Figure(NAME, fits["first"], "CPU s with compilation", BAR),
        Figure(NAME, fits["second"], "CPU s", BAR),
    ]
