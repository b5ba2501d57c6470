"""Rules and Shapley values: worked examples, enumeration, and what they refuse."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest

from cvmlib.attribution.coalitions import (
    Coalitions,
    count_coalitions,
    fit_coalitions,
    recount,
    require_identified,
)
from cvmlib.attribution.markov import RULES as REMOVALS
from cvmlib.attribution.markov import attribute_markov
from cvmlib.attribution.rules import RULES, divide
from cvmlib.attribution.shapley import divide_shapley, divide_simplified
from cvmlib.errors import UnfitModelError
from tests.attribution.conftest import build_paths

JOURNEY = {"social > search > email > Direct": (10, 5, 100.0)}


@pytest.mark.parametrize(
    ("rule", "credit"),
    [
        ("first", [10, 0, 0, 0]),
        ("last", [0, 0, 0, 10]),
        ("linear", [2.5, 2.5, 2.5, 2.5]),
        ("position", [4, 1, 1, 4]),
        ("last_non_direct", [0, 0, 10, 0]),
    ],
)
def test_rules_by_hand(rule, credit):
    paths = build_paths(JOURNEY)
    assert paths.channels == ("social", "search", "email", "Direct")
    assert (divide(paths, rule) @ paths.conversions).tolist() == pytest.approx(credit)


def test_every_rule_shares_out_everything(simulated):
    paths, _ = simulated
    for rule in set(RULES) - {"time_decay", "last_non_direct"}:
        assert divide(paths, rule).sum(axis=0) == pytest.approx(1)


def test_short_and_all_direct_journeys():
    paths = build_paths({"a": (1, 0), "a > b": (1, 0), "direct > direct": (1, 0)})
    assert (divide(paths, "position") @ paths.conversions).tolist() == pytest.approx([1.5, 0.5, 1])
    assert (divide(paths, "last_non_direct") @ paths.conversions).tolist() == pytest.approx([1, 1, 1])


def test_rules_that_cannot_be_used_say_why():
    paths = build_paths({"a > b": (1, 1)})
    with pytest.raises(UnfitModelError, match="No channel stands for direct visits: the channels are a, b"):
        divide(paths, "last_non_direct")
    with pytest.raises(UnfitModelError, match="carry no times"):
        divide(paths, "time_decay")


def game(model, members):
    """Shapley values by enumeration, as shares."""

    def worth(some):
        return -np.expm1(-(model.base + sum(model.channel[c] for c in some)))

    values = []
    for c in members:
        others, total = [m for m in members if m != c], 0.0
        for size in range(len(members)):
            weight = factorial(size) * factorial(len(members) - size - 1) / factorial(len(members))
            total += weight * sum(worth((*some, c)) - worth(some) for some in combinations(others, size))
        values.append(total)
    return np.array(values) / sum(values)


def test_shares_equal_enumeration(simulated):
    coalitions = count_coalitions(simulated[0])
    model = fit_coalitions(coalitions)
    shares = divide_shapley(coalitions, model)
    for i in np.argsort(-coalitions.member.sum(axis=1))[:3]:
        members = np.flatnonzero(coalitions.member[i])
        assert shares[i, members] == pytest.approx(game(model, members), rel=1e-10)


def simulate_coalitions(hazard, base, journeys, rng):
    member = rng.random((400, len(hazard))) < 0.15
    member = np.unique(member[member.any(axis=1)], axis=0)
    size = rng.multinomial(journeys, np.full(len(member), 1 / len(member)))
    yes = rng.binomial(size, -np.expm1(-(base + member @ hazard))).astype(float)
    names = tuple(f"c{i}" for i in range(len(hazard)))
    return Coalitions(names, member, np.arange(len(member)), yes, size - yes, 20 * yes)


def test_thirty_channels_keep_everything_and_find_the_model():
    rng = np.random.default_rng(4)
    hazard = np.where(np.arange(30) % 3 == 0, 0.0, rng.gamma(2, 0.03, 30))
    coalitions = simulate_coalitions(hazard, 0.02, 300_000, rng)
    require_identified(coalitions)
    model = fit_coalitions(coalitions)
    assert model.channel == pytest.approx(hazard, abs=0.012)  # four standard errors of a channel's hazard
    credit = coalitions.conversions @ divide_shapley(coalitions, model)
    assert len(credit) == 30 and (credit >= 0).all()
    assert credit.sum() == pytest.approx(coalitions.conversions.sum(), rel=1e-12)
    simplified = coalitions.conversions @ divide_simplified(coalitions)
    assert credit[::3].sum() < 0.15 * credit.sum() and simplified[::3].sum() > 0.25 * credit.sum()


def test_the_mode_is_a_mode(simulated):
    coalitions = count_coalitions(simulated[0])
    model = fit_coalitions(coalitions)

    def posterior(base, channel):
        x = base + coalitions.member @ channel
        prior = (np.log(np.append(channel, base)) - 2 / model.scale * np.append(channel, base)).sum()
        return coalitions.conversions @ np.log(-np.expm1(-x)) - coalitions.nulls @ x + prior

    best = posterior(model.base, model.channel)
    for i in range(len(model.channel)):
        for factor in (0.97, 1.03):
            moved = model.channel.copy()
            moved[i] *= factor
            assert posterior(model.base, moved) < best


def test_recounting_from_the_old_mode_finds_the_new_one(simulated):
    paths, _ = simulated
    coalitions = count_coalitions(paths)
    start = fit_coalitions(coalitions)
    rng = np.random.default_rng(1)
    weights = rng.standard_gamma(paths.conversions)
    again = recount(coalitions, paths.__class__(**{**paths.__dict__, "conversions": weights}))
    assert again.conversions.sum() == pytest.approx(weights.sum())
    assert fit_coalitions(again, start).channel == pytest.approx(start.channel, rel=0.5)


@pytest.mark.parametrize(
    ("journeys", "message"),
    [
        ({"a": (5, 5), "b": (1, 9)}, "Every one of 20 journeys uses a single channel, so no coalition was ever seen"),
        ({"a": (5, 5), "a > a": (1, 9)}, r"All journeys use one channel \(a\)"),
        ({"a > b": (5, 0), "b": (1, 0)}, "All 6 journeys converted"),
        ({"a > b": (0, 5), "b": (0, 1)}, "None of 6 journeys converted"),
        (
            {"a > b": (5, 5), "b > a": (1, 9), "c": (1, 9), "a > b > c": (2, 2)},
            "do not tell these channels apart: a, b",
        ),
    ],
)
def test_what_cannot_be_identified_is_refused(journeys, message):
    with pytest.raises(UnfitModelError, match=message):
        require_identified(count_coalitions(build_paths(journeys)))


def test_a_channel_seen_only_in_journeys_that_failed_gets_nothing():
    """Rules, removals that fit anew, and Shapley values; a chain mixes it with others."""
    paths = build_paths({"a > b": (5, 5, 50), "a": (3, 9, 30), "b > c": (0, 7), "b": (1, 4, 10), "c > a > b": (0, 3)})
    place = paths.channels.index("c")
    for rule in ("first", "last", "linear", "position"):
        assert (divide(paths, rule) @ paths.conversions)[place] == 0.0
    failed = attribute_markov(paths, 1, "fail")
    assert failed.conversions[place] == failed.value[place] == 0.0
    assert failed.conversions.sum() == pytest.approx(9.0)
    mixed = attribute_markov(paths, 1, "reconnect")
    assert mixed.effect[place] < 0.0 and np.isnan(mixed.conversions).all() and "both signs" in mixed.reason
    coalitions = count_coalitions(paths)
    require_identified(coalitions)
    credit = coalitions.conversions @ divide_shapley(coalitions, fit_coalitions(coalitions))
    assert credit[place] == 0.0 and credit.sum() == pytest.approx(9.0)


@pytest.mark.parametrize("rule", REMOVALS)
def test_an_only_channel_gets_everything(rule):
    found = attribute_markov(build_paths({"a": (3, 2, 9)}), 1, rule)
    assert found.conversions.tolist() == [3.0] and found.value.tolist() == [9.0]


def test_the_simplified_formula_divides_equally():
    coalitions = count_coalitions(build_paths({"a > b > a": (6, 0), "b": (1, 0)}))
    assert (coalitions.conversions @ divide_simplified(coalitions)).tolist() == [3, 4]
