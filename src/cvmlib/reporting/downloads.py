"""The CSV of a table as a link inside the page: no script, no second file."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cvmlib.reporting import escape

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 10_000
"""Rows of a CSV inside a page; a longer table is cut there, and its link says so."""


def csv_text(frame: pd.DataFrame) -> str:
    """Return a frame as CSV with full precision, text cells and headings made safe for spreadsheets."""
    from pandas.api import types

    safe = flat(frame)
    safe.columns = [escape.spreadsheet(name) for name in safe.columns]
    for position, kind in enumerate(safe.dtypes):
        if not (types.is_numeric_dtype(kind) or types.is_datetime64_any_dtype(kind)):
            column = safe.iloc[:, position].astype(object).map(escape.spreadsheet, na_action="ignore")
            safe.isetitem(position, column)
    return safe.to_csv(index=False, lineterminator="\n", date_format=_date_format(safe))


def csv_link(frame: pd.DataFrame, name: str) -> str:
    """Return a link that saves the table as ``<name>.csv`` (UTF-8 with a mark that spreadsheets understand)."""
    shown = frame.head(LONGEST)
    data = base64.b64encode(("\ufeff" + csv_text(shown)).encode("utf-8")).decode("ascii")
    file = escape.slug(name, "table") + ".csv"
    some = f"the first {LONGEST:,} of {len(frame):,} rows " if len(shown) < len(frame) else ""
    text = f"Download {some}as CSV"
    return (
        f'<a class="cvm-csv" download="{file}" href="data:text/csv;charset=utf-8;base64,{data}"'
        f' aria-label="{text}: {file}">{text}</a>'
    )


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with plain column names: a meaningful index becomes columns, levels of names are joined."""
    import pandas as pd

    plain = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    copy = frame.copy() if plain else frame.reset_index()
    if isinstance(copy.columns, pd.MultiIndex):
        names = [" ".join(str(part) for part in name if str(part)) for name in copy.columns]
    else:
        names = [str(name) for name in copy.columns]
    if not plain and frame.index.name is None and names[0] == "index":
        names[0] = ""
    copy.columns = names
    return copy


def _date_format(frame: pd.DataFrame) -> str | None:
    moments = frame.select_dtypes("datetime")
    whole_days = all((moments[name].dropna() == moments[name].dropna().dt.normalize()).all() for name in moments)
    return "%Y-%m-%d" if whole_days else None
