"""Ten million transactions, mapped, cleaned and counted into a count table, in a fresh process."""

from pathlib import Path

from benchmarks.measure import PEERS, measure_module
from benchmarks.results import Figure

NAME = "counts-10m"
TRANSACTIONS = 10_000_000
BAR = 20.0  # CPU s
MEMORY_BAR = 2.0  # GB


def run(work: Path) -> list[Figure]:
    """Measure the counting; where the peers are installed, lifetimes summarises the same file."""
    measure_module("benchmarks.tasks.write_transactions", work, str(TRANSACTIONS))
    ours = measure_module("benchmarks.tasks.count_transactions", work)
    counted = ours.last_json()
    if not counted["purchases"] <= counted["transactions"] == TRANSACTIONS:
        raise RuntimeError(f"miscounted: {counted}")
    if not PEERS.exists():
        return [Figure(NAME, ours.cpu, "CPU s", BAR), Figure(NAME, ours.memory, "GB", MEMORY_BAR)]
    peer = measure_module("benchmarks.tasks.peer_lifetimes_summary", work, python=PEERS)
    summarised = peer.last_json()
    if summarised["customers"] != counted["customers"] or summarised["purchases"] != counted["purchases"]:
        raise RuntimeError(f"the peer counted {summarised}, we counted {counted}")
    name = summarised["name"]
    return [
        Figure(NAME, ours.cpu, "CPU s", BAR, peer.cpu, name),
        Figure(NAME, ours.memory, "GB", MEMORY_BAR, peer.memory, name),
    ]
