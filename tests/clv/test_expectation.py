"""Exact expectations against the paper's functions, at known and at uncertain parameters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special

from cvmlib.clv import expectation, gamma_gamma
from cvmlib.clv.ahead import Ahead, Outlook
from cvmlib.clv.expectation import expect, group_alike, probability_alive_later
from cvmlib.clv.families import bg_nbd
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.terms import Terms
from tests.clv.buyers import BUYING, YEAR, counts_of, known, one_row, simulate_base, unsure, year_ahead

RATE = np.log(1.25) / 365.25


def test_grouping_alike_rows():
    rows = pd.DataFrame(
        {
            "frequency": [2, 0, 2, 2, 0],
            "recency": [5.0, 0.0, 5.0, 6.0, 0.0],
            "T": [9.0, 9.0, 9.0, 9.0, 9.0],
            "customers": [1, 10, 100, 1000, 10_000],
        }
    )
    alike = group_alike(rows)
    assert [list(v) for v in alike.counts(slice(None))] == [[0, 2, 2], [0, 5, 6], [9, 9, 9]]
    assert list(alike.customers) == [10_010, 101, 1000] and list(alike.of_row) == [1, 0, 1, 2, 0]
    assert (np.diff(alike.of_row[alike.order]) >= 0).all()
    assert list(group_alike(rows.drop(columns="customers")).customers) == [2, 2, 1]


@pytest.fixture(scope="module")
def base() -> pd.DataFrame:
    return simulate_base(seed=5, customers=400)


def test_means_against_the_paper(base):
    """Purchases and P(alive) are exact; discounting by the month is off by less than 0.03%, at 25% a year."""
    found = expect(group_alike(base), Outlook(*known(1), year_ahead(1)), RATE)
    x, t_x, T = counts_of(base)
    alive = bg_nbd.probability_alive(x, t_x, T, **BUYING)
    of_row = group_alike(base).of_row
    assert found.p_alive[of_row] == pytest.approx(alive, rel=1e-9)
    exact = alive * bg_nbd.expected_purchases(YEAR, x, T, **BUYING)
    assert found.purchases[of_row] == pytest.approx(exact, rel=1e-7)
    discounted = alive * bg_nbd.expected_purchases(YEAR, x, T, **BUYING, discount=RATE)
    assert found.discounted[of_row] == pytest.approx(discounted, rel=3e-4)
    years = alive * bg_nbd.expected_time_alive(YEAR, x, T, **BUYING, discount=RATE) / 365.25
    assert found.years[of_row] == pytest.approx(years, rel=4e-3)
    assert found.total_years == pytest.approx([years.sum()], rel=1e-3)


def test_value_is_linear_in_the_mean_spend():
    """Rows that differ in z alone are computed once: the same as each by itself, draw by draw."""
    z = np.array([0.0, 1.0, 40.0, 555.5])
    rows = pd.concat([one_row(z=v) for v in z], ignore_index=True)
    purchase, spend = unsure(30)
    alike = group_alike(rows)
    assert len(alike) == 1
    found = expect(alike, Outlook(purchase, spend, year_ahead(30)), RATE)
    terms = Terms(margin=0.4, returned_share=0.1, per_transaction=1.5, per_customer_year=7.0)
    x, t_x, T = counts_of(rows.head(1))
    by_draw = []
    for i in range(30):
        at = [value[i] for value in purchase.values]
        alive = bg_nbd.probability_alive(x, t_x, T, *at)
        bought = alive * bg_nbd.expected_purchases(YEAR, x, T, *at, discount=RATE)
        years = alive * bg_nbd.expected_time_alive(YEAR, x, T, *at, discount=RATE) / 365.25
        each = gamma_gamma.expected_spend(x, z, spend.p[i], spend.q[i], spend.gamma[i])
        by_draw.append(bought * (each * 0.36 - 1.5) - 7.0 * years)
    assert found.value(terms, alike.of_row, z) == pytest.approx(np.mean(by_draw, axis=0), rel=1e-3)
    # And that without the error of discounting by the month: exactly linear.
    value = found.value(terms, alike.of_row, z)
    assert (value[2] - value[0]) / 40.0 == pytest.approx(value[1] - value[0], rel=1e-12)


def test_parts_give_what_the_whole_gives(monkeypatch, base):
    purchase, spend = unsure(20)
    whole = expect(group_alike(base), Outlook(purchase, spend, year_ahead(20)), RATE)
    held = []

    def watched(edges, of_purchases, of_alive, frequency, *arguments):
        held.append(len(frequency))
        return purchase.family.forecast_sums(edges, of_purchases, of_alive, frequency, *arguments)

    monkeypatch.setattr(expectation, "_CELLS", 13 * 20 * 50)
    family = replace(purchase.family, forecast_sums=watched)
    parts = expect(group_alike(base), Outlook(Draws(family, purchase.values), spend, year_ahead(20)), RATE)
    assert max(held) == 50 and sum(held) == len(whole.p_alive)
    for name in ("p_alive", "purchases", "discounted", "years", "total_years"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-10)


def test_seasons_move_purchases_not_days():
    """Two windows of a month: in one draw the first is worth 50 operational days, in the other 5."""
    edges = np.array([[0.0, 50.0, 60.0], [0.0, 5.0, 25.0]])
    days = np.array([0.0, 30.0, 60.0])
    rows = one_row()
    x, t_x, T = counts_of(rows)
    found = expect(group_alike(rows), Outlook(*known(2), Ahead(edges, days)), 0.01)
    alive = bg_nbd.probability_alive(x, t_x, T, **BUYING)[0]
    until = {s: bg_nbd.expected_purchases(s, x, T, **BUYING)[0] for s in (5.0, 25.0, 50.0, 60.0)}
    assert found.purchases[0] == pytest.approx(alive * (until[60] + until[25]) / 2, rel=1e-7)
    first, second = (1 - np.exp(-0.3)) / 0.3, (np.exp(-0.3) - np.exp(-0.6)) / 0.3
    by_draw = [until[50] * first + (until[60] - until[50]) * second, until[5] * first + (until[25] - until[5]) * second]
    assert found.discounted[0] == pytest.approx(alive * np.mean(by_draw), rel=1e-7)


def test_alive_at_a_later_date(base):
    purchase, _ = unsure(40)
    edges = np.outer(np.linspace(0.5, 1.5, 40), [0.0, 100.0, 400.0])
    found = probability_alive_later(purchase, Ahead(edges, np.array([0.0, 100.0, 400.0])), base)
    assert found.shape == (400, 3) and (np.diff(found, axis=1) < 0).all()
    x, t_x, T = counts_of(base)
    r, alpha, a, b = purchase.column()
    alive = bg_nbd.probability_alive(x, t_x, T, r, alpha, a, b)
    for m in range(3):
        survival = special.hyp2f1(r + x, a, a + b + x, -edges[:, [m]] / (alpha + T))
        assert found[:, m] == pytest.approx((alive * survival).mean(axis=0), rel=1e-7)
