"""A portfolio whose source is a Spark URL is checked, counted and prepared like one over files."""

import shutil

import pandas as pd
import pytest

from cvmlib.clv.prepare import load_unit, prepare_unit
from cvmlib.portfolio import read_portfolio


@pytest.fixture(scope="module")
def on_spark(portfolio, spark, tmp_path_factory):
    """Give the same portfolio by a Spark URL; its paths then start at the portfolio file."""
    folder = tmp_path_factory.mktemp("on-spark")
    shutil.copytree(portfolio.folder / "data", folder / "data")
    text = portfolio.path.read_text(encoding="utf-8").replace('source = "data/demo"', 'source = "pyspark://"')
    (folder / "business_units.toml").write_text(text.replace('path = "', 'path = "data/demo/'), encoding="utf-8")
    return read_portfolio(folder / "business_units.toml")


def test_a_unit_is_prepared_the_same(portfolio, on_spark):
    bases = []
    for each in (portfolio, on_spark):
        prepare_unit(each, "fashion")
        bases.append(load_unit(each, "fashion"))
    ours, theirs = bases
    pd.testing.assert_frame_equal(ours.count_rows(spend=True), theirs.count_rows(spend=True), check_exact=True)
    pd.testing.assert_frame_equal(ours.count_rows(calibration=True), theirs.count_rows(calibration=True))
    pd.testing.assert_frame_equal(ours.gaps, theirs.gaps)
    assert ours.returned_share == pytest.approx(theirs.returned_share, rel=1e-12)
    found, same = ({(p.kind, p.rows) for p in base.checks.problems} for base in bases)
    assert found == same and found
