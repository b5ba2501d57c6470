import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import comparison, exposure, outlook, prior_check, retention_model
from cvmlib.churn.lifetimes import lay_out
from cvmlib.churn.simulate_retention import RetentionTruth, observe_lifetimes, simulate_lifetimes

EFFECTS = {"plan": {"basic": 0.3, "plus": 0.0, "premium": -0.3}}
TRUTH = RetentionTruth(a=1.5, b=40.0, c=0.9, effects=EFFECTS)
MONTHS = 30


@pytest.fixture(scope="module")
def people():
    return simulate_lifetimes(6000, TRUTH, MONTHS, np.random.default_rng(11))


@pytest.fixture(scope="module")
def data(people):
    return lay_out(observe_lifetimes(people, MONTHS - 1, "u"), ["plan"])


@pytest.fixture(scope="module")
def fits(data):
    return {name: retention_model.fit(data, name) for name in ("sbg", "bdw")}


def test_effects_and_months_are_recovered(fits):
    assert fits["bdw"].passed
    found = outlook.tabulate_effects(fits["bdw"], 0.99).set_index("level")
    for level, effect in EFFECTS["plan"].items():
        assert found.loc[level, "ratio_low"] <= np.exp(effect) <= found.loc[level, "ratio_high"]
    assert found.loc["basic", "ratio_low"] > 1 > found.loc["premium", "ratio_high"]
    months = outlook.tabulate_parameters(fits["bdw"], 0.99).set_index("parameter")
    for name, truth in (("First month", TRUTH.first), ("Renewal months", TRUTH.renewal), ("Duration", TRUTH.c)):
        row = months[months.index.str.startswith(name)].iloc[0]
        assert row["low"] <= truth <= row["high"]


def test_the_model_could_have_produced_the_leavers_and_the_sbg_could_not(fits):
    good, bad = (outlook.check_hazards(fits[name])["inside"].mean() for name in ("bdw", "sbg"))
    assert good >= 0.75 and bad < good - 0.1


def test_survivors_are_forecast_with_intervals_that_hold_them(fits, people):
    draws = outlook.forecast_survivors(fits["bdw"], 12)["u"]
    last = people["joined"] + people["stay"]
    actual = [(last > MONTHS - 1 + month).sum() for month in range(1, 13)]
    low, high = np.quantile(draws, [0.0005, 0.9995], axis=0)
    assert ((low <= actual) & (actual <= high)).all()
    assert (np.diff(draws, axis=1) <= 0).all()


def test_probabilities_to_leave_follow_pattern_and_tenure(fits):
    table = outlook.score_patterns(fits["bdw"], "u").set_index(["plan", "tenure"])
    tenure = np.array([6, 20])
    for plan, effect in EFFECTS["plan"].items():
        truth = 1 - TRUTH.survival(tenure, np.full(2, np.exp(effect)), 12)[:, 12]
        found = table.loc[[(plan, month) for month in tenure], "leaves_12"]
        np.testing.assert_allclose(found, truth, atol=0.04)
    assert (table["leaves_3_low"] <= table["leaves_3"]).all() and (table["leaves_3"] <= table["leaves_3_high"]).all()


def test_leaving_one_out_is_what_fits_without_him_say(fits, data):
    one = comparison.leave_one_out(fits["bdw"], "u", draws=1000)
    values = outlook.take_draws(fits["bdw"], 1000)
    rows = data.customers("u")
    risk = outlook.risks_of(fits["bdw"], values, np.arange(len(data.blocks)))
    each = comparison.row_log_likelihood(risk, rows, int(data.tenures[0]))
    density = np.log(np.exp(each).mean(axis=0))
    assert (one.elpd <= density + 1e-9).all()
    cells = (data.left * np.log(-np.expm1(-risk)) - (data.at_risk - data.left) * risk).sum(axis=(1, 2))
    np.testing.assert_allclose(each @ rows["subscriptions"].to_numpy(), cells, rtol=1e-6)
    effective = float(rows["subscriptions"] @ (density - one.elpd))
    assert 2 < effective < 12 and one.bad_share == 0


def test_the_bdw_is_chosen_where_time_matters_and_says_why(fits):
    ranked = comparison.rank(fits)
    chosen = comparison.choose(ranked).iloc[0]
    assert chosen["model"] == "BdW"
    assert chosen["reason"].startswith("BdW predicts subscribers left out best: its log predictive density is")
    alike = ranked.assign(difference=[0.0, -0.4], difference_se=[0.0, 0.9])
    simple = comparison.choose(alike).iloc[0]
    assert simple["model"] == "sBG" and "is chosen for its fewer parameters (2 against" in simple["reason"]


def test_priors_are_wider_than_what_the_data_leave(fits):
    table = prior_check.compare_priors(fits["bdw"])
    assert (table["learned"] > 0.1).all() and (table["posterior_low"] < table["posterior_high"]).all()


@pytest.mark.parametrize("fades", [0.0, 0.45])
def test_effects_that_fade_with_tenure_are_found_and_others_are_not_made_up(fades):
    rng, size, months = np.random.default_rng(3), 8000, 24
    basic, age = rng.random(size) < 0.5, rng.integers(1, months + 1, size)
    tenure = np.arange(1, months + 1)
    effect = 0.5 - fades * exposure.drift_curve(tenure, months)
    hazard = 0.06 * np.exp(np.where(basic[:, None], effect, -effect))
    leaves = rng.random(hazard.shape) < hazard
    stay = np.where(leaves.any(axis=1), leaves.argmax(axis=1) + 1, months + 1)
    counts = pd.DataFrame({"unit": "u", "plan": np.where(basic, "basic", "plus"), "tenure": np.minimum(stay, age)})
    fit = retention_model.fit(lay_out(counts.assign(churned=stay <= age, subscriptions=1), ["plan"]), "hazard")
    assert fit.passed
    risk = outlook.risks_of(fit, outlook.take_draws(fit, 500), np.arange(2))
    ratio = np.log(risk[:, 0] / risk[:, 1]) / 2
    low, high = np.quantile(ratio, [0.005, 0.995], axis=0)
    assert ((low <= effect) & (effect <= high)).all()
    assert (ratio[:, 0] > ratio[:, -1] + 0.3).mean() == pytest.approx(1.0 if fades else 0.0, abs=0.05)
