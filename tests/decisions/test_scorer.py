"""Scores in real time: equal to the batch, event by event, and clear about events that cannot be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cvmlib.churn.simulate import PlanTruth, observe, simulate_subscriptions
from cvmlib.clv.live import load_live, value_rows
from cvmlib.decisions.latent import infer_spend, infer_unit_rates
from cvmlib.decisions.plan import plan_units
from cvmlib.decisions.plan_results import save_plan
from cvmlib.decisions.score_file import read_events, score_events, write_scores
from cvmlib.decisions.scorer import Scorer
from cvmlib.decisions.segments import read_criteria
from cvmlib.decisions.tiers import assign_tiers
from cvmlib.decisions.types import TYPES, assign_types
from cvmlib.errors import ConfigError, DataError
from tests.decisions.shops import END, count_log, draw_log, open_club, open_shop, study_values


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    portfolio = open_shop(tmp_path_factory.mktemp("shop") / "shop")
    for plan in plan_units(portfolio).values():
        save_plan(portfolio, plan)
    study_values(portfolio, "shop")
    return portfolio


@pytest.fixture(scope="module")
def club(tmp_path_factory):
    months = np.arange(60)
    plans = {"basic": PlanTruth(0.6, 10.0, 0.02 + 0.05 * np.exp(-months / 8)),
             "pro": PlanTruth(0.4, 30.0, 0.01 + 0.02 * np.exp(-months / 15))}  # fmt: skip
    spells = observe(simulate_subscriptions(600, END, plans, heterogeneity=0.4, seed=7), END)
    second = spells.index % 7 == 6  # some have two subscriptions
    spells["customer_id"] = spells["customer_id"].shift(1).where(second, spells["customer_id"])
    portfolio = open_club(tmp_path_factory.mktemp("club") / "club", spells)
    study_values(portfolio, "club")
    return portfolio


def saved(portfolio, unit):
    return pd.read_parquet(portfolio.build_dir / "units" / unit / "value.parquet").set_index("customer_id")


def test_buyers_have_the_scores_of_the_batch(shop):
    scorer, batch = Scorer(shop, "shop"), saved(shop, "shop")
    found = pd.DataFrame([scorer.score(name) for name in batch.index]).set_index("customer_id")
    for mine, theirs in {"probability_alive": "p_alive", "value": "value", "expected_purchases": "expected_purchases",
                         "expected_spend": "expected_spend"}.items():  # fmt: skip
        np.testing.assert_allclose(found[mine], batch[theirs], rtol=1e-9)


def segments(chances, kind, names):
    """The likeliest type or tier of each customer, and its probability."""
    table = chances[[f"{kind}_{name}" for name in names]].to_numpy()
    return np.array(names)[table.argmax(axis=1)], table.max(axis=1)


@pytest.mark.parametrize(("unit", "kinds"), [("shop", 4), ("club", 3)])
def test_types_and_tiers_are_those_of_the_study(request, unit, kinds):
    portfolio = request.getfixturevalue(unit)
    folder, scorer = portfolio.build_dir / "units" / unit, Scorer(portfolio, unit)
    batch = pd.read_parquet(folder / "value_parts.parquet").set_index("customer_id").dropna(subset="type_gold")
    found = pd.DataFrame([scorer.score(name) for name in batch.index]).set_index("customer_id")
    for kind, names in (("type", TYPES), ("tier", read_criteria(portfolio, unit).tiers.names)):
        named, chance = segments(batch, kind, names)
        np.testing.assert_allclose(found[f"{kind}_probability"], chance, rtol=1e-9, atol=1e-12)
        assert (found[kind] == named).all() and found[kind].nunique() >= min(kinds, len(names)) - 1


@pytest.mark.parametrize("foresee", [True, False])
def test_after_each_event_a_buyer_has_the_scores_of_a_batch_of_that_day(shop, foresee):
    scorer, log, live = Scorer(shop, "shop", foresee), draw_log(), load_live(shop, "shop")
    rng, criteria = np.random.default_rng(2), read_criteria(shop, "shop")
    names = rng.choice(log["customer_id"].unique(), 12)
    days = pd.to_datetime("2026-06-30") + pd.to_timedelta(np.repeat([0, 1, 5], 4), unit="D")
    for name, day, value in zip(names, days, rng.lognormal(3.5, 0.4, 12).round(2), strict=True):
        scores = scorer.update({"customer_id": name, "date": day.date().isoformat(), "value": value})
        log.loc[len(log)] = [name, day, value]
        counts = count_log(log, day.date())
        mine = counts[counts["customer_id"] == name]
        batch = value_rows(live.on(day), mine).iloc[0]
        judged = infer_unit_rates(live.on(day), mine), infer_spend(live.spend, mine), live.terms
        for kind, chances in (("type", assign_types(*judged, criteria.lines)[0]),
                              ("tier", assign_tiers(*judged, criteria.tiers)[0])):  # fmt: skip
            assert scores[f"{kind}_probability"] == pytest.approx(chances.max(), rel=1e-9)
            assert scores[kind] == (TYPES if kind == "type" else criteria.tiers.names)[chances.argmax()]
        assert scores["value"] == pytest.approx(batch["value"], rel=1e-9)
        assert scores["probability_alive"] == pytest.approx(batch["p_alive"], rel=1e-9)
        assert scores["expected_purchases"] == pytest.approx(batch["purchases"], rel=1e-9)


def test_without_the_study_nobody_is_in_a_segment_and_triggers_hold(shop):
    path = shop.build_dir / "units" / "shop" / "parts.json"
    kept = path.read_text(encoding="utf-8")
    path.unlink()
    trigger = shop.units["shop"].triggers["quiet"].model_copy(update={"when": 'tier != "" and type_probability > 0.5'})
    unit = shop.units["shop"].model_copy(update={"triggers": {"sure": trigger}})
    plain = Scorer(shop.model_copy(update={"units": {"shop": unit}}), "shop", foresee=False).score("C0001")
    path.write_text(kept, encoding="utf-8")
    known = Scorer(shop.model_copy(update={"units": {"shop": unit}}), "shop", foresee=False)
    assert (plain["type"], plain["tier_probability"], plain["triggers"]) == ("", 0.0, [])
    assert any(known.score(f"C{number:04d}")["triggers"] == ["sure"] for number in range(20))


def test_returns_change_the_money_of_their_day_only(shop):
    scorer = Scorer(shop, "shop", foresee=False)
    name = saved(shop, "shop").query("frequency > 2").index[0]
    first = scorer.update({"customer_id": name, "date": "2026-07-02", "value": 50})
    assert scorer.update({"customer_id": name, "date": "2026-07-02", "value": -20})["value"] < first["value"]
    later = scorer.update({"customer_id": name, "date": "2026-07-04", "value": -30})
    assert later["frequency"] == first["frequency"] and later["days_since_last"] == 2


def test_next_action_is_the_one_of_the_plan(shop):
    scorer = Scorer(shop, "shop")
    contacts = pd.read_parquet(shop.build_dir / "units" / "shop" / "plan_contacts.parquet")
    treated = contacts[contacts["arm"] == "treated"]
    same = [scorer.score(row.customer_id)["action"] == row.action for row in treated.itertuples()]
    assert len(same) > 30 and np.mean(same) > 0.95  # at the margin of a limit either is as good
    for arm in ("held out", "resting"):
        one = contacts.loc[contacts["arm"] == arm, "customer_id"].iloc[0]
        assert scorer.score(one)["action"] == arm and scorer.score(one)["action_gain"] == 0


def test_triggers_are_told(shop):
    scorer = Scorer(shop, "shop")
    scores = [scorer.score(name) for name in saved(shop, "shop").index]
    fired = [one["triggers"] == ["quiet"] for one in scores]
    assert fired == [one["probability_alive"] < 0.6 and one["value"] > 5 for one in scores] and any(fired)


def test_unknown_customer_is_refused(shop):
    with pytest.raises(
        DataError, match=r'"NOBODY" is not among the 400 customers of shop .* scored from the next fit on'
    ):
        Scorer(shop, "shop", foresee=False).update({"customer_id": "NOBODY", "date": "2026-07-01", "value": 1})


def test_event_dated_before_the_last_one_is_refused(shop):
    scorer = Scorer(shop, "shop", foresee=False)
    name = saved(shop, "shop").index[3]
    scorer.update({"customer_id": name, "date": "2026-07-05", "value": 10})
    with pytest.raises(DataError, match=r"dated 2026-07-01, before the last one known of him, 2026-07-05"):
        scorer.update({"customer_id": name, "date": "2026-07-01", "value": 10})


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"date": "2026-07-01", "value": 1}, "an event has no customer_id"),
        ({"customer_id": "C0001", "value": 1}, "customer C0001: an event has no date"),
        ({"customer_id": "C0001", "date": "2026-07-01"}, "an event has no value; its fields are customer_id, date"),
        (
            {"customer_id": "C0001", "date": "1/7/26", "value": 1},
            'found date "1/7/26"; expected one such as 2026-07-01',
        ),
        ({"customer_id": "C0001", "date": "2026-07-01", "value": "ten"}, 'found value "ten"; expected a number'),
    ],
)
def test_event_that_cannot_be_read_is_refused(shop, event, message):
    with pytest.raises(DataError, match=message):
        Scorer(shop, "shop", foresee=False).update(event)


def test_trigger_with_an_unknown_field_is_refused(shop):
    trigger = shop.units["shop"].triggers["quiet"].model_copy(update={"when": "worth > 3"})
    unit = shop.units["shop"].model_copy(update={"triggers": {"quiet": trigger}})
    with pytest.raises(ConfigError, match=r'units\.shop\.triggers\.quiet\.when: found the unknown field "worth"'):
        Scorer(shop.model_copy(update={"units": {"shop": unit}}), "shop", foresee=False)


def test_subscribers_have_the_scores_of_the_batch(club):
    scorer, batch = Scorer(club, "club"), saved(club, "club")
    found = pd.DataFrame([scorer.score(name) for name in batch.index]).set_index("customer_id")
    np.testing.assert_allclose(found["value"], batch["value"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found["probability_active"], batch["p_active"], rtol=1e-9)


def test_a_subscriber_grows_older_and_changes_and_leaves(club):
    scorer, batch = Scorer(club, "club"), saved(club, "club").query("subscriptions == 1")
    name = batch[(batch["plan"] == "basic") & (batch["tenure"] == 3)].index[0]
    later = scorer.update({"customer_id": name, "date": "2026-08-15", "price": 12.0})
    assert (later["tenure"], later["price"]) == (5, 12.0)
    alike = batch[(batch["plan"] == "pro") & (batch["tenure"] == 5)].iloc[0]
    pro = scorer.update({"customer_id": name, "date": "2026-08-16", "plan": "pro", "price": float(alike["price"])})
    assert pro["value"] == pytest.approx(alike["value"], rel=1e-9)
    gone = scorer.update({"customer_id": name, "date": "2026-08-17", "ended": True})
    assert (gone["value"], gone["type"], gone["tier_probability"]) == (0, "", 0.0)
    with pytest.raises(DataError, match=r'found the plan "gold"; the posterior knows basic, pro'):
        scorer.update({"customer_id": name, "date": "2026-08-18", "plan": "gold"})
    with pytest.raises(DataError, match="before the last one known"):
        scorer.update({"customer_id": name, "date": "2026-08-01", "price": 3})


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_files_in_and_out(shop, tmp_path, ending):
    names = list(saved(shop, "shop").index[:3])
    events = pd.DataFrame({"customer_id": [*names, "NOBODY"], "date": "2026-07-01", "value": [5.0, 6.0, 7.0, 8.0]})
    path, target = tmp_path / f"events.{ending}", tmp_path / f"scores.{ending}"
    if ending == "csv":
        events.to_csv(path, index=False)
    elif ending == "parquet":
        events.to_parquet(path)
    else:
        events.to_json(path, orient="records", lines=True)
    scorer = Scorer(shop, "shop", foresee=False)
    assert write_scores(score_events(scorer, read_events(path), keep_going=True), target) == 4
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda p: pd.read_json(p, lines=True)}[ending]
    scores = read(target)
    assert scores["customer_id"].tolist() == [*names, "NOBODY"] and scores["error"].notna().tolist() == [False] * 3 + [
        True
    ]
    assert set(scores["type"].iloc[:3]) <= set(TYPES) and (scores["tier_probability"].iloc[:3] > 0.3).all()
    with pytest.raises(DataError, match=r"event 4: customer_id \"NOBODY\""):
        list(score_events(Scorer(shop, "shop", foresee=False), read_events(path)))


def test_posterior_survives_being_saved(shop):
    live = load_live(shop, "shop")
    assert live.terms.margin == 0.4 and live.months == 12 and live.now == pd.Timestamp(END)
    assert replace(live, months=6).days()[-1] == 183
