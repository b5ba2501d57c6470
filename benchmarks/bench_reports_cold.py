"""`make reports` on the demo company, from a fresh checkout after installation: no build, no cache, no tables."""

import sys
from pathlib import Path

from benchmarks.measure import Usage, clean_environment, copy_checkout, measure
from benchmarks.results import Figure

NAME = "reports-cold"
BAR = 480.0  # CPU s
COMMAND = [sys.executable, "-c", "from cvmlib.cli import app; app()", "reports"]


def build_reports(checkout: Path) -> Usage:
    """Build the reports of the copy at `checkout`, whose own library is used."""
    env = clean_environment(PYTHONPATH=str(checkout / "src"), NO_COLOR="1", TERM="dumb")
    return measure(COMMAND, cwd=checkout, env=env)


def run(work: Path) -> list[Figure]:
    """Measure all processes together; leaves the built copy for `reports-unchanged`."""
    checkout = work / "checkout"
    copy_checkout(checkout)
    usage = build_reports(checkout)
    if not (checkout / "reports" / "index.html").is_file():
        raise RuntimeError("cvm reports wrote no reports/index.html")
    return [Figure(NAME, usage.cpu, "CPU s", BAR)]
