"""The customer-value page: every part is shown, what is withheld or missing is said, names from data stay text."""

from dataclasses import replace

import pandas as pd
import pytest

from cvmlib.decisions import value_study
from cvmlib.decisions.value_results import TABLES, UnitParts
from cvmlib.decisions.value_study import study_parts
from cvmlib.reporting import customer_value_page as page
from cvmlib.reporting import growth_words as growth
from cvmlib.reporting import value_parts_model_page as model_page
from cvmlib.reporting import value_parts_words as words
from tests.decisions.company import know_posterior, write_company
from tests.reporting.shown import HOSTILE, capture

SECTIONS = ("verdict", "parts", "types", "tiers", "moves", "clusters", "headroom", "influence", "payback",
            "penetration", "best", "unknowns")  # fmt: skip


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    portfolio, tables = write_company(tmp_path_factory.mktemp("page"), 600, 400)
    live = know_posterior(portfolio, tables["fashion"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_study, "load_live", lambda *_: live)
        return study_parts(portfolio)


def show_all(unit: UnitParts, monkeypatch):
    seen = capture(monkeypatch)
    for section in SECTIONS:
        getattr(page, f"show_{section}")(unit)
    return seen


@pytest.mark.parametrize("name", ["fashion", "mobile"])
def test_every_part_is_shown_and_adds_up(studies, name, monkeypatch):
    unit = studies[name].result
    seen = show_all(unit, monkeypatch)
    table = seen.tables["parts-of-value.csv"]
    values = table["Value (EUR)"]
    assert values.iloc[:4].sum() == pytest.approx(values.iloc[4])
    assert table["Share"].iloc[:4].sum() == pytest.approx(1.0)
    names = {"types.csv", "tiers.csv", "moves.csv", "behaviour.csv", "headroom.csv", "influence.csv", "payback.csv"}
    assert names | {"best-customers.csv", "concentration.csv"} <= set(seen.tables)
    assert "Fashion <b>" not in seen.markup and "nothing is counted twice" in seen.prose
    assert seen.tables["types.csv"]["Share of current value"].sum() == pytest.approx(1.0)
    assert "customers" in words.judge_page(unit)[1] and words.judge_page(unit)[0] in ("sound", "caution")


def test_withheld_value_is_not_told(studies, monkeypatch):
    whole = studies["fashion"].result
    kept = ("moves", "clusters", "payback", "costs", "penetration", "categories")
    tables = {name: whole.tables[name] if name in kept else pd.DataFrame() for name in TABLES}
    unit = replace(whole, totals=whole.totals | {"withheld": True}, tables=tables)
    seen = show_all(unit, monkeypatch)
    assert "what they will bring is withheld" in seen.text
    assert not {"parts-of-value.csv", "types.csv", "best-customers.csv", "headroom.csv"} & set(seen.tables)
    assert "payback.csv" in seen.tables


def test_hostile_names_stay_text(studies, monkeypatch):
    whole = studies["fashion"].result
    tables = dict(whole.tables)
    tables["best"] = tables["best"].assign(customer_id=HOSTILE)
    tables["referrers"] = tables["referrers"].assign(customer_id=HOSTILE)
    tables["clusters"] = tables["clusters"].assign(cluster=HOSTILE)
    seen = show_all(replace(whole, totals=whole.totals | {"label": HOSTILE}, tables=tables), monkeypatch)
    assert HOSTILE not in seen.markup and "alert(1)" in seen.text


def test_what_is_missing_is_said(studies, monkeypatch):
    whole = studies["fashion"].result
    empty = dict(whole.tables) | dict.fromkeys(
        ("payback", "costs", "penetration", "referrers", "categories", "moves", "market"), pd.DataFrame()
    )
    empty["kinds"] = whole.tables["kinds"].query("kind == 'up_sell'")
    unit = replace(
        whole,
        totals=whole.totals | {"missing": ["products"], "absent": ["Costs are not on record."], "referred": 0},
        tables=empty,
    )
    seen = show_all(unit, monkeypatch)
    for told in ("payback cannot be told", "influence cannot be told", "a table products would tell which to offer",
                 "add-on cannot be told: map product_id", "market_customers, in [units.fashion] of the portfolio file",
                 "cannot be told without acquisition costs", "Costs are not on record.",
                 "nobody's move between tiers can be told"):  # fmt: skip
        assert told in seen.text


def test_headroom_is_told_by_kind_and_adds_up(studies, monkeypatch):
    seen = show_all(studies["fashion"].result, monkeypatch)
    kinds, total = seen.tables["kinds-of-headroom.csv"], studies["fashion"].result.tables["parts"].set_index("part")
    assert kinds["Headroom (EUR)"].sum() == pytest.approx(total.loc["potential", "mean"])
    assert kinds["Share"].sum() == pytest.approx(1.0) and len(kinds) == 3
    assert "more products per purchase" in seen.text and "of it add-on" in seen.tables["headroom.csv"]
    phone = show_all(studies["mobile"].result, monkeypatch)
    assert "Cross-sell and add-on cannot be told, for a subscription names no products" in phone.text


def test_market_and_what_one_more_is_worth(studies, monkeypatch):
    whole = studies["fashion"].result
    unit = replace(whole, totals=whole.totals | {"market": 6_000})
    seen = show_all(unit, monkeypatch)
    assert "10% of the market of 6,000 customers is won" in seen.text and "still are customers" in seen.text
    assert "One more customer brings" in seen.text and "wherever a further purchase is had for less than" in seen.text
    steps = seen.tables["one-more.csv"]
    assert steps["One more"].tolist()[0] == "customer, first 12 months" and len(steps) == 3
    gross, cost, worth = (steps[f"{name} (EUR)"][0] for name in ("Margin it brings", "Cost of winning", "Worth"))
    assert worth == pytest.approx(gross - cost)
    assert "One more month of a subscription" in show_all(studies["mobile"].result, monkeypatch).text


def test_one_way_alone_is_not_compared(studies):
    whole = studies["fashion"].result
    rows = pd.DataFrame(
        {"way": ["account"], "back": [1.234], "low": [1.0], "high": [1.5], "rests_on": [3], "chance": [None]}
    )
    unit = replace(whole, tables=dict(whole.tables) | {"penetration": rows})
    assert "programs for present customers has brought back 1.23" in growth.describe_penetration(unit)
    assert "acquisition costs are missing" in growth.describe_penetration(unit)


def test_models_page_shows_sums_and_certainty(studies, monkeypatch):
    seen = capture(monkeypatch)
    for part in ("sums", "certainty", "notes"):
        getattr(model_page, f"show_{part}")(studies)
    assert (seen.tables["sums.csv"]["Difference"] == 0).all() and (seen.tables["sums.csv"]["Credited, net"] == 0).all()
    assert seen.tables["certainty.csv"]["Unit"].tolist() == ["Fashion <b>", "Mobile"]
    assert "differ by 0.00 at most" in seen.prose and "Nothing is missing" in seen.prose
