"""Transactions that are dirty or say too little: what a person is told, and what is done."""

import datetime

import numpy as np
import pandas as pd
import pytest

from cvmlib.errors import DataError
from cvmlib.portfolio import read_portfolio
from cvmlib.tables.checks import check_unit
from tests.tables.builders import HEADER, ROWS, check_frame, check_rows, find

# kind, one more row (or rows), column, phrases of message and treatment; all tolerable
DIRTY = [
    (
        "missing_customer_id",
        [",2026-02-01,9"],
        "customer_id",
        ["1 row (16.7 %, 9.00 EUR) has no customer id"],
    ),
    ("missing_customer_id", ["NULL,2026-02-01,9"], "customer_id", ["has no customer id"]),
    ("missing_date", ["A,,9"], "date", ["has no date"]),
    ("unparsable_date", ["A,31.12.2025,9"], "date", ["a date that cannot be read", "try_strptime(day, '%d.%m.%Y')"]),
    ("implausible_date", ["A,0001-01-01,9"], "date", ["dated before 1900"]),
    ("future_date", ["A,2026-07-01,9"], "date", ["dated after the end of observation, 2026-06-30", "9.00 EUR"]),
    ("missing_value", ["A,2026-02-01,"], "value", ["has no value"]),
    ("unparsable_value", ['A,2026-02-01,"12,50"'], "value", ["a value that is no number", "replace(amount, ',', '.')"]),
    ("nonfinite_value", ["A,2026-02-01,inf"], "value", ["not a finite number"]),
    ("nonfinite_value", ["A,2026-02-01,NaN"], "value", ["not a finite number"]),
    ("zero_value", ["A,2026-02-01,0"], "value", ["has the value zero", "a purchase of value zero"]),
    ("negative_value", ["A,2026-01-05,-3"], "value", ["-3.00 EUR", "returns or cancellations", "netted against"]),
    ("later_returns", ["A,2026-04-05,-3"], "value", ["3.00 EUR were returned on a later day", "6.0 %"]),
    ("only_returns", ["D,2026-04-05,-3"], "customer_id", ["1 customer only returned"]),
    (
        "same_day_repeats",
        ["A,2026-01-05,9"],
        "date",
        ["1 row (16.7 %) falls on a day on which the same", "summed"],
    ),
    ("padded_ids", ["A ,2026-05-05,9"], "customer_id", ["a customer id with space around it", "space is removed"]),
    (
        "similar_ids",
        ["a,2026-05-05,9"],
        "customer_id",
        ["1 customer id differs from another only by upper"],
    ),
    ("float_ids", ["17850.0,2026-05-05,9"], "customer_id", ["written as a floating-point number", '"17850"']),
    (
        "mixed_time_zones",
        ["A,2026-05-05T23:30:00+02:00,9", "B,2026-05-05T23:30:00Z,9"],
        "date",
        ["different time zones", "(+02:00, Z)", "converted to UTC"],
    ),
    (
        "duplicate_rows",
        ["A,2026-05-05 10:30:00,9", "A,2026-05-05 10:30:00,9"],
        "",
        ["1 row (14.3 %, 9.00 EUR) repeats another row in every supplied column", "one of each set is kept"],
    ),
]


@pytest.mark.parametrize(("kind", "more", "column", "phrases"), DIRTY, ids=[f"{d[0]}: {d[1][0]}" for d in DIRTY])
def test_dirty_rows_are_tolerated_and_disclosed(tmp_path, kind, more, column, phrases):
    report = check_rows(tmp_path, [*ROWS, *more])
    problem = find(report, kind)
    assert (problem.fatal, problem.column, problem.unit, problem.table) == (False, column, "shop", "transactions")
    assert not report.fatal
    for phrase in phrases:
        assert phrase in f"{problem.message} {problem.treatment}"


def test_a_clean_log_has_no_problem(tmp_path):
    report = check_rows(tmp_path, ROWS)
    assert report.problems == []
    assert report.rows == {"transactions": 5}
    facts = report.facts["transactions"]
    assert (facts["rows_used"], facts["customers"], facts["repeat_customers"]) == (5, 3, 2)
    assert tuple(facts[name] for name in ("bought", "returned", "first", "last")) == (
        50.0,
        0.0,
        "2026-01-05",
        "2026-06-20",
    )


def test_rows_are_counted_once_under_the_first_reason(tmp_path):
    report = check_rows(tmp_path, [*ROWS, ",soon,much"])
    assert [(p.kind, p.rows) for p in report.problems] == [("missing_customer_id", 1)]


def test_first_rows_are_as_supplied_and_at_most_three(tmp_path):
    report = check_rows(tmp_path, [*ROWS, *["A,31.12.2025,9"] * 5])
    problem = find(report, "unparsable_date")
    assert problem.rows == 5
    assert problem.share == 0.5
    assert problem.first_rows == [{"customer_id": "A", "date": "31.12.2025", "value": "9"}] * 3


def test_markup_in_ids_is_kept_as_text(tmp_path):
    problem = find(check_rows(tmp_path, [*ROWS, "<script>alert(1)</script>,2026-05-05,0"]), "zero_value")
    assert problem.first_rows[0]["customer_id"] == "<script>alert(1)</script>"


def test_all_problems_come_at_once(tmp_path):
    more = [row for _, rows, _, _ in DIRTY for row in rows]
    kinds = {problem.kind for problem in check_rows(tmp_path, [*ROWS, *more]).problems}
    assert kinds >= {kind for kind, *_ in DIRTY}


def test_float_ids_of_parquet(tmp_path):
    frame = pd.DataFrame({"customer_id": [1.0, 2.0, np.nan, 1.0], "value": [1.0, 2.0, 3.0, 4.0]})
    frame["date"] = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03", "2026-06-04"])
    report = check_frame(tmp_path, frame)
    assert "customer ids are supplied as floating-point numbers" in find(report, "float_ids").message
    assert find(report, "missing_customer_id").rows == 1


def test_extraordinarily_large_value(tmp_path):
    rows = [f"C{i % 25},2026-0{1 + i % 6}-0{1 + i % 9},{10 + i % 7}" for i in range(300)]
    report = check_rows(tmp_path, [*rows, "C3,2026-01-20,99999999"])
    problem = find(report, "outlier_value")
    assert problem.first_rows[0]["value"] == "99999999"
    assert "extraordinarily large value" in problem.message
    assert "a row filter" in problem.treatment
    assert not [p for p in check_rows(tmp_path, rows).problems if p.kind == "outlier_value"]


def test_row_filters_are_disclosed_with_rows_and_money(tmp_path):
    rows = [f"{row},{'open' if row.startswith('A') else 'paid'}" for row in ROWS]
    report = check_rows(tmp_path, rows, HEADER + ",status", mapping='filters = ["status = \'paid\'", "value <> 5"]')
    filtered = [(p.message, p.rows, p.money) for p in report.problems if p.kind == "filtered"]
    assert filtered == [
        ("the row filter “status = 'paid'” leaves out 2 rows (40.0 %, 30.50 EUR)", 2, 30.5),
        ("the row filter “value <> 5” leaves out 1 row (20.0 %, 5.00 EUR)", 1, 5.0),
    ]


def fatal(report, kind):
    problem = find(report, kind)
    assert problem.fatal
    with pytest.raises(DataError) as error:
        report.raise_if_fatal()
    assert problem.message in str(error.value)
    assert f"Remedy: {problem.treatment}" in str(error.value)
    return problem


def test_no_usable_row(tmp_path):
    problem = fatal(check_rows(tmp_path, [",2026-01-01,1", "A,,1"]), "no_usable_rows")
    assert problem.message == "no usable row is left of 2 rows"


def test_filters_that_leave_nothing(tmp_path):
    fatal(check_rows(tmp_path, ROWS, mapping='filters = ["value < 0"]'), "no_usable_rows")


def test_dates_mostly_unreadable(tmp_path):
    rows = [f"{c},{d}.03.2026,5" for c in "ABC" for d in (13, 14, 15)]
    problem = fatal(check_rows(tmp_path, [*ROWS, *rows]), "unparsable_date")
    assert "most of the table: the mapping is likely wrong" in problem.message
    assert "date = \"try_strptime(day, '%d.%m.%Y')\"" in problem.treatment


def test_the_remedy_for_german_dates_works(tmp_path):
    rows = [f"{c},{d}.03.2026,5" for c in "ABC" for d in (13, 14, 15)]
    mapping = "columns = { date = \"try_strptime(date, '%d.%m.%Y')\" }"
    assert check_rows(tmp_path, rows, mapping=mapping).facts["transactions"]["last"] == "2026-03-15"


def test_the_remedy_for_decimal_commas_works(tmp_path):
    rows = [f'{c},2026-03-{d},"1,5{d}"' for c in "ABC" for d in (13, 14, 15)]
    fatal(check_rows(tmp_path, rows), "unparsable_value")
    mapping = "columns = { value = \"TRY_CAST(replace(value, ',', '.') AS DOUBLE)\" }"
    report = check_rows(tmp_path, rows, mapping=mapping)
    assert report.facts["transactions"]["bought"] == pytest.approx(3 * (1.513 + 1.514 + 1.515))


def test_one_date(tmp_path):
    rows = [row.replace(row.split(",")[1], "2026-05-05") for row in ROWS]
    assert "all usable rows are dated 2026-05-05" in fatal(check_rows(tmp_path, rows), "one_date").message


def test_one_customer(tmp_path):
    rows = ["A" + row[1:] for row in ROWS]
    assert "all usable rows belong to one customer" in fatal(check_rows(tmp_path, rows), "one_customer").message


def test_nothing_but_returns(tmp_path):
    rows = [row.replace(",", ",-").replace(",-2026", ",2026") for row in ROWS]
    problem = fatal(check_rows(tmp_path, rows), "no_purchases")
    assert "every day nets to a return" in problem.message
    assert "check the sign of value" in problem.treatment


def test_end_of_observation_before_the_first_date(tmp_path):
    problem = fatal(check_rows(tmp_path, ROWS, end="2025-12-31"), "end_before_first")
    assert "2025-12-31, lies before the first usable date, 2026-01-05" in problem.message
    assert "correct end_of_observation in [portfolio]" in problem.treatment


def test_end_of_observation_long_after_the_last_date(tmp_path):
    problem = find(check_rows(tmp_path, ROWS, end="2027-06-30"), "idle_end")
    assert "the last usable date is 2026-06-20, 375 days before the end of observation, 2027-06-30" in problem.message


def test_everybody_bought_once(tmp_path):
    report = check_rows(tmp_path, [f"C{i},2026-0{1 + i % 5}-11,{i + 1}" for i in range(9)])
    problem = find(report, "all_one_time")
    assert (problem.fatal, problem.blocks) == (False, ("value",))
    assert problem.message == "none of 9 customers bought a second time"
    assert "a value model needs repeat purchases" in problem.treatment


def test_zero_variance_spend(tmp_path):
    report = check_rows(tmp_path, [f"{row.rsplit(',', 1)[0]},20" for row in ROWS])
    problem = find(report, "constant_value")
    assert not problem.fatal
    assert "every purchase is worth the same, 20.00 EUR" in problem.message
    assert "spend is taken as that constant" in problem.treatment


def test_history_shorter_than_the_holdout(tmp_path):
    check_rows(tmp_path, ROWS)
    path = tmp_path / "shop.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("holdout_months = 0", "holdout_months = 12"), "utf-8")
    problem = find(check_unit(read_portfolio(path), "shop"), "short_history")
    assert problem.blocks == ("holdout",)
    assert "176 days is no longer than the 12 months held out" in problem.message


def test_without_end_of_observation_the_last_date_counts_unless_it_lies_ahead(tmp_path):
    ahead = datetime.date.today() + datetime.timedelta(days=400)
    report = check_rows(tmp_path, [*ROWS, f"A,{ahead},3"], end=None)
    assert report.end_of_observation == datetime.date(2026, 6, 20)
    assert find(report, "future_date").rows == 1
