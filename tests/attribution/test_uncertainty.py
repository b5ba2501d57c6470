"""Posteriors, the order of the chain, experiments and calibration, against simulations with a known truth."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.attribution.calibrate import calibrate, summarise_caused
from cvmlib.attribution.chain import build_chain
from cvmlib.attribution.experiments import combine_tests, estimate_effects
from cvmlib.attribution.markov import attribute_markov, share_out, solved_effects
from cvmlib.attribution.next_tests import Economics, rank_tests
from cvmlib.attribution.order import score_orders
from cvmlib.attribution.posterior import POSTERIORS, draw_markov, draw_paths, summarise_shares
from cvmlib.attribution.simulate import channel_names, count_journeys, draw_transitions, simulate_journeys, true_chain
from cvmlib.errors import UnfitModelError
from tests.attribution.conftest import build_paths


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_intervals_hold_the_truth_as_often_as_they_say(posterior):
    inside = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        one = draw_transitions(5, rng, convert=0.2)
        transitions = np.broadcast_to(one[-1], one.shape)  # no memory
        truth = share_out(solved_effects(true_chain(transitions), "to_null")[0], 1.0)[0]
        paths = count_journeys(*simulate_journeys(3_000, transitions, rng), channel_names(5))
        drawn = draw_markov(paths, *build_chain(paths, 1), 200, posterior=posterior, seed=seed)[:, 0]
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        place = [int(name[2:]) for name in paths.channels]
        inside.extend((low <= truth[place]) & (truth[place] <= high))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.08)  # 150 intervals, those of a shop hanging together


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("order", [1, 2])
def test_draws_are_shares_around_the_estimate(simulated, posterior, order):
    paths, _ = simulated
    found = attribute_markov(paths, order)
    point = np.stack([found.conversions / paths.conversions.sum(), found.value / paths.value.sum()])
    drawn = draw_markov(paths, *build_chain(paths, order), 150, posterior=posterior)
    assert drawn.shape == (150, 2, 6) and drawn.sum(axis=2) == pytest.approx(1)
    assert np.abs(drawn.mean(axis=0) - point).max() < 4 * drawn.std(axis=0).max() / np.sqrt(150) + 0.002


def test_large_chains_are_drawn_as_small_ones(simulated, monkeypatch):
    paths, _ = simulated
    chain, walk = build_chain(paths, 2)
    small = draw_markov(paths, chain, walk, 5, seed=4)
    monkeypatch.setattr("cvmlib.attribution.posterior.DENSE", 1)
    monkeypatch.setattr("cvmlib.attribution.absorption.DENSE", 1)
    assert draw_markov(paths, chain, walk, 5, seed=4) == pytest.approx(small, abs=1e-6)


def test_the_bootstrap_has_the_moments_of_weighted_journeys():
    """Each journey has an exponential weight: mean 1, variance 1; its value is weighted with it."""
    rng = np.random.default_rng(1)
    value = rng.gamma(2, 30, 60)
    paths = build_paths({"a": (60, 40, value.sum())})
    paths = paths.__class__(**{**paths.__dict__, "value_sq": np.array([(value**2).sum()])})
    drawn = [(p.conversions[0], p.nulls[0], p.value[0]) for p in draw_paths(paths, 8_000, rng)]
    conversions, nulls, money = np.array(drawn).T
    error = 4 / np.sqrt(8_000)
    assert conversions.mean() == pytest.approx(60, abs=error * np.sqrt(60))
    assert conversions.var() == pytest.approx(60, rel=2 * error)
    assert nulls.var() == pytest.approx(40, rel=2 * error)
    assert money.var() == pytest.approx((value**2).sum(), rel=2 * error)
    assert np.cov(conversions, money)[0, 1] == pytest.approx(value.sum(), rel=3 * error)


def test_ranks_and_leaders():
    draws = np.array([[0.5, 0.3, 0.2], [0.4, 0.5, 0.1], [0.6, 0.3, 0.1], [0.6, 0.1, 0.3]])
    found = summarise_shares(("a", "b", "c"), np.array([0.5, 0.3, 0.2]), draws, 0.9).set_index("channel")
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["leads"].tolist() == [0.75, 0.25, 0] and found["same_rank"].tolist() == [0.75, 0.5, 0.75]


@pytest.mark.parametrize(("memory", "chosen"), [(1, 1), (2, 2)])
def test_the_order_is_found(memory, chosen):
    rng = np.random.default_rng(5)
    transitions = draw_transitions(5, rng, convert=0.2)
    if memory == 1:
        transitions = np.broadcast_to(transitions[-1], transitions.shape)
    paths = count_journeys(*simulate_journeys(30_000, transitions, rng), channel_names(5))
    scores = score_orders(paths)
    assert scores.loc[scores["chosen"], "order"].tolist() == [chosen]
    # no prediction beats the entropy of a journey, but for the chance in which journeys there are (4 standard errors)
    assert scores.loc[chosen, "score"] == pytest.approx(entropy(transitions), abs=0.1)
    assert scores.loc[0, "score"] < scores.loc[chosen, "score"] - 0.3


def entropy(transitions):
    """Mean log probability of a journey under its own chain (the start is uniform)."""
    chain = true_chain(transitions)
    size = transitions.shape[1]
    local = (transitions * np.log(transitions)).sum(axis=-1).ravel()
    q = np.zeros((chain.states, chain.states))
    np.add.at(q, (chain.source, chain.target), chain.flow)
    visits = np.linalg.solve(np.eye(chain.states) - q.T, np.eye(chain.states)[0])
    return -np.log(size) + visits[1:] @ local


def arms(channel, rng, n=20_000, rate=0.2, touches=1.5, effect=0.05, kept=0.0):
    rows = []
    for arm in ("treated", "control"):
        met = rng.poisson(touches * (1.0 if arm == "treated" else kept), n)
        bought = rng.poisson(rate + effect * met)
        worth = bought * 50.0
        sums = {
            "customers": n, "touches": met.sum(), "touches_sq": (met**2).sum(), "conversions": bought.sum(),
            "conversions_sq": (bought**2).sum(), "both": (met * bought).sum(), "value": worth.sum(),
            "value_sq": (worth**2).sum(), "value_both": (met * worth).sum(), "twice": 0,
        }  # fmt: skip
        rows.append({"channel": channel, "first_day": "2026-01-01", "last_day": "2026-02-01", "arm": arm} | sums)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_effects_are_unbiased_with_their_errors(kept):
    found = pd.concat(
        estimate_effects(arms("tv", np.random.default_rng(seed), kept=kept), pd.Series({"tv": 30_000}))
        for seed in range(60)
    )
    error = found["effect_se"].mean() / np.sqrt(60)
    assert found["effect"].mean() == pytest.approx(0.05, abs=4 * error)
    assert found["effect"].std() == pytest.approx(found["effect_se"].mean(), rel=0.4)
    assert found["conversions"].to_numpy() == pytest.approx(found["effect"].to_numpy() * 30_000)
    assert found["value"].to_numpy() == pytest.approx(50 * found["conversions"].to_numpy())


def test_tests_that_tell_nothing_say_why():
    rng = np.random.default_rng(2)
    alone = arms("tv", rng).query("arm == 'treated'")
    shown = arms("radio", rng, kept=0.95)
    unknown = arms("ttv", rng)
    found = estimate_effects(pd.concat([alone, shown, unknown]), pd.Series({"tv": 10, "radio": 10})).set_index(
        "channel"
    )
    assert found.loc["tv", "reason"].startswith("the control arm has fewer than two customers")
    assert "the channel was hardly withheld" in found.loc["radio", "reason"]
    assert found.loc["ttv", "reason"] == "the log of touchpoints has no channel ttv; it names tv, radio"
    assert combine_tests(found.reset_index()).empty


def test_two_tests_of_a_channel_count_by_their_precision():
    rows = [("tv", 100.0, 10.0, 1.0, 1.0, ""), ("tv", 200.0, 20.0, 1.0, 1.0, "")]
    names = ["channel", "conversions", "conversions_se", "value", "value_se", "reason"]
    found = combine_tests(pd.DataFrame(rows, columns=names)).iloc[0]
    assert found["conversions"] == pytest.approx((100 * 4 + 200) / 5)
    assert found["conversions_se"] == pytest.approx((1 / 100 + 1 / 400) ** -0.5)


def some_tests(**estimates):
    rows = [(name, y, se, 50 * y, 50 * se, 1) for name, (y, se) in estimates.items()]
    return pd.DataFrame(rows, columns=["channel", "conversions", "conversions_se", "value", "value_se", "tests"])


def test_a_precise_test_decides_and_a_vague_one_is_drawn_to_the_others():
    tests = some_tests(a=(500, 5), b=(510, 5), c=(490, 5), vague=(3000, 2000))
    channels, credit = ("a", "b", "c", "vague", "untested", "Direct"), np.full(6, 1000.0)
    found = summarise_caused(calibrate(channels, credit, tests, direct=["direct"])).set_index("channel")
    assert found["caused"][["a", "b", "c"]].tolist() == pytest.approx([500, 510, 490], abs=3)
    assert 200 < found.loc["vague", "caused"] < 1200
    assert found.loc["untested", "high"] - found.loc["untested", "low"] > 10 * (
        found.loc["a", "high"] - found.loc["a", "low"]
    )
    assert found.loc["Direct", "high"] == 0 and not found.loc["Direct", "tested"]
    assert (found["low"] >= 0).all()


def test_calibrated_intervals_hold_the_truth():
    inside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        factor = np.where(rng.random(8) < 0.4, 0.0, np.abs(rng.normal(1.0, 0.5, 8)))
        credit = rng.gamma(5, 200, 8)
        caused, names = factor * credit, [f"c{i}" for i in range(8)]
        tests = some_tests(**{name: (rng.normal(y, 200), 200) for name, y in zip(names[:6], caused, strict=False)})
        found = summarise_caused(calibrate(tuple(names), credit, tests, seed=seed))
        inside.extend((found["low"] <= caused + 1e-9) & (caused <= found["high"]))
    assert 0.84 < np.mean(inside) <= 0.99  # 320 intervals; a lump at zero makes them hold it more often


def test_without_a_test_nothing_is_calibrated():
    with pytest.raises(UnfitModelError, match="No channel was ever withheld at random"):
        calibrate(("a", "b"), np.array([1.0, 2.0]), some_tests(other=(1, 1)))


def test_a_test_is_worth_most_where_the_decision_is_open():
    tests = some_tests(clear=(1000, 20), useless=(0, 20), open=(150, 400))
    channels = ("clear", "useless", "open", "free")
    caused = calibrate(
        channels, np.full(4, 800.0), tests.assign(value=tests["conversions"], value_se=tests["conversions_se"]), "value"
    )
    economics = Economics(np.array([10.0, 400.0, 100.0, np.nan]), 0.5, 180.0, 0.3, 50_000.0)
    found = rank_tests(caused, economics).set_index("channel")
    assert found.index[0] == "open" and "free" not in found.index
    assert found.loc["clear", "pays"] > 0.99 and found.loc["useless", "pays"] < 0.05
    assert (found["test_worth"] <= found["knowing"] + 1e-6).all()
