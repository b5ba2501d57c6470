"""Pareto/NBD with covariates on the apparel data of CLVTools: the refit without, and an independent one with them."""

import json
import os
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from cvmlib import inference
from cvmlib.clv import purchase_model
from cvmlib.clv.counts import count_customers, count_purchases, count_rows
from cvmlib.clv.covariates import assign_patterns, find_covariates
from cvmlib.clv.families import pareto_nbd, registry

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data"))
SPLIT = date(2006, 12, 31)  # 104 weeks after the first purchases
WEEK = 7.0
COLUMNS = ("Gender", "Channel")


def stored(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {DATA}; set CVM_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="module")
def tables() -> tuple[ibis.Table, ibis.Table]:
    """Customers counted at the end of the calibration, and what is known of them."""
    log = pd.read_csv(stored("clv/apparel_trans.csv.gz"), parse_dates=["Date"], dtype={"Id": str})
    log = log.rename(columns={"Id": "customer_id", "Date": "date", "Price": "value"})
    known = pd.read_csv(stored("clv/apparel_static_cov.csv.gz"), dtype={"Id": str})
    customers = count_customers(count_purchases(ibis.memtable(log)), SPLIT)
    return customers, ibis.memtable(known.rename(columns={"Id": "customer_id"}))


@pytest.fixture(scope="module")
def each(tables) -> pd.DataFrame:
    """One row per customer, in weeks, with the covariates as 0 and 1."""
    customers, known = (table.to_pandas() for table in tables)
    frame = customers.merge(known, on="customer_id")
    return frame.assign(recency=frame["recency"] / WEEK, T=frame["T"] / WEEK)


def test_the_refit_without_covariates(each):
    reference = json.loads(stored("reference_values.json").read_text(encoding="utf-8"))["apparel_trans_600"]
    assert len(each) == reference["customers"] and each["frequency"].sum() == reference["repeat_calibration"]
    found = pareto_nbd.fit_maximum_likelihood(*(each[name].to_numpy() for name in ("frequency", "recency", "T")))
    expected = reference["pareto_nbd_refit"]
    for name in pareto_nbd.PARAMETERS:
        assert found.parameters[name] == pytest.approx(expected[name], rel=2e-4)
    assert found.log_likelihood == pytest.approx(expected["ll"], abs=0.05)


def fit_by_customer(each: pd.DataFrame) -> tuple[dict[tuple[str, str], float], float]:
    """Maximum likelihood customer by customer, each with rates of his own: coefficients of 0/1 columns, and its top."""
    x, t_x, T = (each[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    columns = each[list(COLUMNS)].to_numpy(dtype=float)

    def negative(theta: np.ndarray) -> float:
        r, s = np.exp(theta[[0, 2]])
        rate, dropout = np.exp(theta[1] + columns @ theta[4:6]), np.exp(theta[3] + columns @ theta[6:8])
        return -pareto_nbd.log_likelihood(x, t_x, T, r, r / rate, s, s / dropout).sum()

    start = np.r_[np.log([1.4, 0.03, 0.6, 0.012]), np.zeros(4)]
    found = optimize.minimize(negative, start, method="BFGS", options={"gtol": 1e-4})
    names = [(parameter, column) for parameter in ("rate", "dropout_rate") for column in COLUMNS]
    return dict(zip(names, found.x[4:], strict=True)), -float(found.fun)


def test_effects_agree_with_maximum_likelihood_by_customer(tables, each):
    customers, known = tables
    covariates = find_covariates(customers, known, COLUMNS, "apparel")
    assert [one.levels for one in covariates.used] == [("0", "1"), ("0", "1")]
    rows = count_rows(assign_patterns(customers, known, covariates), by=["pattern"]).to_pandas()
    rows = rows.assign(unit="apparel")
    sampling = inference.Sampling(draws=1000, tune=600, chains=2)
    fit = purchase_model.fit(rows, sampling, family=registry.PARETO_NBD, covariates={"apparel": covariates.columns})
    assert fit.diagnostics.divergences == 0 and fit.diagnostics.r_hat < 1.02, fit.diagnostics
    coefficients, top = fit_by_customer(each)
    assert top > -5848.1 + 10.0  # the covariates tell customers apart
    effect = fit.trace["posterior"]["effect"]
    for (parameter, column), coefficient in coefficients.items():
        ends = [effect.sel(affected=parameter, level=f"apparel · {column} · {level}").to_numpy() for level in "01"]
        drawn = (ends[1] - ends[0]).ravel()
        assert np.quantile(drawn, 0.05) < coefficient < np.quantile(drawn, 0.95), (parameter, column)
        # Shrunk to zero the more, the less the customers tell. Of 16,000 draws these are 0.01 and 0.57 for the rate,
        # 0.65 and 0.83 for dropout; of so few as here, they are off by 0.06 (standard error).
        shrunk = (coefficient - np.median(drawn)) / drawn.std() * np.sign(coefficient)
        assert -0.25 < shrunk < (0.75 if parameter == "rate" else 1.0), (parameter, column, shrunk)
