"""Replayed holdouts: a portfolio cut at a day, forecast from it, and the forecast scored by what came."""

import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from cvmlib.clv import scores, study
from cvmlib.clv.ahead import Ahead, Outlook
from cvmlib.clv.expectation import group_alike
from cvmlib.clv.prepare import UnitBase, prepare_unit
from cvmlib.portfolio import Portfolio, read_portfolio

LEVEL = 0.9


def add_split(portfolio: Path, split: date, months: int) -> Portfolio:
    """Copy a portfolio so that it is calibrated until `split` and tested in the `months` after it; prepare its units.

    Parameters
    ----------
    portfolio : Path
        Portfolio file with ``end_of_observation`` and ``holdout_months``.
    split : date
        Last day of the calibration, the last of its month or in its middle.
    months : int
        Months of the holdout.
    """
    text = portfolio.read_text(encoding="utf-8")
    end = (pd.Timestamp(split) + pd.Timedelta(days=1) + pd.DateOffset(months=months) - pd.Timedelta(days=1)).date()
    values = {"end_of_observation": end.isoformat(), "holdout_months": str(months)}
    for key, value in values.items():
        text, found = re.subn(rf"(?m)^{key} *=.*$", f"{key} = {value}", text, count=1)
        if not found:
            raise ValueError(f"{portfolio.name} has no line {key} = …")
    copy = portfolio.with_name(f"{portfolio.stem}-{split.isoformat()}-{months}.toml")
    copy.write_text(text, encoding="utf-8")
    cut = read_portfolio(copy)
    for unit in cut.units:
        prepare_unit(cut, unit)
    return cut


def score_total(portfolio: Portfolio, base: UnitBase, models: study.Models) -> dict[str, float | bool]:
    """Forecast the holdout's total and score it: bias and interval score are relative to what happened."""
    prediction = study.predict_unit(portfolio, base, models, calibration=True)
    rows = prediction.rows
    weights = rows["customers"].to_numpy(dtype=float)
    actual = float(weights @ rows["holdout_frequency"])
    low, high = np.quantile(prediction.purchases, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = float(weights @ rows["purchases"])
    error = rows["holdout_frequency"] - rows["purchases"]
    return {
        "actual": actual,
        "mean": mean,
        "low": float(low),
        "high": float(high),
        "inside": bool(low <= actual <= high),
        "bias": mean / actual - 1.0,
        "score": float(scores.interval_score(actual, low, high, LEVEL)) / actual,
        "mae": float(np.average((rows["holdout_frequency"] - rows["purchases_median"]).abs(), weights=weights)),
        "mae_of_mean": float(np.average(error.abs(), weights=weights)),
        "rmse": float(np.sqrt(np.average(error**2, weights=weights))),
    }


def score_parameters_only(portfolio: Portfolio, base: UnitBase, models: study.Models) -> dict[str, float | bool]:
    """Score the interval of the expected total, which is uncertain about the parameters alone; of a plain calendar."""
    name = base.unit.name
    rows = base.count_rows(calibration=True, spend=True, holdout=True)
    alike = group_alike(rows)
    purchase = models.purchases[name].draws(name)
    days = study.days_ahead(portfolio, base, True)
    outlook = Outlook(purchase, None, Ahead.plain(days[[0, -1]], len(purchase)))
    everyone = slice(0, len(alike))
    expected, _ = purchase.family.forecast(outlook.ahead.edges, *alike.counts(everyone), *purchase.values)
    totals = expected[0] @ alike.customers
    actual = float(rows["customers"] @ rows["holdout_frequency"])
    low, high = np.quantile(totals, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "low": float(low),
        "high": float(high),
        "inside": bool(low <= actual <= high),
        "score": float(scores.interval_score(actual, low, high, LEVEL)) / actual,
    }


def score_customers(portfolio: Portfolio, base: UnitBase, models: study.Models) -> dict[str, float]:
    """Score the predictive distributions of single customers: coverage by randomised PIT, CRPS, and point forecasts.

    The point forecast that an absolute error asks for is the median, that for a squared error the mean (Gneiting 2011,
    *JASA* 106); both errors of the mean are told too.
    """
    name = base.unit.name
    rows = (
        base.count_rows(calibration=True, spend=True, holdout=True)
        .groupby(["frequency", "recency", "T", "holdout_frequency"], as_index=False)["customers"]
        .sum()
    )
    calendar, purchase = models.calendars[name], models.purchases[name].draws(name)
    days = study.days_ahead(portfolio, base, True)
    ahead = Ahead(calendar.ahead(days, len(purchase)), days)
    inner = [calendar.convert(rows)[column].to_numpy(dtype=float) for column in ("frequency", "recency", "T")]
    rng = np.random.default_rng(portfolio.seed)
    drawn = purchase.family.simulate_future(ahead.edges[:, -1], *inner, *purchase.values, rng)
    expected, _ = purchase.family.forecast(ahead.edges[:, [0, -1]], *inner, *purchase.values)
    scored = scores.score_rows(drawn, rows["holdout_frequency"], mean=expected[0].mean(axis=0))
    weights = rows["customers"].to_numpy()
    summary = scores.summarise_scores(scored, weights)
    coverage = scores.tabulate_coverage(scored, weights).set_index("level").loc[LEVEL]
    error = rows["holdout_frequency"].to_numpy() - scored["mean"].to_numpy()
    return {
        "pit": float(coverage["randomised"]),
        "crps": summary.crps,
        "mae": summary.mae,
        "rmse": summary.rmse,
        "mae_of_mean": float(np.average(np.abs(error), weights=weights)),
    }
