"""The choice of k by likelihood."""

import numpy as np
import pytest

from cvmlib.clv import regularity
from cvmlib.clv.families import bg_cnbd


@pytest.mark.parametrize("k", [1, 2, 6])
def test_the_simulated_k_is_chosen(k):
    rng = np.random.default_rng([9, k])
    T = rng.uniform(100, 700, 4_000)
    x, t_x, log_gaps = bg_cnbd.simulate_gaps(T, 0.9, 60.0 / k, 0.8, 3.0, k, rng)
    fits = regularity.fit_each_k(x, t_x, T, log_gaps.sum())
    assert list(fits) == list(range(1, regularity.MOST + 1))
    values = np.array([fit.log_likelihood for fit in fits.values()])
    assert values.argmax() == k - 1 == regularity.choose_k(x, t_x, T, log_gaps.sum()) - 1
    assert np.sort(values)[-1] - np.sort(values)[-2] > 10


def test_the_choice_does_not_depend_on_the_unit_of_time_or_on_grouping():
    rng = np.random.default_rng(10)
    T = rng.integers(20, 60, 2_000).astype(float)
    x, t_x, log_gaps = bg_cnbd.simulate_gaps(T, 2.0, 20.0, 0.8, 3.0, 2, rng)
    t_x = np.ceil(t_x)
    each = regularity.fit_each_k(x, t_x, T, log_gaps.sum())
    rows, customers = np.unique(np.column_stack([x, t_x, T]), axis=0, return_counts=True)
    assert customers.max() > 5
    grouped = regularity.fit_each_k(*rows.T, log_gaps.sum(), customers)
    hours = regularity.fit_each_k(x, 24 * t_x, 24 * T, log_gaps.sum() + x.sum() * np.log(24))
    for k, fit in each.items():
        assert grouped[k].log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-4)
        assert hours[k].log_likelihood == pytest.approx(fit.log_likelihood - x.sum() * np.log(24), abs=1e-4)
