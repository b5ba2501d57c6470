"""Attribute the demo company's app, whose true causes are known; prints one line of JSON.

``python -m benchmarks.tasks.attribution_worlds WORK SEEDS``
"""

import json
import shutil
import sys
from datetime import date
from pathlib import Path

import pandas as pd
from pyarrow import parquet

from cvmlib.attribution.prepare import load_unit
from cvmlib.attribution.study import study_unit
from cvmlib.attribution.validation import score_methods
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.tables.demo.journeys import simulate_app

CUSTOMERS, END = 12_000, date(2026, 6, 30)
DRAWS = 100

PORTFOLIO = """
[portfolio]
name = "Shop"
source = "data"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.10

[units.app]
setting = "noncontractual"
margin = 0.45
[units.app.tables.touchpoints]
path = "touchpoints.parquet"
columns = { customer_id = "visitor", time = "touched_at" }
[units.app.tables.conversions]
path = "conversions.parquet"
columns = { customer_id = "visitor", time = "converted_at", value = "order_value" }
[units.app.tables.holdouts]
path = "holdouts.parquet"
columns = { customer_id = "visitor", start = "first_day", end = "last_day" }
"""


def make_world(work: Path, seed: int) -> tuple[Portfolio, dict[str, float]]:
    """Simulate the app; return the portfolio over its tables, and what each channel truly caused."""
    app = simulate_app(CUSTOMERS, seed, END)
    (work / "data").mkdir(parents=True)
    for name in ("touchpoints", "conversions", "holdouts"):
        parquet.write_table(getattr(app, name), work / "data" / f"{name}.parquet")
    (work / "pyproject.toml").touch()
    (work / "shop.toml").write_text(PORTFOLIO, encoding="utf-8")
    truth = app.truth.set_index("channel")["conversions"].astype(float)
    return read_portfolio(work / "shop.toml"), truth.to_dict()


def run(work: Path, seeds: int) -> list[dict]:
    """Score every method on each world, channel by channel."""
    scored = []
    for seed in range(1, seeds + 1):
        portfolio, truth = make_world(work / f"world-{seed}", seed)
        study = study_unit(portfolio, load_unit(portfolio, "app"), DRAWS)
        scored.append(score_methods(study.methods, truth, ("direct", "no channel")).assign(seed=seed))
        shutil.rmtree(work / f"world-{seed}")
    table = pd.concat(scored)
    means = table.groupby(["method", "channel"])["bias"].mean().unstack().round(0)
    print(means.to_string(), file=sys.stderr, flush=True)
    return table.astype(object).where(table.notna(), None).to_dict("records")


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]))))
