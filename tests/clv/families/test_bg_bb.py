"""BG/BB functions against every path of few opportunities, multiple precision, simulation and lifetimes."""

import itertools

import mpmath
import numpy as np
import pytest
from scipy import special, stats

from cvmlib.clv.families import bg_bb, bg_bb_forecast

DONATIONS = (1.204, 0.750, 0.657, 2.783)
OFTEN = (3.0, 1.5, 1.0, 9.0)
PARAMETERS = [DONATIONS, OFTEN, (0.3, 4.0, 2.5, 0.8)]


def path_probability(path, parameters):
    """Probability of a path, and of it with being alive at its end, by the forward recursion over (alive, left).

    Mixed over p and theta by Gauss-Jacobi quadrature, exact for polynomials of degree 23.
    """
    (p, by_p), (theta, by_theta) = (beta_nodes(*pair) for pair in (parameters[:2], parameters[2:]))
    p, theta = p[:, None], theta[None, :]
    alive, left = np.ones((p.size, theta.size)), np.zeros((p.size, theta.size))
    for bought in path:
        left = (left + alive * theta) * (1 - bought)
        alive = alive * (1 - theta) * (p if bought else 1 - p)
    return by_p @ (alive + left) @ by_theta, by_p @ alive @ by_theta


def beta_nodes(a, b):
    nodes, weights = special.roots_jacobi(12, b - 1, a - 1)
    return (nodes + 1) / 2, weights / weights.sum()


def counts_of(path):
    """Frequency, recency and T of a path."""
    bought = np.flatnonzero(path)
    return len(bought), (bought[-1] + 1 if len(bought) else 0), len(path)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_every_path_of_up_to_eight_opportunities(parameters):
    for n in range(9):
        paths = list(itertools.product((0, 1), repeat=n))
        counts = [np.array(v) for v in zip(*(counts_of(path) for path in paths), strict=True)]
        likelihood = np.exp(bg_bb.log_likelihood(*counts, *parameters))
        alive = bg_bb.probability_alive(*counts, *parameters)
        exact = np.array([path_probability(path, parameters) for path in paths])
        assert likelihood == pytest.approx(exact[:, 0], rel=1e-12)
        assert alive == pytest.approx(exact[:, 1] / exact[:, 0], rel=1e-12)
        assert likelihood.sum() == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_counts_sum_to_one(parameters):
    n = 400
    x, t_x = np.triu_indices(n, 0)
    x, t_x = x + 1, t_x + 1  # 1 <= x <= t_x <= n
    orders = special.gammaln(t_x) - special.gammaln(x) - special.gammaln(t_x - x + 1)
    some = np.exp(bg_bb.log_likelihood(x, t_x, n, *parameters) + orders).sum()
    none = np.exp(bg_bb.log_likelihood(0, 0, n, *parameters))
    assert some + none == pytest.approx(1.0, abs=1e-11)


def exact(x, t_x, n, alpha, beta, gamma, delta):
    """Log-likelihood and P(alive) by the printed formulas (equations 5 and 11), to 30 digits."""
    with mpmath.workdps(60):
        a, b, c, d = (mpmath.mpf(v) for v in (alpha, beta, gamma, delta))

        def log_beta(u, v):
            return mpmath.loggamma(u) + mpmath.loggamma(v) - mpmath.loggamma(u + v)

        scale = log_beta(a, b) + log_beta(c, d)
        alive = mpmath.exp(log_beta(a + x, b + n - x) + log_beta(c, d + n) - scale)
        left = sum(
            mpmath.exp(log_beta(a + x, b + t_x - x + i) + log_beta(c + 1, d + t_x + i) - scale) for i in range(n - t_x)
        )
        return float(mpmath.log(alive + left)), float(alive / (alive + left))


@pytest.mark.parametrize(
    ("counts", "parameters"),
    [
        ((0, 0, 1000), DONATIONS),
        ((1000, 1000, 1000), DONATIONS),
        ((500, 990, 1000), DONATIONS),
        ((10, 40, 1000), OFTEN),
        ((100, 150, 300), DONATIONS),
        ((3, 700, 1000), (1e-6, 1e-6, 1e-6, 1e-6)),
        ((3, 7, 1000), (1e8, 1e8, 1e8, 1e10)),
        ((200, 400, 900), (1e5, 1e-3, 1e-3, 1e5)),
        ((0, 0, 600), (2.0, 3.0, 1e4, 1e-4)),
        ((0, 0, 0), DONATIONS),
        ((1, 1, 1), (1e-12, 1e-12, 1e-12, 1e-12)),
    ],
)
def test_many_opportunities_and_extreme_parameters(counts, parameters):
    value, alive = exact(*counts, *parameters)
    assert bg_bb.log_likelihood(*counts, *parameters) == pytest.approx(value, rel=1e-11, abs=1e-13)
    assert bg_bb.probability_alive(*counts, *parameters) == pytest.approx(alive, rel=1e-10, abs=1e-300)


def test_random_counts_and_parameters():
    rng = np.random.default_rng(5)
    for _ in range(60):
        n = int(rng.integers(1, 1001))
        t_x = int(rng.integers(0, n + 1))
        x = int(rng.integers(1, t_x + 1)) if t_x else 0
        parameters = 10 ** rng.uniform(-4, 6, 4)
        value, alive = exact(x, t_x, n, *parameters)
        assert bg_bb.log_likelihood(x, t_x, n, *parameters) == pytest.approx(value, rel=1e-11, abs=1e-13)
        assert bg_bb.probability_alive(x, t_x, n, *parameters) == pytest.approx(alive, rel=1e-10, abs=1e-300)


def test_parameters_broadcast_against_rows():
    x, t_x, n = np.array([0.0, 3.0, 6.0]), np.array([0.0, 4.0, 6.0]), np.array([6.0, 6.0, 6.0])
    draws = [np.array([[v], [1.1 * v]]) for v in DONATIONS]
    both = bg_bb.log_likelihood(x, t_x, n, *draws)
    assert both.shape == (2, 3)
    assert both[1] == pytest.approx(bg_bb.log_likelihood(x, t_x, n, *(1.1 * v for v in DONATIONS)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, 2.5, 6), r"recency must be a whole number of opportunities, but 1 of 2 rows.*\(1, 2.5, 6\)"),
        ((1, 2, 6.25), "T must be a whole number"),
        ((0.5, 2, 6), "frequency must be a whole number"),
        ((1, 2, np.nan), "T must be a whole number"),
        ((3, 2, 6), r"frequency <= recency <= T.*\(3, 2, 6\)"),
        ((1, 7, 6), "frequency <= recency <= T"),
        ((0, 2, 6), "recency 0 where frequency is 0"),
        ((-1, 0, 6), "frequency <= recency <= T"),
    ],
)
def test_impossible_counts_are_named(row, message):
    counts = [np.array([good, bad], dtype=float) for good, bad in zip((2, 4, 6), row, strict=True)]
    for function in (bg_bb.log_likelihood, bg_bb.probability_alive):
        with pytest.raises(ValueError, match=message):
            function(*counts, *DONATIONS)
    with pytest.raises(ValueError, match=message):
        bg_bb_forecast.forecast(np.array([[0.0, 1.0]]), *counts, *(np.array([v]) for v in DONATIONS))


def test_expected_since_start_matches_equation_8():
    for alpha, beta, gamma, delta in (DONATIONS, (0.3, 4.0, 2.5, 0.8)):
        n = np.arange(0, 300, 7)
        log_ratio = (
            special.gammaln(gamma + delta)
            - special.gammaln(gamma + delta + n)
            + special.gammaln(1 + delta + n)
            - special.gammaln(1 + delta)
        )
        expected = alpha / (alpha + beta) * delta / (gamma - 1) * (1 - np.exp(log_ratio))
        found = bg_bb.expected_since_start(n, alpha, beta, gamma, delta)
        assert found == pytest.approx(expected, rel=1e-11)
    # Where gamma is 1, equation 8 is 0 / 0; survival to k is then delta / (delta + k).
    harmonic = (3.0 / 4.5) * (9.0 / (9.0 + np.arange(1, 41))).sum()
    assert bg_bb.expected_since_start(np.array(40.0), *OFTEN) == pytest.approx(harmonic, rel=1e-13)


def test_expected_since_start_is_linear_between_opportunities():
    ages = np.array([[0.0, 2.0], [2.25, 3.0]])
    found = bg_bb.expected_since_start(ages, *DONATIONS)
    assert found.shape == (2, 2) and found[0, 0] == 0.0
    assert found[1, 0] == pytest.approx(0.75 * found[0, 1] + 0.25 * found[1, 1], rel=1e-14)


def test_simulated_customers_follow_the_model():
    rng = np.random.default_rng(8)
    size, n = 200_000, 6
    x, t_x = bg_bb.simulate_customers(np.full(size, n), *DONATIONS, rng)
    cells = [(0, 0), *((i, j) for j in range(1, n + 1) for i in range(1, j + 1))]
    seen = np.array([((x == i) & (t_x == j)).sum() for i, j in cells])
    assert seen.sum() == size
    orders = [special.comb(j - 1, i - 1) if i else 1.0 for i, j in cells]
    expected = size * np.exp(bg_bb.log_likelihood(*np.array(cells).T, n, *DONATIONS)) * orders
    assert stats.chisquare(seen, expected).pvalue > 0.001
    ages = rng.integers(0, 30, size)
    x, t_x = bg_bb.simulate_customers(ages, *OFTEN, rng)
    bg_bb.check_counts(x, t_x, ages)
    by_age = np.bincount(ages, x) / np.bincount(ages)
    assert by_age == pytest.approx(bg_bb.expected_since_start(np.arange(30), *OFTEN), abs=0.35)
    assert x.mean() == pytest.approx(bg_bb.expected_since_start(ages, *OFTEN).mean(), abs=4 * x.std() / size**0.5)


def test_all_or_nothing_parameters_can_be_simulated():
    rng = np.random.default_rng(1)
    n = np.full(2000, 9)
    for parameters in ((1e-3, 1e-3, 1e-3, 1e-3), (1e9, 1e-9, 1e-9, 1e9), (1e-9, 1e9, 1e9, 1e-9)):
        x, t_x = bg_bb.simulate_customers(n, *parameters, rng)
        bg_bb.check_counts(x, t_x, n)
        assert x.mean() == pytest.approx(bg_bb.expected_since_start(np.array(9.0), *parameters), abs=0.5)


def test_maximum_likelihood_recovers_what_was_simulated():
    rng = np.random.default_rng(21)
    T = rng.integers(8, 30, 20_000)
    truth = dict(zip(bg_bb.PARAMETERS, (1.5, 2.0, 0.8, 7.0), strict=True))
    x, t_x = bg_bb.simulate_customers(T, **truth, rng=rng)
    found = bg_bb.fit_maximum_likelihood(x, t_x, T)
    assert found.parameters == pytest.approx(truth, rel=0.15)
    assert found.log_likelihood >= bg_bb.log_likelihood(x, t_x, T, **truth).sum()
    rows, customers = np.unique(np.column_stack([x, t_x, T]), axis=0, return_counts=True)
    grouped = bg_bb.fit_maximum_likelihood(*rows.T.astype(float), customers)
    assert grouped.parameters == pytest.approx(found.parameters, rel=1e-6)
    assert grouped.log_likelihood == pytest.approx(found.log_likelihood, rel=1e-12)


# lifetimes 0.11.3, BetaGeoBetaBinomFitter with the parameters of the donations: frequency, recency, T, log-likelihood,
# P(alive at n), P(alive at n + 1), expected purchases at the next opportunity and at the next five.
LIFETIMES = np.array(
    [
        (0, 0, 6, -1.167262472673889, 0.116096613292984, 0.108016584168674, 0.016350511357692, 0.072802877475043),
        (1, 1, 6, -2.288531685666245, 0.074600068298966, 0.069408093206549, 0.019232516649137, 0.085635398337870),
        (2, 4, 6, -5.195697601042431, 0.633611893331767, 0.589514116433571, 0.237465832166603, 1.057348941909463),
        (4, 5, 6, -5.095675638863229, 0.748816814180359, 0.696701067684967, 0.455825038500449, 2.029623031477422),
        (6, 6, 6, -2.182248447618290, 0.999999999999990, 0.930402542372872, 0.842672858342240, 3.752115607599819),
        (3, 7, 20, -8.671064331065203, 0.037840570109887, 0.036779936382831, 0.007043037831538, 0.033439156214044),
    ]
)


def test_agrees_with_lifetimes():
    x, t_x, n, value, alive, alive_next, one, five = LIFETIMES.T
    # lifetimes adds 1e-15 to the sum of the terms; the last row is already 5e-9 away for it.
    assert bg_bb.log_likelihood(x, t_x, n, *DONATIONS) == pytest.approx(value, rel=1e-7)
    assert bg_bb.probability_alive(x, t_x, n, *DONATIONS) == pytest.approx(alive, rel=1e-6)
    edges = np.array([[0.0, 1.0, 5.0]])
    purchases, surviving = bg_bb_forecast.forecast(edges, x, t_x, n, *(np.array([v]) for v in DONATIONS))
    assert surviving[1, 0] == pytest.approx(alive_next, rel=1e-6)
    assert purchases[0, 0] == pytest.approx(one, rel=1e-6)
    assert purchases.sum(axis=0)[0] == pytest.approx(five, rel=1e-6)


def test_where_lifetimes_is_wrong():
    """It adds 1e-15 to a sum that is far smaller for many opportunities, and divides by gamma - 1."""
    counts = (100, 150, 300)
    value, alive = exact(*counts, *DONATIONS)
    assert (value, alive) == pytest.approx((-105.48351004, 1.7645e-40), rel=1e-4)  # lifetimes: -34.357 and 2.3e-71
    assert bg_bb.log_likelihood(*counts, *DONATIONS) == pytest.approx(value, rel=1e-12)
    assert bg_bb.probability_alive(*counts, *DONATIONS) == pytest.approx(alive, rel=1e-11)
    one = [np.array([v]) for v in (1.204, 0.750, 1.0, 2.783)]  # lifetimes: nan
    rows = [np.array([v]) for v in (4, 5, 6)]
    purchases, _ = bg_bb_forecast.forecast(np.array([[0.0, 5.0]]), *rows, *one)
    survived = 0.0
    for k in range(1, 6):
        survived += (2.783 + 6) / (2.783 + 6 + k)  # delta' / (delta' + k) of Beta(1, delta')
    expected = bg_bb.probability_alive(*rows, *one) * (1.204 + 4) / (1.954 + 6) * survived
    assert purchases[0] == pytest.approx(expected[None], rel=1e-12)
