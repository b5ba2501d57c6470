import numpy as np
import pytest

from cvmlib.programs.pooling import pool_lifts
from cvmlib.programs.value import break_even, judge, sum_gains, value_programs


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [(0.99, "scale"), (0.95, "scale"), (0.9, "keep"), (0.8, "keep"), (0.5, "retest"), (0.1, "stop"), (0.0, "stop"),
     (np.nan, "retest")],
)  # fmt: skip
def test_verdict_follows_from_the_probability(probability, verdict):
    assert judge(probability) == verdict


def test_break_even_is_where_margin_is_hurdle_times_cost():
    assert break_even(np.array([1000.0]), np.array([50.0]), 1.2)[0] * 1000 == pytest.approx(1.2 * 50)
    assert np.isnan(break_even(np.array([0.0, np.nan]), np.array([50.0, 50.0]), 1.0)).all()


@pytest.fixture(scope="module")
def pooled():
    return pool_lifts(np.array([0.3, 0.0]), np.array([0.05, 0.05]), np.zeros(2, int))


def test_money_follows_the_lift(pooled):
    worth, cost = np.array([10_000.0, 10_000.0]), np.array([500.0, np.nan])
    money = value_programs(pooled, worth, cost, 1.0, 0.9)
    assert money["gain"].tolist() == pytest.approx((10_000 * money["pooled"]).tolist())
    assert money.loc[0, "back"] == pytest.approx(money.loc[0, "gain"] / 500)
    assert money.loc[0, "verdict"] == "scale" and money.loc[0, "probability"] > 0.99
    drawn = (np.expm1(pooled.theta[:, 0]) > 0.05).mean()
    assert money.loc[0, "probability"] == pytest.approx(drawn, abs=0.02)
    assert np.isnan(money.loc[1, ["back", "probability"]].to_numpy(float)).all()


def test_higher_hurdle_is_harder(pooled):
    worth, cost = np.array([10_000.0, 10_000.0]), np.array([2_800.0, 100.0])
    low, high = (value_programs(pooled, worth, cost, hurdle, 0.9)["probability"] for hurdle in (1.0, 1.5))
    assert (high <= low).all() and high[0] < low[0]


def test_total_is_summed_draw_by_draw(pooled):
    worth = np.array([1_000.0, 2_000.0])
    total = sum_gains(pooled, worth, 0.9)
    each = value_programs(pooled, worth, np.array([1.0, 1.0]), 1.0, 0.9)
    assert total["mean"] == pytest.approx(each["gain"].sum())
    assert total["low"] > each["gain_low"].sum() and total["high"] < each["gain_high"].sum()
