"""The churn page of a contractual unit: what it says, in figures of its tables, and what it withholds."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from cvmlib.churn.decision import decide, save_decision
from cvmlib.churn.fit import save_unit
from cvmlib.reporting import leaving_page as page
from cvmlib.reporting import leaving_words as words
from tests.churn.operators import fit_operator, make_operator
from tests.reporting.shown import capture, untraced

PARTS = (
    page.show_verdict, page.show_projection, page.show_cohorts, page.show_hazard, page.show_drivers, page.show_causes,
    page.show_costs, page.show_list, page.show_trust, page.show_unknowns,
)  # fmt: skip


@pytest.fixture(scope="module")
def leaving(tmp_path_factory):
    portfolio = make_operator(tmp_path_factory.mktemp("operator"))
    fit = fit_operator(portfolio)
    save_unit(portfolio, fit)
    save_decision(portfolio, fit, decide(portfolio, fit))
    return page.load_leaving(portfolio, "phone")


def show_all(unit, monkeypatch):
    seen = capture(monkeypatch)
    for part in PARTS:
        part(unit)
    return seen


def withhold(unit):
    verdict = {"level": "withheld", "headline": "Not yet.", "reasons": ["A check failed."]}
    return replace(unit, value=unit.value | {"totals": unit.totals | {"verdict": verdict}})


def test_verdict_first_who_leaves_what_it_costs_whom_to_save(leaving, monkeypatch):
    seen = capture(monkeypatch)
    page.show_verdict(leaving)
    assert "In the next three months" in seen.text and "which will cost a margin of between" in seen.text
    assert "It pays to contact" in seen.text and "No randomised experiment tells" in seen.text
    assert "<b>&" not in seen.markup and "Phone <b>& more</b>" in seen.text


def test_numbers_of_the_verdict_are_those_of_the_tables(leaving):
    sources = [leaving.churn, leaving.found["risk"], leaving.found["levers"], leaving.found["rankings"], 3, 12, 90, 100]
    told = [
        words.describe_leaving(leaving.churn, leaving.totals | {"label": "Phone"}),
        words.describe_risk(leaving.found["risk"].assign(tenure_years=lambda t: t["tenure_years"] + 1), "EUR", 3),
        words.describe_rankings(leaving.found["rankings"], leaving.churn["saving"]["customers"], "EUR"),
    ]
    assert untraced(told[0], sources) == [] and untraced(told[2], sources) == []
    years = leaving.found["risk"].assign(year=leaving.found["risk"]["tenure_years"] + 2)
    assert untraced(told[1], [*sources, years]) == []


def test_every_part_shows_and_every_figure_has_a_table(leaving, monkeypatch):
    seen = show_all(leaving, monkeypatch)
    names = set(seen.tables)
    assert {"whom-to-contact.csv", "value-at-risk.csv", "scores.csv", "calibration.csv", "cohorts.csv"} <= names
    assert len(seen.images) == 7 and all(len(alt) > 40 for alt in seen.images)
    contacts = seen.tables["whom-to-contact.csv"]
    assert len(contacts) == leaving.churn["saving"]["customers"]
    assert list(contacts)[0] == "Customer"  # of personal data nothing else
    assert "no covariates are named" in seen.text


@pytest.mark.parametrize("model", ["BdW", "Hazard"])
def test_effects_that_may_drift_are_said_to_be_those_of_a_typical_month(leaving, monkeypatch, model):
    level = {"covariate": "plan", "level": "basic", "subscriptions": 5}
    effects = pd.DataFrame([level | {"ratio": 1.5, "ratio_low": 1.2, "ratio_high": 1.9}])
    seen = capture(monkeypatch)
    page.show_drivers(replace(leaving, drivers={"facts": {"model": model, "passed": True}, "drivers": effects}))
    assert ("typical month of leaving" in seen.text) == (model == "Hazard")


def test_a_withheld_value_withholds_money_and_list(leaving, monkeypatch):
    seen = show_all(withhold(leaving), monkeypatch)
    assert "what that costs is withheld" in seen.text and "A check failed." in seen.text
    assert "whom-to-contact.csv" not in seen.tables and "value-at-risk.csv" not in seen.tables
    assert "EUR" not in seen.text


def test_without_costs_the_page_says_what_to_supply(leaving, monkeypatch):
    seen = show_all(replace(leaving, churn=leaving.churn | {"saving": None}), monkeypatch)
    assert "saving = { contact_cost" in seen.text and "Worth a contact" not in seen.text


def test_a_snapshot_shows_no_cohorts(leaving, monkeypatch):
    seen = show_all(replace(leaving, churn=leaving.churn | {"snapshot": True}), monkeypatch)
    assert "as in a snapshot" in seen.text and "cohorts.csv" not in seen.tables


def test_nobody_pays_and_no_holdout(leaving, monkeypatch):
    none = leaving.churn["saving"] | {"customers": 0, "profit": {"mean": 0.0, "low": 0.0, "high": 0.0}}
    found = {name: table for name, table in leaving.found.items() if name not in ("list", "scores", "incidence")}
    churn = leaving.churn | {"saving": none, "voluntary": None}
    seen = show_all(replace(leaving, churn=churn, found=found), monkeypatch)
    assert "It pays to contact nobody" in seen.text and "never compared with what happened" in seen.text
    assert "do not tell those who choose to leave" in seen.text


def test_measured_effects_and_drivers_are_shown(leaving, monkeypatch):
    effects = pd.DataFrame({
        "plan": ["a", "b"], "tenure_years": [0, 1], "treated": 100, "left_treated": 5, "control": 100,
        "left_control": 9, "raw": 0.04, "effect": [0.03, -0.02], "effect_low": [0.01, -0.04],
        "effect_high": [0.05, -0.01],
    })  # fmt: skip
    drivers = pd.DataFrame({
        "covariate": ["plan", "plan"], "level": ["<b>", "c"], "subscriptions": 9, "ratio": [1.5, 0.7],
        "ratio_low": [1.2, 0.5], "ratio_high": [1.9, 0.9],
    })  # fmt: skip
    found, told = leaving.found | {"effects": effects}, {"drivers": drivers, "facts": {"model": "BdW", "passed": True}}
    called = replace(leaving, churn=leaving.churn | {"experiment": "Call"}, found=found, drivers=told)
    seen = show_all(called, monkeypatch)
    assert "randomised program “Call”" in seen.text and "drives them away in 1" in seen.text
    assert "more prone to leave are plan “<b>” (1.50 times, 1.20 to 1.90)" in seen.text and "<b>" not in seen.markup
    assert json.dumps(list(seen.tables["drivers.csv"]["Level"])) == '["<b>", "c"]'
    doubtful = replace(called, drivers=told | {"facts": {"passed": False}})
    assert "did not pass its checks" in show_all(doubtful, monkeypatch).text
