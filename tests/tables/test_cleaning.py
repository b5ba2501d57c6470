"""Each stated treatment is applied, and drops exactly the rows that the checks report."""

import datetime

import ibis
import pandas as pd
import pytest

from cvmlib.tables.checks import check_unit
from cvmlib.tables.cleaning import clean_keyed, clean_subscriptions, clean_transactions, transaction_reason
from cvmlib.tables.sources import mapped_table
from tests.bad_input.test_logs import DIRTY
from tests.tables.builders import ROWS, make_portfolio, write_csv

END = datetime.date(2026, 6, 30)


def clean(folder, rows, header="customer_id,date,value", **options):
    write_csv(folder, rows, header)
    return clean_transactions(mapped_table(make_portfolio(folder), "shop", "transactions"), END, **options)


def test_treatments(tmp_path):
    rows = [
        "A,2026-01-05,10",
        "A,2026-01-05,-3",
        "A,2026-06-30 23:59:59,0",
        ",2026-01-05,1",
        "A,,1",
        "A,soon,1",
        "A,1899-12-31,1",
        "A,2026-07-01,1",
        "A,2026-01-05,",
        "A,2026-01-05,much",
        "A,2026-01-05,inf",
    ]
    kept = clean(tmp_path, rows).order_by("date", "value").to_pyarrow().to_pylist()
    day, last = datetime.datetime(2026, 1, 5), datetime.datetime(2026, 6, 30, 23, 59, 59)
    assert kept == [
        {"customer_id": "A", "date": day, "value": -3.0},
        {"customer_id": "A", "date": day, "value": 10.0},
        {"customer_id": "A", "date": last, "value": 0.0},
    ]


@pytest.mark.parametrize(
    ("header", "rows", "kept"),
    [
        ("customer_id,date,value", ["A,2026-01-05,9", "A,2026-01-05,9"], 2),
        ("customer_id,date,value", ["A,2026-01-05 09:30:00,9", "A,2026-01-05 09:30:00,9"], 1),
        ("customer_id,date,value,order_id", ["A,2026-01-05,9,1", "A,2026-01-05,9,1", "A,2026-01-05,9,2"], 2),
        ("customer_id,date,value,order_id", ["A,2026-01-05,9,", "A,2026-01-05,9,"], 2),
        ("customer_id,date,value,order_id,line", ["A,2026-01-05,9,1,1", "A,2026-01-05,9,1,2"], 2),
        ("customer_id,date,value,order_id", ["A,2026-01-05,9,1"] * 5, 1),
    ],
)
def test_copies_are_dropped_only_where_a_row_can_be_no_second_purchase(tmp_path, header, rows, kept):
    table = clean(tmp_path, rows, header)
    assert table.count().execute() == kept
    assert "source_row" not in table.columns
    assert clean(tmp_path, rows, header, deduplicate=False).count().execute() == len(rows)


def test_rows_used_and_money_agree_with_the_checks(tmp_path):
    rows = [*ROWS, *(row for _, more, _, _ in DIRTY for row in more)]
    table = clean(tmp_path, rows)
    report = check_unit(make_portfolio(tmp_path), "shop")
    dropped = sum(p.rows for p in report.problems if p.treatment.startswith("dropped"))
    facts = report.facts["transactions"]
    assert table.count().execute() == facts["rows_used"] == len(rows) - dropped
    assert table.value.sum().execute() == pytest.approx(facts["bought"] - facts["returned"])


def test_reasons_and_cleaning_agree_without_raw_columns():
    frame = pd.DataFrame(
        {
            "customer_id": ["A", None, "A", "A", "A", "A"],
            "date": pd.to_datetime(["2026-01-01", "2026-01-01", None, "2026-07-01", "1850-01-01", "2026-01-01"]),
            "value": [1.0, 1, 1, 1, 1, None],
        }
    )
    table = ibis.memtable(frame)
    used = table.filter(transaction_reason(table, END).isnull()).count().execute()
    assert used == clean_transactions(table, END).count().execute() == 1


def test_subscriptions(tmp_path):
    rows = [
        "A,2026-01-01,2026-03-01,10,voluntary",
        "A,2026-01-01,2026-03-01,10,voluntary",
        "B,2026-01-01,2026-09-01,10,voluntary",
        "C,2026-03-01,2026-02-01,10,",
        "D,2026-07-01,,10,",
        "E,2026-01-01,,-1,",
        "F,2026-01-01,,10,",
    ]
    write_csv(tmp_path, rows, "customer_id,start,end,price,end_reason")
    table = mapped_table(make_portfolio(tmp_path, setting="contractual"), "shop", "subscriptions")
    kept = clean_subscriptions(table, END).order_by("customer_id").to_pyarrow().to_pylist()
    assert [(row["customer_id"], row["end"], row["end_reason"]) for row in kept] == [
        ("A", datetime.datetime(2026, 3, 1), "voluntary"),
        ("B", None, None),
        ("F", None, None),
    ]


def test_one_row_per_customer():
    frame = pd.DataFrame({"customer_id": ["A", "A", "B", None], "acquired_on": ["b", "a", "c", "d"]})
    kept = clean_keyed(ibis.memtable(frame), "customers").order_by("customer_id").to_pyarrow().to_pylist()
    assert kept == [{"customer_id": "A", "acquired_on": "a"}, {"customer_id": "B", "acquired_on": "c"}]
