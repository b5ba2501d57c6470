"""The check report: its text, its JSON, and the public examples as they are."""

import os
from pathlib import Path

import pytest

from cvmlib.portfolio import read_portfolio
from cvmlib.tables.checks import CheckReport, check_portfolio, check_unit, format_report
from tests.tables.builders import ROWS, check_rows, find, make_portfolio, write_csv

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data")) / "clv"


@pytest.fixture
def report(tmp_path):
    return check_rows(tmp_path, [*ROWS, ",2026-01-01,4", "A,2026-05-05,0"])


def test_json_round_trip(report):
    assert CheckReport.from_json(report.to_json()) == report


def test_frame_has_a_row_per_problem(report):
    frame = report.to_frame()
    assert list(frame["kind"]) == ["missing_customer_id", "zero_value"]
    assert list(frame["rows"]) == [1, 1]


def test_text_for_the_terminal(report):
    assert format_report(report) == (
        "shop: usable. 7 rows of transactions; observed until 2026-06-30.\n"
        "  Handled, and disclosed:\n"
        "  - transactions.customer_id: 1 row (14.3 %, 4.00 EUR) has no customer id\n"
        "      customer_id = (empty), date = 2026-01-01, value = 4\n"
        "    Treatment: dropped: they belong to nobody.\n"
        "  - transactions.value: 1 row (14.3 %) has the value zero\n"
        "      customer_id = A, date = 2026-05-05, value = 0\n"
        "    Treatment: kept; a day on which a customer has nothing else is a purchase of value zero. To leave them "
        'out, add the row filter "value <> 0" in the terms of your columns.'
    )


def test_text_without_problems(tmp_path):
    assert format_report(check_rows(tmp_path, ROWS)).endswith("\n  Nothing found.")


def test_fatal_problems_come_first(tmp_path):
    report = check_rows(tmp_path, [",2026-01-01,4", "A,2026-05-05,0"])
    assert [p.fatal for p in report.problems] == sorted((p.fatal for p in report.problems), reverse=True)
    text = format_report(report)
    assert text.startswith("shop: 2 to put right first.")
    assert text.index("To put right before anything is built:") < text.index("Handled, and disclosed:")


def test_every_unit_of_a_portfolio(tmp_path):
    write_csv(tmp_path, ROWS)
    assert {name: r.fatal for name, r in check_portfolio(make_portfolio(tmp_path)).items()} == {"shop": False}


def example(name, file):
    if not (DATA / file).is_file():
        pytest.skip(f"{file} is not in {DATA}; set CVM_DATA to the folder above it")
    return read_portfolio(ROOT / "examples" / f"{name}.toml")


def test_cdnow():
    report = check_unit(example("cdnow", "cdnow_sample.csv.gz"), "cdnow")
    facts = report.facts["transactions"]
    assert (report.rows["transactions"], facts["rows_used"], facts["customers"]) == (6919, 6919, 2357)
    assert [p.kind for p in report.problems] == ["zero_value", "same_day_repeats"]


def test_online_retail_raw_is_handled_and_disclosed():
    portfolio = example("online_retail", "online_retail_2010_2011.parquet")
    report = check_unit(portfolio, "gifts")
    assert not report.fatal
    assert report.rows["transactions"] == 541_909
    filtered = [p for p in report.problems if p.kind == "filtered"]
    assert [p.rows for p in filtered] == [2916, 34]
    assert filtered[0].money == pytest.approx(-45_647.21, abs=0.5)
    assert find(report, "missing_customer_id").rows == 134_050
    assert find(report, "negative_value").rows == 8_539
    assert find(report, "duplicate_rows").rows == 5_220
    assert find(report, "outlier_value").rows == 3
    assert find(report, "float_ids").treatment == 'read as whole numbers, such as "17850".'
    used = 541_909 - 2_950 - 134_050 - 5_220
    assert report.facts["transactions"]["rows_used"] == used
