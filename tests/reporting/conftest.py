"""A project of two shops and an operator with tiny notebooks, and a stand-in for the kernel that runs them at once."""

import contextlib
import io
import json
import sys
import types
from pathlib import Path

import nbformat
import pytest

from cvmlib.errors import DataError, UnfitModelError
from cvmlib.portfolio import read_portfolio
from cvmlib.reporting import steps
from cvmlib.reporting.build import build_reports
from cvmlib.reporting.run import Failure

EVIL = "<script>alert(1)</script>"

CONFIG = """
[portfolio]
name = "Shops & <b>more</b>"
source = "data"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1

[units.big]
label = "Big shop"
setting = "noncontractual"
margin = 0.4
[units.big.tables.transactions]
path = "big.csv"

[units.small]
label = "<script>alert(1)</script>"
setting = "noncontractual"
margin = 0.4
[units.small.tables.transactions]
path = "small.csv"

[units.phone]
label = "Phone"
setting = "contractual"
margin = 0.4
[units.phone.tables.subscriptions]
path = "phone.csv"
"""
CLV = """
import json
from pathlib import Path
build = Path(config).parent / "build" / "business_units"
(build / "models" / "clv").mkdir(parents=True, exist_ok=True)
(build / "models" / "clv" / "posterior.txt").write_text(str(len(units)))
for name in units:
    counts = (build / "units" / name / "counts.csv").read_text()
    value = {"mean": 4.6e6, "low": 4.1e6, "high": 5.3e6}
    total = dict(unit=name, label=name, setting="noncontractual", customers=1200, value=value, horizon_months=12,
        currency="EUR", verdict=dict(level="sound", headline="Sound.", reasons=["The holdout was met."]))
    (build / "units" / name / "totals.json").write_text(json.dumps(total))
    (build / "units" / name / "value.csv").write_text(counts.upper())
"""
PARAMETERS = 'config = "business_units.toml"\nunit = "big"'


def make_notebook(path: Path, code: str, parameters: str = PARAMETERS, **cvm: object) -> Path:
    """Write a notebook: a heading, its cell of parameters, and one cell of code."""
    cells = [
        nbformat.v4.new_markdown_cell(f"# {path.stem}", id="title"),
        nbformat.v4.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code, id="work"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "cvm": cvm}), path)
    return path


@pytest.fixture
def project(tmp_path):
    """Write a project; return its folder."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "business_units.toml").write_text(CONFIG)
    (tmp_path / "data").mkdir()
    for name in ("big", "small", "phone"):
        (tmp_path / "data" / f"{name}.csv").write_text(f"customer_id,date,value\n{name},2026-01-01,5\n")
    shop, folder = ["noncontractual"], tmp_path / "notebooks"
    make_notebook(folder / "models" / "clv.ipynb", CLV, 'config = ""\nunits = []', title="Value model", settings=shop)
    make_notebook(folder / "reports" / "01_summary.ipynb", "print(unit, 'summary')", title="Summary", settings=shop)
    make_notebook(folder / "reports" / "02_customers.ipynb", "print(unit, 'customers')", title="Customers", reads=[])
    make_notebook(folder / "reports" / "03_journeys.ipynb", "1 / 0", title="Journeys", needs=["touchpoints"])
    make_notebook(folder / "portfolio.ipynb", "print(units)", 'config = ""\nunits = []', title="Portfolio")
    return tmp_path


@pytest.fixture
def build(project, monkeypatch):
    """Return a function that builds the project at once, in this process, and says which notebooks and units it ran."""
    ran: list[str] = []
    fake = types.ModuleType("tests_prepare")

    def prepare_unit(portfolio, unit):
        ran.append(f"count {unit}")
        text = (portfolio.folder / "data" / f"{unit}.csv").read_text()
        folder = portfolio.build_dir / "units" / unit
        folder.mkdir(parents=True, exist_ok=True)
        problem = {"table": "transactions", "column": "date", "message": f"2 dates of {EVIL} are wrong."}
        problem |= {"treatment": "Put them right.", "blocks": ["value"] * ("blocked" in text)}
        checks = {"problems": [problem] * any(word in text for word in ("bad", "blocked")), "facts": {}}
        (folder / "checks.json").write_text(json.dumps(checks))
        if "bad" in text:
            raise DataError("small cannot be used", [types.SimpleNamespace(**problem)] * 2)
        (folder / "counts.csv").write_text(text)
        return [folder / "checks.json", folder / "counts.csv"]

    fake.prepare_unit = prepare_unit
    monkeypatch.setitem(sys.modules, "tests_prepare", fake)
    monkeypatch.setattr(steps, "PREPARED_BY", dict.fromkeys(steps.PREPARED_BY, "tests_prepare"))
    others = {table: name for table, name in steps.ALSO_PREPARED_BY.items() if name != "cvmlib.decisions.prepare"}
    monkeypatch.setattr(steps, "ALSO_PREPARED_BY", others)
    monkeypatch.setattr(steps, "run_notebook", lambda *given: _run_here(ran, *given))

    def run(**options):
        ran.clear()
        result = build_reports(read_portfolio(project / "business_units.toml"), jobs=1, **options)
        return result, list(ran)

    return run


def _run_here(ran, source, copy, parameters, folder, provenance):
    ran.append(f"{source.stem} {parameters.get('unit', '')}".strip())
    notebook = nbformat.read(source, as_version=4)
    space, said = dict(parameters), io.StringIO()
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.redirect_stdout(said):
            exec(notebook.cells[-1].source, space)
    except UnfitModelError as error:
        return Failure("model", f"{source.name}: {error}")
    except Exception as error:
        copy.write_text("half done")
        return Failure("notebook", f"{source.name}, cell 3: {type(error).__name__}: {error}")
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=said.getvalue())]
    notebook.metadata["cvm_provenance"] = [list(fact) for fact in provenance.items()]
    nbformat.write(notebook, copy)
    return None
