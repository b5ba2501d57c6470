import numpy as np
import pandas as pd
import pytest

from cvmlib.churn.counts import active_cells, censor_counts
from cvmlib.churn.forecast import Terms, forecast_cells, score_cells, share_extrapolated
from cvmlib.churn.retention import HazardPosterior, fit_hazard
from cvmlib.churn.simulate import simulate_counts
from cvmlib.churn.validation import count_outcomes
from tests.churn.conftest import END, END_MONTH, MONTHS


def known(hazard, billed=0.0, draws=4000):
    """A posterior without uncertainty: one plan, this hazard by tenure."""
    hazard = np.asarray(hazard, float)
    return HazardPosterior(
        ("a",), np.broadcast_to(hazard, (draws, 1, len(hazard))), np.ones((1, len(hazard))), 100, np.ones(draws),
        0.0, 0.0, billed,
    )  # fmt: skip


def cell(prices, tenure=0):
    prices = np.asarray(prices, float)
    return pd.DataFrame(
        {"plan": ["a"], "tenure": [tenure], "subscriptions": [len(prices)], "price": [prices.sum()],
         "price_sq": [(prices**2).sum()]}
    )  # fmt: skip


def test_value_and_discounting_by_hand():
    # one subscriber, 10 a month, margin 0.6, cost 1 a month, 21% a year; leaves with 10% and then 20%; two months
    terms = Terms(2, margin=0.6, cost_per_month=1.0, discount_rate=0.21)
    forecast = forecast_cells(known([0.0, 0.1, 0.2, 0.2]), cell([10.0]), terms)
    first, second = 1.21 ** (-0.5 / 12), 1.21 ** (-1.5 / 12)
    months = 0.9 * first + 0.9 * 0.8 * second
    score = score_cells(forecast).iloc[0]
    assert score["discounted_months"] == pytest.approx(months)
    assert score["expected_months"] == pytest.approx(0.9 + 0.72)
    assert score["p_active"] == pytest.approx(0.72)
    assert forecast.value.mean() == pytest.approx((0.6 * 10 - 1) * months, rel=0.02)


def test_a_billed_month_of_leaving_is_paid():
    forecast = forecast_cells(known([0.0, 0.1, 0.2], billed=1.0), cell([10.0] * 100), Terms(1))
    assert forecast.revenue[:, 0].min() == forecast.revenue[:, 0].max() == 1000
    assert score_cells(forecast)["expected_months"].iloc[0] == pytest.approx(1.0)


def test_first_month_to_come_is_the_one_after_the_tenure():
    hazard = [0.0, 0.0, 0.0, 0.9, 0.0, 0.0]
    for tenure, expected in ((1, 1.0), (2, 0.1), (3, 1.0)):
        forecast = forecast_cells(known(hazard), cell([1.0], tenure), Terms(1))
        assert forecast.survival[0, 1] == pytest.approx(expected)


def test_interval_of_one_subscriber_is_the_exact_distribution():
    forecast = forecast_cells(known([0.0] + [0.1] * 13), cell([1.0]), Terms(12))
    score = score_cells(forecast, 0.9).iloc[0]
    # months paid are geometric: P(0) = 0.1 > 0.05, and P(12) = 0.9 ** 12 = 0.28 > 0.05
    assert (score["expected_months_low"], score["expected_months_high"]) == (0.0, 12.0)
    narrow = score_cells(forecast, 0.5).iloc[0]
    # P(<= 1) = 0.19 < 0.25 <= P(<= 2)
    assert (narrow["expected_months_low"], narrow["expected_months_high"]) == (2.0, 12.0)


@pytest.mark.parametrize("prices", [[10.0] * 40, [5.0, 50.0] * 20, list(range(1, 41))])
def test_spread_of_totals_equals_brute_force(prices):
    terms, hazard = Terms(6, margin=0.5, cost_per_month=0.3, discount_rate=0.1), 0.15
    forecast = forecast_cells(known([hazard] * 9, billed=0.25), cell(prices), terms)
    rng = np.random.default_rng(11)
    life = np.minimum(rng.geometric(hazard, (4000, len(prices))) - 1, 6)
    paid = np.arange(6)[None, None] < life[:, :, None]
    left = np.arange(6)[None, None] == life[:, :, None]
    share = paid + 0.25 * left
    revenue = (share * np.array(prices)[None, :, None]).sum(axis=1)
    value = ((share * terms.discounts).sum(axis=2) * (0.5 * np.array(prices) - 0.3)).sum(axis=1)
    np.testing.assert_allclose(forecast.revenue.mean(axis=0), revenue.mean(axis=0), rtol=0.02)
    np.testing.assert_allclose(forecast.revenue.std(axis=0), revenue.std(axis=0), rtol=0.08)
    assert forecast.value.mean() == pytest.approx(value.mean(), rel=0.02)
    assert forecast.value.std() == pytest.approx(value.std(), rel=0.08)


def test_shocks_widen_the_total():
    base = known([0.05] * 14)
    shaken = HazardPosterior(**{**vars(base), "shock_sd": 0.3})
    cells = cell([10.0] * 2000)
    spread = [forecast_cells(posterior, cells, Terms(12)).value.std() for posterior in (base, shaken)]
    assert spread[1] > 1.5 * spread[0]


def test_nobody_active_is_worth_nothing():
    empty = cell([1.0]).iloc[:0]
    forecast = forecast_cells(known([0.1] * 3), empty, Terms(12))
    assert (forecast.value == 0).all() and (forecast.active == 0).all()
    assert len(score_cells(forecast)) == 0 and share_extrapolated(forecast, 3) == 0


def test_extrapolated_share():
    forecast = forecast_cells(known([0.0] * 30), cell([1.0], tenure=10), Terms(12))
    assert share_extrapolated(forecast, 17) == pytest.approx(0.5)


def test_a_plan_not_seen_before_has_the_hazard_of_all():
    cells = cell([1.0]).assign(plan="new")
    assert forecast_cells(known([0.1] * 5), cells, Terms(1)).survival[0, 1] == pytest.approx(0.9)


def test_coverage_of_totals_over_seeds():
    """Forecast intervals of subscriptions and value hold the truth in about nine of ten simulated worlds."""
    hazards = {"a": 0.015 + 0.05 * np.exp(-MONTHS / 8), "b": np.where(MONTHS % 12 == 0, 0.1, 0.01)}
    inside = []
    for seed in range(40):
        future = simulate_counts(40, hazards, {"a": 10.0, "b": 40.0}, END, 42, seed)
        split = END_MONTH - 12
        seen = censor_counts(future, split)
        posterior = fit_hazard(seen, ahead=12, draws=300, seed=seed)
        forecast = forecast_cells(posterior, active_cells(seen), Terms(12), seed)
        truth = count_outcomes(future, split, 12)
        for draws, happened in (
            (forecast.active[:, -1], truth["active"].iloc[-1]),
            (forecast.revenue.sum(axis=1), truth["revenue"].sum()),
        ):
            low, high = np.quantile(draws, [0.05, 0.95])
            inside.append(low <= happened <= high)
    assert 0.8 <= np.mean(inside) <= 1.0
