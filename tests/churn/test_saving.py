"""Whom to save: profits against a simulated campaign, lists against their cells."""

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from cvmlib.business_unit import Saving
from cvmlib.churn import money, saving
from cvmlib.churn.counts import active_cells
from cvmlib.churn.forecast import Terms
from cvmlib.churn.retention import fit_hazard

TERMS = Terms(12, 0.5, 1.0, 0.1)
COSTS = Saving(contact_cost=0.2, offer_cost=2.0, acceptance=[0.3, 0.6])


@pytest.fixture(scope="module")
def scored(counts):
    outlook = money.make_outlook(fit_hazard(counts, draws=600), active_cells(counts), TERMS)
    losses = money.expect_losses(outlook, COSTS.within_months)
    response = saving.assume_response(losses, COSTS)
    return outlook, losses, response, saving.score_contacts(outlook, losses, response)


@pytest.mark.parametrize("ends", [(0.15, 0.45), (0.01, 0.9), (0.9, 0.95), (0.001, 0.01)])
@pytest.mark.parametrize("interval", [0.5, 0.9])
def test_acceptance_has_the_interval_that_was_stated(ends, interval):
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    np.testing.assert_allclose(beta.ppf(tails, *saving.fit_acceptance(*ends, interval)), ends, rtol=1e-6)


def test_one_acceptance_is_a_range_of_next_to_no_width():
    a, b = saving.fit_acceptance(0.3, 0.3)
    assert a / (a + b) == pytest.approx(0.3) and beta.std(a, b) < 2e-4


def test_expected_profit_is_that_of_simulated_campaigns(scored, spells):
    """Customers of one cell are contacted: some would leave, some of these accept, everybody else takes the offer."""
    outlook, losses, response, scores = scored
    cell = int(losses.chance.mean(axis=0).argmax())
    chosen = outlook.cells.iloc[[cell]]
    customers = saving.join_profit(spells, scores, outlook, COSTS).execute()
    one = customers[
        (customers["plan"] == chosen["plan"].item()) & (customers["tenure"] == chosen["tenure"].item())
    ].iloc[0]
    rng = np.random.default_rng(1)
    draw = rng.integers(len(losses.chance), size=400_000)
    chance, months = losses.chance[draw, cell], losses.months[draw, cell]
    leaves = rng.random(len(draw)) < chance
    accepts = leaves & (rng.random(len(draw)) < response.saved[draw, cell] / chance)
    worth = (TERMS.margin * one["price"] - TERMS.cost_per_month) * months / chance
    profit = accepts * worth - COSTS.offer_cost * (accepts | ~leaves) - COSTS.contact_cost
    assert one["profit"] == pytest.approx(profit.mean(), abs=4 * profit.std() / np.sqrt(len(profit)))


def test_the_list_is_counted_in_cells_and_its_profit_adds_up(scored, spells):
    outlook, losses, response, scores = scored
    customers = saving.join_profit(spells, scores, outlook, COSTS)
    listed = customers.filter(customers.profit > customers.profit.mean())
    frame = listed.execute()
    found = saving.count_listed(spells, listed, outlook)
    assert found[0].sum() == frame["subscriptions"].sum() and found[1].sum() == pytest.approx(frame["price"].sum())
    profit = saving.draw_profit(outlook, losses, response, COSTS, found, len(frame))
    error = profit.std() / np.sqrt(len(profit))
    assert profit.mean() == pytest.approx(frame["profit"].sum(), abs=4 * error)
    summary = saving.summarise_list(profit, len(frame), 2000)
    assert summary["profit"]["low"] < frame["profit"].sum() < summary["profit"]["high"]


def test_no_other_ranking_of_the_same_size_is_expected_to_earn_more(scored, spells):
    outlook, _, _, scores = scored
    customers = saving.join_profit(spells, scores, outlook, COSTS)
    table = saving.compare_rankings(customers, 100).set_index("ranking")["profit"]
    assert table.idxmax() == "profit" and table["chance"] == pytest.approx(100 * customers.execute()["profit"].mean())


def test_a_worthless_subscription_is_never_worth_a_contact(scored, spells):
    outlook, _, _, scores = scored
    poor = spells.mutate(price=spells.price * 0 + 1.0)  # margin below cost: who stays loses money
    assert (saving.join_profit(poor, scores, outlook, COSTS).execute()["profit"] < 0).all()


def test_profit_does_not_depend_on_the_currency(scored, spells):
    outlook, losses, response, scores = scored
    small = saving.join_profit(spells, scores, outlook, COSTS).order_by("customer_id").execute()
    cents = money.Outlook(outlook.cells, outlook.hazard, outlook.billed, Terms(12, 0.5, 100.0, 0.1))
    costs = Saving(contact_cost=20, offer_cost=200, acceptance=[0.3, 0.6])
    large = saving.join_profit(spells.mutate(price=spells.price * 100), scores, cents, costs)
    np.testing.assert_allclose(large.order_by("customer_id").execute()["profit"], 100 * small["profit"], rtol=1e-9)


def test_empty_list(scored):
    outlook, losses, response, _ = scored
    nobody = (np.zeros(len(outlook.cells), int), np.zeros(len(outlook.cells)))
    assert (saving.draw_profit(outlook, losses, response, COSTS, nobody, 0) == 0).all()
    empty = pd.DataFrame({"customer_id": ["a"], "profit": [1.0], "at_risk": [1.0], "p_leave": [0.1], "price": [1.0]})
    assert (saving.compare_rankings(ibis.memtable(empty), 0)["profit"] == 0).all()
    assert (saving.compare_rankings(ibis.memtable(empty).filter(False), 0)["profit"] == 0).all()
