"""MBG/NBD and regular timing on the CDNOW sample: published estimates, and what the gaps say about k."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import regularity
from cvmlib.clv.families import bg_cnbd, bg_nbd
from tests.published.printed import SPLIT, WEEK, same_as_printed


@pytest.fixture(scope="module")
def published(reference) -> dict:
    return reference["more_published"]["mbg_nbd_cdnow_sample"]


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
