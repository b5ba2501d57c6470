"""What the build reads from a notebook, and which library modules a change of which concerns it."""

import json

import nbformat
import pytest

from cvmlib.errors import NotebookError
from cvmlib.portfolio import read_portfolio
from cvmlib.reporting.imports import PACKAGE, module_sources
from cvmlib.reporting.notebooks import find_notebooks, read_notebook
from tests.reporting.conftest import CONFIG, make_notebook


def names(*modules):
    return {path.relative_to(PACKAGE).as_posix() for path in module_sources(modules)}


def test_metadata_parameters_and_imports_are_read(tmp_path):
    source = "%matplotlib inline\nfrom cvmlib.reporting import show, words\nimport cvmlib.portfolio"
    path = make_notebook(tmp_path / "02_customer_base.ipynb", source, title="Customers", needs=["products"], reads=[])
    notebook = read_notebook(path)
    assert (notebook.name, notebook.title, notebook.needs, notebook.reads) == (
        "customer_base", "Customers", ("products",), (),
    )  # fmt: skip
    assert notebook.settings == ("noncontractual", "contractual")
    assert notebook.parameters == {"config", "unit"}
    assert {"cvmlib.reporting.show", "cvmlib.reporting.words", "cvmlib.portfolio"} <= notebook.modules


def test_title_comes_from_the_first_heading_without_metadata(tmp_path):
    path = make_notebook(tmp_path / "03_value.ipynb", "1")
    notebook = nbformat.read(path, as_version=4)
    del notebook.metadata["cvm"]
    notebook.cells[0].source = "# What customers are worth\nText"
    nbformat.write(notebook, path)
    assert read_notebook(path).title == "What customers are worth"
    assert read_notebook(path).reads is None


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"need": ["transactions"]}, "the key 'need'"),
        ({"settings": ["noncontractual", "shop"]}, "the setting 'shop'"),
    ],
)
def test_unknown_metadata_are_refused(tmp_path, metadata, said):
    with pytest.raises(NotebookError, match=said):
        read_notebook(make_notebook(tmp_path / "a.ipynb", "1", **metadata))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": 1, "metadata": {}}', "no json"])
def test_torn_file_is_told(tmp_path, text):
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(NotebookError, match="a.ipynb is not a notebook"):
        read_notebook(path)


def test_fingerprint_follows_sources_tags_and_metadata_only(tmp_path):
    path = make_notebook(tmp_path / "a.ipynb", "1", title="A")
    first = read_notebook(path).fingerprint
    content = json.loads(path.read_text())
    content["cells"][-1]["execution_count"] = 5
    content["metadata"]["language_info"] = {"name": "python"}
    path.write_text(json.dumps(content))
    assert read_notebook(path).fingerprint == first
    make_notebook(path, "2", title="A")
    assert read_notebook(path).fingerprint != first
    make_notebook(path, "1", title="B")
    assert read_notebook(path).fingerprint != first


def test_models_follow_those_they_read(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "company.toml").write_text(CONFIG)
    make_notebook(tmp_path / "notebooks" / "models" / "actions.ipynb", "1", reads=["clv", "track"])
    make_notebook(tmp_path / "notebooks" / "models" / "clv.ipynb", "1", reads=["tables"])
    track = tmp_path / "notebooks" / "models" / "track.ipynb"
    make_notebook(track, "1")
    portfolio = read_portfolio(tmp_path / "company.toml")
    assert [model.name for model in find_notebooks(portfolio).models] == ["clv", "track", "actions"]
    make_notebook(track, "1", reads=["actions"])
    found = find_notebooks(portfolio)
    assert len(found.models) == 3
    assert found.broken == ("Of the models notebooks each waits for another: actions reads track reads actions.",)


def test_sources_of_a_module_are_all_it_imports():
    assert {"reporting/show.py", "reporting/components.py", "reporting/tables.py", "reporting/escape.py"} <= names(
        "cvmlib.reporting.show"
    )
    assert "reporting/exporter.py" not in names("cvmlib.reporting.show")
    assert names("cvmlib.reporting.words") == {"__init__.py", "reporting/__init__.py", "reporting/words.py"}
    assert names("cvmlib.reporting.words.between") == names("cvmlib.reporting.words")
