"""The value of a unit whose customers differ by covariates: the sum of its patterns, draw by draw."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.terms import Terms
from cvmlib.clv.value import predict, predict_patterns
from tests.clv.buyers import known, simulate_base, unsure, year_ahead

DRAWS = 400
SURE = Terms(0.1, margin=0.4, per_customer_year=1.0)
UNSURE = replace(SURE, returned_share=0.2, returned_share_sd=0.04, returned_noise=30.0)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return simulate_base(seed=5, customers=600).assign(pattern=rng.choice(["web", "shop", "fair"], 600))


def test_a_unit_of_one_pattern_is_predicted_as_ever(rows):
    purchase, spend = unsure(DRAWS)
    alone = rows.assign(pattern="")
    found = predict_patterns(alone, {"": purchase}, spend, UNSURE, year_ahead(), seed=3)
    expected = predict(alone, purchase, spend, UNSURE, year_ahead(), seed=3)
    pd.testing.assert_frame_equal(found.rows, expected.rows)
    assert (found.value == expected.value).all() and (found.purchases == expected.purchases).all()


@pytest.mark.parametrize("terms", [SURE, UNSURE], ids=["sure", "unsure returns"])
def test_patterns_that_are_alike_are_one_unit(rows, terms):
    """Split by chance, with the same draws, the unit has the same means, and totals of the same distribution."""
    purchase, spend = unsure(DRAWS)
    split = predict_patterns(rows, dict.fromkeys(["web", "shop", "fair"], purchase), spend, terms, year_ahead(), seed=3)
    whole = predict(rows, purchase, spend, terms, year_ahead(), seed=4)
    assert list(split.rows["pattern"]) == list(rows["pattern"]) and list(split.rows.index) == list(range(600))
    for name in ("p_alive", "purchases", "value"):
        assert split.rows[name].to_numpy() == pytest.approx(whole.rows[name].to_numpy(), rel=1e-9)
    for name in ("purchases", "value"):
        a, b = getattr(split, name), getattr(whole, name)
        assert a.mean() == pytest.approx(b.mean(), abs=4 * b.std() * np.sqrt(2 / DRAWS))
        assert a.std() == pytest.approx(b.std(), rel=4 / np.sqrt(DRAWS))
    # What is uncertain for all of them moves the totals of both alike, draw by draw.
    assert np.corrcoef(split.purchases, whole.purchases)[0, 1] > 4 / np.sqrt(DRAWS)


def test_the_share_of_returns_is_one_draw_for_all_and_the_noise_is_not(rows):
    """With parameters known, the variance of the total is that of the customers, and the share's, squared in size."""
    purchase, spend = known(DRAWS)
    each = dict.fromkeys(["web", "shop", "fair"], purchase)
    found = {
        terms: predict_patterns(rows, each, spend, terms, year_ahead(), seed=3).value
        for terms in (SURE, replace(UNSURE, returned_noise=0.0), replace(UNSURE, returned_share_sd=0.0))
    }
    sure, shared, noisy = found.values()
    money = (sure.mean() + 0.0) / 0.4
    spread = 0.4 * 0.04 * money  # of the total, by the share of returns alone
    expected = np.sqrt((0.8 * sure.std()) ** 2 + spread**2)
    assert shared.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * DRAWS))
    assert spread > 0.5 * sure.std() / np.sqrt(3)
    noise = 0.4 * np.sqrt(30.0 * money)
    assert noisy.std() == pytest.approx(np.sqrt((0.8 * sure.std()) ** 2 + noise**2), rel=4 / np.sqrt(2 * DRAWS))


def test_each_pattern_has_its_own_parameters(rows):
    purchase, spend = known(DRAWS)
    family, (r, alpha, a, b) = purchase.family, purchase.values
    fast = Draws(family, (r, alpha / 2, a, b))
    found = predict_patterns(
        rows, {"web": fast, "shop": purchase, "fair": purchase}, spend, SURE, year_ahead(), seed=3
    ).rows
    plain = predict(rows, purchase, spend, SURE, year_ahead(), seed=3).rows
    same = rows["pattern"] != "web"
    assert found.loc[same, "purchases"].to_numpy() == pytest.approx(plain.loc[same, "purchases"].to_numpy())
    web = rows["pattern"] == "web"
    expected = predict(rows[web], fast, spend, SURE, year_ahead(), seed=3).rows
    assert found.loc[web, "value"].to_numpy() == pytest.approx(expected["value"].to_numpy())


def test_a_pattern_without_draws_is_refused(rows):
    purchase, spend = known(10)
    with pytest.raises(ValueError, match="no draws of the patterns 'fair', 'shop'; there are web"):
        predict_patterns(rows, {"web": purchase}, spend, SURE, year_ahead(10), seed=1)
