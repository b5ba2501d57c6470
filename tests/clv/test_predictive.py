"""Simulation of alike customers: who shares what with whom, and quantiles by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from cvmlib.clv import predictive
from cvmlib.clv.ahead import Ahead, Outlook
from cvmlib.clv.expectation import group_alike
from cvmlib.clv.predictive import Pricing, purchase_probabilities, simulate
from cvmlib.clv.purchase_model import Draws
from tests.clv.buyers import BUYING, YEAR, known, one_row, unsure, year_ahead

TAILS = (0.05, 0.95)


def price(rows: pd.DataFrame, draws: int, per_transaction: float = 0.0, discount: float = 1.0) -> Pricing:
    return Pricing(np.ones(draws), per_transaction, np.full(len(group_alike(rows)), discount), TAILS)


def run(rows: pd.DataFrame, outlook: Outlook, pricing: Pricing, seed: int = 1) -> predictive.Simulated:
    z = rows["monetary_value"].to_numpy(dtype=float)
    return simulate(group_alike(rows), z, outlook, pricing, np.random.default_rng(seed))


def watch(purchase: Draws) -> tuple[Draws, list[np.ndarray]]:
    """Draws whose family keeps what it simulated."""
    kept = []

    def simulate_future(*arguments):
        kept.append(purchase.family.simulate_future(*arguments))
        return kept[-1]

    return Draws(replace(purchase.family, simulate_future=simulate_future), purchase.values), kept


def many_rows() -> pd.DataFrame:
    rows = [one_row(x, x * 50.0, 400.0, z * (x > 0), n) for x, n in ((0, 900), (1, 1), (4, 7)) for z in (20.0, 60.0)]
    return pd.concat(rows, ignore_index=True).drop(index=1)  # one row of none, two of the others


@pytest.mark.parametrize(("draws", "pooled"), [(1000, (1, 1, 1)), (200, (5, 2, 5)), (50, (20, 8, 14))])
def test_every_customer_is_simulated_once(monkeypatch, draws, pooled):
    """What is pooled for intervals is at least 400 samples, up to 1000 where there are customers for them."""
    monkeypatch.setattr(predictive, "_CELLS", 100 * draws)
    purchase, kept = watch(known(draws)[0])
    found = run(many_rows(), Outlook(purchase, known(draws)[1], year_ahead(draws)), price(many_rows(), draws))
    customers = np.array([900, 2, 14])
    assert sum(one.shape[1] for one in kept) == np.maximum(customers, pooled).sum()
    assert max(one.shape[1] for one in kept) <= 100
    # The totals are of the customers alone.
    columns = np.hstack(kept)
    first, nobody = columns[:, : sum(pooled)], max(pooled[1] - 2, 0)
    assert nobody == (pooled[1] - 2 if draws == 50 else 0)
    extra = first[:, pooled[0] + 2 : pooled[0] + pooled[1]].sum(axis=1)
    assert (found.totals[0] == columns.sum(axis=1) - extra).all()


def test_intervals_by_hand():
    """Two rows of one group: their intervals come from the same purchases."""
    draws = 200
    purchase, kept = watch(known(draws)[0])
    spend = unsure(draws)[1]
    rows = pd.concat([one_row(z=20.0, customers=3), one_row(z=60.0, customers=9)], ignore_index=True)
    kept_money = np.linspace(0.3, 0.5, draws)
    pricing = Pricing(kept_money, 8.0, np.array([0.9]), TAILS)
    found = run(rows, Outlook(purchase, spend, year_ahead(draws)), pricing, seed=5)
    count = kept[0]
    assert count.shape == (draws, 5)
    _, of_money = np.random.default_rng(5).spawn(2)
    scale = predictive.gamma_gamma.simulate_scale(count, np.full(5, 3.0), spend.p, spend.q, of_money)
    exact = np.quantile(count, [TAILS[0], 0.5, TAILS[1]], method="inverted_cdf")
    assert (found.purchases[:, 0] == exact).all()
    for row, z in enumerate((20.0, 60.0)):
        money = (spend.gamma[:, None] + 3.0 * z) * scale
        value = 0.9 * (kept_money[:, None] * money - 8.0 * count)
        assert (value < 0).any() and (value == 0).any() and (value > 0).any()
        assert found.value[:, row] == pytest.approx(np.quantile(value, TAILS))
    # In the totals each of the twelve has purchases and money of his own, at the spend of his row.
    others = predictive.gamma_gamma.simulate_scale(kept[1], np.full(7, 3.0), spend.p, spend.q, of_money)
    z = np.r_[[20.0] * 3, [60.0] * 9]
    money = ((spend.gamma[:, None] + 3.0 * z) * np.hstack([scale, others])).sum(axis=1)
    bought = np.hstack(kept).sum(axis=1)
    assert found.totals == pytest.approx(np.array([bought, 0.9 * bought, money, 0.9 * money]))


@pytest.mark.parametrize("tails", [(0.05, 0.95), (0.25, 0.75), (0.0, 1.0), (0.499, 0.501)])
def test_quantiles_of_counts(tails):
    rows = pd.concat([one_row(x, 290.0, 300.0) for x in (0, 1, 2, 8, 40)], ignore_index=True)
    purchase, kept = watch(known(400)[0])
    pricing = replace(price(rows, 400), tails=tails)
    found = run(rows, Outlook(purchase, known(400)[1], year_ahead()), pricing)
    assert (found.purchases == np.quantile(kept[0], [tails[0], 0.5, tails[1]], axis=0, method="inverted_cdf")).all()


def test_rows_that_differ_in_spend_alone_are_independent_in_the_totals():
    """Their intervals share a simulation; their totals would vary tenfold too much if they did."""
    rows = pd.concat([one_row(z=z) for z in np.linspace(5.0, 80.0, 100)], ignore_index=True)
    outlook = Outlook(*known(1000), year_ahead(1000))
    found = run(rows, outlook, price(rows, 1000))
    assert len(group_alike(rows)) == 1
    single = run(one_row(customers=1), outlook, price(one_row(), 1000), seed=2).totals
    assert found.totals[0].var() == pytest.approx(100 * single[0].var(), rel=4 * 0.09)
    # Ends of the intervals rise with z, as the sample is the same.
    assert (np.diff(found.value[1]) > 0).all()


def test_any_order_of_the_rows(monkeypatch):
    rows = many_rows()
    outlook = Outlook(*unsure(200), year_ahead(200))
    one = run(rows, outlook, price(rows, 200))
    other = run(rows.iloc[::-1].reset_index(drop=True), outlook, price(rows, 200))
    assert (one.purchases == other.purchases).all() and (one.value == other.value[:, ::-1]).all()
    assert one.totals[:2] == pytest.approx(other.totals[:2])


def new_customer(k: int, t: float, r: float, alpha: float, a: float, b: float) -> float:
    """Probability of k repeat purchases of a new customer within t (equation 8 of the BG/NBD's paper)."""
    beta = special.beta(a, b)
    stays = special.beta(a, b + k) / beta * stats.nbinom.pmf(k, r, alpha / (alpha + t))
    if k == 0:
        return stays
    return stays + special.beta(a + 1, b + k - 1) / beta * stats.nbinom.sf(k - 1, r, alpha / (alpha + t))


def test_probabilities_of_purchases(monkeypatch):
    monkeypatch.setattr(predictive, "_CELLS", 1)
    rows = pd.concat([one_row(0, 0.0, 0.0), one_row(), one_row(0, 0.0, 0.0)], ignore_index=True)
    days = np.array([0.0, YEAR])
    edges = np.outer(np.tile([0.5, 1.5], 50), days)
    found = purchase_probabilities(known(100)[0], Ahead(edges, days), rows, 6, seed=3, samples=40_000)
    assert found.shape == (3, 7) and (found[0] == found[2]).all() and (found[1] != found[0]).any()
    exact = [np.mean([new_customer(k, YEAR * pace, **BUYING) for pace in (0.5, 1.5)]) for k in range(7)]
    error = np.sqrt(np.array(exact) / 40_000)
    assert (np.abs(found[0] - exact) < 4 * error).all()
    assert 0 < 1 - found[0].sum() < 0.2
    again = purchase_probabilities(known(100)[0], Ahead(edges, days), rows, 6, seed=3, samples=40_000)
    assert (again == found).all()


def test_probabilities_of_draws_that_do_not_match():
    with pytest.raises(ValueError, match="30 of purchase, 400 of ahead"):
        purchase_probabilities(known(30)[0], year_ahead(), one_row(), 3, seed=1)
