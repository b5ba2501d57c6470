"""The plan of one unit on disk: saved for the reports and for scoring in real time, and loaded by them."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio

TABLES = ("actions", "contacts", "moves", "curve")


@dataclass(frozen=True)
class UnitPlan:
    """The plan of one unit's next period.

    Parameters
    ----------
    unit : str
        Name of the unit.
    actions : DataFrame
        One row per action (`cvmlib.decisions.plan.tabulate_actions`).
    contacts : DataFrame
        One row per recommended contact, and per customer held out (`cvmlib.decisions.plan.list_contacts`).
    moves : DataFrame
        The roadmap (`cvmlib.decisions.roadmap.list_moves`).
    curve : DataFrame
        Value by budget (`cvmlib.decisions.plan.trace_budget`).
    totals : dict
        Headline figures.
    """

    unit: str
    actions: pd.DataFrame
    contacts: pd.DataFrame
    moves: pd.DataFrame
    curve: pd.DataFrame
    totals: dict


def save_plan(portfolio: Portfolio, plan: UnitPlan) -> list[Path]:
    """Write a plan into its unit's folder: ``plan_*.parquet`` and ``plan_totals.json``."""
    folder = portfolio.build_dir / "units" / plan.unit
    written = []
    for name in TABLES:
        path = folder / f"plan_{name}.parquet"
        getattr(plan, name).to_parquet(path, index=False)
        written.append(path)
    path = folder / "plan_totals.json"
    path.write_text(json.dumps(plan.totals, indent=1) + "\n", encoding="utf-8")
    return [*written, path]


def has_plan(portfolio: Portfolio, unit: str) -> bool:
    """Whether a unit's next period has been planned."""
    return (portfolio.build_dir / "units" / unit / "plan_totals.json").is_file()


def load_plan(portfolio: Portfolio, unit: str) -> UnitPlan:
    """Load what `save_plan` wrote.

    Raises
    ------
    UnfitModelError
        The unit has not been planned yet.
    """
    folder = portfolio.build_dir / "units" / unit
    if not has_plan(portfolio, unit):
        raise UnfitModelError(
            f"There is no plan of actions for {unit} yet. Name actions in [units.{unit}.actions.NAME] and run "
            "`make reports`."
        )
    tables = {name: pd.read_parquet(folder / f"plan_{name}.parquet") for name in TABLES}
    totals = json.loads((folder / "plan_totals.json").read_text(encoding="utf-8"))
    return UnitPlan(unit=unit, totals=totals, **tables)
