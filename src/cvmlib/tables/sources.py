"""Where the tables are: connections, tables as supplied and as mapped, and a fingerprint of their content.

DuckDB, embedded, reads folders of CSV and Parquet files; any other engine is reached through its Ibis connection URL.
"""

import hashlib
import json
import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

import ibis
import ibis.expr.types as ir
from ibis.backends import BaseBackend

from cvmlib.business_unit import BusinessUnit, TableSource
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio
from cvmlib.portfolio_mistakes import nearest
from cvmlib.tables.contracts import CONTRACTS
from cvmlib.tables.files import find_delimiter, find_fault, hash_file
from cvmlib.tables.mapping import Mapping, first_line, map_table
from cvmlib.tables.problems import Problem

MEMORY = "1GB"
"""What embedded DuckDB may hold in memory before it spills to the build folder; CVM_MEMORY replaces it."""

_connections: dict[str, BaseBackend] = {}
_lock = threading.Lock()


def find_unit(portfolio: Portfolio, unit: str | BusinessUnit) -> BusinessUnit:
    """Return a business unit by name (or as it is)."""
    return portfolio.units[unit] if isinstance(unit, str) else unit


def source_of(portfolio: Portfolio, unit: str | BusinessUnit) -> str:
    """Return the source of a unit: an Ibis connection URL, or the absolute path of a folder."""
    source = find_unit(portfolio, unit).source or portfolio.source
    return source if "://" in source else str((portfolio.folder / Path(source).expanduser()).resolve())


def connect(portfolio: Portfolio, unit: str | BusinessUnit) -> BaseBackend:
    """Return the Ibis connection to a unit's tables; it is opened once and shared by all units of the same source.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str or BusinessUnit
        The unit.

    Returns
    -------
    ibis backend
        Embedded DuckDB for a folder, otherwise whatever the URL names.

    Raises
    ------
    DataError
        When the URL cannot be connected to.
    """
    source = source_of(portfolio, unit)
    key = source if "://" in source else "duckdb"
    with _lock:
        if key not in _connections:
            _connections[key] = _open(portfolio, source)
        return _connections[key]


def _open(portfolio: Portfolio, source: str) -> BaseBackend:
    con = _open_url(source) if "://" in source else _open_embedded(portfolio.build_dir / "spill")
    if con.name == "duckdb":
        con.raw_sql("SET TimeZone = 'UTC'")
        con.raw_sql("SET autoinstall_known_extensions = false")
    return con


def _open_embedded(spill: Path) -> BaseBackend:
    spill.parent.mkdir(parents=True, exist_ok=True)  # DuckDB makes the last folder only
    return ibis.duckdb.connect(temp_directory=str(spill), memory_limit=os.environ.get("CVM_MEMORY", MEMORY))


def _open_url(url: str) -> BaseBackend:
    try:
        return ibis.connect(url)
    except Exception as error:  # every engine raises errors of its own
        scheme, rest = url.split("://", 1)
        reason = first_line(error).replace(rest, "…").replace(urlsplit(url).password or rest, "…")
        raise DataError(
            f"portfolio.source: cannot connect to {scheme}://…: {reason}. Check that the URL is right, the server "
            f"runs, and the driver is installed (ibis-framework[{scheme}])."
        ) from None  # the cause may quote the password


def file_of(portfolio: Portfolio, unit: str | BusinessUnit, table: str) -> Path | None:
    """Return the absolute path of a table's file, or None for a table in a database."""
    spec = _spec(portfolio, unit, table)
    if spec.path is None:
        return None
    source = source_of(portfolio, unit)
    return (portfolio.folder if "://" in source else Path(source)) / Path(spec.path).expanduser()


def _spec(portfolio: Portfolio, unit: str | BusinessUnit, table: str) -> TableSource:
    unit = find_unit(portfolio, unit)
    if table not in unit.tables:
        raise DataError(
            f"{unit.name}: there is no table {table}; supply it in [units.{unit.name}.tables.{table}] of the portfolio "
            "file (data/README.md says what it must hold)."
        )
    return unit.tables[table]


def raw_table(portfolio: Portfolio, unit: str | BusinessUnit, table: str, con: BaseBackend | None = None) -> ir.Table:
    """Return a table as supplied, lazily; a CSV file has text columns only, so that no value is lost to guessed types.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str or BusinessUnit
        The unit.
    table : str
        Name of the contract, such as ``transactions``.
    con : ibis backend, optional
        Where to read it; by default `connect` decides.

    Returns
    -------
    ibis Table
        The supplied rows and columns.

    Raises
    ------
    DataError
        When the table is missing or cannot be read; `problems` holds one fatal problem.
    """
    unit = find_unit(portfolio, unit)
    spec = _spec(portfolio, unit, table)
    con = con or connect(portfolio, unit)
    path = file_of(portfolio, unit, table)
    try:
        if path is None:
            return con.table(spec.table)
        if fault := find_fault(path):
            raise _unusable(unit, table, fault.kind, fault.message, fault.remedy)
        return _read_csv(con, path) if is_text_file(path) else con.read_parquet(str(path), table_name=_view(path))
    except DataError:
        raise
    except Exception as error:  # engines raise errors of their own
        if path is None:
            raise _unusable(unit, table, "missing", *_absent_table(con, unit, table, error)) from error
        raise _unusable(
            unit, table, "unreadable", f"cannot read {path.name}: {_reason(error)}", "export the table again."
        ) from error


def _absent_table(con: BaseBackend, unit: BusinessUnit, table: str, error: Exception) -> tuple[str, str]:
    """Return what is wrong with a table that the database does not give, and the remedy."""
    wanted, names = unit.tables[table].table, sorted(con.list_tables())
    near = nearest(wanted, names)
    there = f"; the database holds {', '.join(names[:25])}" if names else ""
    hint = f"did you mean {near}? Otherwise correct" if near else "correct"
    message = f"cannot read table {wanted} ({first_line(error)}){there}"
    return message, f"{hint} table in [units.{unit.name}.tables.{table}]."


def is_text_file(path: Path | None) -> bool:
    """Whether a table file is CSV, so that all its columns are read as text."""
    return path is not None and not path.name.lower().endswith(".parquet")


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:3])


def _view(path: Path) -> str:
    return f"file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"


def _read_csv(con: BaseBackend, path: Path) -> ir.Table:
    delimiter, name = find_delimiter(path), _view(path)
    if con.name == "duckdb":
        return con.read_csv(
            str(path), table_name=name, all_varchar=True, header=True, delim=delimiter, quote='"', escape='"'
        )
    if con.name == "pyspark":
        options = {"sep": delimiter, "quote": '"', "escape": '"', "multiLine": True, "mode": "FAILFAST"}
        return con.read_csv(str(path), table_name=name, header=True, inferSchema=False, **options)
    return con.read_csv(str(path), table_name=name)


def _unusable(unit: BusinessUnit, table: str, kind: str, message: str, remedy: str) -> DataError:
    problem = Problem(unit.name, table, "", kind, True, message + ".", remedy)
    return DataError(f"{unit.name}, {table}: {message}. Remedy: {remedy}", [problem])


def map_unit_table(
    portfolio: Portfolio, unit: str | BusinessUnit, table: str, con: BaseBackend | None = None
) -> Mapping:
    """Return a table seen through its contract, with what the checks need beside it (see `Mapping`)."""
    unit = find_unit(portfolio, unit)
    raw = raw_table(portfolio, unit, table, con)
    text_file = is_text_file(file_of(portfolio, unit, table))
    return map_table(raw, unit.tables[table], CONTRACTS[table], unit.name, text_file)


def mapped_table(
    portfolio: Portfolio, unit: str | BusinessUnit, table: str, con: BaseBackend | None = None
) -> ir.Table:
    """Return a table in its contract's columns and types, row filters applied, lazily.

    Values that cannot be read as their type are NULL; `cvmlib.tables.checks` reports them and
    `cvmlib.tables.cleaning` drops them. Transactions carry one column more, ``source_row``, see `clean_transactions`.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str or BusinessUnit
        The unit.
    table : str
        Name of the contract, such as ``transactions``.
    con : ibis backend, optional
        Where to read it; by default `connect` decides.

    Returns
    -------
    ibis Table
        Text as string, time as timestamp (UTC when the supplied one has a zone), numbers as float64; optional columns
        only where supplied; for ``customers`` any further column as a covariate.

    Raises
    ------
    DataError
        When the table cannot be read or mapped; it lists every fault.
    """
    mapping = map_unit_table(portfolio, unit, table, con)
    if mapping.faults:
        lines = [f"{p.unit}, {p.table}: {p.message}. Remedy: {p.treatment}" for p in mapping.faults]
        raise DataError("\n".join(lines), mapping.faults)
    return mapping.kept


def source_fingerprint(portfolio: Portfolio, unit: str | BusinessUnit) -> str:
    """Return a hash of the content of a unit's tables: equal content, equal fingerprint.

    It says nothing of the mapping or the settings; whoever stamps a result adds those. The hash of a file is remembered
    in the build folder until its size or time of change differs. A table in a database is hashed by its engine.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str or BusinessUnit
        The unit.

    Returns
    -------
    str
        64 hexadecimal digits. A missing table counts as missing, and is no error here.
    """
    unit = find_unit(portfolio, unit)
    digest = hashlib.sha256()
    for table in sorted(unit.tables):
        path = file_of(portfolio, unit, table)
        content = _database_content(portfolio, unit, table) if path is None else _file_content(portfolio, path)
        digest.update(f"{table}={content}\n".encode())
    return digest.hexdigest()


def _file_content(portfolio: Portfolio, path: Path) -> str:
    if not path.is_file():
        return "missing"
    state = path.stat()
    key = hashlib.sha256(f"{path.resolve()}|{state.st_mtime_ns}|{state.st_size}".encode()).hexdigest()
    memory = portfolio.build_dir / "hashes" / key
    if memory.is_file():
        return memory.read_text(encoding="ascii")
    content = hash_file(path)
    memory.parent.mkdir(parents=True, exist_ok=True)
    partial = memory.with_suffix(f".{threading.get_ident()}")
    partial.write_text(content, encoding="ascii")
    partial.replace(memory)
    return content


def _database_content(portfolio: Portfolio, unit: BusinessUnit, table: str) -> str:
    """Digest a database table in its engine: the number of rows, and the sum of the hashes of all rows.

    Hashes are cut to 31 bits, so that the sum is a whole number, whatever the order in which the engine meets the rows.
    """
    try:
        raw = raw_table(portfolio, unit, table)
    except DataError:
        return "missing"
    row = ibis.literal("|").join([raw[name].cast("string").fill_null("") for name in raw.columns])
    hashes = raw.select(row=row.hash())
    found = hashes.agg(rows=hashes.count(), digest=(hashes.row % 2**31).sum()).to_pandas().iloc[0]
    return json.dumps([list(raw.columns), *(str(value) for value in found)])
