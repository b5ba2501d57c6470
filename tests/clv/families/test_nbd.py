"""NBD functions against SciPy's distributions and simulation, and the density against the plain likelihood."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import special, stats

from cvmlib.clv.families import nbd, pareto_nbd

CDNOW = (0.3848, 12.072)


def test_likelihood_is_that_of_a_negative_binomial_count():
    x, T = np.arange(60), 39.0
    counts = stats.nbinom.logpmf(x, CDNOW[0], CDNOW[1] / (CDNOW[1] + T))
    # The density of the times of the purchases, given their number, is x! / T^x.
    expected = counts + special.gammaln(x + 1) - x * np.log(T)
    assert nbd.log_likelihood(x, np.minimum(x, T), T, *CDNOW) == pytest.approx(expected, rel=1e-12)


def test_is_the_pareto_nbd_without_dropout():
    x, t_x, T = np.array([0, 1, 12, 900]), np.array([0.0, 3.0, 30.0, 38.0]), 39.0
    expected = pareto_nbd.log_likelihood(x, t_x, T, *CDNOW, 1e-13, 1.0)
    assert nbd.log_likelihood(x, t_x, T, *CDNOW) == pytest.approx(expected, rel=1e-11)


def test_shapes_broadcast():
    x, T = np.array([0, 3, 9]), np.array([5.0, 30.0, 39.0])
    draws = [np.array([[v], [1.1 * v]]) for v in CDNOW]
    assert nbd.log_likelihood(x, 0.9 * T * (x > 0), T, *draws).shape == (2, 3)
    assert (nbd.probability_alive(x, 0.9 * T * (x > 0), T, *draws) == np.ones((2, 3))).all()


def test_forecast_and_simulated_future():
    x, T, n = np.array([0, 2, 30]), np.array([10.0, 39.0, 39.0]), 40_000
    edges = np.array([[0.0, 5.0, 20.0], [0.0, 1.0, 39.0]])
    r, alpha = np.array([0.4, 2.0]), np.array([12.0, 9.0])
    purchases, alive = nbd.forecast(edges, x, x / 2, T, r, alpha)
    assert purchases.shape == (2, 2, 3) and (alive == np.ones((3, 2, 3))).all()
    assert purchases[1, 0] == pytest.approx(15.0 * (0.4 + x) / (12.0 + T))
    rng = np.random.default_rng(4)
    for i in range(2):
        drawn = nbd.simulate_future(np.full(n, edges[i, 2]), x, x / 2, T, np.full(n, r[i]), np.full(n, alpha[i]), rng)
        assert drawn.shape == (n, 3) and drawn.dtype == np.int64
        rest = (alpha[i] + T) / (alpha[i] + T + edges[i, 2])
        mean, variance = stats.nbinom.stats(r[i] + x, rest)
        assert (np.abs(drawn.mean(axis=0) - purchases[:, i].sum(axis=0)) < 4.5 * np.sqrt(variance / n)).all()
        assert mean == pytest.approx(purchases[:, i].sum(axis=0))
        assert drawn.var(axis=0) == pytest.approx(variance, rel=0.1)


def test_simulated_customers_follow_the_model():
    rng, n = np.random.default_rng(8), 100_000
    x, t_x = nbd.simulate_customers(np.full(n, 39.0), *CDNOW, rng)
    expected = nbd.expected_since_start(np.array([[39.0]]), *CDNOW)
    assert expected.shape == (1, 1)
    assert x.mean() == pytest.approx(expected[0, 0], abs=4 * x.std() / np.sqrt(n))
    assert (x == 0).mean() == pytest.approx((CDNOW[1] / (CDNOW[1] + 39.0)) ** CDNOW[0], abs=4 * 0.5 / np.sqrt(n))
    assert t_x[x == 1].mean() == pytest.approx(19.5, abs=4 * 39 / np.sqrt(12 * (x == 1).sum()))
    assert (t_x[x == 0] == 0).all() and (t_x[x > 0] > 0).all()


def test_maximum_likelihood():
    rng = np.random.default_rng(21)
    T = rng.integers(100, 700, 6_000).astype(float)
    x, t_x = nbd.simulate_customers(T, 0.6, 40.0, rng)
    found = nbd.fit_maximum_likelihood(x, t_x, T)
    assert found.parameters == pytest.approx({"r": 0.6, "alpha": 40.0}, rel=0.1)
    assert 0 <= found.log_likelihood - nbd.log_likelihood(x, t_x, T, 0.6, 40.0).sum() < 10
    in_hours = nbd.fit_maximum_likelihood(x, 24 * t_x, 24 * T)
    assert in_hours.parameters["alpha"] / 24 == pytest.approx(found.parameters["alpha"], rel=1e-5)
    rows, n = np.unique(np.column_stack([x, T]), axis=0, return_counts=True)
    grouped = nbd.fit_maximum_likelihood(rows[:, 0], np.zeros(len(rows)), rows[:, 1], n)
    assert grouped.parameters == pytest.approx(found.parameters, rel=1e-5)
    assert grouped.log_likelihood == pytest.approx(found.log_likelihood, abs=1e-6)


def test_density_and_its_gradient():
    rng, rows = np.random.default_rng(1), 300
    group = np.r_[np.arange(3), rng.integers(0, 3, rows - 3)]
    x = np.where(group == 1, 0, rng.geometric(0.2, rows) - 1)  # nobody repeats in one group
    T, customers = rng.integers(1, 60, rows) / 30.0, rng.integers(1, 500, rows).astype(float)
    r, alpha = np.array([0.4, 1.0, 3.0]), np.array([0.3, 0.7, 2.0])

    def plain(r, alpha):
        return float(customers @ nbd.log_likelihood(x, 0 * T, T, r[group], alpha[group]))

    symbols = [pt.dvector(), pt.dvector()]
    total = nbd.log_likelihood_of(nbd.lay_out(group, x, 0 * T, T, customers), *symbols)
    with pytensor.config.change_flags(numba__fastmath=False):
        compute = pytensor.function(symbols, [total, *pytensor.grad(total, symbols)], mode="NUMBA")
    value, by_r, by_alpha = compute(r, alpha)
    assert value == pytest.approx(plain(r, alpha), rel=1e-12)
    for i in range(3):
        step = 1e-5 * np.eye(3)[i]
        slope = (plain(r * (1 + step), alpha) - plain(r * (1 - step), alpha)) / (2e-5 * r[i])
        assert by_r[i] == pytest.approx(slope, rel=1e-6)
        slope = (plain(r, alpha * (1 + step)) - plain(r, alpha * (1 - step))) / (2e-5 * alpha[i])
        assert by_alpha[i] == pytest.approx(slope, rel=1e-6)


def test_density_where_nobody_repeats():
    group, none = np.zeros(2, int), np.zeros(2)
    data = nbd.lay_out(group, none.astype(int), none, np.array([1.0, 2.0]), np.ones(2))
    total = nbd.log_likelihood_of(data, pt.as_tensor([0.5]), pt.as_tensor([2.0])).eval()
    assert total == pytest.approx(nbd.log_likelihood(none, none, np.array([1.0, 2.0]), 0.5, 2.0).sum())
