"""The hierarchical BG/NBD on simulated units: recovery, pooling, units of time, determinism."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

from cvmlib import inference
from cvmlib.clv import purchase_model
from cvmlib.clv.families import bg_nbd
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.errors import UnfitModelError
from tests.clv.conftest import SAMPLING
from tests.clv.worlds import World, count_unit, purchase_rows

NAMES = BG_NBD.names


def expected_total(rows: pd.DataFrame, fit: purchase_model.PurchaseFit, unit: str, year: float = 365.0) -> np.ndarray:
    """Expected purchases of a unit's customers in the next year, per posterior draw."""
    mine = rows[rows["unit"] == unit]
    x, t_x, T = (mine[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    draws = fit.draws(unit, 500).column()
    pairs, of_pair = np.unique(np.column_stack([x, T]), axis=0, return_inverse=True)
    if_alive = bg_nbd.expected_purchases(year, *pairs.T, *draws)[:, of_pair]
    return (bg_nbd.probability_alive(x, t_x, T, *draws) * if_alive) @ mine["customers"].to_numpy(dtype=float)


def test_recovers_the_parameters(pooled_purchases, worlds):
    posterior = pooled_purchases.trace["posterior"]
    inside = 0
    for unit in ("large", "small"):
        for name in NAMES:
            values = posterior[name].sel(unit=unit).to_numpy()
            distance = (np.log(values).mean() - np.log(getattr(worlds[unit], name))) / np.log(values).std()
            assert abs(distance) < 3, (unit, name, distance)
            low, high = np.quantile(values, [0.05, 0.95])
            inside += low < getattr(worlds[unit], name) < high
    assert inside >= 5  # of 8, each with probability 0.9
    rate = posterior["rate"].sel(unit="large").to_numpy()
    assert rate.std() < 0.06 * rate.mean()


def test_forecasts_what_the_true_parameters_do(pooled_purchases, pooled_rows, worlds):
    rows = purchase_rows(pooled_rows)
    for unit, near in (("large", 0.04), ("small", 0.2)):
        mine = rows[rows["unit"] == unit]
        x, t_x, T = (mine[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
        truth = worlds[unit].buying().values()
        ahead = bg_nbd.probability_alive(x, t_x, T, *truth) * bg_nbd.expected_purchases(365.0, x, T, *truth)
        expected = ahead @ mine["customers"].to_numpy()
        found = expected_total(rows, pooled_purchases, unit)
        assert found.mean() == pytest.approx(expected, rel=near)
        low, high = np.quantile(found, [0.01, 0.99])
        assert low < expected < high


def test_draws_are_the_published_parameters(pooled_purchases):
    draws = pooled_purchases.draws("small", 40)
    posterior = pooled_purchases.trace["posterior"]
    rate, dropout, concentration = (
        inference.thin(posterior[name].sel(unit="small"), 40) for name in ("rate", "dropout", "concentration")
    )
    r, alpha, a, b = draws.values
    assert draws.family is BG_NBD and len(draws) == 40
    assert r / alpha == pytest.approx(rate)
    assert a / (a + b) == pytest.approx(dropout)
    assert a + b == pytest.approx(concentration)
    for symbol, values in zip(("r", "alpha", "a", "b"), draws.values, strict=True):
        assert (draws[symbol] == values).all()
    for column, values in zip(draws.thin(5).column(), draws.values, strict=True):
        assert column.shape == (5, 1) and (column[[0, -1], 0] == values[[0, -1]]).all()
    assert len(draws.thin(99)) == 40
    assert pooled_purchases.units == ("large", "silent", "small")


def test_a_unit_without_repeat_buyers_gets_what_the_others_tell(pooled_purchases):
    posterior = pooled_purchases.trace["posterior"]
    for name in NAMES:
        silent, large, small = (np.log(posterior[name].sel(unit=u).to_numpy()) for u in ("silent", "large", "small"))
        assert silent.std() > 2 * large.std()  # it speaks for itself hardly at all
        between = sorted([large.mean(), small.mean()])
        assert between[0] - 1.0 < silent.mean() < between[1] + 1.0
    # ... which is far more than the prior alone: sd 2.1 on the log scale of the rate.
    rate = np.log(posterior["rate"].sel(unit="silent").to_numpy())
    assert rate.std() < 1.4


@pytest.fixture(scope="module")
def alone(pooled_rows) -> purchase_model.PurchaseFit:
    rows = purchase_rows(pooled_rows)
    return purchase_model.fit(rows[rows["unit"] == "small"], SAMPLING)


def test_a_small_unit_borrows_strength(pooled_purchases, pooled_rows, alone):
    assert alone.units == ("small",)
    widths = {}
    for name, found in (("alone", alone), ("pooled", pooled_purchases)):
        values = found.trace["posterior"].to_dataset().sel(unit="small")
        widths[name] = [float(np.log(values[n]).std()) for n in ("shape", "concentration")]
    assert all(pooled < single for pooled, single in zip(widths["pooled"], widths["alone"], strict=True))
    # A unit alone is still forecast, and by its own data.
    rows = purchase_rows(pooled_rows)
    ratio = expected_total(rows, alone, "small").mean() / expected_total(rows, pooled_purchases, "small").mean()
    assert 0.85 < ratio < 1.15


def rescaled(rows: pd.DataFrame, factor: float) -> pd.DataFrame:
    return rows.assign(recency=rows["recency"] * factor, T=rows["T"] * factor)


def test_the_posterior_does_not_know_the_unit_of_time(pooled_rows):
    rows = purchase_rows(pooled_rows)
    models = [purchase_model.build_model(rescaled(rows, factor)) for factor in (1.0, 24.0, 1 / 7)]
    assert [scale for _, scale in models] == pytest.approx([models[0][1] * f for f in (1.0, 24.0, 1 / 7)])
    points = [model.initial_point() for model, _ in models]
    point = {name: value + 0.3 for name, value in points[0].items()}
    densities = [float(model.compile_logp(mode="FAST_COMPILE")(point)) for model, _ in models]
    assert densities[1:] == pytest.approx([densities[0]] * 2, rel=1e-12)


def test_forecasts_do_not_know_the_unit_of_time(alone, pooled_rows):
    """In full for a unit of eight days, which scales without rounding, so that the draws are the same; the density
    above tells of other units of time and of a pool."""
    rows = purchase_rows(pooled_rows)
    rows, factor = rows[rows["unit"] == "small"], 1 / 8
    other = rescaled(rows, factor)
    fit = purchase_model.fit(other, SAMPLING)
    assert fit.draws("small")["alpha"] == pytest.approx(factor * alone.draws("small")["alpha"], rel=1e-9)
    in_days = expected_total(rows, alone, "small")
    assert expected_total(other, fit, "small", 365.0 * factor) == pytest.approx(in_days, rel=1e-9)


def test_the_same_seed_gives_the_same_posterior(alone, pooled_rows):
    rows = purchase_rows(pooled_rows)
    again = purchase_model.fit(rows[rows["unit"] == "small"], SAMPLING)
    for name in NAMES:
        assert (again.trace["posterior"][name] == alone.trace["posterior"][name]).all()


def test_the_order_of_the_rows_does_not_matter(pooled_rows):
    rows = purchase_rows(pooled_rows)
    densities = []
    for table in (rows, rows.sample(frac=1.0, random_state=2)):
        model, _ = purchase_model.build_model(table)
        densities.append(float(model.compile_logp(mode="FAST_COMPILE")(model.initial_point())))
    assert densities[0] == pytest.approx(densities[1], rel=1e-12)


def test_the_model_has_the_likelihood_of_the_paper(pooled_rows):
    rows = purchase_rows(pooled_rows)
    model, scale = purchase_model.build_model(rows)
    point = model.initial_point()
    with_data = float(model.compile_logp(jacobian=False, mode="FAST_COMPILE")(point))
    prior = float(model.compile_logp(vars=model.free_RVs, jacobian=False, mode="FAST_COMPILE")(point))
    values_at = model.compile_fn(
        model.replace_rvs_by_values([model[name] for name in NAMES]),
        inputs=model.value_vars,
        on_unused_input="ignore",
        mode="FAST_COMPILE",
    )
    values = dict(zip(NAMES, values_at(point), strict=True))
    place = {unit: i for i, unit in enumerate(model.coords["unit"])}
    code = rows["unit"].map(place).to_numpy()
    rate, shape, dropout, concentration = (values[n][code] for n in NAMES)
    each = bg_nbd.log_likelihood(
        rows["frequency"],
        rows["recency"],
        rows["T"],
        shape,
        shape / rate,
        dropout * concentration,
        (1 - dropout) * concentration,
    )
    # In days the density of each purchase time is divided by the days of one unit of the model's time.
    purchases = rows["customers"] @ rows["frequency"]
    assert with_data - prior == pytest.approx(rows["customers"] @ each + purchases * np.log(scale), rel=1e-10)


def test_units_borrow_within_their_pool_only(pooled_rows):
    rows = purchase_rows(pooled_rows)
    pools = {"large": "shops", "small": "shops", "silent": ""}
    model, _ = purchase_model.build_model(rows, pools)
    assert tuple(model.coords["pool"]) == ("shops",)
    large, small, silent = pm.draw(
        [model["log_rate"][list(model.coords["unit"]).index(unit)] for unit in ("large", "small", "silent")],
        4000,
        random_seed=1,
        mode="FAST_COMPILE",
    )
    assert np.corrcoef(large, small)[0, 1] > 0.8  # the pool's value moves both
    assert abs(np.corrcoef(large, silent)[0, 1]) < 0.06
    # Wherever a unit is, it has the same prior by itself.
    assert silent.std() == pytest.approx(large.std(), rel=0.06)
    assert np.median(silent) == pytest.approx(np.median(large), abs=0.15)


def test_units_alone_in_their_pools_have_no_spread(pooled_rows):
    rows = purchase_rows(pooled_rows)
    model, _ = purchase_model.build_model(rows, {"large": "a", "small": "b", "silent": "c"})
    assert len(model.free_RVs) == 4 and not any("spread" in v.name for v in model.free_RVs)


def test_without_repeat_buyers_there_is_no_fit():
    rows = count_unit("shop", World(), 50, seed=1).assign(frequency=0, recency=0.0, unit="shop")
    more = rows.assign(unit="stall")
    with pytest.raises(UnfitModelError, match="No customer of shop, stall bought more than once.*longer history"):
        purchase_model.fit(pd.concat([rows, more]), SAMPLING)
    with pytest.raises(UnfitModelError, match="No customer of shop bought more than once"):
        purchase_model.fit(rows.assign(T=0.0), SAMPLING)


def test_save_and_load_with_provenance(pooled_purchases, tmp_path):
    path = tmp_path / "purchases.nc"
    inference.save(pooled_purchases.trace, path, {"units": list(pooled_purchases.units), "seed": 1})
    trace, notes = inference.load(path)
    loaded = purchase_model.PurchaseFit(
        BG_NBD, trace, tuple(notes["units"]), pooled_purchases.time_scale, inference.diagnose(trace, NAMES)
    )
    assert loaded.diagnostics == pooled_purchases.diagnostics
    for found, saved in zip(loaded.draws("small").values, pooled_purchases.draws("small").values, strict=True):
        assert (found == saved).all()
