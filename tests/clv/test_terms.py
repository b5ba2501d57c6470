"""Margin kept after returns."""

import numpy as np
import pytest
from scipy import stats

from cvmlib.clv.terms import Terms


def test_a_known_share_is_the_same_in_every_draw():
    terms = Terms(margin=0.4, returned_share=0.1)
    assert terms.kept == pytest.approx(0.36)
    assert (terms.draw_kept(5, np.random.default_rng(1)) == terms.kept).all()


def test_an_estimated_share_varies_and_stays_a_share():
    rng = np.random.default_rng(1)
    kept = Terms(margin=0.4, returned_share=0.1, returned_share_sd=0.02).draw_kept(20_000, rng)
    assert kept.mean() == pytest.approx(0.36, abs=4 * 0.008 / np.sqrt(20_000))
    assert kept.std() == pytest.approx(0.4 * 0.02, rel=0.02)
    wide = Terms(returned_share=0.05, returned_share_sd=0.3).draw_kept(20_000, rng)
    assert wide.min() >= 0 and wide.max() <= 1
    exact = stats.truncnorm(-0.05 / 0.3, 0.95 / 0.3, 0.05, 0.3)
    assert stats.kstest(1 - wide, exact.cdf).pvalue > 0.001
    nothing = Terms(returned_share=0.0, returned_share_sd=1e-6).draw_kept(1000, rng)
    assert ((nothing <= 1) & (nothing > 1 - 1e-5)).all()


def test_discounting_and_tails():
    assert np.exp(-Terms(0.25).discount_per_day * 365.25) == pytest.approx(0.8)
    assert Terms(interval=0.8).tails == pytest.approx((0.1, 0.9))
