"""Merged rows and the weights that make up for them: against the posterior of all rows."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cvmlib.clv import gamma_gamma, near_rows, purchase_model, spend_model
from cvmlib.clv.families import bg_nbd
from cvmlib.clv.near_rows import merge_near, reweigh
from cvmlib.inference import Sampling

SAMPLING = Sampling(draws=400, tune=300, chains=2, seed=3)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Six thousand customers of two units over two years, by the day."""
    rng = np.random.default_rng(5)
    parts = []
    for unit, scale in (("a", 1.0), ("b", 1.3)):
        age = rng.integers(30, 731, 3_000).astype(float)
        x, t_x = bg_nbd.simulate_customers(age, 0.8, 60.0 * scale, 0.8, 2.5, rng)
        p, q, gamma = 6.0, 4.0, 20.0 * scale
        mean = rng.gamma(p * np.maximum(x, 1)) / rng.gamma(q, 1 / gamma, len(x)) / np.maximum(x, 1)
        frame = pd.DataFrame({"frequency": x, "recency": np.minimum(np.ceil(t_x), age), "T": age})
        parts.append(frame.assign(unit=unit, monetary_value=np.where(x > 0, mean.round(2), 0.0)))
    table = pd.concat(parts, ignore_index=True)
    return table.groupby(["unit", "frequency", "recency", "T", "monetary_value"], as_index=False).size()


@pytest.fixture(scope="module")
def purchases(rows) -> pd.DataFrame:
    counts = rows.groupby(["unit", "frequency", "recency", "T"], as_index=False)["size"].sum()
    return counts.rename(columns={"size": "customers"})


def test_few_rows_are_left_alone(purchases):
    assert merge_near(purchases, ["recency", "T"]) is purchases


def test_merging_keeps_customers_and_their_mean_times(purchases):
    near = merge_near(purchases, ["recency", "T"], most=900)
    assert (near["frequency"] > 0).sum() <= 900 and list(near) == list(purchases)
    for column in ("recency", "T"):
        sums = (purchases[column] * purchases["customers"]).groupby(purchases["frequency"]).sum()
        kept = (near[column] * near["customers"]).groupby(near["frequency"]).sum()
        assert kept.to_numpy() == pytest.approx(sums.to_numpy())
    keys = ["unit", "frequency"]
    assert near.groupby(keys)["customers"].sum().tolist() == purchases.groupby(keys)["customers"].sum().tolist()
    once = purchases[purchases["frequency"] == 0]
    pd.testing.assert_frame_equal(
        near[near["frequency"] == 0].reset_index(drop=True), once.reset_index(drop=True), check_dtype=False
    )


def test_geometric_merging_keeps_the_mean_logarithm(rows):
    spend = rows[rows["frequency"] > 0].rename(columns={"size": "customers"})[
        ["unit", "frequency", "monetary_value", "customers"]
    ]
    near = merge_near(spend, ["monetary_value"], geometric=True, most=500)
    logs = [float(np.log(table["monetary_value"]) @ table["customers"]) for table in (spend, near)]
    assert len(near) <= 500 and logs[1] == pytest.approx(logs[0])


def test_weights_give_the_posterior_of_all_rows(purchases, monkeypatch):
    exact = purchase_model.fit(purchases, SAMPLING)
    monkeypatch.setattr(near_rows, "MOST", 1_200)
    found = purchase_model.fit(purchases, SAMPLING)
    assert exact.merging is None and found.merging.passed and found.merging.merged < len(purchases) / 2
    assert "weighted to the posterior of all" in found.merging.sentence()
    for unit in "ab":
        theirs, ours = exact.draws(unit), found.draws(unit)
        for wanted, value in zip(theirs.values, ours.values, strict=True):
            assert abs(value.mean() - wanted.mean()) < 0.25 * wanted.std()
            assert value.std() == pytest.approx(wanted.std(), rel=0.2)


def test_log_likelihoods_are_those_of_the_rows(purchases):
    fit = purchase_model.fit(purchases, Sampling(draws=20, tune=50, chains=2, seed=1))
    found = purchase_model._log_likelihoods(fit, purchases)
    columns = [purchases[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T")]
    wanted = np.zeros(40)
    for unit in "ab":
        mine = (purchases["unit"] == unit).to_numpy()
        parameters = fit.draws(unit, 40).column()
        each = bg_nbd.log_likelihood(*(column[mine][None] for column in columns), *parameters)
        wanted += each @ purchases["customers"].to_numpy(dtype=float)[mine]
    assert np.ptp(found.ravel() - wanted) < 1e-6 * abs(wanted).max() and found.shape == (2, 20)


def test_spend_is_weighted_too(rows, monkeypatch):
    counts = rows.rename(columns={"size": "customers"})
    exact = spend_model.fit(counts, SAMPLING)
    monkeypatch.setattr(near_rows, "MOST", 1_000)
    found = spend_model.fit(counts, SAMPLING)
    assert found.merging.passed and found.merging.merged <= 1_000 < found.merging.rows
    for unit in "ab":
        for name in ("p", "q", "gamma"):
            wanted, value = (getattr(one.draws(unit), name) for one in (exact, found))
            assert abs(value.mean() - wanted.mean()) < 0.25 * wanted.std()
    spend = gamma_gamma.linear_spend(np.array([0.0]), *found.draws("a").column())
    assert np.isfinite(spend[0]).all()


def test_where_merging_goes_too_far_all_rows_are_sampled(purchases, monkeypatch):
    monkeypatch.setattr(near_rows, "MOST", 1)
    assert purchase_model.fit(purchases, SAMPLING).merging is None


def test_draws_are_taken_again_by_their_weights():
    values = np.random.default_rng(1).standard_normal((2, 4_000))
    whole = xr.Dataset({"v": (("chain", "draw"), values)}, coords={"chain": [0, 1], "draw": np.arange(4_000)})
    trace = xr.DataTree.from_dict({"posterior": whole})
    new, pareto_k, worth = reweigh(trace, 0.5 * values)  # a normal distribution, tilted, is one moved by as much
    drawn = new["posterior"]["v"].to_numpy()
    assert drawn.shape == (2, 4_000) and pareto_k < 0.5
    assert drawn.mean() == pytest.approx(0.5, abs=0.05) and drawn.std() == pytest.approx(1.0, abs=0.05)
    assert worth == pytest.approx(np.exp(-0.25), abs=0.05)
    same, pareto_k, worth = reweigh(trace, np.zeros_like(values))
    assert (same["posterior"]["v"].to_numpy() == values).all() and worth == 1.0 and pareto_k == 0.0
