"""What a notebook shows: verdict, headline numbers, prose, figures and tables.

Each function shows its part below the cell at once, any number of them in one cell, and returns nothing. All text that
comes from data is escaped. In JupyterLab the parts bring their style along; a report page has its own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cvmlib.reporting import components, escape

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def verdict(level: str, headline: str, *sentences: str, label: str = "") -> None:
    """Show the verdict, see `cvmlib.reporting.components.verdict_html`."""
    _show(components.verdict_html(level, headline, *sentences, label=label), f"{components.LEVELS[level]}: {headline}")


def facts(values: Mapping[str, object]) -> None:
    """Show headline numbers as tiles: label to value, or to ``(value, remark)``."""
    _show(components.facts_html(values), f"Headline numbers: {', '.join(values)}")


def prose(text: str) -> None:
    """Show Markdown. Put text from data into it with `text`, so that it cannot become markup."""
    _show(components.prose_html(text), text)


def note(text: str, title: str = "") -> None:
    """Show a remark in Markdown, set apart; with a title it is folded behind it."""
    _show(components.note_html(text, title), title or text)


def figure(
    fig: Figure,
    alt: str,
    table: pd.DataFrame,
    caption: str = "",
    name: str = "",
    formats: Mapping[str, str] | None = None,
) -> None:
    """Show a figure with the table of its numbers and close it, see `cvmlib.reporting.figures.figure_html`."""
    import matplotlib.pyplot as plt

    from cvmlib.reporting import figures

    _show(figures.figure_html(fig, alt, table, caption, name, formats), f"Figure: {alt}")
    plt.close(fig)


def table(
    frame: pd.DataFrame,
    title: str,
    name: str = "",
    formats: Mapping[str, str] | None = None,
    note: str = "",
    rows: int = 25,
) -> None:
    """Show a table with its CSV, see `cvmlib.reporting.tables.table_html`."""
    from cvmlib.reporting import tables

    _show(tables.table_html(frame, title, name, formats, note, rows), f"Table: {title}")


def text(value: object) -> str:
    """Return text from data (a name, a label) for use inside the Markdown of `prose` and `note`."""
    return escape.markdown(value)


def _show(html: str, plain: str) -> None:
    from IPython.display import display

    display({"text/html": _style() + html, "text/plain": plain}, raw=True)


@functools.cache
def _style() -> str:
    css = (Path(__file__).parent / "template" / "components.css").read_text(encoding="utf-8")
    return f'<style class="cvm-style">{css}</style>'
