"""Files and databases give the same tables, lazily, and a fingerprint that follows their content."""

import gzip
import os

import ibis
import ibis.expr.types as ir
import pandas as pd
import pytest

from cvmlib.tables.checks import check_unit
from cvmlib.tables.sources import connect, mapped_table, raw_table, source_fingerprint
from tests.tables.builders import HEADER, ROWS, make_portfolio, write_csv


def values(table):
    return table.select("customer_id", "date", "value").order_by("date", "customer_id").to_pandas()


@pytest.fixture
def reference(tmp_path):
    write_csv(tmp_path, ROWS)
    return values(mapped_table(make_portfolio(tmp_path), "shop", "transactions"))


def test_csv_keeps_every_column_as_text(tmp_path):
    write_csv(tmp_path, ["007,2026-01-05,1.50"])
    raw = raw_table(make_portfolio(tmp_path), "shop", "transactions")
    assert isinstance(raw, ir.Table)
    assert raw.to_pyarrow().to_pylist() == [{"customer_id": "007", "date": "2026-01-05", "value": "1.50"}]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_and_compression(tmp_path, reference, separator):
    text = "\n".join([HEADER, *ROWS]).replace(",", separator)
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(text.encode("utf-8-sig")))
    table = mapped_table(make_portfolio(tmp_path, "orders.csv.gz"), "shop", "transactions")
    pd.testing.assert_frame_equal(values(table), reference)


def test_quoted_separators_and_line_breaks_belong_to_the_value(tmp_path):
    write_csv(tmp_path, ['"A, B",2026-01-05,1', '"C\nD",2026-01-05,2'])
    found = raw_table(make_portfolio(tmp_path), "shop", "transactions").to_pyarrow()["customer_id"].to_pylist()
    assert found == ["A, B", "C\nD"]


def test_parquet(tmp_path, reference):
    reference.to_parquet(tmp_path / "orders.parquet")
    table = mapped_table(make_portfolio(tmp_path, "orders.parquet"), "shop", "transactions")
    pd.testing.assert_frame_equal(values(table), reference)


def test_database(tmp_path, reference):
    con = ibis.duckdb.connect(tmp_path / "shop.duckdb")
    con.create_table("orders", reference)
    con.disconnect()
    portfolio = make_portfolio(tmp_path)
    unit = portfolio.units["shop"]
    spec = unit.tables["transactions"].model_copy(update={"path": None, "table": "orders"})
    unit = unit.model_copy(update={"tables": {"transactions": spec}, "source": f"duckdb://{tmp_path}/shop.duckdb"})
    pd.testing.assert_frame_equal(values(mapped_table(portfolio, unit, "transactions")), reference)
    assert check_unit(portfolio, unit).problems == []
    before = source_fingerprint(portfolio, unit)
    assert before == source_fingerprint(portfolio, unit)
    connect(portfolio, unit).raw_sql("update orders set value = value + 1")
    assert before != source_fingerprint(portfolio, unit)


def test_units_share_the_connection_of_folders(tmp_path):
    portfolio = make_portfolio(tmp_path)
    other = portfolio.units["shop"].model_copy(update={"source": "elsewhere"})
    assert connect(portfolio, "shop") is connect(portfolio, other)


def test_tables_of_two_units_can_be_joined(tmp_path):
    write_csv(tmp_path, ROWS)
    write_csv(tmp_path, ["Z,2026-01-05,1"], name="others.csv")
    portfolio = make_portfolio(tmp_path)
    spec = portfolio.units["shop"].tables["transactions"].model_copy(update={"path": "others.csv"})
    other = portfolio.units["shop"].model_copy(update={"name": "other", "tables": {"transactions": spec}})
    both = ibis.union(
        mapped_table(portfolio, "shop", "transactions"), mapped_table(portfolio, other, "transactions"), distinct=False
    )
    assert both.count().execute() == len(ROWS) + 1


def test_fingerprint_follows_content_not_time(tmp_path):
    path = write_csv(tmp_path, ROWS)
    portfolio = make_portfolio(tmp_path)
    before = source_fingerprint(portfolio, "shop")
    os.utime(path, (1, 1))
    assert source_fingerprint(portfolio, "shop") == before
    write_csv(tmp_path, ROWS[:-1])
    assert source_fingerprint(portfolio, "shop") != before
    path.unlink()
    assert source_fingerprint(portfolio, "shop") != before


def test_a_changed_file_is_read_anew(tmp_path):
    portfolio = make_portfolio(tmp_path)
    write_csv(tmp_path, ROWS)
    assert mapped_table(portfolio, "shop", "transactions").count().execute() == 5
    write_csv(tmp_path, ROWS[:2])
    assert mapped_table(portfolio, "shop", "transactions").count().execute() == 2
