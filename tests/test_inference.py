"""Sampling, the gate, and what is saved: small models whose posterior is known."""

import json

import numpy as np
import pymc as pm
import pytest
import xarray as xr

from cvmlib import inference
from cvmlib.inference import Diagnostics, Sampling


def chains(values: np.ndarray, diverging: int = 0) -> xr.DataTree:
    """A trace of one variable, ``theta``, shape (chains, draws)."""
    flags = np.zeros(values.shape, dtype=bool)
    flags.flat[:diverging] = True
    dims = ("chain", "draw")
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"theta": (dims, values)}),
            "sample_stats": xr.Dataset({"diverging": (dims, flags)}),
        }
    )


def normal(chains_: int = 4, draws: int = 1000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(chains_, draws))


@pytest.fixture(scope="module")
def model() -> pm.Model:
    """Normal mean of 20 values, flat prior: the posterior is normal, with mean 3 and sd 1 / sqrt(20)."""
    data = np.tile([2.0, 4.0], 10)
    with pm.Model() as built:
        mean = pm.Flat("mean")
        pm.Normal("seen", mean, 1.0, observed=data)
    return built


@pytest.fixture(scope="module")
def trace(model) -> xr.DataTree:
    return inference.sample(model, Sampling(draws=500, tune=300, chains=2, seed=5))


def test_sampling_finds_the_posterior(trace):
    found = trace["posterior"]["mean"].to_numpy()
    assert found.shape == (2, 500)
    assert found.mean() == pytest.approx(3.0, abs=4 / np.sqrt(20 * 400))
    assert found.std() == pytest.approx(1 / np.sqrt(20), rel=0.12)
    assert inference.diagnose(trace, ["mean"]).divergences == 0


def test_the_same_seed_gives_the_same_draws(model, trace):
    again = inference.sample(model, Sampling(draws=500, tune=300, chains=2, seed=5))
    assert (again["posterior"]["mean"] == trace["posterior"]["mean"]).all()
    other = inference.sample(model, Sampling(draws=500, tune=300, chains=2, seed=6))
    assert (other["posterior"]["mean"] != trace["posterior"]["mean"]).any()


def test_chains_of_a_seed_differ(trace):
    first, second = trace["posterior"]["mean"].to_numpy()
    assert not np.isin(first, second).any()


def test_divergences_are_answered_with_smaller_steps(monkeypatch, model):
    tried = []

    def diverge(model, sampling, target_accept):
        tried.append(target_accept)
        return chains(normal(), diverging=3 if len(tried) == 1 else 0)

    monkeypatch.setattr(inference, "_run_nuts", diverge)
    found = inference.sample(model, Sampling())
    assert tried == [0.85, inference.CAREFUL[0]] and inference.diagnose(found, ["theta"]).passed
    tried.clear()
    inference.sample(model, Sampling(target_accept=0.99))
    assert tried == [0.99]  # no second attempt with larger steps


def test_few_draws_do_not_pass_and_say_so(model):
    short = inference.sample(model, Sampling(draws=30, tune=50, chains=2, seed=1))
    found = inference.diagnose(short, ["mean"])
    assert not found.passed and found.ess_bulk < 100
    sentence = found.sentence()
    assert "did not converge" in sentence and "(mean)" in sentence and "sample sizes >= 400" in sentence


def test_good_chains_pass():
    found = inference.diagnose(chains(normal()), ["theta"])
    assert found.passed and found.r_hat < 1.01 and min(found.ess_bulk, found.ess_tail) > 3000
    assert found.sentence().startswith("The sampler converged: largest R-hat 1.00")


@pytest.mark.parametrize(
    ("trace", "fault"),
    [
        (chains(normal() + np.array([[0], [0], [0], [0.5]])), "r_hat"),
        (chains(np.repeat(normal(4, 50), 20, axis=1)), "ess"),
        (chains(normal(), diverging=1), "divergences"),
        (chains(normal(1, 4000)), "one chain"),
        (chains(normal(1, 1)), "one draw"),
        (chains(np.where(np.arange(1000) == 7, np.nan, normal())), "not a number"),
    ],
)
def test_bad_chains_do_not_pass(trace, fault):
    found = inference.diagnose(trace, ["theta"])
    assert not found.passed
    assert "did not converge" in found.sentence()
    if fault == "r_hat":
        assert found.r_hat > 1.01 and found.worst == "theta"


def test_limits_of_the_gate():
    assert Diagnostics(1.01, 400, 400, 0, "x").passed
    for beyond in ((1.0101, 400, 400, 0), (1.01, 399, 400, 0), (1.01, 400, 399, 0), (1.01, 400, 400, 1)):
        assert not Diagnostics(*beyond, "x").passed
    assert not Diagnostics(float("nan"), 400, 400, 0, "x").passed


def test_the_worst_variable_is_named():
    values = np.stack([normal(), normal(seed=1) + np.array([[0], [1], [0], [1]])], axis=-1)
    trace = chains(normal())
    dataset = xr.Dataset({"rate": (("chain", "draw", "unit"), values)}, coords={"unit": ["good", "bad"]})
    trace["posterior"] = xr.DataTree(dataset)
    assert inference.diagnose(trace, ["rate"]).worst == "rate[bad]"


def test_summary_states_the_interval_of_ninety_percent():
    values = normal(4, 5000)
    table = inference.summarise(chains(values), ["theta"])
    low, high = np.quantile(values, [0.05, 0.95])
    assert table.loc["theta", "mean"] == pytest.approx(values.mean())
    assert table.loc["theta", ["eti90_lb", "eti90_ub"]].to_numpy(dtype=float) == pytest.approx([low, high], abs=1e-3)


def test_thinned_draws_are_evenly_spaced():
    array = xr.DataArray(np.arange(40.0).reshape(4, 10), dims=("chain", "draw"))
    assert inference.thin(array, 4).tolist() == [0, 13, 26, 39]
    assert inference.thin(array, 100).tolist() == list(range(40))
    by_unit = xr.DataArray(np.arange(24).reshape(3, 2, 4), dims=("unit", "chain", "draw"))
    assert inference.thin(by_unit, 8)[:, 1].tolist() == list(range(8, 16))


def test_what_is_saved_is_loaded(trace, tmp_path):
    notes = {
        "data": "abc",
        "seed": 5,
        "sampling": Sampling(draws=500),
        "diagnostics": inference.diagnose(trace, ["mean"]),
        "size": np.int64(3),
        "folder": tmp_path,
    }
    path = tmp_path / "models" / "fit.nc"
    written = inference.save(trace, path, notes)
    assert written == [path, path.with_suffix(".json")] and all(p.is_file() for p in written)
    assert sorted(p.name for p in path.parent.iterdir()) == ["fit.json", "fit.nc"]
    loaded, provenance = inference.load(path)
    assert (loaded["posterior"]["mean"] == trace["posterior"]["mean"]).all()
    assert inference.diagnose(loaded, ["mean"]) == inference.diagnose(trace, ["mean"])
    assert provenance["data"] == "abc" and provenance["size"] == 3 and provenance["sampling"]["draws"] == 500
    assert provenance["diagnostics"]["divergences"] == 0
    assert json.loads(written[1].read_text()) == provenance


def test_a_failed_save_leaves_the_previous_fit(trace, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    inference.save(trace, path, {"seed": 1})
    before = path.read_bytes()

    def fail(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail)
    with pytest.raises(OSError, match="disk full"):
        inference.save(chains(normal()), path, {"seed": 2})
    assert path.read_bytes() == before and inference.load(path)[1] == {"seed": 1}
