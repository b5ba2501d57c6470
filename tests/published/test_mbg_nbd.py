"""MBG/NBD and regular timing on the CDNOW sample: published estimates, and what the gaps say about k."""

import json
import os
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import regularity
from cvmlib.clv.counts import count_customers, count_purchases
from cvmlib.clv.families import bg_cnbd, bg_nbd

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data"))
SPLIT = date(1997, 9, 30)
WEEK = 7.0


def stored(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {DATA}; set CVM_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="module")
def published() -> dict:
    reference = json.loads(stored("reference_values.json").read_text(encoding="utf-8"))
    return reference["more_published"]["mbg_nbd_cdnow_sample"]


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    log = pd.read_csv(stored("clv/cdnow_sample.csv.gz"), parse_dates=["date"])
    return log.rename(columns={"amount": "value"}).astype({"customer_id": str})[["customer_id", "date", "value"]]


@pytest.fixture(scope="module")
def customers(log) -> pd.DataFrame:
    """Counts in weeks."""
    table = count_customers(count_purchases(ibis.memtable(log)), SPLIT).to_pandas()
    return table.assign(recency=table["recency"] / WEEK, T=table["T"] / WEEK)


@pytest.fixture(scope="module")
def counts(customers) -> list[np.ndarray]:
    return [customers[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T")]


def same_as_printed(found: float, printed: float) -> bool:
    """Whether a figure rounds to the printed one, to every digit that was printed."""
    digits = len(repr(printed).partition(".")[2])
    return round(found, digits) == printed


def test_estimates(counts, published):
    """Batislam, Denizel and Filiztekin's model on the sample, as published with BTYDplus and refitted."""
    fit = bg_nbd.fit_maximum_likelihood(*counts, modified=True)
    for name in bg_nbd.PARAMETERS:
        assert same_as_printed(fit.parameters[name], published["published"][name]), (name, fit)
        assert same_as_printed(fit.parameters[name], published["refit"][name]), (name, fit)
    assert same_as_printed(fit.log_likelihood, published["refit"]["ll"]) and published["refit"]["ll"] == -9582.136
    other = bg_cnbd.fit_maximum_likelihood(*counts, k=1, modified=True)
    assert other.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-5)


def test_cdnow_is_not_regular(log, counts):
    """Buyers of records keep no rhythm: k = 1 by far."""
    days = log[log["date"] <= pd.Timestamp(SPLIT)].drop_duplicates(["customer_id", "date"])
    days = days.sort_values(["customer_id", "date"])
    gaps = days.groupby("customer_id")["date"].diff().dt.days.dropna() / WEEK
    assert len(gaps) == counts[0].sum()
    fits = regularity.fit_each_k(*counts, np.log(gaps).sum(), modified=True)
    assert fits[1].log_likelihood > fits[2].log_likelihood + 100 > fits[3].log_likelihood
