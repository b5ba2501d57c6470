"""Media mix of five units with six channels over three years: CPU seconds, compilation included, and the gate."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "media-mix-5-units"
BAR = 600.0  # CPU s


def run(work: Path) -> list[Figure]:
    """Fit one company."""
    (row,) = measure_module("benchmarks.tasks.media_mix", "1", "1").last_json()
    if not row["passed"]:
        raise RuntimeError(f"the fit did not converge: {row}")
    return [
        Figure(NAME, row["cpu"], "CPU s", BAR),
        Figure(NAME, row["r_hat"], "R-hat", 1.01),
        Figure(NAME, 400.0 / row["ess_bulk"], "400 / bulk ESS", 1.0),
    ]
