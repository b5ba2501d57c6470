"""What winning a customer may cost, in words and tables."""

import pandas as pd
import pytest

from cvmlib.reporting import acquisition_page, choice_page, value_basis
from cvmlib.reporting.value_page import WITHHELD
from tests.reporting.saved import make_totals, make_unit
from tests.reporting.shown import capture


def test_a_newcomer_in_words():
    text = acquisition_page.describe_newcomer(make_totals())
    assert text.startswith("Over the next 12 months a customer won today is expected to bring a margin of between")
    assert "up to 38.4 EUR is safe, above 44.9 EUR money is lost" in text
    assert "anything from 6.30 EUR to 131 EUR (90% do)" in text
    poor = make_totals(
        newcomers=[{"value": -3.0, "first": -1, "expected_low": -4.0, "expected_high": -2.0, "low": -9, "high": 3}]
    )
    assert "winning customers does not pay" in acquisition_page.describe_newcomer(poor)


def test_channels_are_compared_with_what_they_cost(monkeypatch):
    unit = make_unit()
    ids = unit.customers["customer_id"]
    customers = pd.DataFrame(
        {
            "customer_id": ids,
            "acquisition_channel": ["search", "<b>tv</b>"] * (len(ids) // 2),
            "acquisition_cost": [1.0, 1e6] * (len(ids) // 2),
        }
    )
    table = acquisition_page.tabulate_channels(unit, customers)
    own = unit.customers[::2]
    kept = 0.45 * (1 - 0.083)
    row = table.set_index("group").loc["search"]
    expected = kept * own["total_value"].mean() - 0.5 * (own["frequency"].mean() + 1)
    assert row["so_far"] == pytest.approx(expected) and row["ahead"] == pytest.approx(own["value"].mean())
    assert row["return"] == pytest.approx(row["together"])
    seen = capture(monkeypatch)
    acquisition_page.show_channels(unit, customers)
    assert "do not earn what it cost to win them" in seen.prose and "&lt;b&gt;tv" in seen.markup
    assert "acquisition-channels.csv" in seen.tables
    acquisition_page.show_cohorts(unit)
    assert "acquisition-cohorts.csv" in seen.tables


def test_without_channels_nothing_is_shown_and_a_withheld_value_is_said_once(monkeypatch):
    seen = capture(monkeypatch)
    unit = make_unit()
    acquisition_page.show_channels(unit, unit.customers[["customer_id"]])
    assert seen.prose == "" and seen.tables == {}
    withheld = make_unit("withheld")
    acquisition_page.show_newcomer(withheld)
    acquisition_page.show_cohorts(withheld)
    assert seen.prose == WITHHELD and seen.tables == {}


def test_why_this_model(monkeypatch):
    seen = capture(monkeypatch)
    choice_page.show_choice(make_unit())
    assert "Why BG/NBD?" in seen.prose and seen.tables == {}
    table = pd.DataFrame(
        {"unit": "shop", "model": ["BG/NBD", "MBG/NBD"], "chosen": [True, False], "difference": [0.0, -3.1],
         "difference_se": [0.0, 2.0], "effective": 4.0, "bad_k": 0.0, "crps": [0.4, 0.41]}
    )  # fmt: skip
    shown = choice_page.tabulate_choice(table, {"shop": "Corner shop"})
    assert shown["Chosen"].tolist() == ["yes", ""] and "CRPS" in shown and "MAE" not in shown


@pytest.mark.parametrize(
    ("family", "stages", "opportunity", "said"),
    [
        ("bg_nbd", 1, None, "at random times"),
        ("mbg_cnbd", 3, None, "has 3 stages"),
        ("pareto_nbd", 1, None, r"\mathrm{Gamma}(s, \beta)"),
        ("bg_bb", 1, "quarter", "once or not at all in a quarter"),
    ],
)
def test_what_the_model_assumes(family, stages, opportunity, said):
    model = {"family": family, "title": "Its name", "stages": stages, "opportunity": opportunity}
    text = value_basis.describe_model(model)
    assert said in text and "(Its name)" in text
