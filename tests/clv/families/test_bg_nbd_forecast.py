"""Forecasts of many draws at once against the functions of one, and simulated futures against exact distributions."""

import numpy as np
import pytest
from scipy import special, stats

from cvmlib.clv.families import bg_nbd
from cvmlib.clv.families.registry import BG_NBD, MBG_NBD

CDNOW = (0.2426, 4.4136, 0.7929, 2.4259)
OFTEN = (2.0, 10.0, 1.2, 6.0)
HEAVY = (8.0, 3.0, 1.0, 30.0)
ROWS = [(0, 0.0, 39.0), (0, 0.0, 0.0), (2, 30.43, 38.86), (2, 5.0, 38.86), (15, 36.0, 39.0), (2, 30.43, 20.0)]
ROWS[-1] = (2, 18.0, 20.0)


def columns(rows):
    return tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True))


def draws_of(*parameters):
    return tuple(np.array(values, dtype=float) for values in zip(*parameters, strict=True))


@pytest.mark.parametrize("modified", [False, True])
def test_windows_are_those_of_one_customer_and_one_draw(modified):
    x, t_x, T = columns(ROWS)
    parameters = draws_of(CDNOW, OFTEN, HEAVY)
    edges = np.array([[0, 1, 5, 39, 40, 400], [0, 30, 60, 90, 120, 150], [0, 0.01, 0.1, 1, 10, 100]], dtype=float)
    purchases, alive = (MBG_NBD if modified else BG_NBD).forecast(edges, x, t_x, T, *parameters)
    assert purchases.shape == (5, 3, len(x)) and alive.shape == (6, 3, len(x))
    for i, draw in enumerate(zip(*parameters, strict=True)):
        r, alpha, a, b = draw
        now = bg_nbd.probability_alive(x, t_x, T, *draw, modified=modified)
        b = b + modified
        assert alive[0, i] == pytest.approx(now, rel=1e-12)
        cumulative = np.array([bg_nbd.expected_purchases(h, x, T, r, alpha, a, b) for h in edges[i]])
        assert purchases[:, i] == pytest.approx(now * np.diff(cumulative, axis=0), rel=1e-8)
        survival = special.hyp2f1(r + x, a, a + b + x, -edges[i][:, None] / (alpha + T))
        assert alive[:, i] == pytest.approx(now * survival, rel=1e-8)


def test_forecasts_of_random_customers():
    rng = np.random.default_rng(5)
    D = 40
    spread = [10 ** rng.uniform(low, high, D) for low, high in ((-2, 1), (-1, 3), (-2, 1.3), (-2, 2))]
    x = np.repeat([0.0, 1, 2, 5, 20, 100], 4)
    T = x + rng.uniform(0, 1500, x.size)
    edges = np.linspace(0, 365, 13) * rng.uniform(0.1, 3, (D, 1))
    purchases, alive = BG_NBD.forecast(edges, x, T, T, *spread)  # bought at T: alive for sure, or nearly
    for i, draw in enumerate(zip(*spread, strict=True)):
        expected = alive[0, i] * bg_nbd.expected_purchases(edges[i, -1], x, T, *draw)
        assert purchases[:, i].sum(axis=0) == pytest.approx(expected, rel=1e-8)
        last = np.diff([bg_nbd.expected_purchases(h, x, T, *draw) for h in edges[i, -2:]], axis=0)[0]
        assert purchases[-1, i] == pytest.approx(alive[0, i] * last, rel=1e-6, abs=1e-12)
        survival = [
            bg_nbd.mean_survival(draw[0] + n, draw[2], draw[2] + draw[3] + n, edges[i, -1] / (draw[1] + age))
            for n, age in zip(x, T, strict=True)
        ]
        assert alive[-1, i] == pytest.approx(alive[0, i] * survival, rel=1e-8)


def test_rows_do_not_depend_on_their_company():
    x, t_x, T = columns(ROWS)
    parameters = draws_of(CDNOW, OFTEN)
    edges = np.tile(np.linspace(0, 52, 5), (2, 1))
    together = BG_NBD.forecast(edges, x, t_x, T, *parameters)
    order = np.array([4, 1, 1, 0, 5, 2, 3])
    shuffled = BG_NBD.forecast(edges, x[order], t_x[order], T[order], *parameters)
    for one, other in zip(together, shuffled, strict=True):
        assert other == pytest.approx(one[:, :, order], rel=1e-11)
    alone = BG_NBD.forecast(edges, x[4:5], t_x[4:5], T[4:5], *parameters)
    assert alone[0] == pytest.approx(together[0][:, :, 4:5], rel=1e-11)


def test_the_unit_of_time_does_not_matter():
    x, t_x, T = columns(ROWS)
    r, alpha, a, b = draws_of(CDNOW, OFTEN)
    edges = np.tile(np.linspace(0, 52, 5), (2, 1))
    weeks = BG_NBD.forecast(edges, x, t_x, T, r, alpha, a, b)
    hours = BG_NBD.forecast(168 * edges, x, 168 * t_x, 168 * T, r, 168 * alpha, a, b)
    assert hours[0] == pytest.approx(weeks[0], rel=1e-9) and hours[1] == pytest.approx(weeks[1], rel=1e-9)


def test_windows_without_length_and_no_rows():
    x, t_x, T = columns(ROWS)
    parameters = draws_of(CDNOW)
    purchases, alive = BG_NBD.forecast(np.array([[0.0, 0.0, 0.0]]), x, t_x, T, *parameters)
    assert (purchases == 0).all() and alive[2] == pytest.approx(alive[0])
    none = np.zeros(0)
    purchases, alive = BG_NBD.forecast(np.array([[0.0, 3.0]]), none, none, none, *parameters)
    assert purchases.shape == (1, 1, 0) and alive.shape == (2, 1, 0)
    drawn = BG_NBD.simulate_future(np.ones(1), none, none, none, *parameters, np.random.default_rng(1))
    assert drawn.shape == (1, 0)


def tails(horizon, x, T, r, alpha, a, b, most):
    """P(purchases of a living customer >= m), m = 1 … most: of N negative binomial, and of having survived m - 1."""
    m = np.arange(1, most + 1)
    made = stats.nbinom.sf(m - 1, r + x, (alpha + T) / (alpha + T + horizon))
    return made * np.exp(special.betaln(a, b + x + m - 1) - special.betaln(a, b + x))


@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize(
    ("parameters", "horizon"), [(CDNOW, 39.0), (OFTEN, 100.0), (OFTEN, 3.0), (HEAVY, 20.0), (HEAVY, 200.0)]
)
def test_simulated_futures_follow_their_distribution(parameters, horizon, modified):
    """Small expectations are drawn by inversion, large ones by rate and dropout: both follow the exact tails."""
    rng = np.random.default_rng(31)
    x, t_x, T = columns(ROWS)
    D = 20_000
    many = [np.full(D, value) for value in parameters]
    drawn = (MBG_NBD if modified else BG_NBD).simulate_future(np.full(D, horizon), x, t_x, T, *many, rng)
    assert drawn.shape == (D, len(x)) and drawn.dtype == np.int64
    now = bg_nbd.probability_alive(x, t_x, T, *parameters, modified=modified)
    r, alpha, a, b = parameters
    for j in range(len(x)):
        expected = now[j] * tails(horizon, x[j], T[j], r, alpha, a, b + modified, 60)
        found = (drawn[:, j, None] >= np.arange(1, 61)).mean(axis=0)
        error = np.sqrt(expected * (1 - expected) / D)
        assert (np.abs(found - expected) <= 4.7 * error + 1e-4).all()


def test_simulated_means_are_the_forecast():
    rng = np.random.default_rng(3)
    T = rng.uniform(10, 80, 4_000)
    x, t_x = bg_nbd.simulate_customers(T, *OFTEN, rng)
    spread = [value * np.exp(0.1 * rng.standard_normal(30)) for value in OFTEN]
    horizon = np.linspace(10, 60, 30)
    drawn = BG_NBD.simulate_future(horizon, x, t_x, T, *spread, rng)
    edges = np.column_stack([np.zeros(30), horizon])
    expected = BG_NBD.forecast(edges, x, t_x, T, *spread)[0][0]
    error = np.sqrt(drawn.var(axis=1) / len(x))
    assert (np.abs(drawn.mean(axis=1) - expected.mean(axis=1)) < 4.5 * error).all()


def test_simulation_is_reproducible():
    x, t_x, T = columns(ROWS)
    arguments = (np.full(2, 50.0), x, t_x, T, *draws_of(OFTEN, HEAVY))
    first, same, other = (BG_NBD.simulate_future(*arguments, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert (first == same).all() and (first != other).any()
