"""Pages in a real browser without a network: no request, no message, nothing wider than a phone."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cvmlib.reporting import components, figures, pages, tables
from cvmlib.reporting.exporter import export_page
from tests import browser

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="Chromium is not installed")
mpl.use("agg")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write a page with every component, wide tables and long words."""
    wide = pd.DataFrame({f"a long name of column {i}": [1e6 * i, "x" * 60] for i in range(12)})
    fig, ax = plt.subplots(figsize=(8, 4))
    ax.plot([1, 2, 3])
    parts = [
        components.verdict_html("caution", "The customers are worth between 4.1 and 5.3 million EUR.", "A.", "B."),
        components.facts_html({"Customers": 23568, "Value": ("4.6 million EUR", "between 4.1 and 5.3")}),
        figures.figure_html(fig, "It rises.", wide, "A caption.", "rise"),
        tables.table_html(wide, "A wide table"),
        components.prose_html("Words, $x^2$ and `code`."),
        components.note_html("Text", "More"),
    ]
    plt.close(fig)
    outputs = [new_output("display_data", {"text/html": part}) for part in parts]
    formula = "## Formula\n\n$$" + " + ".join(f"x_{{{i}}}^2" for i in range(40)) + "$$"
    cells = [new_code_cell("show(" + "y" * 200 + ")", outputs=outputs), new_markdown_cell(formula)]
    sections = tuple(pages.Link(f"Business unit {i}", f"unit{i}/value.html", f"{i}") for i in range(9))
    place = pages.Page("Value", "unit1/value.html", "1", "Business unit 1", sections[:3], "", {"Seed": "1" * 80})
    path = tmp_path_factory.mktemp("site") / "value.html"
    path.write_text(export_page(new_notebook(cells=cells), place, pages.Site("Company", sections)))
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_page_asks_for_nothing_logs_nothing_and_fits(page, width):
    open_all = "document.querySelectorAll('details').forEach(d => d.open = true)"
    seen = browser.visit(page, width, script=open_all)
    assert seen.requests == [] and seen.logs == []
    assert seen.content_width <= seen.view_width == width


def test_visit_notices_requests_and_messages(tmp_path):
    path = tmp_path / "bad.html"
    path.write_text('<img src="http://127.0.0.1:9/a.png"><script>console.error("no"); null.x</script>')
    seen = browser.visit(path)
    assert any("a.png" in address for address in seen.requests)
    assert any("no" in text for text in seen.logs) and len(seen.logs) >= 2
