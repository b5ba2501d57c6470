"""From a unit's tables to its count tables on disk, and back into memory for the notebooks."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd

from cvmlib.churn.counts import build_life_table, build_spells, count_subscriptions, infer_observed_from
from cvmlib.churn.months import closing_day, month_index
from cvmlib.portfolio import BusinessUnit, Portfolio
from cvmlib.tables.checks import check_unit
from cvmlib.tables.cleaning import clean_subscriptions
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
        life_table.parquet, leaving.parquet, subscribers.json (end of observation, customers).

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
    table = clean_subscriptions(mapped_table(portfolio, unit, "subscriptions", con), end)
    stored = folder / "subscribers.parquet"
    build_spells(table, end).to_parquet(stored)
    spells = con.read_parquet(str(stored))
    counts = count_subscriptions(spells)
    observed_from = infer_observed_from(counts)
    frames = {
        COUNTS_FILE: counts,
        "life_table.parquet": build_life_table(counts, "plan", observed_from),
        "leaving.parquet": _count_leaving(spells),
    }
    written = []
    for name, frame in frames.items():
        frame.to_parquet(folder / name, index=False)
        written.append(folder / name)
    notes = _count_customers(spells) | {
        "end_month": month_index(end, closing_day(end)),
        "observed_from": observed_from,
        "end_of_observation": end.isoformat(),
    }
    (folder / "subscribers.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    return [folder / "checks.json", stored, *written, folder / "subscribers.json"]


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
    )


def load_units(portfolio: Portfolio, units: Iterable[str] | None = None) -> dict[str, UnitSubscribers]:
    """`load_unit` for several units; all contractual ones when none are named."""
    return {unit: load_unit(portfolio, unit) for unit in (contractual_units(portfolio) if units is None else units)}
