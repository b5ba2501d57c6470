"""The example portfolios over public data: what the checks disclose, what is counted, and what the pages say.

The data are not part of the project: without them (``CVM_DATA``, or ``../shared/data`` beside the checkout) these tests
are skipped.
"""

import json
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from cvmlib.decisions.scorer import Scorer
from cvmlib.errors import ConfigError
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.reporting.build import build_reports
from cvmlib.tables.checks import check_unit
from cvmlib.tables.problems import CheckReport, Problem
from tests.reporting.shown import csv_tables, plain

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data")).resolve()
SAMPLING = "\n[portfolio.sampling]\ndraws = 2200\ntune = 500\nchains = 2\n\n[units."
CDNOW, RETAIL = "cdnow_sample.csv.gz", "online_retail_2010_2011.parquet"
NO_PRODUCTS = {"POST", "DOT", "C2", "M", "D", "BANK CHARGES", "AMAZONFEE", "CRUK", "S", "PADS", "B"}


@pytest.fixture(scope="module")
def reference() -> dict:
    path = DATA / "reference_values.json"
    if not path.is_file():
        pytest.skip(f"reference_values.json is not in {DATA}; set CVM_DATA to the folder that holds the public data")
    return json.loads(path.read_text(encoding="utf-8"))


def make_example(folder: Path, name: str, file: str, notebooks: tuple[str, ...], text: str = "") -> Portfolio:
    """Write an example into a project of its own, with shorter chains and only some of the notebooks."""
    if not (DATA / "clv" / file).is_file():
        pytest.skip(f"clv/{file} is not in {DATA}; set CVM_DATA to the folder that holds the public data")
    (folder / "pyproject.toml").write_text("")
    for notebook in notebooks:
        (folder / "notebooks" / notebook).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "notebooks" / notebook, folder / "notebooks" / notebook)
    text = text or (ROOT / "examples" / f"{name}.toml").read_text(encoding="utf-8")
    text = re.sub(r"\$\{CVM_DATA:-[^}]*\}", DATA.as_posix(), text)
    (folder / f"{name}.toml").write_text(text.replace("\n[units.", SAMPLING, 1), encoding="utf-8")
    return read_portfolio(folder / f"{name}.toml")


def test_examples_find_the_data_by_the_variable_or_beside_the_checkout(monkeypatch):
    monkeypatch.setenv("CVM_DATA", "/somewhere")
    assert read_portfolio(ROOT / "examples" / "cdnow.toml").source == "/somewhere/clv"
    monkeypatch.delenv("CVM_DATA")
    assert read_portfolio(ROOT / "examples" / "online_retail.toml").source == "../../shared/data/clv"


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory) -> tuple[Portfolio, dict[str, str]]:
    """Build CDNOW: its counts, its models, and two pages."""
    notebooks = ("models/clv.ipynb", "reports/01_summary.ipynb", "reports/03_value.ipynb")
    portfolio = make_example(tmp_path_factory.mktemp("cdnow"), "cdnow", CDNOW, notebooks)
    result = build_reports(portfolio, jobs=1)
    assert result.failures == ()
    pages = sorted(portfolio.reports_dir.rglob("*.html"))
    return portfolio, {path.relative_to(portfolio.reports_dir).as_posix(): path.read_text() for path in pages}


def test_cdnow_counts_the_published_customers_and_purchases(cdnow, reference):
    folder, known = cdnow[0].build_dir / "units" / "cdnow", reference["cdnow_sample"]
    calibration = pd.read_parquet(folder / "calibration.parquet")
    totals = json.loads((folder / "totals.json").read_text())
    assert len(calibration) == totals["customers"] == known["customers"] == 2_357
    assert calibration["frequency"].sum() == known["repeat_calibration"]
    assert calibration["holdout_frequency"].sum() == known["repeat_holdout_39_weeks"] == 1_882
    assert totals["calibration_end"] == known["calibration_end"]
    assert totals["holdout"]["actual"] == 1_882 and totals["holdout"]["customers"] == 2_357
    assert abs(totals["holdout"]["bias"]) < 0.15


def test_cdnow_pages_tell_the_holdout(cdnow):
    portfolio, pages = cdnow
    assert set(pages) == {"index.html", "models-clv.html", "cdnow/summary.html", "cdnow/value.html"}
    value = plain(pages["cdnow/value.html"])
    assert "Fitted to the purchases until 30 September 1997, the model forecast between" in value
    assert "until 30 June 1998; 1,882 were made, so the forecast was" in value
    assert "Of the 2,357 customers known by then" in value
    assert "supply a table customers with a column acquisition_channel" in value
    tracking = csv_tables(pages["cdnow/value.html"])["tracking.csv"]
    assert tracking["Actual"].iloc[-1] == 2_457 + 1_882
    assert "8 rows (0.1 %) have the value zero" in plain(pages["index.html"])
    assert not [page for page in pages.values() if str(portfolio.root) in page or str(DATA) in page]


@pytest.fixture(scope="module")
def donors(tmp_path_factory) -> tuple[Portfolio, str]:
    """Build the value page of a unit that counts years."""
    folder = tmp_path_factory.mktemp("donors")
    notebooks = ("models/clv.ipynb", "reports/03_value.ipynb")
    portfolio = make_example(folder, "donors", "discrete_sim_elog.csv.gz", notebooks)
    result = build_reports(portfolio, jobs=1)
    assert result.failures == ()
    return portfolio, plain((portfolio.reports_dir / "donors" / "value.html").read_text())


def test_a_unit_of_yearly_opportunities_is_valued_by_years(donors):
    portfolio, page = donors
    totals = json.loads((portfolio.build_dir / "units" / "donors" / "totals.json").read_text())
    log = pd.read_csv(DATA / "clv" / "discrete_sim_elog.csv.gz", parse_dates=["date"])
    held = int((log["date"].dt.year > 1980).sum())
    assert totals["model"]["family"] == "bg_bb" and totals["holdout"]["actual"] == held
    assert totals["holdout"]["low"] <= held <= totals["holdout"]["high"]
    assert abs(totals["holdout"]["bias"]) < 0.03
    customers = pd.read_parquet(portfolio.build_dir / "units" / "donors" / "value.parquet")
    assert len(customers) == 10_000 and customers["value"].max() < 5 * 50.0
    assert customers["purchases_high"].max() <= 5  # a year each
    assert "a year in which a customer buys counts as one" in page and "counted by the year" in page
    assert "Customers buy once or not at all in a year" in page
    cut = portfolio.model_copy(update={"end_of_observation": pd.Timestamp("1983-11-30").date()})
    report = check_unit(cut, "donors")
    assert report.end_of_observation.isoformat() == "1982-12-31"


def test_a_unit_of_opportunities_is_not_scored_between_two_builds(donors):
    with pytest.raises(ConfigError, match="units.donors.opportunity is year"):
        Scorer(donors[0], "donors")


def find(report: CheckReport, kind: str) -> Problem:
    """Return the only problem of a kind; its message must name its rows."""
    found = [problem for problem in report.problems if problem.kind == kind]
    assert len(found) == 1, (kind, [problem.kind for problem in report.problems])
    assert not found[0].fatal
    return found[0]


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    """Read the file as it is, for counts that do not come from the project."""
    path = DATA / "clv" / RETAIL
    if not path.is_file():
        pytest.skip(f"clv/{RETAIL} is not in {DATA}; set CVM_DATA to the folder that holds the public data")
    return pd.read_parquet(path)


@pytest.fixture(scope="module")
def retail(tmp_path_factory) -> tuple[Portfolio, str, str]:
    """Count Online Retail and build the page of its customers."""
    folder = tmp_path_factory.mktemp("retail")
    portfolio = make_example(folder, "online_retail", RETAIL, ("reports/02_customers.ipynb",))
    result = build_reports(portfolio, jobs=1)
    assert result.failures == ()
    page = (portfolio.reports_dir / "gifts" / "customers.html").read_text()
    return portfolio, page, (portfolio.reports_dir / "index.html").read_text()


@pytest.fixture(scope="module")
def used(raw) -> pd.DataFrame:
    codes = raw["StockCode"].astype(str)
    return raw[~(codes.str.upper().isin(NO_PRODUCTS) | codes.str.startswith("gift_"))]


def test_online_retail_discloses_every_treatment_with_its_rows(retail, raw, used, reference):
    portfolio, known = retail[0], reference["online_retail_2010_2011"]
    text = (portfolio.build_dir / "units" / "gifts" / "checks.json").read_text()
    report = CheckReport.from_json(text)
    assert report.rows == {"transactions": known["rows"]} == {"transactions": len(raw)}
    filtered = [problem for problem in report.problems if "row filter" in problem.message]
    assert sum(problem.rows for problem in filtered) == len(raw) - len(used)
    named = used[used["CustomerID"].notna()]
    value = named["Quantity"] * named["UnitPrice"]
    assert find(report, "missing_customer_id").rows == len(used) - len(named)
    cancelled = named["InvoiceNo"].astype(str).str.startswith("C")
    found = [problem for problem in report.problems if "returns or cancellations" in problem.message]
    assert [problem.rows for problem in found] == [int((value < 0).sum())] == [int(cancelled.sum())]
    assert found[0].money == pytest.approx(value[value < 0].sum())
    assert find(report, "duplicate_rows").rows == named.duplicated().sum()


def test_online_retail_unfiltered_misses_as_many_ids_as_published(tmp_path, reference):
    known = reference["online_retail_2010_2011"]
    text = (ROOT / "examples" / "online_retail.toml").read_text(encoding="utf-8")
    text = re.sub(r"filters = \[.*?\n\]\n", "", text, flags=re.DOTALL)
    portfolio = make_example(tmp_path, "online_retail", RETAIL, (), text)
    report = check_unit(portfolio, "gifts")
    assert find(report, "missing_customer_id").rows == known["missing_customer_rows"]
    assert not [problem for problem in report.problems if "row filter" in problem.message]


def test_online_retail_counts_what_the_raw_file_holds(retail, used):
    customers = pd.read_parquet(retail[0].build_dir / "units" / "gifts" / "customers.parquet")
    named = used[used["CustomerID"].notna()].drop_duplicates()
    named = named.assign(value=named["Quantity"] * named["UnitPrice"], day=named["InvoiceDate"].dt.normalize())
    days = named.groupby(["CustomerID", "day"])["value"].agg(["sum", "min"])
    bought = days[(days["sum"].round(6) > 0) | (days["min"] == 0)].reset_index()
    expected = bought.groupby("CustomerID")["day"].agg(["size", "min", "max"])
    expected.index = expected.index.astype(int)
    counted = customers.set_index(customers["customer_id"].astype(int)).sort_index()
    assert counted.index.tolist() == expected.index.tolist()
    assert counted["frequency"].tolist() == (expected["size"] - 1).tolist()
    assert counted["recency"].tolist() == (expected["max"] - expected["min"]).dt.days.tolist()
    assert counted["total_value"].sum() == pytest.approx(bought["sum"].sum())


def test_online_retail_pages_disclose_the_treatments(retail):
    _, page, index = retail
    for text in (plain(page).lower(), plain(index).lower()):
        assert "134,050 rows (24.7 %, 1,506,046 gbp) have no customer id" in text
        assert "8,539 rows (1.6 %, −474,403 gbp)" in text.replace("-", "−")
        assert "returns or cancellations" in text and "dropped: they belong to nobody" in text
        assert "leaves out 2,916 rows" in text
