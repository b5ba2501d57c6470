"""Pareto/NBD functions against values in multiple precision, the individual model, peers and simulation."""

import json
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy import special, stats

from cvmlib.clv.families import pareto_nbd
from cvmlib.clv.families.pareto_nbd_integral import leaving_first, leaving_first_at_ages
from cvmlib.clv.families.pareto_nbd_kernel import evaluator, lay_out

CDNOW = (0.5533, 10.5777, 0.6062, 11.6687)
OFTEN = (2.0, 10.0, 1.2, 60.0)
REFERENCE = Path(__file__).with_name("references") / "pareto_nbd.json"  # by make_pareto_nbd.py beside it


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    """Rows of counts, parameters, the log-likelihood and its gradient by the logarithms of the parameters."""
    return np.array(json.loads(REFERENCE.read_text(encoding="utf-8"))["rows"])


def test_reference_covers_the_range(exact):
    x, t_x, T, r, alpha, s, beta = exact.T[:7]
    assert {0, 1, 1000} <= set(x) and len(exact) > 200
    assert min(r.min(), s.min()) == 1e-3 and max(r.max(), s.max()) == 1e3
    for scale in (alpha / T, beta / T):
        assert scale.min() < 1.1e-4 and scale.max() > 0.9e4
    assert (t_x[x > 0] == T[x > 0]).any() and ((t_x < T) & (t_x > T * (1 - 1e-9))).any()
    assert T.min() == 1e-6 and T.max() == 1e4


def test_log_likelihood_in_multiple_precision(exact):
    found = pareto_nbd.log_likelihood(*exact.T[:7])
    assert found == pytest.approx(exact[:, 7], rel=1e-11, abs=1e-11)


def test_value_and_gradient_of_the_kernel_in_multiple_precision(exact):
    for x, t_x, T, r, alpha, s, beta, value, *slopes in exact:
        data = lay_out(np.zeros(1, int), np.array([int(x)]), np.array([t_x]), np.array([T]), np.ones(1))
        parameters = np.array([[r], [alpha], [s], [beta]])
        found, gradient = evaluator(data)(parameters)
        assert found == pytest.approx(value, rel=1e-10, abs=1e-10), (x, t_x, T, r, alpha, s, beta)
        # A gradient near 0 is the difference of terms as large as the exponents.
        near_zero = 1e-12 * (r + x + s)
        assert (gradient * parameters)[:, 0] == pytest.approx(slopes, rel=1e-10, abs=near_zero)


def leaving(n, s, p, q) -> np.ndarray:
    """The integral and its derivatives by n and s, shape (3, k)."""
    arrays = [np.array(v, dtype=float) for v in np.broadcast_arrays(*np.atleast_1d(n, s, p, q))]
    result = np.empty((3, arrays[0].size))
    leaving_first(*arrays, result)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_dropout_integral_is_a_hypergeometric_function(seed):
    rng = np.random.default_rng(seed)
    with mpmath.workdps(40):

        def exact_leaving(n, s, ratio):
            return s / (n + s) * mpmath.hyp2f1(1, n, n + s + 1, 1 - ratio)

        for _ in range(40):
            n, s, ratio = (mpmath.mpf(10 ** rng.uniform(-top, top)) for top in (3, 3, (1, 8)[seed % 2]))
            g, by_n, by_s = leaving(float(n), float(s), 1.0, float(ratio))[:, 0]
            expected = exact_leaving(n, s, ratio)
            assert g == pytest.approx(float(expected), rel=1e-13)
            slope = float(mpmath.diff(lambda v, s=s, ratio=ratio: exact_leaving(v, s, ratio), n))
            assert by_n == pytest.approx(slope, rel=1e-12, abs=float(1e-14 * expected / n))
            slope = float(mpmath.diff(lambda v, n=n, ratio=ratio: exact_leaving(n, v, ratio), s))
            assert by_s == pytest.approx(slope, rel=1e-12, abs=float(1e-14 * expected / s))


def test_integrals_side_by_side_are_those_one_by_one():
    rng = np.random.default_rng(1)
    cases = 10 ** rng.uniform(-3, 3, (4, 45))
    cases[:, 7], cases[0, 9], cases[3, 44] = np.nan, 0.0, np.inf
    found = leaving(*cases)
    one_by_one = np.column_stack([leaving(*case) for case in cases.T])
    bad = [7, 9, 44]
    assert np.isnan(found[0, bad]).all() and np.isfinite(np.delete(found, bad, axis=1)).all()
    assert np.delete(found, bad, axis=1) == pytest.approx(np.delete(one_by_one, bad, axis=1), rel=1e-13)


@pytest.mark.parametrize("ratio", [1e-6, 0.02, 0.9, 1.0, 1.3, 2.0, 2.0001, 2.5, 30.0, 1e6])
@pytest.mark.parametrize(("r", "s"), [(0.5, 0.6), (0.01, 40.0), (30.0, 0.01), (200.0, 900.0)])
def test_recurrence_over_frequencies_is_stable_in_both_directions(r, s, ratio):
    x = np.array([0, 1, 2, 5, 30, 31, 200, 1000])
    found = np.empty((x.size, 4))
    ages = [np.array([v]) for v in (r, s, 1.0, ratio)]
    leaving_first_at_ages(*ages, np.array([0, x.size]), x, found)
    step = 1e-4
    for place, row in zip(x, found, strict=True):
        g, by_n, by_s = leaving(r + place, s, 1.0, ratio)[:, 0]
        assert row[0] == pytest.approx(g, rel=1e-11)
        assert row[1:3] == pytest.approx([by_n, by_s], rel=1e-10, abs=1e-13 * g)
        sides = leaving(r + place, s, np.exp(step * np.array([-2, -1, 1, 2])), ratio)[0]
        slope = (8 * (sides[2] - sides[1]) - (sides[3] - sides[0])) / (12 * step)
        assert row[3] == pytest.approx(slope, rel=1e-6, abs=1e-9 * g)


@pytest.mark.parametrize(
    ("x", "t_x", "T"), [(0, 0.0, 30.0), (1, 20.0, 30.0), (3, 3.0, 30.0), (8, 29.0, 30.0), (1, 1.0, 1.0), (0, 0.0, 0.0)]
)
def test_likelihood_mixes_the_individual_one(x, t_x, T):
    """The likelihood of one customer, of whom both rates are known, integrated over them."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    u, w = (nodes + 1) / 2, weights / 2
    lam = stats.gamma.ppf(u, OFTEN[0], scale=1 / OFTEN[1])[:, None]
    mu = stats.gamma.ppf(u, OFTEN[2], scale=1 / OFTEN[3])[None, :]
    both = lam + mu
    given = lam**x / both * (mu * np.exp(-both * t_x) + lam * np.exp(-both * T))
    found = np.exp(pareto_nbd.log_likelihood(x, t_x, T, *OFTEN))
    assert found == pytest.approx(float(w @ given @ w), rel=2e-4)
    alive = float(w @ (lam ** (x + 1) / both * np.exp(-both * T) + mu * lam**x / both * np.exp(-both * T)) @ w)
    assert pareto_nbd.probability_alive(x, t_x, T, *OFTEN) * found == pytest.approx(alive, rel=2e-4)


@pytest.mark.parametrize("parameters", [CDNOW, OFTEN, (0.6, 3.0, 1.0, 0.7)])
@pytest.mark.parametrize("T", [0.5, 4.0])
def test_likelihood_sums_to_one(parameters, T):
    # A density given the order of the purchases: the other x - 1 lie anywhere before the last.
    x = np.arange(1, 120)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    t = T * (nodes + 1) / 2
    logs = pareto_nbd.log_likelihood(x[:, None], t[None, :], T, *parameters)
    orders = (x[:, None] - 1) * np.log(t) - special.gammaln(x[:, None])
    repeat = (np.exp(logs + orders) @ weights * T / 2).sum()
    none = np.exp(pareto_nbd.log_likelihood(0, 0.0, T, *parameters))
    assert none + repeat == pytest.approx(1.0, abs=1e-5)


def test_customer_just_met_is_certain():
    assert pareto_nbd.log_likelihood(0, 0.0, 0.0, *CDNOW) == pytest.approx(0.0, abs=1e-14)
    assert pareto_nbd.probability_alive([0, 4], [0.0, 9.0], [0.0, 9.0], *CDNOW) == pytest.approx(1.0, abs=1e-14)


def test_lifetimes_agrees():
    """lifetimes 0.11.3 at the parameters of CDNOW: log-likelihood, P(alive), next 39 weeks, and since the start."""
    x = np.array([0, 0, 1, 2, 5, 12, 29])
    t_x = np.array([0.0, 0.0, 3.0, 30.43, 36.0, 10.0, 38.0])
    T = np.array([39.0, 27.0, 38.86, 38.86, 38.86, 39.0, 39.0])
    logs = [-0.52169654, -0.46995095, -4.62917361, -9.55426467, -17.63378852, -21.76470266, -45.65673615]
    # _conditional_log_likelihood; pymc-marketing 1.3.0 has the same (ParetoNBD.logp).
    assert pareto_nbd.log_likelihood(x, t_x, T, *CDNOW) == pytest.approx(logs, rel=1e-8)
    # conditional_probability_alive
    printed = [0.294292661, 0.383756333, 0.200883571, 0.869123270, 0.959089667, 2.18206982e-4, 0.983586692]
    alive = pareto_nbd.probability_alive(x, t_x, T, *CDNOW)
    assert alive == pytest.approx(printed, rel=1e-8)
    # conditional_expected_number_of_purchases_up_to_time(39)
    printed = [0.106515632, 0.175365271, 0.204607561, 1.45514120, 3.49246661, 1.79184234e-3, 19.0148048]
    assert alive * pareto_nbd.expected_purchases(39.0, x, T, *CDNOW) == pytest.approx(printed, rel=1e-8)
    # expected_number_of_purchases_up_to_time
    found = pareto_nbd.expected_since_start(np.array([1.0, 39.0, 200.0]), *CDNOW)
    assert found == pytest.approx([0.05100849, 1.21349037, 3.30256406], rel=2e-7)


def test_peers_overflow_where_this_does_not():
    """A thousand purchases in the first 10 of 730 days: the peers' hypergeometric function overflows."""
    counts, parameters = (1000, 10.0, 730.0), (0.5, 1.0, 0.5, 30.0)
    # pymc-marketing 1.3.0: logp inf, its gradient NaN; lifetimes 0.11.3: log-likelihood, P(alive) and forecast NaN.
    with mpmath.workdps(40):
        n, alpha, s, beta = mpmath.mpf("1000.5"), 1, mpmath.mpf("0.5"), 30

        def integrand(t):
            return ((alpha + 10) / (alpha + t)) ** n * (beta + t) ** -(s + 1)

        scaled = s * mpmath.quad(integrand, [10, 10.001, 10.01, 10.1, 11, 20, 730])
        scaled += (mpmath.mpf(11) / 731) ** n * (beta + 730) ** -s
        exact = mpmath.loggamma(n) - mpmath.loggamma(0.5) - n * mpmath.log(11) + s * mpmath.log(beta)
        exact = float(exact + mpmath.log(scaled))
    assert pareto_nbd.log_likelihood(*counts, *parameters) == pytest.approx(exact, rel=1e-12)
    assert 0 <= pareto_nbd.probability_alive(*counts, *parameters) < 1e-300


def test_lifetimes_has_no_value_where_s_is_one():
    # lifetimes 0.11.3 gives NaN here, for each customer's forecast as for that since the start.
    found = pareto_nbd.expected_purchases(39.0, [0, 2], [20.0, 30.0], 0.5, 10.0, 1.0, 12.0)
    rate, q = np.array([0.5 / 30.0, 2.5 / 40.0]), np.array([32.0, 42.0])
    assert found == pytest.approx(rate * q * np.log1p(39.0 / q), rel=1e-14)


@pytest.mark.parametrize("s", [1e-3, 0.6, 1 - 1e-9, 1 - 1e-16, 1.0, 1 + 1e-13, 1.7, 40.0, 1e3])
@pytest.mark.parametrize("horizon", [0.0, 1e-6, 39.0, 1e5])
def test_expected_purchases_in_multiple_precision(s, horizon):
    x, T, (r, alpha, _, beta) = 3, 30.0, CDNOW
    with mpmath.workdps(40):
        q, n, p, order = mpmath.mpf(beta) + T, mpmath.mpf(r) + x, mpmath.mpf(alpha) + T, mpmath.mpf(s) - 1
        grown = mpmath.log1p(horizon / q)
        expected = float(n / p * q * (-mpmath.expm1(-order * grown) / order if order else grown))
    found = pareto_nbd.expected_purchases(horizon, x, T, r, alpha, s, beta)
    assert found == pytest.approx(expected, rel=1e-12)


def test_probability_alive_is_the_share_that_is_alive():
    rng = np.random.default_rng(12)
    r, alpha, s, beta = OFTEN
    n, T = 200_000, 40.0
    rate, dropout = rng.gamma(r, 1 / alpha, n), rng.gamma(s, 1 / beta, n)
    life = rng.exponential(1.0, n) / dropout
    x, t_x = np.zeros(n, int), np.zeros(n)
    clock = rng.exponential(1.0, n) / rate
    while (buying := clock <= np.minimum(T, life)).any():  # one purchase after another
        x[buying] += 1
        t_x[buying] = clock[buying]
        clock[buying] += rng.exponential(1.0, buying.sum()) / rate[buying]
    said = pareto_nbd.probability_alive(x, t_x, T, *OFTEN)
    alive = life > T
    assert said.mean() == pytest.approx(alive.mean(), abs=4 * np.sqrt((said * (1 - said)).sum()) / n)
    for low in np.arange(0, 1, 0.1):
        chosen = (said >= low) & (said < low + 0.1)
        error = np.sqrt((said * (1 - said))[chosen].sum()) / chosen.sum()
        assert chosen.sum() > 1000
        assert alive[chosen].mean() == pytest.approx(said[chosen].mean(), abs=4 * error)
    simulated, recency = pareto_nbd.simulate_customers(np.full(n, T), *OFTEN, rng)
    for ours, other in ((simulated, x), (recency, t_x), (simulated * recency, x * t_x)):
        assert ours.mean() == pytest.approx(other.mean(), abs=4 * np.sqrt(ours.var() + other.var()) / np.sqrt(n))


def test_simulated_customers_follow_the_model():
    rng = np.random.default_rng(8)
    n = 200_000
    x, t_x = pareto_nbd.simulate_customers(np.full(n, 39.0), *CDNOW, rng)
    expected = pareto_nbd.expected_since_start(np.array([39.0]), *CDNOW)[0]
    assert x.mean() == pytest.approx(expected, abs=4 * x.std() / np.sqrt(n))
    none = np.exp(pareto_nbd.log_likelihood(0, 0.0, 39.0, *CDNOW))
    assert (x == 0).mean() == pytest.approx(none, abs=4 * np.sqrt(none * (1 - none) / n))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    once = 19.5 * weights @ np.exp(pareto_nbd.log_likelihood(1, 19.5 * (1 + nodes), 39.0, *CDNOW))
    assert (x == 1).mean() == pytest.approx(once, abs=4 * np.sqrt(once / n))
    assert (t_x[x == 0] == 0).all() and (t_x[x > 0] > 0).all() and (t_x <= 39.0).all()


def test_draws_broadcast_against_rows():
    x, t_x, T = np.array([0, 3, 9]), np.array([0.0, 5.0, 30.0]), np.array([5.0, 30.0, 39.0])
    draws = [np.array([[v], [1.1 * v]]) for v in CDNOW]
    second = [1.1 * v for v in CDNOW]
    for of in (pareto_nbd.log_likelihood, pareto_nbd.probability_alive):
        both = of(x, t_x, T, *draws)
        assert both.shape == (2, 3)
        assert both[1] == pytest.approx(of(x, t_x, T, *second), rel=1e-14)
    assert pareto_nbd.expected_since_start(np.ones((2, 3)), *CDNOW).shape == (2, 3)


def test_unit_of_time_does_not_matter():
    x, t_x, T = np.array([0, 3, 700]), np.array([0.0, 5.0, 30.0]), np.array([5.0, 30.0, 39.0])
    r, alpha, s, beta = CDNOW
    hours = (r, 168 * alpha, s, 168 * beta)
    expected = pareto_nbd.log_likelihood(x, t_x, T, *CDNOW) - x * np.log(168.0)
    assert pareto_nbd.log_likelihood(x, 168 * t_x, 168 * T, *hours) == pytest.approx(expected, rel=1e-13)
    alive = pareto_nbd.probability_alive(x, t_x, T, *CDNOW)
    assert pareto_nbd.probability_alive(x, 168 * t_x, 168 * T, *hours) == pytest.approx(alive, rel=1e-11)


def test_impossible_counts_and_parameters_have_no_value():
    good = {"frequency": 2, "recency": 3.0, "T": 10.0, "r": 0.5, "alpha": 5.0, "s": 0.6, "beta": 7.0}
    assert np.isfinite(pareto_nbd.log_likelihood(**good))
    wrong = [{"frequency": -1}, {"recency": -1.0}, {"recency": 11.0}, {"frequency": 0}, {"T": np.nan}, {"T": -1.0}]
    wrong += [{name: value} for name in pareto_nbd.PARAMETERS for value in (0.0, -1.0, np.nan, np.inf)]
    for change in wrong:
        assert np.isnan(pareto_nbd.log_likelihood(**good | change)), change
        assert np.isnan(pareto_nbd.probability_alive(**good | change)), change


def test_maximum_likelihood_recovers_what_was_simulated():
    rng = np.random.default_rng(21)
    T = rng.uniform(100, 700, 8_000)
    truth = {"r": 0.8, "alpha": 40.0, "s": 0.7, "beta": 90.0}
    x, t_x = pareto_nbd.simulate_customers(T, **truth, rng=rng)
    found = pareto_nbd.fit_maximum_likelihood(x, t_x, T)
    assert found.parameters == pytest.approx(truth, rel=0.2)
    at_truth = pareto_nbd.log_likelihood(x, t_x, T, **truth).sum()
    assert 0 <= found.log_likelihood - at_truth < 10  # half a chi-square with 4 degrees of freedom
    assert found.log_likelihood == pytest.approx(pareto_nbd.log_likelihood(x, t_x, T, **found.parameters).sum())
    in_hours = pareto_nbd.fit_maximum_likelihood(x, 24 * t_x, 24 * T).parameters
    assert in_hours["alpha"] / 24 == pytest.approx(found.parameters["alpha"], rel=1e-4)
    assert in_hours["beta"] / 24 == pytest.approx(found.parameters["beta"], rel=1e-4)


def test_maximum_likelihood_of_customers_who_never_leave():
    rng = np.random.default_rng(3)
    T = rng.integers(10, 100, 4_000) * 7.0
    x = rng.poisson(rng.gamma(0.8, 1 / 40.0, T.size) * T)
    t_x = np.where(x > 0, np.ceil(T / 7 * rng.random(T.size) ** (1 / np.maximum(x, 1))) * 7, 0.0)
    found = pareto_nbd.fit_maximum_likelihood(x, t_x, T).parameters
    assert found["r"] == pytest.approx(0.8, rel=0.1)
    assert (1 + 365 / found["beta"]) ** -found["s"] > 0.97  # survives a year


def test_weights_stand_for_customers():
    rng = np.random.default_rng(2)
    T = rng.integers(30, 40, 800).astype(float)
    x, t_x = pareto_nbd.simulate_customers(T, *CDNOW, rng)
    rows, n = np.unique(np.column_stack([x, np.ceil(t_x), T]), axis=0, return_counts=True)
    assert n.max() > 20
    each = pareto_nbd.fit_maximum_likelihood(x, np.ceil(t_x), T)
    grouped = pareto_nbd.fit_maximum_likelihood(*rows.T, n)
    assert grouped.parameters == pytest.approx(each.parameters, rel=1e-3)
    assert grouped.log_likelihood == pytest.approx(each.log_likelihood, abs=1e-6)
