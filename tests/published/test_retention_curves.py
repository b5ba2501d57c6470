"""The retention of Fader and Hardie (2007, 2018): published estimates of sBG and BdW, and what they forecast."""

import numpy as np
import pytest

from cvmlib.churn.bdw import fit_curve, survive
from tests.published.printed import same_as_printed

YEARS = np.arange(13)


def find(found, key):
    """Return the first record, at any depth, that holds a key."""
    if isinstance(found, dict):
        if key in found:
            return found
        return next(filter(None, (find(value, key) for value in found.values())), None)
    return None


@pytest.fixture(scope="module")
def survivors(reference) -> dict:
    shares = find(reference, "survival_pct_years_0_12")["survival_pct_years_0_12"]
    return {name: 10 * np.array(shares[name]) for name in ("regular", "high_end")}


@pytest.mark.parametrize(("segment", "name"), [("regular", "regular"), ("highend", "high_end")])
def test_sbg_estimates_from_seven_renewals(reference, survivors, segment, name):
    expected = reference["sbg"][segment]
    curve = fit_curve(survivors[name][:8], 1.0)
    assert same_as_printed(curve.a, expected["published"]["alpha"])
    assert same_as_printed(curve.b, expected["published"]["beta"])
    assert curve.log_likelihood == pytest.approx(expected["refit"]["ll"], abs=0.01)


def test_bdw_estimates_from_four_years(reference, survivors):
    expected = find(reference, "bdw_high_end_years_1_4")["bdw_high_end_years_1_4"]
    curve = fit_curve(survivors["high_end"][:5])
    for value, name in zip(curve, ("alpha", "beta", "c"), strict=False):
        assert value == pytest.approx(expected["published"][name], abs=1.5e-4)
    assert curve.log_likelihood == pytest.approx(expected["refit"]["ll_per_1000"], abs=0.001)


@pytest.mark.parametrize(("name", "largest"), [("regular", 0.003), ("high_end", 0.006)])
def test_bdw_forecasts_the_years_to_come(survivors, name, largest):
    curve = fit_curve(survivors[name][:8])
    error = np.abs(survive(YEARS[8:], curve) - survivors[name][8:] / 1000)
    assert error.mean() <= largest
    sbg = np.abs(survive(YEARS[8:], fit_curve(survivors[name][:8], 1.0)) - survivors[name][8:] / 1000)
    assert error.mean() < sbg.mean()
