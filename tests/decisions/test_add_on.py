"""Add-on: planted differences of baskets are found, what goes together is named, and where nothing can be told."""

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.decisions.add_on import (
    Lines,
    compare_lines,
    count_lines,
    count_together,
    find_add_on,
    find_partners,
    fit_lines,
)


def draw_lines(between: float, customers: int = 4_000, seed: int = 1) -> tuple[ibis.Table, np.ndarray]:
    """Customers whose further products in a purchase are Poisson about means of their own, on average 0.8."""
    rng = np.random.default_rng(seed)
    own = rng.gamma(0.64 / between, between / 0.8, customers) if between else np.full(customers, 0.8)
    who = np.repeat(np.arange(customers), 1 + rng.poisson(4, customers))
    further = rng.poisson(own[who])
    rows = pd.DataFrame({"customer_id": who.astype(str), "purchases": 1, "further": further, "squares": further**2})
    return ibis.memtable(rows.groupby("customer_id", as_index=False).sum()), own


def test_customers_who_differ_are_told_apart_and_held_against_each_other():
    lines, own = draw_lines(0.3)
    fitted = fit_lines(lines)
    assert fitted.mean == pytest.approx(0.8, abs=0.03)
    assert fitted.within == pytest.approx(0.8, abs=0.03) and fitted.between == pytest.approx(0.3, abs=0.04)
    found = find_add_on(lines, fitted).execute().set_index("customer_id")
    true = np.maximum(np.random.default_rng(9).permutation(own)[:, None] - own[None, :1_000], 0.0).mean(axis=0)
    mine = found.loc[[str(place) for place in range(1_000)]]
    assert mine["more"].mean() == pytest.approx(true.mean(), rel=0.06)
    assert np.corrcoef(mine["basket"], own[:1_000])[0, 1] > 0.6 and np.corrcoef(mine["more"], true)[0, 1] > 0.5
    assert found["basket"].mean() == pytest.approx(1.8, abs=0.03)


def test_chance_and_gap_are_those_of_draws():
    fitted, counts = Lines(0.8, 0.3, 1.2), pd.DataFrame({"purchases": [1, 6, 20], "further": [0, 9, 4]})
    rng, s, phi = np.random.default_rng(2), 0.64 / 0.3, 1.5
    other = rng.gamma(s, 0.8 / s, 400_000)
    for row in compare_lines(counts, fitted).itertuples():
        mine = rng.gamma(s + row.further / phi, 1 / (s / 0.8 + row.purchases / phi), 400_000)
        assert row.basket == pytest.approx(1 + mine.mean(), abs=0.005)
        assert row.more_chance == pytest.approx((other > mine).mean(), abs=0.004)
        assert row.more == pytest.approx(np.maximum(other - mine, 0.0).mean(), abs=0.005)


def test_customers_who_are_all_alike_leave_next_to_no_headroom():
    lines, _ = draw_lines(0.0)
    found = find_add_on(lines, fit_lines(lines)).execute()
    assert found["more"].mean() < 0.08  # a tenth of what is put in beyond the first
    alike = compare_lines(pd.DataFrame({"purchases": [3], "further": [2]}), Lines(0.8, 0.0, 0.8)).iloc[0]
    assert (alike["basket"], alike["more_chance"], alike["more"]) == (1.8, 0.0, 0.0)


@pytest.mark.parametrize("further", [[0, 0, 0], [1, 2, 3]])
def test_without_several_products_or_second_purchases_nothing_can_be_told(further):
    rows = pd.DataFrame({"customer_id": list("abc"), "purchases": 1, "further": further, "squares": np.square(further)})
    assert fit_lines(ibis.memtable(rows)) is None


LOG = ibis.memtable(
    pd.DataFrame(
        [("a", "2026-01-01 10:00", 5.0, "p"), ("a", "2026-01-01 18:00", 5.0, "q"), ("a", "2026-01-01 18:00", 5.0, "p"),
         ("a", "2026-01-05 09:00", 9.0, "p"), ("a", "2026-01-06 09:00", -5.0, "q"), ("b", "2026-01-01 10:00", 1.0, "r"),
         ("b", "2026-01-01 10:00", 1.0, None)],
        columns=["customer_id", "date", "value", "product_id"],
    ).assign(date=lambda t: pd.to_datetime(t["date"]))
)  # fmt: skip


def test_products_of_a_day_count_once_and_returns_do_not():
    found = count_lines(LOG).execute().set_index("customer_id")
    assert found.loc["a", ["purchases", "further", "squares"]].tolist() == [2, 1, 1]
    assert found.loc["b", ["purchases", "further"]].tolist() == [1, 0]


def test_categories_bought_together_are_counted():
    products = ibis.memtable(pd.DataFrame({"product_id": list("pqr"), "category": ["coat", "scarf", "coat"]}))
    table = count_together(LOG, products).execute()
    counted = table.fillna({"category": "", "other": ""}).set_index(["category", "other"])["purchases"].to_dict()
    assert counted == {
        ("", ""): 1,
        ("coat", "coat"): 1,
        ("scarf", "scarf"): 1,
        ("coat", "scarf"): 1,
        ("scarf", "coat"): 1,
    }


def test_what_goes_together_beyond_chance_is_named_and_what_is_common_is_not():
    alone = {"coat": 400, "scarf": 100, "socks": 600}
    both = {("coat", "scarf"): 80, ("coat", "socks"): 240, ("scarf", "socks"): 60}
    rows = [(None, None, 1_000)] + [(name, name, number) for name, number in alone.items()]
    rows += [(*pair[::step], number) for pair, number in both.items() for step in (1, -1)]
    found = find_partners(pd.DataFrame(rows, columns=["category", "other", "purchases"])).set_index("category")
    assert found["partner"].to_dict() == {"coat": "scarf", "scarf": "coat"}
    assert found.loc["coat", ["share", "times"]].tolist() == pytest.approx([0.2, 2.0])
