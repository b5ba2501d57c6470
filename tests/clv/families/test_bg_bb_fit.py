"""The hierarchical BG/BB on simulated units: recovery, and counts left as whole opportunities."""

import numpy as np
import pandas as pd
import pytest

from cvmlib import inference
from cvmlib.clv import purchase_model
from cvmlib.clv.families import bg_bb
from cvmlib.clv.families.registry import BG_BB

TRUTHS = {"appeal": (1.2, 0.8, 0.7, 2.8), "service": (2.0, 3.0, 0.6, 5.0)}
SIZES = {"appeal": 4000, "service": 400}


def count_unit(unit: str, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    T = rng.integers(1, 13, SIZES[unit])
    frequency, recency = bg_bb.simulate_customers(T, *TRUTHS[unit], rng)
    frame = pd.DataFrame({"unit": unit, "frequency": frequency, "recency": recency, "T": T.astype(float)})
    return frame.groupby(list(frame), as_index=False).size().rename(columns={"size": "customers"})


@pytest.fixture(scope="module")
def fit():
    rows = pd.concat([count_unit(unit, seed) for seed, unit in enumerate(TRUTHS)], ignore_index=True)
    sampling = inference.Sampling(draws=500, tune=500, chains=2, seed=1)
    return purchase_model.fit(rows, sampling, family=BG_BB)


def test_recovers_the_parameters(fit):
    inside = 0
    for unit, truth in TRUTHS.items():
        draws = fit.draws(unit, 1000)
        alpha, beta, gamma, delta = truth
        for value, exact in (
            (draws["alpha"] / (draws["alpha"] + draws["beta"]), alpha / (alpha + beta)),
            (draws["alpha"] + draws["beta"], alpha + beta),
            (draws["gamma"] / (draws["gamma"] + draws["delta"]), gamma / (gamma + delta)),
            (draws["gamma"] + draws["delta"], gamma + delta),
        ):
            low, high = np.quantile(value, [0.05, 0.95])
            inside += low < exact < high
            assert abs(np.log(value).mean() - np.log(exact)) < 3 * np.log(value).std(), (unit, exact)
    assert inside >= 5  # of 8, each with probability 0.9
    purchase = fit.trace["posterior"]["purchase"].sel(unit="appeal").to_numpy()
    assert purchase.mean() == pytest.approx(0.6, abs=0.03) and purchase.std() < 0.02


def test_counts_are_opportunities_whatever_the_mean_age(fit):
    assert fit.time_scale == 1.0
    assert fit.diagnostics.divergences == 0 and fit.diagnostics.r_hat < 1.02
