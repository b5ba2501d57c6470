"""Figures for pages: an image with a text alternative, the table of its numbers, and their CSV."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cvmlib.reporting import downloads, escape, tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LARGEST_SVG = 150_000
"""Bytes above which a drawing is tried as PNG too (a scatter of many points is smaller as pixels)."""


def figure_html(
    fig: Figure,
    alt: str,
    table: pd.DataFrame,
    caption: str = "",
    name: str = "",
    formats: Mapping[str, str] | None = None,
) -> str:
    """Return a Matplotlib figure as HTML.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        The figure.
    alt : str
        What a reader who cannot see it must know: the finding, not the look.
    table : pandas.DataFrame
        The numbers behind the figure, shown on demand.
    caption : str
        One or two sentences below the figure: what to see in it.
    name : str
        Name of the CSV file; made of the caption or the alternative text if empty.
    formats : mapping, optional
        Formats of the table's columns, see `cvmlib.reporting.tables.table_html`.

    Raises
    ------
    ValueError
        When the alternative text or the table is missing.
    """
    if not alt.strip():
        raise ValueError("A figure needs an alternative text: say in `alt` what it shows.")
    if table is None or not len(table.columns):
        raise ValueError("A figure needs the table of its numbers: give a data frame as `table`.")
    name = name or caption or alt
    anchor = "figure-" + escape.slug(name)
    source, width, height = image_source(fig)
    flat = downloads.flat(table)
    grid = tables.grid_html(flat.head(100), tables._checked_formats(flat, formats or {}), key=anchor)
    cut = f"<span>100 of {len(flat):,} rows shown, all of them in the CSV.</span> " if len(flat) > 100 else ""
    captioned = f"<figcaption>{escape.html(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="cvm cvm-figure" id="{anchor}">'
        f'<div class="cvm-canvas" tabindex="0" role="group" aria-label="Figure">'
        f'<img src="{source}" width="{width}" height="{height}" style="--width: {width}px" alt="{escape.html(alt)}">'
        f"</div>{captioned}"
        f'<details><summary>Table of this figure</summary><div class="cvm-scroll" tabindex="0" role="group"'
        f' aria-label="Table of this figure">{grid}</div>'
        f'<p class="cvm-under">{cut}{downloads.csv_link(table, name)}</p></details></figure>'
    )


def image_source(fig: Figure) -> tuple[str, int, int]:
    """Return a data URI of the figure, the same bytes for the same figure, and its width and height in CSS pixels."""
    width, height = (round(96 * inches) for inches in fig.get_size_inches())
    content, kind = _drawing(fig), "svg+xml"
    if len(content) > LARGEST_SVG:
        pixels = _pixels(fig)
        if len(pixels) < len(content):
            content, kind = pixels, "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}", width, height


def _drawing(fig: Figure) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "cvmlib", "svg.fonttype": "path"}):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _pixels(fig: Figure) -> bytes:
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=192, metadata={"Software": None})
    return buffer.getvalue()
