"""Covariates of customers: from columns of the ``customers`` table to levels, and to patterns of levels.

Customers of one pattern are a group of the purchase model, so a covariate must have few levels and must not change with
time. A column of text keeps its values as levels; those of less than 1% of the customers become one, `OTHER`. A column
of numbers with more than six values is cut at its quartiles. Whoever has no value is of a level of his own, `MISSING`.
A column that is left with one level is dropped with a notice. All of it runs where the tables live.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import ibis
import ibis.expr.types as ir

from cvmlib.errors import DataError
from cvmlib.portfolio_mistakes import nearest
from cvmlib.tables.texts import strip

MISSING, OTHER = "(not known)", "(other)"
#: Between the levels of a pattern; a level does not contain its dot.
SEPARATOR = " · "

RARE = 0.01  # share of the customers below which a text is not a level of its own
QUARTILES = (0.25, 0.5, 0.75)
_FEW = 6  # a column of so many numbers, or fewer, has them as levels
_MOST_TEXTS, _MOST_PATTERNS = 500, 1000


@dataclass(frozen=True)
class Covariate:
    """One covariate: the column, and how its values become levels.

    Parameters
    ----------
    column : str
        Column of the ``customers`` table.
    levels : tuple of str
        Its levels, in order; `OTHER` and `MISSING` are last.
    numbers : tuple of float
        Of a column of numbers: those that are levels, or (with `cut`) the last number of every level but the highest.
    cut : bool
        Whether a column of numbers is cut at `numbers`.
    """

    column: str
    levels: tuple[str, ...]
    numbers: tuple[float, ...] = ()
    cut: bool = False


@dataclass(frozen=True)
class Covariates:
    """The covariates of one unit that tell customers apart, and what was left out, in sentences."""

    used: tuple[Covariate, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns, in the order of the levels of a pattern."""
        return tuple(covariate.column for covariate in self.used)

    def as_dict(self) -> dict[str, Any]:
        """Return it in a form that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Return what `as_dict` was made of."""
        used = [{name: tuple(v) if isinstance(v, list) else v for name, v in one.items()} for one in saved["used"]]
        return cls(tuple(Covariate(**one) for one in used), tuple(saved["notices"]))


def find_covariates(customers: ir.Table, known: ir.Table, columns: Sequence[str], unit: str) -> Covariates:
    """Find the levels of covariates among the customers of a unit.

    Parameters
    ----------
    customers : ibis Table
        One row per customer: ``customer_id``.
    known : ibis Table
        The cleaned ``customers`` table, one row per ``customer_id``.
    columns : sequence of str
        Columns of `known` that are covariates.
    unit : str
        Name of the unit, for messages.

    Raises
    ------
    DataError
        A column does not exist, holds dates, or has hundreds of values; or there are a thousand patterns and more.
    """
    _require_columns(known, columns, unit)
    table = customers.select("customer_id").left_join(known.select("customer_id", *columns), "customer_id")
    found = [_find_levels(table, column, unit) for column in columns]
    used = tuple(covariate for covariate in found if len(covariate.levels) > 1)
    notices = tuple(
        f"{_place(unit, one.column)} has one level only, {' '.join(one.levels) or MISSING}: it tells customers not "
        "apart, and the models leave it out."
        for one in found
        if len(one.levels) < 2
    )
    covariates = Covariates(used, notices)
    _require_few_patterns(assign_patterns(customers, known, covariates), covariates, unit)
    return covariates


def assign_patterns(customers: ir.Table, known: ir.Table, covariates: Covariates) -> ir.Table:
    """Add ``pattern``, the customer's levels in the order of the covariates (``search · 30-44``).

    Parameters
    ----------
    customers : ibis Table
        One row per customer, with ``customer_id``.
    known : ibis Table
        The cleaned ``customers`` table; who is not in it is of level `MISSING`.
    covariates : Covariates
        Of the unit; without any, the pattern is empty.
    """
    if not covariates.used:
        return customers.mutate(pattern=ibis.literal(""))
    levels = [_level(known, covariate) for covariate in covariates.used]
    absent = SEPARATOR.join(MISSING for _ in levels)
    pattern = levels[0]
    for level in levels[1:]:
        pattern = pattern + SEPARATOR + level
    labelled = known.select(pattern_of="customer_id", pattern=pattern)
    joined = customers.left_join(labelled, customers.customer_id == labelled.pattern_of).drop("pattern_of")
    return joined.mutate(pattern=joined.pattern.fill_null(absent))


def read_pattern(pattern: str) -> tuple[str, ...]:
    """Return the levels of a pattern; none of the empty one."""
    return tuple(pattern.split(SEPARATOR)) if pattern else ()


def _place(unit: str, column: str) -> str:
    return f"Covariate {column!r} of unit {unit}"


def _require_columns(known: ir.Table, columns: Sequence[str], unit: str) -> None:
    for column in columns:
        if column not in known.columns:
            others = [name for name in known.columns if name != "customer_id"]
            near = nearest(column, others)
            hint = f" Did you mean {near!r}?" if near else ""
            raise DataError(
                f"{_place(unit, column)} is no column of its table customers.{hint} There are: {', '.join(others)}. "
                f"Name columns of that table in units.{unit}.covariates."
            )
        if known[column].type().is_temporal():
            raise DataError(
                f"{_place(unit, column)} holds dates; expected text or numbers that do not change with time. Take it "
                f"out of units.{unit}.covariates, or map an expression of it, such as a year, to a column of its own."
            )


def _require_few_patterns(customers: ir.Table, covariates: Covariates, unit: str) -> None:
    patterns, people = customers.agg(n=customers.pattern.nunique(), all=customers.count()).execute().iloc[0]
    if patterns > _MOST_PATTERNS:
        raise DataError(
            f"The covariates {', '.join(covariates.columns)} of unit {unit} have {patterns:,} patterns among its "
            f"{people:,} customers; at most {_MOST_PATTERNS:,} can be fitted. Name fewer columns in "
            f"units.{unit}.covariates."
        )


def _find_levels(table: ir.Table, column: str, unit: str) -> Covariate:
    value = _value(table, column)
    counted = table.select(value=value).group_by("value").agg(customers=lambda t: t.count())
    if value.type().is_numeric():
        return _find_numbers(counted, column)
    counts = counted.order_by(ibis.desc("customers"), "value").limit(_MOST_TEXTS + 2).execute()
    texts, missing = counts.dropna(subset="value"), counts["value"].isna().any()
    if len(texts) > _MOST_TEXTS:
        number = int(counted.count().execute())
        first = ", ".join(sorted(texts["value"].head(3)))
        raise DataError(
            f"{_place(unit, column)} has {number:,} different values (such as {first}); a covariate has at most "
            f"{_MOST_TEXTS}. Take it out of units.{unit}.covariates, or map a coarser grouping of it to a column."
        )
    people = int(counts["customers"].sum())
    common = texts.loc[(texts["customers"] >= RARE * people) & ~texts["value"].isin([OTHER, MISSING]), "value"]
    rare = [OTHER] if len(common) < len(texts) else []
    return Covariate(column, (*sorted(common), *rare, *([MISSING] if missing else [])))


def _find_numbers(counted: ir.Table, column: str) -> Covariate:
    """Levels of a column of numbers: its values where they are few, else from quartile to quartile.

    A cut point is the smallest value that at least the given share of the customers with a value do not exceed.
    """
    known = counted.filter(counted.value.notnull())
    total = known.customers.sum().execute()
    missing = (MISSING,) if counted.filter(counted.value.isnull()).count().execute() else ()
    few = known.order_by("value").limit(_FEW + 1).execute()["value"]
    if len(few) <= _FEW:
        numbers = tuple(float(v) for v in few)
        return Covariate(column, (*_name_numbers(numbers), *missing), numbers)
    up_to = known.mutate(share=known.customers.sum().over(ibis.window(order_by="value", following=0)) / float(total))
    firsts = up_to.agg(**{f"q{i}": up_to.value.min(where=up_to.share >= q) for i, q in enumerate(QUARTILES)})
    most = float(known.value.max().execute())
    cuts = tuple(sorted({float(v) for v in firsts.execute().iloc[0]} - {most}))
    names = _name_numbers(cuts)
    between = [f"above {low} to {high}" for low, high in zip(names, names[1:], strict=False)]
    levels = (f"up to {names[0]}", *between, f"above {names[-1]}") if cuts else (f"mostly {most:g}",)
    return Covariate(column, (*levels, *missing), cuts, cut=True)


def _name_numbers(numbers: Sequence[float]) -> list[str]:
    """Write numbers with as few digits, four or more, as tell them apart."""
    for digits in (4, 6, 9):
        names = [f"{v:.{digits}g}" if abs(v) < 1 or v % 1 else f"{v:.0f}" for v in numbers]
        if len(set(names)) == len(numbers):
            return names
    return [repr(v) for v in numbers]


def _value(table: ir.Table, column: str) -> ir.Value:
    """Value of a column as text or as a number; NULL where there is none."""
    value = table[column]
    if value.type().is_boolean():
        return ibis.cases((value, "yes"), (~value, "no"))
    if value.type().is_numeric():
        number = value.cast("float64")
        return ibis.ifelse(number.isnan() | number.isinf(), ibis.null("float64"), number)
    return strip(value.cast("string").replace(SEPARATOR.strip(), "-")).nullif("")


def _level(table: ir.Table, covariate: Covariate) -> ir.StringValue:
    value, numbers = _value(table, covariate.column), covariate.numbers
    if value.type().is_numeric():
        of_number = covariate.levels[: len(numbers) + 1]
        tests = [(value <= v if covariate.cut else value == v, of_number[i]) for i, v in enumerate(numbers)]
        highest = of_number[len(numbers)] if covariate.cut else OTHER
        return ibis.cases((value.isnull(), MISSING), *tests, else_=highest)
    kept = [level for level in covariate.levels if level not in (OTHER, MISSING)]
    return ibis.cases((value.isnull(), MISSING), (value.isin(kept), value), else_=OTHER)
