"""A new customer against a simulation of everything he does."""

import numpy as np
import pytest

from cvmlib.clv import gamma_gamma
from cvmlib.clv.acquisition import value_of_new
from cvmlib.clv.ahead import Ahead
from cvmlib.clv.families import bg_nbd
from cvmlib.clv.terms import Terms
from tests.clv.buyers import BUYING, SPENDING, YEAR, known, loyal, unsure, year_ahead

TERMS = Terms(0.25, 0.4, 0.1, per_transaction=1.5, per_customer_year=2.0)


def simulate_lives(customers: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Value of new customers purchase by purchase, each discounted at its time; and discounted years as a customer."""
    rng = np.random.default_rng(seed)
    rate, p = rng.gamma(BUYING["r"], 1 / BUYING["alpha"], customers), rng.beta(BUYING["a"], BUYING["b"], customers)
    nu = rng.gamma(SPENDING["q"], 1 / SPENDING["gamma"], customers)
    value = rng.gamma(SPENDING["p"], 1 / nu) * 0.36 - 1.5
    delta = np.log(1.25) / 365.25
    clock, alive = np.zeros(customers), np.ones(customers, dtype=bool)
    until = np.full(customers, YEAR)
    while alive.any():
        clock = np.where(alive, clock + rng.exponential(1 / rate), np.inf)
        alive &= clock <= YEAR
        value[alive] += np.exp(-delta * clock[alive]) * (rng.gamma(SPENDING["p"], 1 / nu[alive]) * 0.36 - 1.5)
        left = alive & (rng.random(customers) < p)
        until[left] = clock[left]
        alive &= ~left
    return value, (1 - np.exp(-delta * until)) / delta / 365.25


def newcomers(draws):
    """One group of new customers, of these draws of purchase and spend."""
    purchase, spend = draws
    return [(1.0, purchase)], spend


def test_a_new_customer_against_simulated_lives():
    gross, years = simulate_lives(100_000, seed=1)
    truth = gross - TERMS.per_customer_year * years
    found = value_of_new(*newcomers(known()), TERMS, year_ahead(), seed=2)
    error = truth.std() / np.sqrt(len(truth))
    assert found.value == pytest.approx(truth.mean(), abs=4 * error)
    assert found.expected_low == pytest.approx(found.value) == found.expected_high
    # The interval takes the mean of the years. Quantiles of 40,000 and of 100,000, within 0.5 points of probability.
    for end, tail in ((found.low, 0.05), (found.high, 0.95)):
        low, high = np.quantile(gross, [tail - 0.005, tail + 0.005]) - TERMS.per_customer_year * years.mean()
        assert low < end < high
    repeat = bg_nbd.expected_since_start(np.array([YEAR]), **BUYING)[0]
    assert found.purchases == pytest.approx(repeat, rel=1e-6)
    each = gamma_gamma.expected_spend(0.0, 0.0, **SPENDING)
    assert found.first == pytest.approx(each * 0.36 - 1.5)
    assert found.low < found.first < found.value < found.high


def test_money_of_a_new_customer_by_hand():
    found = value_of_new(*newcomers(loyal(500)), Terms(0.25, 0.4, 0.1, 1.5, 100.0), year_ahead(500, 365.25), seed=1)
    factor = (1 - 1 / 1.25) / np.log(1.25)
    assert found.value == pytest.approx(2.1 + factor * (365.25 * 2.1 - 100.0), rel=1e-5)
    assert found.first == pytest.approx(2.1) and found.purchases == pytest.approx(365.25, rel=1e-5)
    sd = factor * 2.1 * np.sqrt(365.25)
    assert (found.high - found.low) / 2 == pytest.approx(1.645 * sd, rel=0.05)


def test_the_expectation_is_as_uncertain_as_the_parameters():
    purchase, spend = unsure(400, sd=0.2)
    found = value_of_new([(1.0, purchase)], spend, TERMS, year_ahead(), seed=2)
    by_draw = []
    for i in range(400):
        at = [value[i] for value in purchase.values]
        zero = np.zeros(1)
        bought = bg_nbd.expected_purchases(YEAR, zero, zero, *at, discount=TERMS.discount_per_day)[0]
        days = bg_nbd.expected_time_alive(YEAR, zero, zero, *at, discount=TERMS.discount_per_day)[0]
        each = gamma_gamma.expected_spend(0.0, 0.0, spend.p[i], spend.q[i], spend.gamma[i])
        by_draw.append((1 + bought) * (each * 0.36 - 1.5) - 2.0 * days / 365.25)
    assert found.value == pytest.approx(np.mean(by_draw), rel=1e-3)
    assert (found.expected_low, found.expected_high) == pytest.approx(
        tuple(np.quantile(by_draw, [0.05, 0.95])), rel=1e-3
    )
    uncertain = value_of_new(
        [(1.0, purchase)], spend, Terms(0.25, 0.4, 0.1, returned_share_sd=0.1), year_ahead(), seed=2
    )
    certain = value_of_new([(1.0, purchase)], spend, Terms(0.25, 0.4, 0.1), year_ahead(), seed=2)
    assert uncertain.expected_high - uncertain.expected_low > certain.expected_high - certain.expected_low
    assert uncertain.value == certain.value


def test_a_good_year_is_worth_more():
    days = np.linspace(0.0, YEAR, 13)
    usual = value_of_new(*newcomers(known()), TERMS, year_ahead(), seed=2)
    good = value_of_new(*newcomers(known()), TERMS, Ahead(np.tile(1.3 * days, (400, 1)), days), seed=2)
    assert good.value > usual.value and good.first == usual.first
    assert value_of_new(*newcomers(known()), TERMS, year_ahead(), seed=2) == usual
    with pytest.raises(ValueError, match="equally many"):
        value_of_new(*newcomers(known(30)), TERMS, year_ahead(), seed=2)
