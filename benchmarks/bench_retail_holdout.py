"""Online Retail, replayed: split after each quarter, holdouts of 3 to 9 months."""

from pathlib import Path

import numpy as np

from benchmarks.bench_cdnow_holdout import compare_intervals
from benchmarks.measure import PEERS, measure_module
from benchmarks.results import Figure

NAME = "retail-holdout"


def run(work: Path) -> list[Figure]:
    """Replay the splits; where the peers are installed, lifetimes forecasts the same customers."""
    folder = work / "retail"
    rows = measure_module("benchmarks.tasks.replay_holdouts", folder, "online_retail").last_json()
    figures = compare_intervals(NAME, rows)
    if not PEERS.exists():
        return figures
    peer = measure_module("benchmarks.tasks.peer_lifetimes_holdouts", folder, "online_retail", python=PEERS).last_json()
    if [(row["split"], row["months"]) for row in peer["rows"]] != [(row["split"], row["months"]) for row in rows]:
        raise RuntimeError("the peer forecast other splits")
    for key, theirs, words in (
        ("bias", "bias", "absolute bias of the total"),
        ("mae", "mae", "MAE of customers (median forecast)"),
        ("mae_of_mean", "mae", "MAE of customers (mean forecast)"),
        ("rmse", "rmse", "RMSE of customers (mean forecast)"),
    ):
        found = float(np.mean([abs(row[key]) for row in rows]))
        other = float(np.mean([abs(row[theirs]) for row in peer["rows"]]))
        figures.append(Figure(NAME, found, f"{words}, mean of the splits", other, other, peer["name"]))
    return figures
