"""Files that cannot be read: what a person is told, and that the unit stops with every problem named."""

import gzip

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.errors import DataError
from cvmlib.tables.checks import check_unit
from cvmlib.tables.sources import mapped_table
from tests.tables.builders import HEADER, ROWS, check_rows, find, make_portfolio, write_csv

MANY = [f"C{i % 997},2026-0{1 + i % 6}-1{i % 9},{i * 7919 % 10007 / 100}" for i in range(20_000)]


def told(portfolio, kind):
    """Check, stop as every command does, and return the message about one fatal problem."""
    report = check_unit(portfolio, "shop")
    assert find(report, kind).fatal
    with pytest.raises(DataError) as error:
        report.raise_if_fatal()
    assert error.value.problems == report.problems
    return str(error.value)


def test_missing_file_names_the_nearest(tmp_path):
    write_csv(tmp_path, ROWS, name="orders_2026.csv")
    text = told(make_portfolio(tmp_path, "order_2026.csv"), "missing")
    assert "there is no file" in text
    assert "Remedy: did you mean orders_2026.csv?" in text


def test_missing_folder(tmp_path):
    assert "there is no folder" in told(make_portfolio(tmp_path, "exports/orders.csv"), "missing")


def test_folder_instead_of_file(tmp_path):
    (tmp_path / "orders.csv").mkdir()
    assert "is a folder, not a file" in told(make_portfolio(tmp_path), "missing")


def test_parquet_that_ends_early(tmp_path):
    frame = pd.DataFrame({"customer_id": ["A"] * 5000, "date": pd.Timestamp("2026-01-01"), "value": np.arange(5000.0)})
    frame.to_parquet(tmp_path / "orders.parquet")
    data = (tmp_path / "orders.parquet").read_bytes()
    (tmp_path / "orders.parquet").write_bytes(data[: len(data) // 2])
    text = told(make_portfolio(tmp_path, "orders.parquet"), "truncated")
    assert f"orders.parquet ends early: after {len(data) // 2:,} bytes the Parquet footer is missing" in text
    assert "copy or export the file again" in text


def test_compressed_csv_that_ends_early(tmp_path):
    path = write_csv(tmp_path, MANY, name="orders.csv.gz")
    path.write_bytes(path.read_bytes()[:30_000])
    text = told(make_portfolio(tmp_path, path.name), "truncated")
    assert "orders.csv.gz ends early: the compressed file breaks off after" in text


def test_csv_that_ends_within_a_row(tmp_path):
    path = write_csv(tmp_path, MANY)
    path.write_bytes(path.read_bytes()[: path.read_bytes().rindex(b",")])
    report = check_unit(make_portfolio(tmp_path), "shop")
    assert report.fatal
    problem = next(p for p in report.problems if p.fatal)
    assert problem.kind == "unreadable"
    assert "20001" in problem.message
    assert "Expected Number of Columns: 3 Found: 2" in problem.message


def test_csv_that_ends_within_a_character(tmp_path):
    path = write_csv(tmp_path, [*ROWS, "Ü"])
    path.write_bytes(path.read_bytes()[:-2])
    assert "its last character, in line 7, is cut in two" in told(make_portfolio(tmp_path), "truncated")


def test_empty_file(tmp_path):
    (tmp_path / "orders.csv").touch()
    assert "is empty (0 bytes)" in told(make_portfolio(tmp_path), "empty")


def test_header_without_rows(tmp_path):
    write_csv(tmp_path, [])
    assert "transactions: the table has no rows" in told(make_portfolio(tmp_path), "empty")


def test_parquet_without_rows(tmp_path):
    frame = pd.DataFrame({"customer_id": ["A"], "date": [pd.Timestamp("2026-01-01")], "value": [1.0]})
    frame.iloc[:0].to_parquet(tmp_path / "orders.parquet")
    assert "the table has no rows" in told(make_portfolio(tmp_path, "orders.parquet"), "empty")


def test_latin_1_names_byte_line_and_neighbours(tmp_path):
    rows = [*ROWS, "Müller,2026-01-01,3"]
    (tmp_path / "orders.csv").write_bytes("\n".join([HEADER, *rows]).encode("latin-1"))
    text = told(make_portfolio(tmp_path), "encoding")
    assert "orders.csv is not UTF-8: byte 0xfc at position" in text
    assert "line 7" in text
    assert "Müller" in text
    assert "iconv -f WINDOWS-1252 -t UTF-8" in text


def test_wrong_encoding_in_a_later_block(tmp_path):
    data = "\n".join([HEADER, *MANY * 4]).encode() + b"\n\xe9,2026-01-01,3\n"
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(data))
    text = told(make_portfolio(tmp_path, "orders.csv.gz"), "encoding")
    assert f"byte 0xe9 at position {data.index(0xE9):,}, line 80,002" in text


def test_utf_16(tmp_path):
    (tmp_path / "orders.csv").write_bytes("\n".join([HEADER, *ROWS]).encode("utf-16"))
    assert "is encoded in UTF-16" in told(make_portfolio(tmp_path), "encoding")


@pytest.mark.parametrize(
    ("name", "content", "phrase"),
    [
        ("orders.csv", b"PK\x03\x04rest", "orders.csv is a zip file (an Excel workbook is one)"),
        ("orders.csv", b"\x1f\x8brest", "orders.csv is a gzip file"),
        ("orders.parquet", b"customer_id,date,value\n", "orders.parquet is not a Parquet file"),
        ("orders.csv.gz", b"customer_id,date,value\n", "orders.csv.gz is not a gzip file"),
    ],
)
def test_content_that_the_name_belies(tmp_path, name, content, phrase):
    (tmp_path / name).write_bytes(content)
    text = told(make_portfolio(tmp_path, name), "format")
    assert phrase in text
    assert "export the table as Parquet or as UTF-8 CSV" in text


def test_broken_optional_table_blocks_its_pages_only(tmp_path):
    more = '[units.shop.tables.customers]\npath = "nowhere.csv"'
    report = check_rows(tmp_path, ROWS, more=more)
    problem = find(report, "missing")
    assert (problem.fatal, problem.blocks) == (False, ("customers",))
    assert report.blocked == {"customers"}
    report.raise_if_fatal()


def test_a_broken_table_stops_whoever_reads_it_too(tmp_path):
    (tmp_path / "orders.csv").touch()
    with pytest.raises(DataError, match=r"shop, transactions: .* is empty \(0 bytes\)"):
        mapped_table(make_portfolio(tmp_path), "shop", "transactions")


def test_a_table_nobody_supplied(tmp_path):
    with pytest.raises(DataError, match=r"no table media; supply it in \[units\.shop\.tables\.media\]"):
        mapped_table(make_portfolio(tmp_path), "shop", "media")


def test_source_that_cannot_be_connected_to(tmp_path):
    portfolio = make_portfolio(tmp_path).model_copy(update={"source": "nosuch://me:secret@host/shop"})
    report = check_unit(portfolio, "shop")
    assert report.fatal
    message = report.problems[0].message
    assert "cannot connect to nosuch://…" in message
    assert "secret" not in message


def test_table_that_the_database_does_not_have(tmp_path):
    con = ibis.duckdb.connect(tmp_path / "shop.duckdb")
    con.raw_sql("create table orders as select 'A' as customer_id, date '2026-01-01' as date, 1.0 as value")
    con.disconnect()
    portfolio = make_portfolio(tmp_path)
    unit = portfolio.units["shop"]
    spec = unit.tables["transactions"].model_copy(update={"path": None, "table": "order"})
    unit = unit.model_copy(update={"tables": {"transactions": spec}, "source": f"duckdb://{tmp_path}/shop.duckdb"})
    report = check_unit(portfolio, unit)
    assert find(report, "missing").fatal
    assert "cannot read table order" in report.problems[0].message
    assert "did you mean orders?" in report.problems[0].treatment
