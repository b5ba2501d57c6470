"""All parts of value of a small company: they add up, they hold the truth, and what is missing is said."""

import json

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cvmlib.decisions import value_study
from cvmlib.decisions.prepare import load_unit, prepare_unit
from cvmlib.decisions.value_results import load_parts
from cvmlib.decisions.value_study import save_studies, study_parts
from cvmlib.errors import ConfigError, UnfitModelError
from cvmlib.reporting.steps import read_checks
from cvmlib.tables.demo.company import COMPANY
from cvmlib.tables.demo.value_truth import wallet_gap
from tests.decisions.company import know_posterior, write_company

PARTS = ["historic", "current", "potential", "credit", "coming"]


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return write_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def studies(company):
    portfolio, tables = company
    live = know_posterior(portfolio, tables["fashion"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_study, "load_live", lambda *_: live)
        return study_parts(portfolio)


@pytest.mark.parametrize("name", ["fashion", "mobile"])
def test_parts_add_up_for_each_and_for_all(studies, name):
    study = studies[name]
    customers, parts = study.customers.execute(), study.result.tables["parts"].set_index("part")
    assert np.allclose(customers["value"], customers[PARTS].sum(axis=1))
    assert customers["credit"].sum() == pytest.approx(0.0, abs=1e-6)
    assert parts.loc["total", "mean"] == pytest.approx(customers["value"].sum())
    assert parts.loc[["historic", "current", "potential", "coming"], "mean"].sum() == pytest.approx(
        parts.loc["total", "mean"]
    )
    assert (customers["value_low"] <= customers["value"] + 1e-9).all()
    assert (customers["value_high"] >= customers["value"] - 1e-9).all()
    kinds = ["cross_sell", "add_on", "up_sell"]
    assert (customers[kinds].fillna(0.0) >= 0).all().all()
    assert np.allclose(customers[kinds].sum(axis=1), customers["potential"], atol=1e-9)
    table = study.result.tables["kinds"].set_index("kind")
    assert table["value"].sum() == pytest.approx(parts.loc["potential", "mean"])
    assert table["share"].sum() == pytest.approx(1.0) and table["chance"].between(0, 1).all()
    assert table.index.tolist() == (kinds if name == "fashion" else ["up_sell"])


def test_historic_value_is_that_of_the_raw_orders(company, studies):
    orders = company[1]["fashion"].transactions
    cents = (orders["quantity"] * (orders["unit_price"] * 100).round()).astype(int)
    days = cents.groupby([orders["customer"], orders["ordered_at"].dt.normalize()]).sum()
    each = 0.45 * days.groupby("customer").sum() / 100 - 4.0 * days.groupby("customer").size()
    found = studies["fashion"].customers.execute().set_index("customer_id")["historic"]
    assert (found - each.reindex(found.index)).abs().max() < 1e-6


def test_true_gaps_give_the_potential(company, studies):
    truth = company[1]["fashion"].truth.set_index("customer")
    customers = studies["fashion"].customers.execute().set_index("customer_id")
    gap = pd.Series(wallet_gap(COMPANY["fashion"], truth), truth.index)
    assert customers["gap"].mean() == pytest.approx(gap.mean(), rel=0.04)
    true = float((0.45 * gap * truth["future_purchases_12m"] * 0.953).sum())
    row = studies["fashion"].result.tables["parts"].set_index("part").loc["potential"]
    assert row["low"] < true < row["high"]


def test_customers_who_fill_their_baskets_alike_have_next_to_no_add_on(studies):
    """The demo company draws the number of lines of an order alike for everybody."""
    kinds = studies["fashion"].result.tables["kinds"].set_index("kind")
    assert kinds.loc["add_on", "share"] < 0.1 < kinds.loc["up_sell", "share"]


def test_potential_is_shared_out_once():
    rows = pd.DataFrame(
        [(100.0, 0.25, 20.0, 30.0, 1.5, 0.3), (100.0, 0.0, 5.0, 30.0, 1.5, 0.3), (0.0, 0.5, 0.0, 30.0, 1.5, 0.3),
         (50.0, None, 10.0, 30.0, None, None)],
        columns=["potential", "cross", "gap", "spend_each", "basket", "more"],
    )  # fmt: skip
    found = value_study.share_out(ibis.memtable(pa.Table.from_pandas(rows))).execute()
    # 0.3 products more at 20 each are 6 of a gap of 20 (30%), and more than all of a gap of 5
    expected = [[25.0, 22.5, 52.5], [0.0, 100.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 50.0]]
    np.testing.assert_allclose(found[["cross_sell", "add_on", "up_sell"]], expected, atol=1e-12)


@pytest.mark.parametrize(("kind", "count"), [("type", 4), ("tier", 4)])
def test_sure_assignments_of_buyers_are_right(company, studies, kind, count):
    study, truth = studies["fashion"], company[1]["fashion"].truth.set_index("customer")
    customers = study.customers.execute().set_index("customer_id")
    truth = truth.reindex(customers.index)
    margin, lines = 0.45 * truth["mean_spend"] - 4.0, study.result.totals["lines"]
    rate = np.where(truth["alive"], truth["purchase_rate"] * 365.25, 0.0)
    if kind == "type":
        true = np.where(margin >= lines["margin"], 0, 2) + np.where(rate > lines["often"], 0, 1)
    else:
        low = study.result.tables["tiers"]["low"].to_numpy()
        true = (rate * margin.to_numpy() < low[:, None]).sum(axis=0)
    chances = customers[[name for name in customers if name.startswith(f"{kind}_")]].to_numpy()
    assert chances.shape[1] == count and np.allclose(chances.sum(axis=1), 1.0)
    sure = chances.max(axis=1) >= 0.8
    right, stated = (chances.argmax(axis=1) == true)[sure].mean(), chances.max(axis=1)[sure].mean()
    assert sure.sum() > 100 and abs(right - stated) < 4 * np.sqrt(0.09 / sure.sum()) + 0.02


def test_subscribers_have_price_gaps_and_stated_tiers(company, studies):
    customers = studies["mobile"].customers.execute().set_index("customer_id")
    fees = company[1]["mobile"].subscriptions.set_index("customer")
    dearest = fees.index[(fees["monthly_fee"] == 39.99) & fees["deactivated_on"].isna()]
    assert (customers.loc[dearest, "potential"] == 0).all() and (customers.loc[dearest, "tier_gold"] == 1).all()
    gone = fees.index[fees["deactivated_on"].notna()]
    assert (customers.loc[gone, "current"] == 0).all() and customers.loc[gone, "tier_gold"].isna().all()
    assert studies["mobile"].result.totals["tiers_stated"] and not studies["fashion"].result.totals["tiers_stated"]


def test_what_is_saved_is_what_is_loaded(company, studies):
    portfolio = company[0]
    with pytest.raises(UnfitModelError, match="value_parts.ipynb"):
        load_parts(portfolio, "fashion")
    written = save_studies(portfolio, studies)
    assert all(path.is_file() for path in written)
    loaded = load_parts(portfolio, "fashion")
    assert loaded.totals == studies["fashion"].result.totals
    pd.testing.assert_frame_equal(loaded.tables["parts"], studies["fashion"].result.tables["parts"])


def test_market_below_the_customers_won_is_refused(company):
    portfolio = company[0]
    checks = read_checks(portfolio, "fashion")
    won = int(load_unit(portfolio, "fashion").cash.customer_id.nunique().execute())

    def state(size: int):
        unit = portfolio.units["fashion"].model_copy(update={"market_customers": size})
        return portfolio.model_copy(update={"units": portfolio.units | {"fashion": unit}})

    message = (
        rf"units\.fashion\.market_customers: found 10, fewer than the {won:,} customers .*: {won:,} or more\. Leave"
    )
    with pytest.raises(ConfigError, match=message):
        prepare_unit(state(10), "fashion", checks)
    assert prepare_unit(state(won), "fashion", checks)


def test_withheld_value_leaves_the_past(company):
    portfolio = company[0]
    path = portfolio.build_dir / "units" / "mobile" / "totals.json"
    kept = path.read_text(encoding="utf-8")
    path.write_text(json.dumps(json.loads(kept) | {"verdict": {"level": "withheld"}}), encoding="utf-8")
    study = study_parts(portfolio, ["mobile"])["mobile"]
    path.write_text(kept, encoding="utf-8")
    assert study.result.withheld and study.result.tables["parts"].empty and study.result.tables["types"].empty
    assert study.result.totals["historic"] > 0 and len(study.result.tables["payback"])
    assert study.customers.agg(value=study.customers.current.sum()).execute()["value"].item() == 0


def test_circles_and_negative_costs_are_notes_and_the_rest_is_told(company):
    portfolio = company[0]
    path = portfolio.build_dir / "units" / "mobile" / "people.parquet"
    people = pd.read_parquet(path)
    broken = people.assign(acquisition_cost=-1.0)
    broken.loc[:1, "referred_by"] = people["customer_id"].iloc[[1, 0]].to_numpy()
    broken.to_parquet(path)
    result = study_parts(portfolio, ["mobile"])["mobile"].result
    people.to_parquet(path)
    notes = " ".join(result.totals["notes"])
    assert "referrals go in a circle of 2 customers" in notes and "rows have a negative cost" in notes
    assert result.tables["payback"].empty and result.tables["referrers"].empty and len(result.tables["parts"])


def test_value_of_a_referred_newcomer_is_shrunk_and_as_spread_as_that_of_all():
    first = pd.DataFrame(
        {"group": ["no", "yes"], "customers": [9_000, 100], "mean": [80.0, 100.0], "deviation": [90.0, 5.0]}
    )
    row = value_study.value_newcomer(first).iloc[0]
    error, usual = 90.0 / np.sqrt(100), np.hypot(0.15 * 80.2, 90.0 / np.sqrt(9_000))
    weight = usual**2 / (usual**2 + error**2)
    assert row["mean"] == pytest.approx(80.0 + weight * 20.0, abs=0.1)
    assert row["deviation"] == pytest.approx(90.0, rel=0.01)
    assert row["deviation"] / np.sqrt(row["customers"]) == pytest.approx(1 / np.sqrt(error**-2 + usual**-2), rel=0.01)
    alone = value_study.value_newcomer(first[first["group"] == "no"])
    assert alone["mean"].item() == 80.0 and alone["customers"].item() == 9_000
    assert value_study.value_newcomer(first.iloc[:0]).empty
