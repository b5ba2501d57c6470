"""Spark counts the same journeys, the same tests and the same drops as DuckDB."""

import pandas as pd
import pytest

from cvmlib.attribution.prepare import FINDINGS, KINDS, PATHS, TESTS, prepare_unit, unit_folder


def left(portfolio, con):
    """What preparing the fashion shop's journeys leaves."""
    prepare_unit(portfolio, "fashion", con=con)
    folder = unit_folder(portfolio, "fashion")
    return {name: pd.read_parquet(folder / name) for name in (PATHS, KINDS, FINDINGS, TESTS)}


def test_journeys_are_counted_the_same(portfolio, spark, duckdb):
    ours, theirs = left(portfolio, duckdb), left(portfolio, spark)
    paths, others = (tables[PATHS].set_index("path").sort_index() for tables in (ours, theirs))
    assert len(paths) > 500 and paths["conversions"].sum() > 1_000
    for name in ("conversions", "nulls"):
        assert (paths[name] == others[name]).all()
    for name in ("value", "value_sq"):
        assert paths[name].to_numpy() == pytest.approx(others[name].to_numpy(), rel=1e-9)
    weights = [frame["recency"].explode().astype(float).to_numpy() for frame in (paths, others)]
    assert weights[0] == pytest.approx(weights[1], abs=1e-9)
    pd.testing.assert_frame_equal(ours[KINDS], theirs[KINDS], check_dtype=False, rtol=1e-9)
    pd.testing.assert_frame_equal(ours[FINDINGS], theirs[FINDINGS], check_dtype=False, rtol=1e-9)
    numbers = ["customers", "effect", "effect_se", "conversions", "value"]
    assert len(ours[TESTS]) == 7
    assert ours[TESTS][numbers].to_numpy(float) == pytest.approx(theirs[TESTS][numbers].to_numpy(float), rel=1e-9)
