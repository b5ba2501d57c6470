import json

import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import drivers, fit
from cvmlib.churn.counts import censor_counts
from cvmlib.churn.prepare import contractual_units, lay_out_units, load_unit, load_units, prepare_unit
from cvmlib.errors import DataError
from cvmlib.portfolio import read_portfolio
from tests.churn.conftest import END

CONFIG = """
[portfolio]
name = "Test"
source = "data"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1
[units.shop]
setting = "noncontractual"
margin = 0.5
tables.transactions = {{ path = "none.csv" }}
[units.mobile]
label = "Mobile <b>operator</b>"
setting = "contractual"
margin = 0.5
costs = {{ per_customer_year = 12.0, per_transaction = 0.1 }}
[units.mobile.tables.subscriptions]
path = "subscriptions.parquet"
columns = {{ {columns} }}
"""
COLUMNS = 'customer_id = "customer", start = "activated_on", end = "deactivated_on", price = "monthly_fee"'


@pytest.fixture
def portfolio(tmp_path):
    """Write subscriptions as a company has them, and read the portfolio over them."""

    def write(subscriptions: pd.DataFrame, columns: str = COLUMNS):
        names = {"customer_id": "customer", "start": "activated_on", "end": "deactivated_on", "price": "monthly_fee"}
        (tmp_path / "data").mkdir(exist_ok=True)
        subscriptions.rename(columns=names).to_parquet(tmp_path / "data" / "subscriptions.parquet", index=False)
        (tmp_path / "units.toml").write_text(CONFIG.format(columns=columns), encoding="utf-8")
        return read_portfolio(tmp_path / "units.toml")

    yield write


def small(rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "start", "end", "price"])
    return frame.assign(start=pd.to_datetime(frame["start"]), end=pd.to_datetime(frame["end"]), plan="p")


def test_from_the_tables_to_the_reports(portfolio, subscriptions, counts):
    config = portfolio(subscriptions)
    assert contractual_units(config) == ["mobile"]
    written = prepare_unit(config, "mobile")
    assert all(path.is_file() for path in written)
    data = load_unit(config, "mobile")
    pd.testing.assert_frame_equal(data.counts, counts, check_dtype=False)
    assert data.customers == 3000 and data.observed_from is None
    assert data.leaving["subscriptions"].sum() == counts.loc[counts["churned"], "subscriptions"].sum()
    fits = fit.fit_units(config, {"mobile": data})
    saved = fit.save_units(config, fits)
    assert all(path.is_file() for path in saved)
    value = fit.load_value(config, "mobile")
    totals = value["totals"]
    assert totals["verdict"]["level"] in ("sound", "caution")
    assert totals["value"]["low"] < totals["value"]["mean"] < totals["value"]["high"]
    assert totals["customers"] == 3000 and totals["active"] == len(value["customers"])
    assert totals["end_of_observation"] == END.isoformat() and totals["purchases"] is None
    assert value["customers"]["value"].sum() == pytest.approx(totals["value"]["mean"], rel=0.01)
    provenance = json.loads(fit.posterior_path(config, "mobile").with_suffix(".json").read_text(encoding="utf-8"))
    assert provenance["seed"] == config.seed and provenance["plans"] == ["basic", "pro"]


def test_same_data_same_numbers(portfolio, subscriptions):
    config = portfolio(subscriptions.head(800))
    data = load_unit(config, "mobile")
    first, second = (fit.make_totals(config, fit.fit_unit(config, data, 200)) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(f"c{i}", f"2024-01-{1 + i % 28:02d}", None, 9.0) for i in range(50)], "0 leavers"),
        ([(f"c{i}", "2024-01-10", f"2025-0{1 + i % 6}-10", 9.0) for i in range(50)], "No subscription is active"),
        ([("a", "2026-06-30", None, 9.0), ("b", "2026-06-29", None, 9.0)], "0 leavers"),
        ([(c, "2026-06-30", "2026-06-30", 9.0) for c in "ab"], "No subscription is active"),
        (
            [("a", "2025-01-10", "2025-03-10", 9.0), ("a", "2025-06-10", None, 9.0), ("b", "2025-06-10", None, 9.0)],
            "1 leaver;",
        ),
        ([(f"c{i}", f"2026-06-{1 + i % 28:02d}", None, 0.0) for i in range(50)], "no positive price"),
    ],
    ids=["everybody active", "everybody gone", "tenure 0", "end equals start", "came back", "free of charge"],
)
def test_bases_that_tell_little_are_withheld_not_guessed(portfolio, rows, reason):
    config = portfolio(small(rows))
    fits = fit.fit_units(config, load_units(config))
    fit.save_units(config, fits)
    value = fit.load_value(config, "mobile")
    verdict = value["totals"]["verdict"]
    assert verdict["level"] == "withheld"
    assert any(reason in sentence for sentence in verdict["reasons"])
    assert np.isfinite(list(value["totals"]["value"].values())).all()
    assert np.isfinite(value["customers"]["value"]).all()
    frames = (fit.compare_retention(fits), fit.tabulate_hazards(fits), fit.tabulate_holdout(fits, "cells"))
    assert all(isinstance(frame, pd.DataFrame) for frame in frames)


def test_a_plan_is_not_needed(portfolio):
    config = portfolio(small([("a", "2025-01-10", None, 9.0), ("b", "2025-01-11", None, 9.0)]).drop(columns="plan"))
    assert load_unit(config, "mobile").counts["plan"].tolist() == ["all"]


def test_reports_before_the_fit_say_what_to_run(portfolio, subscriptions):
    config = portfolio(subscriptions.head(50))
    prepare_unit(config, "mobile")
    with pytest.raises(DataError, match=r"mobile: the subscribers have not been valued yet. Run notebooks/models"):
        fit.load_value(config, "mobile")


def test_fatal_problems_are_written_and_raised(portfolio, subscriptions):
    config = portfolio(subscriptions.head(50).assign(price="ten euro"))
    with pytest.raises(DataError):
        prepare_unit(config, "mobile")
    checks = json.loads((config.build_dir / "units" / "mobile" / "checks.json").read_text(encoding="utf-8"))
    assert any(problem["fatal"] for problem in checks["problems"])


COVARIATES = """retention = {{ covariates = [{names}], {more} }}
[units.mobile.tables.customers]
path = "customers.parquet"
[units.mobile.tables.subscriptions]"""


@pytest.fixture
def with_covariates(tmp_path, portfolio, subscriptions):
    """Add a customers table and covariates to the portfolio, and prepare the unit."""
    rng = np.random.default_rng(5)
    people = subscriptions.drop_duplicates("customer_id")
    customers = pd.DataFrame({"customer_id": people["customer_id"], "age": rng.integers(18, 80, len(people))})
    customers = customers.assign(region=rng.choice(["n", "s"], len(people)), gone=people["end"].notna().to_numpy())

    def write(names: str, more: str = "renewal_months = 12"):
        config = portfolio(subscriptions)
        customers.to_parquet(tmp_path / "data" / "customers.parquet", index=False)
        text = config.path.read_text(encoding="utf-8")
        added = COVARIATES.format(names=names, more=more)
        text = text.replace("[units.mobile.tables.subscriptions]", added)
        config.path.write_text(text, encoding="utf-8")
        return read_portfolio(config.path)

    return write


def test_covariates_are_counted_and_leaks_refused(with_covariates, subscriptions, counts):
    config = with_covariates('"plan", "age", "region", "gone"', "cuts = { age = [40] }")
    data = load_unit(config, "mobile")
    assert [one.name for one in data.covariates] == ["plan", "age", "region"]
    assert [one.name for one in data.refused] == ["gone"] and "out-of-sample AUC 1.00" in data.refused[0].reason
    pd.testing.assert_frame_equal(data.counts, counts, check_dtype=False)
    assert len(data.pattern_counts["pattern"].unique()) == 8
    by_plan = data.pattern_counts.groupby("plan")["subscriptions"].sum()
    assert by_plan.to_dict() == subscriptions.groupby("plan").size().to_dict()
    laid = lay_out_units({"mobile": data})
    assert laid.left.sum() == counts.loc[counts["churned"], "subscriptions"].sum()
    table = drivers.tabulate_covariates({"mobile": data})
    assert table["used"].tolist() == [True, True, True, False]
    split = data.end_month - 12
    early = lay_out_units({"mobile": data}, until=split)
    known = censor_counts(counts, split)
    assert early.left.sum() == known.loc[known["churned"], "subscriptions"].sum()
    assert early.active["subscriptions"].sum() == known.loc[~known["churned"], "subscriptions"].sum()


def test_an_unknown_covariate_is_named_with_the_nearest_column(with_covariates):
    config = with_covariates('"regoin"')
    with pytest.raises(DataError, match=r"names the column regoin, which is neither .* did you mean region\?"):
        prepare_unit(config, "mobile")


def test_records_from_a_day_on_make_older_subscribers_enter_late(with_covariates):
    config = with_covariates('"plan"', "records_from = 2025-01-15")
    data = load_unit(config, "mobile")
    assert data.observed_from == 12 * 2025 + 1
    rows = lay_out_units({"mobile": data}).rows
    assert (rows["entry"] > 0).any() and (rows["entry"] <= rows["tenure"]).all()


def test_drivers_are_fitted_chosen_and_saved(with_covariates):
    config = with_covariates('"plan", "region"')
    units = load_units(config)
    pools = drivers.fit_pools(config, units)
    assert [pool.units for pool in pools] == [("mobile",)]
    assert drivers.tabulate_gates(pools)["passed"].all()
    effects = drivers.tabulate_drivers(pools).set_index(["covariate", "level"])
    assert effects.loc[("plan", "basic"), "ratio_low"] > 1 > effects.loc[("plan", "pro"), "ratio_high"]
    written = drivers.save_pools(config, units, pools)
    assert all(path.is_file() for path in written)
    saved = drivers.load_drivers(config, "mobile")
    assert saved["facts"]["passed"] and saved["facts"]["model"] in ("sBG", "BdW", "Hazard")
    assert {"plan", "region", "tenure", "leaves_3", "leaves_3_low"} <= set(saved["risk"].columns)
    assert drivers.tabulate_check(pools)["inside"].mean() > 0.7


def test_units_with_few_leavers_have_no_drivers(portfolio):
    config = portfolio(small([(f"c{i}", f"2024-01-{1 + i % 28:02d}", None, 9.0) for i in range(50)]))
    units = load_units(config)
    assert drivers.fit_pools(config, units) == []
    assert drivers.load_drivers(config, "mobile") == {}
    for make in (drivers.tabulate_drivers, drivers.tabulate_check, drivers.tabulate_choices, drivers.tabulate_gates):
        assert make([]).empty
