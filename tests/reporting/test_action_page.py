"""The action-plan page: every part is shown, text agrees with its numbers, and the lists lie beside the page."""

import pandas as pd
import pytest

from cvmlib.decisions.plan import plan_nothing, plan_unit, plan_units
from cvmlib.decisions.plan_results import save_plan
from cvmlib.reporting import action_model_page, action_page, portfolio_page
from cvmlib.reporting import action_words as words
from cvmlib.reporting.notebooks import find_notebooks
from cvmlib.reporting.steps import plan_steps
from tests.decisions.shops import SHOP, open_shop
from tests.reporting.shown import HOSTILE, capture


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return open_shop(tmp_path_factory.mktemp("page") / "shop", SHOP.replace('"Gift"', f'"{HOSTILE}"'))


@pytest.fixture(scope="module")
def plan(shop):
    return plan_unit(shop, "shop")


def test_every_part_is_shown_and_names_stay_text(shop, plan, monkeypatch):
    seen = capture(monkeypatch)
    for part in ("verdict", "roadmap", "actions", "contacts", "budget", "limits", "unknowns"):
        getattr(action_page, f"show_{part}")(plan)
    action_model_page.show_effects({"shop": plan})
    action_model_page.show_limits({"shop": plan})
    assert HOSTILE not in seen.markup and HOSTILE in seen.text
    assert f"{plan.totals['contacts']} contacts are expected to bring" in seen.text
    assert "Hope, no measured effect: hope is not measured" in seen.text
    assert "One more EUR of budget would earn" in seen.text or "more would earn nothing" in seen.text


def test_lists_beside_the_page_hold_contacts_and_the_held_out(shop, plan):
    text, table = action_page.write_lists(shop, plan)
    assert text.parent == table.parent == shop.reports_dir / "shop"
    frame, lines = pd.read_parquet(table), pd.read_csv(text)
    assert len(frame) == len(lines) == (plan.contacts["arm"] != "resting").sum()
    assert set(lines["arm"]) == {"treated", "explored", "held out"}
    assert lines["reason"].str.len().between(10, 200).all() and not lines["reason"].str.contains("\n").any()


def test_a_plan_without_effects_says_why(shop, monkeypatch):
    seen = capture(monkeypatch)
    nothing = plan_nothing(shop, "shop", "Nothing was measured.")
    action_page.show_verdict(nothing)
    action_page.show_actions(nothing)
    action_page.show_contacts(nothing)
    action_page.show_budget(nothing)
    action_page.show_unknowns(nothing)
    assert "Nothing can be promised of actions for the customers of shop." in seen.text
    assert "Nothing was measured." in seen.text and "Nobody is to be contacted." in seen.text


def test_reasons_of_contacts_agree_with_their_numbers(plan):
    row = plan.contacts.iloc[0]
    assert f"expected to add {row['gain']:,.2f} EUR for {row['cost']:,.2f} EUR" in row["reason"]
    assert row["reason"].startswith(row["stage"].capitalize())


def test_roadmap_is_told_with_its_first_move(plan):
    told = words.describe_roadmap(plan.moves, "EUR")
    assert plan.moves.iloc[0]["what"] in told and str(len(plan.moves)) in told
    assert words.describe_roadmap(plan.moves.head(0), "EUR") == "There is nothing to start, change, stop or test."


def test_portfolio_compares_budgets(shop, plan, monkeypatch):
    seen = capture(monkeypatch)
    portfolio_page.show_budgets(shop)
    save_plan(shop, plan)
    portfolio_page.show_budgets(shop)
    assert "No unit names actions" in seen.text and "Only shop has a plan; one more EUR there would earn" in seen.text


def test_moving_money_between_units_is_told_in_numbers():
    table = pd.DataFrame({"label": ["A", "B"], "next_euro": [0.1, 2.0], "value_now": [50.0, 50.0],
                          "value_best": [40.0, 90.0], "change": [-20.0, 20.0]})  # fmt: skip
    told = portfolio_page.describe_budgets(table, "EUR")
    assert told == (
        "The next EUR earns most in B: 2.00 beyond itself. Moving 20.0 EUR between the units would bring 30.0 EUR more "
        "for the same money."
    )


def test_page_and_models_are_built_where_there_are_actions_only(shop):
    steps_of = [step.key for step in plan_steps(shop, find_notebooks(shop))]
    assert "page/shop/action_plan" in steps_of
    order = [steps_of.index(f"model/{name}") for name in ("clv", "programs", "actions", "track_record")]
    assert order == sorted(order)
    bare = shop.units["shop"].model_copy(update={"actions": {}})
    without = shop.model_copy(update={"units": {"shop": bare}})
    keys = {step.key for step in plan_steps(without, find_notebooks(without))}
    assert not {"page/shop/action_plan", "model/actions"} & keys


def test_track_record_has_a_page_once_two_days_are_filed(tmp_path):
    portfolio = open_shop(tmp_path / "shop")
    folder = portfolio.record_dir / "shop"
    folder.mkdir(parents=True)
    for day, expected in (("2026-03-31", False), ("2026-06-30", True)):
        (folder / f"{day}-run-001.parquet").touch()
        keys = {step.key for step in plan_steps(portfolio, find_notebooks(portfolio))}
        assert ("page/shop/track_record" in keys) is expected


def test_a_withheld_value_withholds_the_plan(tmp_path):
    portfolio = open_shop(tmp_path / "shop")
    path = portfolio.build_dir / "units" / "shop" / "totals.json"
    path.write_text('{"verdict": {"level": "withheld"}}')
    found = plan_units(portfolio)["shop"]
    assert found.totals["contacts"] == 0 and "is withheld because a check" in found.totals["why_not"]
    path.write_text('{"verdict": {"level": "caution"}}')
    careful = plan_units(portfolio)["shop"]
    assert words.judge_plan(careful)[0] == "caution" and "usable with caution" in words.list_reasons(careful)[0]
