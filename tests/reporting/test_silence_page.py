"""The churn page of a non-contractual unit: its words, its list, and what it withholds."""

from dataclasses import replace

import pytest

from cvmlib.business_unit import Saving
from cvmlib.churn.silence import weigh_silence
from cvmlib.clv.results import UnitValue
from cvmlib.reporting import silence_page as page
from tests.reporting.saved import make_customers, make_totals
from tests.reporting.shown import capture

TERMS = Saving(contact_cost=0.5, offer_cost=2.0, acceptance=[0.1, 0.3])


def make_silence(level: str = "sound", terms: Saving | None = TERMS) -> page.Silence:
    customers = make_customers()
    customers = customers.assign(p_alive_later=0.8 * customers["p_alive"])
    totals = make_totals(level, customers) | {"alive": 150.0, "alive_later": 120.0, "buyers": [100.0, 80.0, 60.0]}
    value = UnitValue(totals, customers, None, None)
    weighed = weigh_silence(customers, terms)
    if terms is None:
        return page.Silence(value, weighed, weighed.nlargest(500, "at_stake"), None)
    listed = weighed[weighed["profit"] > 0].sort_values("profit", ascending=False)
    profit = {"mean": 40.0, "low": -10.0, "high": 90.0}
    return page.Silence(
        value,
        weighed,
        listed,
        {"customers": len(listed), "base": 240, "profit": profit, "chance": 0.8} | TERMS.model_dump(),
    )


def show_all(unit, monkeypatch):
    seen = capture(monkeypatch)
    for part in (page.show_verdict, page.show_bands, page.show_list, page.show_unknowns):
        part(unit)
    return seen


def test_says_who_left_what_it_costs_and_whom_to_win_back(monkeypatch):
    unit = make_silence()
    seen = show_all(unit, monkeypatch)
    gone = f"{unit.weighed['p_gone'].sum():,.0f}"
    assert f"About {gone} of the 240 customers of Corner shop have left without saying so" in seen.text
    assert "30 will leave in the next 12 months (20.0%)" in seen.text or "30 will leave" in seen.text
    assert "100 customers" in seen.text and "will buy nothing" in seen.text
    assert f"It pays to contact {len(unit.listed)} customers" in seen.text
    table = seen.tables["whom-to-contact.csv"]
    assert len(table) == len(unit.listed) and table.iloc[:, -1].is_monotonic_decreasing
    assert seen.tables["silence.csv"]["Customers"].sum() == 240


def test_without_costs_it_lists_what_is_at_stake_and_says_what_to_supply(monkeypatch):
    seen = show_all(make_silence(terms=None), monkeypatch)
    assert "saving = { contact_cost" in seen.text and "Expected profit (EUR)" not in seen.tables["whom-to-contact.csv"]


def test_a_withheld_forecast_shows_no_customer(monkeypatch):
    seen = show_all(make_silence("withheld"), monkeypatch)
    assert "cannot be said yet" in seen.text and not seen.tables and "EUR" not in seen.text.replace("EUR)", "")


@pytest.mark.parametrize("gone", [("alive_later",), ("buyers",), ("alive_later", "buyers")])
def test_totals_of_an_earlier_build_are_no_error(gone, monkeypatch):
    unit = make_silence()
    totals = {name: value for name, value in unit.totals.items() if name not in gone}
    show_all(replace(unit, value=UnitValue(totals, unit.value.customers, None, None)), monkeypatch)
