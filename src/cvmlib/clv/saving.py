"""What the customer-value study leaves for the reports: posteriors with provenance, and the value of every customer."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import ibis
import pandas as pd

from cvmlib import inference, provenance
from cvmlib.clv import validation, value
from cvmlib.clv.judgement import Trial
from cvmlib.clv.live import save_live
from cvmlib.clv.prepare import UnitBase, write_table
from cvmlib.clv.purchase_model import tabulate_effects
from cvmlib.clv.study import Models, count_buyers, days_ahead, value_newcomers
from cvmlib.portfolio import Portfolio


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
    }
    written = []
    for family, fit in models.fits.items():
        notes = {
            "diagnostics": vars(fit.diagnostics),
            "time_scale_days": fit.time_scale,
            "constants": dict(fit.constants),
            "units": list(fit.units),
            "model_of": [unit for unit, chosen in models.choice.families.items() if chosen.name == family],
        }
        written += inference.save(fit.trace, folder / f"purchases_{family}_{name}.nc", origin | notes)
    if models.spend.trace is not None:
        notes = {"diagnostics": vars(models.spend.diagnostics), "constant_spend": models.spend.constant}
        notes |= origin | {"units": list(models.spend.units)}
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
        for path in save_unit(portfolio, base, models, predictions[name], verdicts[name], trials[name])
    ]


def save_unit(
    portfolio: Portfolio,
    base: UnitBase,
    models: Models,
    prediction: value.Prediction,
    verdict: validation.Verdict,
    trial: Trial | None,
) -> list[Path]:
    """Join the predictions back to the customers and save all that a unit's reports read.

    Returns
    -------
    list of Path
        In the unit's folder: ``value.parquet`` (one row per customer), ``total_draws.parquet`` (simulated totals of the
        unit), ``totals.json``, ``calendar.parquet`` where one was estimated, ``models.parquet`` where models were
        compared, and of a trial ``tracking.parquet``, ``by_frequency.parquet`` and ``again.parquet``.
    """
    folder, name = base.folder, base.unit.name
    calendar, choice = models.calendars[name], models.choice
    compared = choice.table[choice.table["unit"] == name] if len(choice.table) else None
    keys = ["pattern", "frequency", "recency", "T", "monetary_value"]
    scores = prediction.rows.rename(columns={"purchases": "expected_purchases", "spend": "expected_spend"})
    customers = base.customers.select("customer_id", "first", "last", "total_value", *keys)
    joined = customers.inner_join(ibis.memtable(scores.drop(columns=["unit", "customers"])), keys)
    write_table(joined.order_by("customer_id"), folder / "value.parquet")
    written = [folder / "value.parquet", folder / "total_draws.parquet"]
    live = save_live(portfolio, base, models)
    pd.DataFrame({"value": prediction.value, "purchases": prediction.purchases}).to_parquet(written[1], index=False)
    tables = {
        "tracking": trial and trial.tracking,
        "by_frequency": trial and trial.by_frequency,
        "again": trial and trial.again,
        "calendar": None if calendar.plain else calendar.table(portfolio.interval),
        "models": compared if compared is not None and len(compared) else None,
        "effects": read_effects(base, models),
    }
    for title, table in tables.items():
        path = folder / f"{title}.parquet"
        path.unlink(missing_ok=True)
        if table is not None:
            table.to_parquet(path, index=False)
            written.append(path)
    horizon = days_ahead(portfolio, base, calibration=False)[-1]
    totals = {
        "unit": name,
        "label": base.unit.label,
        "setting": base.unit.setting,
        "verdict": describe_verdict(base, verdict),
        "checks": [vars(check) for check in verdict.checks],
        "model": {
            "family": choice.families[name].name,
            "title": choice.title(name),
            "stages": choice.stages[name],
            "reason": choice.reasons.get(name, ""),
            "opportunity": base.unit.opportunity,
        },
        "customers": int(prediction.rows["customers"].sum()),
        "alive": float(prediction.rows["p_alive"] @ prediction.rows["customers"]),
        "value": prediction.total("value"),
        "purchases": prediction.total("purchases"),
        "buyers": count_buyers(portfolio, base, models),
        "alive_later": float(prediction.rows["p_alive_later"] @ prediction.rows["customers"]),
        "residual": float(prediction.rows["residual"] @ prediction.rows["customers"]),
        "newcomers": value_newcomers(portfolio, base, models),
        "holdout": trial and trial.scores.as_dict(),
        "calibration_end": base.calibration_end and base.calibration_end.isoformat(),
        "horizon_months": portfolio.horizon_months,
        "currency": portfolio.currency,
        "margin": base.unit.margin,
        "per_transaction": base.unit.costs.per_transaction,
        "returned_share": base.returned_share,
        "pace": None if calendar.plain else calendar.pace(horizon, portfolio.interval),
        "discount_rate": portfolio.discount_rate,
        "interval": portfolio.interval,
        "end_of_observation": base.end.isoformat(),
    }
    path = folder / "totals.json"
    path.write_text(json.dumps(totals, indent=1) + "\n", encoding="utf-8")
    return [*written, live, path]


def read_effects(base: UnitBase, models: Models) -> pd.DataFrame | None:
    """Tabulate what each level of the unit's covariates does (`purchase_model.tabulate_effects`); None without any."""
    if not base.covariates.used:
        return None
    name = base.unit.name
    counts = base.count_rows()
    fit = models.purchases[name]
    table = tabulate_effects(replace(fit, covariates={name: fit.covariates[name]}), counts)
    return table[(table["unit"] == name) & ~table["pooled"]].reset_index(drop=True)


def describe_verdict(base: UnitBase, verdict: validation.Verdict) -> dict[str, object]:
    """Return the verdict as the reports show it: level, one headline and the reasons."""
    headline = {
        "sound": "The forecast passed its checks.",
        "caution": "The forecast is usable with caution.",
        "withheld": "The forecast is withheld: a check failed.",
    }[verdict.level]
    return {"level": verdict.level, "headline": headline, "reasons": verdict.reasons}
