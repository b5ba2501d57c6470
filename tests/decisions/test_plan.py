"""Plans: measured effects on what they act on, within all limits, with nobody contacted who must not be."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.business_unit import Action
from cvmlib.clv.live import load_live
from cvmlib.decisions.actions import Opportunities, count_capacity, state_limits
from cvmlib.decisions.effects import Effect, measure_actions, require_effects
from cvmlib.decisions.plan import plan_unit, plan_units
from cvmlib.decisions.plan_results import load_plan, save_plan
from cvmlib.decisions.unit_budgets import split_budget
from cvmlib.errors import ConfigError, DataError, UnfitModelError
from cvmlib.programs.results import save_result
from cvmlib.reporting import action_words
from tests.decisions.shops import SHOP, open_shop, study_by_hand


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return open_shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="module")
def plan(shop):
    return plan_unit(shop, "shop")


def contacted(plan):
    return plan.contacts[plan.contacts["arm"].isin(["treated", "explored"])]


def test_limits_of_the_file_are_kept(plan):
    table = contacted(plan)
    assert table["cost"].sum() <= 60 + 1e-9 and (table["channel"] == "email").sum() <= 200
    assert (table["action"] == "gift").sum() <= 60 and table["customer_id"].is_unique
    assert plan.totals["contacts"] == len(table) > 50


def test_held_out_and_resting_customers_are_left_alone(plan):
    held = set(plan.contacts.loc[plan.contacts["arm"] == "held out", "customer_id"])
    resting = set(plan.contacts.loc[plan.contacts["arm"] == "resting", "customer_id"])
    assert 20 <= len(held) <= 65 and not (held | resting) & set(contacted(plan)["customer_id"])
    assert resting | (held & {f"C{n:04d}" for n in range(20)}) == {f"C{n:04d}" for n in range(20)}


def test_stages_of_an_action_are_kept(plan):
    table = contacted(plan)
    assert set(table.loc[table["action"] == "gift", "stage"]) <= {"active"}


def test_gain_is_the_effect_on_what_a_customer_brings_in_the_window(shop, plan):
    saved = pd.read_parquet(shop.build_dir / "units" / "shop" / "value.parquet").set_index("customer_id")
    live = load_live(shop, "shop")
    row = contacted(plan).query("action == 'mail'").iloc[0]
    counts = saved.loc[[row["customer_id"]]].reset_index()
    alike, means = live.expect("", counts, np.array([0.0, 60.0]))
    money = means.money[0] + means.money[1] * counts["monetary_value"].iloc[0]
    margin = live.terms.kept * money - live.terms.per_transaction * means.discounted
    assert len(alike) == 1
    assert row["gain"] == pytest.approx(float(margin[0]) * study_by_hand().draws["spring"].mean(), rel=1e-9)
    assert row["net"] == pytest.approx(row["gain"] - 0.2)


def test_promise_is_the_posterior_of_the_whole_plan(plan):
    table, value = contacted(plan), plan.totals["value"]
    assert value["mean"] == pytest.approx(table["net"].sum(), rel=1e-6)
    draws = study_by_hand().draws
    gain = {name: table.loc[table["action"] == name, "gain"].sum() for name in ("mail", "gift")}
    total = sum(
        gain[action] * draws[program].to_numpy() / draws[program].mean()
        for action, program in {"mail": "spring", "gift": "gift"}.items()
    )
    low, high = np.quantile(total - table["cost"].sum(), [0.05, 0.95])
    assert (value["low"], value["high"]) == pytest.approx((low, high), rel=1e-6)


def test_action_without_measured_effect_is_told_and_left_out(plan):
    row = plan.actions.set_index("action").loc["hope"]
    assert row["reason"] == "hope is not measured: Nobody was held back."
    assert "hope" not in set(contacted(plan)["action"])
    assert "Hope has no measured effect and has no part in the plan." in action_words.list_reasons(plan)


def test_no_measured_effect_at_all_is_refused(shop):
    actions = {"hope": shop.units["shop"].actions["hope"]}
    study = study_by_hand()
    effects, reasons = measure_actions("shop", actions, study.results, study.draws)
    with pytest.raises(
        DataError, match=r"units\.shop\.actions: none of 1 actions has a measured effect.* hope: hope is"
    ):
        require_effects("shop", effects, reasons)


def test_unit_without_any_effect_is_planned_as_nothing(tmp_path):
    portfolio = open_shop(tmp_path / "bare")
    study = study_by_hand()
    save_result(portfolio, type(study)(**{**vars(study), "draws": pd.DataFrame()}))
    found = plan_units(portfolio)["shop"]
    assert not found.totals["contacts"] and "none of 3 actions has a measured effect" in found.totals["why_not"]
    assert action_words.judge_plan(found)[0] == "withheld" and set(found.moves["kind"]) == {"stop", "test"}


def test_unknown_program_is_refused(shop):
    study = study_by_hand()
    action = Action(label="Mail", channel="email", cost=1, programs="sprin")
    with pytest.raises(
        ConfigError, match=r'actions\.mail\.programs: found "sprin"; unknown program\. Did you mean spring'
    ):
        measure_actions("shop", {"mail": action}, study.results, study.draws)


def test_capacity_below_the_held_out_share_is_refused(tmp_path):
    config = SHOP.replace("channels = { email = 200 }", "channels = { email = 10, post = 5 }")
    portfolio = open_shop(tmp_path / "small", config)
    with pytest.raises(ConfigError, match=r"capacity allows 15 contacts in a period, but \d+ customers are held out"):
        plan_unit(portfolio, "shop")


def test_capacity_counts_channels_actions_and_customers(shop):
    settings = shop.units["shop"]
    limits = state_limits(settings.actions, ("mail", "gift"), settings.action_plan)
    assert limits.names == ("budget", "channel email", "action gift")
    assert count_capacity(limits, 1000) == 260 and count_capacity(limits, 100) == 100


def test_effect_on_leaving_is_at_most_the_probability_to_leave():
    effect = Effect(np.full((4, 1), 0.3), (("basic", 0),))
    here = Opportunities(
        ("call",), np.array([1.0]), np.array([[50.0]]), np.zeros((1, 1), int), np.array([[0.1]]), (effect,)
    )
    assert here.gains()[0, 0] == pytest.approx(5.0) and here.net()[0, 0] == pytest.approx(4.0)
    assert here.draw_totals(np.array([[2]])) == pytest.approx(np.full((4, 1), 8.0))


def test_roadmap_saves_money_first_and_then_goes_by_value_per_effort(plan):
    moves = plan.moves
    assert moves["kind"].iloc[0] == "stop" or (moves["effort"].dropna() > 0).all()
    worth = moves.loc[moves["effort"] > 0, "per_effort"].dropna()
    assert (np.diff(worth) <= 1e-9).all()


def test_plan_survives_being_saved(shop, plan):
    save_plan(shop, plan)
    found = load_plan(shop, "shop")
    assert found.totals == plan.totals and len(found.contacts) == len(plan.contacts)
    with pytest.raises(UnfitModelError, match="There is no plan of actions for other yet"):
        load_plan(shop, "other")


def test_more_budget_never_earns_less(plan):
    curve = plan.curve.sort_values("budget")
    assert (np.diff(curve["value"]) >= -5e-3 * curve["value"].max()).all()


def test_budget_goes_where_it_earns_most(plan):
    poor = pd.DataFrame({"budget": [0.0, 100.0], "cost": [0.0, 100.0], "value": [0.0, 10.0]})
    rich = pd.DataFrame({"budget": [0.0, 100.0, 300.0], "cost": [0.0, 100.0, 300.0], "value": [0.0, 90.0, 120.0]})

    def unit(curve, cost):
        return type(plan)("u", plan.actions, plan.contacts, plan.moves, curve, plan.totals | {"cost": cost})

    found = split_budget({"poor": unit(poor, 100.0), "rich": unit(rich, 50.0)}).set_index("unit")
    assert found.loc["rich", "best"] == pytest.approx(150.0, abs=1) and found.loc["poor", "best"] == pytest.approx(
        0, abs=1
    )
    assert found["value_best"].sum() == pytest.approx(97.5, abs=0.5)
    assert found.loc["rich", "next_euro"] == pytest.approx(0.9)
