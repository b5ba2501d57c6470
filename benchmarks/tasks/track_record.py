"""Replay a public log quarterly, file its forecasts, and hold them against what happened; prints one line of JSON.

``python -m benchmarks.tasks.track_record WORK EXAMPLE [quick]``: a portfolio of ``examples/`` named in `FIRST`.
"""

import json
import sys
import time
from datetime import date
from pathlib import Path

from benchmarks.tasks.replay_holdouts import copy_example
from cvmlib.clv.prepare import prepare_unit
from cvmlib.decisions.track_record import score_record, settle
from cvmlib.decisions.track_run import list_dates, replay
from cvmlib.portfolio import read_portfolio

FIRST = {"cdnow": date(1997, 6, 30), "online_retail": date(2011, 3, 9)}


def run(work: Path, example: str, quick: bool) -> dict:
    """Coverage of all settled forecasts, and by quantity."""
    portfolio = read_portfolio(copy_example(work, example))
    (name,) = portfolio.units
    prepare_unit(portfolio, name)
    start = time.process_time()
    replay(portfolio, list_dates(FIRST[example], portfolio.end_of_observation, "quarter"), quick=quick)
    settled = settle(portfolio, name).settled
    found = {by: score_record(settled, by)[[by, "forecasts", "inside"]].to_dict("records")
             for by in ("quantity", "made_on", "group", "months")}  # fmt: skip
    return {"forecasts": len(settled), "inside": int(settled["inside"].sum()), "bias": float(settled["error"].mean()),
            "cpu": time.process_time() - start} | found  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), sys.argv[2], "quick" in sys.argv[3:])))
