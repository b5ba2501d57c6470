"""The page Value: what it says, what it withholds, and that every number in its words is in its tables."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from cvmlib.reporting import value_page
from tests.reporting.saved import REGULAR, make_unit
from tests.reporting.shown import HOSTILE, TRICKY, capture, money_forms, untraced


def channels_of(unit, *names):
    chosen = [names[i % len(names)] for i in range(len(unit.customers))]
    return pd.DataFrame({"customer_id": unit.customers["customer_id"], "acquisition_channel": chosen})


def show_all(monkeypatch, unit, customers=None, draw=False):
    """Show the page of a unit, as its notebook does."""
    seen = capture(monkeypatch, draw)
    customers = channels_of(unit, "search", "email", "store") if customers is None else customers
    value_page.show_verdict(unit)
    value_page.show_distribution(unit)
    value_page.show_best(unit)
    value_page.show_groups(unit, customers, "acquisition_channel", "acquisition channel")
    value_page.show_silent(unit)
    value_page.show_tracking(unit)
    value_page.show_calibration(unit)
    value_page.show_unknowns(unit)
    value_page.show_checks(unit)
    assert not re.search(r"\b(nan|inf|NaT|None|not known)\b", seen.prose), seen.prose
    return seen


def test_headline_says_the_value_with_its_range(monkeypatch):
    unit = make_unit(value={"mean": 4.61e6, "low": 4.12e6, "high": 5.27e6})
    seen = show_all(monkeypatch, unit)
    assert (
        "Over the next 12 months the 240 customers of Corner shop will bring a margin of between 4.1 and 5.3 million "
        "EUR, most likely 4.6." in seen.prose
    )
    assert "4.61 million EUR with 90% probability 4.12 million to 5.27 million" in seen.prose
    assert "45% of sales) after returns and costs, discounted at 10% a year" in seen.prose
    assert "Customers yet to be won are not in it." in seen.prose


def test_every_number_in_words_is_one_of_the_results(monkeypatch):
    unit = make_unit()
    seen = show_all(monkeypatch, unit)
    totals = unit.totals
    each = totals["value"]["mean"] / totals["customers"]
    listed = [*seen.tables.values(), totals, each, [8, 12, 25, 500, len(unit.customers), 240]]
    assert untraced(seen.prose, listed) == []
    assert untraced("They will bring 987.65 EUR, 4.44%.", listed) == ["987.65", "4.44%"]  # the test itself can fail


def test_tables_hold_the_results(monkeypatch):
    unit = make_unit()
    tables = show_all(monkeypatch, unit).tables
    assert list(tables) == [
        "value-by-tenth.csv", "best-customers.csv", "value-by-acquisition-channel.csv", "silent-customers.csv",
        "tracking.csv", "holdout-by-frequency.csv", "model-checks.csv",
    ]  # fmt: skip
    total = unit.customers["value"].sum()
    tenths, groups, best = (tables[name] for name in list(tables)[:1] + list(tables)[2:3] + list(tables)[1:2])
    assert tenths["Expected value (EUR)"].sum() == pytest.approx(total)
    assert tenths["Share so far"].iloc[-1] == pytest.approx(1.0)
    assert groups["Expected value in all (EUR)"].sum() == pytest.approx(total)
    assert groups["Customers"].sum() == 240
    assert best["Expected value (EUR)"].is_monotonic_decreasing and len(best) == 240
    assert (tables["silent-customers.csv"]["Still a customer"] < 0.5).all()
    assert tables["model-checks.csv"]["Check"].tolist() == [
        "Timing of purchases", "Repeat buyers", "Convergence of the purchase model",
    ]  # fmt: skip


def test_figures_say_in_words_what_they_show(monkeypatch):
    seen = show_all(monkeypatch, make_unit(), draw=True)
    assert len(seen.images) == 3 and all(len(alt) > 40 for alt in seen.images)


def test_a_withheld_unit_shows_no_value_but_why(monkeypatch):
    unit = make_unit("withheld", value={"mean": 8642135.7, "low": 7531864.2, "high": 9753186.4})
    seen = show_all(monkeypatch, unit)
    assert "What the customers of Corner shop are worth cannot be said yet." in seen.prose
    assert REGULAR in seen.prose
    for number in unit.totals["value"].values():
        assert not [form for form in money_forms(number) if form in seen.text]
    assert not any("value" in name or "customers" in name for name in seen.tables)
    assert {"tracking.csv", "model-checks.csv"} <= set(seen.tables)  # why it is withheld stays
    assert seen.prose.count(value_page.WITHHELD) == 2  # once for each section that is left out


def test_the_search_for_withheld_values_would_find_one(monkeypatch):
    unit = make_unit("sound", value={"mean": 8642135.7, "low": 7531864.2, "high": 9753186.4})
    seen = show_all(monkeypatch, unit)
    assert [form for form in money_forms(8642135.7) if form in seen.text]


@pytest.mark.parametrize("name", [HOSTILE, TRICKY])
def test_names_from_data_are_text(monkeypatch, name):
    unit = make_unit(label=name)
    customers = unit.customers.copy()
    customers["p_alive"] = 0.2
    customers.loc[customers["value"].idxmax(), "customer_id"] = name
    top = customers[customers["frequency"] > 0]["total_value"].idxmax()
    customers.loc[top, "customer_id"] = f"{name}2"
    unit = replace(unit, customers=customers)
    seen = show_all(monkeypatch, unit, channels_of(unit, f"a {name}", f"b {name}"))
    assert "<script" not in seen.markup and "<math" not in seen.markup and "<em>" not in seen.markup
    assert "<a href" not in seen.markup
    assert f"customers of {name} will bring" in seen.prose
    assert f"The best of them, {name}2, bought for" in seen.prose
    assert f"customers from a {name} are worth" in seen.prose or f"customers from b {name} are worth" in seen.prose


def test_caution_gives_its_reasons_at_the_top(monkeypatch):
    seen = show_all(monkeypatch, make_unit("caution"))
    assert "With caution" in seen.parts[0] and "Only 31 customers bought again." in seen.parts[0]


def test_unit_without_holdout(monkeypatch):
    unit = replace(make_unit(holdout=None, calibration_end=None), tracking=None, by_frequency=None)
    seen = show_all(monkeypatch, unit)
    assert "too short to hold out a part of it, so the forecast could not be tried" in seen.prose
    assert "tracking.csv" not in seen.tables and "holdout-by-frequency.csv" not in seen.tables


def test_holdout_in_which_nobody_bought(monkeypatch):
    unit = make_unit()
    unit.totals["holdout"] |= {"actual": 0.0, "bias": float("nan"), "correlation": float("nan")}
    assert "until 30 June 2026; none was made." in show_all(monkeypatch, unit).prose


@pytest.mark.parametrize(
    ("bias", "said"), [(0.047, "4.7% too high"), (-0.047, "4.7% too low"), (0.0004, "412 were made, as forecast")]
)
def test_side_of_the_holdout_error(monkeypatch, bias, said):
    unit = make_unit()
    unit.totals["holdout"]["bias"] = bias
    assert said in show_all(monkeypatch, unit).prose


def test_customers_who_cost_more_than_they_bring(monkeypatch):
    unit = make_unit(shift=40.0)
    assert unit.customers["value"].sum() < 0 < unit.customers["value"].max()
    seen = show_all(monkeypatch, unit)
    assert "All customers together are expected to bring −" in seen.prose and "so there is none to share" in seen.prose
    assert "of Corner shop will bring a margin of between −" in seen.prose
    everybody = show_all(monkeypatch, make_unit(shift=4000.0))
    assert "so there is none to share" in everybody.prose


def test_some_customers_below_zero(monkeypatch):
    unit = make_unit(shift=12.0)
    assert unit.customers["value"].sum() > 0 > unit.customers["value"].min()
    seen = show_all(monkeypatch, unit)
    below = int((unit.customers["value"] < unit.customers["value"].max() / 1e4).sum())
    assert f"the first bar holds the {below} below" in seen.prose


def test_one_customer(monkeypatch):
    seen = show_all(monkeypatch, make_unit(number=1))
    assert "the 1 customer of Corner shop will bring" in seen.prose
    assert "With 1 customer there is little to compare" in seen.prose
    assert "Only one acquisition channel is on record, search," in seen.prose


@pytest.mark.parametrize("column", [[], ["acquisition_channel"]])
def test_without_channels_the_page_says_what_to_supply(monkeypatch, column):
    unit = make_unit()
    customers = unit.customers[["customer_id"]].assign(**dict.fromkeys(column))
    seen = show_all(monkeypatch, unit, customers)
    assert "supply a table customers with a column acquisition_channel" in seen.prose
    assert "value-by-acquisition-channel.csv" not in seen.tables


def test_customers_of_unknown_channel_are_counted_but_not_compared(monkeypatch):
    unit = make_unit()
    seen = show_all(monkeypatch, unit, channels_of(unit, None, "search", "email"))
    assert "(not known)" in seen.tables["value-by-acquisition-channel.csv"]["Acquisition channel"].tolist()
    assert "customers from (not known)" not in seen.prose
    alone = show_all(monkeypatch, unit, channels_of(unit, None, "search"))
    assert "Only one acquisition channel is on record, search," in alone.prose


def test_nobody_has_gone_silent(monkeypatch):
    unit = make_unit()
    seen = show_all(monkeypatch, replace(unit, customers=unit.customers.assign(p_alive=0.9)))
    assert "No customer who bought more than once is more likely to have left than not." in seen.prose


def test_unit_without_returns_does_not_speak_of_them(monkeypatch):
    seen = show_all(monkeypatch, make_unit(returned_share=0.0))
    assert "Who returns what" not in seen.prose and "after costs, discounted" in seen.prose
    assert "8.3% of the money bought came back later" in show_all(monkeypatch, make_unit()).prose


def test_dates_are_set_as_dates(monkeypatch):
    seen = show_all(monkeypatch, make_unit())
    assert re.search(r'class="gt_row gt_right">202\d-\d\d-\d\d<', seen.markup)
