"""Adstock and saturation against closed forms and plain loops."""

import numpy as np
import pytest

from cvmlib.attribution.media_transforms import adstock_weights, carry_over, lag_spend, saturate

PARAMETERS = {
    "geometric": {"decay": np.array([0.2, 0.7])},
    "delayed": {"decay": np.array([0.5, 0.8]), "delay": np.array([1.0, 2.5])},
    "weibull": {"shape": np.array([0.8, 2.0]), "scale": np.array([1.5, 3.0])},
}


@pytest.mark.parametrize("form", PARAMETERS)
def test_weights_add_up_to_one(form):
    weights = adstock_weights(form, PARAMETERS[form], 9)
    assert weights.shape == (2, 9)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert (weights > 0).all()


def test_geometric_carry_over_is_the_recursion():
    spend = np.random.default_rng(1).gamma(1.0, 1.0, 60)
    weights = adstock_weights("geometric", {"decay": np.array(0.4)}, 30)
    found = carry_over(lag_spend(spend, 30), weights)
    carried = spend[:30].mean()  # what is taken to have been spent before
    expected = []
    for week in spend:
        carried = 0.6 * week + 0.4 * carried
        expected.append(carried)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_delayed_effect_peaks_at_its_delay():
    assert adstock_weights("delayed", {"decay": np.array(0.6), "delay": np.array(3.0)}, 9).argmax() == 3


def test_steady_spend_is_carried_over_unchanged():
    np.testing.assert_allclose(carry_over(lag_spend(np.full(20, 3.0), 9), np.full(9, 1 / 9)), 3.0)


def test_hill_is_half_at_its_half_and_saturates():
    mine = {"half": np.array([2.0]), "slope": np.array([1.5])}
    found = saturate("hill", mine, np.array([[0.0, 2.0, 1e6]]))
    np.testing.assert_allclose(found, [[0.0, 0.5, 1.0]], atol=1e-6)


def test_logistic_is_the_published_form():
    spend = np.linspace(0, 5, 7)
    found = saturate("logistic", {"rate": np.array([0.9])}, spend[None])[0]
    np.testing.assert_allclose(found, (1 - np.exp(-0.9 * spend)) / (1 + np.exp(-0.9 * spend)))
