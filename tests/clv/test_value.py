"""Value: means and intervals against simulation at known parameters, and arithmetic by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import expectation, gamma_gamma, predictive, value
from cvmlib.clv.ahead import Ahead, Outlook
from cvmlib.clv.families import bg_nbd
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.terms import Terms
from cvmlib.clv.value import predict, residual
from tests.clv.buyers import BUYING, YEAR, counts_of, known, loyal, one_row, simulate_base, unsure, year_ahead


@pytest.fixture(scope="module")
def base() -> pd.DataFrame:
    return simulate_base(seed=5)


@pytest.fixture(scope="module")
def predicted(base):
    return predict(base, *known(), Terms(), year_ahead(), seed=1)


def test_means_against_what_happens(base, predicted):
    rows = predicted.rows
    for name, actual in (("purchases", base["ahead"]), ("value", base["money"])):
        error = (actual - rows[name]).std() / np.sqrt(len(base))
        assert abs((actual - rows[name]).mean()) < 3.5 * error
    # Not only on average: in every fifth of the customers by expectation.
    for _, fifth in (base["ahead"] - rows["purchases"]).groupby(pd.qcut(rows["purchases"], 5)):
        assert abs(fifth.mean()) < 3.5 * fifth.std() / np.sqrt(len(fifth))


def test_means_are_averages_over_draws():
    purchase, spend = unsure(30)
    found = predict(one_row(), purchase, spend, Terms(0.1), year_ahead(30), seed=1).rows.iloc[0]
    alive, purchases, money, prices = [], [], [], []
    for i in range(30):
        at = [v[i] for v in purchase.values]
        x, t_x, T = np.array([3.0]), np.array([200.0]), np.array([300.0])
        alive.append(bg_nbd.probability_alive(x, t_x, T, *at)[0])
        ahead = bg_nbd.expected_purchases(YEAR, x, T, *at)[0]
        discounted = bg_nbd.expected_purchases(YEAR, x, T, *at, discount=np.log(1.1) / 365.25)[0]
        purchases.append(alive[-1] * ahead)
        prices.append(gamma_gamma.expected_spend(x, 40.0, spend.p[i], spend.q[i], spend.gamma[i])[0])
        money.append(alive[-1] * discounted * prices[-1])
    assert found["p_alive"] == pytest.approx(np.mean(alive))
    assert found["purchases"] == pytest.approx(np.mean(purchases))
    assert found["spend"] == pytest.approx(np.mean(prices))
    assert found["value"] == pytest.approx(np.mean(money), rel=1e-4)  # discounted by the month


def test_intervals_of_customers_cover(base, predicted):
    rows = predicted.rows
    purchases = (base["ahead"] >= rows["purchases_low"]) & (base["ahead"] <= rows["purchases_high"])
    money = (base["money"] >= rows["value_low"] - 1e-9) & (base["money"] <= rows["value_high"] + 1e-9)
    assert purchases.mean() >= 0.90  # whole numbers: at least the nominal share
    assert 0.885 <= money.mean() <= 0.97
    active = rows["p_alive"] > 0.9
    assert 0.87 <= money[active].mean() <= 0.97
    # Intervals that are no wider than they need to be: the next narrower one, in purchases, covers less.
    tight = (base["ahead"] >= rows["purchases_low"]) & (base["ahead"] <= rows["purchases_high"] - 1)
    assert tight.mean() < 0.90


def test_half_intervals_cover_half():
    base = simulate_base(seed=6)
    base = base[(base["frequency"] >= 3) & (base["recency"] > base["T"] - 60)]
    rows = predict(base, *known(), Terms(interval=0.5), year_ahead(), seed=1).rows
    money = base["money"].to_numpy()
    inside = (money >= rows["value_low"]) & (money <= rows["value_high"])
    assert inside.mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / len(base)))


def test_intervals_of_totals_cover_over_seeds():
    held = {"purchases": 0, "value": 0}
    for seed in range(100, 160):
        base = simulate_base(seed, customers=250)
        found = predict(base, *known(200), Terms(), year_ahead(200), seed=seed, mean_draws=1)
        for name, actual in (("purchases", base["ahead"].sum()), ("value", base["money"].sum())):
            total = found.total(name)
            held[name] += total["low"] <= actual <= total["high"]
    assert all(48 <= count <= 60 for count in held.values()), held  # 54 expected, sd 2.3


def test_totals_agree_with_the_means(predicted):
    for name in ("purchases", "value"):
        simulated, total = getattr(predicted, name), predicted.total(name)
        error = simulated.std() / np.sqrt(len(simulated))
        assert simulated.mean() == pytest.approx(total["mean"], abs=4 * error)
        assert total["low"] < total["mean"] < total["high"]
        inside = (simulated >= total["low"]) & (simulated <= total["high"])
        assert inside.mean() == pytest.approx(0.9, abs=0.02)


def test_variance_of_totals_is_that_of_the_customers(base):
    """At known parameters customers are independent: the variances of single ones add up."""
    base = base.head(300)
    purchase, spend = known(1000)
    total = predict(base, purchase, spend, Terms(), year_ahead(1000), seed=2)
    rng = np.random.default_rng(9)
    x, t_x, T = counts_of(base)
    each = purchase.family.simulate_future(np.full(1000, YEAR), x, t_x, T, *purchase.values, rng)
    money = (spend.gamma[0] + x * base["monetary_value"].to_numpy()) * gamma_gamma.simulate_scale(
        each, x, spend.p, spend.q, rng
    )
    # The standard error of a variance from 1000 normal draws is 4.5% of it; of money a little more.
    assert total.purchases.var() == pytest.approx(each.var(axis=0).sum(), rel=4 * 0.045)
    assert total.value.var() == pytest.approx(money.var(axis=0).sum(), rel=4 * 0.06)


def test_totals_carry_the_uncertainty_of_the_parameters(base):
    """Law of total variance: the noise of the customers and the uncertainty of their expectation."""
    base = base.head(500)
    chance = predict(base, *known(), Terms(), year_ahead(), seed=1).purchases.std()
    purchase, spend = unsure(sd=0.2)
    total = predict(base, purchase, spend, Terms(), year_ahead(), seed=1).purchases
    x, t_x, T = counts_of(base)
    column = purchase.column()
    each = bg_nbd.probability_alive(x, t_x, T, *column) * bg_nbd.expected_purchases(YEAR, x, T, *column)
    expectation_sd = each.sum(axis=1).std()
    assert total.std() == pytest.approx(np.hypot(chance, expectation_sd), rel=0.1)
    assert total.std() > 1.5 * chance


def test_common_shocks_of_the_calendar_reach_the_totals(base):
    """All customers live through the same year: a year that is 20% longer or shorter moves them together."""
    days = np.linspace(0.0, YEAR, 13)
    pace = np.exp(np.random.default_rng(3).normal(0.0, 0.2, 400))
    base = base.head(600)
    shaken = predict(base, *known(), Terms(), Ahead(np.outer(pace, days), days), seed=1)
    still = predict(base, *known(), Terms(), year_ahead(), seed=1)
    x, t_x, T = counts_of(base)
    alive = bg_nbd.probability_alive(x, t_x, T, **BUYING)
    expected = np.array([alive @ bg_nbd.expected_purchases(YEAR * one, x, T, **BUYING) for one in pace])
    assert shaken.purchases.std() == pytest.approx(np.hypot(still.purchases.std(), expected.std()), rel=0.1)
    assert shaken.purchases.std() > 2 * still.purchases.std()
    assert shaken.total("purchases")["mean"] == pytest.approx(expected.mean(), rel=1e-6)


def test_a_row_of_fifty_stands_for_fifty_customers():
    draws, terms, ahead = unsure(1000), Terms(0.1, 0.4), year_ahead(1000)
    row = predict(one_row(customers=50), *draws, terms, ahead, seed=1)
    each = predict(pd.concat([one_row()] * 50, ignore_index=True), *draws, terms, ahead, seed=1)
    assert len(row.rows) == 1 and len(each.rows) == 50
    names = list(row.rows.columns.drop("customers"))
    assert (row.rows[names].iloc[0] == each.rows[names].iloc[7]).all()
    assert row.total("value")["mean"] == pytest.approx(each.total("value")["mean"])
    assert row.value == pytest.approx(each.value)  # the same customers in the same order
    other = predict(one_row(customers=50), *draws, terms, ahead, seed=2)
    assert other.total("value") == pytest.approx(row.total("value"), rel=0.12)
    # The interval is that of one customer, not of fifty.
    assert row.rows["value_high"][0] < row.total("value")["mean"] / 5


def test_chunking_changes_no_mean_and_no_distribution(monkeypatch, base):
    rows = base.head(300).assign(customers=np.r_[200, np.ones(299, dtype=int)])
    terms = Terms(0.1, 0.4)
    whole = predict(rows, *unsure(sd=0.3), terms, year_ahead(), seed=1)
    for module in (predictive, expectation):
        monkeypatch.setattr(module, "_CELLS", 20_000)
    parts = predict(rows, *unsure(sd=0.3), terms, year_ahead(), seed=1)
    assert len(parts.rows) == 300 and (parts.rows["customers"] == rows["customers"]).all()
    exact = ["frequency", "p_alive", "purchases", "spend", "value"]
    pd.testing.assert_frame_equal(parts.rows[exact], whole.rows[exact])
    for name in ("purchases", "value"):
        one, other = getattr(whole, name), getattr(parts, name)
        # The parameters of a draw are the same in every chunk, so totals go up and down together.
        assert np.corrcoef(one, other)[0, 1] > 0.3
        assert np.median(other) == pytest.approx(np.median(one), rel=0.06)
        assert np.subtract(*np.quantile(other, [0.9, 0.1])) == pytest.approx(
            np.subtract(*np.quantile(one, [0.9, 0.1])), rel=0.2
        )


def test_the_same_seed_gives_the_same_numbers(base):
    rows = base.head(50)
    terms = Terms(returned_share=0.1, returned_share_sd=0.02, returned_noise=3.0)
    one, same = (predict(rows, *unsure(), terms, year_ahead(), seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(one.rows, same.rows)
    assert (one.value == same.value).all()
    assert (predict(rows, *unsure(), terms, year_ahead(), seed=4).value != one.value).any()
    # The purchases that happen do not depend on what they are worth.
    assert (predict(rows, *unsure(), Terms(0.3, 0.1), year_ahead(), seed=3).purchases == one.purchases).all()


def test_large_bases_simulate_fewer_draws(monkeypatch, base):
    """The other totals are predicted from the parameters: as wide, in the same order, and as high."""
    simulated, simulate = [], value.simulate

    def watched(alike, z, outlook, *arguments):
        simulated.append(len(outlook))
        return simulate(alike, z, outlook, *arguments)

    monkeypatch.setattr(value, "simulate", watched)
    base = base.assign(customers=50)
    whole = predict(base, *unsure(1000, sd=0.1), Terms(), year_ahead(1000), seed=1)
    for budget, draws in ((300 * 50 * len(base), 300), (1, 200)):
        monkeypatch.setattr(value, "_BUDGET", budget)
        found = predict(base, *unsure(1000, sd=0.1), Terms(), year_ahead(1000), seed=1)
        assert simulated[-1] == draws and len(found.value) == 1000
        for name in ("purchases", "value"):
            some, all_ = getattr(found, name), getattr(whole, name)
            assert some[draws:].std() == pytest.approx(all_.std(), rel=0.1)
            assert np.corrcoef(some[draws:], all_[draws:])[0, 1] > 0.9  # the same draws of the parameters
            for end in ("low", "high"):
                assert abs(found.total(name)[end] - whole.total(name)[end]) < 0.15 * all_.std()


def test_money_by_hand():
    """Loyal customers who buy once a day at a price of 10: nothing is left to chance but the count."""
    terms = Terms(margin=0.4, returned_share=0.1, per_transaction=1.5)
    assert terms.kept == pytest.approx(0.36)

    def worth(horizon=365.25, **changes) -> float:
        row = one_row(x=0, recency=0.0, T=0.0, z=0.0, customers=20)
        found = predict(row, *loyal(500), replace(terms, **changes), year_ahead(500, horizon), seed=1)
        assert found.value.mean() == pytest.approx(found.total("value")["mean"], rel=0.01)
        middle = found.rows[["value_low", "value_high"]].iloc[0].mean()
        assert middle == pytest.approx(found.rows["value"][0], rel=0.02)
        return float(found.rows["value"][0])

    assert worth() == pytest.approx(365.25 * (10 * 0.36 - 1.5), rel=1e-5)
    assert worth(per_transaction=0.0, returned_share=0.0) == pytest.approx(365.25 * 4, rel=1e-5)
    assert worth(per_customer_year=100.0) == pytest.approx(365.25 * 2.1 - 100, rel=1e-5)
    assert worth(365.25 / 2, per_customer_year=100.0) == pytest.approx(365.25 / 2 * 2.1 - 50, rel=1e-5)
    factor = (1 - 1 / 1.25) / np.log(1.25)  # a payment a day, at 25 percent a year
    assert worth(discount_rate=0.25) == pytest.approx(365.25 * 2.1 * factor, rel=1e-5)
    assert worth(discount_rate=0.25, per_customer_year=100.0) == pytest.approx((365.25 * 2.1 - 100) * factor, rel=1e-5)


def test_service_costs_end_with_the_customer():
    terms = Terms(per_customer_year=100.0)
    for T, low, high in ((201.0, 60, 100), (900.0, 0, 25)):
        row = one_row(x=8, recency=200.0, T=T)
        free = predict(row, *known(10), replace(terms, per_customer_year=0.0), year_ahead(10), seed=1)
        paid = predict(row, *known(10), terms, year_ahead(10), seed=1)
        cost = (free.rows["value"] - paid.rows["value"])[0]
        alive = bg_nbd.probability_alive(np.array([8]), np.array([200.0]), np.array([T]), **BUYING)[0]
        days = bg_nbd.expected_time_alive(YEAR, np.array([8]), np.array([T]), **BUYING)[0]
        assert cost == pytest.approx(100 * alive * days / 365.25, rel=4e-3)  # trapezoid over months
        assert low < cost < high
        for end in ("value_low", "value_high"):
            assert free.rows[end][0] - paid.rows[end][0] == pytest.approx(cost)
        assert free.value - paid.value == pytest.approx(np.full(10, cost))


def test_service_costs_of_each_draw(base):
    """With fewer draws for the means than for the totals, the costs of the others are predicted from the parameters."""
    terms, ahead = Terms(per_customer_year=100.0), year_ahead(400)
    rows = base.head(300)
    free = predict(rows, *unsure(sd=0.2), replace(terms, per_customer_year=0.0), ahead, seed=1)
    exact = free.value - predict(rows, *unsure(sd=0.2), terms, ahead, seed=1).value
    found = free.value - predict(rows, *unsure(sd=0.2), terms, ahead, seed=1, mean_draws=100).value
    purchase = Outlook(*unsure(sd=0.2), ahead).spread(400).purchase
    x, t_x, T = counts_of(rows)
    for i in (0, 1, 50, 399):
        at = [v[i] for v in purchase.values]
        alive, days = bg_nbd.probability_alive(x, t_x, T, *at), bg_nbd.expected_time_alive(YEAR, x, T, *at)
        assert exact[i] == pytest.approx(100 / 365.25 * alive @ days, rel=2e-3)
    assert found[:100] == pytest.approx(exact[:100])
    assert exact.std() > 0.02 * exact.mean()
    assert np.sqrt(np.mean((found - exact)[100:] ** 2)) < 0.1 * exact.std()


def test_a_customer_can_cost_more_than_he_brings():
    row = one_row(x=0, recency=0, T=900.0, z=0)
    found = predict(row, *known(), Terms(margin=0.01, per_transaction=9), year_ahead(), seed=1)
    assert found.rows["value"][0] < 0 and found.total("value")["high"] >= found.total("value")["mean"]
    assert found.rows["value_low"][0] < 0 == found.rows["value_high"][0]


def test_uncertainty_of_returns_by_hand():
    """Loyal customers again: the variance of the total is that of counts, of the share and of the returned money."""
    row = one_row(x=0, recency=0.0, T=0.0, z=0.0, customers=20)
    margin, share, mean = 0.4, 0.1, 20 * 365.25 * 10.0
    expected = {
        (0.0, 0.0): 0.0,
        (0.02, 0.0): margin**2 * 0.02**2 * mean**2,
        (0.0, 40.0): margin**2 * 40.0 * mean,
        (0.03, 40.0): margin**2 * (0.03**2 * mean**2 + 40.0 * mean),
    }
    of_counts = (margin * (1 - share) * 10.0) ** 2 * 20 * 365.25
    for (sd, noise), variance in expected.items():
        terms = Terms(margin=margin, returned_share=share, returned_share_sd=sd, returned_noise=noise)
        found = predict(row, *loyal(1000), terms, year_ahead(1000, 365.25), seed=1)
        # The standard error of a variance from 1000 normal draws is 4.5% of it.
        assert found.value.var() == pytest.approx(of_counts + variance, rel=4 * 0.045)
        assert found.value.mean() == pytest.approx(mean * 0.36, abs=4 * np.sqrt((of_counts + variance) / 1000))
        assert found.rows["value"][0] == pytest.approx(mean * 0.36 / 20, rel=1e-5)


def test_the_share_of_returns_is_in_the_intervals_of_customers():
    row = one_row(x=0, recency=0.0, T=0.0, z=0.0)
    widths = []
    for sd in (0.0, 0.2):
        terms = Terms(returned_share=0.4, returned_share_sd=sd)
        found = predict(row, *loyal(1000), terms, year_ahead(1000, 365.25), seed=1).rows.iloc[0]
        widths.append((found["value_high"] - found["value_low"]) / 3.29 / 3652.5)
    # Standard deviations of the sum, over the money: Poisson counts, and the share.
    assert widths[0] == pytest.approx(0.6 / np.sqrt(365.25), rel=0.15)
    assert widths[1] == pytest.approx(np.hypot(0.2, widths[0]), rel=0.15)


def test_a_constant_price_and_customers_without_purchases():
    """The limit of large p and q, beside rows that can have nothing but zero."""
    purchase = PurchaseDraws(known(300)[0].family, tuple(np.full(300, v) for v in (1e-6, 1e6, 1.0, 1.0)))
    rows = predict(one_row(x=0, recency=0, T=500.0, z=0), purchase, loyal(300)[1], Terms(), year_ahead(300), seed=1)
    assert (rows.rows[["purchases_low", "purchases_high", "value_low", "value_high"]] == 0).all(axis=None)
    assert np.isfinite(rows.value).all()
    one = predict(one_row(x=1, z=10.0), *(known(300)[0], loyal(300)[1]), Terms(), year_ahead(300), seed=1)
    assert one.value == pytest.approx(10 * one.purchases, rel=2e-3)


def test_residual_value_against_the_integral(base):
    rows = base.head(200)
    terms = Terms(0.1, 0.4, per_transaction=2.0, per_customer_year=3.0)
    found = residual(rows, *known(1), terms, year_ahead(1))
    x, t_x, T = counts_of(rows)
    alive = bg_nbd.probability_alive(x, t_x, T, **BUYING)
    spend = gamma_gamma.expected_spend(
        x, rows["monetary_value"].to_numpy(), *(v[0] for v in vars(known(1)[1]).values())
    )

    def later(function) -> np.ndarray:
        ends = (function(s, x, T, **BUYING, discount=terms.discount_per_day) for s in (20 * 365.25, YEAR))
        return alive * np.subtract(*ends)

    exact = later(bg_nbd.expected_purchases) * (0.4 * spend - 2.0)
    exact -= 3.0 / 365.25 * later(bg_nbd.expected_time_alive)
    assert found == pytest.approx(exact, rel=5e-3, abs=5e-3 * np.abs(exact).mean())
    assert found.sum() == pytest.approx(exact.sum(), rel=2e-3)
    further = residual(rows, *known(1), terms, year_ahead(1), years=60)
    assert found.sum() < further.sum() < 1.1 * found.sum()


def test_draws_that_do_not_match_are_an_error():
    with pytest.raises(ValueError, match="equally many"):
        predict(one_row(), *known(30), Terms(), year_ahead(31), seed=1)
    with pytest.raises(ValueError, match="equally many"):
        residual(one_row(), known(30)[0], known(31)[1], Terms(), year_ahead(30))
