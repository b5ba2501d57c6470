"""Functions laid down as polynomials on panels."""

import numpy as np
import pytest

from cvmlib.clv.families import piecewise


def laid_down(function, ends):
    half = 0.5 * np.diff(ends)[:, None]
    return piecewise.polynomials(function(ends[:-1, None] + half * (1 + piecewise.NODES)))


@pytest.mark.parametrize(("shape", "power"), [(0.4, 0.3), (5.0, 2.0), (120.0, 80.0)])
def test_a_decaying_function_and_its_integral_are_read_back(shape, power):
    top = 60.0
    ends = piecewise.panel_ends(min(1.0, 1 / shape), shape, max(power, shape), top)
    level = laid_down(lambda y: (1 + y) ** -shape, ends)
    integral = piecewise.integrals(ends, level)
    edges = np.r_[0.0, np.geomspace(1e-3, top, 40)] * 7.0
    between, at = np.empty(40), np.empty(40)
    piecewise.read(ends, level, integral, edges, 7.0, between, at)
    y = edges / 7.0
    assert at == pytest.approx((1 + y[1:]) ** -shape, rel=1e-9)
    exact = np.expm1((1 - shape) * np.log1p(y)) / (1 - shape)
    assert between.cumsum() == pytest.approx(exact[1:], rel=1e-9)


def test_panels_cover_the_range_and_keep_their_promises():
    ends = piecewise.panel_ends(0.1, 3.0, 2.0, 40.0)
    assert ends[0] == 0.0 and ends[-1] == 40.0 and (np.diff(ends) > 0).all()
    assert (np.diff(ends) <= 0.5 * (0.1 + ends[:-1]) * (1 + 1e-12)).all()
    steep = piecewise.panel_ends(0.001, 400.0, 300.0, 40.0)
    start, length = steep[1:-1], np.diff(steep)[1:]
    fastest = np.minimum(1 / 0.001, np.minimum(300.0 / start, 400.0 / (1 + start)))  # relative change per unit
    assert (fastest * length < 4.0 + 1e-9).all()


def test_pairs_are_distinct_sorted_and_found_again():
    rng = np.random.default_rng(4)
    x, T = rng.integers(0, 5, 300).astype(float), rng.integers(0, 9, 300).astype(float)
    starts, pair_x, pair_T, of_pair = piecewise.distinct_pairs(x, T)
    assert (pair_x[of_pair] == x).all() and (pair_T[of_pair] == T).all()
    assert len(pair_x) == len(np.unique(np.column_stack([x, T]), axis=0))
    for first, last in zip(starts[:-1], starts[1:], strict=True):
        assert len(set(pair_x[first:last])) == 1 and (np.diff(pair_T[first:last]) > 0).all()
    assert list(pair_x[starts[:-1]]) == sorted(set(x))
    assert starts[-1] == len(pair_x)


def test_no_rows_have_no_pairs():
    starts, pair_x, _, of_pair = piecewise.distinct_pairs(np.zeros(0), np.zeros(0))
    assert list(starts) == [0] and pair_x.size == of_pair.size == 0
