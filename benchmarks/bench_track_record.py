"""CDNOW and Online Retail replayed quarterly: how many of the forecasts filed then held."""

from pathlib import Path

from benchmarks.measure import measure_module
from benchmarks.results import Figure

NAME = "track-record"
EXAMPLES = ("cdnow", "online_retail")
BAR = 0.05  # distance of the coverage of 90% intervals from 0.9


def run(work: Path) -> list[Figure]:
    """Replay both logs, and score all their forecasts together."""
    found = {name: measure_module("benchmarks.tasks.track_record", work / NAME, name).last_json() for name in EXAMPLES}
    inside, forecasts = (sum(one[key] for one in found.values()) for key in ("inside", "forecasts"))
    told = ", ".join(f"{name} {one['inside']} of {one['forecasts']}" for name, one in found.items())
    covered = inside / forecasts
    return [Figure(NAME, abs(covered - 0.9), f"distance of coverage {covered:.3f} from 0.9 ({told})", BAR)]
