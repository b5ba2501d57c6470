"""The forecast of somebody who knows the demo company: its true parameters, spend and calendar.

What is left is what chance does: its 90% interval of a total misses one time in ten over many seeds, and what it misses
on the seeds at hand says how unlikely these companies are.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from cvmlib.clv import spend_model, study, value
from cvmlib.clv.ahead import Ahead
from cvmlib.clv.calendar import Calendar
from cvmlib.clv.covariates import read_pattern
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.clv.prepare import UnitBase
from cvmlib.clv.purchase_model import Draws
from cvmlib.portfolio import Portfolio
from cvmlib.tables.demo.company import COMPANY, ShopUnit, normalised
from cvmlib.tables.demo.seasons import build_calendar

DRAWS = 1000
_EPOCH = np.datetime64("1970-01-01", "D")


def forecast(portfolio: Portfolio, base: UnitBase) -> value.Prediction:
    """Forecast one unit that buys at random (BG/NBD) from its true parameters.

    Effects of covariates that the portfolio does not use stay unknown: their share of the spread of rates is small.
    """
    unit = COMPANY[base.unit.name]
    calendar = _true_calendar(portfolio, base, unit)
    days = study.days_ahead(portfolio, base, False)
    rows = base.count_rows(spend=True)
    spend = spend_model.Draws(*(np.full(DRAWS, v) for v in (unit.spend.p, unit.spend.q, unit.spend.v)))
    prediction = value.predict_patterns(
        calendar.convert(rows),
        {pattern: _true_draws(base, unit, pattern) for pattern in rows["pattern"].unique()},
        spend,
        study.state_terms(portfolio, base),
        Ahead(calendar.ahead(days, DRAWS), days),
        seed=portfolio.seed,
    )
    return replace(prediction, rows=prediction.rows.assign(recency=rows["recency"], T=rows["T"]))


def _true_calendar(portfolio: Portfolio, base: UnitBase, unit: ShopUnit) -> Calendar:
    season = build_calendar(portfolio.end_of_observation, portfolio.demo.years, unit.season)
    first = float((season.start - _EPOCH).astype(int))
    now = (pd.Timestamp(base.now) - pd.Timestamp(_EPOCH)) / pd.Timedelta(days=1)
    edges, intensity = first + np.arange(len(season.operational), dtype=float), season.intensity
    return Calendar(now, edges, intensity, intensity[None], {}, intensity, intensity)


def _true_draws(base: UnitBase, unit: ShopUnit, pattern: str) -> Draws:
    effects = normalised(unit.covariates)
    factor = np.exp(sum(effects[c][v] for c, v in zip(base.covariates.columns, read_pattern(pattern), strict=False)))
    symbols = unit.buying.symbols | {"alpha": unit.buying.symbols["alpha"] / factor}
    return Draws(BG_NBD, tuple(np.full(DRAWS, symbols[name]) for name in ("r", "alpha", "a", "b")))
