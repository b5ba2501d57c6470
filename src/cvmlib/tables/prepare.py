"""Check a unit that supplies no log of customers: its further tables are counted by whoever they are for."""

from pathlib import Path

from cvmlib.portfolio import Portfolio
from cvmlib.tables.checks import check_unit


def prepare_unit(portfolio: Portfolio, unit: str) -> list[Path]:
    """Check a unit and write ``checks.json``.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.

    Returns
    -------
    list of Path
        The file written.

    Raises
    ------
    DataError
        A check is fatal; the report of the checks is written all the same.
    """
    path = portfolio.build_dir / "units" / unit / "checks.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    report = check_unit(portfolio, unit)
    path.write_text(report.to_json() + "\n", encoding="utf-8")
    report.raise_if_fatal()
    return [path]
