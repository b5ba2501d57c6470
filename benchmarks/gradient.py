"""The log-density of a purchase model with its gradient, beside pymc-marketing's on the same customers."""

from pathlib import Path

from benchmarks.measure import PEERS, measure_module
from benchmarks.results import Figure


def compare(name: str, family: str, customers: int, times: float, usual: float, work: Path) -> list[Figure]:
    """Measure both; the bar is the peer's figure of the same run divided by `times`.

    Parameters
    ----------
    name : str
        Name of the benchmark.
    family : str
        Name of the purchase model, such as ``bg_nbd``.
    customers : int
        How many customers to simulate.
    times : float
        How many times faster than the peer.
    usual : float
        CPU µs of the peer on the machine the bars were set on; it stands in where the peers are not installed.
    work : Path
        Folder for the customers.
    """
    folder = work / name
    folder.mkdir(exist_ok=True)
    ours = measure_module("benchmarks.tasks.gradient", family, str(customers), folder).last_json()["microseconds"]
    if not PEERS.exists():
        return [Figure(name, ours, "CPU µs", usual / times)]
    peer = measure_module("benchmarks.tasks.peer_pymc_marketing_gradient", family, folder, python=PEERS).last_json()
    return [Figure(name, ours, "CPU µs", peer["microseconds"] / times, peer["microseconds"], peer["name"])]
