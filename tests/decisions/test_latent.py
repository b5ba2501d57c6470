"""Rates and spend of single customers: against the closed form of the BG/NBD, and against simulated customers."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from cvmlib.clv.families.registry import FAMILIES
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.decisions.latent import DAYS_PER_YEAR, infer_rates, infer_spend

PARAMETERS = {
    "bg_nbd": (0.8, 150.0, 0.5, 3.5),
    "mbg_nbd": (0.8, 150.0, 0.5, 3.5),
    "bg_cnbd": (3.0, 80.0, 0.6, 39.0, 3),
    "pareto_nbd": (0.8, 150.0, 0.6, 800.0),
    "nbd": (0.8, 150.0),
}
ROWS = pd.DataFrame({"frequency": [0, 1, 5, 40, 200], "recency": [0.0, 100, 300, 600, 700], "T": [700.0] * 5})


def draws(name: str) -> Draws:
    return Draws(FAMILIES[name], tuple(np.full(3, value) for value in PARAMETERS[name]))


@pytest.mark.parametrize("name", PARAMETERS)
def test_chance_of_being_alive_is_that_of_the_family(name):
    rates = infer_rates(draws(name), ROWS)
    known = FAMILIES[name].probability_alive(*(ROWS[c].to_numpy() for c in ROWS), *PARAMETERS[name])
    assert np.allclose(rates.moment(0), known, atol=0.005)
    assert np.allclose(rates.weight.sum(axis=1), 1.0)


def test_rates_are_the_mixture_of_gammas_of_bg_nbd():
    r, alpha, *_ = PARAMETERS["bg_nbd"]
    rates = infer_rates(draws("bg_nbd"), ROWS, nodes=200)
    alive = FAMILIES["bg_nbd"].probability_alive(*(ROWS[c].to_numpy() for c in ROWS), *PARAMETERS["bg_nbd"])
    x, T = ROWS["frequency"].to_numpy(), ROWS["T"].to_numpy()
    there = stats.gamma(r + x, scale=1 / (alpha + T))
    assert np.allclose(rates.moment(1), alive * there.mean() * DAYS_PER_YEAR, rtol=0.01)
    above = alive * there.sf(2.0 / DAYS_PER_YEAR)
    assert np.allclose(rates.chance_above(2.0), above, atol=0.01)


def test_chances_hold_among_simulated_customers():
    rng = np.random.default_rng(1)
    r, alpha, a, b = PARAMETERS["mbg_nbd"]
    size = 30_000
    rate, leaves = rng.gamma(r, 1 / alpha, size), rng.geometric(rng.beta(a, b, size))
    gaps = rng.exponential(1 / rate[:, None], (size, 60)).cumsum(axis=1)
    lived = (np.arange(60) + 1 < leaves[:, None]) & (gaps <= 700.0)
    frequency = lived.sum(axis=1)
    recency = np.where(frequency > 0, np.take_along_axis(gaps, np.maximum(frequency - 1, 0)[:, None], 1)[:, 0], 0.0)
    alive = frequency + 1 < leaves
    rows = pd.DataFrame({"frequency": frequency, "recency": recency, "T": 700.0})
    chance = infer_rates(draws("mbg_nbd"), rows).chance_above(1.5)
    true = alive & (rate * DAYS_PER_YEAR > 1.5)
    for low, high in ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        here = (chance >= low) & (chance <= high)
        error = 4 * np.sqrt(0.25 / here.sum()) + 0.015
        assert abs(true[here].mean() - chance[here].mean()) < error


def test_spend_is_the_posterior_of_gamma_gamma():
    rng = np.random.default_rng(2)
    p, q, gamma = 4.0, 4.5, 65.0
    rows = pd.DataFrame({"frequency": [0, 3], "monetary_value": [0.0, 120.0]})
    spend = infer_spend(SpendDraws(np.full(2, p), np.full(2, q), np.full(2, gamma)), rows)
    for place, (x, z) in enumerate(((0, 0.0), (3, 120.0))):
        drawn = p / rng.gamma(q + p * x, 1 / (gamma + x * z), 400_000)
        assert spend.chance_below(np.full(2, 90.0))[place] == pytest.approx((drawn < 90).mean(), abs=0.004)
        assert spend.moment(1)[place] == pytest.approx(drawn.mean(), rel=0.01)
        assert spend.moment(2)[place] == pytest.approx((drawn**2).mean(), rel=0.05)
    assert spend.chance_below(np.full(2, -1.0)).tolist() == [0.0, 0.0]
    table = spend.chance_below(np.array([[50.0, 90.0], [50.0, 90.0]]))
    assert table.shape == (2, 2) and special.gammaincc(q, p * gamma / 50.0) == pytest.approx(table[0, 0])


def test_chances_at_opportunities_hold_among_simulated_customers():
    rng = np.random.default_rng(3)
    parameters, size, seen = (1.2, 0.8, 0.7, 2.8), 30_000, 8
    chance, leaves = rng.beta(*parameters[:2], size), rng.beta(*parameters[2:], size)
    there = rng.geometric(np.maximum(leaves, 1e-12))[:, None] > np.arange(seen) + 1
    bought = there & (rng.random((size, seen)) < chance[:, None])
    frequency = bought.sum(axis=1)
    recency = np.where(frequency > 0, seen - bought[:, ::-1].argmax(axis=1), 0)
    rows = pd.DataFrame({"frequency": frequency, "recency": recency, "T": seen})
    alike, of_row = np.unique(rows.to_numpy(), axis=0, return_inverse=True)
    draws_of = Draws(FAMILIES["bg_bb"], tuple(np.full(3, value) for value in parameters))
    rates = infer_rates(draws_of, pd.DataFrame(alike, columns=list(rows)), per_year=4.0)
    alive = there[:, -1]
    known = FAMILIES["bg_bb"].probability_alive(*alike.T, *parameters)
    assert np.allclose(rates.moment(0), known, atol=0.005)
    found = rates.chance_above(4 * 0.6)[of_row]
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        here = (found >= low) & (found <= high)
        error = 4 * np.sqrt(0.25 / here.sum()) + 0.015
        assert here.sum() > 100 and abs((alive & (chance > 0.6))[here].mean() - found[here].mean()) < error
