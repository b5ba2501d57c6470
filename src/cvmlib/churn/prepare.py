"""From a unit's tables to its count tables on disk, and back into memory for the notebooks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd
from ibis.backends import BaseBackend

from cvmlib.business_unit import BusinessUnit
from cvmlib.churn.counts import build_life_table, build_spells, count_subscriptions, infer_observed_from
from cvmlib.churn.covariates import (
    Covariate,
    Refusal,
    as_notes,
    count_patterns,
    find_levels,
    from_notes,
    join_columns,
    label_spells,
    number_patterns,
)
from cvmlib.churn.leakage import find_leaks
from cvmlib.churn.lifetimes import Lifetimes, lay_out
from cvmlib.churn.months import closing_day, month_index
from cvmlib.portfolio import Portfolio
from cvmlib.tables.checks import check_unit
from cvmlib.tables.cleaning import clean_keyed, clean_subscriptions
from cvmlib.tables.contracts import CONTRACTS
from cvmlib.tables.problems import CheckReport
from cvmlib.tables.sources import connect, mapped_table

COUNTS_FILE = "subscription_counts.parquet"


@dataclass(frozen=True)
class UnitSubscribers:
    """The prepared tables of one contractual unit.

    Parameters
    ----------
    unit : BusinessUnit
        The unit.
    folder : pathlib.Path
        Where its prepared tables are.
    checks : CheckReport
        What the checks found, with the end of observation.
    counts : pandas.DataFrame
        From `cvmlib.churn.counts.count_subscriptions`.
    life_table : pandas.DataFrame
        From `cvmlib.churn.counts.build_life_table`, by plan.
    leaving : pandas.DataFrame
        month (grid month), end_reason, subscriptions: leavers by month and recorded reason.
    end_month : int
        Grid month in which the observation ends.
    observed_from : int or None
        First grid month whose leavers are recorded, when older subscriptions are survivors only.
    customers, active_customers : int
        Customers ever, and with an active subscription.
    pattern_counts : pandas.DataFrame
        pattern, the covariates, joined, tenure, churned, involuntary, subscriptions.
    covariates : tuple of Covariate
        What may drive leaving.
    refused : tuple of Refusal
        Columns named as covariates that are not used, and why.
    """

    unit: BusinessUnit
    folder: Path
    checks: CheckReport
    counts: pd.DataFrame
    life_table: pd.DataFrame
    leaving: pd.DataFrame
    end_month: int
    observed_from: int | None
    customers: int
    active_customers: int
    pattern_counts: pd.DataFrame
    covariates: tuple[Covariate, ...]
    refused: tuple[Refusal, ...]


def contractual_units(portfolio: Portfolio) -> list[str]:
    """Names of the portfolio's contractual units, in the order of the file."""
    return [name for name, unit in portfolio.units.items() if unit.setting == "contractual"]


def unit_folder(portfolio: Portfolio, unit: str) -> Path:
    """Folder of everything that is built for a unit."""
    return portfolio.build_dir / "units" / unit


def prepare_unit(portfolio: Portfolio, unit: str) -> list[Path]:
    """Check a contractual unit's tables, and write its subscribers and count tables.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.

    Returns
    -------
    list of pathlib.Path
        checks.json, subscribers.parquet (one row per subscription spell), subscription_counts.parquet,
        life_table.parquet, leaving.parquet, patterns.parquet and pattern_counts.parquet (covariates), subscribers.json
        (end of observation, customers, what became of the covariates).

    Raises
    ------
    DataError
        When the tables cannot be used; checks.json is written nevertheless.
    """
    con = connect(portfolio, unit)
    folder = unit_folder(portfolio, unit)
    folder.mkdir(parents=True, exist_ok=True)
    checks = check_unit(portfolio, unit, con)
    (folder / "checks.json").write_text(checks.to_json(), encoding="utf-8")
    checks.raise_if_fatal()
    end = checks.end_of_observation
    stored = folder / "subscribers.parquet"
    spells, patterns, notes_on_covariates = _write_spells(portfolio, unit, con, end, stored)
    counts = count_subscriptions(spells)
    records_from = portfolio.units[unit].retention.records_from
    observed_from = infer_observed_from(counts) if records_from is None else _first_month(records_from, end)
    frames = {
        "patterns.parquet": patterns,
        "pattern_counts.parquet": count_patterns(spells),
        COUNTS_FILE: counts,
        "life_table.parquet": build_life_table(counts, "plan", observed_from),
        "leaving.parquet": _count_leaving(spells),
    }
    written = []
    for name, frame in frames.items():
        frame.to_parquet(folder / name, index=False)
        written.append(folder / name)
    notes = (
        _count_customers(spells)
        | {
            "end_month": month_index(end, closing_day(end)),
            "observed_from": observed_from,
            "end_of_observation": end.isoformat(),
        }
        | notes_on_covariates
    )
    (folder / "subscribers.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    return [folder / "checks.json", stored, *written, folder / "subscribers.json"]


def _write_spells(
    portfolio: Portfolio, unit: str, con: BaseBackend, end: date, stored: Path
) -> tuple[ir.Table, pd.DataFrame, dict]:
    """Write the spells with their covariate pattern; return them, the patterns, and what became of the covariates."""
    settings = portfolio.units[unit].retention
    table = clean_subscriptions(mapped_table(portfolio, unit, "subscriptions", con), end)
    known = CONTRACTS["subscriptions"].column_by_name
    wanted = {*settings.covariates, *settings.measured_on.values()} & set(table.columns) - set(known)
    spells = build_spells(table, end, keep=sorted(wanted))
    if not settings.covariates:
        numbered, patterns = number_patterns(spells, [])
        numbered.to_parquet(stored)
        return con.read_parquet(str(stored)), patterns, as_notes([], [])
    customers = None
    if "customers" in portfolio.units[unit].tables:
        customers = clean_keyed(mapped_table(portfolio, unit, "customers", con), "customers")
    raw = stored.with_name("spells.parquet")
    join_columns(spells, customers, portfolio.units[unit]).to_parquet(raw)
    spells = con.read_parquet(str(raw))
    refused = find_leaks(spells, settings.covariates, settings.measured_on, settings.records_from)
    names = [name for name in settings.covariates if name not in {one.name for one in refused}]
    covariates, useless = find_levels(spells, names, settings.cuts)
    numbered, patterns = number_patterns(label_spells(spells, covariates), covariates)
    spare = {*settings.covariates, *settings.measured_on.values()} - set(known)
    numbered.drop(*sorted(spare)).to_parquet(stored)
    raw.unlink()
    return con.read_parquet(str(stored)), patterns, as_notes(covariates, [*refused, *useless])


def _first_month(records_from: date, end: date) -> int:
    """Grid month from which leavers are recorded: the first that begins on this day or later."""
    closing = closing_day(end)
    month = month_index(records_from, closing)
    return month if month_index(records_from - timedelta(days=1), closing) < month else month + 1


def _count_leaving(spells: ir.Table) -> pd.DataFrame:
    """Leavers by month and recorded reason."""
    left = spells.filter(spells.churned)
    left = left.select(month=left.joined + left.tenure, end_reason=left.end_reason.fill_null("not stated"))
    table = left.group_by("month", "end_reason").aggregate(subscriptions=left.count()).execute()
    return table.astype({"end_reason": "str"}).sort_values(["month", "end_reason"], ignore_index=True)


def _count_customers(spells: ir.Table) -> dict[str, int]:
    """Count customers ever, customers with an active subscription, and customers who came back."""
    found = spells.aggregate(
        customers=spells.customer_id.nunique(),
        active_customers=spells.customer_id.nunique(where=~spells.churned),
        returned=spells.customer_id.nunique(where=spells.spell > 1),
    ).execute()
    return {name: int(found[name].iloc[0]) for name in found.columns}


def load_unit(portfolio: Portfolio, unit: str) -> UnitSubscribers:
    """Read what `prepare_unit` wrote, and prepare the unit first if it has not been.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.

    Returns
    -------
    UnitSubscribers
        The prepared tables.
    """
    folder = unit_folder(portfolio, unit)
    if not (folder / "subscribers.json").is_file():
        prepare_unit(portfolio, unit)
    notes = json.loads((folder / "subscribers.json").read_text(encoding="utf-8"))
    covariates, refused = from_notes(notes)
    patterns = pd.read_parquet(folder / "patterns.parquet").drop(columns="subscriptions")
    return UnitSubscribers(
        unit=portfolio.units[unit],
        folder=folder,
        checks=CheckReport.from_json((folder / "checks.json").read_text(encoding="utf-8")),
        counts=pd.read_parquet(folder / COUNTS_FILE),
        life_table=pd.read_parquet(folder / "life_table.parquet"),
        leaving=pd.read_parquet(folder / "leaving.parquet"),
        end_month=notes["end_month"],
        observed_from=notes["observed_from"],
        customers=notes["customers"],
        active_customers=notes["active_customers"],
        pattern_counts=patterns.merge(pd.read_parquet(folder / "pattern_counts.parquet"), on="pattern"),
        covariates=tuple(covariates),
        refused=tuple(refused),
    )


def load_units(portfolio: Portfolio, units: Iterable[str] | None = None) -> dict[str, UnitSubscribers]:
    """`load_unit` for several units; all contractual ones when none are named."""
    return {unit: load_unit(portfolio, unit) for unit in (contractual_units(portfolio) if units is None else units)}


def lay_out_units(units: Mapping[str, UnitSubscribers], until: int | None = None) -> Lifetimes:
    """Arrange the counted subscriptions of several units for the retention models.

    Parameters
    ----------
    units : mapping of str to UnitSubscribers
        Prepared units; in all of them the renewals of the first.
    until : int, optional
        Grid month after which nothing is known, to hold the later ones out.
    """
    names = list(dict.fromkeys(one.name for data in units.values() for one in data.covariates))
    parts = [_known_by(data, until).assign(unit=name) for name, data in units.items()]
    table = pd.concat(parts, ignore_index=True).reindex(columns=[*parts[0].columns.union(names, sort=False)])
    renewal = next(iter(units.values())).unit.retention.renewal_months
    return lay_out(table, names, renewal)


def _known_by(data: UnitSubscribers, until: int | None) -> pd.DataFrame:
    """A unit's counts by pattern, with the first month at risk, as known at the end of a grid month."""
    counts = data.pattern_counts
    if until is not None:
        counts = counts[counts["joined"] <= until]
        later = (counts["joined"] + counts["tenure"] > until) | ~counts["churned"]
        tenure = counts["tenure"].where(~later, until - counts["joined"])
        counts = counts.assign(tenure=tenure, churned=counts["churned"] & ~later)
        counts["involuntary"] &= counts["churned"]
    entry = 0 if data.observed_from is None else (data.observed_from - counts["joined"]).clip(lower=0)
    return counts.assign(entry=entry)
