"""A second `make reports`, with nothing changed."""

from pathlib import Path

from benchmarks import bench_reports_cold
from benchmarks.results import Figure

NAME = "reports-unchanged"
BAR = 10.0  # s, on the clock as well as of the CPU


def run(work: Path) -> list[Figure]:
    """Measure a rerun in the copy that `reports-cold` built, or in one that is built first."""
    checkout = work / "checkout"
    if not (checkout / "reports" / "index.html").is_file():
        bench_reports_cold.run(work)
    before = (checkout / "reports" / "index.html").read_bytes()
    usage = bench_reports_cold.build_reports(checkout)
    if (checkout / "reports" / "index.html").read_bytes() != before:
        raise RuntimeError("a rerun with nothing changed wrote another index")
    return [Figure(NAME, usage.cpu, "CPU s", BAR), Figure(NAME, usage.wall, "s", BAR)]
