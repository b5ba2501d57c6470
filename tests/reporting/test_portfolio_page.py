"""The page Portfolio: units side by side, what they are worth together, and what is left out."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cvmlib.errors import UnfitModelError
from cvmlib.reporting import portfolio_page
from cvmlib.reporting.portfolio_page import Overview
from tests.reporting.saved import REGULAR, make_totals
from tests.reporting.shown import HOSTILE, TRICKY, capture, money_forms, untraced

SHOP = {"mean": 411_000.0, "low": 398_000.0, "high": 424_000.0}
PHONE = {"mean": 464_000.0, "low": 459_000.0, "high": 469_000.0}
SECRET = {"mean": 8642135.7, "low": 7531864.2, "high": 9753186.4}


def make_portfolio(tmp_path, **labels):
    labels = labels or {"shop": "Corner shop", "food": "Food", "phone": "Phone"}
    units = {name: SimpleNamespace(label=label) for name, label in labels.items()}
    return SimpleNamespace(
        build_dir=tmp_path, units=units, interval=0.9, horizon_months=12, currency="EUR", name="Company"
    )


def save(tmp_path, name, level, value, seed, draws=4000, **changes):
    folder = tmp_path / "units" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "totals.json").write_text(json.dumps(make_totals(level, unit=name, value=value, **changes)))
    spread = (value["high"] - value["low"]) / 3.29
    values = np.random.default_rng(seed).normal(value["mean"], spread, draws)
    pd.DataFrame({"value": values}).to_parquet(folder / "total_draws.parquet")


@pytest.fixture
def portfolio(tmp_path):
    """A sound shop, a withheld one and subscribers."""
    save(tmp_path, "shop", "sound", SHOP, 1, label="Corner shop")
    save(tmp_path, "food", "withheld", SECRET, 2, label="Food")
    save(tmp_path, "phone", "caution", PHONE, 3, draws=1000, label="Phone", active=180, setting="contractual")
    return make_portfolio(tmp_path)


def show_all(monkeypatch, overview):
    seen = capture(monkeypatch)
    portfolio_page.show_verdict(overview)
    portfolio_page.show_units(overview)
    portfolio_page.show_reasons(overview)
    return seen


def test_units_add_up_and_the_range_is_narrower_than_the_sum_of_ranges(monkeypatch, portfolio):
    overview = portfolio_page.load_overview(portfolio)
    total = portfolio_page.sum_units(overview)
    assert total["mean"] == 875_000
    assert 0.6 * 36_000 < total["high"] - total["low"] < 0.95 * 36_000
    seen = show_all(monkeypatch, overview)
    assert "Over the next 12 months the customers of 2 units will bring a margin of between" in seen.prose
    assert "Withheld, because a check failed: Food." in seen.prose
    assert "Units valued 2 of 3" in seen.prose
    assert "Phone holds 53% of the value that can be stated, and its customers are worth most each." in seen.prose


def test_every_number_in_words_is_one_of_the_results(monkeypatch, portfolio):
    overview = portfolio_page.load_overview(portfolio)
    seen = show_all(monkeypatch, overview)
    sources = [*seen.tables.values(), portfolio_page.sum_units(overview), 240 + 180, [2, 3, 12, 31, 4.20, 0.9]]
    assert untraced(seen.prose, sources) == []


def test_withheld_value_is_nowhere(monkeypatch, portfolio):
    seen = show_all(monkeypatch, portfolio_page.load_overview(portfolio))
    for number in SECRET.values():
        assert not [form for form in money_forms(number) if form in seen.text]
    table = seen.tables["units.csv"].set_index("Unit")
    assert table.loc["Food", ["Expected value (EUR)", "from", "to", "Share", "Per customer (EUR)"]].isna().all()
    assert table.loc["Food", "Verdict"] == "Withheld" and table.loc["Food", "Customers"] == 240
    assert table.loc["Phone", "Per customer (EUR)"] == pytest.approx(464_000 / 180)
    assert f"Food (withheld): {REGULAR}" in seen.prose and "Corner shop (sound): All checks passed." in seen.prose


def test_saved_total_is_what_the_page_says(portfolio, tmp_path):
    overview = portfolio_page.load_overview(portfolio)
    portfolio_page.save_total(overview)
    assert json.loads((tmp_path / "portfolio.json").read_text())["value"] == portfolio_page.sum_units(overview)


def test_all_withheld(monkeypatch, tmp_path):
    save(tmp_path, "food", "withheld", SECRET, 2, label="Food")
    overview = portfolio_page.load_overview(make_portfolio(tmp_path, food="Food", late="Late"))
    seen = show_all(monkeypatch, overview)
    assert seen.prose.count("No unit's value can be stated.") >= 2
    assert "Without results: Late." in seen.prose
    portfolio_page.save_total(overview)
    assert json.loads((tmp_path / "portfolio.json").read_text()) == {"value": None}


def test_one_unit_is_not_compared_with_itself(monkeypatch, tmp_path):
    save(tmp_path, "shop", "sound", SHOP, 1, label="Corner shop")
    seen = show_all(monkeypatch, portfolio_page.load_overview(make_portfolio(tmp_path, shop="Corner shop")))
    assert "the customers of 1 unit will bring" in seen.prose
    assert "Only the value of Corner shop can be stated." in seen.prose and "Withheld units" not in seen.prose
    assert 'aria-label="Verdict: Sound"' in seen.markup


def test_units_that_lose_money(monkeypatch, tmp_path):
    for place, name in enumerate(("shop", "food")):
        save(tmp_path, name, "sound", {"mean": -5000.0, "low": -7000.0, "high": -3000.0}, place, label=name)
    seen = show_all(monkeypatch, portfolio_page.load_overview(make_portfolio(tmp_path, shop="shop", food="food")))
    assert "a margin of between −" in seen.prose
    assert "No unit is expected to bring more than it costs." in seen.prose
    assert seen.tables["units.csv"]["Share"].isna().all()


@pytest.mark.parametrize("name", [HOSTILE, TRICKY])
def test_names_from_data_are_text(monkeypatch, tmp_path, name):
    save(tmp_path, "shop", "caution", SHOP, 1, label=name)
    save(tmp_path, "food", "withheld", SECRET, 2, label=f"2 {name}")
    seen = show_all(monkeypatch, portfolio_page.load_overview(make_portfolio(tmp_path, shop=name, food=f"2 {name}")))
    assert "<script" not in seen.markup and "<math" not in seen.markup and "<em>" not in seen.markup
    assert f"Only the value of {name} can be stated." in seen.prose
    assert f"Withheld, because a check failed: 2 {name}." in seen.prose
    assert f"{name} (with caution): Only 31 customers bought again." in seen.prose


def test_only_units_up_to_date_are_read(portfolio):
    overview = portfolio_page.load_overview(portfolio, ["shop", "food"])
    assert list(overview.totals) == ["shop", "food"] and overview.missing == ["Phone"]
    assert overview.people == {"shop": 240, "food": 240}
    with pytest.raises(UnfitModelError, match="No unit has been valued yet"):
        portfolio_page.load_overview(portfolio, [])


def test_nothing_to_add_up(portfolio):
    assert portfolio_page.sum_units(Overview(portfolio, {}, pd.DataFrame())) is None
