"""The user's columns become the contract's: renamed, computed, filtered, typed without loss."""

import datetime

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.business_unit import TableSource
from cvmlib.tables.contracts import CONTRACTS
from cvmlib.tables.mapping import SOURCE_ROW, map_table
from cvmlib.tables.sources import mapped_table
from tests.tables.builders import make_portfolio, write_csv

DAY = datetime.datetime(2026, 1, 5)


@pytest.fixture(scope="module")
def con():
    return ibis.duckdb.connect()


def map_frame(con, frame, table="transactions", columns=None, filters=(), text_file=False):
    name = ibis.util.gen_name("supplied")
    raw = con.create_table(name, frame)
    mapping = map_table(
        raw, TableSource(columns=columns or {}, filters=list(filters)), CONTRACTS[table], "u", text_file
    )
    assert mapping.faults == []
    return mapping


def rows(mapping, *names):
    return mapping.kept.select(*names).to_pyarrow().to_pylist()


def test_names_with_spaces_expressions_and_same_names(con):
    frame = pd.DataFrame(
        {"Customer ID": ["A"], "Order Date": [DAY], "Unit Price": [2.5], "Qty": [4], "CHANNEL": ["web"]}
    )
    columns = {"customer_id": "Customer ID", "date": "Order Date", "value": 'Qty * "Unit Price"'}
    mapping = map_frame(con, frame, columns=columns)
    assert mapping.columns == ["customer_id", "date", "value", "channel"]
    assert rows(mapping, *mapping.columns) == [{"customer_id": "A", "date": DAY, "value": 10.0, "channel": "web"}]


def test_types_are_the_contracts(con):
    frame = pd.DataFrame({"customer_id": [1, 2], "date": [datetime.date(2026, 1, 5)] * 2, "value": [3, 4]})
    schema = map_frame(con, frame).kept.schema()
    assert {name: str(schema[name]) for name in ("customer_id", "date", "value")} == {
        "customer_id": "string",
        "date": "timestamp",
        "value": "float64",
    }


def test_letter_case_of_names_in_expressions_does_not_count(con):
    frame = pd.DataFrame({"customer_id": ["A"], "date": [DAY], "Price": [2.5]})
    assert rows(map_frame(con, frame, columns={"value": "price * 2"}), "value") == [{"value": 5.0}]


def test_a_column_of_that_name_wins_over_an_expression(con):
    frame = pd.DataFrame({"customer_id": ["A"], "date": [DAY], "net - vat": [7.0], "net": [1.0], "vat": [2.0]})
    assert rows(map_frame(con, frame, columns={"value": "net - vat"}), "value") == [{"value": 7.0}]


def test_filters_all_apply_and_null_does_not_pass(con):
    frame = pd.DataFrame(
        {"customer_id": list("ABCD"), "date": DAY, "value": [1.0, 2, 3, 4], "ok": [True, None, True, False]}
    )
    mapping = map_frame(con, frame, filters=["ok", "value > 1"])
    assert rows(mapping, "customer_id") == [{"customer_id": "C"}]
    assert mapping.table.count().execute() == 4


@pytest.mark.parametrize(
    ("supplied", "expected"),
    [
        (["17850.0", "12.5", " B ", "\tC", "C.0"], ["17850", "12.5", "B", "C", "C.0"]),
        (["", " ", "nan", "NULL", "None", "n/a"], [None] * 6),
        (["00123", "Nancy", "007.0"], ["00123", "Nancy", "007"]),
        (np.array([17850.0, np.nan, np.inf]), ["17850", None, None]),
        (np.array([5, 12]), ["5", "12"]),
    ],
)
def test_customer_ids(con, supplied, expected):
    frame = pd.DataFrame({"customer_id": supplied, "date": DAY, "value": 1.0})
    assert [row["customer_id"] for row in rows(map_frame(con, frame), "customer_id")] == expected


def test_text_becomes_numbers_and_dates_or_null_with_its_text_beside(con):
    frame = pd.DataFrame(
        {
            "customer_id": "A",
            "date": ["2026-01-05", "2026-01-05 10:30", "2026-01-05T23:30:00-02:00", "5 January"],
            "value": ["1.5", " 2 ", "1,5", ""],
        }
    )
    mapping = map_frame(con, frame)
    assert [row["date"] for row in rows(mapping, "date")] == [
        DAY,
        datetime.datetime(2026, 1, 5, 10, 30),
        datetime.datetime(2026, 1, 6, 1, 30),
        None,
    ]
    assert [row["value"] for row in rows(mapping, "value")] == [1.5, 2.0, None, None]
    assert mapping.table.select("value__raw").to_pyarrow()["value__raw"].to_pylist() == ["1.5", "2", "1,5", None]


def test_numbers_in_csv_act_as_numbers_in_expressions_only(tmp_path):
    lines = [f"00{i},2026-01-05,2,2.5" for i in range(19)]
    write_csv(tmp_path, [*lines, "019,2026-01-05,x,2.5"], "customer_id,date,qty,price")
    portfolio = make_portfolio(tmp_path, mapping='columns = { value = "qty * price" }\nfilters = ["price > 0"]')
    found = mapped_table(portfolio, "shop", "transactions").select("customer_id", "value").to_pyarrow().to_pylist()
    assert found[0] == {"customer_id": "000", "value": 5.0}
    assert found[-1] == {"customer_id": "019", "value": None}


def test_further_columns_of_customers_are_covariates(con):
    frame = pd.DataFrame({"id": ["A"], "age": ["34"], "region": ["North"], "note": [""]})
    mapping = map_frame(con, frame, "customers", {"customer_id": "id", "town": "upper(region)"}, text_file=True)
    assert mapping.columns == ["customer_id", "town", "age", "region", "note"]
    assert rows(mapping, "town", "age", "region") == [{"town": "NORTH", "age": 34.0, "region": "North"}]


def test_source_row_tells_rows_apart_by_columns_that_are_not_mapped(con):
    frame = pd.DataFrame({"customer_id": "A", "date": DAY, "value": 1.0, "line": [1, 1, 2]})
    hashes = [row[SOURCE_ROW] for row in rows(map_frame(con, frame), SOURCE_ROW)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_markup_in_ids_is_kept(con):
    frame = pd.DataFrame({"customer_id": ["<script>alert(1)</script>"], "date": DAY, "value": 1.0})
    assert rows(map_frame(con, frame), "customer_id") == [{"customer_id": "<script>alert(1)</script>"}]


def test_expressions_are_translated_for_other_engines(con):
    raw = con.create_table("translated", pd.DataFrame({"customer_id": ["A"], "d": ["20260105"], "value": [1.0]}))
    spec = TableSource(columns={"date": "strptime(d, '%Y%m%d')"})
    mapping = map_table(raw, spec, CONTRACTS["transactions"], "u")
    assert mapping.faults == []
    assert rows(mapping, "date") == [{"date": DAY}]
