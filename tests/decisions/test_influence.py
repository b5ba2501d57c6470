"""Referral trees: credited by hand, in circles, and what simulated customers go on to bring and to refer."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.calendar import plain_calendar
from cvmlib.clv.families.registry import FAMILIES
from cvmlib.clv.live import Live
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.terms import Terms
from cvmlib.decisions.influence import build_tree, draw_sums, expect_referrals, find_links, pass_on
from cvmlib.decisions.influence_ahead import draw_ahead
from cvmlib.decisions.value_parts import Influence, Sampler, measure_influence
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


def growing_world(rng: np.random.Generator, span: int, pace: float) -> tuple:
    """Customers join with the season and at a growth of their own; three in ten are referred."""
    day = np.arange(-span, 365)
    growth = rng.normal(0.0, 0.25)
    weight = np.exp(growth * day / 365.25) * (1 + 0.4 * np.cos(2 * np.pi * day / 365.25))
    joined = np.repeat(day, rng.poisson(pace * weight))
    referred = rng.random(len(joined)) < 0.3
    past = joined < 0
    by_known = rng.random(len(joined)) < past.sum() / np.arange(1, len(joined) + 1).clip(past.sum())
    rows = pd.DataFrame({"joined": joined[past], "referred": 0}).value_counts().rename("customers").reset_index()
    return rows, joined[past & referred], int((referred & by_known & ~past).sum())


@pytest.mark.parametrize("span", [200, 500, 1000])
def test_growth_is_as_uncertain_as_the_years_on_record_leave_it(span):
    outside = []
    for seed in range(80):
        rows, events, later = growing_world(np.random.default_rng([seed, span]), span, 0.6)
        low, high = np.quantile(expect_referrals(rows, events, -1, 365.25, seed=seed).draws, [0.05, 0.95])
        outside.append([later < low, later > high])
    below, above = np.sum(outside, axis=0)
    assert max(below, above) <= 12 and below + above <= 18  # of eighty: 4 expected on each side


def buyers(rng: np.random.Generator, size: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers who buy weekly and leave after any purchase: a year of counts, and what the next year brings."""
    rate, dropout = rng.gamma(3.0, 1 / 40.0, size), rng.beta(0.6, 30.0, size)
    spend = 5.0 / rng.gamma(5.0, 1 / 30.0, size)
    time = rng.exponential(1 / rate[:, None], (size, 400)).cumsum(axis=1)
    made = (np.arange(400) < rng.geometric(dropout)[:, None]) & (time < 730.5)
    early = made & (time < 365.25)
    money = rng.gamma(5.0, spend[:, None] / 5.0, made.shape)
    frequency = early.sum(axis=1)
    mean = np.divide((money * early).sum(axis=1), frequency, out=np.zeros(size), where=frequency > 0)
    rows = pd.DataFrame({"pattern": "", "frequency": frequency, "recency": (time * early).max(axis=1), "T": 365.25})
    return rows.assign(monetary_value=mean, customers=1), 0.4 * (money * (made & ~early)).sum(axis=1)


def test_a_tree_of_frequent_buyers_brings_what_was_drawn():
    rng, size, groups = np.random.default_rng(4), 40, 30
    rows, later = buyers(rng, size * groups)
    posterior = Draws(FAMILIES["bg_nbd"], tuple(np.full(20, value) for value in (3.0, 40.0, 0.6, 30.0)))
    spend = SpendDraws(*(np.full(20, value) for value in (5.0, 5.0, 30.0)))
    calendar, terms = plain_calendar(), Terms(margin=0.4)
    live = Live("shop", {"": posterior}, spend, calendar, terms, pd.Timestamp("2026-06-30"), 12, "day")
    weight = np.where(np.arange(len(rows)) % 3 == 0, 0.75, 0.5)
    scores = []
    for mine in np.split(np.arange(len(rows)), groups):
        drawn = draw_ahead(live, rows.iloc[mine].assign(weight=weight[mine]), 200, seed=int(mine[0]))
        scores.append((weight[mine] @ later[mine] - drawn.mean()) / drawn.std())
    assert abs(np.mean(scores)) < 4 / np.sqrt(groups)
    assert 0.3 < np.mean(np.square(scores)) < 2.0  # chi-square of thirty: standard error 0.26
    assert draw_ahead(live, rows.iloc[:0].assign(weight=0.5), 7).tolist() == [0.0] * 7


def family_of_three(newcomers: pd.DataFrame, ahead: Sampler) -> Influence:
    names = {"a": None, "b": "a", "c": "b"}
    own = pd.DataFrame({"customer_id": list(names), "first": pd.Timestamp("2025-06-01"), "historic": 10.0})
    own["first"] += pd.to_timedelta(np.arange(len(own)) * 7, unit="D")
    own = own.assign(current=100.0, current_low=80.0, current_high=130.0)
    arguments = date(2026, 6, 30), newcomers, ahead, 365.25, 0.0
    return measure_influence(people(names), ibis.memtable(own), *arguments)


def test_credit_has_the_interval_of_what_it_is_made_of_and_the_draws_of_the_sampler():
    asked = []

    def sample(chosen: pd.DataFrame) -> np.ndarray:
        asked.append(chosen.set_index("customer_id")["weight"].to_dict())
        return np.linspace(100.0, 150.0, 300)

    found = family_of_three(pd.DataFrame(columns=["customers", "mean", "deviation"]), sample)
    assert asked == [{"b": 0.5, "c": 0.75}]
    assert found.received == pytest.approx(0.5 * (110 + 55) + 55)
    assert len(found.drawn_received) == len(found.drawn_coming) == 300
    assert found.drawn_received[[0, -1]] == pytest.approx(12.5 + np.array([100.0, 150.0]))
    members = found.members.set_index("customer_id")
    up, down = 30.0, 20.0
    assert members["credit"].to_dict() == pytest.approx({"a": 82.5, "b": 0.5 * 55 - 55, "c": -55.0})
    low, high = (members["credit"] - members["credit_low"]), (members["credit_high"] - members["credit"])
    assert low.to_dict() == pytest.approx(
        {"a": np.hypot(0.5, 0.25) * down, "b": np.hypot(0.25 * down, 0.5 * up), "c": 0.5 * up}
    )
    assert high.to_dict() == pytest.approx(
        {"a": np.hypot(0.5, 0.25) * up, "b": np.hypot(0.25 * up, 0.5 * down), "c": 0.5 * down}
    )


def test_sums_of_skewed_values_of_few_newcomers_lie_in_their_interval():
    rng, outside = np.random.default_rng(8), []
    for _ in range(400):
        seen = rng.gamma(0.6, 100.0, 40)
        drawn = draw_sums(rng.poisson(8.0, 1000), 40, seen.mean(), seen.std(ddof=1), rng)
        low, high = np.quantile(drawn, [0.05, 0.95])
        later = rng.gamma(0.6, 100.0, rng.poisson(8.0)).sum()
        outside.append([later < low, later > high])
    below, above = np.sum(outside, axis=0)
    assert 8 <= below <= 36 and 8 <= above <= 36  # of four hundred: 20 expected on each side


def test_sums_are_normal_where_newcomers_cost_more_than_they_bring():
    rng = np.random.default_rng(9)
    drawn = draw_sums(np.full(40_000, 25.0), 100, -3.0, 5.0, rng)
    assert drawn.mean() == pytest.approx(-75.0, abs=0.6)
    assert drawn.std() == pytest.approx(np.hypot(25 * 0.5, 5 * 5.0), rel=0.02)
    assert draw_sums(np.zeros(3), 100, 3.0, 5.0, rng).tolist() == [0.0] * 3
