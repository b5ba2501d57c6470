"""A portfolio whose source is a Spark URL is checked, counted and prepared like one over files."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from cvmlib.business_unit import TableSource
from cvmlib.clv.prepare import load_unit, prepare_unit
from cvmlib.portfolio import read_portfolio
from cvmlib.tables.demo.write import simulate
from cvmlib.tables.sources import source_fingerprint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def on_files(tmp_path_factory):
    """Give a small demo company, read from its files by DuckDB."""
    folder = tmp_path_factory.mktemp("on-files")
    simulate(folder / "data" / "demo", scale=0.05, seed=1)
    return read_portfolio(shutil.copy(ROOT / "business_units.toml", folder))


@pytest.fixture(scope="module")
def on_spark(on_files, spark):
    """Give the same by a Spark URL; its paths then start at the portfolio file."""
    text = on_files.path.read_text(encoding="utf-8").replace('source = "data/demo"', 'source = "pyspark://"')
    path = on_files.folder / "on_spark.toml"
    path.write_text(text.replace('path = "', 'path = "data/demo/'), encoding="utf-8")
    return read_portfolio(path)


def test_a_unit_is_prepared_the_same(on_files, on_spark):
    bases = []
    for each in (on_files, on_spark):
        prepare_unit(each, "fashion")
        bases.append(load_unit(each, "fashion"))
    ours, theirs = bases
    pd.testing.assert_frame_equal(ours.count_rows(spend=True), theirs.count_rows(spend=True), check_exact=True)
    pd.testing.assert_frame_equal(ours.count_rows(calibration=True), theirs.count_rows(calibration=True))
    pd.testing.assert_frame_equal(ours.gaps, theirs.gaps)
    assert ours.returned_share == pytest.approx(theirs.returned_share, rel=1e-12)
    found, same = ({(p.kind, p.rows) for p in base.checks.problems} for base in bases)
    assert found == same and found


def test_a_change_of_the_data_is_noticed(on_spark, spark):
    """A table that Spark holds has a fingerprint, the same each time and another after one value changed."""
    unit = on_spark.units["boutique"]
    orders = spark.read_csv(str(on_spark.folder / "data" / "demo" / "boutique" / "transactions.csv"), header=True)
    spark.create_view("orders", orders, overwrite=True)
    in_spark = TableSource(table="orders", columns=unit.tables["transactions"].columns)
    unit = unit.model_copy(update={"tables": {"transactions": in_spark}})
    before = source_fingerprint(on_spark, unit)
    assert source_fingerprint(on_spark, unit) == before
    spark.create_view("orders", orders.mutate(customer=orders.customer.replace("B0000001", "B1")), overwrite=True)
    assert source_fingerprint(on_spark, unit) != before
