"""A stream of purchases scored one by one: the time of an event, and its distance to a batch of the same days."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "score-event"
CUSTOMERS, EVENTS = 20_000, 10_000
TIME_BAR, DISTANCE_BAR = 1.0, 1e-9  # CPU ms; relative


def run(work: Path) -> list[Figure]:
    """Measure one process."""
    found = measure_module("benchmarks.tasks.score_event", work / NAME, str(CUSTOMERS), str(EVENTS)).last_json()
    return [
        Figure(NAME, 1000 * found["p99"], f"CPU ms, 99th percentile of {EVENTS:,} events", TIME_BAR),
        Figure(NAME, found["worst"], "largest relative distance to the batch: value, type, tier", DISTANCE_BAR),
        Figure(NAME, found["other_segment"], "events with another type or tier than the batch", 0),
    ]
