"""Levels and patterns of covariates: what becomes of texts, numbers, rare and missing values, on every way in."""

import datetime
import json

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.counts import count_rows
from cvmlib.clv.covariates import (
    MISSING,
    OTHER,
    Covariates,
    assign_patterns,
    find_covariates,
    read_pattern,
)
from cvmlib.errors import DataError


def tables(frame: pd.DataFrame, further: int = 0) -> tuple[ibis.Table, ibis.Table]:
    """Customers of the frame and `further` ones of whom nothing is known, and the frame with their identifiers."""
    known = frame.assign(customer_id=[f"c{i}" for i in range(len(frame))])
    everybody = pd.DataFrame({"customer_id": [f"c{i}" for i in range(len(frame) + further)]})
    return ibis.memtable(everybody), ibis.memtable(known)


def patterns_of(frame: pd.DataFrame, *columns: str, further: int = 0) -> tuple[list[str], Covariates]:
    customers, known = tables(frame, further)
    found = find_covariates(customers, known, columns, "shop")
    assigned = assign_patterns(customers, known, found).to_pandas()
    places = assigned["customer_id"].str[1:].astype(int)
    return assigned.set_index(places).sort_index()["pattern"].tolist(), found


def test_texts_are_levels_and_combine_to_patterns():
    frame = pd.DataFrame({"channel": ["web", " web ", "shop", "shop"], "age": ["young", "old", "old", ""]})
    patterns, found = patterns_of(frame, "channel", "age")
    assert patterns == ["web · young", "web · old", "shop · old", f"shop · {MISSING}"]
    assert [one.levels for one in found.used] == [("shop", "web"), ("old", "young", MISSING)]
    assert found.columns == ("channel", "age") and found.notices == ()
    assert read_pattern(patterns[0]) == ("web", "young") and read_pattern("") == ()


def test_who_is_not_in_the_table_is_of_the_missing_level():
    patterns, found = patterns_of(pd.DataFrame({"channel": ["web", "shop", None]}), "channel", further=2)
    assert patterns == ["web", "shop", MISSING, MISSING, MISSING]
    assert found.used[0].levels == ("shop", "web", MISSING)


def test_rare_texts_are_one_level():
    texts = ["web"] * 150 + ["shop"] * 48 + ["fair", "fax"]
    patterns, found = patterns_of(pd.DataFrame({"channel": texts}), "channel")
    assert found.used[0].levels == ("shop", "web", OTHER)
    assert patterns[-2:] == [OTHER, OTHER] and patterns.count("shop") == 48
    # A hundredth is not rare, and the levels stay those of the unit when some of its customers are looked at.
    assert patterns_of(pd.DataFrame({"channel": texts[:99] + ["fax"]}), "channel")[1].used[0].levels == ("fax", "web")
    customers, known = tables(pd.DataFrame({"channel": texts}))
    some = assign_patterns(customers.filter(customers.customer_id == "c199"), known, found)
    assert some.to_pandas()["pattern"].tolist() == [OTHER]


def test_many_numbers_are_cut_at_quartiles():
    rng = np.random.default_rng(1)
    income = rng.lognormal(10, 1, 400)
    patterns, found = patterns_of(pd.DataFrame({"income": np.r_[income, np.nan, np.inf]}), "income")
    covariate = found.used[0]
    expected = np.quantile(income, [0.25, 0.5, 0.75], method="inverted_cdf")
    assert covariate.numbers == pytest.approx(tuple(expected))
    assert covariate.levels[0].startswith("up to ") and covariate.levels[-2].startswith("above ")
    assert [patterns.count(level) for level in covariate.levels] == [100, 100, 100, 100, 2]
    assert patterns[-2:] == [MISSING, MISSING]


def test_numbers_pile_up_at_a_quartile():
    patterns, found = patterns_of(pd.DataFrame({"visits": [0.0] * 80 + list(range(1, 21))}), "visits")
    assert found.used[0].levels == ("up to 0", "above 0")
    assert [patterns.count(level) for level in found.used[0].levels] == [80, 20]


def test_few_numbers_and_booleans_are_levels():
    frame = pd.DataFrame(
        {"children": [0, 1, 2, 1], "score": [0.5, 0.5, 1.25, 2.0], "member": [True, False, True, None]}
    )
    patterns, found = patterns_of(frame, "children", "score", "member")
    assert patterns[:2] == ["0 · 0.5 · yes", "1 · 0.5 · no"] and patterns[3] == f"1 · 2 · {MISSING}"
    assert [one.levels for one in found.used][:2] == [("0", "1", "2"), ("0.5", "1.25", "2")]


def test_close_numbers_keep_names_of_their_own():
    frame = pd.DataFrame({"year": [1980.0, 1990.0, 2000.0], "share": [0.12341, 0.12342, 0.5]})
    _, found = patterns_of(frame, "year", "share")
    assert [one.levels for one in found.used] == [("1980", "1990", "2000"), ("0.12341", "0.12342", "0.5")]


def test_a_column_of_one_level_is_left_out_with_a_notice():
    frame = pd.DataFrame({"channel": ["web", "shop"], "land": ["DE", "DE"], "flat": [3.5, 3.5], "none": [None, None]})
    patterns, found = patterns_of(frame, "land", "channel", "flat", "none")
    assert patterns == ["web", "shop"] and found.columns == ("channel",)
    assert len(found.notices) == 3
    assert "Covariate 'land' of unit shop has one level only, DE" in found.notices[0]
    assert f"has one level only, {MISSING}" in found.notices[2]
    assert patterns_of(frame, "land")[0] == ["", ""]


def test_the_dot_between_levels_is_none_of_theirs():
    patterns, _ = patterns_of(pd.DataFrame({"channel": ["a · b", "c"], "age": ["d", "e"]}), "channel", "age")
    assert patterns == ["a - b · d", "c · e"] and read_pattern(patterns[0]) == ("a - b", "d")


def test_count_rows_by_pattern_lose_nobody():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"channel": rng.choice(["web", "shop"], 500), "age": rng.choice(["old", "young", ""], 500)})
    customers, known = tables(frame)
    counted = customers.mutate(frequency=ibis.literal(1), recency=ibis.literal(2.0), T=ibis.literal(3.0))
    found = find_covariates(customers, known, ["channel", "age"], "shop")
    rows = count_rows(assign_patterns(counted, known, found), by=["pattern"]).to_pandas()
    assert list(rows) == ["pattern", "frequency", "recency", "T", "customers"]
    expected = frame.replace("", MISSING).value_counts(["channel", "age"])
    assert dict(zip(rows["pattern"], rows["customers"], strict=True)) == {
        " · ".join(levels): n for levels, n in expected.items()
    }


def test_saved_and_read_again():
    frame = pd.DataFrame({"channel": ["web", "shop"], "income": [1.0, 2.0], "land": ["DE", "DE"]})
    _, found = patterns_of(frame, "channel", "income", "land")
    assert Covariates.from_dict(json.loads(json.dumps(found.as_dict()))) == found


REFUSED = {
    "a slip": (["chanel"], r"'chanel' of unit shop is no column.*Did you mean 'channel'\?.*units\.shop\.covariates"),
    "dates": (["joined"], r"'joined' of unit shop holds dates; expected text or numbers.*such as a year"),
    "a name": (["name"], r"'name' of unit shop has 4,000 different values \(such as n\d+, .*at most 500"),
    "patterns": (
        ["town", "job"],
        r"town, job of unit shop have 1,\d{3} patterns among its 4,000 customers; at most",
    ),
}


@pytest.mark.parametrize(("columns", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_cannot_be_a_covariate(columns, message):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "channel": "web",
            "joined": datetime.datetime(2025, 1, 1),
            "name": [f"n{i}" for i in range(4000)],
            "town": rng.choice([f"t{i}" for i in range(40)], 4000),
            "job": rng.choice([f"j{i}" for i in range(40)], 4000),
        }
    )
    with pytest.raises(DataError, match=message):
        patterns_of(frame, *columns)
