"""The exact chain against published packages, enumeration, and what removal means."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cvmlib.attribution import absorption
from cvmlib.attribution.chain import build_chain, reweight
from cvmlib.attribution.markov import RULES, SOLVED, attribute_markov, removal_weights, share_out, solved_effects
from cvmlib.attribution.paths import parse_paths
from cvmlib.attribution.simulate import channel_names, count_journeys, draw_transitions, simulate_journeys, true_chain
from cvmlib.errors import DataError, UnfitModelError
from tests.attribution.conftest import REFERENCES, build_paths

CASES = [f"{rule} {order}" for rule in ("to_null", "fail", "fail_refit", "detour") for order in (1, 2, 3)]


@pytest.mark.parametrize("case", [*CASES, "reconnect 1"])
def test_effects_equal_published_packages(published, case):
    paths, results = published
    rule, order = case.split()
    found, expected = attribute_markov(paths, int(order), rule), results[case]
    assert found.effect == pytest.approx([expected["effect"][name] for name in paths.channels], abs=1e-9)
    if expected.get("share"):
        shares = found.conversions / paths.conversions.sum()
        assert shares == pytest.approx([expected["share"][name] for name in paths.channels], abs=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_fitted_chain_converts_as_its_journeys_did(simulated, order):
    """The identity on which the rules that fit anew rest."""
    paths, _ = simulated
    chain, _ = build_chain(paths, order)
    rewards = np.stack([chain.converting, chain.value]) / absorption.visits(chain)
    found = absorption.start_rewards(chain, rewards, np.ones((chain.states, 1)))[:, 0]
    journeys = (paths.conversions + paths.nulls).sum()
    assert found == pytest.approx([paths.conversions.sum() / journeys, paths.value.sum() / journeys], rel=1e-12)


def test_removal_is_the_chance_not_to_meet_the_channel():
    """By enumeration: in a chain without loops, the paths that avoid a channel can be listed."""
    paths = build_paths({"a > b": (4, 6), "b": (2, 8), "a > c": (1, 3), "c > b": (5, 5), "a": (3, 9)})
    index = {name: i for i, name in enumerate(paths.channels)}
    chain, _ = build_chain(paths, 1)
    state = {int(np.flatnonzero(row)[0]): i for i, row in enumerate(chain.inside) if row.any()}
    q = np.zeros((chain.states, chain.states))
    q[chain.source, chain.target] = chain.flow / absorption.visits(chain)[chain.source]
    convert = chain.converting / absorption.visits(chain)

    def reach(without):
        total = 0.0
        for length in (1, 2, 3):
            for route in itertools.product([c for c in index.values() if c != without], repeat=length):
                states = [0, *(state[c] for c in route)]
                total += np.prod([q[a, b] for a, b in itertools.pairwise(states)]) * convert[states[-1]]
        return total

    effect = attribute_markov(paths, 1).effect
    assert effect == pytest.approx([1 - reach(c) / reach(None) for c in range(3)], abs=1e-12)


@pytest.mark.parametrize("rule", SOLVED)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_three_solvers_agree(simulated, monkeypatch, rule, order):
    chain, _ = build_chain(simulated[0], order)
    direct = solved_effects(chain, rule, dense=10_000)
    assert solved_effects(chain, rule, dense=0) == pytest.approx(direct, abs=1e-12)
    monkeypatch.setattr(absorption, "_SWEEPS", 1)
    assert solved_effects(chain, rule, dense=0) == pytest.approx(direct, abs=1e-12)


def test_the_bound_of_the_sweeps_holds(simulated):
    chain, _ = build_chain(simulated[0], 2)
    exact = solved_effects(chain, "reconnect", dense=10_000)
    for tolerance in (1e-3, 1e-6, 1e-9):
        rough = solved_effects(chain, "reconnect", tolerance, dense=0)
        assert np.abs(rough - exact).max() < 20 * tolerance  # of a ratio: the largest reward over the whole
        assert np.abs(rough - exact).max() > 0


def test_many_journeys_find_the_chain_they_come_from():
    rng = np.random.default_rng(8)
    transitions = draw_transitions(5, rng, convert=0.3)
    truth = share_out(solved_effects(true_chain(transitions), "to_null")[0], 1.0)[0]
    paths = count_journeys(*simulate_journeys(200_000, transitions, rng), channel_names(5))
    found = attribute_markov(paths, 2).conversions / paths.conversions.sum()
    place = [int(name[2:]) for name in paths.channels]
    assert found == pytest.approx(truth[place], abs=0.006)  # some four standard errors


def test_credit_adds_up_and_value_has_its_own():
    paths = build_paths({"a > b": (10, 10, 1000.0), "c": (10, 10, 10.0), "b": (1, 30, 10.0)})
    found = attribute_markov(paths, 1)
    assert found.conversions.sum() == pytest.approx(21) and found.value.sum() == pytest.approx(1020)
    assert found.value[2] / 1020 < 0.05 < found.conversions[2] / 21


def test_reweighting_is_counting_again(simulated):
    paths, _ = simulated
    chain, walk = build_chain(paths, 2)
    half = paths.take(np.ones(len(paths), dtype=bool))
    again = reweight(chain, walk, half)
    for name in ("flow", "converting", "failing", "value"):
        assert getattr(again, name) == pytest.approx(getattr(chain, name))


def test_effects_of_both_signs_are_no_shares(published):
    found = attribute_markov(published[0], 1, "detour")
    assert found.reason == "effects of both signs are no shares of a total"
    assert np.isnan(found.conversions).all() and np.isfinite(found.effect).all()


def test_weights_of_a_state_with_no_other_way_lead_to_nothing():
    chain, _ = build_chain(build_paths({"a > b": (1, 0), "b": (1, 1)}), 1)
    weights = removal_weights(chain, "reconnect")
    a_state, b = int(np.flatnonzero(chain.inside[:, 0])[0]), 1
    assert weights[a_state, b] == 0 and np.isfinite(weights).all()


def test_nothing_converted():
    with pytest.raises(UnfitModelError, match="None of 7 journeys converted"):
        attribute_markov(build_paths({"a": (0, 7)}), 1)


def test_impossible_orders():
    paths = build_paths({"a > b": (1, 1)})
    with pytest.raises(DataError, match="must be 1, 2, 3 …; found 0"):
        build_chain(paths, 0)
    with pytest.raises(DataError, match="use order 38 or less"):
        build_chain(paths, 40)
    with pytest.raises(ValueError, match="is not one of to_null"):
        attribute_markov(paths, 1, "no_rule")


DATA = Path(os.environ.get("CVM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "attribution"


@pytest.mark.skipif(not DATA.is_dir(), reason="public journeys are not at hand")
def test_within_the_noise_of_a_simulating_package():
    """ChannelAttribution simulates the same rule; its results for several seeds were recorded."""
    table = pd.read_csv(DATA / "channelattribution_pathdata.csv.gz").rename(
        columns={"total_conversions": "conversions", "total_conversion_value": "value", "total_null": "nulls"}
    )
    paths, _ = parse_paths(table)
    recorded = json.loads((REFERENCES / "channel_attribution.json").read_text(encoding="utf-8"))
    assert paths.conversions.sum() == 19_785 and paths.nulls.sum() == 68_602
    for order in ("1", "2"):
        found = attribute_markov(paths, int(order))
        runs = pd.DataFrame(recorded["conversions"][order])[list(paths.channels)]
        noise = runs.std(ddof=1)
        assert (np.abs(found.conversions - runs.mean()) < 4 * noise + 0.02 * runs.mean() + 1).all()
    assert len(RULES) == 5
