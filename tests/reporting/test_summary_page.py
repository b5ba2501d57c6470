"""The page Summary: shops and subscriptions, sound, doubtful and withheld."""

import json
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest

from cvmlib.errors import UnfitModelError
from cvmlib.reporting import summary_page, value_page
from cvmlib.reporting.summary_page import Summary
from cvmlib.tables.problems import CheckReport, Problem
from tests.reporting.saved import REGULAR, make_customers, make_totals
from tests.reporting.shown import HOSTILE, TRICKY, capture, money_forms, untraced

ROWS = {"transactions": 5_321, "customers": 240}
SUBSCRIBERS = {
    "unit": "mobile", "label": "Mobile", "setting": "contractual", "customers": 300, "active": 240,
    "value": {"mean": 46_383.9, "low": 45_887.6, "high": 46_857.1}, "revenue": {"mean": 9.6e4, "low": 9e4, "high": 1e5},
    "purchases": None, "horizon_months": 12, "currency": "EUR", "end_of_observation": "2026-06-30", "holdout": None,
    "verdict": {"level": "sound", "headline": "It passed its test.", "reasons": ["Learned from 1,763 leavers."]},
}  # fmt: skip


def make_checks(problems: int = 2) -> CheckReport:
    found = [Problem("shop", "transactions", "date", f"kind{i}", False, "x", "dropped.", 3) for i in range(problems)]
    return CheckReport("shop", date(2026, 6, 30), found, dict(ROWS))


def make_summary(level="sound", customers=None, problems=2, **changes):
    customers = make_customers() if customers is None else customers
    return Summary(make_totals(level, customers, **changes), make_checks(problems), customers)


def show_all(monkeypatch, summary):
    seen = capture(monkeypatch)
    summary_page.show_verdict(summary)
    summary_page.show_concentration(summary)
    summary_page.show_trust(summary)
    summary_page.show_data(summary)
    return seen


def test_headline_says_the_value_with_its_range(monkeypatch):
    seen = show_all(monkeypatch, make_summary(value={"mean": 4.61e6, "low": 4.12e6, "high": 5.27e6}))
    assert (
        "Over the next 12 months the 240 customers of Corner shop will bring a margin of between 4.1 and 5.3 million "
        "EUR, most likely 4.6." in seen.prose
    )
    assert "Read were 5,321 rows of transactions and 240 rows of customers, observed until 30 June 2026." in seen.prose
    assert "The checks found 2 irregularities; the next page says what was done about each." in seen.prose


def test_every_number_in_words_is_one_of_the_results(monkeypatch):
    summary = make_summary()
    seen, totals = show_all(monkeypatch, summary), summary.totals
    each, alive = totals["value"]["mean"] / 240, totals["alive"] / 240
    assert untraced(seen.prose, [*seen.tables.values(), totals, ROWS, each, alive, [2, 163, 1.001]]) == []


def test_share_of_the_better_half_is_a_cell_of_the_table(monkeypatch):
    seen = show_all(monkeypatch, make_summary())
    table = seen.tables["value-by-tenth.csv"]
    assert f"the better half {table['Share so far'][4]:.0%}" in seen.prose
    assert f"best tenth of the customers holds {table['Share of the value'][0]:.0%}" in seen.prose


def test_technical_checks_come_last(monkeypatch):
    trust = show_all(monkeypatch, make_summary()).parts[-2]
    assert trust.index("Purchases are timed") < trust.index("163 customers bought again") < trust.index("R-hat")


def test_a_withheld_unit_shows_no_value_but_why(monkeypatch):
    summary = make_summary("withheld", value={"mean": 8642135.7, "low": 7531864.2, "high": 9753186.4})
    seen = show_all(monkeypatch, summary)
    assert "What the customers of Corner shop are worth cannot be said yet." in seen.prose
    for number in summary.totals["value"].values():
        assert not [form for form in money_forms(number) if form in seen.text]
    assert seen.prose.count(REGULAR) == 1, "said at the top, and not once more"
    assert "Besides what is said at the top of the page: 163 customers bought again." in seen.prose
    assert value_page.WITHHELD in seen.prose and seen.tables == {}
    assert "Probably still customers" not in seen.prose


def test_doubts_are_said_once(monkeypatch):
    seen = show_all(monkeypatch, make_summary("caution"))
    assert seen.prose.count("Only 31 customers bought again.") == 1


@pytest.mark.parametrize("name", [HOSTILE, TRICKY])
def test_names_from_data_are_text(monkeypatch, name):
    summary = make_summary(label=name)
    summary.totals["checks"][1]["sentence"] = f"Units {name} differ."
    seen = show_all(monkeypatch, summary)
    assert "<script" not in seen.markup and "<math" not in seen.markup and "<em>" not in seen.markup
    assert f"customers of {name} will bring" in seen.prose and f"Units {name} differ." in seen.prose


def test_subscribers(monkeypatch):
    customers = make_customers()[["customer_id", "value"]]
    summary = Summary(dict(SUBSCRIBERS), make_checks(0), customers)
    seen = show_all(monkeypatch, summary)
    assert "the 240 subscribers of Mobile will bring a margin of between 45,900 and 46,900 EUR, most likely 46,400" in (
        seen.prose
    )
    assert "193 EUR" in seen.prose, "per active subscriber, not per customer on record"
    assert "Customers on record 300 Active today 240" in seen.prose
    assert seen.prose.count("It passed its test.") == 1 and seen.prose.count("Learned from 1,763 leavers.") == 1
    assert "The checks found nothing to mend." in seen.prose


def test_doubtful_subscribers_say_everything_at_the_top(monkeypatch):
    verdict = {"level": "caution", "headline": "Usable.", "reasons": ["Learned from 31 leavers only."]}
    seen = show_all(monkeypatch, Summary(SUBSCRIBERS | {"verdict": verdict}, make_checks(1), make_customers()))
    assert seen.prose.count("Learned from 31 leavers only.") == 1
    assert "All that was checked is said at the top of the page." in seen.prose
    assert "The checks found 1 irregularity;" in seen.prose


def test_negative_values_and_a_single_customer(monkeypatch):
    poor = show_all(monkeypatch, make_summary(customers=make_customers(shift=40.0)))
    assert "a margin of between −" in poor.prose and "so there is none to share" in poor.prose
    one = show_all(monkeypatch, make_summary(customers=make_customers(1)))
    assert "the 1 customer of Corner shop" in one.prose and "With 1 customer there is little to compare" in one.prose


def test_load_needs_the_models(tmp_path):
    portfolio = SimpleNamespace(build_dir=tmp_path)
    with pytest.raises(UnfitModelError, match="The customers of shop have not been valued yet. Run `make reports`."):
        summary_page.load_summary(portfolio, "shop")
    folder = tmp_path / "units" / "shop"
    folder.mkdir(parents=True)
    made = make_summary()
    (folder / "totals.json").write_text(json.dumps(made.totals))
    (folder / "checks.json").write_text(made.checks.to_json())
    made.customers.to_parquet(folder / "value.parquet")
    loaded = summary_page.load_summary(portfolio, "shop")
    assert loaded.totals == made.totals and loaded.checks == made.checks
    pd.testing.assert_frame_equal(loaded.customers, made.customers, check_dtype=False)
