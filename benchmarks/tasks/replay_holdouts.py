"""Replay holdouts of a public log: calibrate until each split, forecast what came; prints one line of JSON.

``python -m benchmarks.tasks.replay_holdouts WORK EXAMPLE``: a portfolio of ``examples/`` named in `SPLITS`. For each
split WORK gets ``EXAMPLE-SPLIT.csv``, the customers of the calibration, for a peer.
"""

import json
import os
import re
import sys
from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks.measure import ROOT
from benchmarks.tasks.holdouts import add_split, score_customers, score_parameters_only, score_total
from cvmlib.clv import study

LENGTHS = (3, 6, 9)  # months
#: Last days of the calibrations, and of the log.
SPLITS = {
    "cdnow": ([date(1997, month, 30 + (month in (7, 8, 10, 12))) for month in range(6, 13)], date(1998, 6, 30)),
    "online_retail": ([date(2011, month, 9) for month in (3, 6, 9)], date(2011, 12, 9)),
}


def copy_example(work: Path, example: str) -> Path:
    """Copy a portfolio of the examples, so that it finds its data from `work`."""
    data = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data")).resolve() / "clv"
    if not data.is_dir():
        raise FileNotFoundError("The public logs are not there; set CVM_DATA to the folder above their folder clv.")
    text = (ROOT / "examples" / f"{example}.toml").read_text(encoding="utf-8")
    work.mkdir(parents=True, exist_ok=True)
    (work / "pyproject.toml").touch()
    copy = work / f"{example}.toml"
    copy.write_text(re.sub(r"(?m)^source *=.*$", f'source = "{data.as_posix()}"', text, count=1), encoding="utf-8")
    return copy


def holdout_lengths(split: date, last: date) -> list[int]:
    """Months that the log goes on for after `split`."""
    start = pd.Timestamp(split) + pd.Timedelta(days=1)
    return [m for m in LENGTHS if start + pd.DateOffset(months=m) <= pd.Timestamp(last) + pd.Timedelta(days=1)]


def run(work: Path, example: str) -> list[dict]:
    """Forecast every split and length; per forecast the scores with the calendar, and of parameters only without it."""
    source, rows = copy_example(work, example), []
    splits, last = SPLITS[example]
    for split in splits:
        lengths = holdout_lengths(split, last)
        portfolios = {months: add_split(source, split, months) for months in lengths}
        bases = {months: study.read_bases(portfolio) for months, portfolio in portfolios.items()}
        longest = lengths[-1]
        (name,) = bases[longest]
        models, plain = (
            study.fit_models(portfolios[longest], bases[longest], calibration=True, calendar=calendar)
            for calendar in (True, False)
        )
        customers = {}
        for months in lengths:
            portfolio, base = portfolios[months], bases[months][name]
            row = {"split": split.isoformat(), "months": months, "converged": models.passed}
            row |= score_total(portfolio, base, models) | score_customers(portfolio, base, models)
            row["without"] = score_total(portfolio, base, plain) | score_customers(portfolio, base, plain)
            row["parameters"] = score_parameters_only(portfolio, base, plain)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            table = base.calibration.order_by("customer_id").to_pandas().set_index("customer_id")
            customers |= {f"holdout_{months}": table["holdout_frequency"], f"days_{months}": table["holdout_T"]}
        frame = table[["frequency", "recency", "T"]].assign(**customers)
        frame.to_csv(work / f"{example}-{split.isoformat()}.csv", index=False)
    return rows


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), sys.argv[2])))
