from dataclasses import replace

import numpy as np
import pytest

from cvmlib.programs.design import POWER, Outlook, plain_test, propose_test, rank_tests

OUTLOOK = Outlook(
    draws=np.random.default_rng(1).normal(0.05, 0.05, 4_000), base=20.0, spread=60.0, audience=20_000.0, cost=1.0,
    hurdle=1.0, window_days=90, horizon_days=365.0,
)  # fmt: skip


def test_worth_of_knowing_is_that_of_deciding_after_the_test():
    """Oracle: draw truth and test result, decide by the posterior mean, and compare with deciding now."""
    best = propose_test(OUTLOOK)
    rng = np.random.default_rng(2)
    truth = rng.normal(OUTLOOK.draws.mean(), OUTLOOK.draws.std(), 400_000)
    se = 3.0 / np.sqrt(best["customers"] * best["held_back"] * (1 - best["held_back"]))
    seen = truth + se * rng.standard_normal(truth.size)
    weight = OUTLOOK.draws.var() / (OUTLOOK.draws.var() + se**2)
    posterior = OUTLOOK.draws.mean() + weight * (seen - OUTLOOK.draws.mean())
    gain = 20.0 * truth - 1.0
    later = (365 / 90 - best["waves"]) * 20_000
    worth = later * (np.where(20.0 * posterior > 1.0, gain, 0.0).mean() - max(gain.mean(), 0.0))
    assert best["worth"] == pytest.approx(worth, rel=0.1)  # the draws are trimmed
    assert best["net"] == pytest.approx(best["worth"] - best["cost"])
    assert best["needed"] == pytest.approx(0.05) and best["now"] == pytest.approx(0.5, abs=0.03)


def test_detectable_lift_is_found_with_the_stated_power():
    best = propose_test(OUTLOOK)
    se = 3.0 / np.sqrt(best["customers"] * best["held_back"] * (1 - best["held_back"]))
    seen = best["detectable"] + se * np.random.default_rng(3).standard_normal(200_000)
    assert (seen - best["needed"] > 1.6449 * se).mean() == pytest.approx(POWER, abs=0.005)


def test_sure_programs_are_not_worth_a_test():
    sure = propose_test(replace(OUTLOOK, draws=np.random.default_rng(4).normal(0.5, 0.02, 4_000)))
    assert sure["worth"] == pytest.approx(0.0, abs=1e-6) and sure["net"] <= 0


def test_more_at_stake_makes_the_test_larger_and_worth_more():
    small, large = (propose_test(replace(OUTLOOK, audience=size)) for size in (2_000.0, 200_000.0))
    assert large["customers"] > small["customers"] and large["worth"] > small["worth"] > 0


def test_too_few_customers_get_no_test():
    assert propose_test(replace(OUTLOOK, audience=20.0)) == {}


def test_ranking_puts_what_cannot_be_designed_last():
    rows = [
        {"program_id": "c", "label": "C", "reason": "r", "why_not": "no cost"},
        {"program_id": "a", "label": "A", "reason": "r", "net": 1.0},
        {"program_id": "b", "label": "B", "reason": "r", "net": 5.0},
    ]
    ranked = rank_tests(rows)
    assert ranked["program_id"].tolist() == ["b", "a", "c"]
    assert ranked["why_not"].tolist() == ["", "", "no cost"]
    assert rank_tests([]).empty


def test_without_money_the_size_still_says_what_can_be_found():
    test = plain_test(0.1, 0.3, 10_000.0, 30)
    assert test["detectable"] == pytest.approx(2.4865 * 3.0 / np.sqrt(2_500), rel=1e-3)
