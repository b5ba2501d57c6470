"""From a fitted unit to decisions: who will leave, what it costs, whom to save; saved for the churn page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.business_unit import Saving
from cvmlib.churn import causes, experiment, money, saving
from cvmlib.churn.drivers import PoolFit
from cvmlib.churn.fit import UnitFit
from cvmlib.churn.forecast import Terms, summarise_draws
from cvmlib.churn.months import month_label
from cvmlib.churn.overview import tabulate_cohorts
from cvmlib.churn.patterns import KEYS, count_active, make_pattern_outlook
from cvmlib.churn.prepare import unit_folder
from cvmlib.churn.retention_model import RetentionFit
from cvmlib.churn.scores import score_profit
from cvmlib.churn.validation import HoldoutCheck, tabulate_projections, tabulate_risks, tabulate_scores
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio
from cvmlib.tables.cleaning import clean_keyed
from cvmlib.tables.sources import connect, mapped_table

QUARTER, LIFETIME = 3, 60
LIST_FILE = "saving_list.csv"
TABLES = (
    *("course", "risk", "levers", "lifetimes", "incidence"),
    *("effects", "rankings", "profits", "scores", "risks", "projections", "contacts"),
)


@dataclass(frozen=True)
class Decision:
    """What follows from a fitted unit.

    Parameters
    ----------
    summary : dict
        Headline: window (months), leavers and lost (mean, low, high), voluntary (share of those who will leave, or
        None), levers, saving (None without costs), experiment (name or empty).
    tables : dict of str to pandas.DataFrame
        Those of `TABLES` that there are.
    listed : ibis Table or None
        The customers to contact, best first.
    """

    summary: dict
    tables: dict[str, pd.DataFrame]
    listed: ir.Table | None


def decide(portfolio: Portfolio, fit: UnitFit, retention: RetentionFit | None = None) -> Decision:
    """Work out who of a unit will leave, what that costs, and whom it pays to contact.

    Parameters
    ----------
    portfolio : Portfolio
        Horizon, interval, seed.
    fit : UnitFit
        From `cvmlib.churn.fit.fit_unit`.
    retention : RetentionFit, optional
        A retention model with the unit's covariates; where it may be relied on, customers of one plan and tenure have
        risks of their own by it.

    Returns
    -------
    Decision
        Nothing is written.
    """
    unit, seed, interval = fit.subscribers.unit, portfolio.seed, portfolio.interval
    con = connect(portfolio, unit)
    spells = con.read_parquet(str(fit.subscribers.folder / "subscribers.parquet"))
    left = causes.count_causes(spells)
    usable = retention is not None and retention.passed and bool(fit.subscribers.covariates)
    outlook, share = _look_ahead(fit, spells, left, retention if usable else None, seed)
    by = segments(outlook)
    window = unit.saving.within_months if unit.saving else QUARTER
    losses, chosen = money.expect_losses(outlook, window), money.expect_losses(outlook, window, share)
    leavers, lost = (summarise_draws(draws.sum(axis=1), interval) for draws in money.draw_losses(outlook, losses, seed))
    apart = causes.causes_told_apart(left)
    size = outlook.cells["subscriptions"].to_numpy()
    summary = {
        "window": min(window, fit.forecast.terms.horizon_months),
        "subscriptions": int(size.sum()),
        "leavers": leavers,
        "lost": lost,
        "voluntary": float((chosen.chance @ size).sum() / max((losses.chance @ size).sum(), 1e-12)) if apart else None,
        "experiment": "",
        "saving": None,
        "snapshot": _leaving_months(fit) == 1,
    }
    longer = replace(outlook.terms, horizon_months=LIFETIME)
    tables = {
        "course": _tabulate_course(outlook, fit.subscribers.end_month, interval, seed),
        "risk": money.tabulate_risk(outlook, losses, by, interval, seed),
        "levers": money.tabulate_levers(outlook, interval),
        "lifetimes": _tabulate_lifetimes(fit, longer, interval, seed),
        "incidence": causes.tabulate_incidence(left, fit.subscribers.life_table) if apart else pd.DataFrame(),
    }
    if fit.holdout is not None:
        tables |= tabulate_trial(fit.holdout, unit.saving, window, lost["mean"] / max(leavers["mean"], 1e-12), interval)
    if unit.saving is None or not len(size):
        return Decision(summary, tables, None)
    listed, found, more = _save(portfolio, fit, spells, outlook, chosen)
    return Decision(summary | found, tables | more, listed)


def _look_ahead(
    fit: UnitFit, spells: ir.Table, left: pd.DataFrame, retention: RetentionFit | None, seed: int
) -> tuple[money.Outlook, np.ndarray]:
    """Hazards of the months to come, and the share of those leaving in each month who choose to."""
    data, terms = fit.subscribers, fit.forecast.terms
    if retention is not None:
        patterns = data.pattern_counts.drop_duplicates("pattern")
        cells = count_active(spells)
        return make_pattern_outlook(retention, data.unit.name, patterns, cells, fit.posterior, terms, seed + 1)
    outlook = money.make_outlook(fit.posterior, fit.forecast.cells, terms, seed + 1)
    draws, _, months = outlook.hazard.shape
    ahead = outlook.cells["tenure"].to_numpy(np.int64)[:, None] + 1 + np.arange(months)
    share = causes.draw_voluntary_share(left, int(ahead.max(initial=0)) + 1, draws, seed + 2)
    return outlook, share[:, ahead]


def _leaving_months(fit: UnitFit) -> int:
    left = fit.subscribers.counts[fit.subscribers.counts["churned"]]
    return int((left["joined"] + left["tenure"]).nunique())


def _tabulate_course(outlook: money.Outlook, end_month: int, interval: float, seed: int) -> pd.DataFrame:
    """Subscriptions still there month by month: month, active with _low and _high."""
    draws = money.draw_survivors(outlook, seed)
    low, high = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    months = [month_label(end_month + 1 + month) for month in range(draws.shape[1])]
    return pd.DataFrame({"month": months, "active": draws.mean(axis=0), "active_low": low, "active_high": high})


def segments(outlook: money.Outlook) -> dict[str, np.ndarray]:
    """Segments by which value at risk is told: plan, and year of tenure (0 is the first)."""
    return {"plan": outlook.cells["plan"].to_numpy(), "tenure_years": outlook.cells["tenure"].to_numpy() // 12}


def _tabulate_lifetimes(fit: UnitFit, terms: Terms, interval: float, seed: int) -> pd.DataFrame:
    outlook = money.make_outlook(fit.posterior, fit.forecast.cells, terms, seed + 1)
    return money.tabulate_lifetimes(outlook, segments(outlook), interval)


def tabulate_trial(
    check: HoldoutCheck, terms: Saving | None, window: int, value: float, interval: float
) -> dict[str, pd.DataFrame]:
    """Scores of the held-out months; with costs of saving also what a campaign at their beginning would have earned."""
    tables = {
        "scores": tabulate_scores(check, interval),
        "risks": tabulate_risks(check, interval),
        "projections": tabulate_projections(check),
    }
    if terms is not None and window <= check.months:
        trial = check.trial
        risks = {name: (1 - survival[:, window])[trial.cell] for name, survival in trial.forecasts.items()}
        worth = np.full(len(trial.cell), value)
        tables["profits"] = score_profit(trial.outcomes, risks, window, worth, terms, interval)
    return tables


def _save(
    portfolio: Portfolio, fit: UnitFit, spells: ir.Table, outlook: money.Outlook, chosen: money.Losses
) -> tuple[ir.Table, dict, dict[str, pd.DataFrame]]:
    """List whom to contact; return the list, its part of the summary, and its tables."""
    unit, seed, interval = fit.subscribers.unit, portfolio.seed, portfolio.interval
    name, effects = _find_experiment(portfolio, fit, spells)
    if effects is None:
        response = saving.assume_response(chosen, unit.saving, interval, seed + 3)
    else:
        response = experiment.measure_response(outlook, chosen, effects, name, seed + 3)
    scores = saving.score_contacts(outlook, chosen, response)
    keys = [name for name in KEYS if name in outlook.cells]
    customers = saving.join_profit(spells, scores, outlook, unit.saving, keys).cache()
    listed = customers.filter(customers.profit > 0)
    listed = listed.order_by(listed.profit.desc(), listed.customer_id)
    count, base = int(listed.count().execute()), int(customers.count().execute())
    cells = saving.count_listed(spells, listed, outlook, keys)
    profit = saving.draw_profit(outlook, chosen, response, unit.saving, cells, count, seed + 4)
    found = saving.summarise_list(profit, count, base, interval) | unit.saving.model_dump()
    tables = {"rankings": saving.compare_rankings(customers, count), "contacts": scores}
    if effects is not None:
        tables["effects"] = experiment.tabulate_effects(effects, interval)
    return listed, {"saving": found, "experiment": name}, tables


def _find_experiment(portfolio: Portfolio, fit: UnitFit, spells: ir.Table) -> tuple[str, experiment.Effects | None]:
    """Read the effect of a randomised retention program, where the unit's tables hold one that is over."""
    unit, end = fit.subscribers.unit, fit.subscribers.checks.end_of_observation
    if not {"assignments", "programs"} <= set(unit.tables):
        return "", None
    con = connect(portfolio, unit)
    drawn, programs = (
        clean_keyed(mapped_table(portfolio, unit, name, con), name) for name in ("assignments", "programs")
    )
    counts = experiment.count_experiment(spells, drawn, programs, unit.saving.within_months, end)
    name = experiment.find_program(programs, counts)
    return (name, experiment.estimate_effects(counts, seed=portfolio.seed + 5)) if name else ("", None)


def save_decisions(portfolio: Portfolio, fits: Mapping[str, UnitFit], pools: Sequence[PoolFit] = ()) -> list[Path]:
    """Decide for several units, each with the retention model chosen for it, and save what their churn pages read."""
    chosen = {unit: pool.best(unit) for pool in pools for unit in pool.units}
    decisions = {name: decide(portfolio, fit, chosen.get(name)) for name, fit in fits.items()}
    return [path for name, fit in fits.items() for path in save_decision(portfolio, fit, decisions[name])]


def save_decision(portfolio: Portfolio, fit: UnitFit, decision: Decision) -> list[Path]:
    """Save a decision in the unit's folder.

    Returns
    -------
    list of pathlib.Path
        churn.json, the tables as ``churn_NAME.parquet``, and, where there is a list, saving_list.csv: customer_id,
        plan, tenure (months), price (per month), p_leave (within the window, by choice), at_risk and profit (money),
        best first. Files of an earlier decision that no longer hold are removed.
    """
    data = fit.subscribers
    folder = unit_folder(portfolio, data.unit.name)
    cohorts = tabulate_cohorts(data.counts, data.end_month, data.observed_from)
    cohorts.columns = [str(age) for age in cohorts.columns]
    frames = decision.tables | {"cohorts": cohorts}
    for name in (*TABLES, "cohorts"):
        (folder / f"churn_{name}.parquet").unlink(missing_ok=True)
    (folder / LIST_FILE).unlink(missing_ok=True)
    written = []
    for name, frame in frames.items():
        if len(frame):
            frame.to_parquet(folder / f"churn_{name}.parquet", index=name == "cohorts")
            written.append(folder / f"churn_{name}.parquet")
    if decision.listed is not None:
        columns = ["customer_id", "plan", "tenure", "price", "p_leave", "at_risk", "profit"]
        decision.listed.select(*columns).to_csv(folder / LIST_FILE)
        written.append(folder / LIST_FILE)
    (folder / "churn.json").write_text(json.dumps(decision.summary, indent=1) + "\n", encoding="utf-8")
    return [*written, folder / "churn.json"]


def load_decision(portfolio: Portfolio, unit: str) -> tuple[dict, dict[str, pd.DataFrame]]:
    """Read what `save_decision` wrote.

    Returns
    -------
    summary : dict
        churn.json.
    tables : dict of str to pandas.DataFrame
        Those of `TABLES` that there are, cohorts, and list (the customers to contact, best first).

    Raises
    ------
    DataError
        When the unit has not been fitted yet.
    """
    folder = unit_folder(portfolio, unit)
    if not (folder / "churn.json").is_file():
        raise DataError(
            f"{unit}: who will leave has not been worked out yet. Run notebooks/models/churn.ipynb or `make reports`."
        )
    files = {name: folder / f"churn_{name}.parquet" for name in (*TABLES, "cohorts")}
    tables = {name: pd.read_parquet(path) for name, path in files.items() if path.is_file()}
    if (folder / LIST_FILE).is_file():
        tables["list"] = pd.read_csv(folder / LIST_FILE, dtype={"customer_id": str, "plan": str})
    return json.loads((folder / "churn.json").read_text(encoding="utf-8")), tables
