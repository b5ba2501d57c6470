"""The plan against a closed form, its risk, its limits, and when the advice is to hold."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cvmlib.attribution.budget import CAUTION, ENOUGH, advise, compare_plans, find_plan, tabulate_plan, tail_mean
from cvmlib.attribution.budget_doubt import doubt_returns
from cvmlib.attribution.budget_options import BudgetOptions, read_options
from cvmlib.attribution.media_design import build_design
from cvmlib.attribution.media_effects import MediaPosterior
from cvmlib.attribution.media_model import CAPTURED_SD, RETURN_MEAN, RETURN_SD, Form
from cvmlib.attribution.media_panel import build_panel
from cvmlib.errors import DataError
from tests.attribution.media_worlds import as_weeks, simulate

LEVELS = np.linspace(0.0, 2.0, 41)


def options(coefficients: np.ndarray, spend=(100.0, 50.0, 50.0), low=0.5, high=1.5) -> BudgetOptions:
    """Square-root responses: channel c brings coefficient x sqrt(spend x level)."""
    spend = np.asarray(spend)
    count = len(spend)
    response = coefficients[:, :, None] * np.sqrt(spend[:, None] * LEVELS)[None]
    names = tuple("abc"[:count])
    bounds = [np.full(count, value) for value in (low, high, 0.0, 2.0)]
    return BudgetOptions(names, spend, *bounds, LEVELS, response)


def test_certain_square_roots_have_their_known_optimum():
    """Maximising sum k sqrt(x) at a fixed total gives x in proportion to k squared."""
    k = np.array([1.0, 1.0, 0.8])
    found = find_plan(options(np.tile(k, (20, 1))), 0.0)
    best = 200.0 * k**2 / (k**2).sum() / np.array([100.0, 50.0, 50.0])
    np.testing.assert_allclose(found, best, atol=0.06)  # responses are straight between levels 0.05 apart
    assert found @ np.array([100.0, 50.0, 50.0]) == pytest.approx(200.0)


def test_limits_bind():
    found = find_plan(options(np.tile([1.0, 5.0, 0.1], (20, 1)), low=0.9, high=1.2), 0.0)
    assert found[1] == pytest.approx(1.2, abs=0.005)
    assert found.min() >= 0.9 - 1e-9


def test_limits_of_a_channel_that_is_not_there_are_refused():
    design = build_design(build_panel({"shop": as_weeks("shop", simulate())}))
    posterior = MediaPosterior(design, Form(), {"ret": np.zeros((1, 3))})
    with pytest.raises(DataError, match=r"media_mix.limits name radio; the channels of media are brand search, print"):
        read_options(posterior, "shop", {"radio": (1.0, 1.0)})


def test_a_fixed_channel_stays():
    one = options(np.tile([1.0, 5.0, 0.1], (20, 1)))
    fixed = replace(one, low=np.array([0.5, 1.0, 0.5]), high=np.array([1.5, 1.0, 1.5]))
    assert find_plan(fixed, 0.0)[1] == 1.0


def test_caution_lowers_the_loss_of_the_worst_cases():
    rng = np.random.default_rng(1)
    uncertain = np.column_stack([np.full(400, 1.0), rng.normal(1.3, 1.2, 400), np.full(400, 0.9)])
    known = options(uncertain)
    cautious, eager = find_plan(known, 0.5), find_plan(known, 0.0)
    assert tail_mean(known.gain(cautious)) > tail_mean(known.gain(eager))
    assert known.gain(eager).mean() >= known.gain(cautious).mean()


def test_hold_below_the_probability_asked_for():
    rng = np.random.default_rng(2)
    even = np.column_stack([rng.normal(1.0, 1.0, 1000), rng.normal(0.75, 1.0, 1000), rng.normal(0.75, 1.0, 1000)])
    advice = advise(options(even))
    assert advice.hold
    assert advice.probability < 0.8 or "worth its risk" in advice.reason
    sure = advise(options(np.tile([1.0, 3.0, 0.2], (50, 1)) + 0.01 * rng.standard_normal((50, 3))))
    assert not sure.hold
    assert sure.probability == 1.0
    assert "probability of more than 99%" in sure.reason


def test_a_fit_that_failed_recommends_nothing():
    advice = advise(options(np.tile([1.0, 3.0, 0.2], (50, 1))), fit_passed=False)
    assert advice.hold
    assert "did not pass its diagnostics" in advice.reason


def test_plan_spends_todays_budget_and_tells_its_distance():
    advice = advise(options(np.tile([1.0, 3.0, 0.2], (50, 1))))
    table = tabulate_plan(advice)
    assert table["plan"].sum() == pytest.approx(table["now"].sum())
    assert advice.moved == pytest.approx(np.abs(table["plan"] - table["now"]).sum() / 2 / table["now"].sum())
    assert table["observed"].all()


def test_plans_compared_tell_gain_and_risk():
    rng = np.random.default_rng(3)
    known = options(np.column_stack([np.full(300, 1.0), rng.normal(2.0, 0.5, 300), np.full(300, 0.3)]))
    table = compare_plans(known, advise(known)).set_index("plan")
    assert table.loc["of the mean alone", "gain"] >= table["gain"].max() - 1e-9
    assert table.loc["most cautious", "worst"] >= table["worst"].max() - 1e-9
    assert (table["worst"] <= table["gain"]).all()


def test_tail_mean_of_uniform_draws():
    assert tail_mean(np.arange(100.0)) == pytest.approx(4.5)


def test_a_return_out_of_the_ordinary_is_doubted_and_an_ordinary_one_hardly():
    """By numeric integration: what is left of a return after the demand that the channel may capture unnoticed."""
    rng = np.random.default_rng(4)
    draws = np.column_stack([rng.normal(4.0, 0.5, 20_000), rng.normal(0.5, 0.2, 20_000)])
    found = doubt_returns(draws, np.array([True, True]), 0.2)
    left = draws[found.places] - found.captured
    for channel, (mean, spread) in enumerate(((4.0, 0.5), (0.5, 0.2))):
        r, d = np.meshgrid(np.linspace(-6, 8, 1401), np.linspace(0, 9, 901), indexing="ij")
        prior = stats.norm.pdf(r, RETURN_MEAN, RETURN_SD)
        # the draws are those of a likelihood times the prior of r
        likely = stats.norm.pdf(r + d, mean, spread) / stats.norm.pdf(r + d, RETURN_MEAN, RETURN_SD)
        follows = 0.2 * prior * 2 * stats.norm.pdf(d, 0, CAPTURED_SD) * likely * 0.01 * 0.01
        own = 0.8 * stats.norm.pdf(r[:, 0], mean, spread) * 0.01
        expected = ((r * follows).sum() + (r[:, 0] * own).sum()) / (follows.sum() + own.sum())
        assert left[:, channel].mean() == pytest.approx(expected, abs=0.03)
    assert 4.0 - left[:, 0].mean() > 2 * (0.5 - left[:, 1].mean()) > 0.0


def test_nothing_is_doubted_of_channels_with_a_test():
    draws = np.random.default_rng(5).normal(4.0, 1.0, (100, 2))
    found = doubt_returns(draws, np.array([False, True]))
    assert not found.captured[:, 0].any() and found.captured[:, 1].any()
    untouched = doubt_returns(draws, np.array([False, False]))
    assert (untouched.places == np.arange(100)).all() and not untouched.captured.any()


def test_no_more_caution_than_it_takes_to_be_sure_enough():
    rng = np.random.default_rng(6)
    sure = options(np.tile([1.0, 3.0, 0.2], (50, 1)) + 0.01 * rng.standard_normal((50, 3)))
    assert advise(sure).caution == CAUTION[0]
    # the second channel is best on average, the third is surer to beat the first
    risky = np.column_stack([np.full(500, 1.0), rng.normal(1.1, 1.2, 500), rng.normal(0.9, 0.1, 500)])
    advice = advise(options(risky))
    assert not advice.hold and advice.caution > CAUTION[0] and advice.probability >= ENOUGH
    assert np.mean(options(risky).gain(find_plan(options(risky), CAUTION[0])) > 0) < ENOUGH
