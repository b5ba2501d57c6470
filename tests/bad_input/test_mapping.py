"""Mappings that do not fit the table: the key, what was found, the columns there are, and the nearest name."""

import pandas as pd
import pytest

from cvmlib.errors import DataError
from cvmlib.tables.sources import mapped_table
from tests.tables.builders import ROWS, check_frame, check_rows, find, make_portfolio, write_csv

AT = "units.shop.tables.transactions"
HEADER = "Customer ID,Order Date,Qty,Price"
LINES = ["A,2026-01-05,2,5", "A,2026-03-01,1,20", "B,2026-02-01,1,5"]

MISTAKES = [
    (
        'value = "Qty * Prise"',
        "unknown_column",
        [f"{AT}.columns.value", "refers to Prise", "did you mean Price?"],
    ),
    ('value = "Prise"', "unknown_column", ['= "Prise" refers to Prise', "its columns are Customer ID, Order Date"]),
    ('customer_id = "Custmer ID"', "unknown_column", ["refers to Custmer ID", "did you mean Customer ID?"]),
    ('value = "Qty * (Price"', "expression", ['"Qty * (Price" is no SQL expression', "correct the expression"]),
    ('value = "sum(Price)"', "expression", ["aggregates over rows", "without sum, count, max"]),
    ('value = "select 1"', "expression", ["is a statement", "one SQL expression over the columns"]),
    ('value = "Price; drop table x"', "expression", ["is a statement"]),
    ('value = "frobnicate(Price)"', "expression", ["cannot be evaluated", "frobnicate"]),
    ('date = "Price > 1"', "type", ["date should be a date, but the table holds true/false values", "strptime"]),
    ('value = "Price > 1"', "type", ["value should be a number, but the table holds true/false values", "CAST"]),
]


@pytest.mark.parametrize(("mapping", "kind", "phrases"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_message_names_the_expression_and_the_way_out(tmp_path, mapping, kind, phrases):
    columns = {"customer_id": '"Customer ID"', "date": '"Order Date"', "value": '"Price"'}
    name, text = mapping.split(" = ", 1)
    columns[name] = text
    listed = ", ".join(f"{key} = {value}" for key, value in columns.items())
    report = check_rows(tmp_path, LINES, HEADER, mapping=f"columns = {{ {listed} }}")
    problem = find(report, kind)
    assert problem.fatal
    for phrase in phrases:
        assert phrase in f"{problem.message} {problem.treatment}"


def test_required_columns_missing_are_all_named(tmp_path):
    report = check_rows(tmp_path, LINES, HEADER)
    found = {p.column: p for p in report.problems if p.kind == "column_missing"}
    assert set(found) == {"customer_id", "date", "value"}
    assert "among the supplied columns: Customer ID, Order Date, Qty, Price" in found["customer_id"].message
    assert (
        '[units.shop.tables.transactions] columns = { customer_id = "Customer ID" }' in found["customer_id"].treatment
    )


def test_filter_that_is_no_condition(tmp_path):
    report = check_rows(tmp_path, ROWS, mapping='filters = ["value + 1"]')
    assert 'filters = "value + 1" is no condition: it gives numbers' in find(report, "filter").message


def test_filter_over_a_column_that_is_not_there(tmp_path):
    report = check_rows(tmp_path, ROWS, mapping="filters = [\"statuss <> 'x'\"]")
    assert f"{AT}.filters" in find(report, "unknown_column").message
    assert "refers to statuss" in find(report, "unknown_column").message


def test_dates_as_numbers(tmp_path):
    frame = pd.DataFrame({"customer_id": ["A", "B"], "date": [20260105, 20260106], "value": [1.0, 2.0]})
    problem = find(check_frame(tmp_path, frame), "type")
    assert problem.fatal
    assert "date should be a date, but the table holds whole numbers" in problem.message
    assert "strptime(CAST(" in problem.treatment


def test_values_as_dates(tmp_path):
    day = pd.Timestamp("2026-01-05")
    frame = pd.DataFrame({"customer_id": ["A", "B"], "date": [day, day], "value": [day, day]})
    assert "value should be a number, but the table holds dates" in find(check_frame(tmp_path, frame), "type").message


def test_reading_a_mapping_with_faults_lists_them_all(tmp_path):
    write_csv(tmp_path, LINES, HEADER)
    portfolio = make_portfolio(tmp_path, mapping='columns = { value = "Qty * Prise" }')
    with pytest.raises(DataError) as error:
        mapped_table(portfolio, "shop", "transactions")
    assert str(error.value).count("Remedy:") == 3
    assert {p.kind for p in error.value.problems} == {"unknown_column", "column_missing"}
