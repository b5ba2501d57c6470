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

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cvmlib.errors import ConfigError
from cvmlib.portfolio_mistakes import describe_errors, find_cross_mistakes, nearest

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
DEFAULT_FILE = "business_units.toml"


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_refuse_boolean), Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_refuse_boolean)]
Text = Annotated[str, Field(min_length=1)]
PurchaseModel = Literal["mbg_nbd", "bg_nbd", "pareto_nbd", "mbg_cnbd", "bg_cnbd"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Costs(_Record):
    """What serving a customer costs, in the portfolio's currency.

    Parameters
    ----------
    per_transaction : float
        Money per purchase (picking, shipping, payment).
    per_customer_year : float
        Money per active customer and year (service, mailings).
    """

    per_transaction: Annotated[Number, Field(ge=0)] = 0.0
    per_customer_year: Annotated[Number, Field(ge=0)] = 0.0


def _as_range(value: Any) -> tuple[float, float]:
    ends = value if isinstance(value, list | tuple) else [value, value]
    if len(ends) != 2 or not all(isinstance(end, int | float) and 0 < _refuse_boolean(end) < 1 for end in ends):
        raise ValueError("neither a share nor a range of two")
    if ends[0] > ends[1]:
        raise ValueError("the range ends before it begins")
    return tuple(ends)


class Saving(_Record):
    """What it costs to keep a customer from leaving, in the portfolio's currency, and how often that works.

    Parameters
    ----------
    contact_cost : float
        Money per customer contacted.
    offer_cost : float
        Money per offer that is taken up.
    acceptance : float, or two of them
        Share of would-be leavers who stay when offered it, above 0 and below 1: one number, or the ends of a range,
        which holds it with the portfolio's `interval` of probability.
    within_months : int
        Whoever would leave within so many months is to be saved.
    """

    contact_cost: Annotated[Number, Field(ge=0)]
    offer_cost: Annotated[Number, Field(ge=0)]
    acceptance: Annotated[tuple[float, float], BeforeValidator(_as_range)]
    within_months: Annotated[Count, Field(ge=1, le=12)] = 3


class TableSource(_Record):
    """Where one table of a unit is and how its columns map to the contract.

    Parameters
    ----------
    path : str, optional
        CSV (plain or ``.gz``) or Parquet file, relative to the source folder.
    table : str, optional
        Name of the table in the database, when the source is a connection URL.
    columns : dict of str to str
        Contract column to the name of a column of the source, or else to an SQL expression over its columns.
    filters : list of str
        SQL conditions over the source's columns; only rows that meet all of them are used.
    channels : dict of str to str
        For `media` with one column of spend per channel: channel to the name of its column.
    """

    path: Text | None = None
    table: Text | None = None
    columns: dict[str, Text] = {}
    filters: Annotated[list[Text], BeforeValidator(_as_list)] = []
    channels: dict[str, Text] = {}


class MediaSettings(_Record):
    """What is known about a unit's media: ``[units.NAME.media_mix]``.

    Parameters
    ----------
    follows_demand : list of str, optional
        Channels whose spend follows demand (search for the brand, retargeting), whatever their name; without it, those
        whose name or course says so.
    """

    follows_demand: Annotated[list[Text] | None, BeforeValidator(_as_list)] = None


class JourneySettings(_Record):
    """How a unit's touchpoints become journeys: ``[units.NAME.journeys]``.

    Parameters
    ----------
    lookback_days : float
        Touches older than this before a conversion do not count for it, and a silence longer than this ends a journey.
    session_minutes : float
        Touches of one channel that follow each other within so many minutes are one visit.
    half_life_days : float
        Age at which a touch counts half, under the rule of time decay.
    longest_journey : int
        Touches of a journey that are kept, the latest ones.
    most_channels : int
        Channels kept apart; the smallest ones beyond are counted together, and that is disclosed.
    direct : list of str
        Channels that stand for a visit without a campaign.
    carryover_days : int
        How long after a channel was withheld from customers their conversions are still compared.
    stages, purposes : dict of str to str
        Channel, or channel/content, to its stage and purpose; replaces the default of `cvmlib.attribution.stages`.
    """

    lookback_days: Annotated[Number, Field(gt=0, le=3650)] = 30.0
    session_minutes: Annotated[Number, Field(ge=0, le=1440)] = 30.0
    half_life_days: Annotated[Number, Field(gt=0, le=3650)] = 7.0
    longest_journey: Annotated[Count, Field(ge=1, le=1000)] = 100
    most_channels: Annotated[Count, Field(ge=2, le=200)] = 60
    direct: Annotated[list[Text], BeforeValidator(_as_list)] = ["direct"]
    carryover_days: Annotated[Count, Field(ge=0, le=365)] = 14
    stages: dict[str, Literal["discover", "explore", "engage", "buy"]] = {}
    purposes: dict[str, Literal["educate", "engage"]] = {}


class Retention(_Record):
    """What may drive leaving in a contractual unit, and what its records tell: ``[units.NAME.retention]``.

    Parameters
    ----------
    covariates : list of str
        Columns of `subscriptions` or `customers`, known before the time at risk begins.
    cuts : dict of str to list of float
        Where the range of a numeric covariate is cut; otherwise at its quartiles.
    measured_on : dict of str to str
        Column with the date on which a covariate was measured.
    records_from : datetime.date, optional
        First day whose leavers are all recorded; otherwise judged by the data. Who joined earlier is at risk from it.
    renewal_months : int
        Months between renewals, at which more may leave; 0 for none.
    """

    covariates: Annotated[list[Text], BeforeValidator(_as_list)] = []
    cuts: dict[str, Annotated[list[Number], Field(min_length=1)]] = {}
    measured_on: dict[str, Text] = {}
    records_from: datetime.date | None = None
    renewal_months: Annotated[Count, Field(ge=0, le=60)] = 12


class BusinessUnit(_Record):
    """One business unit of the portfolio.

    Parameters
    ----------
    name : str
        Key of the unit: its folder in reports and the index of its row in every table.
    label : str
        Name for people.
    setting : {"noncontractual", "contractual"}
        Whether customers leave silently (shops) or end a contract (subscriptions).
    margin : float
        Share of the value that is margin, above 0 and at most 1.
    costs : Costs
        What serving a customer costs.
    retention : Retention
        What may drive leaving, in a contractual unit.
    saving : Saving, optional
        What keeping a customer costs; without it nobody is listed to be saved.
    tables : dict of str to TableSource
        Tables by contract name.
    source : str, optional
        Folder or Ibis connection URL that replaces the portfolio's for this unit.
    pool : str, optional
        Name of the group of units that borrow strength from each other; units without one form a group together.
    covariates : list of str
        Columns of `customers` by which purchase rates and dropout may differ, in a noncontractual unit.
    journeys : JourneySettings
        How its touchpoints become journeys.
    media_mix : MediaSettings
        What is known about its media.
    """

    name: str
    label: Text
    setting: Literal["noncontractual", "contractual"]
    margin: Annotated[Number, Field(gt=0, le=1)]
    costs: Costs = Costs()
    saving: Saving | None = None
    retention: Retention = Retention()
    tables: dict[str, TableSource]
    source: Text | None = None
    pool: str = ""
    covariates: Annotated[list[Text], BeforeValidator(_as_list)] = []
    journeys: JourneySettings = JourneySettings()
    media_mix: MediaSettings = MediaSettings()


class Sampling(_Record):
    """How posteriors are sampled: draws kept and tuning steps per chain, the number of chains, or only a quick look.

    The quick look is an approximation around the mode; where that cannot be trusted, the forecast is withheld.
    """

    draws: Annotated[Count, Field(ge=1)] = 1000
    tune: Annotated[Count, Field(ge=1)] = 1000
    chains: Annotated[Count, Field(ge=1, le=16)] = 4
    quick: bool = False


class DemoSettings(_Record):
    """Size, seed and length of history (years) of the simulated demo company; scale 1 is its usual size."""

    scale: Annotated[Number, Field(gt=0)] = 1.0
    seed: Annotated[Count, Field(ge=0)] = 1
    years: Annotated[Count, Field(ge=1, le=20)] = 3


class PortfolioSettings(_Record):
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
    purchase_models: Annotated[list[PurchaseModel], Field(min_length=1), BeforeValidator(_as_list)] = list(
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
    def reports_dir(self) -> Path:
        """Folder of the rendered reports."""
        reports = self.root / "reports"
        return reports if self.path.name == DEFAULT_FILE else reports / self.slug


class PortfolioFile(_Record):
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
