"""Referral trees: credited by hand, in circles, and the referrals that simulated customers go on to make."""

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.decisions.influence import build_tree, expect_referrals, find_links, pass_on
from cvmlib.errors import DataError


def people(links: dict[str, str | None]) -> ibis.Table:
    return ibis.memtable(
        pd.DataFrame({"customer_id": list(links), "referred_by": pd.Series(list(links.values()), dtype="string")})
    )


def test_unknown_referrers_and_oneself_do_not_count():
    found = find_links(people({"a": None, "b": "a", "c": "c", "d": "nobody", "e": "b"}))
    assert found.to_numpy().tolist() == [["b", "a"], ["e", "b"]]


def test_accounts_are_passed_up_by_generation_and_sum_to_nothing():
    tree = build_tree(find_links(people({"a": None, "b": "a", "c": "b", "d": "b", "e": None})))
    value = {"a": 1.0, "b": 10.0, "c": 100.0, "d": 1000.0}
    own = np.array([value[name] for name in tree.customers])
    received, given = (dict(zip(tree.customers, part, strict=True)) for part in pass_on(tree, own))
    assert received == {"a": 0.5 * (10 + 550), "b": 550.0, "c": 0.0, "d": 0.0}
    assert given == {"a": 0.0, "b": 280.0, "c": 50.0, "d": 500.0}
    assert sum(received.values()) == pytest.approx(float(tree.weight @ own)) == sum(given.values())


@pytest.mark.parametrize("seed", range(3))
def test_credit_equals_a_walk_up_from_every_customer(seed):
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(300)]
    parent = {name: names[rng.integers(i)] if i and rng.random() < 0.6 else None for i, name in enumerate(names)}
    tree, value = build_tree(find_links(people(parent))), dict(zip(names, rng.gamma(1.0, 50, 300), strict=True))
    received, _ = pass_on(tree, np.array([value[name] for name in tree.customers]))
    walked = dict.fromkeys(names, 0.0)
    for name in names:
        share, above = 0.5, parent[name]
        while above:
            walked[above] += share * value[name]
            share, above = share / 2, parent[above]
    assert received == pytest.approx([walked[name] for name in tree.customers])


def test_a_circle_is_named():
    links = people({"a": None, "b": "a", "x": "z", "y": "x", "z": "y", "w": "z"})
    with pytest.raises(DataError) as error:
        build_tree(find_links(links), "shop")
    message = str(error.value)
    assert message.startswith("shop.customers.referred_by: referrals go in a circle of 3 customers")
    assert "4 customers in all cannot be placed" in message and "Mend the column referred_by" in message
    assert all(name in message.split(":")[2].split(";")[0] for name in "xyz")


def referring_world(rng: np.random.Generator, arrivals: int, span: int, ahead: int) -> tuple:
    """Customers join evenly; a tenth are brought by an earlier one, in proportion to gamma merits."""
    days = np.sort(rng.integers(0, span + ahead, int(arrivals * (span + ahead) / span)))
    merit = rng.gamma(0.8, 1.0, len(days))
    brought, later = np.zeros(len(days), int), 0
    events, known = [], int((days < span).sum())
    for i in range(1, len(days)):
        if rng.random() < 0.1:
            by = rng.choice(i, p=merit[:i] / merit[:i].sum())
            if days[i] < span:
                events.append(days[i])
                brought[by] += 1
            else:
                later += by < known
    rows = pd.DataFrame({"joined": days[:known], "referred": brought[:known]})
    return rows.value_counts().rename("customers").reset_index(), np.array(events), later


def test_referrals_to_come_lie_in_their_interval():
    inside = []
    for seed in range(12):
        rows, events, later = referring_world(np.random.default_rng(seed), 1_500, 1096, 365)
        found = expect_referrals(rows, events, 1096, 365.0, seed=seed)
        low, high = np.quantile(found.draws, [0.05, 0.95])
        inside.append(low <= later <= high)
        size = found.rows["customers"].to_numpy()
        assert size @ found.mean == pytest.approx(found.draws.mean(), rel=0.05)
        more = found.mean[found.rows["referred"].to_numpy() >= 2].mean()
        assert more > found.mean[found.rows["referred"].to_numpy() == 0].mean()
    assert sum(inside) >= 8  # of twelve with probability 0.9 each, fewer come once in two hundred


def test_nobody_was_referred():
    rows = pd.DataFrame({"joined": [0, 100], "referred": 0, "customers": [10, 20]})
    found = expect_referrals(rows, np.array([], int), 400, 365.0)
    assert found.draws.mean() < 3 and found.mean.sum() < 1
