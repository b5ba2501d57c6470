"""Types, tiers, moves between them, clusters, categories: planted ones are found, criteria are kept to."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.business_unit import Tier, TypeLines
from cvmlib.clv.terms import Terms
from cvmlib.decisions.categories import count_pairs, find_next, fit_categories
from cvmlib.decisions.clusters import bin_features, find_clusters
from cvmlib.decisions.latent import Rates, Spend
from cvmlib.decisions.migration import count_moves, estimate_moves
from cvmlib.decisions.tiers import OUTSIDE, assign_tiers, set_tiers, tabulate_tiers
from cvmlib.decisions.types import TYPES, assign_types, cross, draw_lines, tabulate_types

TERMS = Terms(margin=0.5, per_transaction=1.0)


def tier(low: float | None = None, high: float | None = None) -> Tier:
    return Tier.model_validate({key: end for key, end in (("from", low), ("to", high)) if end is not None})


def known(rate: float, alive: float, spend: float) -> tuple[Rates, Spend]:
    """One customer whose rate and spend are certain."""
    sharp = 1e8
    rates = Rates(np.array([[rate]]), np.ones((1, 1)), np.array([[alive]]))
    return rates, Spend(sharp, np.array([sharp]), np.array([spend]))


@pytest.mark.parametrize(
    ("rate", "spend", "name"), [(5, 40, "gold"), (1, 40, "comet"), (5, 10, "stream"), (1, 10, "burden")]
)
def test_a_customer_known_for_certain_has_his_type(rate, spend, name):
    lines = draw_lines(np.ones(1), np.ones(1), np.ones(1), TypeLines(margin_per_purchase=10.0, purchases_per_year=2.0))
    assert lines.stated
    chances = assign_types(*known(rate, 1.0, spend), TERMS, lines)[0]
    assert TYPES[chances.argmax()] == name and chances.max() == pytest.approx(1.0)
    gone = assign_types(*known(rate, 0.25, spend), TERMS, lines)[0]
    assert gone[0] + gone[2] == pytest.approx(0.25 * (rate > 2))


def test_lines_are_those_of_the_average_customer_without_criteria():
    lines = draw_lines(np.array([10.0, 31.0]), np.array([1.0, 4.0]), np.array([3.0, 1.0]), None)
    assert (lines.margin, lines.often, lines.stated) == (15.0, 1.8, False)


def test_types_share_out_customers_and_value():
    chances = cross(np.array([1.0, 0.5]), np.array([0.0, 0.5]))
    table = tabulate_types(chances, pd.DataFrame({"current": [10.0, 100.0]}), np.array([4.0, 2.0])).set_index("type")
    assert table["customers"].to_dict() == {"gold": 0.5, "comet": 4.5, "stream": 0.5, "burden": 0.5}
    assert table.loc["comet", "current"] == pytest.approx((40 + 50) / 240) and table.loc["comet", "sure"] == 4


def test_tiers_are_kept_to_and_who_is_in_none_is_said():
    tiers = set_tiers({"low": tier(high=20), "top": tier(100), "middle": tier(20, 60)}, 50.0)
    assert tiers.names == ("top", "middle", "low", OUTSIDE)
    placed = [tiers.names[place] for place in tiers.place(np.array([-5, 19.99, 20, 59, 60, 99, 100, 1e9]))]
    assert placed == ["low", "low", "middle", "middle", OUTSIDE, OUTSIDE, "top", "top"]
    default = set_tiers({}, 48.0)
    assert default.names == ("platinum", "gold", "silver", "basic") and default.low[:3] == (120.0, 48.0, 19.0)


@pytest.mark.parametrize(("rate", "spend", "name"), [(10, 40, "top"), (2, 40, "middle"), (1, 10, "low")])
def test_margin_a_year_decides_the_tier(rate, spend, name):
    tiers = set_tiers({"low": tier(high=20), "middle": tier(20, 100), "top": tier(100)}, 50.0)
    chances = assign_tiers(*known(rate, 1.0, spend), TERMS, tiers)[0]
    assert tiers.names[chances.argmax()] == name and chances.max() == pytest.approx(1.0)
    half = dict(zip(tiers.names, assign_tiers(*known(rate, 0.5, spend), TERMS, tiers)[0], strict=True))
    assert half["low"] == pytest.approx(1.0 if name == "low" else 0.5)


def test_share_of_value_by_tier_has_the_interval_of_resampled_customers():
    rng = np.random.default_rng(3)
    tiers = set_tiers({"rest": tier(high=50), "top": tier(50)}, 50.0)
    value = rng.gamma(0.5, 60, 4_000)
    chances = np.column_stack([value >= 50, value < 50]).astype(float)
    row = tabulate_tiers(tiers, chances, value, np.ones(4_000)).iloc[0]
    drawn = [value[s][value[s] >= 50].sum() / value[s].sum() for s in rng.integers(4_000, size=(400, 4_000))]
    assert row["tier"] == "top" and row["customers"] == (value >= 50).sum()
    assert [row["share_low"], row["share_high"]] == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=0.006)


def test_moves_count_whole_years_of_those_who_were_there():
    rows = [("old", "2023-05-01", 1.0), ("old", "2024-08-01", 60.0), ("old", "2025-08-01", 10.0)]
    rows += [("up", "2024-06-30", 5.0), ("up", "2025-07-01", 70.0), ("new", "2024-07-02", 99.0)]
    flow = pd.DataFrame(rows, columns=["customer_id", "day", "margin"]).assign(day=lambda t: pd.to_datetime(t["day"]))
    tiers = set_tiers({"rest": tier(high=50), "top": tier(50)}, 50.0)
    moves = count_moves(ibis.memtable(flow), tiers, date(2026, 6, 30))
    found = moves.set_index(["before", "after"])["customers"].to_dict()
    assert found == {("top", "rest"): 1, ("rest", "top"): 1}
    table = estimate_moves(moves, tiers)
    assert len(table) == 4 and table.groupby("before")["share"].sum().tolist() == pytest.approx([1.0, 1.0])
    assert (table["low"] < table["share"]).all() and (table["share"] < table["high"]).all()


def test_planted_groups_are_found_and_named_by_what_they_do():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "n": np.r_[rng.integers(30, 40, 300), rng.integers(1, 3, 900)],
            "days": np.r_[rng.integers(8, 14, 300), rng.integers(500, 800, 900)],
        }
    )
    table = ibis.memtable(frame)
    binned = bin_features(table, {"purchases": table.n, "silence": table.days})
    found = find_clusters(binned, ["purchases", "silence"])
    assert found.table["customers"].tolist() == [900, 300]
    assert set(found.table["cluster"][1].split(", ")) == {"buys often", "bought lately"}
    assert found.table["purchases"].tolist() == pytest.approx([1.45, 34.4], rel=0.05)
    assert found.bins["customers"].sum() == 1200


def test_customers_all_alike_are_one_group():
    table = ibis.memtable(pd.DataFrame({"n": [1] * 50}))
    found = find_clusters(bin_features(table, {"purchases": table.n}), ["purchases"])
    assert found.table["customers"].tolist() == [50]


def test_categories_lacking_and_the_next_one():
    rng = np.random.default_rng(5)
    shares = rng.dirichlet([6.0, 3.0, 1.0], 3_000)
    lines = np.array([rng.multinomial(n, row) for n, row in zip(rng.integers(1, 12, 3_000), shares, strict=True)])
    place, kind = np.nonzero(lines)
    held = pd.DataFrame({"customer_id": place.astype(str), "category": np.array(["a", "b", "c"])[kind]})
    holdings = ibis.memtable(held.assign(lines=lines[place, kind], spend=1.0))
    fitted = fit_categories(count_pairs(holdings)).set_index("category")
    assert fitted["share"].tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.02)
    assert fitted["weight"].tolist() == pytest.approx([10, 10, 10], rel=0.35)
    found = find_next(holdings, fitted.reset_index()).execute().set_index("customer_id")
    only = held.groupby("customer_id")["category"].agg(set)
    first = only.index[only == {"a"}]
    assert (found.loc[first, "next_category"] == "b").all() and (found.loc[first, "cross"] == 1.0).all()
    everything = only.index[only.map(len) == 3]
    assert found.loc[everything, "next_category"].isna().all() and (found.loc[everything, "cross"] == 0).all()
    assert (found["held"] == only.map(len).reindex(found.index)).all()
