"""Twenty companies of five units: how many channel-units have their true return outside its 90% interval."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "media-mix-truth"
FIRST, COMPANIES = 1001, 20
OUTSIDE = 0.15  # share of channel-units, at most


def run(work: Path) -> list[Figure]:
    """Count the channel-units outside, all together and for each channel."""
    rows = measure_module("benchmarks.tasks.media_mix", str(FIRST), str(FIRST + COMPANIES - 1)).last_json()
    by_channel = {name: [hit for row in rows for hit in row["inside"][name]] for name in rows[0]["inside"]}
    every = [hit for hits in by_channel.values() for hit in hits]
    unfit = sum(not row["passed"] for row in rows)
    figures = [
        Figure(NAME, 1.0 - sum(every) / len(every), "share of channel-units outside", OUTSIDE),
        Figure(NAME, unfit, f"fits of {COMPANIES} that did not converge", 0),
    ]
    for name, hits in by_channel.items():
        figures.append(Figure(NAME, 1.0 - sum(hits) / len(hits), f"share of units outside, {name}", 1.0))
    return figures
