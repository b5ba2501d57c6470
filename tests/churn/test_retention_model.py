import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cvmlib.churn import exposure, retention_kernel, retention_model
from cvmlib.churn.lifetimes import lay_out
from cvmlib.churn.simulate_retention import RetentionTruth, observe_lifetimes, simulate_lifetimes
from cvmlib.errors import DataError

EFFECTS = {"plan": {"basic": 0.3, "plus": 0.0, "premium": -0.4}, "channel": {"shop": 0.15, "web": -0.15}}
TRUTH = RetentionTruth(a=1.5, b=40.0, c=0.9, effects=EFFECTS)


def counts_of(size, truth=TRUTH, months=30, seed=1, unit="u", observed_from=0):
    people = simulate_lifetimes(size, truth, months, np.random.default_rng(seed))
    return observe_lifetimes(people, months - 1, unit, observed_from)


def draw_values(name, data, rng):
    """One draw of parameters for every unit, in the shape of posterior draws."""
    units, contrasts = len(data.units), data.contrasts()[0].shape[1]
    middle = {"log_risk": -1.0, "log_shape": 0.3, "log_slope": -0.2, "slope": -0.2}
    values = {
        key: middle.get(key, 0.4) + 0.2 * rng.standard_normal((1, units))
        for key in retention_model.parameter_names(name, data)
    }
    values["effect"] = 0.2 * rng.standard_normal((1, units, contrasts))
    if name == "hazard":
        values["drift"] = 0.1 * rng.standard_normal((1, units, contrasts))
        curves = exposure.smooth_curves(data.tenures, len(data.tenures), data.renewal)
        values["smooth"] = 0.3 * rng.standard_normal((1, units, len(curves)))
    return values


def as_parameters(name, data, values):
    """The same as the compiled function takes them."""
    months = exposure.month_multipliers(data.tenures, data.renewal)
    none = np.zeros((1, len(data.units)))
    if name == "hazard":
        rows = np.concatenate([exposure.hazard_weights(values, data.tenures), values["smooth"]], axis=-1)
    else:
        names = ["log_risk", "log_shape", "log_slope", *months]
        rows = np.stack([values.get(key, none) for key in names], axis=-1)
    more = [values["effect"], *([values["drift"]] if name == "hazard" else [])]
    return np.concatenate([rows, *more], axis=-1)[0].T


@pytest.fixture(scope="module", params=["whole months", "with the month of joining"])
def two_units(request):
    counts = pd.concat([counts_of(800, seed=1, unit="a"), counts_of(400, seed=2, unit="b")])
    if request.param != "whole months":
        counts["tenure"] -= (counts["tenure"] > 0).astype(int)
    return lay_out(counts, list(EFFECTS))


@pytest.mark.parametrize("name", list(retention_model.TITLES))
def test_compiled_likelihood_is_that_of_the_formulas(two_units, name):
    data = two_units
    values = draw_values(name, data, np.random.default_rng(5))
    patterns = data.indicators() @ data.contrasts()[0]
    risk = exposure.risk_increments(
        name, values, data.tenures, len(data.tenures), data.renewal, data.unit_of_block, patterns
    )[0]
    expected = stats.binom.logpmf(data.left, data.at_risk, -np.expm1(-risk)).sum()
    choices = stats.binom.logpmf(data.left, data.at_risk, 0.5).sum() + np.log(2) * data.at_risk.sum()
    parameters = as_parameters(name, data, values)
    value, gradient = retention_kernel.evaluate(data, parameters, name)
    assert value == pytest.approx(expected - choices, abs=1e-5)
    for place in np.ndindex(parameters.shape):
        shift = np.zeros_like(parameters)
        shift[place] = 1e-5
        ahead, behind = (retention_kernel.evaluate(data, parameters + sign * shift, name)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((ahead - behind) / 2e-5, abs=2e-4 * max(1.0, np.abs(gradient).max()))


def test_risks_are_those_of_the_published_model():
    counts = counts_of(300)
    data = lay_out(counts, list(EFFECTS))
    values = draw_values("bdw", data, np.random.default_rng(2))
    found = exposure.published_parameters(values, data.tenures, len(data.tenures), data.renewal)
    truth = RetentionTruth(
        float(found["a"][0, 0]),
        float(found["b"][0, 0]),
        float(found["c"][0, 0]),
        float(np.exp(values["log_first"][0, 0])),
        float(np.exp(values["log_renewal"][0, 0])),
    )
    np.testing.assert_allclose(found["exposure"][0, 0], truth.exposure(len(data.tenures)), rtol=1e-10)
    risk = exposure.risk_increments(
        "bdw",
        {key: value for key, value in values.items() if key != "effect"},
        data.tenures,
        len(data.tenures),
        data.renewal,
        np.array([0]),
        np.zeros((1, 0)),
    )
    share = truth.survival(np.array([0]), np.ones(1), len(data.tenures))
    np.testing.assert_allclose(np.exp(-risk.cumsum(axis=-1))[0], share[:, 1:], rtol=1e-9)
    middle = exposure.reference_month(data.tenures)
    assert -np.log(share[0, middle + 1]) == pytest.approx(float(np.exp(values["log_risk"][0, 0])), rel=0.03)


@pytest.mark.parametrize("name", ["bdw", "hazard"])
def test_renewals_not_reached_yet_repeat_in_part(name):
    data = lay_out(counts_of(300, months=20), list(EFFECTS))
    values = draw_values(name, data, np.random.default_rng(3))
    tenures, seen = np.arange(1, 37), len(data.tenures)

    def risk(**more):
        known = values | {key: np.full((1, 1), value) for key, value in more.items()}
        return exposure.risk_increments(name, known, tenures, seen, 12, np.array([0]), np.zeros((1, 3)))[0, 0]

    whole, half, none = risk(), risk(repeat=0.5), risk(repeat=0.0)
    np.testing.assert_allclose(half[:23], whole[:23])
    assert whole[23] > half[23] > none[23] and whole[35] > half[35] > none[35]
    np.testing.assert_allclose(risk(repeat=1.0), whole)
    flat = risk(repeat=0.0, log_renewal=0.0)
    assert none[23] / none[22] == pytest.approx(flat[23] / flat[22], rel=1e-2)


def test_the_life_table_counts_those_at_risk_one_by_one():
    people = simulate_lifetimes(300, TRUTH, 24, np.random.default_rng(4))
    data = lay_out(observe_lifetimes(people, 23, "u", observed_from=10), list(EFFECTS))
    at_risk, left = np.zeros(24), np.zeros(24)
    for joined, stay in people[["joined", "stay"]].to_numpy():
        for tenure in range(max(10 - joined, 0), min(stay, 23 - joined) + 1):
            at_risk[tenure] += 1
            left[tenure] += tenure == stay
    np.testing.assert_array_equal(data.at_risk.sum(axis=0), at_risk[data.tenures])
    np.testing.assert_array_equal(data.left.sum(axis=0), left[data.tenures])


def test_left_truncation_does_not_bend_the_hazard():
    truth = RetentionTruth(a=2.0, b=20.0, c=1.0, first=1.0, renewal=1.0)
    people = simulate_lifetimes(60_000, truth, 36, np.random.default_rng(8))
    late = lay_out(observe_lifetimes(people, 35, "u", observed_from=30))
    stay = truth.survival(np.array([0]), np.ones(1), 35)[0]
    hazard = 1 - stay[1:] / stay[:-1]
    share = late.left.sum(axis=0) / late.at_risk.sum(axis=0)
    error = np.sqrt(hazard * (1 - hazard) / late.at_risk.sum(axis=0))
    assert (np.abs(share - hazard) < 4 * error).all()


def test_cut_off_subscriptions_are_at_risk_and_did_not_leave():
    counts = pd.DataFrame(
        {"unit": "u", "tenure": [3, 3, 5], "churned": True, "involuntary": [True, False, False], "subscriptions": 10}
    )
    data = lay_out(counts, renewal=0)
    np.testing.assert_array_equal(data.at_risk[0], [30, 30, 30, 10, 10])
    np.testing.assert_array_equal(data.left[0], [0, 0, 10, 0, 10])
    assert data.cut_off == [10] and data.at_risk_of_it == [90] and data.active.empty


def test_contrasts_are_orthonormal_and_sum_to_zero():
    matrix, covariate = lay_out(counts_of(300), list(EFFECTS)).contrasts()
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(matrix[:3].sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(matrix[3:].sum(axis=0), 0, atol=1e-12)
    assert covariate.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"tenure": [0, 0], "churned": [False, True]}, "no subscription has lived through a whole month at risk"),
        ({"tenure": [4, 9], "churned": [False, False]}, "2 subscriptions and nobody has left, so nothing is known"),
    ],
    ids=["tenure 0", "no churn"],
)
def test_what_teaches_nothing_is_refused(counts, message):
    with pytest.raises(DataError, match=message):
        lay_out(pd.DataFrame(counts).assign(unit="u", subscriptions=1))


def test_everybody_gone_and_one_cohort_only_can_be_laid_out():
    gone = lay_out(pd.DataFrame({"unit": "u", "tenure": [1, 2, 3], "churned": True, "subscriptions": 5}))
    assert gone.active.empty and gone.left.sum() == 15 and gone.renewal == 0


def test_a_covariate_with_one_level_is_left_out():
    counts = counts_of(200).assign(country="here")
    assert list(lay_out(counts, ["country", "plan"]).covariates) == ["plan"]
