import ibis
import pandas as pd
import pytest

from cvmlib.churn.counts import active_cells, build_spells
from cvmlib.churn.forecast import Terms, forecast_cells, score_cells
from cvmlib.churn.retention import fit_hazard
from cvmlib.churn.value import join_value, tabulate_forecast, tabulate_plans
from tests.churn.conftest import END, END_MONTH

TERMS = Terms(12, margin=0.5, cost_per_month=1.0, discount_rate=0.1)


@pytest.fixture(scope="module")
def forecast(counts):
    return forecast_cells(fit_hazard(counts, draws=400), active_cells(counts), TERMS)


def test_values_of_customers_add_up_to_the_total(spells, subscriptions, forecast):
    values = join_value(spells, score_cells(forecast), TERMS).execute()
    assert len(values) == subscriptions["end"].isna().sum()
    assert values["value"].sum() == pytest.approx(forecast.value.mean(), rel=0.01)
    assert (values["value_low"] <= values["value"]).all() and (values["value"] <= values["value_high"]).all()
    assert values["p_active"].between(0, 1).all()


def test_plans_add_up_to_the_total(forecast):
    table = tabulate_plans(forecast, score_cells(forecast))
    assert table["value"].sum() == pytest.approx(forecast.value.mean(), rel=0.01)
    assert table["subscriptions"].sum() == forecast.cells["subscriptions"].sum()


def test_forecast_by_month_falls_and_is_dated(forecast):
    table = tabulate_forecast(forecast, END_MONTH)
    assert table["month"].iloc[[0, -1]].tolist() == ["2026-07", "2027-06"]
    assert table["active"].is_monotonic_decreasing
    assert (table["revenue_low"] <= table["revenue"]).all()


def test_several_active_subscriptions_of_a_customer_are_one_row_with_their_sum():
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "a", "a", "b"],
            "start": pd.Timestamp(2025, 6, 5),
            "end": pd.NaT,
            "price": [10, 20, 5, 10.0],
        }
    )
    frame.loc[2, "end"] = pd.Timestamp(2026, 1, 5)
    spells = build_spells(ibis.memtable(frame), END)
    scores = pd.DataFrame({"plan": ["all"], "tenure": [12], "p_active": 0.8})
    for name in ("expected_months", "discounted_months"):
        scores = scores.assign(**{name: 10.0, f"{name}_low": 2.0, f"{name}_high": 12.0})
    values = join_value(spells, scores, TERMS).execute().set_index("customer_id").sort_index()
    assert values["subscriptions"].tolist() == [2, 1]
    assert values["value"].tolist() == pytest.approx([0.5 * 300 - 20, 0.5 * 100 - 10])
    assert values.loc["b", ["value_low", "value_high"]].tolist() == pytest.approx([8.0, 48.0])


def test_a_price_below_cost_turns_the_interval_round():
    frame = pd.DataFrame({"customer_id": ["a"], "start": pd.Timestamp(2025, 6, 5), "end": pd.NaT, "price": [0.0]})
    scores = pd.DataFrame({"plan": ["all"], "tenure": [12], "p_active": 0.8})
    for name in ("expected_months", "discounted_months"):
        scores = scores.assign(**{name: 10.0, f"{name}_low": 2.0, f"{name}_high": 12.0})
    row = join_value(build_spells(ibis.memtable(frame), END), scores, TERMS).execute().iloc[0]
    assert row[["value_low", "value", "value_high"]].tolist() == [-12.0, -10.0, -2.0]
