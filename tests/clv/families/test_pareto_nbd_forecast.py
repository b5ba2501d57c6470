"""What customers of a Pareto/NBD do next: against the closed forms, and by simulation."""

import numpy as np
import pytest

from cvmlib.clv.families import pareto_nbd
from cvmlib.clv.families.pareto_nbd_forecast import forecast, simulate_future

X = np.array([0, 2, 2, 15, 4, 0, 40])
RECENCY = np.array([0.0, 30.43, 5.0, 36.0, 10.0, 0.0, 38.9])
T = np.array([39.0, 38.86, 38.86, 39.0, 39.0, 12.0, 39.0])
COUNTS = (X, RECENCY, T)
R, ALPHA = np.array([0.55, 2.0, 0.8]), np.array([10.6, 10.0, 7.0])
S, BETA = np.array([0.61, 1.0, 3.0]), np.array([11.7, 60.0, 900.0])
DRAWS = (R, ALPHA, S, BETA)
EDGES = np.array([[0.0, 1.0, 1.0, 20.0, 300.0], [0.0, 4.0, 5.0, 9.0, 10.0], [0.0, 0.5, 7.0, 21.0, 5000.0]])


def test_windows_and_edges_are_the_closed_forms():
    purchases, alive = forecast(EDGES, *COUNTS, *DRAWS)
    assert purchases.shape == (4, 3, X.size) and alive.shape == (5, 3, X.size)
    column = [v[:, None] for v in DRAWS]
    now = pareto_nbd.probability_alive(*COUNTS, *column)
    assert alive[0] == pytest.approx(now, rel=1e-11)
    so_far = [now * pareto_nbd.expected_purchases(EDGES[:, m, None], X, T, *column) for m in range(5)]
    assert purchases == pytest.approx(np.diff(so_far, axis=0), rel=1e-10, abs=1e-13)
    for m in range(5):
        q = BETA[:, None] + T
        assert alive[m] == pytest.approx(now * (q / (q + EDGES[:, m, None])) ** S[:, None], rel=1e-11)


def test_a_survivor_is_a_customer_seen_silent_until_then_or_not():
    """P(alive later) by the law of total probability over what he buys in a window."""
    parameters, window = (0.8, 7.0, 0.7, 20.0), 6.0
    _, alive = forecast(np.array([[0.0, window]]), *COUNTS, *(np.array([v]) for v in parameters))
    r, alpha, s, beta = parameters
    for i in range(X.size):
        # Silent and alive at the end, by the counts he would then have; the rest by the density of the last purchase.
        before = pareto_nbd.log_likelihood(X[i], RECENCY[i], T[i], *parameters)
        silent = np.exp(pareto_nbd.log_likelihood(X[i], RECENCY[i], T[i] + window, *parameters) - before)
        total = silent * pareto_nbd.probability_alive(X[i], RECENCY[i], T[i] + window, *parameters)
        nodes, weights = np.polynomial.legendre.leggauss(40)
        v, w = window * (nodes + 1) / 2, window * weights / 2
        for k in range(1, 250):
            logs = pareto_nbd.log_likelihood(X[i] + k, T[i] + v, T[i] + window, *parameters) - before
            logs += (k - 1) * np.log(v) - sum(np.log(np.arange(1, k)))
            term = w @ (np.exp(logs) * pareto_nbd.probability_alive(X[i] + k, T[i] + v, T[i] + window, *parameters))
            total += term
            if term < 1e-12 * total:
                break
        assert alive[1, 0, i] == pytest.approx(total, rel=1e-9)


def test_order_and_repetition_of_rows_do_not_matter():
    order = np.array([4, 0, 6, 6, 1, 0])
    shuffled = forecast(EDGES, *(v[order] for v in COUNTS), *DRAWS)
    for whole, part in zip(forecast(EDGES, *COUNTS, *DRAWS), shuffled, strict=True):
        assert part == pytest.approx(whole[:, :, order], rel=1e-12)


def test_simulated_future_has_the_analytic_mean_and_share_of_silence():
    n, horizon = 40_000, np.array([39.0, 10.0, 100.0])
    purchases, alive = forecast(np.column_stack([np.zeros(3), horizon]), *COUNTS, *DRAWS)
    rng = np.random.default_rng(3)
    for i in range(3):
        drawn = simulate_future(np.full(n, horizon[i]), *COUNTS, *(np.full(n, v[i]) for v in DRAWS), rng)
        assert drawn.shape == (n, X.size) and drawn.dtype == np.int64
        error = drawn.std(axis=0) / np.sqrt(n)
        assert (np.abs(drawn.mean(axis=0) - purchases[0, i]) < 4.5 * error + 1e-4).all()
        # A customer alive at T is a new one, with the parameters that his counts have led to.
        silent = pareto_nbd.log_likelihood(0, 0.0, horizon[i], R[i] + X, ALPHA[i] + T, S[i], BETA[i] + T)
        expected = 1 - alive[0, i] * (1 - np.exp(silent))
        error = np.sqrt(expected * (1 - expected) / n)
        assert (np.abs((drawn == 0).mean(axis=0) - expected) < 4.5 * error + 1e-4).all()


def test_simulated_future_is_what_customers_do():
    """The future of simulated customers, told from their past: total and spread."""
    rng, parameters = np.random.default_rng(9), (0.55, 10.6, 0.61, 11.7)
    n, horizon, r, alpha, s, beta = 20_000, 39.0, *parameters
    rate, dropout = rng.gamma(r, 1 / alpha, n), rng.gamma(s, 1 / beta, n)
    life, age = rng.exponential(1.0, n) / dropout, rng.integers(20, 40, n).astype(float)
    x = rng.poisson(rate * np.minimum(life, age))
    t_x = np.where(x > 0, np.minimum(life, age) * rng.random(n) ** (1 / np.maximum(x, 1)), 0.0)
    later = rng.poisson(rate * np.clip(life - age, 0.0, horizon))
    drawn = simulate_future(np.full(20, horizon), x, t_x, age, *(np.full(20, v) for v in parameters), rng)
    error = later.std() / np.sqrt(n)
    assert drawn.mean() == pytest.approx(later.mean(), abs=4 * error)
    assert (drawn == 0).mean() == pytest.approx((later == 0).mean(), abs=4 * np.sqrt(0.25 / n))
    assert drawn.sum(axis=1).std() == pytest.approx(drawn.std(axis=0).mean() * np.sqrt(n), rel=0.6)
    again, product = np.mean(later * x) / np.mean(drawn * x), (later * x).std() / np.mean(later * x) / np.sqrt(n)
    assert again == pytest.approx(1.0, abs=4 * product)


def test_simulation_is_reproducible_and_extremes_are_finite():
    first, second = (simulate_future(EDGES[:, 3], *COUNTS, *DRAWS, np.random.default_rng(5)) for _ in range(2))
    assert (first == second).all()
    small = [np.array([v]) for v in (1e-3, 1e4, 1e-3, 1e-4)]
    large = [np.array([v]) for v in (1e3, 1e-4, 1e3, 1e4)]
    for parameters in (small, large):
        purchases, alive = forecast(np.array([[0.0, 1e-6, 1e4]]), *COUNTS, *parameters)
        assert np.isfinite(purchases).all() and (purchases >= 0).all()
        assert ((alive >= 0) & (alive <= 1)).all()
        assert (simulate_future(np.array([10.0]), *COUNTS, *parameters, np.random.default_rng(1)) >= 0).all()
