"""Subscriptions and optional tables that are dirty: what a person is told, and what is done."""

import pytest

from tests.tables.builders import ROWS, check_rows, find, write_csv

CONTRACT_HEADER = "customer_id,start,end,price,end_reason"
CONTRACTS = ["A,2026-01-01,2026-03-01,10,voluntary", "B,2026-01-15,,12,", "C,2026-02-01,2026-05-01,9,involuntary"]

DIRTY = [
    ("missing_customer_id", ",2026-01-01,,9,", "customer_id", "1 row (25.0 %) has no customer id"),
    ("missing_start", "D,,,9,", "start", "has no start"),
    ("unparsable_start", "D,1.2.2026,,9,", "start", "a start that cannot be read as a date"),
    ("implausible_start", "D,1800-01-01,,9,", "start", "starts before 1900"),
    ("unparsable_end", "D,2026-01-01,never,9,", "end", "an end that cannot be read as a date"),
    ("end_before_start", "D,2026-03-01,2026-02-01,9,", "end", "ends before the start"),
    ("future_start", "D,2026-07-01,,9,", "start", "starts after the end of observation, 2026-06-30"),
    ("future_end", "D,2026-03-01,2026-09-01,9,", "end", "ends after the end of observation, 2026-06-30"),
    ("missing_price", "D,2026-03-01,,,", "price", "has no price"),
    ("unparsable_price", "D,2026-03-01,,free,", "price", "a price that is no number"),
    ("negative_price", "D,2026-03-01,,-9,", "price", "has a negative price"),
    ("zero_price", "D,2026-03-01,,0,", "price", "has the price zero"),
    ("overlapping_spells", "A,2026-02-01,,9,", "start", "begins while another contract of the same customer runs"),
    ("duplicate_rows", CONTRACTS[0], "", "repeats another row in every contract column"),
    (
        "unknown_text",
        "D,2026-01-01,2026-02-01,9,moved",
        "end_reason",
        "another end reason than voluntary or invol",
    ),
]


def check_contracts(folder, rows):
    return check_rows(folder, rows, CONTRACT_HEADER, setting="contractual")


def test_clean_contracts_have_no_problem(tmp_path):
    report = check_contracts(tmp_path, CONTRACTS)
    assert report.problems == []
    assert report.facts["subscriptions"] == {
        "rows_used": 3,
        "customers": 3,
        "running": 1,
        "first": "2026-01-01",
        "last": "2026-05-01",
    }


@pytest.mark.parametrize(("kind", "row", "column", "phrase"), DIRTY, ids=[d[0] for d in DIRTY])
def test_dirty_contracts_are_tolerated_and_disclosed(tmp_path, kind, row, column, phrase):
    report = check_contracts(tmp_path, [*CONTRACTS, row])
    problem = find(report, kind)
    assert (problem.fatal, problem.column, problem.table, problem.rows) == (False, column, "subscriptions", 1)
    assert phrase in problem.message
    assert not report.fatal


@pytest.mark.parametrize(
    ("kind", "rows", "phrase"),
    [
        ("empty", [], "the table has no rows"),
        ("no_usable_rows", ["A,,,9,"], "no usable row is left of 1 row"),
        ("one_customer", ["A,2026-01-01,2026-02-01,9,", "A,2026-03-01,,9,"], "belong to one customer"),
        ("one_date", ["A,2026-01-01,,9,", "B,2026-01-01,,9,"], "all contracts start on 2026-01-01 and none has ended"),
    ],
)
def test_contracts_that_say_nothing_are_fatal(tmp_path, kind, rows, phrase):
    problem = find(check_contracts(tmp_path, rows), kind)
    assert problem.fatal
    assert phrase in problem.message


def test_contracts_without_any_end(tmp_path):
    problem = find(check_contracts(tmp_path, ["A,2026-01-01,,9,", "B,2026-02-01,,9,"]), "no_ends")
    assert problem.blocks == ("value",)
    assert "nothing is known about leaving" in problem.message


CUSTOMERS = ["A,2026-01-01,5,", "B,2026-01-01,5,A", "C,2026-01-01,5,A"]


def check_customers(folder, rows, header="customer_id,acquired_on,acquisition_cost,referred_by"):
    write_csv(folder, rows, header, "customers.csv")
    return check_rows(folder, ROWS, more='[units.shop.tables.customers]\npath = "customers.csv"')


def test_clean_customers_have_no_problem(tmp_path):
    assert check_customers(tmp_path, CUSTOMERS).problems == []


@pytest.mark.parametrize(
    ("kind", "row", "column", "phrase"),
    [
        ("duplicate_keys", "A,2026-01-02,6,", "customer_id", "1 row (25.0 %) repeats the customer_id of another row"),
        ("missing", ",2026-01-02,6,", "customer_id", "has no customer_id"),
        (
            "silent_customers",
            "X,2026-01-02,6,",
            "customer_id",
            "1 customer is in customers but without a row in",
        ),
        (
            "unknown_referrers",
            "A,2026-01-02,6,Nobody",
            "referred_by",
            "as referrer but absent from customers: Nobody",
        ),
        ("own_referrers", "A,2026-01-02,6,A", "referred_by", "1 customer is named as their own referrer: A"),
        ("unparsable", "A,someday,6,", "acquired_on", "text as acquired_on that cannot be read as a date"),
        ("negative", "A,2026-01-02,-6,", "acquisition_cost", "has a negative acquisition_cost"),
    ],
)
def test_dirty_customers_are_tolerated_and_disclosed(tmp_path, kind, row, column, phrase):
    report = check_customers(tmp_path, [*CUSTOMERS, row])
    problem = find(report, kind)
    assert (problem.fatal, problem.column, problem.table) == (False, column, "customers")
    assert phrase in problem.message


def test_customers_who_are_not_listed(tmp_path):
    problem = find(check_customers(tmp_path, CUSTOMERS[:1]), "unlisted_customers")
    assert problem.message == "2 customers are in transactions but absent from customers: B, C"


def test_products_that_are_not_listed(tmp_path):
    write_csv(tmp_path, ["P1,shoes"], "product_id,category", "products.csv")
    rows = [f"{row},P{i % 2 + 1}" for i, row in enumerate(ROWS)]
    more = '[units.shop.tables.products]\npath = "products.csv"'
    problem = find(check_rows(tmp_path, rows, "customer_id,date,value,product_id", more=more), "unknown_products")
    assert problem.message == "1 product is sold but absent from products: P2"


def test_words_outside_the_allowed_ones(tmp_path):
    write_csv(tmp_path, ["p,A,treated", "p,B,maybe"], "program_id,customer_id,arm", "arms.csv")
    report = check_rows(tmp_path, ROWS, more='[units.shop.tables.assignments]\npath = "arms.csv"')
    problem = find(report, "unknown_text")
    assert "another arm than treated, control" in problem.message
    assert problem.first_rows == [{"program_id": "p", "customer_id": "B", "arm": "maybe"}]


def test_optional_table_without_rows_or_columns_blocks_its_pages(tmp_path):
    write_csv(tmp_path, [], "week,channel,spend", "media.csv")
    write_csv(tmp_path, ["2026-01-05,3"], "week,sales", "outcomes.csv")
    more = '[units.shop.tables.media]\npath = "media.csv"\n[units.shop.tables.outcomes]\npath = "outcomes.csv"'
    report = check_rows(tmp_path, ROWS, more=more)
    assert report.blocked == {"media", "outcomes"}
    assert not report.fatal
    assert "the required column value" in find(report, "column_missing").message
