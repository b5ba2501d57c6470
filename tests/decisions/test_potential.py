"""Gaps to comparable customers: closed forms against simulation, groups that differ and groups that do not."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.spend_model import Draws
from cvmlib.decisions.potential import (
    expected_gap,
    find_concentration,
    gap_of,
    gap_spread,
    group_comparable,
    measure_gaps,
    measure_price_gaps,
)

P, Q, GAMMA = 4.0, 4.5, 65.0
SPEND = Draws(np.full(50, P), np.full(50, Q), np.full(50, GAMMA))


def customers(size: int, seed: int = 1, factor: np.ndarray | float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 8, size)
    nu = rng.gamma(Q, 1 / GAMMA, size) / factor
    z = np.where(x > 0, rng.gamma(np.maximum(P * x, 1e-9)) / nu / np.maximum(x, 1), 0.0)
    return pd.DataFrame({"pattern": "", "frequency": x, "monetary_value": z, "customers": 1})


@pytest.mark.parametrize(("x", "z"), [(0, 0.0), (1, 40.0), (6, 75.0), (30, 150.0)])
def test_expected_gap_is_that_of_simulated_pairs(x, z):
    rng = np.random.default_rng(3)
    own = P / rng.gamma(Q + P * x, 1 / (GAMMA + x * z), 1_000_000)
    other = P / rng.gamma(Q, 1 / GAMMA, 1_000_000)
    above, gap = expected_gap(np.array([x]), np.array([z]), P, Q, GAMMA)
    excess = np.maximum(other - own, 0.0)
    assert above[0] == pytest.approx((other > own).mean(), abs=0.003)
    assert gap[0] == pytest.approx(excess.mean(), abs=4 * excess.std() / 1000)
    each = gap_of(own[:20_000], P, Q, GAMMA)
    assert each.mean() == pytest.approx(gap[0], rel=0.05)
    assert gap_spread(np.array([float(x)]), np.array([z]), P, Q, GAMMA)[0] == pytest.approx(each.std(), rel=0.15)


def test_money_in_cents_gives_a_hundred_times_the_gap():
    rows = customers(500)
    cents = rows.assign(monetary_value=100 * rows["monetary_value"])
    dear = Draws(SPEND.p, SPEND.q, 100 * SPEND.gamma)
    one, other = (
        measure_gaps(table, spend, group_comparable(table, spend)) for table, spend in ((rows, SPEND), (cents, dear))
    )
    assert np.allclose(other.mean, 100 * one.mean) and np.allclose(other.chance, one.chance)


def test_gaps_of_all_are_those_of_the_true_spend():
    rng = np.random.default_rng(5)
    rows = customers(20_000)
    gaps = measure_gaps(rows, SPEND, group_comparable(rows, SPEND))
    pairs = P / rng.gamma(Q, 1 / GAMMA, (2, 1_000_000))
    assert gaps.mean.mean() == pytest.approx(np.maximum(pairs[0] - pairs[1], 0).mean(), rel=0.02)


def test_groups_alike_are_shrunk_to_one_and_different_ones_are_told():
    rng = np.random.default_rng(7)
    pattern = rng.choice(["a", "b"], 8_000)
    alike = customers(8_000).assign(pattern=pattern)
    told = customers(8_000, factor=np.where(pattern == "a", 1.0, 1.5)).assign(pattern=pattern)
    assert np.abs(group_comparable(alike, SPEND).delta).max() < 0.03
    groups = group_comparable(told, SPEND)
    by_pattern = pd.Series(groups.delta[groups.of_row]).groupby(pattern).mean()
    assert by_pattern["b"] - by_pattern["a"] == pytest.approx(np.log(1.5), abs=0.05)


def test_price_gaps_are_counted_by_hand_and_groups_are_pooled():
    price = np.array([10.0, 20.0, 40.0])
    gaps = measure_price_gaps(np.zeros(3, int), price, np.array([5000.0, 3000.0, 2000.0]), concentration=1.0)
    assert gaps.mean == pytest.approx([0.3 * 10 + 0.2 * 30, 0.2 * 20, 0.0], rel=0.03)
    assert gaps.chance == pytest.approx([0.5, 0.2, 0.0], abs=0.02)
    group, twice = np.repeat([0, 1], 3), np.tile(price, 2)
    mixed = measure_price_gaps(group, twice, np.array([2.0, 0, 0, 5000, 3000, 2000]), concentration=1000.0)
    assert mixed.mean[0] == pytest.approx(9.0, rel=0.1)


def test_concentration_is_recovered():
    rng = np.random.default_rng(11)
    shares = rng.dirichlet(40 * np.array([0.5, 0.3, 0.2]), 400)
    found = find_concentration(np.array([rng.multinomial(200, row) for row in shares]).astype(float))
    assert found == pytest.approx(40, rel=0.25)
    same = np.array([rng.multinomial(200, [0.5, 0.3, 0.2]) for _ in range(400)]).astype(float)
    assert find_concentration(same) > 500
