"""The example of a snapshot, IBM Telco: tenure and a flag instead of dates, through the column mapping."""

import os
import re
from pathlib import Path

import pytest

from cvmlib.churn.decision import decide
from cvmlib.churn.fit import fit_unit
from cvmlib.churn.prepare import load_unit, prepare_unit
from cvmlib.portfolio import read_portfolio

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data")).resolve()
FILE = "churn/ibm_telco_churn.csv.gz"


@pytest.fixture(scope="module")
def telco(tmp_path_factory):
    if not (DATA / FILE).is_file():
        pytest.skip(f"{FILE} is not in {DATA}; set CVM_DATA to the folder that holds the public data")
    folder = tmp_path_factory.mktemp("telco")
    text = (ROOT / "examples" / "telco.toml").read_text(encoding="utf-8")
    (folder / "telco.toml").write_text(re.sub(r"\$\{CVM_DATA:-[^}]*\}", DATA.as_posix(), text), encoding="utf-8")
    portfolio = read_portfolio(folder / "telco.toml")
    prepare_unit(portfolio, "telco")
    return portfolio, fit_unit(portfolio, load_unit(portfolio, "telco"), draws=300)


def test_counts_are_those_of_the_file(telco):
    _, fit = telco
    counts = fit.subscribers.counts
    assert int(counts["subscriptions"].sum()) == 7043
    assert int(counts.loc[counts["churned"], "subscriptions"].sum()) == 1869 and counts["tenure"].max() == 72
    assert {one.name for one in fit.subscribers.covariates} >= {"plan", "internet", "payment", "security"}
    assert fit.subscribers.refused == ()


def test_a_snapshot_is_said_to_be_one(telco):
    _, fit = telco
    assert fit.verdict["level"] == "caution" and fit.holdout is None and fit.posterior.shock_sd == 0.0
    assert any("as in a snapshot" in reason for reason in fit.verdict["reasons"])


def test_the_list_is_of_those_who_are_likelier_to_leave_than_others(telco):
    portfolio, fit = telco
    found = decide(portfolio, fit)
    listed = found.listed.execute()
    usual = found.summary["leavers"]["mean"] / found.summary["subscriptions"]
    assert 100 < len(listed) < 2000 and listed["p_leave"].mean() > 1.5 * usual
    assert found.tables["rankings"].set_index("ranking")["profit"].idxmax() == "profit"
    assert found.summary["snapshot"] and "scores" not in found.tables and found.summary["voluntary"] is None
