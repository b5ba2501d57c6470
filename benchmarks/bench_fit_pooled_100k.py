"""Hierarchical BG/NBD on 100,000 customers in six units, 4 chains x (1000 + 1000)."""

from pathlib import Path

from benchmarks.measure import PEERS, cold_environment, measure_module
from benchmarks.results import Figure

NAME = "fit-pooled-100k"
CUSTOMERS = 100_000
BAR = 60.0  # CPU s
FASTER = 25.0  # times as many effective draws in a CPU second as the peer
USUAL = 250.0  # CPU ms of the peer for an effective draw on the machine the bars were set on, where it is not installed


def run(work: Path) -> list[Figure]:
    """Measure the first fit with empty caches, with all that is compiled for it, and one after compilation.

    The peer's fit is estimated, as it does not come to its end in a reasonable time: without its compilation, so the
    effective draws are compared without ours.
    """
    folder = work / NAME
    folder.mkdir(exist_ok=True)
    cold = cold_environment(folder)
    first, warm = (
        measure_module(
            "benchmarks.tasks.fit_pooled", folder, "six-units", str(CUSTOMERS), *option, env=cold
        ).last_json()
        for option in ([], ["--warm"])
    )
    if not (first["passed"] and warm["passed"]):
        raise RuntimeError(f"a fit did not converge: {first}, {warm}")
    each, words = 1e3 * warm["cpu"] / warm["ess"], "CPU ms for an effective draw"
    if not PEERS.exists():
        whole = Figure(NAME, first["cpu"], "CPU s with compilation", BAR)
        return [whole, Figure(NAME, each, words, USUAL / FASTER)]
    peer = measure_module("benchmarks.tasks.peer_pymc_marketing_estimate", folder, python=PEERS).last_json()
    other = 1e3 * peer["cpu"] / peer["ess"]
    return [
        Figure(NAME, first["cpu"], "CPU s with compilation", BAR, peer["cpu"], peer["name"]),
        Figure(NAME, each, words, other / FASTER, other, peer["name"]),
    ]
