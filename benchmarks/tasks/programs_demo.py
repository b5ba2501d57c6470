"""Study the programs of demo companies and compare with their truth; prints one line of JSON.

``python -m benchmarks.tasks.programs_demo WORK FIRST LAST``
"""

import json
import shutil
import sys
from pathlib import Path

from benchmarks.measure import ROOT
from cvmlib.portfolio import read_portfolio
from cvmlib.programs.prepare import prepare_unit
from cvmlib.programs.study import study_programs
from cvmlib.tables.demo import simulate
from cvmlib.tables.demo.campaigns import CAMPAIGNS
from cvmlib.tables.problems import CheckReport


def score_company(work: Path, seed: int) -> list[dict]:
    """Simulate one company; return truth, interval and verdict of each of its randomised programs."""
    folder = work / f"programs-{seed}"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    shutil.copy(ROOT / "business_units.toml", folder)
    portfolio = read_portfolio(folder / "business_units.toml")
    simulate(folder / "data" / "demo", seed=seed)
    for unit in CAMPAIGNS:
        prepare_unit(portfolio, unit, CheckReport(unit, portfolio.end_of_observation, [], {}))
    study = study_programs(portfolio, list(CAMPAIGNS))
    rows = []
    for unit in CAMPAIGNS:
        truth = json.loads((folder / "data" / "demo" / "truth" / unit / "programs.json").read_text(encoding="utf-8"))
        table = study.units[unit].results
        for row in table[table["design"] == "randomised"].to_dict("records"):
            true = truth[row["program_id"]]
            gain = true["incremental"] * portfolio.units[unit].margin
            rows.append(
                {
                    "seed": seed,
                    "program": row["program_id"],
                    "fault": true["fault"],
                    "verdict": row["verdict"],
                    "inside": bool(row["gain_low"] <= gain <= row["gain_high"]),
                    "true": true["lift"],
                    "raw": row["relative"],
                    "pooled": row["pooled"],
                }
            )
    shutil.rmtree(folder)
    return rows


if __name__ == "__main__":
    first, last = int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps([row for seed in range(first, last + 1) for row in score_company(Path(sys.argv[1]), seed)]))
