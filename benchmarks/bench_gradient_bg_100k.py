"""BG/NBD log-density with gradient, 100,000 customers like CDNOW's, daily: 50 times faster than the peer."""

from pathlib import Path

from benchmarks.gradient import compare
from benchmarks.results import Figure

NAME = "gradient-bg-100k"


def run(work: Path) -> list[Figure]:
    """Measure both."""
    return compare(NAME, "bg_nbd", 100_000, 50.0, 23_500.0, work)
