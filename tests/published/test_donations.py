"""Donations of first-time donors of 1995 (Fader, Hardie and Shang 2010): published estimates and expectations."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

from cvmlib.clv.families import bg_bb, bg_bb_forecast
from cvmlib.clv.families.bg_nbd import MaximumLikelihood
from tests.published.printed import same_as_printed, stored


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(stored("clv/donations_bgbb_rf.csv.gz"))


@pytest.fixture(scope="module")
def fitted(rows) -> MaximumLikelihood:
    return bg_bb.fit_maximum_likelihood(rows["frequency"], rows["recency"], rows["periods"], rows["weights"])


@pytest.fixture(scope="module")
def expected(rows, fitted):
    """Expected donations in each of the ten years after 2001 and P(alive) in each, by row."""
    edges = np.arange(11.0)[None]
    counts = (rows["frequency"], rows["recency"], rows["periods"])
    purchases, alive = bg_bb_forecast.forecast(edges, *counts, *(np.array([v]) for v in fitted.parameters.values()))
    return purchases[:, 0], alive[:, 0]


def row_of(rows: pd.DataFrame, frequency: int, recency: int) -> int:
    return rows.index[(rows["frequency"] == frequency) & (rows["recency"] == recency)].item()


def test_estimates(rows, fitted, reference):
    reference = reference["donations_bgbb"]
    assert rows["weights"].sum() == reference["customers"]
    for source in ("published", "refit"):
        for name in (*bg_bb.PARAMETERS, "ll"):
            printed = reference[source][name]
            found = fitted.log_likelihood if name == "ll" else fitted.parameters[name]
            assert same_as_printed(found, printed), (source, name)


def test_donors_by_frequency(rows, fitted):
    """In-sample fit in the authors' spreadsheet: 3,454.9 donors without and 1,253.1 with six repeat donations."""
    cells = [(0, 0), *((x, t_x) for t_x in range(1, 7) for x in range(1, t_x + 1))]
    x, t_x = np.array(cells).T
    orders = np.where(x > 0, special.comb(t_x - 1, x - 1), 1.0)
    probability = orders * np.exp(bg_bb.log_likelihood(x, t_x, 6, *fitted.parameters.values()))
    donors = rows["weights"].sum() * np.bincount(x, probability)
    assert donors.sum() == pytest.approx(rows["weights"].sum(), rel=1e-12)
    assert donors[[0, 6]].round(1).tolist() == [3454.9, 1253.1]


def test_alive_in_2002(rows, expected):
    """Table 6 of the paper, which is about the opportunity after the last one seen."""
    alive = expected[1][1]
    for frequency, recency, printed in ((0, 0, 0.11), (2, 4, 0.59), (6, 6, 0.93)):
        assert round(alive[row_of(rows, frequency, recency)], 2) == printed


def test_expected_donations(rows, expected):
    """The total of 2002 to 2006 in the authors' spreadsheet, and two donors' next ten years printed with BTYD."""
    purchases, _ = expected
    assert (purchases[:5].sum(axis=0) @ rows["weights"]).round(1) == 12884.2
    for frequency, recency, printed in ((0, 0, 0.1302), (4, 5, 3.628)):
        total = purchases.sum(axis=0)[row_of(rows, frequency, recency)]
        assert same_as_printed(total, printed)
