"""BG/NBD and MBG/NBD against the closed forms of the papers in multiple precision, quadrature and simulation."""

import mpmath
import numpy as np
import pytest
from scipy import integrate, special, stats

from cvmlib.clv.families import bg_nbd

CDNOW = (0.2426, 4.4136, 0.7929, 2.4259)
OFTEN = (2.0, 10.0, 1.2, 6.0)


def exact_purchases(horizon, x, T, r, alpha, a, b):
    """Expected purchases of a living customer: the numerator of equation 10 of the paper, to 30 digits."""
    with mpmath.workdps(40):
        a = mpmath.mpf(a) + (mpmath.mpf("1e-20") if a == 1 else 0)  # the pole at a = 1 can be lifted
        c = a + b + x
        grown = mpmath.hyp2f1(r + x, a - 1, c - 1, -mpmath.mpf(horizon) / (alpha + T))
        return float((c - 1) / (a - 1) * (1 - grown))


def exact_density(x, T, r, alpha, a, b, t_x=None):
    """Density of x repeat purchases, the last at t_x, by integrating over lambda and p (section 4 of the paper)."""

    def given(lam, p):
        if x == 0:
            return np.exp(-lam * T) + 0 * p
        return (1 - p) ** x * lam**x * np.exp(-lam * T) + p * (1 - p) ** (x - 1) * lam**x * np.exp(-lam * t_x)

    nodes, weights = np.polynomial.legendre.leggauss(200)
    u, w = (nodes + 1) / 2, weights / 2
    lam, p = stats.gamma.ppf(u, r, scale=1 / alpha), stats.beta.ppf(u, a, b)
    return float(w @ given(lam[:, None], p[None, :]) @ w)


@pytest.mark.parametrize(
    ("x", "t_x", "T"), [(0, 0.0, 30.0), (1, 20.0, 30.0), (3, 3.0, 30.0), (8, 29.0, 30.0), (1, 1.0, 1.0), (0, 0.0, 0.0)]
)
def test_likelihood_mixes_the_individual_one(x, t_x, T):
    found = bg_nbd.log_likelihood(np.array([x]), np.array([t_x]), np.array([T]), *OFTEN)
    assert np.exp(found[0]) == pytest.approx(exact_density(x, T, *OFTEN, t_x=t_x), rel=2e-4)


@pytest.mark.parametrize("parameters", [CDNOW, OFTEN, (0.6, 3.0, 1.0, 0.7)])
@pytest.mark.parametrize("T", [0.5, 4.0])
def test_likelihood_sums_to_one(parameters, T):
    # A density given the order of the purchases: the other x - 1 lie anywhere before the last.
    x = np.arange(1, 120)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    t = T * (nodes + 1) / 2
    logs = bg_nbd.log_likelihood(x[:, None], t[None, :], np.full((1, 60), T), *parameters)
    orders = (x[:, None] - 1) * np.log(t) - special.gammaln(x[:, None])
    repeat = (np.exp(logs + orders) @ weights * T / 2).sum()
    none = np.exp(bg_nbd.log_likelihood(np.array([0]), np.zeros(1), np.array([T]), *parameters))[0]
    assert none + repeat == pytest.approx(1.0, abs=1e-5)


def test_likelihood_of_a_customer_just_met_is_certain():
    assert bg_nbd.log_likelihood(np.zeros(1), np.zeros(1), np.zeros(1), *CDNOW)[0] == pytest.approx(0.0, abs=1e-12)
    assert bg_nbd.probability_alive(np.zeros(1), np.zeros(1), np.zeros(1), *CDNOW)[0] == 1.0


def test_probability_alive_is_that_of_note_021():
    r, alpha, a, b = CDNOW
    for x, t_x, T in [(1, 5.0, 39.0), (2, 30.43, 38.86), (12, 20.0, 39.0), (400, 300.0, 800.0)]:
        with mpmath.workdps(40):
            odds = mpmath.mpf(a) / (b + x - 1) * ((mpmath.mpf(alpha) + T) / (alpha + t_x)) ** (r + x)
            expected = float(1 / (1 + odds))
        found = bg_nbd.probability_alive(np.array([x]), np.array([t_x]), np.array([T]), *CDNOW)[0]
        assert found == pytest.approx(expected, rel=1e-10)
    assert (bg_nbd.probability_alive(np.zeros(3), np.zeros(3), np.array([0.0, 10.0, 1e4]), *CDNOW) == 1.0).all()


def test_expected_purchases_match_the_closed_form_of_scipy():
    r, alpha, a, b = CDNOW
    x, T = np.array([0.0, 1.0, 2.0, 7.0, 26.0]), np.array([39.0, 27.0, 38.86, 39.0, 30.0])
    for horizon in (1.0, 39.0, 200.0):
        grown = ((alpha + T) / (alpha + T + horizon)) ** (r + x) * special.hyp2f1(
            r + x, b + x, a + b + x - 1, horizon / (alpha + T + horizon)
        )
        expected = (a + b + x - 1) / (a - 1) * (1 - grown)  # equation 10 as printed
        assert bg_nbd.expected_purchases(horizon, x, T, *CDNOW) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("horizon", "x", "T", "parameters"),
    [
        (365.0, 3, 100.0, (0.5, 30.0, 1.0, 2.0)),  # a = 1, where the closed form is 0 / 0
        (365.0, 1000, 1100.0, (0.5, 20.0, 0.8, 2.5)),
        (3650.0, 1000, 30.0, (0.5, 2.0, 1.0, 2.0)),
        (365.0, 1000, 1000.0, (0.5, 20.0, 300.0, 700.0)),  # leaves within days
        (365.0, 10, 10.0, (0.5, 2.0, 0.01, 0.02)),  # all or nothing
        (365.0, 0, 0.0, (5.0, 1.0, 50.0, 0.5)),  # all leave at once
        (1e-6, 3, 100.0, (0.5, 30.0, 0.9, 2.0)),
        (1e5, 5, 400.0, (0.5, 20.0, 1.3, 5.0)),
        (1e5, 0, 0.0, (0.05, 50.0, 0.8, 20.0)),
        (365.0, 100, 0.0, (7.3, 0.116, 1.42, 0.0227)),  # 300,000 purchases to come, if he stayed
        (0.0, 2, 30.0, CDNOW),
    ],
)
def test_expected_purchases_of_extreme_customers(horizon, x, T, parameters):
    found = bg_nbd.expected_purchases(horizon, np.array([x]), np.array([T]), *parameters)[0]
    assert found == pytest.approx(exact_purchases(horizon, x, T, *parameters), rel=1e-9, abs=1e-15)


def test_expected_purchases_of_random_customers():
    rng = np.random.default_rng(5)
    for _ in range(150):
        r, alpha = 10 ** rng.uniform(-2, 1.5), 10 ** rng.uniform(-1, 3)
        a, b = 10 ** rng.uniform(-2, 1.8), 10 ** rng.uniform(-2, 2.5)
        x, T, horizon = int(rng.choice([0, 1, 2, 5, 20, 100, 1000])), rng.uniform(0, 1500), 10 ** rng.uniform(-4, 4)
        found = bg_nbd.expected_purchases(horizon, np.array([x]), np.array([T]), r, alpha, a, b)[0]
        assert found == pytest.approx(exact_purchases(horizon, x, T, r, alpha, a, b), rel=1e-9), (r, alpha, a, b, x, T)


@pytest.mark.parametrize("discount", [0.0, 0.003, 0.5])
@pytest.mark.parametrize(("x", "T", "parameters"), [(0, 10.0, CDNOW), (4, 60.0, CDNOW), (50, 90.0, OFTEN)])
def test_discounting_and_time_alive_by_quadrature(x, T, parameters, discount):
    r, alpha, a, b = parameters
    horizon, n, rate, c = 200.0, r + x, alpha + T, a + b + x
    points = [0, 1, 5, 20, 60, horizon]

    def integral(of):
        return float(mpmath.quad(lambda s: of(s) * mpmath.exp(-discount * s), points))

    purchases = integral(lambda s: n / rate * mpmath.hyp2f1(n + 1, a, c, -s / rate))
    alive = integral(lambda s: mpmath.hyp2f1(n, a, c, -s / rate))
    counts = (np.array([x]), np.array([T]), *parameters)
    assert bg_nbd.expected_purchases(horizon, *counts, discount=discount)[0] == pytest.approx(purchases, rel=1e-8)
    assert bg_nbd.expected_time_alive(horizon, *counts, discount=discount)[0] == pytest.approx(alive, rel=1e-8)


def test_draws_broadcast_against_rows():
    x, T = np.array([0.0, 3.0, 9.0]), np.array([5.0, 30.0, 39.0])
    draws = [np.array([[v], [1.1 * v]]) for v in CDNOW]
    both = bg_nbd.expected_purchases(39.0, x, T, *draws)
    assert both.shape == (2, 3)
    assert both[1] == pytest.approx(bg_nbd.expected_purchases(39.0, x, T, *(1.1 * v for v in CDNOW)))


def test_expected_since_start_matches_equation_9():
    r, alpha, a, b = OFTEN
    ages = np.array([[0.0, 0.1, 5.0], [39.0, 400.0, 5000.0]])
    expected = (
        (a + b - 1)
        / (a - 1)
        * (1 - (alpha / (alpha + ages)) ** r * special.hyp2f1(r, b, a + b - 1, ages / (alpha + ages)))
    )
    assert bg_nbd.expected_since_start(ages, *OFTEN) == pytest.approx(expected, rel=1e-9)


def test_probability_alive_is_conditional_on_the_counts():
    """Of simulated customers, that share is alive which the model says: on average, and by class of P(alive)."""
    rng = np.random.default_rng(11)
    r, alpha, a, b = OFTEN
    size, T = 60_000, 40.0
    rate, p = rng.gamma(r, 1 / alpha, size), rng.beta(a, b, size)
    made = rng.poisson(rate * T)
    leaves = rng.geometric(p)
    x = np.minimum(made, leaves)
    alive = made < leaves
    # The x-th of `made` uniform times is the last one seen.
    t_x = np.where(x > 0, T * rng.beta(np.maximum(x, 1), np.maximum(made - x, 0) + 1), 0.0)
    said = bg_nbd.probability_alive(x, t_x, np.full(size, T), *OFTEN)
    assert said.mean() == pytest.approx(alive.mean(), abs=0.006)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        chosen = (said >= low) & (said < low + 0.2)
        assert chosen.sum() > 1000
        assert alive[chosen].mean() == pytest.approx(said[chosen].mean(), abs=0.025)


def test_simulated_customers_follow_the_model():
    rng = np.random.default_rng(8)
    T = np.full(200_000, 39.0)
    x, t_x = bg_nbd.simulate_customers(T, *CDNOW, rng)
    assert x.mean() == pytest.approx(bg_nbd.expected_since_start(np.array([39.0]), *CDNOW)[0], rel=0.015)
    none = np.exp(bg_nbd.log_likelihood(np.zeros(1), np.zeros(1), np.array([39.0]), *CDNOW))[0]
    assert (x == 0).mean() == pytest.approx(none, abs=0.004)
    once, _ = integrate.quad(lambda t: np.exp(bg_nbd.log_likelihood(1.0, t, 39.0, *CDNOW)), 0, 39)
    assert (x == 1).mean() == pytest.approx(once, abs=0.004)
    assert (t_x[x == 0] == 0).all() and (t_x[x > 0] > 0).all() and (t_x <= T).all()


def test_maximum_likelihood_recovers_what_was_simulated():
    rng = np.random.default_rng(21)
    T = rng.uniform(100, 700, 8_000)
    truth = {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 3.0}
    x, t_x = bg_nbd.simulate_customers(T, **truth, rng=rng)
    found = bg_nbd.fit_maximum_likelihood(x, t_x, T)
    assert found.parameters == pytest.approx(truth, rel=0.2)
    assert found.log_likelihood >= bg_nbd.log_likelihood(x, t_x, T, **truth).sum()
    in_hours = bg_nbd.fit_maximum_likelihood(x, 24 * t_x, 24 * T)
    assert in_hours.parameters == pytest.approx(found.parameters | {"alpha": 24 * found.parameters["alpha"]}, rel=1e-3)


def test_weights_stand_for_customers():
    rng = np.random.default_rng(2)
    T = rng.integers(30, 40, 800).astype(float)
    x, t_x = bg_nbd.simulate_customers(T, *CDNOW, rng)
    t_x = np.ceil(t_x)
    rows, n = np.unique(np.column_stack([x, t_x, T]), axis=0, return_counts=True)
    assert n.max() > 20
    each = bg_nbd.fit_maximum_likelihood(x, t_x, T)
    grouped = bg_nbd.fit_maximum_likelihood(*rows.T, n)
    assert grouped.parameters == pytest.approx(each.parameters, rel=1e-3)
    assert grouped.log_likelihood == pytest.approx(each.log_likelihood, abs=1e-6)


# Computed with lifetimes 0.11.3, ModifiedBetaGeoFitter: rows (x, t_x, T), probability of being alive, and purchases
# expected in the next 4, 39 and 400 weeks.
LIFETIMES_ROWS = [(0, 0, 39), (0, 0, 5), (2, 30.43, 38.86), (2, 5, 38.86), (15, 36, 39), (15, 10, 39), (100, 380, 400)]
LIFETIMES = {
    (0.525, 6.183, 0.891, 1.614): (
        [0.3893476487, 0.5702854939, 0.7062022651, 0.1073920234, 0.8651841922, 2.227148538e-06, 0.4160132896],
        [0.01779477431, 0.1004740463, 0.1544895635, 0.023493194, 1.149223645, 2.958320071e-06, 0.4100699739],
        [0.1534394484, 0.6956943254, 1.262960623, 0.1920581446, 8.871925069, 2.283802122e-05, 3.856253694],
        [0.8853352435, 2.721879596, 6.079588677, 0.9245217151, 37.23094684, 9.583953284e-05, 29.90898052],
        [0.1962639063, 1.182953666, 3.975689384],
    ),
    (2.0, 10.0, 1.2, 6.0): (
        [0.1723543606, 0.6896551724, 0.7576010593, 0.05590803496, 0.8567014841, 4.238505721e-06, 0.3497938782],
        [0.02764796474, 0.3479448901, 0.2423003724, 0.01788083256, 1.145731421, 5.668472945e-06, 0.3461610244],
        [0.2357737154, 2.412920797, 1.982366964, 0.146291033, 8.61390949, 4.261706713e-05, 3.220889046],
        [1.214921976, 8.051271332, 8.85720891, 0.6536278418, 31.03034516, 0.0001535217318, 23.07186042],
        [0.6146007593, 3.832649963, 11.07927066],
    ),
    (0.6, 50.0, 0.8, 300.0): (
        [0.9962451986, 0.9971843427, 0.9965790697, 0.9908632826, 0.9956827353, 0.456302761, 0.8376836435],
        [0.02686247919, 0.04350679018, 0.1166127818, 0.11594396, 0.6974400296, 0.3196237113, 0.748402775],
        [0.2616912745, 0.4236209714, 1.134860728, 1.128351839, 6.74482266, 3.09102598, 7.240297946],
        [2.661471128, 4.286614908, 11.42449729, 11.35897315, 64.06613147, 29.3603089, 68.96323964],
        [0.04786422229, 0.4659863532, 4.709162661],
    ),
}


@pytest.mark.parametrize("parameters", LIFETIMES)
def test_modified_agrees_with_lifetimes(parameters):
    alive, *ahead, new = LIFETIMES[parameters]
    r, alpha, a, b = parameters
    x, t_x, T = np.array(LIFETIMES_ROWS, dtype=float).T
    now = bg_nbd.probability_alive(x, t_x, T, *parameters, modified=True)
    assert now == pytest.approx(alive, rel=1e-8)
    for horizon, expected in zip((4.0, 39.0, 400.0), ahead, strict=True):
        assert now * bg_nbd.expected_purchases(horizon, x, T, r, alpha, a, b + 1) == pytest.approx(expected, rel=1e-6)
    since = bg_nbd.expected_since_start(np.array([4.0, 39.0, 400.0]), *parameters, modified=True)
    assert since == pytest.approx(new, rel=1e-6)


@pytest.mark.parametrize("parameters", [CDNOW, (0.6, 50.0, 1.0, 3.0)])
def test_modified_simulator_is_the_judge(parameters):
    """At a = 1 too, where the closed form of lifetimes 0.11.3 is 0 / 0: it returns nan or inf."""
    rng = np.random.default_rng(13)
    T = np.full(300_000, 60.0)
    x, t_x = bg_nbd.simulate_customers(T, *parameters, rng, modified=True)
    expected = bg_nbd.expected_since_start(60.0, *parameters, modified=True)
    assert abs(x.mean() - expected) < 4.5 * x.std() / np.sqrt(T.size)
    none = np.exp(bg_nbd.log_likelihood(0.0, 0.0, 60.0, *parameters, modified=True))
    assert (x == 0).mean() == pytest.approx(none, abs=4.5 * np.sqrt(none / T.size))
    # Others, observed for 20 of the 60 weeks: what they bought and what is forecast of them comes to the same.
    first, t_first = bg_nbd.simulate_customers(T - 40.0, *parameters, np.random.default_rng(14), modified=True)
    silent = np.exp(bg_nbd.log_likelihood(0.0, 0.0, 20.0, *parameters, modified=True))
    assert (first == 0).mean() == pytest.approx(silent, abs=4.5 * np.sqrt(silent / T.size))
    now = bg_nbd.probability_alive(first, t_first, T - 40.0, *parameters, modified=True)
    r, alpha, a, b = parameters
    ahead = now * bg_nbd.expected_purchases(40.0, first, T - 40.0, r, alpha, a, b + 1)
    error = np.hypot(x.std(), (first + ahead).std()) / np.sqrt(T.size)
    assert abs((first + ahead).mean() - x.mean()) < 4.5 * error


def test_modified_density_sums_to_one():
    total = np.exp(bg_nbd.log_likelihood(0.0, 0.0, 3.0, *OFTEN, modified=True))
    for x in range(1, 25):

        def density(t, x=x):
            return np.exp(bg_nbd.log_likelihood(x, t, 3.0, *OFTEN, modified=True)) * t ** (x - 1) / special.gamma(x)

        total += integrate.quad(density, 0, 3.0)[0]
    assert total == pytest.approx(1.0, abs=1e-8)


def test_modified_maximum_likelihood_recovers_what_was_simulated():
    rng = np.random.default_rng(22)
    T = rng.uniform(100, 700, 10_000)
    truth = {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 3.0}
    x, t_x = bg_nbd.simulate_customers(T, **truth, rng=rng, modified=True)
    found = bg_nbd.fit_maximum_likelihood(x, t_x, T, modified=True)
    assert found.parameters == pytest.approx(truth, rel=0.2)
    assert found.log_likelihood >= bg_nbd.log_likelihood(x, t_x, T, **truth, modified=True).sum()
    assert found.log_likelihood > bg_nbd.fit_maximum_likelihood(x, t_x, T).log_likelihood + 5
