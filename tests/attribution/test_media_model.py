"""The density against an independent one, its gradient, its invariances, and its baseline."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor
import pytest
from pymc.blocking import DictToArrayBijection
from pymc.pytensorf import join_nonshared_inputs
from scipy import stats

from cvmlib.attribution.media_design import build_design, reference_returns
from cvmlib.attribution.media_diagnostics import mark_captured
from cvmlib.attribution.media_effects import MediaPosterior, baseline, factors, fitted, respond
from cvmlib.attribution.media_lift import arrange_tests, read_tests
from cvmlib.attribution.media_model import REACH, Form, _scatter, baseline_of, build_model, predict_lifts
from cvmlib.attribution.media_panel import build_panel
from tests.attribution.media_worlds import company


@pytest.fixture(scope="module")
def world():
    units = company()
    panel = build_panel(units)
    design = mark_captured(build_design(panel))
    tests = [test for name, data in units.items() for test in read_tests(panel, name, data.tests)]
    return design, arrange_tests(design, tests)


@pytest.fixture(scope="module")
def evaluate(world):
    """Function of a point of the unconstrained space: density, gradient, likelihood, and the variables there.

    It runs in plain Python: compiling would take longer than these few calls.
    """
    design, lifts = world
    model = build_model(design, lifts)
    start = DictToArrayBijection.map(model.initial_point(1))
    fit = next(p for p in model.replace_rvs_by_values(model.potentials) if p.name == "fit")
    kept = [v for v in model.unobserved_value_vars if not pm.util.is_transformed_name(v.name)]
    outputs, raveled = join_nonshared_inputs(model.initial_point(1), [model.logp(), fit, *kept], model.value_vars)
    gradient = pytensor.grad(outputs[0], raveled)
    mode = pytensor.compile.mode.Mode(linker="py", optimizer="fast_compile")
    function = pytensor.function([raveled], [gradient, *outputs], mode=mode)

    def at(x: np.ndarray) -> tuple:
        slope, density, likelihood, *values = function(x)
        draws = {v.name: np.asarray(value)[None] for v, value in zip(kept, values, strict=True)}
        return float(density), slope, float(likelihood), draws

    return at, start.data + 0.1 * np.random.default_rng(5).standard_normal(len(start.data))


def test_gradient_agrees_with_differences(evaluate):
    at, x = evaluate
    gradient = at(x)[1]
    for direction in np.random.default_rng(1).standard_normal((3, len(x))):
        difference = (at(x + 1e-5 * direction)[0] - at(x - 1e-5 * direction)[0]) / 2e-5
        assert gradient @ direction == pytest.approx(difference, rel=1e-4)


def test_likelihood_agrees_with_the_effects_that_are_reported(world, evaluate):
    """Residuals of the reported expectation, correlated from week to week, and lifts give the likelihood."""
    design, lifts = world
    at, x = evaluate
    _, _, likelihood, draws = at(x)
    posterior = MediaPosterior(design, Form(), draws)
    expected = 0.0
    for s, series in enumerate(design.panel.series):
        mean = fitted(posterior, s)[0] / series.scale
        sigma, phi = (draws[name][0, s] for name in ("sigma", "persistence"))
        error = (design.panel.outcome[s, : len(mean)] - mean) / sigma
        innovations = np.append(error[0] * np.sqrt(1 - phi**2), error[1:] - phi * error[:-1])
        expected += -0.5 * (innovations**2).sum() - len(mean) * np.log(sigma) + 0.5 * np.log(1 - phi**2)
    mine = [posterior.parameters(pair) for pair in range(len(design.panel.pairs))]
    parameters = {name: np.array([values[name][0] for values in mine]) for name in mine[0]}
    found = predict_lifts(Form(), parameters, factors(posterior)[0], lifts.data(), design.lagged.shape[2])
    expected -= 0.5 * (((lifts.data()["lift"] - found) / lifts.data()["lift_error"]) ** 2).sum()
    assert likelihood == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("adstock", "saturation"), [("delayed", "logistic"), ("weibull", "hill")])
def test_other_forms_have_the_likelihood_of_the_effects_that_are_reported(adstock, saturation):
    panel = build_panel({"shop": company()["shop"]})
    design, form = build_design(panel), Form(adstock, saturation)
    model = build_model(design, None, form)
    (fit,) = [p for p in model.replace_rvs_by_values(model.potentials) if p.name == "fit"]
    kept = [v for v in model.unobserved_value_vars if not pm.util.is_transformed_name(v.name)]
    mode = pytensor.compile.mode.Mode(linker="py", optimizer="fast_compile")
    likelihood, *values = pytensor.function(model.value_vars, [fit, *kept], mode=mode)(**model.initial_point(1))
    draws = {v.name: np.asarray(value)[None] for v, value in zip(kept, values, strict=True)}
    mean = fitted(MediaPosterior(design, form, draws), 0)[0] / panel.series[0].scale
    sigma, phi = (draws[name][0, 0] for name in ("sigma", "persistence"))
    error = (panel.outcome[0, : len(mean)] - mean) / sigma
    innovations = np.append(error[0] * np.sqrt(1 - phi**2), error[1:] - phi * error[:-1])
    expected = -0.5 * (innovations**2).sum() - len(mean) * np.log(sigma) + 0.5 * np.log(1 - phi**2)
    assert float(likelihood) == pytest.approx(expected, rel=1e-9)


def test_return_is_contribution_over_spend(world, evaluate):
    design, _ = world
    at, x = evaluate
    posterior = MediaPosterior(design, Form(), at(x)[3])
    references = reference_returns(design.panel)
    for pair in range(len(design.panel.pairs)):
        total = respond(posterior, pair).sum() / design.panel.spent(pair).sum()
        assert total == pytest.approx(posterior.draws["ret"][0, pair] * references[pair], rel=1e-9)


def test_baseline_is_never_negative(world, evaluate):
    design, _ = world
    at, x = evaluate
    draws = at(x)[3]
    draws["ret"] = np.abs(draws["ret"]) + 20.0  # media would bring several times what was sold
    posterior = MediaPosterior(design, Form(), draws)
    assert all((baseline(posterior, s) > 0).all() for s in range(len(design.panel.series)))


def test_money_in_cents_changes_nothing():
    """The density is the same to rounding when every amount of money is a hundred times as large."""
    found = []
    for factor in (1.0, 100.0):
        units = company()
        scaled = {}
        for name, data in units.items():
            tests = data.tests.copy()
            tests[["spend", "lift", "lift_error"]] *= factor
            scaled[name] = replace(
                data,
                media=data.media.assign(spend=data.media["spend"] * factor),
                outcomes=data.outcomes.assign(
                    value=data.outcomes["value"] * factor, price=data.outcomes["price"] * factor
                ),
                tests=tests,
            )
        panel = build_panel(scaled)
        design = mark_captured(build_design(panel))
        tests = [test for name, data in scaled.items() for test in read_tests(panel, name, data.tests)]
        found.append((design, arrange_tests(design, tests)))
    one, other = found
    for name in ("lagged", "reference", "controls", "trend", "season"):
        np.testing.assert_allclose(getattr(one[0], name), getattr(other[0], name), atol=1e-9)
    np.testing.assert_allclose(one[0].panel.outcome, other[0].panel.outcome, rtol=1e-9)
    for part in ("lift", "lift_error", "lift_money"):
        np.testing.assert_allclose(one[1].data()[part] * 100.0, other[1].data()[part], rtol=1e-9)


def test_a_common_variance_is_integrated_out():
    """The prior of scatter is that of normal deviations whose variance is inverse gamma, up to a constant."""
    with pm.Model() as model:
        _scatter("units", (4,), 0.3)
    at = model.compile_logp(sum=False, mode="FAST_COMPILE")
    rng = np.random.default_rng(1)
    shape, variance = 3.0, np.linspace(1e-3, 40.0, 400_001)
    prior = stats.invgamma.pdf(variance, shape, scale=0.3 * (shape - 1.0))
    found, expected = [], []
    for _ in range(3):
        standard = rng.standard_normal(4)
        found.append(float(sum(part.sum() for part in at({"units_standard": standard}))))
        deviations = np.sqrt(0.3) * standard
        normal = stats.norm.pdf(deviations[:, None], scale=np.sqrt(variance)).prod(axis=0)
        expected.append(np.log(np.trapezoid(normal * prior, variance)))
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-3)


def test_each_set_of_columns_has_a_variance_of_its_own():
    """Two sets of columns are independent, and each has the prior that it would have alone."""
    rng = np.random.default_rng(2)
    standard = rng.standard_normal((3, 4))
    found = []
    for columns, sets in (([0, 1, 2, 3], [0, 0, 1, 1]), ([0, 1], None), ([2, 3], None)):
        with pm.Model() as model:
            _scatter("waves", (3, len(columns)), 0.3, 1.5, sets)
        at = model.compile_logp(sum=False, mode="FAST_COMPILE")
        found.append(float(sum(part.sum() for part in at({"waves_standard": standard[:, columns]}))))
    assert found[0] == pytest.approx(found[1] + found[2], rel=1e-9)


def test_media_are_not_given_more_because_the_baseline_is_then_told_better():
    """What level, season and controls move is the same share of sales, however much media bring."""
    effects = np.linspace(-0.01, 0.01, 5)[None]
    small, large = (baseline_of(np.array([share]), effects, np.ones(1))[0] for share in (0.1, 0.6))
    np.testing.assert_allclose(np.diff(small), np.diff(large), rtol=0.04)


def test_effects_on_the_baseline_add_up_or_multiply():
    """Two effects of 10% and 20% of a baseline of 1 make 30% or 32%, and half of each between."""
    effects = np.array([[0.0, 0.1, 0.2, 0.3]])
    scale = np.sqrt(1.0 + REACH**2)
    added, multiplied, between = (baseline_of(np.zeros(1), scale * effects, np.array([k]))[0] for k in (0.0, 1.0, 0.5))
    np.testing.assert_allclose(added, 1.0 + effects[0], rtol=1e-5)
    assert multiplied[3] == pytest.approx(multiplied[1] * multiplied[2])
    np.testing.assert_allclose(between, (added + multiplied) / 2)
    assert (baseline_of(np.zeros(1), -2.0 * np.ones((1, 1)), np.zeros(1)) > 0).all()
