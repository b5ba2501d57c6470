"""From the user's columns to the contract's: renamed columns, SQL expressions and row filters, typed without loss.

Everything is one lazy Ibis expression. Expressions are written in DuckDB's SQL and transpiled to the dialect of the
engine. A value that cannot be read as the contract's type becomes NULL; its text stays beside it for the checks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cvmlib.business_unit import TableSource
from cvmlib.portfolio_mistakes import nearest
from cvmlib.tables.contracts import Column, Contract
from cvmlib.tables.problems import Problem
from cvmlib.tables.texts import is_float_text, strip
from cvmlib.tables.wide import lengthen

RAW = "__raw"
KEPT = "kept__"
SOURCE_ROW = "source_row"
"""Column of mapped transactions: a hash of every supplied column of the row, by which repeated rows are found."""

NO_NAME = ("nan", "null", "none", "n/a", "#n/a", "<na>", "undefined")
"""Texts that exports write for a customer id that is missing."""

OFFSET = r"[0-9]:[0-9]{2}[^+-]*([+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2}|Z)$"
"""The time zone at the end of a time of day, as a regular expression; its one group is the zone."""

# Ids that need a closer look; one cheap test, since the others are the rule.
_UNTIDY = r"^\s|\s$|^$|\.0$|^(?i:nan|null|none|n/a|#n/a|<na>|undefined)$"
_ROW_HASH = {"duckdb": "hash", "pyspark": "xxhash64", "databricks": "xxhash64", "snowflake": "hash"}
_SAMPLE = 10_000


@dataclass
class Mapping:
    """A supplied table seen through its contract.

    Parameters
    ----------
    table : ibis Table or None
        Every supplied row with the contract's columns, ``NAME__raw`` (the text behind a parsed value) where there is
        one, and ``kept__0``, ``kept__1`` … (whether the row passes each filter). None when a fault prevents it.
    filters : list of str
        The row filters as written.
    columns : list of str
        Contract columns (and covariates) found.
    float_ids : list of str
        Text columns that were supplied as floating-point numbers.
    faults : list of Problem
        What prevents the mapping.
    """

    table: ir.Table | None = None
    filters: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    float_ids: list[str] = field(default_factory=list)
    faults: list[Problem] = field(default_factory=list)

    @property
    def passing(self) -> ir.Table:
        """The rows that pass all filters, with every column of `table`."""
        keep = [self.table[f"{KEPT}{i}"] for i in range(len(self.filters))]
        return self.table.filter(keep) if keep else self.table

    @property
    def kept(self) -> ir.Table:
        """The rows that pass all filters, in contract columns only (and ``source_row``)."""
        extra = [SOURCE_ROW] if SOURCE_ROW in self.table.columns else []
        return self.passing.select(*self.columns, *extra)


@dataclass
class _Mapper:
    """State of one mapping while it is worked out."""

    raw: ir.Table
    spec: TableSource
    contract: Contract
    unit: str
    text_file: bool
    faults: list[Problem] = field(default_factory=list)

    def fault(self, column: str, kind: str, message: str, remedy: str) -> None:
        self.faults.append(Problem(self.unit, self.contract.name, column, kind, True, message, remedy))

    @property
    def at(self) -> str:
        return f"units.{self.unit}.tables.{self.contract.name}"


def map_table(raw: ir.Table, spec: TableSource, contract: Contract, unit: str, text_file: bool = False) -> Mapping:
    """Map a supplied table to its contract.

    Parameters
    ----------
    raw : ibis Table
        The table as supplied.
    spec : TableSource
        Its mapping: for each contract column the name of a supplied column, or an SQL expression. A contract column
        that is not mapped takes the supplied column of the same name, letter case aside.
    contract : Contract
        What the table should hold.
    unit : str
        Name of the unit, for messages.
    text_file : bool
        Whether every column is text (CSV). Then columns that hold numbers act as numbers inside expressions.

    Returns
    -------
    Mapping
        With `faults` instead of a table when columns are missing or expressions cannot be understood.
    """
    mapper = _Mapper(raw, spec, contract, unit, text_file)
    mapper.raw, absent = lengthen(raw, spec.channels, _find)
    for channel, text in absent.items():
        _unknown_columns(mapper, "spend", f"{mapper.at}.channels.{channel}", text, [text])
    numeric = _numeric_columns(mapper.raw) if text_file and _needs_sniffing(mapper) else frozenset()
    expressions = {name: _parse_column(mapper, name, numeric) for name in _wanted(mapper)}
    expressions |= {f"{KEPT}{i}": _parse_filter(mapper, i, numeric) for i in range(len(spec.filters))}
    found = {name: e for name, e in expressions.items() if e is not None}
    view = None if mapper.faults else _evaluate(mapper, found)
    mapping = Mapping(filters=list(spec.filters))
    if view is not None:
        _type_columns(mapper, mapping, view, found, numeric)
    mapping.faults = mapper.faults
    return mapping


def _wanted(mapper: _Mapper) -> Iterator[str]:
    yield from mapper.contract.names
    if mapper.contract.open:
        yield from (name for name in mapper.spec.columns if name not in mapper.contract.column_by_name)


def _needs_sniffing(mapper: _Mapper) -> bool:
    return mapper.contract.open or bool(mapper.spec.filters) or any(
        _find(mapper.raw, text) is None for text in mapper.spec.columns.values()
    )  # fmt: skip


def _find(raw: ir.Table, name: str) -> str | None:
    """Return the supplied column of that name, exactly or else with another letter case."""
    if name in raw.columns:
        return name
    return next((column for column in raw.columns if column.strip().lower() == name.strip().lower()), None)


def _numeric_columns(raw: ir.Table) -> frozenset[str]:
    """Return the text columns whose values are numbers, judged by the first rows (nine of ten must be)."""
    sample = raw.limit(_SAMPLE)
    texts = [name for name, kind in raw.schema().items() if kind.is_string()]
    measures = {}
    for i, name in enumerate(texts):
        text = strip(sample[name])
        measures[f"filled{i}"] = (text != "").sum()
        measures[f"numbers{i}"] = text.try_cast("float64").notnull().sum()
    counts = sample.agg(**measures).execute().fillna(0).iloc[0] if texts else {}
    return frozenset(n for i, n in enumerate(texts) if 0 < counts[f"filled{i}"] * 0.9 <= counts[f"numbers{i}"])


def _parse_column(mapper: _Mapper, name: str, numeric: frozenset[str]) -> exp.Expression | None:
    text = mapper.spec.columns.get(name)
    found = _find(mapper.raw, name if text is None else text)
    if found is not None:
        return exp.column(exp.to_identifier(found, quoted=True))
    column = mapper.contract.column_by_name.get(name)
    if text is not None:
        return _parse(mapper, name, f"{mapper.at}.columns.{name}", text, numeric)
    if column is not None and column.required:
        near = nearest(name, mapper.raw.columns)
        mapper.fault(
            name,
            "column_missing",
            f"the required column {name} ({column.meaning.rstrip('.').lower()}) is neither mapped nor among the "
            f"supplied columns: {_list(mapper.raw.columns)}",
            f'map it in the portfolio file, [{mapper.at}] columns = {{ {name} = "{near or "YOUR COLUMN"}" }}.',
        )
    return None


def _parse_filter(mapper: _Mapper, i: int, numeric: frozenset[str]) -> exp.Expression | None:
    return _parse(mapper, "", f"{mapper.at}.filters", mapper.spec.filters[i], numeric)


def _parse(mapper: _Mapper, column: str, key: str, text: str, numeric: frozenset[str]) -> exp.Expression | None:
    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except SqlglotError as error:
        if all(part.isidentifier() for part in text.split()):
            return _unknown_columns(mapper, column, key, text, [text])
        reason = str(error).splitlines()[0]
        mapper.fault(
            column, "expression", f'{key} = "{text}" is no SQL expression: {reason}', "correct the expression."
        )
        return None
    bare = isinstance(tree, exp.Alias | exp.Column) and _find(mapper.raw, text) is None
    if bare and all(part.isidentifier() for part in text.split()):
        return _unknown_columns(mapper, column, key, text, [text])
    if isinstance(tree, exp.Query | exp.DDL | exp.Block | exp.Command | exp.Alias) or not isinstance(
        tree, exp.Condition
    ):
        mapper.fault(
            column, "expression", f'{key} = "{text}" is a statement', "write one SQL expression over the columns."
        )
        return None
    if any(not isinstance(a.parent, exp.Window) for a in tree.find_all(exp.AggFunc)):
        mapper.fault(
            column,
            "expression",
            f'{key} = "{text}" aggregates over rows; a mapping gives one value per row',
            "write an expression without sum, count, max and the like.",
        )
        return None
    missing = [c.name for c in tree.find_all(exp.Column) if _find(mapper.raw, c.name) is None]
    if missing:
        return _unknown_columns(mapper, column, key, text, missing)
    return tree.transform(lambda node: _bind(mapper, node, numeric))


def _bind(mapper: _Mapper, node: exp.Expression, numeric: frozenset[str]) -> exp.Expression:
    if not isinstance(node, exp.Column):
        return node
    name = _find(mapper.raw, node.name)
    bound = exp.column(exp.to_identifier(name, quoted=True))
    return exp.TryCast(this=bound, to=exp.DataType.build("double")) if name in numeric else bound


def _unknown_columns(mapper: _Mapper, column: str, key: str, text: str, missing: list[str]) -> None:
    names = list(dict.fromkeys(missing))
    near = [found for found in (nearest(name, mapper.raw.columns) for name in names) if found]
    hint = f"did you mean {' and '.join(near)}? Otherwise correct" if near else "correct"
    mapper.fault(
        column,
        "unknown_column",
        f'{key} = "{text}" refers to {_list(names)}, which the table does not have; its columns are '
        f"{_list(mapper.raw.columns)}",
        f"{hint} the mapping in the portfolio file.",
    )


def _list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:25]) + (f" and {len(names) - 25} more" if len(names) > 25 else "")


def _evaluate(mapper: _Mapper, expressions: dict[str, exp.Expression]) -> ir.Table | None:
    """Add the value of every expression to the supplied columns, as ``expr__NAME``; on an error find the culprits."""
    try:
        return _select(mapper, expressions)
    except Exception as whole:  # engines raise errors of their own; a culprit is found one expression at a time
        for name, tree in expressions.items():
            _try_alone(mapper, name, tree)
        if not mapper.faults:
            mapper.fault("", "expression", f"the mapping cannot be evaluated: {first_line(whole)}", "correct it.")
        return None


def _try_alone(mapper: _Mapper, name: str, tree: exp.Expression) -> None:
    try:
        _select(mapper, {name: tree})
    except Exception as error:
        is_filter = name.startswith(KEPT)
        text = mapper.spec.filters[int(name.removeprefix(KEPT))] if is_filter else mapper.spec.columns.get(name, name)
        key = f"{mapper.at}.filters" if is_filter else f"{mapper.at}.columns.{name}"
        mapper.fault(
            "" if is_filter else name,
            "expression",
            f'{key} = "{text}" cannot be evaluated: {first_line(error)}',
            "correct the expression; every column of a CSV file that is not all numbers is text.",
        )


def _select(mapper: _Mapper, expressions: dict[str, exp.Expression]) -> ir.Table:
    name = f"source_{mapper.unit}_{mapper.contract.name}"
    backend = mapper.raw.get_backend().name
    picked = [exp.Star(), *(exp.alias_(e, f"expr__{n}", quoted=True) for n, e in expressions.items())]
    if mapper.contract.name == "transactions" and backend in _ROW_HASH:
        columns = [exp.column(exp.to_identifier(c, quoted=True)) for c in mapper.raw.columns]
        picked.append(exp.alias_(exp.func(_ROW_HASH[backend], *columns), f"expr__{SOURCE_ROW}", quoted=True))
    query = exp.select(*picked).from_(exp.to_identifier(name, quoted=True)).sql(dialect="duckdb")
    return mapper.raw.alias(name).sql(query, dialect="duckdb")


def first_line(error: Exception) -> str:
    """Return the first line of an engine's message, which says what it stumbled over."""
    return str(error).strip().splitlines()[0].strip() if str(error).strip() else type(error).__name__


def _type_columns(
    mapper: _Mapper,
    mapping: Mapping,
    view: ir.Table,
    expressions: dict[str, exp.Expression],
    numeric: frozenset[str],
) -> None:
    """Cast every expression to its contract type, keep the text behind parsed values, and add covariates."""
    columns: dict[str, ir.Value] = {}
    for name in expressions:
        value = view[f"expr__{name}"]
        if name.startswith(KEPT):
            columns |= _filter_column(mapper, name, value)
            continue
        mapping.columns.append(name)
        column = mapper.contract.column_by_name.get(name)
        columns |= {name: value} if column is None else _typed(mapper, mapping, column, value)
    if mapper.contract.open and mapper.contract.key and not mapper.contract.named:
        used = {tree.name for tree in expressions.values() if isinstance(tree, exp.Column)}
        for name in mapper.raw.columns:
            if name not in used and name not in columns:
                mapping.columns.append(name)
                columns[name] = strip(view[name]).try_cast("float64") if name in numeric else view[name]
    if f"expr__{SOURCE_ROW}" in view.columns:
        columns[SOURCE_ROW] = view[f"expr__{SOURCE_ROW}"]
    if not mapper.faults:
        mapping.table = view.select(**columns)


def _filter_column(mapper: _Mapper, name: str, value: ir.Value) -> dict[str, ir.Value]:
    if not value.type().is_boolean():
        text = mapper.spec.filters[int(name.removeprefix(KEPT))]
        mapper.fault(
            "",
            "filter",
            f'{mapper.at}.filters = "{text}" is no condition: it gives {_words(value.type())}',
            'write a condition such as "Quantity > 0".',
        )
        return {}
    return {name: value.fill_null(False)}


def _typed(mapper: _Mapper, mapping: Mapping, column: Column, value: ir.Value) -> dict[str, ir.Value]:
    kind = value.type()
    if column.type == "text":
        return _as_text(mapping, column.name, value)
    suits = kind.is_numeric() if column.type == "number" else kind.is_temporal() and not kind.is_time()
    target = "float64" if column.type == "number" else "timestamp"
    if suits:
        return {column.name: value.cast(target)}
    if kind.is_null():
        return {column.name: ibis.null(target)}
    if kind.is_string():
        text = strip(value).nullif("")
        parsed = _parse_time(text) if column.type == "time" else text.try_cast(target)
        return {column.name: parsed, f"{column.name}{RAW}": text}
    wanted = "a number" if column.type == "number" else "a date"
    example = "strptime(CAST(day AS VARCHAR), '%Y%m%d')" if column.type == "time" else "CAST(amount AS DOUBLE)"
    mapper.fault(
        column.name,
        "type",
        f"{column.name} should be {wanted}, but the table holds {_words(kind)}",
        f'map it with an SQL expression, for instance {column.name} = "{example}".',
    )
    return {}


def _parse_time(text: ir.StringValue) -> ir.TimestampValue:
    """Read ISO dates and times; one that names a time zone is converted to UTC."""
    zoned = text.try_cast(dt.Timestamp(timezone="UTC")).cast("timestamp")
    return ibis.ifelse(text.re_search(OFFSET), zoned, text.try_cast("timestamp"))


def _as_text(mapping: Mapping, name: str, value: ir.Value) -> dict[str, ir.Value]:
    kind = value.type()
    if kind.is_floating():
        mapping.float_ids.append(name)
        whole = ibis.ifelse(value == value.floor(), value.cast("int64").cast("string"), value.cast("string"))
        return {name: ibis.ifelse(value.isnan() | value.isinf(), ibis.null("string"), whole)}
    text = value.cast("string")
    if name not in ("customer_id", "referred_by"):
        return {name: strip(text).nullif("")}
    if not kind.is_string():
        return {name: text}
    return {name: ibis.ifelse(text.re_search(_UNTIDY), _tidy(text), text), f"{name}{RAW}": text}


def _tidy(text: ir.StringValue) -> ir.StringValue:
    """Strip space, make ``17850.0`` a whole number, and take the words that exports write for nothing as missing."""
    stripped = strip(text)
    whole = ibis.ifelse(is_float_text(stripped), stripped.substr(0, stripped.length() - 2), stripped)
    return ibis.ifelse((stripped == "") | stripped.lower().isin(NO_NAME), ibis.null("string"), whole)


def _words(kind: dt.DataType) -> str:
    if kind.is_boolean():
        return "true/false values"
    if kind.is_integer():
        return "whole numbers"
    if kind.is_numeric():
        return "numbers"
    return "dates or times" if kind.is_temporal() else "text" if kind.is_string() else f"values of type {kind}"
