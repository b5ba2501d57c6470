"""BG/CNBD-k and MBG/CNBD-k against quadrature, direct sums and customers simulated to the end."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import integrate, special, stats

from cvmlib.clv import regularity
from cvmlib.clv.families import bg_cnbd, bg_cnbd_forecast, bg_nbd

REGULAR = (0.9, 4.0, 0.8, 3.0)
ALIKE = (6.0, 8.0, 1.4, 4.0)
VARIANTS = [(1, True), (2, False), (3, True), (5, False)]


@dataclass
class Histories:
    """Simulated customers: counts at T, and what they do after."""

    frequency: np.ndarray
    recency: np.ndarray
    alive: np.ndarray
    after: np.ndarray  # (windows, customers)
    alive_after: np.ndarray  # (windows, customers)


def live(T, edges, r, alpha, a, b, k, rng, modified):
    """Follow customers purchase by purchase beyond the last edge after T."""
    rate, p = rng.gamma(r, 1 / alpha, T.size), rng.beta(a, b, T.size)
    ends = T + np.asarray(edges)[:, None]  # the first is T
    bought = np.zeros((len(edges), T.size), dtype=int)
    left_at = np.full(T.size, np.inf)
    clock, recency = np.zeros(T.size), np.zeros(T.size)
    active = np.arange(T.size)
    if modified:
        left = rng.random(T.size) < p
        left_at[left] = 0.0
        active = active[~left]
    while active.size:
        clock[active] += rng.gamma(k, 1.0, active.size) / np.maximum(rate[active], 1e-300)
        active = active[clock[active] <= ends[-1, active]]
        bought[:, active] += clock[active] <= ends[:, active]
        recency[active] = np.where(clock[active] <= T[active], clock[active], recency[active])
        leaves = rng.random(active.size) < p[active]
        left_at[active[leaves]] = clock[active[leaves]]
        active = active[~leaves]
    alive = left_at > ends
    return Histories(bought[0], recency, alive[0], np.diff(bought, axis=0), alive[1:])


@pytest.fixture(scope="module")
def world():
    """Simulated customers of each variant, half of them with each set of parameters; made once."""
    made = {}

    def of(parameters, k, modified):
        key = (parameters, k, modified)
        if key not in made:
            rng = np.random.default_rng([17, k, modified])
            T = rng.integers(5, 60, 60_000).astype(float)
            made[key] = (T, live(T, EDGES, *parameters, k, rng, modified))
        return made[key]

    return of


EDGES = (0.0, 4.0, 12.0, 52.0)


def classes(seen, T):
    """Customers by frequency and by how long they have been silent: at least 300 in each class."""
    silent = np.digitize((T - seen.recency) / T, [0.1, 0.3, 0.6])
    label = 10 * np.minimum(seen.frequency, 4) + silent
    for value in np.unique(label):
        if (label == value).sum() >= 300:
            yield label == value


def agrees(found, said):
    """Whether totals over customers differ by no more than sampling error, that of a Poisson variable at least."""
    difference = np.subtract(found, said, dtype=float)
    variance = np.maximum(difference.var(axis=-1), said.mean(axis=-1)) * difference.shape[-1]
    return (np.abs(difference.sum(axis=-1)) < 4.5 * np.sqrt(variance) + 5.0).all()


@pytest.mark.parametrize("parameters", [REGULAR, ALIKE])
@pytest.mark.parametrize(("k", "modified"), VARIANTS)
def test_forecasts_hold_for_customers_of_every_history(world, parameters, k, modified):
    T, seen = world(parameters, k, modified)
    counts = (seen.frequency, seen.recency, T)
    said = bg_cnbd.probability_alive(*counts, *parameters, k, modified=modified)
    draw = [np.array([value]) for value in (*parameters, k)]
    purchases, alive = bg_cnbd_forecast.forecast(np.array([EDGES]), *counts, *draw, modified=modified)
    assert alive[0, 0] == pytest.approx(said, rel=1e-9, abs=1e-300)
    drawn = bg_cnbd_forecast.simulate_future(
        np.array(EDGES[-1:]), *counts, *draw, np.random.default_rng(5), modified=modified
    )
    total = seen.after.sum(axis=0)
    least = np.array([[1], [2], [4], [8]])  # the whole distribution
    pairs = [
        (seen.alive, said),
        (seen.after, purchases[:, 0]),
        (seen.alive_after, alive[1:, 0]),
        (total, drawn[0]),
        (total >= least, drawn >= least),
    ]
    number = 0
    for chosen in classes(seen, T):
        number += 1
        for found, expected in pairs:
            assert agrees(found[..., chosen], expected[..., chosen])
    assert number >= 8


@pytest.mark.parametrize(("k", "modified"), VARIANTS)
def test_new_customers(world, k, modified):
    T, seen = world(REGULAR, k, modified)
    expected = bg_cnbd.expected_since_start(T, *REGULAR, k, modified=modified)
    difference = seen.frequency - expected
    assert abs(difference.mean()) < 4.5 * difference.std() / np.sqrt(T.size)
    x, t_x = bg_cnbd.simulate_customers(T, *REGULAR, k, np.random.default_rng(2), modified=modified)
    for mine, theirs in ((x, seen.frequency), (t_x, seen.recency), (x * t_x, seen.frequency * seen.recency)):
        error = np.hypot(np.std(mine), np.std(theirs)) / np.sqrt(T.size)
        assert abs(np.mean(mine) - np.mean(theirs)) < 4.5 * error
    assert (t_x <= T).all() and ((t_x > 0) == (x > 0)).all()


def test_expected_since_start_keeps_shape_and_order():
    ages = np.array([[30.0, 0.0], [5.0, 30.0]])
    found = bg_cnbd.expected_since_start(ages, *REGULAR, 3)
    assert found.shape == (2, 2) and abs(found[0, 1]) < 1e-15 and found[0, 0] == found[1, 1] > found[1, 0] > 0
    assert bg_cnbd.expected_since_start(30.0, *REGULAR, 3) == pytest.approx(found[0, 0])
    one = bg_cnbd.expected_since_start(ages, *REGULAR, 1, modified=True)
    assert one == pytest.approx(bg_nbd.expected_since_start(ages, *REGULAR, modified=True), rel=1e-9)


@pytest.mark.parametrize("modified", [False, True])
def test_one_stage_is_the_bg_nbd(modified):
    rng = np.random.default_rng(1)
    T = rng.uniform(0, 80, 200)
    x, t_x = bg_nbd.simulate_customers(T, *ALIKE, rng)
    for name in ("log_likelihood", "probability_alive"):
        one = getattr(bg_cnbd, name)(x, t_x, T, *REGULAR, 1, modified=modified)
        assert one == pytest.approx(getattr(bg_nbd, name)(x, t_x, T, *REGULAR, modified=modified), rel=1e-13)
    assert bg_cnbd.log_gap_term(1, 7, 12.3) == 0.0


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("modified", [False, True])
def test_density_of_counts_sums_to_one(k, modified):
    """Over x and t_x: the gaps of a given sum t_x have the density ``t_x^(k x - 1) / Gamma(k x)`` times Gamma(k)^x."""
    parameters, T = ALIKE, 5.0
    total = np.exp(bg_cnbd.log_likelihood(0.0, 0.0, T, *parameters, k, modified=modified))
    for x in range(1, 30):

        def density(t, x=x):
            log_sum_of_gaps = (k * x - 1) * np.log(t) - special.gammaln(k * x)
            return np.exp(bg_cnbd.log_likelihood(x, t, T, *parameters, k, modified=modified) + log_sum_of_gaps)

        total += integrate.quad(density, 0, T)[0]
    assert total == pytest.approx(1.0, abs=1e-7)


def test_the_gap_term_completes_the_density_of_one_history():
    """Purchases at 2, 3.5 and 5 of 9: the model's density of those gaps by quadrature over the rate."""
    k, gaps, T = 3, np.array([2.0, 1.5, 1.5]), 9.0
    r, alpha, a, b = REGULAR
    leaves_third = special.beta(a + 1, b + 2) / special.beta(a, b)
    survives_third = special.beta(a, b + 3) / special.beta(a, b)

    def density(rate):
        bought = np.prod(stats.gamma.pdf(gaps, k, scale=1 / rate))
        silent = stats.gamma.sf(T - gaps.sum(), k, scale=1 / rate)
        return bought * (leaves_third + survives_third * silent) * stats.gamma.pdf(rate, r, scale=1 / alpha)

    exact = integrate.quad(density, 0, 20, epsabs=0)[0]
    found = bg_cnbd.log_likelihood(3, gaps.sum(), T, *REGULAR, k) + bg_cnbd.log_gap_term(k, 3, np.log(gaps).sum())
    assert found == pytest.approx(np.log(exact), rel=1e-9)


def test_functions_broadcast_over_units_of_different_regularity():
    x, t_x, T = np.array([0.0, 2.0, 5.0]), np.array([0.0, 9.0, 20.0]), np.array([30.0, 30.0, 30.0])
    k = np.array([[1], [2], [4]])
    for name in ("log_likelihood", "probability_alive"):
        together = getattr(bg_cnbd, name)(x, t_x, T, *REGULAR, k)
        assert together.shape == (3, 3)
        for i, one in enumerate(k[:, 0]):
            assert together[i] == pytest.approx(getattr(bg_cnbd, name)(x, t_x, T, *REGULAR, one), rel=1e-12)


def test_a_long_gap_speaks_against_a_regular_customer():
    """With the same mean gap (3 weeks), silence of 9 weeks after 9 purchases counts more, the more regular he is."""
    k = np.array([1, 2, 4, 8])
    alive = bg_cnbd.probability_alive(9.0, 27.0, 36.0, 6.0, 18.0 / k, 0.8, 6.0, k)
    assert (np.diff(alive) < -0.02).all()
    soon = bg_cnbd.probability_alive(9.0, 27.0, 28.5, 6.0, 18.0 / k, 0.8, 6.0, k)
    assert (np.diff(soon) > 0).all()


def expected_directly(n, a, b, k, j, y):
    """Purchases and survival up to y of a customer with j stages completed, by sums of SciPy's distributions."""
    made = stats.nbinom(n, 1 / (1 + y))
    most = int(made.ppf(1 - 1e-15)) + k + 1
    m = np.arange(1, (most + j) // k + 2)
    stays = np.exp(special.betaln(a, b + m - 1) - special.betaln(a, b))
    stages = np.arange(most)
    bought = (stages + j) // k
    living = np.exp(special.betaln(a, b + bought) - special.betaln(a, b))
    return made.sf(m * k - j - 1) @ stays, made.pmf(stages) @ living


def test_forecasts_of_random_customers_by_direct_sums():
    rng = np.random.default_rng(6)
    for _ in range(25):
        k, modified = int(rng.integers(1, 9)), bool(rng.integers(0, 2))
        r, alpha = 10 ** rng.uniform(-1.3, 1), 10 ** rng.uniform(0, 2.5)
        a, b = 10 ** rng.uniform(-1.5, 1), 10 ** rng.uniform(-1, 1.5)
        x = float(rng.choice([0, 1, 2, 5, 20, 100]))
        T = rng.uniform(3 * x, 1500)
        t_x = T * rng.uniform(0.9, 1.0) if x else 0.0
        edges = np.linspace(0, 365, 5)
        counts, draw = [np.array([v]) for v in (x, t_x, T)], [np.array([v]) for v in (r, alpha, a, b, k)]
        purchases, alive = bg_cnbd_forecast.forecast(edges[None], *counts, *draw, modified=modified)
        # Stages completed of the gap under way: proportional to the terms of the likelihood of being alive.
        n, z = r + k * x, (T - t_x) / (alpha + T)
        j = np.arange(k)
        weight = np.exp(special.gammaln(n + j) - special.gammaln(n) - special.gammaln(j + 1)) * z**j
        weight *= alive[0, 0, 0] / weight.sum()
        mixed = [[expected_directly(n + i, a, b + x + modified, k, i, s / (alpha + T)) for i in j] for s in edges[1:]]
        bought, living = np.einsum("j,sjv->vs", weight, np.array(mixed))
        assert purchases[:, 0, 0].cumsum() == pytest.approx(bought, rel=1e-8, abs=1e-12)
        assert alive[1:, 0, 0] == pytest.approx(living, rel=1e-8, abs=1e-12)


def test_draws_of_different_regularity_side_by_side():
    x, t_x, T = np.array([0.0, 2.0, 5.0]), np.array([0.0, 9.0, 20.0]), np.array([30.0, 30.0, 30.0])
    k = np.array([3, 1, 2])
    draws = [np.full(3, value) for value in REGULAR]
    edges = np.tile([0.0, 10.0, 20.0], (3, 1))
    together = bg_cnbd_forecast.forecast(edges, x, t_x, T, *draws, k)
    for i in range(3):
        alone = bg_cnbd_forecast.forecast(edges[:1], x, t_x, T, *(v[:1] for v in draws), k[i : i + 1])
        for one, other in zip(together, alone, strict=True):
            assert one[:, i] == pytest.approx(other[:, 0], rel=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_windows_without_length_and_no_rows(k):
    x, t_x, T = np.array([0.0, 2.0]), np.array([0.0, 9.0]), np.array([30.0, 30.0])
    draw = [np.array([v]) for v in (*REGULAR, k)]
    purchases, alive = bg_cnbd_forecast.forecast(np.array([[0.0, 0.0]]), x, t_x, T, *draw)
    assert purchases == pytest.approx(0.0, abs=1e-15) and alive[1] == pytest.approx(alive[0], rel=1e-12)
    none = np.zeros(0)
    purchases, alive = bg_cnbd_forecast.forecast(np.array([[0.0, 3.0]]), none, none, none, *draw)
    assert purchases.shape == (1, 1, 0) and alive.shape == (2, 1, 0)
    assert bg_cnbd_forecast.simulate_future(np.ones(1), none, none, none, *draw, np.random.default_rng(1)).size == 0


@pytest.mark.parametrize("k", [1, 3])
def test_what_is_not_a_number_ends_and_shows(k):
    x, t_x, T = np.array([2.0]), np.array([9.0]), np.array([30.0])
    for bad in range(4):
        draw = [np.array([np.nan if i == bad else v]) for i, v in enumerate(REGULAR)]
        purchases, alive = bg_cnbd_forecast.forecast(np.array([[0.0, 9.0]]), x, t_x, T, *draw, np.array([k]))
        assert np.isnan(purchases).all() and np.isnan(alive).all()


@pytest.mark.parametrize("horizon", [10.0, 45.0, 400.0])
def test_simulated_futures_follow_their_distribution(horizon):
    """Few and many stages: the two ways of drawing follow the same law."""
    rng = np.random.default_rng(8)
    x, t_x, T, size, k = 6.0, 27.0, 30.0, 60_000, 3
    r, alpha, a, b = ALIKE
    drawn = bg_cnbd_forecast.simulate_future(
        np.full(size, horizon),
        *(np.array([v]) for v in (x, t_x, T)),
        *(np.full(size, v) for v in ALIKE),
        np.full(size, k),
        rng,
    )[:, 0]
    n, j, y = r + k * x, np.arange(k), horizon / (alpha + T)
    weight = (
        np.exp(special.gammaln(n + j) - special.gammaln(n) - special.gammaln(j + 1)) * ((T - t_x) / (alpha + T)) ** j
    )
    weight *= bg_cnbd.probability_alive(x, t_x, T, *ALIKE, k) / weight.sum()
    for m in range(1, 40):
        made = stats.nbinom.sf(m * k - j - 1, n + j, 1 / (1 + y))
        expected = weight @ made * np.exp(special.betaln(a, b + x + m - 1) - special.betaln(a, b + x))
        assert abs((drawn >= m).mean() - expected) < 4.7 * np.sqrt(expected * (1 - expected) / size) + 1e-4
    assert drawn.max() > horizon / 10


@pytest.mark.parametrize("modified", [False, True])
def test_maximum_likelihood_recovers_what_was_simulated(modified):
    rng = np.random.default_rng(23)
    T = rng.uniform(100, 700, 12_000)
    truth = {"r": 0.9, "alpha": 30.0, "a": 0.8, "b": 3.0, "k": 3}
    x, t_x, log_gaps = bg_cnbd.simulate_gaps(T, **truth, rng=rng, modified=modified)
    found = bg_cnbd.fit_maximum_likelihood(x, t_x, T, k=3, modified=modified)
    assert found.parameters == pytest.approx(truth, rel=0.15)
    exact = bg_cnbd.log_likelihood(x, t_x, T, *found.parameters.values(), modified=modified).sum()
    assert found.log_likelihood == pytest.approx(exact, rel=1e-10)
    assert 0 < found.log_likelihood - bg_cnbd.log_likelihood(x, t_x, T, **truth, modified=modified).sum() < 12
    assert regularity.choose_k(x, t_x, T, log_gaps.sum(), modified=modified) == 3
    in_hours = bg_cnbd.fit_maximum_likelihood(x, 24 * t_x, 24 * T, k=3, modified=modified)
    assert in_hours.parameters == pytest.approx(found.parameters | {"alpha": 24 * found.parameters["alpha"]}, rel=1e-4)
    assert in_hours.log_likelihood == pytest.approx(found.log_likelihood - 3 * x.sum() * np.log(24), rel=1e-9)


def test_one_stage_is_fitted_like_the_bg_nbd():
    rng = np.random.default_rng(24)
    T = rng.integers(20, 60, 3_000).astype(float)
    x, t_x = bg_nbd.simulate_customers(T, *REGULAR, rng)
    one, other = bg_cnbd.fit_maximum_likelihood(x, t_x, T), bg_nbd.fit_maximum_likelihood(x, t_x, T)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
    assert {name: one.parameters[name] for name in bg_nbd.PARAMETERS} == pytest.approx(other.parameters, rel=1e-3)


def test_simulation_is_reproducible():
    T = np.full(50, 40.0)
    first, same = (bg_cnbd.simulate_gaps(T, *REGULAR, 2, np.random.default_rng(3)) for _ in range(2))
    assert all((one == other).all() for one, other in zip(first, same, strict=True))
    gaps_only = first[2][first[0] == 1]
    assert gaps_only == pytest.approx(np.log(first[1][first[0] == 1]))
