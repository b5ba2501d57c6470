"""Beliefs: the update is that of the joint normal distribution, and worlds reward it."""

import numpy as np
import pytest

from cvmlib.decisions.learning import believe, update
from cvmlib.decisions.worlds import compare_policies, draw_world, play


def test_update_is_that_of_the_joint_normal():
    before = believe(2, 2, 0.02, 0.1, 0.05)
    rng = np.random.default_rng(1)
    noise = np.diag(rng.uniform(0.01, 0.1, 4) ** 2) + 0.0004
    measured = rng.normal(0, 0.1, (2, 2))
    after = update(before, measured, noise)
    precision = np.linalg.inv(before.covariance) + np.linalg.inv(noise)
    mean = np.linalg.solve(precision, np.linalg.solve(before.covariance, before.mean.ravel())
                           + np.linalg.solve(noise, measured.ravel()))  # fmt: skip
    assert after.mean.ravel() == pytest.approx(mean) and after.covariance == pytest.approx(np.linalg.inv(precision))


def test_what_was_not_measured_learns_from_its_own_action_only():
    before = believe(2, 2, 0.0, 0.1, 0.05)
    after = update(before, np.array([[0.2, np.nan], [np.nan, np.nan]]), 0.01**2 * np.eye(4))
    assert after.mean[0, 0] > after.mean[0, 1] > 0.1 and (after.mean[1] == 0).all()
    assert update(before, np.full((2, 2), np.nan), np.eye(4)) is before


def test_draws_have_the_moments_of_the_beliefs():
    beliefs = believe(2, 3, 0.1, 0.08, 0.04)
    draws = beliefs.draw(20_000, np.random.default_rng(1)).reshape(20_000, -1)
    assert draws.mean(axis=0) == pytest.approx(beliefs.mean.ravel(), abs=5 * 0.09 / np.sqrt(20_000))
    assert np.cov(draws.T) == pytest.approx(beliefs.covariance, abs=5e-4)


def test_learning_beats_its_rivals_in_a_world_and_comes_near_the_oracle():
    found = compare_policies(4, rounds=6)
    assert found["oracle"] >= found["learning"] > max(found["risk"], found["value"])


def test_no_policy_spends_more_than_there_is():
    world = draw_world(2, rows=60, actions=4, stages=3)
    rounds = play(world, "learning", 1, rounds=3)
    assert len(rounds) == 3 and all(one.low <= one.high for one in rounds)
    assert play(world, "oracle", 1)[0].true >= max(one.true for one in rounds) * 0.999
