"""Value: means and intervals against simulation at known parameters, and arithmetic by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import bg_nbd, gamma_gamma, value
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.value import Terms, predict

BUYING = {"r": 0.8, "alpha": 60.0, "a": 0.9, "b": 4.0}
SPENDING = {"p": 6.0, "q": 4.0, "gamma": 15.0}
YEAR = 365.0


def known(draws: int = 400) -> tuple[PurchaseDraws, SpendDraws]:
    """Posterior draws of someone who knows the parameters."""
    return (
        PurchaseDraws(**{name: np.full(draws, v) for name, v in BUYING.items()}),
        SpendDraws(**{name: np.full(draws, v) for name, v in SPENDING.items()}),
    )


def unsure(draws: int = 400, sd: float = 0.1) -> tuple[PurchaseDraws, SpendDraws]:
    """Posterior draws that are not all alike."""
    rng = np.random.default_rng(1)
    return (
        PurchaseDraws(**{name: v * rng.lognormal(0, sd, draws) for name, v in BUYING.items()}),
        SpendDraws(**{name: v * rng.lognormal(0, sd, draws) for name, v in SPENDING.items()}),
    )


def simulate_base(seed: int, customers: int = 1500) -> pd.DataFrame:
    """Customers with their counts, and the purchases and undiscounted money of their real next year."""
    rng = np.random.default_rng(seed)
    T = rng.integers(1, 1000, customers).astype(float)
    rate, p = rng.gamma(BUYING["r"], 1 / BUYING["alpha"], customers), rng.beta(BUYING["a"], BUYING["b"], customers)
    nu = rng.gamma(SPENDING["q"], 1 / SPENDING["gamma"], customers)
    past, leaves = rng.poisson(rate * T), rng.geometric(p)
    x = np.minimum(past, leaves)
    recency = np.where(x > 0, T * rng.beta(np.maximum(x, 1), np.maximum(past - x, 0) + 1), 0.0)
    ahead = np.where(past < leaves, np.minimum(rng.poisson(rate * YEAR), leaves - past), 0)
    spend = rng.gamma(np.maximum(SPENDING["p"] * x, 1e-9)) / nu / np.maximum(x, 1)
    money = rng.gamma(np.maximum(SPENDING["p"] * ahead, 1e-9)) / nu * (ahead > 0)
    return pd.DataFrame(
        {
            "frequency": x,
            "recency": recency,
            "T": T,
            "monetary_value": np.where(x > 0, spend, 0.0),
            "customers": 1,
            "ahead": ahead,
            "money": money,
        }
    )


def one_row(x=3, recency=200.0, T=300.0, z=40.0, customers=1) -> pd.DataFrame:
    names = ["frequency", "recency", "T", "monetary_value", "customers"]
    return pd.DataFrame([[x, recency, T, z, customers]], columns=names)


@pytest.fixture(scope="module")
def base() -> pd.DataFrame:
    return simulate_base(seed=5)


@pytest.fixture(scope="module")
def predicted(base):
    return predict(base, *known(), Terms(YEAR), seed=1)


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
    found = predict(one_row(), purchase, spend, Terms(YEAR, discount_rate=0.1), seed=1).rows.iloc[0]
    alive, purchases, money = [], [], []
    for i in range(30):
        at = (purchase.r[i], purchase.alpha[i], purchase.a[i], purchase.b[i])
        x, t_x, T = np.array([3.0]), np.array([200.0]), np.array([300.0])
        alive.append(bg_nbd.probability_alive(x, t_x, T, *at)[0])
        ahead = bg_nbd.expected_purchases(YEAR, x, T, *at)[0]
        discounted = bg_nbd.expected_purchases(YEAR, x, T, *at, discount=np.log(1.1) / 365.25)[0]
        purchases.append(alive[-1] * ahead)
        per_purchase = gamma_gamma.expected_spend(x, 40.0, spend.p[i], spend.q[i], spend.gamma[i])[0]
        money.append(alive[-1] * discounted * per_purchase)
    assert found["p_alive"] == pytest.approx(np.mean(alive))
    assert found["purchases"] == pytest.approx(np.mean(purchases))
    assert found["value"] == pytest.approx(np.mean(money))
    assert found["value"] < found["purchases"] * found["spend"] * 1.1


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
    rows = predict(base, *known(), Terms(YEAR, interval=0.5), seed=1).rows
    money = base["money"].to_numpy()
    inside = (money >= rows["value_low"]) & (money <= rows["value_high"])
    assert inside.mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / len(base)))


def test_intervals_of_totals_cover_over_seeds():
    held = {"purchases": 0, "value": 0}
    for seed in range(100, 160):
        base = simulate_base(seed, customers=250)
        found = predict(base, *known(200), Terms(YEAR), seed=seed, mean_draws=1)
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


def test_totals_carry_the_uncertainty_of_the_parameters(base):
    base = base.head(500)
    chance = predict(base, *known(), Terms(YEAR), seed=1).purchases.std()
    purchase, spend = unsure(sd=0.2)
    total = predict(base, purchase, spend, Terms(YEAR), seed=1).purchases
    x, t_x, T = (base[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    column = purchase.column()
    each = bg_nbd.probability_alive(x, t_x, T, *column) * bg_nbd.expected_purchases(YEAR, x, T, *column)
    expectation = each.sum(axis=1).std()
    assert total.std() == pytest.approx(np.hypot(chance, expectation), rel=0.1)
    assert total.std() > 1.5 * chance


def test_a_row_of_fifty_stands_for_fifty_customers():
    draws, terms = unsure(1000), Terms(YEAR, 0.1, 0.4)
    row = predict(one_row(customers=50), *draws, terms, seed=1)
    each = predict(pd.concat([one_row()] * 50, ignore_index=True), *draws, terms, seed=1)
    assert len(row.rows) == 1
    means = ["p_alive", "purchases", "spend", "value"]
    assert row.rows[means].iloc[0].to_numpy() == pytest.approx(each.rows[means].iloc[7].to_numpy())
    assert row.total("value")["mean"] == pytest.approx(each.total("value")["mean"])
    assert row.value == pytest.approx(each.value)  # the same customers in the same order
    other = predict(one_row(customers=50), *draws, terms, seed=2)
    assert other.total("value") == pytest.approx(row.total("value"), rel=0.12)
    # The interval is that of one customer, not of fifty.
    assert row.rows["value_high"][0] == pytest.approx(each.rows["value_high"].mean(), rel=0.1)
    assert row.rows["value_high"][0] < row.total("value")["mean"] / 5


def test_chunks_hold_no_more_than_they_may(monkeypatch):
    rows = pd.concat([one_row(customers=n) for n in (1, 10, 9, 1000, 3, 1, 37, 100)], ignore_index=True)
    monkeypatch.setattr(value, "_CELLS", 40 * 50)
    chunks = list(value._chunks(rows, draws=50))
    assert max(chunk["customers"].sum() for chunk in chunks) <= 40
    together = pd.concat(chunks)
    pd.testing.assert_series_equal(together.groupby(level=0)["customers"].sum(), rows["customers"])
    held = []
    simulate = bg_nbd.simulate_future

    def watched(*arguments):
        held.append(simulate(*arguments))
        return held[-1]

    monkeypatch.setattr(bg_nbd, "simulate_future", watched)
    predict(rows, *known(50), Terms(YEAR), seed=1)
    assert max(array.size for array in held) <= 2000 and sum(array.size for array in held) == 1161 * 50


def test_chunking_changes_no_mean_and_no_distribution(monkeypatch, base):
    rows = base.head(300).assign(customers=np.r_[200, np.ones(299, dtype=int)])
    terms = Terms(YEAR, 0.1, 0.4)
    whole = predict(rows, *unsure(sd=0.3), terms, seed=1)
    monkeypatch.setattr(value, "_CELLS", 20_000)
    parts = predict(rows, *unsure(sd=0.3), terms, seed=1)
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
    one, same = (predict(rows, *unsure(), Terms(YEAR), seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(one.rows, same.rows)
    assert (one.value == same.value).all()
    assert (predict(rows, *unsure(), Terms(YEAR), seed=4).value != one.value).any()


def test_money_by_hand():
    """Loyal customers who buy once a day at a price of 10: nothing is left to chance but the count."""
    draws = 500
    purchase = PurchaseDraws(*(np.full(draws, v) for v in (1e8, 1e8, 1e-9, 1e3)))
    spend = SpendDraws(np.full(draws, 1e8), np.full(draws, 1e8), np.full(draws, 10 * (1e8 - 1) / 1e8))
    terms = Terms(horizon=365.25, margin=0.4, returned_share=0.1, per_transaction=1.5)
    assert terms.kept == pytest.approx(0.36)

    def worth(**changes) -> float:
        row = one_row(x=0, recency=0.0, T=0.0, z=0.0, customers=20)
        found = predict(row, purchase, spend, replace(terms, **changes), seed=1)
        simulated = found.value
        assert simulated.mean() == pytest.approx(found.total("value")["mean"], rel=0.01)
        middle = found.rows[["value_low", "value_high"]].iloc[0].mean()
        assert middle == pytest.approx(found.rows["value"][0], rel=0.02)
        return float(found.rows["value"][0])

    assert worth() == pytest.approx(365.25 * (10 * 0.36 - 1.5), rel=1e-5)
    assert worth(per_transaction=0.0, returned_share=0.0) == pytest.approx(365.25 * 4, rel=1e-5)
    assert worth(per_customer_year=100.0) == pytest.approx(365.25 * 2.1 - 100, rel=1e-5)
    assert worth(per_customer_year=100.0, horizon=365.25 / 2) == pytest.approx(365.25 / 2 * 2.1 - 50, rel=1e-5)
    factor = (1 - 1 / 1.25) / np.log(1.25)  # a payment a day, at 25 percent a year
    assert worth(discount_rate=0.25) == pytest.approx(365.25 * 2.1 * factor, rel=1e-5)
    assert worth(discount_rate=0.25, per_customer_year=100.0) == pytest.approx((365.25 * 2.1 - 100) * factor, rel=1e-5)


def test_service_costs_end_with_the_customer():
    terms = Terms(YEAR, per_customer_year=100.0)
    for T, low, high in ((201.0, 60, 100), (900.0, 0, 25)):
        row = one_row(x=8, recency=200.0, T=T)
        cost = (
            predict(row, *known(10), replace(terms, per_customer_year=0.0), seed=1).rows["value"]
            - predict(row, *known(10), terms, seed=1).rows["value"]
        )[0]
        alive = bg_nbd.probability_alive(np.array([8]), np.array([200.0]), np.array([T]), **BUYING)[0]
        days = bg_nbd.expected_time_alive(YEAR, np.array([8]), np.array([T]), **BUYING)[0]
        assert cost == pytest.approx(100 * alive * days / 365.25)
        assert low < cost < high


def test_a_customer_can_cost_more_than_he_brings():
    rows = predict(one_row(x=0, recency=0, T=900.0, z=0), *known(), Terms(YEAR, margin=0.01, per_transaction=9), seed=1)
    assert rows.rows["value"][0] < 0 and rows.total("value")["high"] >= rows.total("value")["mean"]
