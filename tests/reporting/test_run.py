"""Real kernels: a notebook that runs, one that fails readably, and a whole build in processes of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cvmlib.reporting import run
from tests.reporting.conftest import make_notebook

SHOP = """
[portfolio]
name = "Shops"
source = "."
currency = "EUR"
discount_rate = 0.1
[units.shop]
label = "Shop"
setting = "noncontractual"
margin = 0.4
[units.shop.tables.transactions]
path = "shop.csv"
[units.torn]
label = "Torn"
setting = "noncontractual"
margin = 0.4
[units.torn.tables.transactions]
path = "torn.csv"
"""
WORK = """
import os
from cvmlib.reporting import show, words
show.verdict("sound", f"{unit} " + words.between(4.6e6, 4.1e6, 5.3e6))
print(os.environ["PYTENSOR_FLAGS"].count("numba__fastmath=0"), os.environ.get("PYTHONDONTWRITEBYTECODE"))
"""


def test_notebook_runs_with_parameters_in_its_folder_and_keeps_its_provenance(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTENSOR_FLAGS", "base_compiledir=x")
    code = WORK + "print(os.getcwd())"
    copy = tmp_path / "new" / "folder" / "a.ipynb"
    source = make_notebook(tmp_path / "a.ipynb", code)
    before = source.read_bytes()
    assert run.run_notebook(source, copy, {"unit": "shop"}, tmp_path, {"Seed": "1", "Data": "2"}) is None
    text = copy.read_text()
    assert "shop between 4.1 and 5.3 million EUR, most likely 4.6" in text
    assert "1 None" in text and str(tmp_path) in text
    assert json.loads(text)["metadata"]["cvm_provenance"] == [["Seed", "1"], ["Data", "2"]]
    assert source.read_bytes() == before
    assert capfd.readouterr().err == ""


def test_failure_names_notebook_cell_and_the_message_without_a_traceback(tmp_path):
    code = "# first\nfrom cvmlib.errors import DataError\nraise DataError('transactions: 3 rows are wrong.')"
    source, copy = make_notebook(tmp_path / "02_bad.ipynb", code), tmp_path / "copies" / "02_bad.ipynb"
    failure = run.run_notebook(source, copy, {"unit": "shop"}, tmp_path)
    assert failure.kind == "data"
    assert failure.message.splitlines() == [
        "02_bad.ipynb, cell 3 (from cvmlib.errors import DataError): transactions: 3 rows are wrong.",
        f"The executed copy with all details: {copy}",
    ]
    assert "DataError" in copy.read_text()


def test_failure_of_another_kind_names_the_exception(tmp_path):
    source = make_notebook(tmp_path / "a.ipynb", "values = {}\nvalues['x']")
    failure = run.run_notebook(source, tmp_path / "copy.ipynb", {}, tmp_path)
    assert failure.kind == "notebook"
    assert failure.message.startswith("a.ipynb, cell 3 (values = {}): KeyError: 'x'")


def cvm(folder, *arguments):
    command = [str(Path(sys.executable).parent / "cvm"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "business_units.toml").write_text(SHOP)
    rows = [f"c{i % 7},2025-{1 + i % 12:02d}-{1 + i % 28:02d},{10 + i}" for i in range(200)]
    (tmp_path / "shop.csv").write_text("\n".join(["customer_id,date,value", *rows, ""]))
    (tmp_path / "torn.csv").write_text("customer_id,date,value\nx,never,abc\n")
    make_notebook(tmp_path / "notebooks" / "reports" / "01_summary.ipynb", WORK, title="Summary")
    return tmp_path


def test_command_builds_in_processes_and_says_what_is_wrong(shop):
    done = cvm(shop, "reports", "--jobs", "2")
    assert done.returncode == 3, done.stderr
    assert "[1/4]" in done.stderr and "Traceback" not in done.stderr
    assert "torn: " in done.stderr and "transactions.date" in done.stderr
    page = (shop / "reports" / "shop" / "summary.html").read_bytes()
    assert b"shop between 4.1 and 5.3 million EUR" in page
    assert "transactions.date" in (shop / "reports" / "index.html").read_text()
    (shop / "reports" / "shop" / "summary.html").unlink()
    assert cvm(shop, "reports", "--force", "--only", "shop").returncode == 0
    assert (shop / "reports" / "shop" / "summary.html").read_bytes() == page
