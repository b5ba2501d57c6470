"""Exploration: the split is random, stable, and of the shares that were asked for."""

import numpy as np
import pytest
from scipy import stats

from cvmlib.decisions.exploration import CHOSEN, HELD_OUT, check_capacity, draw_numbers, split_customers
from cvmlib.errors import ConfigError

IDS = [f"C{number:06d}" for number in range(20_000)]


def test_split_has_the_shares_asked_for():
    group = split_customers(IDS, "1/2026-06-30", 0.1, 0.2, groups=4)
    held, explored = (group == HELD_OUT).mean(), (group > CHOSEN).mean()
    assert held == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / len(IDS)))
    assert explored == pytest.approx(0.18, abs=4 * np.sqrt(0.15 / len(IDS)))
    assert set(np.unique(group)) == {HELD_OUT, CHOSEN, 1, 2, 3, 4}


def test_numbers_are_uniform_and_depend_on_customer_and_key_alone():
    first, again, other = draw_numbers(IDS, "a"), draw_numbers(IDS[::-1], "a")[::-1], draw_numbers(IDS, "b")
    assert (first == again).all() and (first != other).any()
    assert stats.kstest(first, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(first, other)[0, 1]) < 4 / np.sqrt(len(IDS))


def test_without_shares_everybody_is_treated_by_the_mean():
    assert (split_customers(IDS[:100], "k", 0.0, 0.0) == CHOSEN).all()


def test_capacity_below_the_held_out_share_is_refused():
    check_capacity("shop", 100, 100)
    with pytest.raises(
        ConfigError, match=r"units\.shop\.action_plan: capacity allows 50 contacts .* 120 customers are"
    ):
        check_capacity("shop", 50, 120)
