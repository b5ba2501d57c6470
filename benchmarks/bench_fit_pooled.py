"""Hierarchical BG/NBD on 24,000 customers in six units, 4 chains x (1000 + 1000), after compilation."""

from pathlib import Path

from benchmarks.measure import PEERS, measure_module
from benchmarks.results import Figure

NAME = "fit-pooled-24k"
CUSTOMERS = 24_000
BAR = 20.0  # CPU s


def run(work: Path) -> list[Figure]:
    """Measure the second fit of a process; where the peers are installed, pymc-marketing fits the same customers."""
    ours = measure_module("benchmarks.tasks.fit_pooled", work, "six-units", str(CUSTOMERS), "--warm").last_json()
    if not ours["passed"]:
        raise RuntimeError(f"the fit did not converge: {ours}")
    if not PEERS.exists():
        return [Figure(NAME, ours["cpu"], "CPU s", BAR)]
    peer = measure_module("benchmarks.tasks.peer_pymc_marketing_fit", work, python=PEERS).last_json()
    return [Figure(NAME, ours["cpu"], "CPU s", BAR, peer["cpu"], peer["name"])]
