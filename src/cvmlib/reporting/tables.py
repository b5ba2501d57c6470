"""Tables for pages: set by Great Tables, styled by the page, each with its CSV."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cvmlib.reporting import downloads, escape

if TYPE_CHECKING:
    import great_tables
    import pandas as pd

FORMATS = ("text", "integer", "number", "money", "percent", "date", "month")
MISSING = "–"


def table_html(
    frame: pd.DataFrame,
    title: str,
    name: str = "",
    formats: Mapping[str, str] | None = None,
    note: str = "",
    rows: int = 25,
) -> str:
    """Return a table with its heading, its CSV link and its note.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per line of the table. A named index becomes the first column.
    title : str
        What the table shows, with the unit of its money.
    name : str
        Name of the CSV file; made of the title if empty.
    formats : mapping of str to str, optional
        Column name to one of `FORMATS`, with the number of decimals after a colon if wanted (``"percent:1"``,
        ``"number:2"``, ``"money"``). Columns that are not named are set by their type.
    note : str
        A remark below the table, plain text.
    rows : int
        The largest number of rows to show; the CSV holds the others.

    Raises
    ------
    ValueError
        For a format or a column of `formats` that does not exist.
    """
    flat = downloads.flat(frame)
    name = name or title
    anchor = "table-" + escape.slug(name)
    body = grid_html(flat.head(rows), _checked_formats(flat, formats or {}), key=anchor)
    cut = f"{rows:,} of {len(flat):,} rows shown, all of them in the CSV." if len(flat) > rows else ""
    if len(flat) == 0:
        cut = "There are no rows."
    return (
        f'<figure class="cvm cvm-table" id="{anchor}" aria-labelledby="{anchor}-title">'
        f'<figcaption class="cvm-title" id="{anchor}-title">{escape.html(title)}</figcaption>'
        f'<div class="cvm-scroll" tabindex="0" role="group" aria-labelledby="{anchor}-title">{body}</div>'
        f'<p class="cvm-under">{_sentences(cut, note)}{downloads.csv_link(frame, name)}</p></figure>'
    )


def grid_html(flat: pd.DataFrame, formats: Mapping[str, str], key: str) -> str:
    """Return only the ``<table>`` of a frame with plain column names, set by Great Tables; `key` makes its ids."""
    import great_tables

    plain = flat.copy()
    columns = [f"c{i}" for i in range(flat.shape[1])]
    plain.columns = columns
    for position, column in enumerate(columns):
        if plain.dtypes.iloc[position].kind == "b":
            plain[column] = plain[column].map({True: "yes", False: "no"})
    labels = {column: great_tables.html(_label(name)) for column, name in zip(columns, flat.columns, strict=True)}
    kinds = {c: formats.get(name) or _default_format(plain[c]) for c, name in zip(columns, flat.columns, strict=True)}
    for column in (column for column, kind in kinds.items() if kind == "month"):
        plain[column] = plain[column].dt.strftime("%Y-%m")
    stub = columns[0] if len(columns) > 1 and kinds[columns[0]] in ("text", "date", "month") else None
    setting = great_tables.GT(plain, id=_table_id(key), rowname_col=stub).cols_label(labels)
    if stub:
        setting = setting.tab_stubhead(labels[stub])
    for column, kind in kinds.items():
        setting = _set_column(setting, column, kind, plain[column])
    markup = setting.sub_missing(missing_text=MISSING).as_raw_html()
    table = re.search(r"<table.*</table>", markup, re.DOTALL)
    return _lean(table.group(0)) if table else ""


def _label(name: str) -> str:
    """Return a heading as HTML that Great Tables does not read as its notation of units, ``{{m^2}}``."""
    return escape.html(name).replace("{", "&#123;")


def _set_column(setting: great_tables.GT, column: str, kind: str, values: pd.Series) -> great_tables.GT:
    kind, _, decimals = kind.partition(":")
    if kind in ("integer", "money"):
        setting = setting.fmt_number(column, decimals=int(decimals or 0))
    elif kind == "number":
        setting = setting.fmt_number(column, decimals=int(decimals) if decimals else _decimals(values))
    elif kind == "percent":
        setting = setting.fmt_percent(column, decimals=int(decimals or 0))
    elif kind == "date":
        setting = setting.fmt_date(column, date_style="iso")
    return setting.cols_align("left" if kind == "text" else "right", columns=column)


def _default_format(values: pd.Series) -> str:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.infer_dtype(values, skipna=True) == "date":
        return "date"
    if pd.api.types.is_integer_dtype(values):
        return "integer"
    if pd.api.types.is_float_dtype(values):
        return "number"
    return "text"


def _decimals(values: pd.Series) -> int:
    """Return the decimals that leave about three significant digits of the largest value."""
    largest = values.abs().replace(math.inf, math.nan).max()
    if not largest or math.isnan(largest) or (values.dropna() % 1 == 0).all():
        return 0
    return int(min(max(2 - math.floor(math.log10(largest)), 0), 5))


def _checked_formats(frame: pd.DataFrame, formats: Mapping[str, str]) -> Mapping[str, str]:
    for column, kind in formats.items():
        if column not in frame.columns:
            raise ValueError(f"formats names the column {column!r}, but the table has {', '.join(frame.columns)}.")
        if not re.fullmatch(rf"({'|'.join(FORMATS)})(:\d)?", kind):
            raise ValueError(f"The format {kind!r} of column {column!r} is not one of {', '.join(FORMATS)}.")
    return formats


def _table_id(key: str) -> str:
    return "t" + hashlib.sha256(key.encode()).hexdigest()[:8]


def _lean(table: str) -> str:
    """Leave out what only Quarto reads and white space between the tags."""
    table = re.sub(r' data-quarto-[a-z-]+="[a-z]*"| rowspan="1"| colspan="1"', "", table)
    return re.sub(r">\s*\n\s*<", "><", table)


def _sentences(*texts: str) -> str:
    return "".join(f"<span>{escape.html(text)}</span> " for text in texts if text)
