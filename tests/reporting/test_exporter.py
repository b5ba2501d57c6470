"""An executed notebook becomes a page that stands alone, in order, with its code folded away."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cvmlib.errors import NotebookError
from cvmlib.reporting import audit, components
from cvmlib.reporting.exporter import export_page, notebook_body
from cvmlib.reporting.pages import Link, Page, Site, render_page, write_text

EVIL = "<script>alert(1)</script>"
SITE = Site(
    f"Company {EVIL}", (Link(f"Shop {EVIL}", "shop/value.html", "unit/shop"), Link("All", "portfolio.html", "p"))
)
SIBLINGS = (Link("Summary", "shop/summary.html"), Link("Value", "shop/value.html"))
PAGE = Page("Value", "shop/value.html", "unit/shop", f"Shop {EVIL}", SIBLINGS, "", {"Seed": "1", "Data": EVIL})


def output(**data):
    return new_output("display_data", {name.replace("_", "/"): value for name, value in data.items()})


def notebook(*cells):
    return new_notebook(cells=list(cells))


def code(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


@pytest.fixture
def page():
    verdict = '<style class="cvm-style">p{}</style>' + components.verdict_html("sound", f"Worth {EVIL}")
    return export_page(
        notebook(
            new_markdown_cell("# Value\n\nThe *first* words."),
            code("unit = 'secret'", tags=["parameters"]),
            code("unit = 'injected'", tags=["injected-parameters"]),
            code("import cvmlib"),
            code("show.verdict(unit)", output(text_html=verdict, text_plain="words")),
            new_markdown_cell("### Too deep\n\n$$x^2$$\n\n##### Far too deep"),
            code("f'<b>'", new_output("stream", name="stdout", text=f"said {EVIL}")),
            code("last = 1"),
        ),
        PAGE,
        SITE,
    )


def test_page_stands_alone_and_shows_text_as_text(page):
    assert audit.find_faults(page) == []
    assert EVIL not in page and page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6
    assert "http" not in page


def test_page_has_language_skip_link_landmarks_and_one_main_heading(page):
    assert '<html lang="en">' in page and 'class="skip" href="#content"' in page
    for part in ("<header>", '<main class="wide" id="content"', "<footer", 'aria-current="page"', 'name="viewport"'):
        assert part in page
    assert re.findall(r"<h1[^>]*>(.*?)</h1>", page) == ["Value"]


def test_headings_are_in_order(page):
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", page)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert len(re.findall(r"<h[1-6]", page)) == len(re.findall(r"</h[1-6]", page))


def test_parameters_are_hidden_and_code_is_folded_below_what_it_shows(page):
    assert "secret" not in page and "injected" not in page
    assert page.count('<details class="code">') == 2
    text = re.sub(r"<[^>]+>", "", page)
    assert text.index("Worth") < text.index("import cvmlib") < text.index("show.verdict(unit)") < text.index("Too deep")
    assert "last = 1" in text


def test_style_for_jupyterlab_is_left_out(page):
    assert "cvm-style" not in page and page.count("<style>") == 1


def test_navigation_leads_to_neighbours_and_sections(page):
    assert 'href="../shop/summary.html"' in page and 'href="../portfolio.html"' in page
    assert 'href="../index.html"' in page
    assert 'href="../shop/value.html"' not in page


def test_formula_becomes_mathml(page):
    assert "<math display=" in page and "<msup>" in page


def test_page_is_the_same_bytes_every_time():
    cells = [new_markdown_cell("## A"), code("x", output(text_plain="1"))]
    first, second = (export_page(notebook(*cells), PAGE, SITE) for _ in range(2))
    assert first == second


def test_page_does_not_change_the_notebook():
    before = notebook(new_markdown_cell("# T"), code("x"), code("y", output(text_plain="1")))
    copy = nbformat.writes(before)
    export_page(before, PAGE, SITE)
    assert nbformat.writes(before) == copy


@pytest.mark.parametrize(
    "cell",
    [
        new_markdown_cell(EVIL),
        code("x", output(text_html='<img src="https://a.b/c.png" alt="x">')),
        code("x", output(text_html='<div onclick="x()">x</div>')),
    ],
)
def test_page_that_would_not_stand_alone_is_refused(cell):
    with pytest.raises(NotebookError, match="shop/value.html would not stand alone"):
        export_page(notebook(cell), PAGE, SITE)


def test_scripts_widgets_and_stderr_of_other_libraries_do_not_reach_the_page():
    body = notebook_body(
        notebook(
            code("a", new_output("display_data", {"application/javascript": "alert(1)"})),
            code("b", new_output("stream", name="stderr", text=f"warning {EVIL}")),
            code("c", output(text_markdown=f"*words* {EVIL}")),
            code("d", new_output("execute_result", {"text/html": "<table><tr><td>1</td></tr></table>"})),
        )
    )
    assert "alert(1)" not in body.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "")
    assert "<summary>Messages</summary>" in body
    assert "<em>words</em>" in body and "<td>1</td>" in body


def test_index_needs_no_navigation():
    html = render_page(Page("Index", "index.html", "index"), Site("Company"), "<p>body</p>")
    assert "<p>body</p>" in html and "<nav" not in html


def test_file_is_replaced_only_when_it_differs(tmp_path):
    path = tmp_path / "a" / "page.html"
    assert write_text(path, "one")
    state = path.stat().st_mtime_ns
    assert not write_text(path, "one")
    assert path.stat().st_mtime_ns == state
    assert write_text(path, "two") and path.read_text() == "two"
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]
