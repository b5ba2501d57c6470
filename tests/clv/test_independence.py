"""The check of spend against frequency: size, power, wholesalers, units of money, and what a slope does to value."""

import numpy as np
import pytest
from scipy import stats

from cvmlib.clv import gamma_gamma, independence

CDNOW = (6.25, 3.74, 15.44)
VARIED = (1.5, 1.7, 20.0)


def repeat_buyers(rng, size: int, parameters, slope: float = 0.0):
    """Frequencies with a long tail, and mean spends whose level goes with the number of purchases."""
    frequency = rng.poisson(rng.gamma(0.6, 3.0, size)) + 1
    spend = gamma_gamma.simulate_customers(frequency, *parameters, rng)
    return frequency, spend * (1.0 + frequency) ** slope


def shapes(frequency, spend):
    """Parameters by maximum likelihood, as a fit that knows nothing of a slope has them."""
    return tuple(gamma_gamma.fit_maximum_likelihood(frequency, spend).parameters.values())


@pytest.mark.parametrize(("parameters", "size"), [(CDNOW, 300), (VARIED, 800)])
def test_the_interval_covers_nothing_nine_times_in_ten(parameters, size):
    missed = 0
    for seed in range(200):
        found = independence.estimate_slope(*repeat_buyers(np.random.default_rng(seed), size, parameters))
        missed += not found.low <= 0.0 <= found.high
    low, high = stats.binom.ppf([0.001, 0.999], 200, 0.1)
    assert low <= missed <= high


@pytest.mark.parametrize("slope", [-0.3, 0.25])
def test_a_planted_slope_is_found(slope):
    covered = 0
    for seed in range(40):
        found = independence.estimate_slope(*repeat_buyers(np.random.default_rng(seed), 600, CDNOW, slope))
        assert found.low * found.high > 0 and np.sign(found.slope) == np.sign(slope)
        covered += found.low <= slope <= found.high
    assert covered >= stats.binom.ppf(0.001, 40, 0.9)
    found = independence.estimate_slope(*repeat_buyers(np.random.default_rng(9), 20_000, CDNOW, slope))
    assert found.slope == pytest.approx(slope, abs=4 * (found.high - found.low) / 3.29)
    assert found.high - found.low < 0.03


def test_one_wholesaler_does_not_decide():
    shifts, plain = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        frequency, spend = repeat_buyers(rng, 400, VARIED)
        before = independence.estimate_slope(frequency, spend)
        with_him = np.r_[frequency, 400], np.r_[spend, 1000 * spend.mean()]
        after = independence.estimate_slope(*with_him)
        width = (before.high - before.low) / 3.29
        shifts.append((after.slope - before.slope) / width)
        slopes = [np.polyfit(np.log1p(x), np.log(z), 1)[0] for x, z in ((frequency, spend), with_him)]
        plain.append((slopes[1] - slopes[0]) / width)
        # Ten times as rich, he moves it no further.
        richer = independence.estimate_slope(with_him[0], np.r_[spend, 10_000 * spend.mean()])
        assert richer.slope == pytest.approx(after.slope, abs=0.1 * width)
    assert np.mean(shifts) < 0.5 < 2.0 < np.mean(plain)


def test_rows_stand_for_their_customers():
    rng = np.random.default_rng(3)
    frequency, spend = repeat_buyers(rng, 200, CDNOW)
    customers = rng.integers(1, 5, 200)
    grouped = independence.estimate_slope(frequency, spend, customers)
    each = independence.estimate_slope(np.repeat(frequency, customers), np.repeat(spend, customers))
    assert vars(grouped) == pytest.approx(vars(each), rel=1e-9)
    padded = independence.estimate_slope(np.r_[frequency, 0, 3], np.r_[spend, 0.0, 0.0], np.r_[customers, 900, 5])
    assert vars(padded) == pytest.approx(vars(grouped), rel=1e-12)


def test_the_unit_of_money_does_not_matter():
    rng = np.random.default_rng(4)
    frequency, spend = repeat_buyers(rng, 300, VARIED, 0.2)
    purchases = rng.gamma(1.0, 2.0, 300)
    p, q, gamma = shapes(frequency, spend)
    found, cents = (independence.estimate_slope(frequency, unit * spend) for unit in (1, 100))
    assert vars(cents) == pytest.approx(vars(found), rel=1e-6)
    change = independence.revalue(found, frequency, spend, purchases, p, q, gamma)
    same = independence.revalue(cents, frequency, 100 * spend, purchases, p, q, 100 * gamma)
    assert vars(same) == pytest.approx(vars(change), rel=1e-6)


def test_a_constant_price_does_not_depend_on_frequency():
    frequency = np.random.default_rng(1).integers(1, 20, 200)
    found = independence.estimate_slope(frequency, np.full(200, 9.99))
    assert found.slope == pytest.approx(0.0, abs=1e-3)


def test_too_few_or_too_alike():
    few = independence.estimate_slope(np.arange(1, 20), np.full(19, 5.0))
    alike = independence.estimate_slope(np.full(100, 3), np.linspace(1, 9, 100))
    for found, customers in ((few, 19), (alike, 100)):
        assert not found.known and found.customers == customers
        assert independence.judge(found, None) == "unknown"
        assert f"cannot be told from {customers} repeat buyers" in independence.describe(found, None)


def dependence(slope, low, high, reference=3.0):
    return independence.Dependence(slope, low, high, reference, 500.0)


def test_values_are_shrunk_to_those_who_buy_as_often():
    p, q, gamma = CDNOW
    frequency, spend = np.array([0.0, 2.0, 500.0]), np.array([0.0, 30.0, 80.0])
    purchases, customers = np.array([1.0, 3.0, 100.0]), np.array([900, 99, 1])
    change = independence.revalue(dependence(0.5, 0.4, 0.6), frequency, spend, purchases, p, q, gamma, customers)
    population = gamma * np.sqrt(np.array([2.0, 4.0, 502.0]) / 3.0)
    after = purchases * p * (population + frequency * spend) / (p * frequency + q - 1)
    before = purchases * p * (gamma + frequency * spend) / (p * frequency + q - 1)
    assert change.total == pytest.approx(customers @ after / (customers @ before) - 1, rel=1e-12)
    best = np.array([0, 99, 1])  # the hundred worth most are the two rows of repeat buyers
    assert change.top == pytest.approx(best @ after / (best @ before) - 1, rel=1e-12)
    assert change.once == pytest.approx(np.sqrt(2 / 3) - 1, rel=1e-12)
    assert change.total_low < change.total < change.total_high < 0 < change.top
    # Who has bought five hundred times is known: his own average counts, not the curve.
    assert after[2] / before[2] - 1 == pytest.approx(0.0, abs=0.01)
    none_once = independence.revalue(dependence(0.5, 0.4, 0.6), *np.ones((3, 5)), p, q, gamma)
    assert none_once.once == 0.0


@pytest.mark.parametrize("power", [0.4, -0.3])
def test_dependence_of_a_simulated_base_is_priced(power):
    """Level of spend a power of the purchase rate: who bought once is worth what the revaluation says."""
    rng = np.random.default_rng(12)
    p, q, gamma = CDNOW
    rate = rng.gamma(0.4, 4.0, 60_000)
    frequency = rng.poisson(rate)
    nu = rng.gamma(q, 1 / (gamma * (1 + rate) ** power))
    total = rng.gamma(p * np.maximum(frequency, 1), 1 / nu)
    spend = np.where(frequency > 0, total / np.maximum(frequency, 1), 0.0)
    worth, purchases = rate * p / nu, (0.4 + frequency) / 1.25
    fitted = shapes(frequency[:6000], spend[:6000])
    found = independence.estimate_slope(frequency, spend)
    change = independence.revalue(found, frequency, spend, purchases, *fitted)
    independent = purchases * gamma_gamma.expected_spend(frequency, spend, *fitted)
    once = frequency == 0
    assert abs(independent[once].sum() / worth[once].sum() - 1) > 0.1
    assert independent[once].sum() * (1 + change.once) == pytest.approx(worth[once].sum(), rel=0.07)
    best = np.argsort(-independent)[:6000]
    after, before = independent[best].sum() * (1 + change.top), independent[best].sum()
    assert abs(after - worth[best].sum()) < abs(before - worth[best].sum())
    assert independence.judge(found, change) == "fails"


@pytest.mark.parametrize(
    ("slope", "low", "high", "total", "top", "once", "outcome", "words"),
    [
        (0.02, -0.03, 0.07, 0.08, 0.02, 0.3, "holds", "does not depend noticeably"),
        (0.02, 0.01, 0.03, -0.004, 0.009, -0.04, "holds", "assumption holds"),
        (0.05, 0.01, 0.09, -0.004, 0.009, -0.06, "weak", "spend more per purchase"),
        (0.05, 0.01, 0.09, -0.02, 0.011, -0.04, "weak", "matters little"),
        (-0.05, -0.09, -0.01, 0.03, -0.04, 0.04, "weak", "spend less per purchase"),
        (0.20, 0.10, 0.30, -0.09, 0.02, -0.05, "fails", "its assumption fails"),
        (0.20, 0.10, 0.30, -0.01, 0.07, -0.05, "fails", "spend more per purchase"),
        (0.20, 0.10, 0.30, -0.01, 0.01, -0.12, "fails", "its assumption fails"),
    ],
)
def test_outcomes_and_their_sentences(slope, low, high, total, top, once, outcome, words):
    found = dependence(slope, low, high)
    change = independence.Revaluation(total, total - 0.01, total + 0.01, top, once)
    assert independence.judge(found, change) == outcome
    sentence = independence.describe(found, change)
    assert words in sentence
    assert f"{2**slope - 1:+.1%} a purchase (90% interval {2**low - 1:+.1%} to {2**high - 1:+.1%})" in sentence
    assert all(f"by {figure:+.1%}" in sentence for figure in (total, top, once))
