"""What customers do next under the BG/BB: every future path of few opportunities, and simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from cvmlib.clv.families import bg_bb, bg_bb_forecast
from tests.clv.families.test_bg_bb import DONATIONS, OFTEN, PARAMETERS, counts_of, path_probability

SEEN, AHEAD = 4, 4


def futures(past, parameters):
    """Probability of each future path given the past, and that of being alive after it."""
    future = list(itertools.product((0, 1), repeat=AHEAD))
    before = path_probability(past, parameters)[0]
    joint = np.array([path_probability(past + path, parameters) for path in future]) / before
    return np.array(future), joint[:, 0], joint[:, 1]


def table_of(pasts):
    return [np.array(v, dtype=float) for v in zip(*(counts_of(path) for path in pasts), strict=True)]


def draws_of(*parameters):
    return [np.array(v) for v in zip(*parameters, strict=True)]


PASTS = list(itertools.product((0, 1), repeat=SEEN))


def test_expectations_over_every_future_path():
    edges = np.tile(np.arange(AHEAD + 1.0), (len(PARAMETERS), 1))
    purchases, alive = bg_bb_forecast.forecast(edges, *table_of(PASTS), *draws_of(*PARAMETERS))
    assert purchases.shape == (AHEAD, len(PARAMETERS), len(PASTS))
    assert alive.shape == (AHEAD + 1, len(PARAMETERS), len(PASTS))
    for d, parameters in enumerate(PARAMETERS):
        for i, past in enumerate(PASTS):
            future, probability, alive_after = futures(past, parameters)
            assert purchases[:, d, i] == pytest.approx(probability @ future, rel=1e-11)
            assert alive[AHEAD, d, i] == pytest.approx(alive_after.sum(), rel=1e-11)
        assert alive[0, d] == pytest.approx(bg_bb.probability_alive(*table_of(PASTS), *parameters), rel=1e-13)


def test_windows_need_not_be_whole():
    counts = table_of(PASTS)
    draws = draws_of(DONATIONS, OFTEN)
    whole, alive = bg_bb_forecast.forecast(np.tile(np.arange(4.0), (2, 1)), *counts, *draws)
    edges = np.array([[0.0, 0.25, 1.75, 3.0], [0.0, 0.5, 0.75, 2.0]])
    part, alive_part = bg_bb_forecast.forecast(edges, *counts, *draws)
    assert part[0, 0] == pytest.approx(0.25 * whole[0, 0], rel=1e-12)
    assert part[1, 0] == pytest.approx(0.75 * whole[0, 0] + 0.75 * whole[1, 0], rel=1e-12)
    assert part[2, 0] == pytest.approx(0.25 * whole[1, 0] + whole[2, 0], rel=1e-12)
    assert part[:, 1].sum(axis=0) == pytest.approx(whole[:2, 1].sum(axis=0), rel=1e-12)
    assert alive_part[2, 0] == pytest.approx(0.25 * alive[1, 0] + 0.75 * alive[2, 0], rel=1e-12)
    assert alive_part[3] == pytest.approx(np.array([alive[3, 0], alive[2, 1]]), rel=1e-12)


def test_a_new_customer_is_one_without_counts():
    edges = np.array([[0.0, 3.0, 10.5, 400.0]])
    none = np.zeros(1)
    for parameters in PARAMETERS:
        purchases, alive = bg_bb_forecast.forecast(edges, none, none, none, *draws_of(parameters))
        expected = bg_bb.expected_since_start(edges[0], *parameters)
        assert purchases.sum(axis=0)[0] == pytest.approx(expected[-1:], rel=1e-12)
        assert np.diff(expected) == pytest.approx(purchases[:, 0, 0], rel=1e-11)
        assert alive[0, 0, 0] == 1.0


def test_many_opportunities_match_row_by_row():
    rng = np.random.default_rng(4)
    T = rng.integers(0, 1000, 400)
    x, t_x = bg_bb.simulate_customers(T, *OFTEN, rng)
    draws = draws_of(DONATIONS, OFTEN, (1e-3, 1e3, 1e4, 1e-2))
    _, alive = bg_bb_forecast.forecast(np.zeros((3, 1)), x, t_x, T, *draws)
    column = [v[:, None] for v in draws]
    assert alive[0] == pytest.approx(bg_bb.probability_alive(x, t_x, T, *column), rel=1e-10, abs=1e-300)


def test_simulated_futures_have_the_distribution_of_the_paths():
    rng = np.random.default_rng(3)
    pasts = [(0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 1), (0, 0, 1, 0)]
    size = 20_000
    for parameters in PARAMETERS:
        draws = draws_of(*[parameters] * size)
        found = bg_bb_forecast.simulate_future(np.full(size, float(AHEAD)), *table_of(pasts), *draws, rng)
        assert found.shape == (size, len(pasts)) and found.dtype == np.int64
        for i, past in enumerate(pasts):
            future, probability, _ = futures(past, parameters)
            expected = size * np.bincount(future.sum(axis=1), probability)
            assert stats.chisquare(np.bincount(found[:, i], minlength=AHEAD + 1), expected).pvalue > 1e-4


def test_simulated_futures_have_the_expected_mean():
    rng = np.random.default_rng(6)
    x, t_x, T = (np.array(v, dtype=float) for v in zip((0, 0, 0), (0, 0, 52), (9, 50, 52), (30, 40, 52), strict=True))
    size = 20_000
    for parameters, horizon in ((DONATIONS, 2.4), (OFTEN, 30.0), ((1e-3, 5.0, 1e-4, 5.0), 100.0)):
        draws = draws_of(*[parameters] * size)
        found = bg_bb_forecast.simulate_future(np.full(size, horizon), x, t_x, T, *draws, rng)
        edges = np.array([[0.0, horizon]])
        expected, _ = bg_bb_forecast.forecast(edges, x, t_x, T, *draws_of(parameters))
        error = found.std(axis=0) / np.sqrt(size)
        assert (np.abs(found.mean(axis=0) - expected[0, 0]) < 4 * error + 1e-3).all()
        assert found.max() <= np.ceil(horizon)


def test_horizons_and_parameters_belong_to_draws_and_the_seed_settles_all():
    counts = table_of(PASTS)
    draws = draws_of(DONATIONS, OFTEN)
    one, same = (
        bg_bb_forecast.simulate_future(np.array([0.0, 40.0]), *counts, *draws, np.random.default_rng(2))
        for _ in range(2)
    )
    assert (one == same).all()
    assert (one[0] == 0).all() and one[1].max() > 5
