"""What is prepared of a unit: files, counts, and what stays when checks fail."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import counts
from cvmlib.clv.calendar import plain_calendar
from cvmlib.clv.prepare import load_unit, prepare_unit, unit_folder
from cvmlib.clv.study import read_bases
from cvmlib.errors import ConfigError, DataError, UnfitModelError
from cvmlib.portfolio import read_portfolio
from cvmlib.tables.checks import CheckReport
from tests.tables.builders import make_portfolio, write_csv

ROWS = [
    "A,2026-01-05 10:00,10.5",
    "A,2026-01-05 18:00,4.5",
    "A,2026-03-01 09:00,20",
    "A,2026-04-01 09:00,-5",
    "B,2026-02-01 12:00,5",
    "C,2026-02-02 12:00,7",
    "C,2026-06-20 12:00,7.5",
    ",2026-06-20 12:00,99",
]
PEOPLE = ["A,2026-01-05,web", "C,2026-02-02,shop", "D,2026-02-02,shop"]
CUSTOMERS = '[units.shop.tables.customers]\npath = "people.csv"'


def long_log(customers: int = 60, seed: int = 1) -> list[str]:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(customers):
        days = np.unique(rng.integers(0, 900, 6))
        rows += [f"c{i},{pd.Timestamp('2024-01-01') + pd.Timedelta(days=int(d)):%Y-%m-%d},{10 + i}" for d in days]
    return rows


def prepare(folder, rows=ROWS, **settings):
    write_csv(folder, rows)
    portfolio = make_portfolio(folder, **settings)
    return portfolio, prepare_unit(portfolio, "shop")


def with_holdout(folder, months: int = 6):
    """The same portfolio, with a holdout."""
    config = folder / "shop.toml"
    config.write_text(config.read_text().replace("holdout_months = 0", f"holdout_months = {months}"))
    return read_portfolio(config)


def test_counts_of_a_small_shop(tmp_path):
    portfolio, written = prepare(tmp_path)
    folder = unit_folder(portfolio, "shop")
    names = {"checks.json", "purchases.parquet", "customers.parquet", "gaps.parquet", "pairs.parquet", "base.json"}
    assert {path.name for path in written} == names == {path.name for path in folder.iterdir()}
    base = load_unit(portfolio, "shop")
    found = base.customers.to_pandas().set_index("customer_id")
    assert list(found.index) == ["A", "B", "C"]
    assert found["frequency"].tolist() == [1, 0, 1] and found["recency"].tolist() == [55.0, 0.0, 138.0]
    assert found["T"].tolist() == [176.0, 149.0, 148.0] and found["monetary_value"].tolist() == [20.0, 0.0, 7.5]
    assert found["total_value"].tolist() == [35.0, 5.0, 14.5]
    assert base.returned_share == pytest.approx(5 / 54.5)
    assert base.end == date(2026, 6, 30) and base.calibration is None and base.calibration_end is None
    assert len(base.purchases.to_pandas()) == 5 and len(base.gaps) == 0
    assert {"missing_customer_id", "same_day_repeats"} <= {problem.kind for problem in base.checks.problems}


def test_rows_for_the_models(tmp_path):
    prepare(tmp_path, [*ROWS, "E,2026-02-01 12:00,50"])
    base = load_unit(make_portfolio(tmp_path), "shop")
    rows = base.count_rows()
    assert list(rows) == ["unit", "pattern", "frequency", "recency", "T", "customers"]
    assert (rows["unit"] == "shop").all() and (rows["pattern"] == "").all()
    assert rows["customers"].tolist() == [2, 1, 1]  # B and E are alike
    spend = base.count_rows(spend=True)
    assert spend["monetary_value"].tolist() == [0.0, 20.0, 7.5] and spend["customers"].tolist() == [2, 1, 1]


def test_covariates_are_joined(tmp_path):
    write_csv(tmp_path, PEOPLE, "customer_id,acquired_on,store", "people.csv")
    portfolio, written = prepare(tmp_path, more=CUSTOMERS)
    assert "covariates.parquet" in {path.name for path in written}
    found = load_unit(portfolio, "shop").customers.to_pandas().set_index("customer_id")
    assert list(found.index) == ["A", "B", "C"] and found.loc["A", "store"] == "web"
    assert pd.isna(found.loc["B", "store"]) and not any("known" in name for name in found)


def test_customers_are_told_apart_by_the_covariates_that_the_unit_names(tmp_path):
    write_csv(tmp_path, PEOPLE, "customer_id,acquired_on,store", "people.csv")
    write_csv(tmp_path, ROWS)
    make_portfolio(tmp_path, more=CUSTOMERS)
    config = tmp_path / "shop.toml"
    config.write_text(config.read_text().replace("[units.shop]\n", '[units.shop]\ncovariates = ["store"]\n', 1))
    prepare_unit(read_portfolio(config), "shop")
    base = load_unit(read_portfolio(config), "shop")
    assert base.covariates.columns == ("store",) and set(base.count_rows()["pattern"]) == {"web", "shop", "(not known)"}


def test_covariates_without_their_table(tmp_path):
    write_csv(tmp_path, ROWS)
    make_portfolio(tmp_path)
    config = tmp_path / "shop.toml"
    config.write_text(config.read_text().replace("[units.shop]\n", '[units.shop]\ncovariates = ["store"]\n', 1))
    with pytest.raises((DataError, ConfigError), match="customers"):
        prepare_unit(read_portfolio(config), "shop")


def test_gap_pairs_are_those_of_consecutive_purchases(tmp_path):
    write_csv(tmp_path, long_log())
    make_portfolio(tmp_path)
    portfolio = with_holdout(tmp_path)
    prepare_unit(portfolio, "shop")
    base = load_unit(portfolio, "shop")
    log = base.purchases.to_pandas().sort_values(["customer_id", "period"])
    for calibration, until in ((False, base.end), (True, base.calibration_end)):
        own = log[log["period"] <= pd.Timestamp(until)]
        gaps = own.groupby("customer_id")["period"].diff().dt.days.dropna()
        pairs = base.gap_pairs(calibration=calibration)
        assert pairs["gaps"].sum() == len(gaps)
        total = plain_calendar().sum_log_gaps(pairs)
        assert total == pytest.approx(np.log(gaps).sum())


def test_the_calibration_holds_what_was_known_then(tmp_path):
    write_csv(tmp_path, long_log())
    make_portfolio(tmp_path)
    portfolio = with_holdout(tmp_path)
    written = prepare_unit(portfolio, "shop")
    assert "calibration.parquet" in {path.name for path in written}
    base = load_unit(portfolio, "shop")
    assert base.calibration_end == date(2025, 12, 31)
    found = base.calibration.to_pandas()
    expected = counts.count_customers(base.purchases, date(2025, 12, 31), holdout_end=date(2026, 6, 30)).to_pandas()
    expected = expected.sort_values("customer_id", ignore_index=True).assign(pattern="")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert found["holdout_frequency"].sum() > 20 and (found["holdout_T"] == 181).all()
    rows = base.count_rows(calibration=True, spend=True, holdout=True)
    columns = ["frequency", "recency", "T", "monetary_value", "holdout_frequency"]
    assert list(rows) == ["unit", "pattern", *columns, "customers"]
    assert rows["customers"] @ rows["holdout_frequency"] == found["holdout_frequency"].sum()


def test_a_short_history_has_no_calibration(tmp_path):
    write_csv(tmp_path, long_log())
    make_portfolio(tmp_path)
    portfolio = with_holdout(tmp_path)
    prepare_unit(portfolio, "shop")
    calibration = unit_folder(portfolio, "shop") / "calibration.parquet"
    assert calibration.exists()
    write_csv(tmp_path, long_log(customers=15))  # not twenty who bought again
    prepare_unit(portfolio, "shop")
    assert not calibration.exists() and load_unit(portfolio, "shop").calibration is None


def test_preparing_twice_gives_the_same_files(tmp_path):
    portfolio, written = prepare(tmp_path, long_log())
    before = {path: path.read_bytes() for path in written}
    prepare_unit(portfolio, "shop")
    assert {path: path.read_bytes() for path in written} == before
    assert not list(unit_folder(portfolio, "shop").glob("*.partial"))


def test_fatal_checks_leave_their_report_and_the_counts_before(tmp_path):
    portfolio, _ = prepare(tmp_path)
    folder = unit_folder(portfolio, "shop")
    counted = (folder / "customers.parquet").read_bytes()
    write_csv(tmp_path, ["A,yesterday,ten", "B,soon,five"])
    with pytest.raises(DataError) as error:
        prepare_unit(portfolio, "shop")
    assert "date" in str(error.value) and error.value.problems
    report = CheckReport.from_json((folder / "checks.json").read_text())
    assert report.fatal and json.loads((folder / "checks.json").read_text())
    assert (folder / "customers.parquet").read_bytes() == counted
    with pytest.raises(UnfitModelError, match="No non-contractual unit has usable tables"):
        read_bases(portfolio)


def test_a_missing_table_is_reported(tmp_path):
    portfolio = make_portfolio(tmp_path, "nowhere.csv")
    with pytest.raises(DataError, match="nowhere.csv"):
        prepare_unit(portfolio, "shop")
    assert (unit_folder(portfolio, "shop") / "checks.json").is_file()
    assert not (unit_folder(portfolio, "shop") / "customers.parquet").exists()
