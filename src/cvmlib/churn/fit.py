"""Fit, forecast, holdout check and verdict of contractual units, and their results on disk."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import ibis
import numpy as np
import pandas as pd

from cvmlib import provenance
from cvmlib.churn.counts import active_cells
from cvmlib.churn.forecast import Forecast, forecast_cells, score_cells, summarise_draws
from cvmlib.churn.live import tabulate_live
from cvmlib.churn.months import month_label
from cvmlib.churn.prepare import UnitSubscribers, unit_folder
from cvmlib.churn.retention import HazardPosterior, fit_hazard, summarise_hazard
from cvmlib.churn.validation import HoldoutCheck, check_holdout, count_extrapolated, estimate_kaplan_meier
from cvmlib.churn.value import join_value, make_terms, tabulate_forecast, tabulate_plans
from cvmlib.churn.verdict import Evidence, judge
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio
from cvmlib.tables.sources import source_fingerprint

DRAWS = 2000


@dataclass(frozen=True)
class UnitFit:
    """Everything that is known about a contractual unit after fitting.

    Parameters
    ----------
    subscribers : UnitSubscribers
        The prepared tables.
    posterior : HazardPosterior
        The hazard by plan and tenure.
    forecast : Forecast
        Outcomes over the horizon.
    scores : pandas.DataFrame
        Per plan and tenure, from `cvmlib.churn.forecast.score_cells`.
    holdout : HoldoutCheck or None
        None when the history is too short.
    verdict : dict
        level, headline, reasons.
    """

    subscribers: UnitSubscribers
    posterior: HazardPosterior
    forecast: Forecast
    scores: pd.DataFrame
    holdout: HoldoutCheck | None
    verdict: dict


def fit_unit(portfolio: Portfolio, subscribers: UnitSubscribers, draws: int = DRAWS) -> UnitFit:
    """Fit a unit's hazard, forecast its active subscribers, and check the same on held-out months.

    Parameters
    ----------
    portfolio : Portfolio
        Horizon, discount rate, seed, interval.
    subscribers : UnitSubscribers
        From `cvmlib.churn.prepare.load_unit`.
    draws : int, default 2000
        Posterior draws.

    Returns
    -------
    UnitFit
        The fit.
    """
    data = subscribers
    terms = make_terms(portfolio, data.unit)
    posterior = fit_hazard(data.counts, data.observed_from, terms.horizon_months, draws, portfolio.seed)
    cells = active_cells(data.counts)
    forecast = forecast_cells(posterior, cells, terms, portfolio.seed + 1)
    scores = score_cells(forecast, portfolio.interval)
    holdout = check_holdout(
        data.counts, data.end_month, portfolio.holdout_months, data.observed_from, portfolio.interval, draws,
        portfolio.seed,
    )  # fmt: skip
    active = data.counts[~data.counts["churned"]]
    evidence = Evidence(
        active=int(active["subscriptions"].sum()),
        leavers=posterior.leavers,
        extrapolated=count_extrapolated(forecast, posterior),
        unpriced=float(active["unpriced"].sum() / max(active["subscriptions"].sum(), 1)),
        holdout=holdout,
        holdout_months=portfolio.holdout_months,
        leaving_months=_count_leaving_months(data.counts),
    )
    return UnitFit(data, posterior, forecast, scores, holdout, judge(evidence))


def _count_leaving_months(counts: pd.DataFrame) -> int:
    left = counts[counts["churned"]]
    return int((left["joined"] + left["tenure"]).nunique())


def fit_units(portfolio: Portfolio, units: Mapping[str, UnitSubscribers]) -> dict[str, UnitFit]:
    """`fit_unit` for several units."""
    return {name: fit_unit(portfolio, data) for name, data in units.items()}


def compare_retention(fits: Mapping[str, UnitFit], interval: float = 0.9) -> pd.DataFrame:
    """Retention by tenure from the posterior and by Kaplan-Meier, per unit and plan.

    Returns
    -------
    pandas.DataFrame
        unit, plan, months (since joining), at_risk, churned, retention with _low and _high (posterior), km with km_low
        and km_high; one row per month in which somebody left.
    """
    parts = []
    for name, fit in fits.items():
        data = fit.subscribers
        km = estimate_kaplan_meier(data.counts, "plan", data.observed_from, interval)
        km = km.rename(columns={"retention": "km", "low": "km_low", "high": "km_high"})
        smooth = summarise_hazard(fit.posterior, interval).assign(months=lambda t: t["tenure"] + 1)
        columns = ["plan", "months", "retention", "retention_low", "retention_high"]
        parts.append(km.merge(smooth[columns], on=["plan", "months"]).assign(unit=name))
    table = pd.concat(parts, ignore_index=True)
    first = ["unit", "plan", "months", "at_risk", "churned"]
    return table[[*first, *[c for c in table.columns if c not in first]]]


def tabulate_hazards(fits: Mapping[str, UnitFit], interval: float = 0.9) -> pd.DataFrame:
    """`cvmlib.churn.retention.summarise_hazard` of several units, with the raw share of leavers (churned / at risk)."""
    parts = []
    for name, fit in fits.items():
        raw = fit.subscribers.life_table[["plan", "tenure", "hazard"]].rename(columns={"hazard": "raw"})
        parts.append(summarise_hazard(fit.posterior, interval).merge(raw, on=["plan", "tenure"], how="left"))
        parts[-1].insert(0, "unit", name)
    return pd.concat(parts, ignore_index=True)


def tabulate_shocks(fits: Mapping[str, UnitFit]) -> pd.DataFrame:
    """Tabulate the data behind each unit's fit, and its calendar shocks.

    Returns
    -------
    pandas.DataFrame
        unit, subscriptions, active, leavers, records_from (month; empty when complete), shock_sd, shock_persistence,
        billed (share of leavers whose month of leaving was billed), extrapolated (share of the forecast months).
    """
    rows = []
    for name, fit in fits.items():
        data, posterior = fit.subscribers, fit.posterior
        rows.append({
            "unit": name,
            "subscriptions": int(data.counts["subscriptions"].sum()),
            "active": int(fit.forecast.cells["subscriptions"].sum()),
            "leavers": posterior.leavers,
            "records_from": "" if data.observed_from is None else month_label(data.observed_from),
            "shock_sd": posterior.shock_sd,
            "shock_persistence": posterior.shock_persistence,
            "billed": posterior.billed,
            "extrapolated": count_extrapolated(fit.forecast, posterior),
        })  # fmt: skip
    return pd.DataFrame(rows)


def tabulate_holdout(fits: Mapping[str, UnitFit], part: str = "course") -> pd.DataFrame:
    """Holdout check of several units.

    Parameters
    ----------
    fits : mapping of str to UnitFit
        From `fit_units`.
    part : {"course", "cells", "total"}
        Month by month, by plan and year of tenure, or the revenue of the whole holdout.

    Returns
    -------
    pandas.DataFrame
        unit and the columns of that part of `cvmlib.churn.validation.HoldoutCheck`; empty without any check.
    """
    parts = []
    for name, fit in fits.items():
        if fit.holdout is not None:
            found = getattr(fit.holdout, part)
            frame = pd.DataFrame([found]) if part == "total" else found
            parts.append(frame.assign(unit=name)[["unit", *frame.columns]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"unit": []})


def tabulate_totals(fits: Mapping[str, UnitFit], interval: float = 0.9) -> pd.DataFrame:
    """Value of each unit's active subscribers with its forecast interval and verdict.

    Returns
    -------
    pandas.DataFrame
        unit, active, value, value_low, value_high (money), level, headline.
    """
    rows = []
    for name, fit in fits.items():
        value = summarise_draws(fit.forecast.value, interval)
        active = int(fit.forecast.cells["subscriptions"].sum())
        numbers = {"value": value["mean"], "value_low": value["low"], "value_high": value["high"]}
        rows.append({"unit": name, "active": active} | numbers | {k: fit.verdict[k] for k in ("level", "headline")})
    return pd.DataFrame(rows)


def save_units(portfolio: Portfolio, fits: Mapping[str, UnitFit]) -> list[Path]:
    """Save posteriors, scores, values and totals of all units; see `save_unit`."""
    return [path for fit in fits.values() for path in save_unit(portfolio, fit)]


def save_unit(portfolio: Portfolio, fit: UnitFit) -> list[Path]:
    """Save what the reports read.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    fit : UnitFit
        From `fit_unit`.

    Returns
    -------
    list of pathlib.Path
        The posterior with its provenance in ``models/churn``; in the unit's folder value.parquet (one row per customer
        with an active subscription), totals.json, and scores, live, hazard, plan_value, forecast, holdout and
        holdout_groups as Parquet.
    """
    data, name = fit.subscribers, fit.subscribers.unit.name
    folder = unit_folder(portfolio, name)
    holdout = fit.holdout
    frames = {
        "scores": fit.scores,
        "live": tabulate_live(fit.posterior, fit.forecast, portfolio.seed + 1, portfolio.interval),
        "hazard": tabulate_hazards({name: fit}, portfolio.interval).drop(columns="unit"),
        "plan_value": tabulate_plans(fit.forecast, fit.scores),
        "forecast": tabulate_forecast(fit.forecast, data.end_month, portfolio.interval),
        "holdout": tabulate_holdout({name: fit}, "course"),
        "holdout_groups": tabulate_holdout({name: fit}, "cells"),
    }
    written = save_posterior(fit.posterior, posterior_path(portfolio, name), make_provenance(portfolio, fit))
    for key, frame in frames.items():
        frame.to_parquet(folder / f"{key}.parquet", index=False)
        written.append(folder / f"{key}.parquet")
    draws = folder / "total_draws.parquet"
    pd.DataFrame({"value": fit.forecast.value}).to_parquet(draws, index=False)
    con = ibis.duckdb.connect()
    spells = con.read_parquet(str(data.folder / "subscribers.parquet"))
    join_value(spells, fit.scores, fit.forecast.terms).order_by("customer_id").to_parquet(folder / "value.parquet")
    totals = make_totals(portfolio, fit)
    totals["holdout"] = None if holdout is None else holdout.total | {"months": holdout.months}
    (folder / "totals.json").write_text(json.dumps(totals, indent=1) + "\n", encoding="utf-8")
    return [*written, draws, folder / "value.parquet", folder / "totals.json"]


def make_totals(portfolio: Portfolio, fit: UnitFit) -> dict:
    """Headline of a unit: value of its active subscribers with interval, customers, verdict."""
    data = fit.subscribers
    return {
        "unit": data.unit.name,
        "label": data.unit.label,
        "setting": data.unit.setting,
        "verdict": fit.verdict,
        "customers": data.customers,
        "active": data.active_customers,
        "value": summarise_draws(fit.forecast.value, portfolio.interval),
        "revenue": summarise_draws(fit.forecast.revenue.sum(axis=1), portfolio.interval),
        "purchases": None,
        "horizon_months": portfolio.horizon_months,
        "currency": portfolio.currency,
        "end_of_observation": data.checks.end_of_observation.isoformat(),
    }


def make_provenance(portfolio: Portfolio, fit: UnitFit) -> dict:
    """Collect what a posterior was made from: data fingerprint, settings, seed, versions, commit."""
    return {
        "unit": fit.subscribers.unit.name,
        "data": source_fingerprint(portfolio, fit.subscribers.unit.name),
        "seed": portfolio.seed,
        "draws": fit.posterior.draws,
        "terms": asdict(fit.forecast.terms),
        "plans": list(fit.posterior.plans),
        "leavers": fit.posterior.leavers,
        "observed_from": fit.subscribers.observed_from,
        "versions": provenance.versions(),
        "commit": provenance.commit(portfolio.root),
    }


def posterior_path(portfolio: Portfolio, unit: str) -> Path:
    """Where the posterior of a unit is saved."""
    return portfolio.build_dir / "models" / "churn" / f"{unit}.nc"


def save_posterior(posterior: HazardPosterior, path: Path, provenance: dict) -> list[Path]:
    """Save a posterior as netCDF with its provenance as JSON beside it."""
    import xarray as xr

    path.parent.mkdir(parents=True, exist_ok=True)
    data = xr.Dataset(
        {
            "hazard": (("draw", "plan", "tenure"), posterior.hazard.astype(np.float32)),
            "at_risk": (("plan", "observed_tenure"), posterior.at_risk),
            "level": ("draw", posterior.level),
        },
        coords={"plan": list(posterior.plans)},
        attrs={name: getattr(posterior, name) for name in ("leavers", "shock_sd", "shock_persistence", "billed")},
    )
    partial = path.with_suffix(".partial")
    data.to_netcdf(partial, engine="h5netcdf", encoding={"hazard": {"zlib": True, "complevel": 1}})
    partial.replace(path)
    notes = path.with_suffix(".json")
    notes.write_text(json.dumps(provenance, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return [path, notes]


def load_value(portfolio: Portfolio, unit: str) -> dict:
    """Read the saved results of a unit for its report.

    Returns
    -------
    dict
        totals (dict), customers (value.parquet), and scores, hazard, plan_value, forecast, holdout, holdout_groups
        (data frames, see `save_unit`).

    Raises
    ------
    DataError
        When the unit has not been fitted yet.
    """
    folder = unit_folder(portfolio, unit)
    _require(folder / "totals.json", unit)
    names = ("scores", "hazard", "plan_value", "forecast", "holdout", "holdout_groups")
    found = {name: pd.read_parquet(folder / f"{name}.parquet") for name in names}
    found["customers"] = pd.read_parquet(folder / "value.parquet")
    return found | {"totals": json.loads((folder / "totals.json").read_text(encoding="utf-8"))}


def _require(path: Path, unit: str) -> None:
    if not path.is_file():
        raise DataError(
            f"{unit}: the subscribers have not been valued yet. Run notebooks/models/churn.ipynb or `make reports`."
        )
