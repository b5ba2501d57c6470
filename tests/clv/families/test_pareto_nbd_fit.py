"""The Pareto/NBD as a family: what its priors say, and a pooled fit of units of which one hardly loses customers."""

import numpy as np
import pandas as pd
import pytest

from cvmlib import inference
from cvmlib.clv import purchase_model
from cvmlib.clv.families import pareto_nbd
from cvmlib.clv.families.registry import NBD, PARETO_NBD

UNITS = {"busy": (800, 0.8, 30.0, 0.8, 100.0), "loyal": (400, 0.8, 40.0, 1.0, 4000.0)}
YEAR = 365.0


def survival(s, beta, time):
    return (1 + time / beta) ** -s


def test_priors_leave_every_common_course_of_dropout_open():
    rng, values = np.random.default_rng(1), []
    for parameter in PARETO_NBD.parameters:
        prior = parameter.prior
        values.append(np.exp(rng.normal(prior.mean, np.hypot(prior.sd, prior.spread), 100_000)))
    r, alpha, s, beta = PARETO_NBD.published(*values)
    left = survival(s, beta, 1.0)  # after the mean age of the customers
    low, middle, high = np.quantile(left, [0.05, 0.5, 0.95])
    assert low < 0.15 and 0.5 < middle < 0.8 and high > 0.93
    mean = r / alpha * np.where(s == 1, 1, beta * -np.expm1((1 - s) * np.log1p(1 / beta)) / (s - 1))
    low, middle, high = np.quantile(mean, [0.05, 0.5, 0.95])  # repeat purchases until then
    assert low < 0.05 and 0.3 < middle < 2 and high > 10


def test_published_parameters_are_those_of_the_means():
    r, alpha, s, beta = PARETO_NBD.published(0.1, 0.5, 0.02, 0.8)
    assert (r, s) == (0.5, 0.8)
    assert (r / alpha, s / beta) == pytest.approx((0.1, 0.02))
    assert NBD.published(0.1, 0.5) == pytest.approx((0.5, 5.0))
    assert [p.name for p in PARETO_NBD.parameters if p.per_time] == ["rate", "dropout_rate"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    frames, rng = [], np.random.default_rng(4)
    for unit, (n, *parameters) in UNITS.items():
        T = rng.integers(5, 50, n) * 14.0
        x, t_x = pareto_nbd.simulate_customers(T, *parameters, rng)
        frames.append(pd.DataFrame({"unit": unit, "frequency": x, "recency": np.ceil(t_x / 14) * 14, "T": T}))
    silent = pd.DataFrame({"unit": "silent", "frequency": 0, "recency": 0.0, "T": np.repeat([14.0, 28.0], 20)})
    return (
        pd.concat([*frames, silent]).groupby(["unit", "frequency", "recency", "T"]).size().reset_index(name="customers")
    )


def test_pooled_fit_finds_how_many_leave(rows):
    fit = purchase_model.fit(rows, inference.Sampling(draws=500, tune=500, chains=2, seed=3), family=PARETO_NBD)
    assert fit.diagnostics.divergences == 0 and fit.diagnostics.r_hat < 1.03
    for unit, (_, r, alpha, s, beta) in UNITS.items():
        draws = fit.draws(unit, 1000)
        for found, truth in (
            (survival(draws["s"], draws["beta"], YEAR), survival(s, beta, YEAR)),
            (draws["r"] / draws["alpha"], r / alpha),
        ):
            low, high = np.quantile(found, [0.005, 0.995])
            assert low < truth < high, (unit, truth, low, high)
    busy, loyal, silent = (
        survival(draws["s"], draws["beta"], YEAR) for draws in (fit.draws(u, 1000) for u in ("busy", "loyal", "silent"))
    )
    assert np.quantile(busy, 0.99) < np.quantile(loyal, 0.01)
    assert silent.std() > 2 * max(busy.std(), loyal.std())


def test_nbd_fits_the_same_rows(rows):
    fit = purchase_model.fit(rows, inference.Sampling(draws=500, tune=300, chains=2, seed=3), family=NBD)
    assert fit.diagnostics.divergences == 0 and fit.diagnostics.r_hat < 1.03
    loyal = fit.draws("loyal", 1000)
    low, high = np.quantile(loyal["r"] / loyal["alpha"], [0.001, 0.999])
    assert 0.7 * 0.02 < low < 0.02 < 1.1 * high  # a little low, for it takes those who left for rare buyers
