"""The judgement of a unit's models: what the calibration forecast of the holdout, the checks, and the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.clv import comparison, independence, scores, timing, validation, value
from cvmlib.clv.prepare import UnitBase
from cvmlib.clv.study import Models, days_ahead, last_seen, predict_unit
from cvmlib.periods import list_starts
from cvmlib.portfolio import Portfolio

_TRACKING_DRAWS = 40
_SCORE_DRAWS = 400


@dataclass(frozen=True)
class Trial:
    """The calibration's forecast of one unit against its holdout.

    Parameters
    ----------
    scores : Holdout
        Scores of the total and of single customers.
    by_frequency : DataFrame
        Purchases per customer by how often he bought before (`cvmlib.clv.validation.compare_by_frequency`).
    tracking : DataFrame
        Cumulative purchases by week (`track_unit`).
    again : DataFrame
        Probability of buying again against the share that did (`cvmlib.clv.scores.tabulate_again`).
    pit : DataFrame
        Probability integral transform of single customers (`cvmlib.clv.scores.tabulate_pit`).
    coverage : DataFrame
        Coverage of their intervals (`cvmlib.clv.scores.tabulate_coverage`).
    """

    scores: validation.Holdout
    by_frequency: pd.DataFrame
    tracking: pd.DataFrame
    again: pd.DataFrame
    pit: pd.DataFrame
    coverage: pd.DataFrame


def try_unit(portfolio: Portfolio, base: UnitBase, models: Models | None) -> Trial | None:
    """Try the calibration's models on one unit's holdout; None where there is none."""
    if models is None or base.calibration is None:
        return None
    prediction = predict_unit(portfolio, base, models, calibration=True)
    name = base.unit.name
    clock = models.calendars[name]
    rows = clock.convert(base.count_rows(calibration=True, holdout=True))
    horizon = clock.ahead(days_ahead(portfolio, base, True)[-1:], _SCORE_DRAWS)[:, 0]
    draws, rng = models.purchases[name].draws_by_pattern(name, _SCORE_DRAWS), np.random.default_rng(portfolio.seed)
    groups = [(draws[pattern], mine) for pattern, mine in rows.groupby("pattern")]
    scored = pd.concat(
        [comparison.score_forecast(mine, of, horizon[: len(of)], rng) for of, mine in groups], ignore_index=True
    )
    weights = pd.concat([mine["customers"] for _, mine in groups], ignore_index=True)
    return Trial(
        validation.score_holdout(prediction),
        validation.compare_by_frequency(prediction),
        track_unit(base, models),
        scores.tabulate_again(scored["again"], scored["actual"] > 0, weights),
        scores.tabulate_pit(scored, weights),
        scores.tabulate_coverage(scored, weights),
    )


def judge_unit(base: UnitBase, models: Models, trial: Trial | None, prediction: value.Prediction) -> validation.Verdict:
    """Weigh the checks of one unit."""
    repeat = int((base.customers.frequency > 0).sum().to_pandas())
    spend, gaps = None if base.unit.name in models.spend.constant else models.spend.diagnostics, base.gaps
    return validation.judge(
        models.purchases[base.unit.name].diagnostics,
        spend,
        None if gaps is None else timing.estimate_regularity(gaps),
        trial and trial.scores,
        repeat,
        check_spend(base, models, prediction),
        stages=models.choice.stages[base.unit.name],
        opportunity=base.unit.opportunity,
    )


def check_spend(base: UnitBase, models: Models, prediction: value.Prediction) -> validation.Check:
    """Check whether spend depends on how often a customer of the unit buys, and what that does to the values."""
    rows, spend = prediction.rows, models.spend.draws(base.unit.name, 200)
    counts = [rows[name].to_numpy(dtype=float) for name in ("frequency", "monetary_value", "customers")]
    dependence = independence.estimate_slope(*counts)
    change = None
    if dependence.known and base.unit.name not in models.spend.constant:
        shapes = (float(np.median(values)) for values in (spend.p, spend.q, spend.gamma))
        change = independence.revalue(dependence, *counts[:2], rows["purchases"].to_numpy(), *shapes, counts[2])
    outcome = "warn" if independence.judge(dependence, change) == "fails" else "pass"
    return validation.Check("spend and frequency", outcome, independence.describe(dependence, change))


def track_unit(base: UnitBase, models: Models) -> pd.DataFrame:
    """Actual and expected cumulative repeat purchases by week, of the customers known at the end of the calibration.

    Parameters
    ----------
    base : UnitBase
        A unit with a calibration.
    models : Models
        Fitted to the calibration.

    Returns
    -------
    DataFrame
        ``date``, ``actual``, ``expected``, ``low``, ``high`` (90% interval of the expectation, in the
        holdout also of the calendar).
    """
    starts = base.calibration.group_by("first", "pattern").agg(customers=lambda t: t.count())
    starts = starts.order_by("first", "pattern").to_pandas()
    known = base.purchases.semi_join(base.calibration, "customer_id")
    log = known.group_by("period").agg(purchases=known.count()).order_by("period").to_pandas()
    origin = starts["first"].min().normalize()
    length = float((pd.Timestamp(base.end) - origin).days)
    if base.unit.opportunity:
        periods = list_starts(origin.date(), base.end, base.unit.opportunity)[:-1]
        days = np.array([(start - origin.date()).days for start in periods], dtype=float)
    else:
        days = np.unique(np.r_[np.arange(0.0, length, 7.0), length])
    first_days = (starts["first"] - origin).dt.days.to_numpy(dtype=float)
    name = base.unit.name
    calendar, draws = models.calendars[name], models.purchases[name].draws_by_pattern(name, _TRACKING_DRAWS)
    ago = (last_seen(base, True) - origin).days
    clock = calendar.clock(np.r_[first_days, days] - ago, _TRACKING_DRAWS)
    expected = validation.track(starts, draws, *np.split(clock, [len(first_days)], axis=1))
    bought = (log["period"] - origin).dt.days.to_numpy(dtype=float)
    total = np.searchsorted(np.sort(bought), days, side="right")
    cumulative = np.r_[0, log["purchases"].cumsum()][total]
    newcomers = np.r_[0, starts["customers"].cumsum()][np.searchsorted(first_days, days, side="right")]
    frame = expected.assign(date=origin + pd.to_timedelta(days, unit="D"), actual=cumulative - newcomers)
    return frame.rename(columns={"mean": "expected"})[["date", "actual", "expected", "low", "high"]]


def compare_trials(trials: Mapping[str, Trial | None]) -> pd.DataFrame:
    """Tabulate the holdout scores of all units."""
    rows = [{"unit": name, **trial.scores.as_dict()} for name, trial in trials.items() if trial is not None]
    columns = ["unit", "customers", "actual", "mean", "low", "high", "bias", "mae", "rmse", "correlation", "coverage"]
    return pd.DataFrame(rows, columns=columns)
