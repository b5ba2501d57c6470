"""Error of the forecast of held-out weeks on pymc-marketing's own example, beside pymc-marketing's.

The last 26 of 179 weeks are one split, in which chance decides between good models; so the mean over twelve splits
stands beside it: 13, 26 and 39 weeks held out, from four origins a quarter of a year apart.
"""

import os
from pathlib import Path

import numpy as np

from benchmarks.measure import PEERS, ROOT, measure_module
from benchmarks.results import Figure

NAME = "media-holdout"
FILE = "mmm/pymcm_mmm_example.csv.gz"
ONE = "26:0"
SPLITS = [f"{weeks}:{left_off}" for left_off in (0, 13, 26, 39) for weeks in (13, 26, 39)]
"""Weeks held out, and weeks at the end of the table that are left off."""
BAR = 0.10  # mean absolute error as a share, where the peer is not installed


def run(work: Path) -> list[Figure]:
    """Forecast the same weeks with both; nothing without the public data."""
    file = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data")).resolve() / FILE
    if not file.is_file():
        return []
    rows = measure_module("benchmarks.tasks.media_holdout", file, *SPLITS).last_json()
    ours = summarise(rows)
    if not PEERS.exists():
        return [Figure(NAME, error, unit, BAR) for unit, error in ours.items()]
    peer = measure_module("benchmarks.tasks.peer_pymc_marketing_media", file, *SPLITS, python=PEERS).last_json()
    theirs = summarise(peer["splits"])
    return [Figure(NAME, error, unit, theirs[unit], theirs[unit], peer["name"]) for unit, error in ours.items()]


def summarise(rows: list[dict]) -> dict[str, float]:
    """Mean absolute error of the one split, and the mean of all, as shares of the outcome."""
    errors = {row["split"]: row["mape"] for row in rows}
    return {
        "mean absolute error, share, last 26 weeks": errors[ONE],
        f"mean absolute error, share, {len(errors)} splits": float(np.mean(list(errors.values()))),
    }
