"""From a unit's media and outcomes to its weekly tables on disk, and back into memory for the notebooks."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cvmlib.attribution.media_lift import read_tests
from cvmlib.attribution.media_panel import MediaPanel, UnitWeeks, build_panel
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio
from cvmlib.tables.check_media import constant_channels
from cvmlib.tables.checks import check_unit
from cvmlib.tables.problems import CheckReport, Problem
from cvmlib.tables.sources import connect, mapped_table
from cvmlib.tables.weekly import match_places, weekly_media, weekly_outcomes

FOLDER = "media"
_FILES = ("media", "outcomes", "tests", "constant", "programs")
PROGRAM_TESTS = "program_media_tests.parquet"
"""What a unit's programs measured of media channels, written when its programs are counted."""


def media_folder(portfolio: Portfolio, unit: str) -> Path:
    """Return the folder of a unit's media mix."""
    return portfolio.build_dir / "units" / unit / FOLDER


def prepare_unit(portfolio: Portfolio, unit: str, checks: CheckReport | None = None) -> list[Path]:
    """Add a unit's media and outcomes up to weeks and write them, with its lift tests.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.
    checks : CheckReport, optional
        What the checks of the unit found; they run first when it is not given.

    Returns
    -------
    list of pathlib.Path
        media.parquet, constant.parquet, outcomes.parquet, tests.parquet, programs.parquet and notes.json in the folder
        of the media mix; nothing when media or outcomes are missing or cannot be used. Lift tests that cannot be used
        are added to checks.json, and block the media mix.
    """
    folder = media_folder(portfolio, unit)
    for path in folder.glob("*.parquet"):
        path.unlink()
    checks = checks or check_unit(portfolio, unit)
    tables = portfolio.units[unit].tables
    if not {"media", "outcomes"} <= set(tables) or {"media", "outcomes"} & checks.blocked:
        return []
    weeks = replace(read_weeks(portfolio, unit), programs=_read_programs(portfolio, unit, checks))
    try:
        read_tests(build_panel({unit: weeks}), unit, weeks.tests)
    except DataError as error:
        _disclose(folder.parent / "checks.json", checks, unit, str(error))
        return []
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in _FILES:
        getattr(weeks, name).to_parquet(folder / f"{name}.parquet", index=False)
        written.append(folder / f"{name}.parquet")
    notes = {"rows": {name: len(getattr(weeks, name)) for name in _FILES}}
    (folder / "notes.json").write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    return [*written, folder / "notes.json"]


def read_weeks(portfolio: Portfolio, unit: str) -> UnitWeeks:
    """Read a unit's weekly tables from its source, without spend that never varies.

    Raises
    ------
    DataError
        When no channel is left.
    """
    con = connect(portfolio, unit)
    media = weekly_media(mapped_table(portfolio, unit, "media", con))
    outcomes = weekly_outcomes(mapped_table(portfolio, unit, "outcomes", con))
    end = portfolio.end_of_observation
    if end is not None:  # a week that is not over is no week yet
        media, outcomes = (t[t["week"] + pd.Timedelta(days=6) <= pd.Timestamp(end)] for t in (media, outcomes))
    outcomes = match_places(media, outcomes)
    constant = constant_channels(media)
    flat = pd.MultiIndex.from_frame(media[["region", "channel"]]).isin(constant)
    if flat.all():
        raise DataError(
            f"{unit}: no channel has a spend that varies ({', '.join(sorted({c for _, c in constant}))}); the media "
            "mix learns from ups and downs. Vary the spend, or test it."
        )
    tests = pd.DataFrame({"channel": pd.Series(dtype="str")})
    if "lift_tests" in portfolio.units[unit].tables:
        tests = mapped_table(portfolio, unit, "lift_tests", con).order_by(["start", "channel"]).execute()
    spec = portfolio.units[unit]
    return UnitWeeks(
        unit,
        spec.pool,
        media[~flat].reset_index(drop=True),
        outcomes.reset_index(drop=True),
        tests,
        spec.margin,
        spec.label,
        constant=media[flat].reset_index(drop=True),
    )


def _read_programs(portfolio: Portfolio, unit: str, checks: CheckReport) -> pd.DataFrame:
    """Read what the unit's programs measured of media channels; nothing where there are none, or none were counted."""
    path = media_folder(portfolio, unit).parent / PROGRAM_TESTS
    usable = "programs" in set(portfolio.units[unit].tables) - checks.blocked and path.is_file()
    return pd.read_parquet(path) if usable else pd.DataFrame({"channel": pd.Series(dtype="str")})


def _disclose(path: Path, checks: CheckReport, unit: str, message: str) -> None:
    """Add to the checks that the lift tests cannot be used."""
    problem = Problem(
        unit,
        "lift_tests",
        "basis",
        "lift_tests",
        False,
        message,
        "correct the tests, or leave them out.",
        blocks=("media",),
    )
    report = replace(checks, problems=[*checks.problems, problem])
    path.write_text(report.to_json() + "\n", encoding="utf-8")


def load_weeks(portfolio: Portfolio, unit: str) -> UnitWeeks:
    """Read what `prepare_unit` wrote, and prepare the unit first if it has not been.

    Raises
    ------
    DataError
        When the unit has no media and outcomes that can be used.
    """
    folder = media_folder(portfolio, unit)
    if not (folder / f"{_FILES[-1]}.parquet").is_file() and not prepare_unit(portfolio, unit):
        raise DataError(
            f"{unit}: no media mix can be fitted: media or outcomes are missing or cannot be used. Run `cvm check` and "
            "see data/README.md."
        )
    spec = portfolio.units[unit]
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _FILES}
    return UnitWeeks(unit, spec.pool, margin=spec.margin, label=spec.label, **frames)


def media_units(portfolio: Portfolio) -> list[str]:
    """Names of the units that supply media and outcomes, in the order of the file."""
    return [name for name, unit in portfolio.units.items() if {"media", "outcomes"} <= set(unit.tables)]


def load_panel(portfolio: Portfolio, units: Iterable[str] | None = None) -> tuple[MediaPanel, dict[str, UnitWeeks]]:
    """Load several units' weeks and their panel; all units with media when none are named."""
    weeks = {unit: load_weeks(portfolio, unit) for unit in (media_units(portfolio) if units is None else units)}
    return build_panel(weeks), weeks
