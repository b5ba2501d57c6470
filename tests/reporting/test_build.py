"""Work done is not done twice, a change rebuilds only what depends on it, and a failure stops only what needs it."""

import nbformat
import pytest

from cvmlib.errors import ConfigError
from tests.reporting.conftest import CLV, CONFIG, EVIL, make_notebook

ALL = [
    "count big", "count small", "count phone", "clv",
    "01_summary big", "02_customers big", "01_summary small", "02_customers small", "02_customers phone", "portfolio",
]  # fmt: skip
PAGES = ["big/summary.html", "big/customers.html", "small/summary.html", "small/customers.html", "phone/customers.html",
         "portfolio.html", "models-clv.html", "index.html"]  # fmt: skip


def page(project, name):
    return (project / "reports" / name).read_text()


def snapshot(project):
    return {path: path.read_bytes() for path in sorted((project / "reports").rglob("*.html"))}


def touch_notebook(path, code):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].source = code
    nbformat.write(notebook, path)


def test_first_build_runs_everything_and_writes_every_page(project, build):
    result, ran = build()
    assert sorted(ran) == sorted(ALL)
    assert result.failures == ()
    assert {path.relative_to(project / "reports").as_posix() for path in result.written} == set(PAGES)
    assert "big summary" in page(project, "big/summary.html")


def test_counts_come_before_models_and_models_before_the_pages_that_read_them(build):
    _, ran = build()
    assert ran.index("clv") > max(ran.index("count big"), ran.index("count small"))
    assert ran.index("clv") < min(ran.index("01_summary big"), ran.index("portfolio"))


def test_second_build_does_nothing(project, build):
    build()
    before = snapshot(project)
    result, ran = build()
    assert ran == [] and result.written == ()
    assert snapshot(project) == before


def test_forced_build_gives_the_same_bytes(project, build):
    build()
    before = snapshot(project)
    _, ran = build(force=True)
    assert sorted(ran) == sorted(ALL)
    assert snapshot(project) == before


def test_changed_notebook_runs_alone(project, build):
    build()
    touch_notebook(project / "notebooks" / "reports" / "02_customers.ipynb", "print(unit, 'new')")
    result, ran = build()
    assert ran == ["02_customers big", "02_customers small", "02_customers phone"]
    assert {path.name for path in result.written} == {"customers.html"}


def test_outputs_left_in_a_notebook_are_no_change(project, build):
    build()
    path = project / "notebooks" / "reports" / "02_customers.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].execution_count = 7
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="by hand")]
    nbformat.write(notebook, path)
    assert build()[1] == []


def test_changed_data_of_a_contractual_unit_rebuild_only_its_own(project, build):
    build()
    (project / "data" / "phone.csv").write_text("other")
    assert build()[1] == ["count phone", "02_customers phone", "portfolio"]


def test_changed_data_of_a_pooled_unit_rebuild_the_model_but_not_the_pages_it_leaves_as_they_were(project, build):
    build()
    (project / "data" / "big.csv").write_text("customer_id,date,value\nbig,2026-01-02,6\n")
    _, ran = build()
    assert sorted(ran) == sorted(["count big", "clv", "01_summary big", "02_customers big", "portfolio"])


def test_changed_setting_of_a_unit_leaves_the_pages_of_others(project, build):
    build()
    start, phone = CONFIG.split("[units.phone]")
    (project / "business_units.toml").write_text(f"{start}[units.phone]{phone.replace('0.4', '0.5')}")
    assert build()[1] == ["count phone", "02_customers phone", "portfolio"]


def test_changed_label_renews_the_navigation_without_running_other_notebooks(project, build):
    build()
    (project / "business_units.toml").write_text(CONFIG.replace('"Phone"', '"Telephone"'))
    _, ran = build()
    assert "01_summary big" not in ran and "clv" not in ran
    assert "Telephone" in page(project, "big/summary.html")


def test_changed_library_module_rebuilds_only_what_imports_it(project, build, monkeypatch):
    from cvmlib.reporting import fingerprints

    path = project / "notebooks" / "reports" / "01_summary.ipynb"
    touch_notebook(path, "from cvmlib.reporting import words\nprint(words.percent(0.5))")
    build()
    monkeypatch.setattr(fingerprints, "_hash_file", lambda path: f"new {path.name}" if path.name == "words.py" else "")
    build()
    monkeypatch.setattr(fingerprints, "_hash_file", lambda path: "newer" if path.name == "words.py" else "")
    assert build()[1] == ["01_summary big", "01_summary small"]


def test_failed_notebook_leaves_its_page_and_the_others_go_on(project, build):
    build()
    before = page(project, "big/summary.html")
    touch_notebook(
        project / "notebooks" / "reports" / "01_summary.ipynb", "assert unit != 'big', 'no luck'; print('new')"
    )
    result, ran = build()
    assert ran == ["01_summary big", "01_summary small"]
    assert page(project, "big/summary.html") == before
    assert "new" in page(project, "small/summary.html")
    assert [failure.message for failure in result.failures] == ["01_summary.ipynb, cell 3: AssertionError: no luck"]
    assert "Summary was not built: 01_summary.ipynb, cell 3: AssertionError: no luck" in page(project, "index.html")
    assert "The page shows an earlier state" in page(project, "index.html")


def test_failed_notebook_is_tried_again(project, build):
    touch_notebook(project / "notebooks" / "reports" / "02_customers.ipynb", "1 / 0")
    assert len(build()[0].failures) == 3
    result, ran = build()
    assert ran == ["02_customers big", "02_customers small", "02_customers phone"]
    assert len(result.failures) == 3
    assert not (project / "reports" / "big" / "customers.html").exists()
    assert "big/customers.html" not in page(project, "index.html")


def test_page_that_would_need_a_script_is_not_written(project, build):
    build()
    before = page(project, "portfolio.html")
    path = project / "notebooks" / "portfolio.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("<script>alert(1)</script>", id="evil"))
    nbformat.write(notebook, path)
    result, _ = build()
    assert "would not stand alone" in result.failures[0].message
    assert page(project, "portfolio.html") == before


def test_failed_model_stops_only_the_pages_that_read_it(project, build):
    build()
    code = "from cvmlib.errors import UnfitModelError\nraise UnfitModelError('R-hat is 1.4.')"
    touch_notebook(project / "notebooks" / "models" / "clv.ipynb", code)
    before = page(project, "big/summary.html")
    (project / "data" / "phone.csv").write_text("other")
    result, ran = build()
    assert ran == ["count phone", "clv", "02_customers phone"]
    assert [failure.kind for failure in result.failures] == ["model"]
    assert result.outcomes["page/big/summary"].state == "blocked"
    assert page(project, "big/summary.html") == before
    assert "R-hat is 1.4." in page(project, "index.html")
    assert "Summary was not built: it needs “Models: Value model”, which failed." in page(project, "index.html")


def test_unusable_data_stop_one_unit_and_the_index_lists_every_problem(project, build):
    build()
    before = page(project, "small/summary.html")
    (project / "data" / "small.csv").write_text("bad")
    result, ran = build()
    assert [failure.kind for failure in result.failures] == ["data"]
    assert "02_customers small" not in ran and "clv" in ran
    assert page(project, "small/summary.html") == before
    index = page(project, "index.html")
    assert EVIL not in index
    assert index.count("transactions.date: 2 dates of &lt;script&gt;alert(1)&lt;/script&gt; are wrong.") == 2
    assert "These pages show an earlier state" in index
    assert (project / "build" / "business_units" / "models" / "clv" / "posterior.txt").read_text() == "1"


def test_page_whose_need_is_blocked_by_the_data_is_not_built_and_is_no_failure(project, build):
    path = project / "notebooks" / "models" / "clv.ipynb"
    make_notebook(path, CLV, 'config = ""\nunits = []', title="M", settings=["noncontractual"], needs=["value"])
    (project / "data" / "small.csv").write_text("blocked")
    result, ran = build()
    assert result.failures == ()
    assert "01_summary small" not in ran and "01_summary big" in ran and "02_customers small" in ran
    assert "Summary was not built: 2 dates of &lt;script&gt;" in page(project, "index.html")


def test_page_whose_tables_are_missing_is_named_with_what_to_supply(project, build):
    build()
    assert not (project / "reports" / "big" / "journeys.html").exists()
    assert "Journeys: supply touchpoints (" in page(project, "index.html")


def test_lost_result_is_made_again(project, build):
    build()
    (project / "build" / "business_units" / "units" / "big" / "value.csv").unlink()
    assert build()[1] == ["clv"]
    (project / "reports" / "big" / "summary.html").unlink()
    result, ran = build()
    assert ran == [] and [path.name for path in result.written] == ["summary.html"]


def test_only_builds_one_unit_with_what_it_needs(project, build):
    _, ran = build(only="big")
    assert sorted(ran) == sorted(["count big", "count small", "clv", "01_summary big", "02_customers big"])
    with pytest.raises(ConfigError, match="no unit 'bug'. The units are big, small, phone"):
        build(only="bug")


def test_broken_notebook_is_a_failure_of_its_own(project, build):
    (project / "notebooks" / "reports" / "04_torn.ipynb").write_text('{"cells": [')
    result, ran = build()
    assert "04_torn.ipynb is not a notebook" in result.failures[0].message
    assert "01_summary big" in ran


def test_no_text_from_data_becomes_markup(project, build):
    build()
    for path, content in snapshot(project).items():
        assert EVIL.encode() not in content, path
        assert b"<b>more</b>" not in content, path
