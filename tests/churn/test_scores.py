"""Scores of held-out months: followed customers, perfect and useless forecasts, intervals that cover."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cvmlib.business_unit import Saving
from cvmlib.churn import scores
from cvmlib.churn.counts import active_cells, censor_counts
from cvmlib.churn.maximum_profit import expected_maximum_profit
from cvmlib.churn.metrics import Outcomes
from cvmlib.churn.months import month_index
from cvmlib.churn.simulate import simulate_counts
from cvmlib.churn.validation import check_holdout, count_outcomes, tabulate_projections, tabulate_risks, tabulate_scores

END = date(2026, 6, 30)
LAST = month_index(END)
HAZARDS = {"good": np.full(60, 0.02), "bad": np.full(60, 0.08)}


@pytest.fixture(scope="module")
def counts():
    return simulate_counts(60, HAZARDS, {"good": 20.0, "bad": 10.0}, END, 30, 1)


@pytest.fixture(scope="module")
def check(counts):
    return check_holdout(counts, LAST, 12, draws=300)


def test_followed_subscriptions_are_those_of_the_holdout(counts):
    split = LAST - 6
    cells = active_cells(censor_counts(counts, split))
    outcomes, cell = scores.follow(counts, cells, split, 6)
    assert outcomes.weight.sum() == cells["subscriptions"].sum()
    np.testing.assert_allclose(np.bincount(cell, outcomes.weight), cells["subscriptions"])
    there = [outcomes.weight[outcomes.time > month].sum() for month in range(1, 7)]
    np.testing.assert_array_equal(there, count_outcomes(counts, split, 6)["active"])


def test_scores_of_the_truth_beat_a_useless_forecast_and_are_covered():
    """The true risks are known: the AUC and the Brier score they must have follow from them, and so does no gap."""
    rng = np.random.default_rng(4)
    risk = np.repeat([0.1, 0.4], 60)
    inside = {"auc": 0, "brier": 0, "gap": 0}
    expected = {"auc": _auc_of(0.1, 0.4), "brier": (0.09 + 0.24) / 2, "gap": 0.0}
    for world in range(40):
        left = rng.random(120) < risk
        outcomes = Outcomes(np.where(left, 1.0, 1.5), left, np.ones(120))
        forecasts = {"truth": (1 - risk)[:, None], "flat": np.full((120, 1), 0.75)}
        table = scores.score_forecasts(outcomes, forecasts, np.array([1.0]), "flat", resamples=60, seed=world)
        mine = table[table["model"] == "truth"].set_index("measure")
        for name, value in expected.items():
            inside[name] += mine["low"][name] <= value <= mine["high"][name]
    for name, count in inside.items():
        assert abs(count / 40 - 0.9) < 4 * np.sqrt(0.09 / 40) + 0.02, (name, count)


def _auc_of(low: float, high: float) -> float:
    """AUC of two groups of the same size with these risks."""
    cases, controls = np.array([low, high]), 1 - np.array([low, high])
    pairs = cases[1] * controls[0] + 0.5 * (cases * controls).sum()
    return pairs / (cases.sum() * controls.sum())


def test_holdout_scores_name_the_better_forecast(check):
    table = tabulate_scores(check).set_index(["model", "measure", "horizon"])
    auc = table.xs("auc", level="measure")
    assert auc.loc[("model", 12.0), "low"] > 0.6  # plans differ, the plain projections do not know them
    assert auc.loc[("naive", 12.0), "value"] == 0.5
    skill = table.xs("skill", level="measure").droplevel("horizon")
    assert skill.loc["model", "low"] > 0 == skill.loc["Kaplan–Meier", "value"]
    assert (table["low"] <= table["value"] + 1e-12).all() and (table["value"] <= table["high"] + 1e-12).all()


def test_calibration_table_adds_up(check):
    table = tabulate_risks(check)
    for _, part in table.groupby("horizon"):
        whole, tenths = part[part["group"] == 0].iloc[0], part[part["group"] > 0]
        assert tenths["customers"].sum() == pytest.approx(whole["customers"])
        for column in ("forecast", "observed"):
            assert np.average(tenths[column], weights=tenths["customers"]) == pytest.approx(whole[column])
        assert (tenths["observed_low"] <= tenths["observed"]).all()


def test_projections_of_the_holdout_hold_every_model(check):
    table = tabulate_projections(check)
    assert set(table["model"]) == {"model", "naive", "Kaplan–Meier", "sBG", "BdW"} and len(table) == 60
    np.testing.assert_allclose(
        table.loc[table["model"] == "model", "expected"], check.course["expected"][:12], rtol=0.03
    )


def test_profit_is_the_expected_maximum_profit_of_the_resampled_customers():
    left = np.array([True, False, True, False])
    outcomes = Outcomes(np.where(left, 2.0, 3.5), left, np.array([5.0, 20.0, 3.0, 40.0]))
    terms = Saving(contact_cost=0.5, offer_cost=3.0, acceptance=[0.2, 0.5])
    risk = {"model": np.array([0.5, 0.2, 0.3, 0.1]), "flat": np.full(4, 0.1)}
    table = scores.score_profit(outcomes, risk, 3.0, np.full(4, 100.0), terms).set_index("model")
    acceptance = scores.fit_acceptance(0.2, 0.5)
    exact = expected_maximum_profit(risk["model"], left, 100.0, 0.5, 3.0, acceptance, outcomes.weight)
    assert table.loc["model", "profit"] == pytest.approx(exact.profit)
    assert table.loc["model", "profit_low"] < exact.profit < table.loc["model", "profit_high"]
    assert table.loc["model", "profit"] > table.loc["flat", "profit"]
    none = scores.score_profit(outcomes, risk, 1.0, np.full(4, 100.0), terms)  # nobody had left by then
    assert (none["profit"] == 0).all() and isinstance(none, pd.DataFrame)


@pytest.mark.parametrize(("months", "found"), [(12, [1, 3, 6, 12]), (2, [1]), (30, [1, 3, 6, 12, 24])])
def test_horizons_are_those_that_were_followed(months, found):
    assert scores.pick_horizons(months).tolist() == found
