"""Money from hazards, against simulated subscribers, finite differences and closed forms."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import money
from cvmlib.churn.counts import active_cells
from cvmlib.churn.forecast import Terms, forecast_cells, score_cells
from cvmlib.churn.retention import fit_hazard

TERMS = Terms(12, margin=0.5, cost_per_month=1.0, discount_rate=0.1)


def outlook_of(hazard, billed=0.4, price=10.0, size=50, terms=TERMS):
    hazard = np.asarray(hazard, float)
    cells = pd.DataFrame({"plan": [f"p{i}" for i in range(hazard.shape[1])], "tenure": 3})
    cells = cells.assign(subscriptions=size, price=size * price, price_sq=size * price**2)
    return money.Outlook(cells, hazard, billed, terms)


@pytest.fixture(scope="module")
def random_outlook():
    return outlook_of(np.random.default_rng(1).uniform(0.01, 0.2, (40, 3, 12)))


def test_months_and_losses_are_those_of_simulated_subscribers():
    rng = np.random.default_rng(2)
    hazard, discounts, billed, size = rng.uniform(0.02, 0.2, 12), TERMS.discounts, 0.4, 200_000
    alive, paid = np.ones(size, bool), np.zeros(size)
    lost = money.lose_months(hazard, discounts, billed)
    left_in = np.full(size, 99)
    for month, rate in enumerate(hazard):
        leaves = alive & (rng.random(size) < rate)
        bill = alive & (~leaves | (rng.random(size) < billed))
        paid += discounts[month] * bill
        left_in[leaves] = month
        alive &= ~leaves
    exact = money.count_months(hazard, discounts, billed)
    assert exact == pytest.approx(paid.mean(), abs=4 * paid.std() / np.sqrt(size))
    # what a leaver of month 2 loses: what those pay from then on who stay in it, less what is still billed
    past = discounts[:2].sum()
    stay, leave = paid[left_in > 2] - past, paid[left_in == 2] - past
    error = np.hypot(stay.std() / np.sqrt(len(stay)), leave.std() / np.sqrt(len(leave)))
    assert lost[2] == pytest.approx(stay.mean() - leave.mean(), abs=4 * error)


def test_losses_add_up_over_causes_and_grow_with_the_window(random_outlook):
    share = np.linspace(0.2, 0.9, 12)
    parts = [money.expect_losses(random_outlook, 3, s) for s in (share, 1 - share)]
    whole = money.expect_losses(random_outlook, 3)
    np.testing.assert_allclose(parts[0].months + parts[1].months, whole.months)
    np.testing.assert_allclose(whole.chance, 1 - money.survive(random_outlook.hazard)[..., 3])
    assert (money.expect_losses(random_outlook, 6).months > whole.months).all()
    np.testing.assert_array_equal(
        money.expect_losses(random_outlook, 99).months, money.expect_losses(random_outlook, 12).months
    )


def test_elasticity_is_the_derivative(random_outlook):
    def raised(epsilon):
        return money.value_draws(random_outlook, lambda hazard: 1 - (1 - hazard) * (1 + epsilon))

    finite = (np.log(raised(1e-6)) - np.log(raised(-1e-6))) / 2e-6
    np.testing.assert_allclose(money.differentiate_value(random_outlook), finite, rtol=1e-6)


def test_levers_of_a_constant_hazard_in_closed_form():
    outlook = outlook_of(np.full((5, 1, 12), 0.04), billed=0.0, terms=Terms(12, 1.0, 0.0, 0.0))
    table = money.tabulate_levers(outlook).set_index("lever")["mean"]

    def value(hazard):
        stay = 1 - hazard
        return 500 * stay * (1 - stay**12) / hazard

    assert table["value"] == pytest.approx(value(0.04))
    assert table["point"] == pytest.approx(value(0.05) - value(0.04))
    assert table["tenth"] == pytest.approx(value(0.036) - value(0.04))
    months = np.arange(1, 13)
    assert table["elasticity"] == pytest.approx((months * 0.96**months).sum() / (0.96**months).sum())


def test_rescaling_money_scales_the_risk_and_leaves_the_shares():
    hazard = np.random.default_rng(3).uniform(0.02, 0.1, (30, 2, 12))
    found = []
    for factor in (1.0, 100.0):
        terms = Terms(12, 0.5, factor, 0.1)
        outlook = outlook_of(hazard, price=10.0 * factor, terms=terms)
        by = {"plan": outlook.cells["plan"]}
        found.append(money.tabulate_risk(outlook, money.expect_losses(outlook, 3), by))
    np.testing.assert_allclose(found[1]["lost_high"], 100 * found[0]["lost_high"])
    np.testing.assert_allclose(found[1][["share", "leavers"]], found[0][["share", "leavers"]])


def test_value_at_risk_holds_the_outcomes():
    """Leavers and their prices are simulated one by one from a hazard of the posterior; nine in ten must be inside."""
    rng = np.random.default_rng(4)
    prices = rng.gamma(2.0, 10.0, 300)
    truth = rng.uniform(0.02, 0.08, (400, 1, 12))
    cells = pd.DataFrame({"plan": ["a"], "tenure": [3], "subscriptions": [300], "price": [prices.sum()]})
    outlook = money.Outlook(cells.assign(price_sq=(prices**2).sum()), truth, 0.0, Terms(12, 1.0, 0.0, 0.0))
    losses = money.expect_losses(outlook, 3)
    table = money.tabulate_risk(outlook, losses, {"plan": cells["plan"]})
    inside = {"leavers": 0, "lost": 0}
    for draw in range(400):
        leaves = rng.random(300) < losses.chance[draw, 0]
        each = losses.months[draw, 0] / losses.chance[draw, 0]
        for name, happened in (("leavers", leaves.sum()), ("lost", prices[leaves].sum() * each)):
            inside[name] += table[f"{name}_low"].iloc[0] <= happened <= table[f"{name}_high"].iloc[0]
    for name, count in inside.items():
        assert abs(count - 360) < 4 * np.sqrt(400 * 0.09) + 8, name  # counts are discrete: a little more are inside


def test_outlook_agrees_with_the_forecast(counts):
    posterior = fit_hazard(counts, draws=400)
    cells = active_cells(counts)
    outlook = money.make_outlook(posterior, cells, TERMS, seed=2)
    scores = score_cells(forecast_cells(posterior, cells, TERMS, seed=2))
    months = money.count_months(outlook.hazard, TERMS.discounts, outlook.billed).mean(axis=0)
    np.testing.assert_allclose(months, scores["discounted_months"], rtol=1e-9)
    unknown = cells.assign(plan="never seen")
    assert np.isfinite(money.make_outlook(posterior, unknown, TERMS).hazard).all()


def test_many_cells_take_fewer_draws(counts, monkeypatch):
    posterior, cells = fit_hazard(counts, draws=400), active_cells(counts)
    monkeypatch.setattr(money, "LARGEST", 12 * len(cells) * 100)
    assert money.make_outlook(posterior, cells, TERMS).hazard.shape == (100, len(cells), 12)


def test_lifetimes_are_those_of_a_geometric_law():
    outlook = outlook_of(np.full((5, 1, 60), 0.1), terms=Terms(60))
    row = money.tabulate_lifetimes(outlook, {"plan": outlook.cells["plan"]}).iloc[0]
    assert row["lifetime"] == pytest.approx(0.9 * (1 - 0.9**60) / 0.1)
    assert (row["lifetime_low"], row["lifetime_median"], row["lifetime_high"]) == (0, 6, 28)
    staying = outlook_of(np.stack([np.zeros((5, 12)), np.full((5, 12), 0.9)], axis=1))
    found = money.tabulate_lifetimes(staying, {"plan": staying.cells["plan"]})
    assert found["lifetime_low"].tolist() == [12, 0]
    together = money.tabulate_lifetimes(staying, {"unit": np.array(["u", "u"])}).iloc[0]
    assert together["lifetime"] == pytest.approx(found["lifetime"].mean()) and together["lifetime_high"] == 12
