"""Collect problems while a table is checked: counts become sentences, first rows are fetched where there are any."""

import re
from dataclasses import dataclass, field
from typing import Any

import ibis.expr.types as ir

from cvmlib.tables.mapping import RAW, Mapping
from cvmlib.tables.problems import Problem, count_words, plain

SHOWN = 3
_VERBS = {
    "{rows} have": "{rows} has",
    "{rows} are": "{rows} is",
    **{f"{{rows}} {verb}": f"{{rows}} {verb}s" for verb in ("hold", "repeat", "fall", "begin", "start", "end")},
}
_SINGULAR = re.compile("|".join(re.escape(words) for words in _VERBS))


@dataclass
class Findings:
    """The problems of one table while it is being checked.

    Parameters
    ----------
    unit, table : str
        Business unit and contract name.
    currency : str
        Currency of the portfolio.
    mapping : Mapping
        The table and what lies behind its values.
    rows : int
        Rows supplied.
    """

    unit: str
    table: str
    currency: str
    mapping: Mapping
    rows: int = 0
    problems: list[Problem] = field(default_factory=list)

    def money(self, amount: float) -> str:
        """Return an amount with the currency, such as ``1,204 EUR``."""
        digits = 0 if abs(amount) >= 100 else 2
        return f"{amount:,.{digits}f} {self.currency}"

    def share_words(self, rows: int) -> str:
        """Return a share of the supplied rows in percent."""
        percent = 100 * rows / self.rows if self.rows else 0.0
        return "under 0.1 %" if 0 < percent < 0.1 else f"{percent:.1f} %"

    def add(
        self,
        kind: str,
        column: str,
        message: str,
        treatment: str,
        *,
        rows: int = 0,
        money: float | None = None,
        where: ir.BooleanValue | None = None,
        among: ir.Table | None = None,
        fatal: bool = False,
        blocks: tuple[str, ...] = (),
    ) -> None:
        """Record a problem; with `where`, its first rows are fetched.

        The condition is over `among`, by default the rows that pass the filters. The `message` may hold ``{rows}``,
        which becomes the count with its share and money.
        """
        if rows == 1:
            message = _SINGULAR.sub(lambda verb: _VERBS[verb[0]], message, count=1)
        words = f"{count_words(rows, 'row')} ({self.share_words(rows)}"
        words += f", {self.money(money)})" if money is not None else ")"
        self.problems.append(
            Problem(
                self.unit,
                self.table,
                column,
                kind,
                fatal,
                message.replace("{rows}", words),
                treatment,
                rows,
                money,
                rows / self.rows if rows and self.rows else None,
                [] if where is None else self.first_rows(where, among),
                blocks,
            )
        )

    def first_rows(self, where: ir.BooleanValue, among: ir.Table | None = None) -> list[dict[str, Any]]:
        """Return the first rows that meet a condition, as supplied, in contract columns."""
        table = self.mapping.passing if among is None else among
        shown = {name: table[_supplied(table, name)] for name in self.mapping.columns[:6]}
        return as_rows(table.filter(where).select(**shown).limit(SHOWN))


def _supplied(table: ir.Table, name: str) -> str:
    return f"{name}{RAW}" if f"{name}{RAW}" in table.columns else name


def as_rows(table: ir.Table) -> list[dict[str, Any]]:
    """Return the rows of a small table as dictionaries that JSON can hold."""
    return [{name: plain(value) for name, value in row.items()} for row in table.to_pyarrow().to_pylist()]
