"""A thousand programs without any effect, and a thousand of which half have one: raw estimates against pooled ones."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "programs-null"
PORTFOLIOS, PROGRAMS, CUSTOMERS = 20, 50, 20_000
SCALED = 0.05
ERROR = 0.75  # of the raw error, at most
FALSE = 0.5  # of the raw share, at most


def run(work: Path) -> list[Figure]:
    """Judge them; the shares and errors of the raw estimates stand beside the pooled ones."""
    sizes = (str(number) for number in (PORTFOLIOS, PROGRAMS, CUSTOMERS))
    found = measure_module("benchmarks.tasks.programs_null", *sizes).last_json()
    return [
        Figure(NAME, found["null_scale"], "share of null programs scaled", SCALED, found["null_scale_raw"], "raw"),
        Figure(
            NAME, found["error"], "RMSE of the return, half null", ERROR * found["error_raw"], found["error_raw"], "raw"
        ),
        Figure(
            NAME,
            found["false"],
            "share of null scaled, half null",
            FALSE * found["false_raw"],
            found["false_raw"],
            "raw",
        ),
    ]
