"""Cost of the fit, after compilation, at a million customers against 100,000."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "clv-growth"
FEW, MANY = 100_000, 1_000_000
TIMES = 4.0
BASES = {"cdnow": "like CDNOW's", "two-years": "two years of history, four units"}


def run(work: Path) -> list[Figure]:
    """Measure both fits, to customers of one unit and one season, and to those of `clv-million`."""
    folder, figures = work / NAME, []
    folder.mkdir(exist_ok=True)
    for base, words in BASES.items():
        cpu = []
        for customers in (FEW, MANY):
            found = measure_module("benchmarks.tasks.fit_pooled", folder, base, str(customers), "--warm").last_json()
            if not found["passed"]:
                raise RuntimeError(f"the fit to {customers:,} customers did not converge: {found}")
            cpu.append(found["cpu"])
        text = f"times the CPU s of {FEW:,} customers ({cpu[0]:.1f}) at {MANY:,} ({cpu[1]:.1f}): {words}"
        figures.append(Figure(NAME, cpu[1] / cpu[0], text, TIMES))
    return figures
