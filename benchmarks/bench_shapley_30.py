"""Shapley values of thirty channels over a million journeys; and a case in which a peer credits less than nothing."""

from pathlib import Path

from benchmarks.measure import PEERS, measure_module
from benchmarks.results import Figure

NAME = "shapley-30"
JOURNEYS, CHANNELS = 1_000_000, 30
BAR = 60.0  # CPU s
SMALL = (100_000, 12)  # journeys and channels of the case that peers compute too
CONSERVED = 1e-9


def run(work: Path) -> list[Figure]:
    """Measure time, conservation and the least credit."""
    large, small = work / "paths-30", work / "paths-12-small"
    measure_module("benchmarks.tasks.write_paths", large, str(JOURNEYS), str(CHANNELS))
    measure_module("benchmarks.tasks.write_paths", small, *(str(number) for number in SMALL))
    ours = measure_module("benchmarks.tasks.shapley_paths", large)
    found, also = ours.last_json(), measure_module("benchmarks.tasks.shapley_paths", small).last_json()
    if found["channels"] != CHANNELS:
        raise RuntimeError(f"channels were dropped: {found}")
    peer, name = None, ""
    if PEERS.exists():
        said = measure_module("benchmarks.tasks.peer_mam_shapley", small, python=PEERS).last_json()
        peer, name = max(-said["least"], 0.0), said["name"]
    below = max(-found["least"], -also["least"], 0.0)
    return [
        Figure(NAME, ours.cpu, "CPU s", BAR),
        Figure(NAME, max(found["gap"], also["gap"]), "relative gap of the sum of credit", CONSERVED),
        Figure(NAME, below, "conversions below zero, worst channel", 0.0, peer, name),
    ]
