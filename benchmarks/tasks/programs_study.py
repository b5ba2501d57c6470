"""Study programs from their counts: check, measure, pool, value, judge, and design the next tests; prints JSON.

``python -m benchmarks.tasks.programs_study FILE``
"""

import datetime
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.programs.prepared import UnitPrograms
from cvmlib.programs.study import Settings, judge_programs, measure_counts

_FILE = """
[portfolio]
name = "Programs"
source = "."
currency = "EUR"
discount_rate = 0.10
[units.shop]
setting = "noncontractual"
margin = 0.4
[units.shop.tables.programs]
path = "programs.parquet"
"""


def make_portfolio() -> Portfolio:
    """Read a portfolio of one unit; its tables are never opened."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "programs.toml"
        path.write_text(_FILE, encoding="utf-8")
        return read_portfolio(path)


def list_programs(counts: pd.DataFrame) -> UnitPrograms:
    """List the programs that the counts are of, each at a cost of half a unit of money per treated customer."""
    overall = counts[counts["dimension"] == ""]
    sizes = overall.pivot(index="program_id", columns="arm", values="customers")
    names = sizes.index.to_numpy()
    start, cost = pd.Timestamp("2026-01-01"), 0.5 * sizes["treated"].to_numpy()
    programs = pd.DataFrame({"program_id": names, "label": names}).assign(
        challenge="segment", intended_outcome="revenue", start=start, end=pd.NaT, last_drawn=start, cost=cost,
        channel=None, design="randomised", treated_share=0.5, window_days=90.0, assumed=False,
        treated=sizes["treated"].to_numpy(int), control=sizes["control"].to_numpy(int),
    )  # fmt: skip
    none = pd.DataFrame({"program_id": [], "region": [], "arm": []})
    regions = pd.DataFrame({"date": pd.Series(dtype="datetime64[us]"), "region": [], "value": []})
    activity = pd.DataFrame({"program_id": [], "kind": [], "week": pd.Series(dtype="datetime64[us]"), "events": []})
    end = datetime.date(2026, 6, 30)
    return UnitPrograms("shop", programs, None, ("segment",), True, None, regions, none, activity, end)


def main(path: Path) -> dict:
    """Study the programs of a file of counts."""
    counts = pd.read_parquet(path)
    portfolio = make_portfolio()
    measured = {"shop": measure_counts(list_programs(counts), counts, portfolio.units["shop"].margin)}
    result = judge_programs(portfolio, measured, Settings()).units["shop"]
    return {"programs": len(result.results), "segments": len(result.segments), "verdicts": result.totals["verdicts"]}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
