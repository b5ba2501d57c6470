import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from cvmlib.churn.retention import estimate_shocks, extend_hazard, fit_hazard, summarise_hazard
from cvmlib.churn.simulate import simulate_counts
from cvmlib.churn.smooth_hazard import Prior, build_basis, draw_hazards, fit_laplace, prior_precision
from tests.churn.conftest import END, MONTHS

RNG_SEED = 3


def simulate(hazards, joiners=60, months=40, seed=1):
    return simulate_counts(joiners, hazards, dict.fromkeys(hazards, 10.0), END, months, seed)


def test_same_seed_same_draws(counts):
    first, second, other = (fit_hazard(counts, draws=50, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.hazard, second.hazard)
    assert not np.array_equal(first.hazard, other.hazard)


def test_large_counts_speak_for_themselves():
    truth = np.where(MONTHS % 12 == 0, 0.15, 0.02 + 0.04 * np.exp(-MONTHS / 6))
    posterior = fit_hazard(simulate({"a": truth}, joiners=20_000, months=30), draws=200)
    np.testing.assert_allclose(posterior.hazard.mean(axis=0)[0, 1:28], truth[1:28], rtol=0.08)


def test_without_leavers_the_hazard_is_small_and_finite():
    posterior = fit_hazard(simulate({"a": np.zeros(60)}, joiners=30, months=20), draws=200)
    assert np.isfinite(posterior.hazard).all()
    assert posterior.leavers == 0 and posterior.hazard[:, 0, 1:20].mean() < 0.003


def test_with_everybody_gone_in_a_month_the_hazard_is_near_one():
    posterior = fit_hazard(simulate({"a": np.ones(60)}, joiners=30, months=20), draws=200)
    assert posterior.hazard[:, 0, 0].mean() > 0.9


def test_one_cohort_is_enough():
    counts = simulate({"a": np.full(60, 0.05)}, joiners=500, months=24)
    one = counts[counts["joined"] == counts["joined"].min()]
    posterior = fit_hazard(one, draws=200)
    assert posterior.hazard[:, 0, 1:23].mean() == pytest.approx(0.05, rel=0.25)


def test_a_small_plan_borrows_and_a_large_one_does_not():
    steep = 0.02 + 0.2 * np.exp(-MONTHS / 2)
    large = simulate({"large": steep}, joiners=500)
    small = simulate({"small": np.full(60, 0.04)}, joiners=1)
    both = fit_hazard(pd.concat([large, small]), draws=300)
    hazard = both.hazard.mean(axis=0)
    assert both.plans == ("large", "small")
    np.testing.assert_allclose(hazard[0, 1:6], steep[1:6], rtol=0.1)
    assert hazard[1, 1] > 1.5 * hazard[1, 20]  # the shape is borrowed
    low, high = np.quantile(both.hazard[:, :, 20], [0.05, 0.95], axis=0)
    assert (high - low)[1] > 2 * (high - low)[0]


def test_hazards_cover_the_truth_over_seeds():
    hazards = {"a": 0.015 + 0.05 * np.exp(-MONTHS / 8), "b": np.where(MONTHS % 12 == 0, 0.1, 0.01)}
    inside = []
    for seed in range(30):
        posterior = fit_hazard(simulate(hazards, seed=seed), ahead=6, draws=300, seed=seed)
        low, high = np.quantile(posterior.hazard[:, :, 1:40], [0.05, 0.95], axis=0)
        truth = np.stack([hazards[name][1:40] for name in posterior.plans])
        inside.append(((low <= truth) & (truth <= high)).mean())
    assert 0.85 <= np.mean(inside) <= 0.99


def test_uncertainty_grows_beyond_the_observed_tenures():
    posterior = fit_hazard(simulate({"a": np.full(60, 0.03)}, months=20), ahead=18, draws=500)
    spread = np.log(posterior.hazard[:, 0]).std(axis=0)
    assert spread[36] > 1.3 * spread[15]
    assert posterior.hazard.shape[2] == 20 + 18 + 1
    assert extend_hazard(posterior, 60).shape[2] == 60


def test_unobserved_anniversaries_have_between_none_and_all_of_the_bump():
    truth = np.where(np.isin(MONTHS, (12, 24)), 0.3, 0.01)
    posterior = fit_hazard(simulate({"a": truth}, joiners=2000, months=30), ahead=10, draws=800)
    middle = np.median(posterior.hazard[:, 0, 36])
    assert 0.02 < middle < 0.2
    assert np.quantile(posterior.hazard[:, 0, 36], 0.03) < 0.02


def test_basis_repeats_the_bump_of_two_years_before():
    basis = build_basis(observed=26, ahead=24)
    bumps = basis.repeats[:, -2:]
    assert bumps[36].tolist() == [1, 0] and bumps[48].tolist() == [0, 1]
    assert basis.design[24, -2:].tolist() == [0, 1] and basis.design[36, -2:].tolist() == [0, 0]


def test_laplace_mode_is_where_the_gradient_vanishes():
    rng = np.random.default_rng(RNG_SEED)
    basis = build_basis(15, 0)
    precision = prior_precision(basis, Prior(-3, 2, 1), 0.2, 0.3)
    n = rng.integers(50, 500, 15).astype(float)
    d = rng.binomial(n.astype(int), 0.1).astype(float)
    centre = np.zeros(len(precision))
    fit = fit_laplace(n, d, basis.design, precision, centre, np.zeros(15))
    gradient = basis.design.T @ (d - n * expit(basis.design @ fit.mode)) - precision @ fit.mode
    assert np.abs(gradient).max() < 1e-3
    curvature = precision + basis.design.T @ (fit.weights[:, None] * basis.design)
    np.testing.assert_allclose(fit.factor @ fit.factor.T, curvature, rtol=1e-3, atol=1e-9)


def test_laplace_agrees_with_quadrature_for_a_constant_hazard():
    n, d = np.array([[0.0, 400.0]]), np.array([[0.0, 20.0]])
    rng = np.random.default_rng(RNG_SEED)
    eta = draw_hazards(n, d, 0, Prior(-3.5, 2.0, 0.001), rng, 4000, np.zeros(4000))[:, 0, 1]
    grid = np.linspace(logit(0.01), logit(0.15), 2000)
    log = 20 * grid - 400 * np.logaddexp(0, grid) - 0.5 * ((grid + 3.5) / 2) ** 2
    weights = np.exp(log - log.max())
    mean = (grid * weights).sum() / weights.sum()
    assert eta.mean() == pytest.approx(mean, abs=0.05)


@pytest.mark.parametrize(("shock", "low", "high"), [(0.0, 0.0, 0.05), (0.3, 0.2, 0.42)])
def test_calendar_shocks_are_told_from_chance(shock, low, high):
    rng = np.random.default_rng(RNG_SEED)
    cohorts, tenures = 60, 60
    n = np.full((1, cohorts, tenures), 40.0)
    factor = np.exp(shock * rng.standard_normal(cohorts + tenures) - shock**2 / 2)
    calendar = np.add.outer(np.arange(cohorts), np.arange(tenures))
    d = rng.binomial(40, 0.03 * factor[calendar])[None].astype(float)
    sd, persistence, _ = estimate_shocks(n, d, np.full((1, tenures), d.sum() / n.sum()))
    assert low <= sd <= high
    assert 0 <= persistence < 0.5


def test_summary_brackets_the_mean(counts):
    table = summarise_hazard(fit_hazard(counts, draws=200))
    seen = table[table["at_risk"] > 0]
    assert (seen["hazard_low"] <= seen["hazard"]).all() and (seen["hazard"] <= seen["hazard_high"]).all()
    assert (table.groupby("plan")["retention"].diff().dropna() <= 0).all()


def test_leavers_of_one_month_alone_are_no_shock():
    """A snapshot marks who has left, all on its day: that tells nothing about how months differ."""
    rng = np.random.default_rng(1)
    tenure = rng.integers(0, 40, 3000)
    left = rng.random(3000) < 0.2
    frame = pd.DataFrame({"plan": "a", "joined": 1000 - tenure, "tenure": tenure, "churned": left})
    counts = frame.groupby(["plan", "joined", "tenure", "churned"], as_index=False).size()
    counts = counts.rename(columns={"size": "subscriptions"})
    counts = counts.assign(price=1.0, price_sq=1.0, billed=0.0, price_billed=0.0, unpriced=0)
    assert fit_hazard(counts, draws=50).shock_sd == 0.0
