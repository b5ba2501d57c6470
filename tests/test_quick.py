"""The quick route: exact cases, the pooled purchase model against NUTS, and posteriors it must refuse."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

from cvmlib import inference
from cvmlib.clv import purchase_model
from cvmlib.quick import Approximation, Trust, approximate, find_mode, sample_quickly
from tests.clv.worlds import World, count_unit, purchase_rows


def correlated(point: np.ndarray) -> tuple[float, np.ndarray]:
    """Log density of a normal distribution with mean (1, -2, 3) and sds (1, 0.1, 10), correlated."""
    away = point - np.array([1.0, -2.0, 3.0])
    return -0.5 * float(away @ PRECISION @ away), -PRECISION @ away


SCALES = np.array([1.0, 0.1, 10.0])
COVARIANCE = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 1.0]]) * np.outer(SCALES, SCALES)
PRECISION = np.linalg.inv(COVARIANCE)


def test_mode_and_curvature_of_a_normal_distribution():
    mode, curvature = find_mode(correlated, np.array([50.0, 4.0, -400.0]))
    assert mode == pytest.approx([1, -2, 3], abs=1e-3)
    assert curvature == pytest.approx(PRECISION, rel=1e-5, abs=1e-5)


def test_mode_where_the_search_leaves_the_support():
    """Gamma(3, 2) on its own scale: the density is minus infinity below zero."""

    def density(x):
        return (2 * np.log(x[0]) - 2 * x[0], 2 / x - 2) if x[0] > 0 else (-np.inf, np.full(1, np.nan))

    mode, curvature = find_mode(density, np.array([30.0]))
    assert mode == pytest.approx([1.0], abs=1e-4) and curvature[0, 0] == pytest.approx(2.0, rel=1e-3)


def test_weights_give_the_moments():
    found = approximate(correlated, np.zeros(3), np.random.default_rng(1))
    assert found.trust.passed and found.pareto_k < 0.5 and found.trust.ess > 3000
    error = 5 / np.sqrt(found.trust.ess)
    weights = np.exp(found.log_weights)
    assert (weights @ found.points - [1, -2, 3]) / SCALES == pytest.approx(np.zeros(3), abs=error)
    points = found.resample(3000, np.random.default_rng(2))
    assert points.std(axis=0) / SCALES == pytest.approx(np.ones(3), abs=5 / np.sqrt(2 * 3000))


def test_a_skewed_posterior_is_corrected():
    """Log of a Gamma(0.7) variable: no normal distribution, but the draws are its."""

    def density(x):
        return 0.7 * x[0] - np.exp(x[0]), 0.7 - np.exp(x)

    found = approximate(density, np.zeros(1), np.random.default_rng(1), proposals=20_000)
    drawn = np.exp(found.resample(2000, np.random.default_rng(3))[:, 0])
    assert found.trust.passed
    assert stats.kstest(drawn, stats.gamma(0.7).cdf).statistic < 2.2 / np.sqrt(2000)
    normal = np.exp(np.log(0.7) + np.random.default_rng(4).normal(size=2000) / np.sqrt(0.7))
    assert stats.kstest(normal, stats.gamma(0.7).cdf).statistic > 4 / np.sqrt(2000)


def test_resampling_takes_points_by_their_weights():
    points = np.arange(5.0)[:, None]
    weights = np.array([0.5, 0.25, 0.0, 0.2, 0.05])
    with np.errstate(divide="ignore"):
        found = Approximation(points, np.log(weights), 0.1)
    drawn = found.resample(100, np.random.default_rng(1))[:, 0].astype(int)
    assert np.bincount(drawn, minlength=5) == pytest.approx(100 * weights, abs=1)
    assert (np.diff(drawn) < 0).any()


@pytest.fixture(scope="module")
def pooled() -> pm.Model:
    rows = [count_unit(f"u{i}", World(rate=0.008 + 0.004 * i), 300, seed=i) for i in range(3)]
    return purchase_model.build_model(purchase_rows(pd.concat(rows)))[0]


@pytest.fixture(scope="module")
def quick(pooled) -> tuple[xr.DataTree, Trust]:
    return sample_quickly(pooled, draws=5000, seed=1, proposals=30_000)


def test_agrees_with_nuts_on_pooled_units(pooled, quick):
    quick, trust = quick
    assert trust.passed, trust.sentence()
    nuts = inference.sample(pooled, inference.Sampling(draws=1000, tune=400, chains=2, seed=2))
    assert set(quick["posterior"].data_vars) == set(nuts["posterior"].data_vars)
    for name in ("rate", "shape", "dropout", "concentration"):
        one, other = (np.log(trace["posterior"][name]) for trace in (quick, nuts))
        assert one.dims == other.dims == ("chain", "draw", "unit")
        assert list(one["unit"].to_numpy()) == list(other["unit"].to_numpy()) == ["u0", "u1", "u2"]
        spread = other.std(("chain", "draw"))
        assert (abs(one.mean(("chain", "draw")) - other.mean(("chain", "draw"))) < 0.1 * spread).all(), name
        assert (abs(one.std(("chain", "draw")) / spread - 1) < 0.15).all(), name


def test_serves_as_the_trace_of_a_fit(quick, tmp_path):
    trace, trust = quick
    inference.save(trace, tmp_path / "quick.nc", {"trust": trust})
    loaded, _ = inference.load(tmp_path / "quick.nc")
    assert (loaded["posterior"]["shape"] == trace["posterior"]["shape"]).all()
    assert inference.thin(loaded["posterior"]["rate"], 50).shape == (50, 3)


def test_the_same_seed_gives_the_same_draws():
    with pm.Model() as model:
        pm.Gamma("width", 3, 1)
    one, again, other = (sample_quickly(model, draws=100, seed=seed)[0]["posterior"]["width"] for seed in (3, 3, 4))
    assert (one == again).all() and (one != other).any()


def test_variables_of_all_kinds_come_back_on_their_own_scale():
    with pm.Model(coords={"side": ["left", "right"]}) as model:
        pm.Beta("share", 20, 50, dims="side")
        width = pm.Gamma("width", 30, 10)
        pm.Deterministic("grid", pm.math.stack([width, -width]))
    trace, trust = sample_quickly(model, seed=1)
    posterior = trace["posterior"]
    assert trust.passed and set(posterior.data_vars) == {"share", "width", "grid"}
    assert posterior["share"].dims == ("chain", "draw", "side") and posterior["share"].shape == (1, 1000, 2)
    assert (posterior["grid"].to_numpy()[0, :, 1] == -posterior["width"].to_numpy()[0]).all()
    error = 5 / np.sqrt(trust.ess)
    assert float(posterior["width"].mean()) == pytest.approx(3.0, abs=error * 3 / np.sqrt(30))
    beta = stats.beta(20, 50)
    assert posterior["share"].to_numpy().mean(axis=(0, 1)) == pytest.approx([beta.mean()] * 2, abs=error * beta.std())


@pytest.mark.parametrize("size", [2, 6])
def test_a_funnel_is_refused(size):
    with pm.Model() as model:
        width = pm.Normal("width", 0, 3)
        pm.Normal("x", 0, pm.math.exp(width / 2), shape=size)
    for seed in (1, 2):
        _, trust = sample_quickly(model, seed=seed)
        assert not trust.passed and ("cannot be trusted" in trust.sentence() or "failed" in trust.sentence())


def test_without_a_mode_it_fails_and_says_so():
    with pm.Model() as improper:
        pm.Flat("x", shape=2)
    trace, trust = sample_quickly(improper, draws=50)
    assert not trust.passed and trust.pareto_k == np.inf and "no mode" in trust.sentence()
    assert trace["posterior"]["x"].shape == (1, 50, 2)


def test_discrete_variables_are_named():
    with pm.Model() as model:
        pm.Poisson("count", 3)
    with pytest.raises(ValueError, match="discrete are count"):
        sample_quickly(model)


def test_limits_of_the_gate():
    assert Trust(0.69, 400, 4000).passed and Trust(0.69, 400, 4000).limit == 0.7
    assert Trust(0.49, 400, 100).limit == pytest.approx(0.5)
    for beyond in (Trust(0.7, 900, 4000), Trust(0.2, 399, 4000), Trust(np.inf, 4000, 4000), Trust(0.6, 400, 100)):
        assert not beyond.passed
    assert (
        "can be trusted: Pareto k is 0.20, and 4000 proposals are worth 900 draws" in Trust(0.2, 900, 4000).sentence()
    )
    assert "cannot be trusted: Pareto k is 0.90" in Trust(0.9, 900, 4000).sentence()
