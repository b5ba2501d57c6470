"""A portfolio file becomes typed records; every mistake in it is one sentence, all at once."""

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

from cvmlib.errors import ConfigError
from cvmlib.portfolio import Portfolio, read_portfolio

ROOT = Path(__file__).parents[1]

GOOD = """
[portfolio]
name = "Shop"
source = "tables"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.10

[units.shop]
label = "Web shop"
setting = "noncontractual"
margin = 0.4
costs = { per_transaction = 3.5 }

[units.shop.tables.transactions]
path = "orders.csv"
columns = { customer_id = "Customer ID", value = "Qty * Price" }
filters = ["Qty <> 0"]
"""


def read(folder: Path, text: str) -> Portfolio:
    path = folder / "shop.toml"
    path.write_text(text, encoding="utf-8")
    return read_portfolio(path)


def message(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(folder, text)
    return str(error.value)


def test_reads_every_part(tmp_path):
    portfolio = read(tmp_path, GOOD + "[demo]\nscale = 0.5\n[portfolio.sampling]\ndraws = 300\n")
    assert (portfolio.name, portfolio.currency, portfolio.discount_rate) == ("Shop", "EUR", 0.10)
    assert portfolio.end_of_observation == datetime.date(2026, 6, 30)
    assert (portfolio.horizon_months, portfolio.holdout_months, portfolio.time_unit) == (12, 12, "day")
    assert (portfolio.sampling.draws, portfolio.sampling.tune, portfolio.sampling.chains) == (300, 1000, 4)
    assert portfolio.demo.scale == 0.5
    unit = portfolio.units["shop"]
    assert (unit.name, unit.label, unit.margin, unit.costs.per_transaction) == ("shop", "Web shop", 0.4, 3.5)
    assert unit.tables["transactions"].columns == {"customer_id": "Customer ID", "value": "Qty * Price"}
    assert unit.tables["transactions"].filters == ["Qty <> 0"]


def test_folders_follow_from_the_file(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "examples").mkdir()
    portfolio = read(tmp_path / "examples", GOOD)
    assert portfolio.root == tmp_path
    assert portfolio.slug == "shop"
    assert portfolio.build_dir == tmp_path / "build" / "shop"
    assert portfolio.reports_dir == tmp_path / "reports" / "shop"


def test_default_file_reports_at_the_top():
    portfolio = read_portfolio(ROOT / "business_units.toml")
    assert portfolio.reports_dir == ROOT / "reports"
    assert list(portfolio.units) == ["fashion", "boutique", "grocery", "mobile"]
    assert portfolio.units["mobile"].setting == "contractual"
    assert portfolio.demo.years == 3


@pytest.mark.parametrize("name", ["cdnow", "online_retail"])
def test_examples_are_valid(name):
    assert read_portfolio(ROOT / "examples" / f"{name}.toml").slug == name


def test_label_defaults_to_the_name(tmp_path):
    assert read(tmp_path, GOOD.replace('label = "Web shop"\n', "")).units["shop"].label == "shop"


def test_expands_variables_with_and_without_default(tmp_path, monkeypatch):
    monkeypatch.setenv("CVM_TEST_MARGIN", "0.25")
    monkeypatch.delenv("CVM_TEST_SOURCE", raising=False)
    text = GOOD.replace('"tables"', '"${CVM_TEST_SOURCE:-here}/x"').replace("= 0.4\n", '= "${CVM_TEST_MARGIN}"\n')
    portfolio = read(tmp_path, text)
    assert portfolio.source == "here/x"
    assert portfolio.units["shop"].margin == 0.25


def test_markup_in_names_is_kept_as_text(tmp_path):
    assert read(tmp_path, GOOD.replace("Web shop", "<script>alert(1)</script>")).units["shop"].label.startswith("<scr")


def test_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_portfolio(path).name == "Shop"


def test_all_mistakes_come_at_once(tmp_path):
    text = GOOD.replace('"EUR"', '"euro"').replace("= 0.4\n", "= 45\n").replace("filters", "filter")
    found = message(tmp_path, text)
    assert "shop.toml: 3 mistakes" in found
    for key in ("portfolio.currency:", "units.shop.margin:", "units.shop.tables.transactions.filter:"):
        assert key in found


def test_import_is_quick():
    code = "import sys, cvmlib.portfolio; print([m for m in ('ibis', 'pandas', 'pymc', 'duckdb') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
