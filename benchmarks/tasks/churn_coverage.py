"""Forecast the subscribers of demo operators and compare with their truth; prints one line of JSON.

``python -m benchmarks.tasks.churn_coverage WORK FIRST LAST``
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from benchmarks.measure import ROOT
from cvmlib.churn import comparison, outlook, retention_model
from cvmlib.churn.lifetimes import Lifetimes, lay_out
from cvmlib.churn.prepare import UnitSubscribers, lay_out_units, load_unit, prepare_unit
from cvmlib.inference import Sampling
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.tables.demo import simulate
from cvmlib.tables.demo.company import MOBILE

UNIT = MOBILE.name
MONTHS = 12


def make_company(work: Path, seed: int) -> Portfolio:
    """Simulate a demo company of its usual size and prepare its subscribers."""
    folder = work / f"seed-{seed}"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    text = (ROOT / "business_units.toml").read_text(encoding="utf-8")
    (folder / "business_units.toml").write_text(text, encoding="utf-8")
    portfolio = read_portfolio(folder / "business_units.toml")
    simulate(folder / "data" / "demo", seed=seed)
    prepare_unit(portfolio, UNIT)
    return portfolio


def true_survivors(portfolio: Portfolio) -> int:
    """Count the subscribers of the truth who are active now and will be in a year."""
    truth = pd.read_parquet(portfolio.folder / "data" / "demo" / "truth" / UNIT / "customers.parquet")
    later = pd.Timestamp(portfolio.end_of_observation) + pd.DateOffset(months=MONTHS)
    until = pd.to_datetime(truth["true_deactivated_on"])
    return int((truth["alive"] & ~(until <= later)).sum())


def fit(data: Lifetimes, name: str) -> retention_model.RetentionFit:
    """Fit by the quick route, and with NUTS where that is not to be trusted."""
    quick = retention_model.fit(data, name)
    return quick if quick.passed else retention_model.fit(data, name, Sampling(seed=1))


def score_effects(found: pd.DataFrame) -> dict:
    """Count the levels whose true effect lies outside its interval, and correlate effects with the truth."""
    outside, truth = 0, []
    for row in found.itertuples():
        levels = MOBILE.covariates[row.covariate]
        truth.append(levels[row.level].effect - np.mean([level.effect for level in levels.values()]))
        outside += not np.log(row.ratio_low) <= truth[-1] <= np.log(row.ratio_high)
    return {"levels": len(found), "outside": outside, "correlation": np.corrcoef(np.log(found["ratio"]), truth)[0, 1]}


def hold_out(subscribers: UnitSubscribers) -> dict:
    """Fit without the last year, and score the forecasts of what its subscribers did: less is better.

    Returns
    -------
    dict
        Of each model its negative log score per subscriber (of the month of leaving, or of staying), the error of the
        number of survivors at the end, as a share, and whether that number lies in its 90% interval.
    """
    split = subscribers.end_month - MONTHS
    data = lay_out_units({UNIT: subscribers}, until=split)
    counts = subscribers.pattern_counts
    base = counts[(counts["joined"] <= split) & (~counts["churned"] | (counts["joined"] + counts["tenure"] > split))]
    base = base.assign(unit=UNIT, entry=split - base["joined"] + 1)
    held = lay_out(base, list(data.covariates), data.renewal)
    rows, survivors = held.rows, int(held.active["subscriptions"].sum())
    place = held.blocks.merge(data.blocks.reset_index(names="place"), how="left")["place"].to_numpy()
    rows = rows.assign(block=place[rows["block"]])
    found = {}
    for name in ("sbg", "bdw"):
        fitted = fit(data, name)
        risk = outlook.risks_of(fitted, outlook.take_draws(fitted, 400), np.arange(len(data.blocks)), MONTHS)
        density = logsumexp(comparison.row_log_likelihood(risk, rows, int(data.tenures[0])), axis=0) - np.log(400)
        forecast = outlook.forecast_survivors(fitted, MONTHS)[UNIT][:, -1]
        found[name] = float(-np.average(density, weights=rows["subscriptions"]))
        low, high = np.quantile(forecast, [0.05, 0.95])
        found[f"{name}_error"] = float(forecast.mean() / survivors - 1.0)
        found[f"{name}_inside"] = bool(low <= survivors <= high)
    return found


def run(work: Path, first: int, last: int) -> list[dict]:
    """Forecast the operators of seeds `first` to `last`."""
    rows = []
    for seed in range(first, last + 1):
        portfolio = make_company(work, seed)
        subscribers = load_unit(portfolio, UNIT)
        fitted = fit(lay_out_units({UNIT: subscribers}), "bdw")
        draws = outlook.forecast_survivors(fitted, MONTHS)[UNIT][:, -1]
        low, high = np.quantile(draws, [0.05, 0.95])
        truth = true_survivors(portfolio)
        row = {"seed": seed, "passed": fitted.passed, "inside": bool(low <= truth <= high), "true": truth}
        row |= {"mean": float(draws.mean()), "width": float((high - low) / truth)}
        row |= score_effects(outlook.tabulate_effects(fitted)) | hold_out(subscribers)
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        shutil.rmtree(portfolio.folder)
    return rows


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
