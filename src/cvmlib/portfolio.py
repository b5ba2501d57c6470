"""The portfolio file ``business_units.toml``: read, validated as a whole, and turned into typed records.

A mistake in the file is the user's to fix, so `read_portfolio` reports every one of them at once, one sentence each:
the key, what was found, and what is allowed (`cvmlib.portfolio_mistakes` words them).
"""

import datetime
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError

from cvmlib.business_unit import BusinessUnit, Count, Number, Record, Text, as_list
from cvmlib.errors import ConfigError
from cvmlib.portfolio_mistakes import describe_errors, find_cross_mistakes, nearest

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
DEFAULT_FILE = "business_units.toml"
PurchaseModel = Literal["mbg_nbd", "bg_nbd", "pareto_nbd", "mbg_cnbd", "bg_cnbd"]


class Sampling(Record):
    """How posteriors are sampled: draws kept and tuning steps per chain, the number of chains, or only a quick look.

    The quick look is an approximation around the mode; where that cannot be trusted, the forecast is withheld.
    """

    draws: Annotated[Count, Field(ge=1)] = 1000
    tune: Annotated[Count, Field(ge=1)] = 1000
    chains: Annotated[Count, Field(ge=1, le=16)] = 4
    quick: bool = False


class DemoSettings(Record):
    """Size, seed and length of history (years) of the simulated demo company; scale 1 is its usual size."""

    scale: Annotated[Number, Field(gt=0)] = 1.0
    seed: Annotated[Count, Field(ge=0)] = 1
    years: Annotated[Count, Field(ge=1, le=20)] = 3


class PortfolioSettings(Record):
    """The ``[portfolio]`` table. `Portfolio` adds the units and the places."""

    name: Text
    source: Text
    end_of_observation: datetime.date | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    discount_rate: Annotated[Number, Field(ge=0, le=1)]
    horizon_months: Annotated[Count, Field(ge=1, le=120)] = 12
    holdout_months: Annotated[Count, Field(ge=0, le=120)] = 12
    time_unit: Literal["hour", "day", "week"] = "day"
    seed: Annotated[Count, Field(ge=0)] = 1
    interval: Annotated[Number, Field(ge=0.5, lt=1)] = 0.9
    purchase_models: Annotated[list[PurchaseModel], Field(min_length=1), BeforeValidator(as_list)] = list(
        get_args(PurchaseModel)
    )
    sampling: Sampling = Sampling()


class Portfolio(PortfolioSettings):
    """A validated portfolio: settings, business units, and the folders that follow from where the file lies.

    Parameters
    ----------
    name : str
        Name of the company, for people.
    source : str
        Folder of the tables (relative to the portfolio file), or an Ibis connection URL.
    end_of_observation : datetime.date, optional
        Last day that counts; without it, the last date in the data of each unit.
    currency : str
        Three capital letters (ISO 4217).
    discount_rate : float
        Annual discount rate, as a fraction.
    horizon_months, holdout_months : int
        Months to forecast; months at the end of the history held out to validate (0: none).
    time_unit : {"hour", "day", "week"}
        Resolution of counting.
    seed : int
        Seed of every random number.
    interval : float
        Probability of the reported intervals.
    purchase_models : list of str
        Purchase models to choose from for each unit, the one preferred where the evidence is close first;
        ``mbg_cnbd`` and ``bg_cnbd`` allow the first two to reckon with regular timing. The MBG/NBD is first because
        under the BG/NBD whoever has bought only once is a customer for ever.
    sampling : Sampling
        Draws, tuning steps and chains.
    demo : DemoSettings, optional
        Present when the tables are those of the simulated demo company.
    units : dict of str to BusinessUnit
        The units, in the order of the file.
    path : pathlib.Path
        The portfolio file, absolute.
    """

    demo: DemoSettings | None = None
    units: dict[str, BusinessUnit]
    path: Path

    @property
    def folder(self) -> Path:
        """Folder of the portfolio file; every relative path of the file starts here."""
        return self.path.parent

    @property
    def root(self) -> Path:
        """Nearest folder at or above `folder` that holds a ``pyproject.toml``, else `folder`."""
        return next((p for p in (self.folder, *self.folder.parents) if (p / "pyproject.toml").is_file()), self.folder)

    @property
    def slug(self) -> str:
        """Name of the portfolio file without its ending."""
        return self.path.stem

    @property
    def build_dir(self) -> Path:
        """Folder of everything that is built on the way to the reports."""
        return self.root / "build" / self.slug

    @property
    def record_dir(self) -> Path:
        """Folder of the filed forecasts, below it one of each unit."""
        return self.root / "data" / "derived" / self.slug / "track_record"

    @property
    def reports_dir(self) -> Path:
        """Folder of the rendered reports."""
        reports = self.root / "reports"
        return reports if self.path.name == DEFAULT_FILE else reports / self.slug


class PortfolioFile(Record):
    """The three tables a portfolio file may hold: ``[portfolio]``, ``[demo]`` and ``[units.NAME]``."""

    portfolio: PortfolioSettings
    demo: DemoSettings | None = None
    units: Annotated[dict[str, BusinessUnit], Field(min_length=1)]


def read_portfolio(path: str | Path) -> Portfolio:
    """Read and validate a portfolio file.

    Parameters
    ----------
    path : str or pathlib.Path
        A TOML file such as ``business_units.toml``; a relative path that does not exist in the current folder is looked
        for in the folders above it, so that a notebook finds the file of its project. Text in the file may contain
        ``${VAR}`` or ``${VAR:-default}``, which are replaced from the environment.

    Returns
    -------
    Portfolio
        The validated portfolio.

    Raises
    ------
    ConfigError
        When the file is missing, is no TOML or UTF-8, or holds mistakes; the message lists all of them.
    """
    path = _find(Path(path))
    raw = _parse(path, _read_text(path))
    mistakes: list[tuple[tuple[str, ...], str]] = []
    raw = _expand(raw, (), mistakes)
    units = raw.get("units")
    if isinstance(units, dict):
        mistakes += _name_units(units)
    file = None
    try:
        file = PortfolioFile.model_validate(raw)
    except ValidationError as error:
        mistakes += describe_errors(error, PortfolioFile)
    mistakes += find_cross_mistakes(raw)
    if mistakes or file is None:
        raise ConfigError(_message(path, mistakes))
    return Portfolio(**dict(file.portfolio), demo=file.demo, units=file.units, path=path)


def _find(path: Path) -> Path:
    folders = [] if path.is_absolute() else [Path.cwd(), *Path.cwd().parents]
    return next((folder / path for folder in folders if (folder / path).is_file()), path.absolute())


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise ConfigError(f"{path}: found a folder; expected a portfolio file such as {path / DEFAULT_FILE}.")
    if not path.is_file():
        others = sorted(p.name for p in path.parent.glob("*.toml") if p.name != "pyproject.toml")
        near = nearest(path.name, others)
        hint = f" Did you mean {near}?" if near else ""
        there = f" That folder holds: {', '.join(others)}." if others else ""
        raise ConfigError(f"{path}: there is no such file.{hint}{there}")
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}: byte 0x{data[error.start]:02x} in line {line} is not UTF-8; save the file with encoding UTF-8."
        ) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        lines = text.splitlines()
        quoted = f"\n    {lines[int(found[1]) - 1].strip()}" if found and int(found[1]) <= len(lines) else ""
        raise ConfigError(
            f"{path}: this is not valid TOML: {error}. Text needs quotation marks, fractions a decimal point, and a "
            f"key may be given once only.{quoted}"
        ) from None


def _expand(value: Any, at: tuple[str, ...], mistakes: list[tuple[tuple[str, ...], str]]) -> Any:
    """Replace ``${VAR}`` and ``${VAR:-default}`` in every text of a parsed file; unset variables become mistakes."""
    if isinstance(value, dict):
        return {key: _expand(item, (*at, key), mistakes) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, (*at, str(i)), mistakes) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name) or default
        if found is None:
            mistakes.append(
                (at, f"found {match[0]}, but the environment variable {name} is not set; "
                     f"set it, or give a default: ${{{name}:-…}}")
            )  # fmt: skip
            return match[0]
        return found

    return _VARIABLE.sub(replace, value)


def _name_units(units: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """Give each unit its key as name and, without a label, as label; return mistakes in the keys."""
    mistakes = []
    for key, unit in units.items():
        if not re.fullmatch(r"[a-z0-9_-]+", key):
            mistakes.append(
                (("units", key), f'found the unit name "{key}"; allowed are small letters, digits, "-" and "_" '
                                 "(a name for people goes to label)")
            )  # fmt: skip
        if isinstance(unit, dict):
            if "name" in unit:
                mistakes.append((("units", key, "name"), "unknown key; the name is the key of the unit. "
                                                          "Did you mean label?"))  # fmt: skip
            unit["name"] = key
            unit.setdefault("label", key)
    return mistakes


def _message(path: Path, mistakes: list[tuple[tuple[str, ...], str]]) -> str:
    lines = list(dict.fromkeys(f"  - {'.'.join(at)}: {sentence}." for at, sentence in sorted(mistakes)))
    count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return f"{path}: {count}\n" + "\n".join(lines)
