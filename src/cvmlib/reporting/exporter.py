"""An executed notebook becomes a page: through nbconvert, with a template of this project's own."""

from __future__ import annotations

import functools
import re
import warnings
from typing import TYPE_CHECKING

from cvmlib.errors import NotebookError
from cvmlib.reporting import audit, markdown, pages

if TYPE_CHECKING:
    from nbformat import NotebookNode

HIDDEN_TAGS = {"parameters", "injected-parameters", "hide"}
"""Cells with one of these tags leave neither code nor output on the page."""

_TITLE = re.compile(r"\A\s*#[ \t]+(.+?)[ \t]*#*[ \t]*(?:\n|\Z)")
_STYLE = re.compile(r'<style class="cvm-style">.*?</style>', re.DOTALL)
_HEADING = re.compile(r"<(/?)h([1-6])(?=[\s>])")


def export_page(notebook: NotebookNode, page: pages.Page, site: pages.Site) -> str:
    """Return an executed notebook as a self-contained page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The executed notebook; it is not changed.
    page : cvmlib.reporting.pages.Page
        Title, place and provenance of the page.
    site : cvmlib.reporting.pages.Site
        The navigation.

    Raises
    ------
    NotebookError
        When the page would need a script or the network: no such page is ever written.
    """
    html = pages.render_page(page, site, notebook_body(notebook))
    faults = audit.find_faults(html)
    if faults:
        listed = "; ".join(dict.fromkeys(faults))
        advice = "Show tables, figures and text through cvmlib.reporting.show."
        raise NotebookError(f"The page {page.href} would not stand alone. It holds {listed}. {advice}")
    return html


def notebook_body(notebook: NotebookNode) -> str:
    """Return the cells of an executed notebook as HTML, without the page around them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not able to be represented", category=UserWarning)
        body, _ = _exporter().from_notebook_node(_arranged(notebook))
    return _ordered_headings(body)


def _arranged(notebook: NotebookNode) -> NotebookNode:
    """Drop hidden cells and the title (the page has its own); join code without output to the next that has some."""
    from copy import deepcopy

    copy, waiting = deepcopy(notebook), []
    cells, copy.cells = copy.cells, []
    for position, cell in enumerate(cells):
        if HIDDEN_TAGS & set(cell.metadata.get("tags", [])) or not cell.source.strip():
            continue
        if cell.cell_type == "markdown" and not any(before.cell_type == "markdown" for before in cells[:position]):
            cell.source = _TITLE.sub("", cell.source, count=1)
        if cell.cell_type == "code" and not cell.outputs:
            waiting.append(cell.source)
            continue
        if cell.cell_type == "code":
            cell.source, waiting = "\n\n".join([*waiting, cell.source]), []
        if cell.source.strip():
            copy.cells.append(cell)
    if waiting:
        last = next((cell for cell in reversed(copy.cells) if cell.cell_type == "code"), None)
        if last is not None:
            last.source = "\n\n".join([last.source, *waiting])
    return copy


def _ordered_headings(body: str) -> str:
    """Return HTML whose headings start at level 2 and never skip a level."""
    current = 1

    def shift(match: re.Match[str]) -> str:
        nonlocal current
        if not match.group(1):
            current = max(2, min(int(match.group(2)), current + 1))
        return f"<{match.group(1)}h{current}"

    return _HEADING.sub(shift, body)


def _code_lines(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n")


def _component(html: str) -> str:
    """Return an HTML output without the style it brings for JupyterLab, and in a box that scrolls if it is not ours."""
    ours = _STYLE.sub("", html)
    return ours if ours != html else f'<div class="data cvm">{html}</div>'


@functools.cache
def _exporter():  # noqa: ANN202
    from nbconvert.exporters.templateexporter import TemplateExporter

    class PageExporter(TemplateExporter):
        """The body of a page; the shell is `cvmlib.reporting.pages`."""

        file_extension = ".html"
        output_mimetype = "text/html"

    exporter = PageExporter(template_name="notebook", extra_template_basedirs=[str(pages.TEMPLATES)])
    exporter.register_filter("markdown_cell", functools.partial(markdown.render, raw_html=True, top_heading=1))
    exporter.register_filter("markdown_output", markdown.render)
    exporter.register_filter("latex_output", lambda text: markdown.formula(text.strip().strip("$"), display=True))
    exporter.register_filter("code_lines", _code_lines)
    exporter.register_filter("component", _component)
    exporter.register_filter("base64_line", lambda text: "".join(text.split()))
    return exporter
