"""Paths are read, merged and cut as said."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.attribution.paths import parse_paths
from cvmlib.errors import DataError
from tests.attribution.conftest import build_paths


def table(*rows):
    return pd.DataFrame(rows, columns=["path", "conversions", "nulls", "value"])


def test_equal_paths_become_one_whatever_their_blanks():
    paths, cut = parse_paths(table(("a > b", 1, 2, 5.0), ("a>b", 3, 0, 7.0), (" b >a ", 0, 1, 0.0)))
    assert paths.texts() == ["a > b", "b > a"]
    assert paths.conversions.tolist() == [4, 0] and paths.nulls.tolist() == [2, 1] and paths.value.tolist() == [12, 0]
    assert cut == {"paths": 0, "touches": 0}


def test_a_path_of_ten_thousand_touches_keeps_its_latest():
    long = " > ".join([*(f"x{i % 7}" for i in range(9_998)), "first kept", *("y" for _ in range(98)), "last"])
    paths, cut = parse_paths(table((long, 1, 0, 1.0), ("a", 0, 1, 0.0)))
    assert paths.lengths.tolist() == [100, 1]
    assert paths.texts()[0].startswith("first kept > y") and paths.texts()[0].endswith("last")
    assert cut == {"paths": 1, "touches": 9_998}


def test_relabelling_merges_channels_and_paths():
    paths = build_paths({"a > b": (1, 0), "a > c": (2, 5), "c": (0, 1)})
    merged = paths.relabel(["a", "rest", "rest"])
    assert merged.channels == ("a", "rest") and merged.texts() == ["a > rest", "rest"]
    assert merged.conversions.tolist() == [3, 0] and merged.nulls.tolist() == [5, 1]


def test_paths_without_a_touch_are_refused():
    with pytest.raises(DataError, match=r"none of 2 rows holds a touch; expected paths such as 'search > email'"):
        parse_paths(table(("", 1, 0, 0.0), (" > ", 0, 1, 0.0)))


def test_squares_that_are_not_supplied_spread_as_the_means_do():
    rng = np.random.default_rng(2)
    value = rng.gamma(4, 10, 4_000)
    whole = table(*((f"c{i % 50}", 1, 0, v) for i, v in enumerate(value)))
    by_path = whole.groupby("path", as_index=False)[["conversions", "nulls", "value"]].sum()
    paths, _ = parse_paths(by_path)
    # 50 means of 80 tell a variance of 400 with a relative error of sqrt(2 / 49), and its kurtosis hardly adds to it
    assert paths.value_sq.sum() / len(value) - value.mean() ** 2 == pytest.approx(400, rel=4 * np.sqrt(2 / 49))
