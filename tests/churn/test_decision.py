"""From a fitted unit to decisions on disk: with and without costs, with and without an experiment."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import decision
from cvmlib.errors import DataError
from tests.churn.operators import fit_operator, make_operator


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    portfolio = make_operator(tmp_path_factory.mktemp("operator"))
    fit = fit_operator(portfolio)
    return portfolio, fit, decision.decide(portfolio, fit)


def test_summary_agrees_with_its_tables(decided):
    _, fit, found = decided
    summary, risk = found.summary, found.tables["risk"]
    assert summary["window"] == 3 and summary["experiment"] == ""
    assert summary["subscriptions"] == fit.forecast.cells["subscriptions"].sum() == risk["subscriptions"].iloc[0]
    assert risk["lost"].iloc[0] == pytest.approx(summary["lost"]["mean"], rel=0.01)
    assert risk["lost"].iloc[1:].sum() == pytest.approx(risk["lost"].iloc[0])
    assert summary["voluntary"] == pytest.approx(0.8, abs=0.05)
    course = found.tables["course"]
    assert summary["subscriptions"] - course["active"].iloc[2] == pytest.approx(summary["leavers"]["mean"], rel=0.02)
    assert (course["active_low"] < course["active"]).all() and not summary["snapshot"]
    forecast = fit.forecast.active[:, 2].mean()
    assert summary["subscriptions"] - summary["leavers"]["mean"] == pytest.approx(forecast, rel=0.01)


def test_the_list_is_written_and_read_back_best_first(decided):
    portfolio, fit, found = decided
    written = decision.save_decision(portfolio, fit, found)
    assert all(path.is_file() for path in written)
    summary, tables = decision.load_decision(portfolio, "phone")
    listed = tables["list"]
    assert len(listed) == summary["saving"]["customers"] > 10
    assert listed["profit"].is_monotonic_decreasing and (listed["profit"] > 0).all()
    assert list(listed) == ["customer_id", "plan", "tenure", "price", "p_leave", "at_risk", "profit"]
    assert set(tables) >= {
        "risk",
        "levers",
        "lifetimes",
        "incidence",
        "rankings",
        "profits",
        "scores",
        "risks",
        "cohorts",
    }
    rankings = tables["rankings"].set_index("ranking")["profit"]
    assert rankings["profit"] == pytest.approx(listed["profit"].sum()) and rankings.idxmax() == "profit"


def test_earlier_files_that_no_longer_hold_are_removed(decided):
    portfolio, fit, found = decided
    decision.save_decision(portfolio, fit, found)
    smaller = decision.Decision(found.summary | {"saving": None}, {"risk": found.tables["risk"]}, None)
    decision.save_decision(portfolio, fit, smaller)
    assert set(decision.load_decision(portfolio, "phone")[1]) == {"risk", "cohorts"}
    decision.save_decision(portfolio, fit, found)


def test_with_an_experiment_those_are_listed_whom_a_contact_keeps(tmp_path):
    portfolio = make_operator(tmp_path, experiment=True)
    fit = fit_operator(portfolio)
    found = decision.decide(portfolio, fit)
    assert found.summary["experiment"] == "Spring call"
    effects = found.tables["effects"]
    pro = effects["plan"] == "pro"
    assert effects.loc[pro, "effect"].mean() > 0.02 > effects.loc[~pro, "effect"].mean()
    assert (found.listed.execute()["plan"] == "pro").mean() > 0.9


def test_without_costs_nobody_is_listed_and_without_fit_the_reader_is_told(tmp_path):
    portfolio = make_operator(tmp_path, saving="", customers=600)
    with pytest.raises(DataError, match=r"phone: who will leave.*churn.ipynb or `make reports`"):
        decision.load_decision(portfolio, "phone")
    found = decision.decide(portfolio, fit_operator(portfolio))
    assert found.listed is None and found.summary["saving"] is None and "profits" not in found.tables
    assert isinstance(found.tables["scores"], pd.DataFrame) and np.isfinite(found.summary["lost"]["mean"])
