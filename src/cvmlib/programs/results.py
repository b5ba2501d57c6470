"""What the study of one unit's programs found, saved for the reports and loaded by them."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio

TABLES = ("results", "segments", "tests", "scorecard", "courses", "draws")
KEPT_DRAWS = 1000


@dataclass(frozen=True)
class UnitResult:
    """Results of one unit.

    Parameters
    ----------
    unit : str
        Name of the unit.
    results : DataFrame
        One row per program: what it is, how it was measured, its lift, its money, its verdict, and why.
    segments : DataFrame
        Lift by segment, shrunk (`cvmlib.programs.segments`).
    tests : DataFrame
        The next tests, ranked (`cvmlib.programs.design`).
    scorecard : DataFrame
        Intended against counted (`cvmlib.programs.scorecard`).
    courses : DataFrame
        Regional tests over time: program_id, date, actual, expected, low, high, tested.
    totals : dict
        Headline figures of the unit.
    draws : DataFrame
        Posterior draws of the lift in the window (a share of what customers bring untreated), one column per program
        that was drawn at random and is not broken.
    """

    unit: str
    results: pd.DataFrame
    segments: pd.DataFrame
    tests: pd.DataFrame
    scorecard: pd.DataFrame
    courses: pd.DataFrame
    totals: dict
    draws: pd.DataFrame = field(default_factory=pd.DataFrame)


def save_result(portfolio: Portfolio, result: UnitResult) -> list[Path]:
    """Write the results of a unit into its folder: ``programs_*.parquet`` and ``programs_totals.json``."""
    folder = portfolio.build_dir / "units" / result.unit
    written = []
    for name in TABLES:
        path = folder / f"programs_{name}.parquet"
        getattr(result, name).to_parquet(path, index=False)
        written.append(path)
    path = folder / "programs_totals.json"
    path.write_text(json.dumps(result.totals, indent=1) + "\n", encoding="utf-8")
    return [*written, path]


def load_result(portfolio: Portfolio, unit: str) -> UnitResult:
    """Load what `save_result` wrote.

    Raises
    ------
    UnfitModelError
        The programs of the unit have not been studied yet.
    """
    folder = portfolio.build_dir / "units" / unit
    path = folder / "programs_totals.json"
    if not path.is_file():
        raise UnfitModelError(f"The programs of {unit} have not been studied yet. Run `make reports`.")
    tables = {name: pd.read_parquet(folder / f"programs_{name}.parquet") for name in TABLES}
    return UnitResult(unit=unit, totals=json.loads(path.read_text(encoding="utf-8")), **tables)
