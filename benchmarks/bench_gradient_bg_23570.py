"""BG/NBD log-density with gradient, 23,570 customers like CDNOW's, daily: 20 times faster than the peer."""

from pathlib import Path

from benchmarks.gradient import compare
from benchmarks.results import Figure

NAME = "gradient-bg-23570"


def run(work: Path) -> list[Figure]:
    """Measure both."""
    return compare(NAME, "bg_nbd", 23_570, 20.0, 5_200.0, work)
