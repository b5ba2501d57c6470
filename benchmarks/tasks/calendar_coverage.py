"""Forecast simulated shops that share slow shocks, with and without a calendar; prints one line of JSON.

``python -m benchmarks.tasks.calendar_coverage WORK SEEDS``
"""

import json
import shutil
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.tasks.holdouts import add_split, score_total
from cvmlib.clv import study
from cvmlib.portfolio import Portfolio
from cvmlib.tables.demo import simulate_unit

CUSTOMERS, SHOCKS = 4_000, 0.12
SIMULATED = date(2026, 3, 31)  # three years from April 2023 on; the simulation also tells the twelve months after it
SPLIT = date(2025, 9, 30)  # thirty months in, before the months in which most is bought
MONTHS = (12, 6)

PORTFOLIO = """
[portfolio]
name = "Shop"
source = "data"
end_of_observation = 2026-09-30
currency = "EUR"
discount_rate = 0.10
holdout_months = 12
seed = {seed}
sampling = {{ draws = 300, tune = 300, chains = 2 }}

[units.fashion]
setting = "noncontractual"
margin = 0.45
[units.fashion.tables.transactions]
path = "fashion.parquet"
columns = {{ customer_id = "customer", date = "ordered_at", value = "quantity * unit_price" }}
"""


def make_shop(work: Path, seed: int) -> dict[int, Portfolio]:
    """Simulate a shop and prepare it for a holdout of each of `MONTHS`."""
    unit = simulate_unit("fashion", CUSTOMERS, seed, SIMULATED, returns=False, dirt=False, shocks=SHOCKS)
    (work / "data").mkdir(parents=True)
    pd.concat([unit.transactions, unit.future]).to_parquet(work / "data" / "fashion.parquet")
    (work / "pyproject.toml").touch()
    (work / "shop.toml").write_text(PORTFOLIO.format(seed=seed), encoding="utf-8")
    return {months: add_split(work / "shop.toml", SPLIT, months) for months in MONTHS}


def run(work: Path, seeds: int) -> list[dict]:
    """Forecast `seeds` shops; per seed, calendar and length of the holdout the scores of its total."""
    rows = []
    for seed in range(1, seeds + 1):
        portfolios = make_shop(work / f"seed-{seed}", seed)
        bases = {months: study.read_bases(portfolio) for months, portfolio in portfolios.items()}
        for calendar in (True, False):
            models = study.fit_models(portfolios[12], bases[12], calibration=True, calendar=calendar)
            for months in MONTHS:
                total = score_total(portfolios[months], bases[months]["fashion"], models)
                rows.append({"seed": seed, "calendar": calendar, "months": months} | total)
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        shutil.rmtree(work / f"seed-{seed}")
    return rows


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]))))
