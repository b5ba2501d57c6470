"""Windows, discounting by hand, and draws that stay together."""

import numpy as np
import pytest
from scipy import integrate

from cvmlib.clv.ahead import Ahead, Outlook
from tests.clv.buyers import MONTHS, unsure, year_ahead


def test_discount_factors_are_means_over_the_windows():
    ahead, rate = Ahead.plain([0.0, 10.0, 365.25, 2000.0], 1), np.log(1.25) / 365.25
    for factor, start, stop in zip(ahead.discount_factors(rate), ahead.days, ahead.days[1:], strict=False):
        integral = integrate.quad(lambda t: np.exp(-rate * t), start, stop)[0]
        assert factor == pytest.approx(integral / (stop - start), rel=1e-12)
    assert (ahead.discount_factors(0.0) == 1).all()
    # A payment a day for a year at 25 percent.
    year = Ahead.plain([0.0, 365.25], 1).discount_factors(rate)[0]
    assert year == pytest.approx((1 - 1 / 1.25) / np.log(1.25), rel=1e-12)


def test_customer_years_by_hand():
    ahead = Ahead.plain([0.0, 100.0, 365.25], 1)
    alive = np.array([1.0, 0.8, 0.6])
    years = ahead.customer_years(0.0) @ alive
    assert years == pytest.approx((100 * 0.9 + 265.25 * 0.7) / 365.25)
    assert ahead.customer_years(0.0, 1) @ alive == pytest.approx(265.25 * 0.7 / 365.25)
    first, second = ahead.discount_factors(0.001)
    assert ahead.customer_years(0.001) @ alive == pytest.approx((100 * 0.9 * first + 265.25 * 0.7 * second) / 365.25)


def test_beyond_the_horizon_windows_grow():
    edges = np.array([[0.0, 20.0, 100.0], [0.0, 60.0, 300.0]])
    found = Ahead(edges, np.array([0.0, 90.0, 200.0])).beyond(20)
    assert found.days[:2] == pytest.approx([0, 200]) and found.horizon == pytest.approx(20 * 365.25)
    assert (found.days[2:] / found.days[1:-1] <= 1.15 + 1e-12).all()
    assert found.edges[:, 1] == pytest.approx([100, 300])
    assert found.edges == pytest.approx(np.outer([0.5, 1.5], found.days))
    later = Ahead(edges, np.array([0.0, 90.0, 20_000.0])).beyond(20)  # further than the 20 years as it is
    assert later.days == pytest.approx([0, 20_000, 23_000])


@pytest.mark.parametrize(
    ("edges", "days", "words"),
    [
        (np.zeros((3, 2)), np.array([0.0, 1.0, 2.0]), r"edges have shape \(3, 2\) and days \(3,\)"),
        (np.zeros((3, 1)), np.zeros(1), "at least one window"),
        (np.zeros(3), np.zeros(3), "needed are"),
        (np.ones((3, 2)), np.array([0.0, 1.0]), "first edge of the time ahead is not 0"),
        (np.zeros((3, 2)), np.array([1.0, 2.0]), "first edge of the time ahead is not 0"),
        (np.array([[0.0, -1.0]]), np.array([0.0, 1.0]), "do not rise"),
        (np.array([[0.0, 1.0]]), np.array([0.0, 0.0]), "do not rise"),
        (np.array([[0.0, np.nan]]), np.array([0.0, 1.0]), "do not rise"),
    ],
)
def test_times_that_make_no_sense(edges, days, words):
    with pytest.raises(ValueError, match=words):
        Ahead(edges, days)


def test_draws_must_be_equally_many():
    purchase, spend = unsure(30)
    with pytest.raises(ValueError, match="equally many, and there are 30 of purchase, 29 of ahead, 30 of spend"):
        Outlook(purchase, spend, year_ahead(29))
    with pytest.raises(ValueError, match="30 of purchase, 30 of ahead, 400 of spend"):
        Outlook(purchase, unsure()[1], year_ahead(30))


@pytest.mark.parametrize("draws", [1, 2, 3, 80, 1000])
def test_fewer_draws_are_the_first_of_more(draws):
    marks = np.arange(float(draws)) + 1
    purchase, spend = unsure(draws)
    outlook = Outlook(purchase, spend, Ahead(np.outer(marks, MONTHS), MONTHS))
    whole = outlook.spread(draws)
    assert sorted(whole.ahead.edges[:, -1]) == list(marks * MONTHS[-1])
    for count in (1, 37, 200):
        fewer = outlook.spread(count)
        kept = min(count, draws)
        place = (fewer.ahead.edges[:, -1] / MONTHS[-1]).round().astype(int) - 1
        assert len(fewer) == kept and (fewer.ahead.edges == whole.ahead.edges[:kept]).all()
        assert (whole.first(count).ahead.edges == fewer.ahead.edges).all()
        # What belongs to one draw stays together.
        assert (fewer.purchase["alpha"] == purchase["alpha"][place]).all() and (fewer.spend.q == spend.q[place]).all()
        # Evenly spread: every stretch of the draws has its share.
        share = np.histogram(place, bins=4, range=(0, draws))[0] / kept
        assert draws < 80 or kept < 30 or (np.abs(share - 0.25) < 0.06).all()
