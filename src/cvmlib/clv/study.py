"""The customer-value study of a portfolio: what `notebooks/models/clv.ipynb` does, step by step.

All non-contractual units are fitted together, once on the calibration (to be tested on the holdout) and once on the
whole history (to forecast). What is saved is all that the report notebooks read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ibis
import numpy as np
import pandas as pd

from cvmlib import inference, provenance
from cvmlib.clv import purchase_model, spend_model, timing, validation, value
from cvmlib.clv.ahead import Ahead
from cvmlib.clv.calendar import Calendar, estimate_calendars, plain_calendar, read_history
from cvmlib.clv.counts import DAY, last_period
from cvmlib.clv.prepare import UnitBase, load_unit, unit_folder, write_table
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio

#: Added to the portfolio's seed, so that each simulation has a stream of its own.
_SEED_HOLDOUT, _SEED_FORECAST, _SEED_CALENDAR = 1, 2, 3
_TRACKING_DRAWS = 40


@dataclass(frozen=True)
class Models:
    """Calendars, purchase and spend model fitted to one set of counts; the purchase model lives in operational time."""

    purchase: purchase_model.PurchaseFit
    spend: spend_model.SpendFit
    calendars: Mapping[str, Calendar]

    @property
    def passed(self) -> bool:
        """Whether both fits passed the diagnostics gate."""
        return self.purchase.diagnostics.passed and (self.spend.diagnostics is None or self.spend.diagnostics.passed)


def read_bases(portfolio: Portfolio, units: Sequence[str] | None = None) -> dict[str, UnitBase]:
    """Load the prepared non-contractual units whose checks allow a value, by name.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    units : sequence of str, optional
        The units to load; by default all that are prepared.

    Raises
    ------
    UnfitModelError
        No unit is prepared.
    """
    names = [name for name, unit in portfolio.units.items() if unit.setting == "noncontractual"]
    names = names if units is None else [name for name in names if name in units]
    found = {
        name: load_unit(portfolio, name) for name in names if (unit_folder(portfolio, name) / "base.json").exists()
    }
    bases = {name: base for name, base in found.items() if not base.checks.fatal and "value" not in base.checks.blocked}
    if not bases:
        raise UnfitModelError("No non-contractual unit has usable tables; `cvm check` says what to mend.")
    return bases


def fit_models(
    portfolio: Portfolio, bases: Mapping[str, UnitBase], *, calibration: bool = False, calendar: bool = True
) -> Models | None:
    """Fit the calendars, the purchase and the spend model to all units together.

    Parameters
    ----------
    portfolio : Portfolio
        For the lengths of sampling and the seed.
    bases : mapping of str to UnitBase
        The units.
    calibration : bool
        Fit what was known at the end of the calibration; units without one are left out.
    calendar : bool
        Estimate each unit's calendar; without it, operational time is time.

    Returns
    -------
    Models, or None when no unit has a calibration.
    """
    used = [base for base in bases.values() if not calibration or base.calibration is not None]
    if not used:
        return None
    settings = portfolio.sampling
    sampling = inference.Sampling(settings.draws, settings.tune, settings.chains, portfolio.seed)
    rows = {base.unit.name: base.count_rows(calibration=calibration) for base in used}
    spend = pd.concat([base.count_rows(calibration=calibration, spend=True) for base in used], ignore_index=True)
    pools = {base.unit.name: base.unit.pool for base in used}
    calendars = {base.unit.name: plain_calendar() for base in used}
    if calendar:
        calendars = _estimate_calendars(portfolio, used, rows, pools, calibration)
    converted = pd.concat([calendars[name].convert(table) for name, table in rows.items()], ignore_index=True)
    return Models(purchase_model.fit(converted, sampling, pools), spend_model.fit(spend, sampling, pools), calendars)


def _estimate_calendars(
    portfolio: Portfolio,
    used: Sequence[UnitBase],
    rows: Mapping[str, pd.DataFrame],
    pools: Mapping[str, str],
    calibration: bool,
) -> dict[str, Calendar]:
    histories = {
        base.unit.name: read_history(base.purchases, rows[base.unit.name], _end(base, calibration)) for base in used
    }
    horizon = max(days_ahead(portfolio, base, calibration)[-1] for base in used)
    return estimate_calendars(histories, horizon, pools=pools, seed=portfolio.seed + _SEED_CALENDAR)


def _end(base: UnitBase, calibration: bool) -> pd.Timestamp:
    """Start of the last period that the models have seen."""
    return pd.Timestamp(last_period(base.calibration_end, base.portfolio.time_unit)) if calibration else base.now


def days_ahead(portfolio: Portfolio, base: UnitBase, calibration: bool) -> np.ndarray:
    """Days from the end of what the models have seen to the ends of the months ahead, 0 first."""
    start = _end(base, calibration)
    end = base.now if calibration else start + pd.DateOffset(months=portfolio.horizon_months)
    months = [start + pd.DateOffset(months=m) for m in range(1, 12 * 20)]
    inner = [month for month in months if month < end - pd.Timedelta(days=10)]  # no window of a few days
    return np.array([0.0, *((t - start).total_seconds() / DAY for t in [*inner, end])])


def predict_unit(
    portfolio: Portfolio, base: UnitBase, models: Models, *, calibration: bool = False
) -> value.Prediction:
    """Predict one unit: the horizon ahead, or with `calibration` the holdout."""
    name = base.unit.name
    rows = base.count_rows(calibration=calibration, spend=True)
    terms = value.Terms(
        discount_rate=portfolio.discount_rate,
        margin=base.unit.margin,
        returned_share=base.returns.share,
        returned_share_sd=base.returns.share_sd,
        returned_noise=base.returns.noise,
        per_transaction=base.unit.costs.per_transaction,
        per_customer_year=base.unit.costs.per_customer_year,
        interval=portfolio.interval,
    )
    purchase = models.purchase.draws(name)
    days = days_ahead(portfolio, base, calibration)
    prediction = value.predict(
        models.calendars[name].convert(rows),
        purchase,
        models.spend.draws(name, len(purchase)),
        terms,
        Ahead(models.calendars[name].ahead(days, len(purchase)), days),
        seed=portfolio.seed + (_SEED_HOLDOUT if calibration else _SEED_FORECAST),
    )
    return replace(prediction, rows=prediction.rows.assign(recency=rows["recency"], T=rows["T"]))


@dataclass(frozen=True)
class Trial:
    """The calibration's forecast of one unit against its holdout: scores, by frequency, and over time."""

    scores: validation.Holdout
    by_frequency: pd.DataFrame
    tracking: pd.DataFrame


def try_unit(portfolio: Portfolio, base: UnitBase, models: Models | None) -> Trial | None:
    """Try the calibration's models on one unit's holdout; None where there is none."""
    if models is None or base.calibration is None:
        return None
    prediction = predict_unit(portfolio, base, models, calibration=True)
    return Trial(
        validation.score_holdout(prediction),
        validation.compare_by_frequency(prediction),
        track_unit(base, models),
    )


def judge_unit(base: UnitBase, models: Models, trial: Trial | None) -> validation.Verdict:
    """Weigh the checks of one unit."""
    repeat = int((base.customers.frequency > 0).sum().to_pandas())
    spend = None if base.unit.name in models.spend.constant else models.spend.diagnostics
    return validation.judge(
        models.purchase.diagnostics, spend, timing.estimate_regularity(base.gaps), trial and trial.scores, repeat
    )


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
    starts = base.calibration.group_by("first").agg(customers=lambda t: t.count()).order_by("first").to_pandas()
    known = base.purchases.semi_join(base.calibration, "customer_id")
    log = known.group_by("period").agg(purchases=known.count()).order_by("period").to_pandas()
    origin = starts["first"].min().normalize()
    length = float((pd.Timestamp(base.end) - origin).days)
    days = np.unique(np.r_[np.arange(0.0, length, 7.0), length])
    first_days = (starts["first"] - origin).dt.days.to_numpy(dtype=float)
    calendar = models.calendars[base.unit.name]
    ago = (_end(base, True) - origin).days
    clock = calendar.clock(np.r_[first_days, days] - ago, _TRACKING_DRAWS)
    expected = validation.track(
        starts, models.purchase.draws(base.unit.name, _TRACKING_DRAWS), *np.split(clock, [len(first_days)], axis=1)
    )
    bought = (log["period"] - origin).dt.days.to_numpy(dtype=float)
    total = np.searchsorted(np.sort(bought), days, side="right")
    cumulative = np.r_[0, log["purchases"].cumsum()][total]
    newcomers = np.r_[0, starts["customers"].cumsum()][np.searchsorted(first_days, days, side="right")]
    frame = expected.assign(date=origin + pd.to_timedelta(days, unit="D"), actual=cumulative - newcomers)
    return frame.rename(columns={"mean": "expected"})[["date", "actual", "expected", "low", "high"]]


def save_models(portfolio: Portfolio, bases: Mapping[str, UnitBase], models: Models | None, name: str) -> list[Path]:
    """Save both posteriors of the fit called `name`, with provenance, under ``models/clv/`` of the build folder."""
    if models is None:
        return []
    folder = portfolio.build_dir / "models" / "clv"
    calibration = name == "calibration"
    used = [base for base in bases.values() if not calibration or base.calibration is not None]
    rows = [base.count_rows(calibration=calibration, spend=True) for base in used]
    origin = {
        "data": provenance.fingerprint(*rows),
        "seed": portfolio.seed,
        "sampling": portfolio.sampling.model_dump(),
        "versions": provenance.versions(),
        "commit": provenance.commit(portfolio.root),
        "units": list(models.purchase.units),
    }
    written = inference.save(
        models.purchase.trace,
        folder / f"purchases_{name}.nc",
        origin | {"diagnostics": vars(models.purchase.diagnostics), "time_scale_days": models.purchase.time_scale},
    )
    if models.spend.trace is not None:
        notes = origin | {"diagnostics": vars(models.spend.diagnostics), "constant_spend": models.spend.constant}
        written += inference.save(models.spend.trace, folder / f"spend_{name}.nc", notes)
    return written


def save_units(
    portfolio: Portfolio,
    bases: Mapping[str, UnitBase],
    models: Models,
    predictions: Mapping[str, value.Prediction],
    verdicts: Mapping[str, validation.Verdict],
    trials: Mapping[str, Trial | None],
) -> list[Path]:
    """Save all that the reports of every unit read, see `save_unit`."""
    return [
        path
        for name, base in bases.items()
        for path in save_unit(portfolio, base, models.calendars[name], predictions[name], verdicts[name], trials[name])
    ]


def save_unit(
    portfolio: Portfolio,
    base: UnitBase,
    calendar: Calendar,
    prediction: value.Prediction,
    verdict: validation.Verdict,
    trial: Trial | None,
) -> list[Path]:
    """Join the predictions back to the customers and save all that a unit's reports read.

    Returns
    -------
    list of Path
        In the unit's folder: ``value.parquet`` (one row per customer), ``total_draws.parquet`` (simulated totals of the
        unit), ``totals.json``, ``calendar.parquet`` where one was estimated, and of a trial ``tracking.parquet`` and
        ``by_frequency.parquet``.
    """
    folder = base.folder
    keys = ["frequency", "recency", "T", "monetary_value"]
    scores = prediction.rows.rename(columns={"purchases": "expected_purchases", "spend": "expected_spend"})
    customers = base.customers.select("customer_id", "first", "last", "total_value", *keys)
    joined = customers.inner_join(ibis.memtable(scores.drop(columns=["unit", "customers"])), keys)
    write_table(joined.order_by("customer_id"), folder / "value.parquet")
    written = [folder / "value.parquet", folder / "total_draws.parquet"]
    pd.DataFrame({"value": prediction.value, "purchases": prediction.purchases}).to_parquet(written[1], index=False)
    tables = {
        "tracking": trial and trial.tracking,
        "by_frequency": trial and trial.by_frequency,
        "calendar": None if calendar.plain else calendar.table(portfolio.interval),
    }
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        path.unlink(missing_ok=True)
        if table is not None:
            table.to_parquet(path, index=False)
            written.append(path)
    horizon = days_ahead(portfolio, base, calibration=False)[-1]
    totals = {
        "unit": base.unit.name,
        "label": base.unit.label,
        "setting": base.unit.setting,
        "verdict": describe_verdict(base, verdict),
        "checks": [vars(check) for check in verdict.checks],
        "customers": int(prediction.rows["customers"].sum()),
        "alive": float(prediction.rows["p_alive"] @ prediction.rows["customers"]),
        "value": prediction.total("value"),
        "purchases": prediction.total("purchases"),
        "holdout": trial and trial.scores.as_dict(),
        "calibration_end": base.calibration_end and base.calibration_end.isoformat(),
        "horizon_months": portfolio.horizon_months,
        "currency": portfolio.currency,
        "margin": base.unit.margin,
        "returned_share": base.returned_share,
        "pace": None if calendar.plain else calendar.pace(horizon, portfolio.interval),
        "discount_rate": portfolio.discount_rate,
        "interval": portfolio.interval,
        "end_of_observation": base.end.isoformat(),
    }
    path = folder / "totals.json"
    path.write_text(json.dumps(totals, indent=1) + "\n", encoding="utf-8")
    return [*written, path]


def describe_verdict(base: UnitBase, verdict: validation.Verdict) -> dict[str, object]:
    """Return the verdict as the reports show it: level, one headline and the reasons."""
    headline = {
        "sound": "The forecast passed its checks.",
        "caution": "The forecast is usable with caution.",
        "withheld": "The forecast is withheld: a check failed.",
    }[verdict.level]
    return {"level": verdict.level, "headline": headline, "reasons": verdict.reasons}


def compare_trials(trials: Mapping[str, Trial | None]) -> pd.DataFrame:
    """Tabulate the holdout scores of all units."""
    rows = [{"unit": name, **trial.scores.as_dict()} for name, trial in trials.items() if trial is not None]
    columns = ["unit", "customers", "actual", "mean", "low", "high", "bias", "mae", "rmse", "correlation", "coverage"]
    return pd.DataFrame(rows, columns=columns)


def compare_regularity(bases: Mapping[str, UnitBase]) -> pd.DataFrame:
    """Tabulate how regularly the customers of each unit buy: estimated Erlang shape with its 90% interval."""
    found = {name: timing.estimate_regularity(base.gaps) for name, base in bases.items()}
    rows = [{"unit": name, **r.as_dict()} for name, r in found.items() if r is not None]
    return pd.DataFrame(rows, columns=["unit", "k", "low", "high", "customers"])


def count_bases(bases: Mapping[str, UnitBase]) -> pd.DataFrame:
    """Tabulate what the models see of each unit: customers, repeat buyers, count rows and the mean age in days."""
    rows = []
    for name, base in bases.items():
        table = base.count_rows()
        n = table["customers"]
        rows.append(
            {
                "unit": name,
                "customers": int(n.sum()),
                "repeat_buyers": int(n[table["frequency"] > 0].sum()),
                "count_rows": len(table),
                "mean_frequency": float(np.average(table["frequency"], weights=n)),
                "mean_age_days": float(np.average(table["T"], weights=n)),
            }
        )
    return pd.DataFrame(rows)
