"""Log-density and gradient of the Pareto/NBD on the CDNOW sample: 2,357 customers, a row for each, given to both."""

from pathlib import Path

from benchmarks.measure import PEERS, measure_module
from benchmarks.results import Figure

NAME = "gradient-pareto-2357"
FASTER = 50.0  # times, than the peer
BAR = 220.0  # microseconds, where there is no peer to measure


def run(work: Path) -> list[Figure]:
    """Time one call; where the peers are installed, pymc-marketing's on the same rows."""
    ours = measure_module("benchmarks.tasks.pareto_gradient", work).last_json()
    if not PEERS.exists():
        return [Figure(NAME, ours["each"], "µs", BAR)]
    peer = measure_module("benchmarks.tasks.peer_pymc_marketing_pareto", work, python=PEERS).last_json()
    return [Figure(NAME, ours["each"], "µs", peer["each"] / FASTER, peer["each"], peer["name"])]
