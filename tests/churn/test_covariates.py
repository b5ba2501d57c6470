from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import leakage
from cvmlib.churn.covariates import count_patterns, find_levels, label_ranges, label_spells, number_patterns

SIZE = 2000


@pytest.fixture(scope="module")
def spells():
    """Subscriptions with columns of every kind, the outcome of which depends on one of them a little."""
    rng = np.random.default_rng(1)
    group = rng.choice(["a", "b", "c"], SIZE)
    churned = rng.random(SIZE) < np.where(group == "a", 0.6, 0.3)
    tenure = rng.integers(1, 24, SIZE)
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, SIZE), unit="D")
    price = rng.choice([10.0, 20.0], SIZE)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i:04d}" for i in range(SIZE)],
            "start": start,
            "churned": churned,
            "tenure": tenure,
            "price": price,
            "joined": 24288 + start.month,
            "end_reason": np.where(churned, "voluntary", None),
            "group": group,
            "age": rng.integers(18, 90, SIZE).astype(float),
            "identifier": [f"x{i}" for i in range(SIZE)],
            "country": "here",
            "born": start,
            "survey": np.where(churned, rng.choice(["bad", "good"], SIZE), None),
            "warned": np.where(rng.random(SIZE) < 0.97, churned, ~churned),
            "months_paid": tenure.astype(float),
            "total_paid": tenure * price,
            "counted_on": start + pd.to_timedelta(np.where(np.arange(SIZE) % 100 == 7, 10, -10), unit="D"),
        }
    )
    return ibis.memtable(frame)


def test_levels_are_text_or_ranges(spells):
    found, refused = find_levels(spells, ["group", "age"], {"age": [65, 30]})
    assert not refused
    assert found[0].levels == ("a", "b", "c") and found[0].sentence() == "group has 3 levels."
    assert found[1].levels == ("below 30", "30 to below 65", "65 and more")
    assert found[1].sentence() == "age is cut at 30, 65."
    quartiles, _ = find_levels(spells, ["age"])
    frame = spells.execute()
    assert np.allclose(quartiles[0].cuts, frame["age"].quantile([0.25, 0.5, 0.75]), atol=0.5)


def test_a_value_on_a_cut_belongs_to_the_range_above():
    assert label_ranges([1.5, 3]) == ["below 1.5", "1.5 to below 3", "3 and more"]
    table = ibis.memtable(pd.DataFrame({"x": [1.0, 1.5, 3.0, None]}))
    found, _ = find_levels(table, ["x"], {"x": [1.5, 3.0]})
    labels = label_spells(table, found).execute()
    assert labels["level__x"].tolist() == ["below 1.5", "1.5 to below 3", "3 and more", "not stated"]


@pytest.mark.parametrize(
    ("name", "cuts", "reason"),
    [
        ("country", {}, r"country has one value only \(“here”\), which explains no difference"),
        ("identifier", {}, r"identifier has 2,000 different values .* too many for levels. Group them in the mapping"),
        ("born", {}, "born holds dates. Map a number or a group made of them"),
        ("group", {"group": [3.0]}, "group is to be cut at 3.0, but holds text, not numbers"),
        ("age", {"age": [900.0]}, r"age lies in one range only \(below 900\); cut it elsewhere"),
    ],
)
def test_columns_that_cannot_be_covariates_are_refused_with_the_reason(spells, name, cuts, reason):
    found, refused = find_levels(spells, [name], cuts)
    assert not found
    assert pd.Series(refused[0].reason).str.contains(reason).all()


def test_small_values_are_counted_together():
    frame = pd.DataFrame({"town": [f"t{i:02d}" for i in range(40) for _ in range(40 - i)]})
    found, _ = find_levels(ibis.memtable(frame), ["town"])
    assert len(found[0].levels) == 12 and found[0].levels[-1] == "other" and found[0].merged == 29
    assert found[0].sentence() == "town has 12 levels, 29 smaller ones counted as “other”."
    labels = label_spells(ibis.memtable(frame), found).execute()["level__town"]
    assert (labels == "other").sum() == (frame["town"] >= "t11").sum()


def test_counts_by_pattern_are_those_of_the_subscriptions(spells):
    found, _ = find_levels(spells, ["group", "age"], {"age": [40]})
    numbered, patterns = number_patterns(label_spells(spells, found), found)
    counts = count_patterns(numbered).merge(patterns.drop(columns="subscriptions"), on="pattern")
    frame = spells.execute()
    frame["age"] = np.where(frame["age"] < 40, "below 40", "40 and more")
    keys = ["group", "age", "joined", "tenure", "churned"]
    expected = frame.groupby(keys).size()
    np.testing.assert_array_equal(counts.groupby(keys)["subscriptions"].sum().sort_index(), expected.sort_index())
    assert patterns["subscriptions"].is_monotonic_decreasing and not counts["involuntary"].any()
    assert set(numbered.columns) == set(spells.columns) | {"pattern"}


def test_without_covariates_there_is_one_pattern(spells):
    numbered, patterns = number_patterns(spells, [])
    assert patterns["subscriptions"].tolist() == [SIZE] and count_patterns(numbered)["pattern"].eq(0).all()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("survey", "survey alone tells who left from who stayed almost perfectly (out-of-sample AUC"),
        ("warned", "warned alone tells who left from who stayed almost perfectly (out-of-sample AUC 0.9"),
        ("months_paid", "months_paid follows the length of stay of those who left (correlation 1.00)"),
        (
            "total_paid",
            "total_paid follows the sum that they paid over their stay of those who left (correlation 1.00)",
        ),
        (
            "group",
            "group was measured after the time at risk began for 20 subscriptions (column counted_on, up to 2024",
        ),
    ],
    ids=["known of leavers only", "made of the outcome", "length of stay", "sum paid", "dated too late"],
)
def test_columns_that_know_the_future_are_caught(spells, name, reason):
    measured = {"group": "counted_on"} if name == "group" else {}
    (leak,) = leakage.find_leaks(spells, [name], measured, None)
    assert leak.name == name and leak.reason.startswith(reason)
    if name == "group":
        assert "customers c0007, c0107, c0207, …" in leak.reason


def test_honest_columns_pass(spells):
    assert not leakage.find_leaks(spells, ["group", "age", "identifier", "price"], {}, None)


def test_what_was_measured_before_the_records_begin_may_be_used(spells):
    assert leakage.find_leaks(spells, ["group"], {"group": "counted_on"}, date(2024, 6, 1))
    assert not leakage.find_leaks(spells, ["group"], {"group": "counted_on"}, date(2025, 1, 1))


def test_out_of_sample_auc_is_that_of_leaving_each_out():
    rng = np.random.default_rng(2)
    value, left = rng.integers(0, 5, 60), rng.random(60) < 0.4
    share = left.mean()
    score = np.array(
        [(left[value == v].sum() - gone + share) / (value == v).sum() for v, gone in zip(value, left, strict=True)]
    )
    pairs = np.sign((score[left][:, None] - score[~left][None]).round(9))
    table = pd.DataFrame({"v": value, "left": left}).groupby("v")["left"].agg(["size", "sum"])
    auc = leakage.out_of_sample_auc(table["size"].to_numpy(float), table["sum"].to_numpy(float))
    assert auc == pytest.approx((pairs.mean() + 1) / 2)
    assert leakage.out_of_sample_auc(np.array([5.0]), np.array([0.0])) == 0.5
    assert leakage.out_of_sample_auc(np.ones(9), np.r_[np.ones(4), np.zeros(5)]) == 0.5
