import json

import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import fit
from cvmlib.churn.prepare import contractual_units, load_unit, load_units, prepare_unit
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
    posterior, provenance = fit.load_posterior(config, "mobile")
    np.testing.assert_allclose(posterior.hazard, fits["mobile"].posterior.hazard, rtol=1e-6)
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
    for load in (fit.load_value, fit.load_posterior):
        with pytest.raises(DataError, match=r"mobile: the subscribers have not been valued yet. Run notebooks/models"):
            load(config, "mobile")


def test_fatal_problems_are_written_and_raised(portfolio, subscriptions):
    config = portfolio(subscriptions.head(50).assign(price="ten euro"))
    with pytest.raises(DataError):
        prepare_unit(config, "mobile")
    checks = json.loads((config.build_dir / "units" / "mobile" / "checks.json").read_text(encoding="utf-8"))
    assert any(problem["fatal"] for problem in checks["problems"])
