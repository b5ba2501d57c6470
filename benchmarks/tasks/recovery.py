"""Forecast demo companies and compare with their truth; prints one line of JSON.

``python -m benchmarks.tasks.recovery WORK FIRST LAST [--alone]``
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measure import ROOT
from benchmarks.tasks import known_truth
from cvmlib.clv import study, value
from cvmlib.clv.prepare import UnitBase, prepare_unit
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.tables.demo import simulate

UNITS = ("fashion", "boutique")  # one pool; the grocery is alone in another, so it has no part in their fit
SMALL = "boutique"


def make_company(work: Path, seed: int) -> Portfolio:
    """Simulate a demo company of its usual size and prepare its two fashion units."""
    folder = work / f"seed-{seed}"
    text = (ROOT / "business_units.toml").read_text(encoding="utf-8")
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "business_units.toml").write_text(text, encoding="utf-8")
    portfolio = read_portfolio(folder / "business_units.toml")
    simulate(folder / "data" / "demo", seed=seed)
    for unit in UNITS:
        prepare_unit(portfolio, unit)
    return portfolio


def true_future(portfolio: Portfolio, unit: str) -> pd.DataFrame:
    """Read each customer's true purchases and value of the next twelve months, the value as the reports define it."""
    truth = pd.read_parquet(portfolio.folder / "data" / "demo" / "truth" / unit / "customers.parquet")
    net, discounted = truth["future_value_12m_net"], truth["future_value_12m_net_discounted"]
    discounting = (discounted.sum() / net.sum()) if net.sum() else 1.0
    settings = portfolio.units[unit]
    purchases = truth["future_purchases_12m"]
    value = discounted * settings.margin - purchases * settings.costs.per_transaction * discounting
    return pd.DataFrame(
        {"customer_id": truth["customer"].astype(str), "true_purchases": purchases, "true_value": value}
    )


def score(portfolio: Portfolio, base: UnitBase, prediction: value.Prediction) -> dict:
    """Score the forecast of one unit against the truth."""
    keys = ["pattern", "frequency", "recency", "T", "monetary_value"]
    customers = base.customers.select("customer_id", *keys).to_pandas()
    joined = customers.merge(prediction.rows, on=keys).merge(true_future(portfolio, base.unit.name), on="customer_id")
    actual = joined["true_purchases"]
    inside = (actual >= joined["purchases_low"]) & (actual <= joined["purchases_high"])
    error = actual - joined["purchases"]
    found = {
        "customers": float(inside.mean()),
        "mae": float(error.abs().mean()),
        "rmse": float((error**2).mean() ** 0.5),
    }
    for name in ("purchases", "value"):
        total, truth = prediction.total(name), float(joined[f"true_{name}"].sum())
        found |= {
            f"{name}_inside": bool(total["low"] <= truth <= total["high"]),
            f"{name}_bias": total["mean"] / truth - 1.0,
            f"{name}_width": (total["high"] - total["low"]) / truth,
        }
    return found


def run(work: Path, first: int, last: int, alone: bool) -> list[dict]:
    """Forecast the companies of seeds `first` to `last`; per seed the scores of the fashion units.

    Scores named ``_known`` are those of the forecast from their true parameters. With `alone` the small unit is also
    fitted by itself.
    """
    rows = []
    for seed in range(first, last + 1):
        portfolio = make_company(work, seed)
        bases = study.read_bases(portfolio)
        pooled = study.fit_models(portfolio, bases)
        row = {"seed": seed, "converged": pooled.passed}
        for unit in UNITS:
            row[unit] = score(portfolio, bases[unit], study.predict_unit(portfolio, bases[unit], pooled))
            row[f"{unit}_known"] = score(portfolio, bases[unit], known_truth.forecast(portfolio, bases[unit]))
        if alone:
            single = study.fit_models(portfolio, {SMALL: bases[SMALL]})
            row["converged"] &= single.passed
            row["alone"] = score(portfolio, bases[SMALL], study.predict_unit(portfolio, bases[SMALL], single))
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        shutil.rmtree(portfolio.folder)
    return rows


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), "--alone" in sys.argv[4:])))
