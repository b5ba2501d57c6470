"""The hierarchical Gamma-Gamma on simulated units: recovery, pooling, currency, constant prices."""

import numpy as np
import pandas as pd
import pytest

from cvmlib import inference
from cvmlib.clv import gamma_gamma, spend_model
from cvmlib.errors import UnfitModelError
from tests.clv.conftest import SAMPLING

NAMES = spend_model.NAMES


def rows_of(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["unit", "frequency", "monetary_value", "customers"])


def test_recovers_the_parameters(pooled_spend, worlds):
    posterior = pooled_spend.trace["posterior"]
    inside = 0
    for unit in ("large", "small"):
        for name in NAMES:
            values = posterior[name].sel(unit=unit).to_numpy()
            distance = (np.log(values).mean() - np.log(getattr(worlds[unit], name))) / np.log(values).std()
            assert abs(distance) < 3, (unit, name, distance)
            low, high = np.quantile(values, [0.05, 0.95])
            inside += low < getattr(worlds[unit], name) < high
    assert inside >= 4  # of 6, each with probability 0.9
    large = posterior["mean_spend"].sel(unit="large").to_numpy()
    assert large.mean() == pytest.approx(40.0, rel=0.06) and large.std() < 1.5


def test_draws_are_the_published_parameters(pooled_spend):
    draws = pooled_spend.draws("small", 50)
    mean = inference.thin(pooled_spend.trace["posterior"]["mean_spend"].sel(unit="small"), 50)
    assert draws.p * draws.gamma / (draws.q - 1) == pytest.approx(mean)
    assert (draws.q > 1).all() and [v.shape for v in draws.column()] == [(50, 1)] * 3


def test_a_unit_without_repeat_buyers_gets_what_the_others_tell(pooled_spend):
    posterior = pooled_spend.trace["posterior"]
    silent = np.log(posterior["mean_spend"].sel(unit="silent").to_numpy())
    assert np.log(15) < np.median(silent) < np.log(200)
    assert 2 * np.log(posterior["mean_spend"].sel(unit="small").to_numpy()).std() < silent.std() < 1.6


@pytest.fixture(scope="module")
def cents(pooled_rows) -> spend_model.SpendFit:
    """The same units, with money in cents, and a kiosk of one price."""
    kiosk = rows_of(("kiosk", 1, 3.0, 40), ("kiosk", 2, 3.0, 10))
    rows = pd.concat([pooled_rows, kiosk], ignore_index=True)
    return spend_model.fit(rows.assign(monetary_value=100 * rows["monetary_value"]), SAMPLING)


def test_forecasts_do_not_know_the_currency(pooled_spend, pooled_rows, cents):
    mine = pooled_rows[(pooled_rows["unit"] == "large") & (pooled_rows["frequency"] > 0)]
    x, z, n = (mine[name].to_numpy(dtype=float) for name in ("frequency", "monetary_value", "customers"))
    euros = gamma_gamma.expected_spend(x, z, *pooled_spend.draws("large").column()).mean(axis=0) @ n
    in_cents = gamma_gamma.expected_spend(x, 100 * z, *cents.draws("large").column()).mean(axis=0) @ n
    assert in_cents == pytest.approx(100 * euros, rel=0.005)
    # The customer without history rests on the parameters alone.
    newcomer = [f.trace["posterior"]["mean_spend"].sel(unit="large").mean() for f in (pooled_spend, cents)]
    assert float(newcomer[1]) == pytest.approx(100 * float(newcomer[0]), rel=0.005)


def test_the_density_does_not_know_the_currency(pooled_rows):
    kept = pooled_rows[pooled_rows["monetary_value"] > 0]
    densities = []
    for factor in (1.0, 100.0, 0.001):
        scaled = kept.assign(monetary_value=factor * kept["monetary_value"])
        model = spend_model.build_model(scaled, ["large", "silent", "small"])
        point = {name: value + 0.3 for name, value in model.initial_point().items()}
        densities.append(float(model.compile_logp(mode="FAST_COMPILE")(point)))
    assert densities[1:] == pytest.approx([densities[0]] * 2, rel=1e-10)


def test_the_model_has_the_likelihood_of_the_note(pooled_rows):
    kept = pooled_rows[(pooled_rows["monetary_value"] > 0) & (pooled_rows["frequency"] > 0)]
    units = ["large", "small"]
    model = spend_model.build_model(kept, units)
    density = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    prior = model.compile_logp(vars=model.free_RVs, jacobian=False, mode="FAST_COMPILE")
    values_at = model.compile_fn(
        model.replace_rvs_by_values([model[name] for name in NAMES]),
        inputs=model.value_vars,
        on_unused_input="ignore",
        mode="FAST_COMPILE",
    )
    code = kept["unit"].map({unit: i for i, unit in enumerate(units)}).to_numpy()

    def differences(shift: float) -> tuple[float, float]:
        point = {name: value + shift for name, value in model.initial_point().items()}
        mean, p, q = (v[code] for v in values_at(point))
        each = gamma_gamma.log_likelihood(kept["frequency"], kept["monetary_value"], p, q, mean * (q - 1) / p)
        return float(density(point)) - float(prior(point)), float(kept["customers"] @ each)

    # Equal but for terms without a parameter.
    (ours, theirs), (ours2, theirs2) = differences(0.0), differences(0.2)
    assert ours2 - ours == pytest.approx(theirs2 - theirs, rel=1e-9)


def test_a_constant_price_needs_no_model():
    fit = spend_model.fit(rows_of(("kiosk", 1, 9.99, 40), ("kiosk", 3, 9.99, 10), ("kiosk", 0, 0.0, 80)), SAMPLING)
    assert fit.trace is None and fit.diagnostics is None and fit.constant == {"kiosk": 9.99}
    draws = fit.draws("kiosk", 30)
    x, z = np.array([0.0, 1.0, 7.0]), np.array([0.0, 9.99, 9.99])
    assert gamma_gamma.expected_spend(x, z, *draws.column()) == pytest.approx(np.full((30, 3), 9.99), rel=1e-6)
    bought = np.tile([1, 4, 2], (30, 1))
    scale = gamma_gamma.simulate_scale(bought, x, draws.p, draws.q, np.random.default_rng(1))
    total = (draws.gamma[:, None] + x * z) * scale
    assert total == pytest.approx(9.99 * bought, rel=1e-3)


def test_a_constant_price_beside_modelled_units(cents):
    assert cents.constant == {"kiosk": 300.0} and cents.units == ("kiosk", "large", "silent", "small")
    assert list(cents.trace["posterior"]["unit"].to_numpy()) == ["large", "silent", "small"]
    assert np.median(cents.draws("small").p) > 1 and len(cents.draws("kiosk", 7).p) == 7


def test_one_customer_is_no_constant_price(monkeypatch):
    built = []

    def stop(model, sampling):
        built.append(model)
        raise KeyboardInterrupt

    monkeypatch.setattr(inference, "sample", stop)
    rows = rows_of(("shop", 2, 30.0, 50), ("shop", 1, 45.0, 50), ("stall", 1, 7.0, 1), ("stall", 0, 0.0, 90))
    with pytest.raises(KeyboardInterrupt):
        spend_model.fit(rows, SAMPLING)
    assert list(built[0].coords["unit"]) == ["shop", "stall"]


def test_spend_that_cannot_be_modelled():
    nothing = rows_of(("shop", 0, 0.0, 50), ("shop", 2, 0.0, 5))
    with pytest.raises(UnfitModelError, match="No customer of shop has a repeat purchase of a value above zero"):
        spend_model.fit(nothing, SAMPLING)
    beside = pd.concat([nothing, rows_of(("kiosk", 1, 3.0, 40))])
    with pytest.raises(UnfitModelError, match="No customer of shop has a repeat purchase"):
        spend_model.fit(beside, SAMPLING)
