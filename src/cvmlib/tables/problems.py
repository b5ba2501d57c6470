"""What the checks found: one record per problem, one report per business unit, and its form for the terminal."""

import dataclasses
import datetime
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cvmlib.errors import DataError


@dataclass(frozen=True)
class Problem:
    """One thing the checks found in a table, and what is done about it.

    Parameters
    ----------
    unit, table : str
        Business unit and table (contract name).
    column : str
        Contract column; empty when the whole table is meant.
    kind : str
        Short name of the problem, such as ``missing_id``.
    fatal : bool
        Whether the unit cannot be used before it is put right.
    message : str
        One sentence: what was found.
    treatment : str
        One sentence: what is done about it, or what the user should do.
    rows : int
        Number of rows concerned; 0 when rows do not apply.
    money : float, optional
        Their money, in the portfolio's currency.
    share : float, optional
        Their share of the supplied rows, 0 to 1.
    first_rows : list of dict
        At most three of them, column to value as supplied.
    blocks : tuple of str
        What cannot be built because of it: names of tables that pages need, or ``"value"`` (no value model without
        repeat buyers) and ``"holdout"`` (no validation on held-out months). Empty for a fatal problem: it blocks all.
    """

    unit: str
    table: str
    column: str
    kind: str
    fatal: bool
    message: str
    treatment: str
    rows: int = 0
    money: float | None = None
    share: float | None = None
    first_rows: list[dict[str, Any]] = field(default_factory=list)
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """Everything the checks found in one business unit.

    Parameters
    ----------
    unit : str
        Name of the unit.
    end_of_observation : datetime.date or None
        The last day that counts: the portfolio's, or the last date in the data. None when there is no usable date.
    problems : list of Problem
        Fatal ones first.
    rows : dict of str to int
        Rows supplied per table that could be read.
    facts : dict of str to dict
        Per table: ``rows_used``, ``first`` and ``last`` (ISO dates), ``customers``; for transactions also ``bought``
        and ``returned`` (money) and ``repeat_customers``.
    """

    unit: str
    end_of_observation: datetime.date | None
    problems: list[Problem]
    rows: dict[str, int]
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def fatal(self) -> bool:
        """Whether any problem is fatal."""
        return any(problem.fatal for problem in self.problems)

    @property
    def blocked(self) -> frozenset[str]:
        """Everything that some problem blocks, see `Problem`."""
        return frozenset(name for problem in self.problems for name in problem.blocks)

    def raise_if_fatal(self) -> None:
        """Raise a `DataError` that lists all problems, the tolerable ones too, if any of them is fatal."""
        if self.fatal:
            raise DataError(format_report(self), self.problems)

    def to_frame(self) -> pd.DataFrame:
        """Return the problems as a data frame, one row each."""
        names = [f.name for f in dataclasses.fields(Problem)]
        return pd.DataFrame([{name: getattr(p, name) for name in names} for p in self.problems], columns=names)

    def to_json(self) -> str:
        """Return the report as JSON, to be read back with `from_json`."""
        data = dataclasses.asdict(self)
        data["end_of_observation"] = self.end_of_observation and self.end_of_observation.isoformat()
        return json.dumps(data, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "CheckReport":
        """Return the report that `to_json` wrote."""
        data = json.loads(text)
        end = data["end_of_observation"]
        data["end_of_observation"] = datetime.date.fromisoformat(end) if end else None
        data["problems"] = [Problem(**{**p, "blocks": tuple(p["blocks"])}) for p in data["problems"]]
        return cls(**data)


def plain(value: Any) -> Any:
    """Return a value of a row as JSON can hold it: numbers, text or None; times as ISO text."""
    if isinstance(value, str | bool | int):
        return value
    if value is None:
        return None
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ") if value.time() != datetime.time() else value.date().isoformat()
    return str(value)


def count_words(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``1 row`` or ``1,204 rows``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_report(report: CheckReport) -> str:
    """Return a check report as plain text for the terminal.

    Parameters
    ----------
    report : CheckReport
        What `cvmlib.tables.checks.check_unit` returned.

    Returns
    -------
    str
        A headline, then fatal problems, then tolerable ones; each with its first rows and its treatment.
    """
    fatal = [p for p in report.problems if p.fatal]
    tolerable = [p for p in report.problems if not p.fatal]
    rows = ", ".join(f"{count_words(n, 'row')} of {table}" for table, n in report.rows.items()) or "no table readable"
    state = f"{len(fatal)} to put right first" if fatal else "usable"
    end = f"; observed until {report.end_of_observation}" if report.end_of_observation else ""
    lines = [f"{report.unit}: {state}. {rows}{end}."]
    if not report.problems:
        lines.append("  Nothing found.")
    for title, problems in (("To put right before anything is built:", fatal), ("Handled, and disclosed:", tolerable)):
        if problems:
            lines.append(f"  {title}")
            lines += [line for problem in problems for line in _problem_lines(problem)]
    return "\n".join(lines)


def _problem_lines(problem: Problem) -> Iterable[str]:
    where = f"{problem.table}.{problem.column}" if problem.column else problem.table
    yield f"  - {where}: {problem.message}"
    for row in problem.first_rows:
        yield "      " + ", ".join(f"{name} = {'(empty)' if v is None else v}" for name, v in row.items())
    yield f"    {'Remedy' if problem.fatal else 'Treatment'}: {problem.treatment}"
    if problem.blocks:
        yield f"    Not built because of it: {', '.join(problem.blocks)}."
