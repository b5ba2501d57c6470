"""Silent customers: money against simulated ones, lists against simulated campaigns."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.business_unit import Saving
from cvmlib.churn import silence
from cvmlib.churn.saving import fit_acceptance

TERMS = Saving(contact_cost=1.0, offer_cost=4.0, acceptance=[0.1, 0.4])


@pytest.fixture(scope="module")
def customers():
    rng = np.random.default_rng(1)
    alive = rng.uniform(0.05, 1.0, 200)
    worth = rng.gamma(2.0, 40.0, 200)  # of one who is still there
    frame = pd.DataFrame({"customer_id": [f"C{i}" for i in range(200)], "p_alive": alive, "value": alive * worth})
    return frame.assign(p_alive_later=alive * 0.8)


def test_at_stake_is_what_those_who_are_gone_would_bring(customers):
    rng = np.random.default_rng(2)
    weighed = silence.weigh_silence(customers)
    gone = rng.random((20_000, 200)) > customers["p_alive"].to_numpy()
    lost = gone @ (customers["value"] / customers["p_alive"]).to_numpy()
    assert weighed["at_stake"].sum() == pytest.approx(lost.mean(), abs=4 * lost.std() / np.sqrt(20_000))
    assert "profit" not in weighed


def test_profit_of_a_list_is_that_of_simulated_campaigns(customers):
    listed = silence.weigh_silence(customers, TERMS)
    rng = np.random.default_rng(3)
    share = rng.beta(*fit_acceptance(*TERMS.acceptance), size=20_000)
    gone = rng.random((20_000, 200)) > listed["p_alive"].to_numpy()
    back = gone & (rng.random(gone.shape) < share[:, None])
    paid = TERMS.offer_cost * (back.sum(axis=1) + (~gone).sum(axis=1)) + TERMS.contact_cost * 200
    profit = back @ listed["if_there"].to_numpy() - paid
    found = silence.draw_winback(listed, TERMS, draws=20_000, seed=4)
    error = profit.std() / np.sqrt(20_000)
    assert listed["profit"].sum() == pytest.approx(profit.mean(), abs=4 * error)
    assert found.mean() == pytest.approx(profit.mean(), abs=6 * error)
    np.testing.assert_allclose(np.quantile(found, [0.05, 0.95]), np.quantile(profit, [0.05, 0.95]), atol=12 * error)


def test_bands_hold_every_customer_once(customers):
    table = silence.tabulate_silence(silence.weigh_silence(customers))
    assert table["customers"].sum() == 200 and table["low"].is_monotonic_decreasing
    assert table["there"].sum() == pytest.approx(customers["p_alive"].sum())
    assert table["later"].sum() == pytest.approx(0.8 * table["there"].sum())
    assert ((table["there"] / table["customers"]).between(table["low"], table["high"])).all()


def test_a_customer_who_is_certainly_gone_or_worthless_is_no_division_by_zero(customers):
    odd = customers.head(2).assign(p_alive=[0.0, 1.0], value=[0.0, -5.0])
    weighed = silence.weigh_silence(odd, TERMS)
    assert np.isfinite(weighed[["if_there", "at_stake", "profit"]].to_numpy()).all() and (weighed["profit"] < 0).all()
    assert (silence.draw_winback(weighed.head(0), TERMS, draws=5) == 0).all()
