"""A million journeys over twelve channels: an exact chain of order 3 with all removal rules, in a fresh process."""

from pathlib import Path

from benchmarks.measure import PEERS, measure_module
from benchmarks.results import Figure

NAME = "markov-1m"
JOURNEYS, CHANNELS, ORDER = 1_000_000, 12, 3
BAR = 5.0  # CPU s
MEMORY_BAR = 0.5  # GB
NOISE = 0.12  # by how much the peer's own results move with its seed, relative to a channel's share


def run(work: Path) -> list[Figure]:
    """Measure reading, counting and all removals; where the peers are installed, ChannelAttribution does the same."""
    folder = work / "paths-12"
    measure_module("benchmarks.tasks.write_paths", folder, str(JOURNEYS), str(CHANNELS))
    ours = measure_module("benchmarks.tasks.markov_paths", folder, str(ORDER))
    found = ours.last_json()
    if found["journeys"] != JOURNEYS or found["gap"] > 1e-9:
        raise RuntimeError(f"miscounted: {found}")
    if not PEERS.exists():
        return [Figure(NAME, ours.cpu, "CPU s", BAR), Figure(NAME, ours.memory, "GB", MEMORY_BAR)]
    peer = measure_module("benchmarks.tasks.peer_channel_attribution", folder, str(ORDER), python=PEERS)
    simulated = peer.last_json()
    off = max(abs(simulated["shares"][name] / share - 1) for name, share in found["shares"].items())
    name = simulated["name"]
    return [
        Figure(NAME, ours.cpu, "CPU s", BAR, peer.cpu, name),
        Figure(NAME, ours.memory, "GB", MEMORY_BAR, peer.memory, name),
        Figure(NAME, off, "largest relative difference from the peer's simulation", NOISE),
    ]
