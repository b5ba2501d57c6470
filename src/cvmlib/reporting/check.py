"""Prepare a unit of a setting that has no counts yet: its tables are checked, and the index tells what was found."""

from pathlib import Path

from cvmlib.portfolio import Portfolio
from cvmlib.tables.checks import check_unit


def prepare_unit(portfolio: Portfolio, unit: str) -> list[Path]:
    """Check one unit and write the report of the checks.

    Raises
    ------
    DataError
        When a check is fatal; the report is written all the same.
    """
    report = check_unit(portfolio, unit)
    path = portfolio.build_dir / "units" / unit / "checks.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.to_json() + "\n", encoding="utf-8")
    report.raise_if_fatal()
    return [path]
