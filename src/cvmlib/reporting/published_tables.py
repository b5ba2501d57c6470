"""Published figures beside what this library finds: one table of print, compared to every printed digit."""

from decimal import Decimal
from pathlib import Path

import pandas as pd

from cvmlib.errors import DataError
from cvmlib.reporting import show, words
from cvmlib.reporting.published_estimates import Found

KEYS = ["section", "table", "figure"]
COLUMNS = [*KEYS, "printed", "source"]
#: Source of a figure that was not found in print and was computed from the same data by an independent routine.
REFIT = "refit"
_SHOWN = {"figure": "Figure", "printed": "Published", "here": "Here", "difference": "Difference", "source": "Source"}


def read_published(path: Path) -> pd.DataFrame:
    """Read the table of print: ``section``, ``table``, ``figure``, ``printed`` (text, digit by digit), ``source``.

    Raises
    ------
    DataError
        The file is not there, a column is missing, or a printed figure is not a number.
    """
    if not path.is_file():
        raise DataError(f"The table of published figures, {path.name}, is not in {path.parent.name or 'this folder'}.")
    table = pd.read_csv(path, dtype=str)
    if list(table) != COLUMNS:
        raise DataError(f"{path.name} has the columns {', '.join(table)}; expected are {', '.join(COLUMNS)}.")
    wrong = table[pd.to_numeric(table["printed"], errors="coerce").isna() | table["source"].isna()]
    if len(wrong):
        lines = ", ".join(str(line + 2) for line in wrong.index[:5])
        raise DataError(f"{path.name} has {len(wrong)} rows without a number or a source, in line {lines}.")
    return table


def compare(published: pd.DataFrame, found: Found) -> pd.DataFrame:
    """Put what was found beside what was printed, rounded to the digits printed.

    Parameters
    ----------
    published : DataFrame
        Result of `read_published`.
    found : mapping
        Value by section, table and figure.

    Returns
    -------
    DataFrame
        `published` with ``here`` and ``difference`` (text) and ``value`` (all digits).

    Raises
    ------
    DataError
        Something is printed that was not estimated, or estimated and not printed.
    """
    keys = [tuple(row) for row in published[KEYS].itertuples(index=False)]
    if unlike := [*(set(keys) ^ set(found)), *(key for key in set(keys) if keys.count(key) > 1)]:
        names = "; ".join(", ".join(key) for key in sorted(unlike)[:5])
        raise DataError(f"The published figures and what is estimated do not match one to one. Unlike are: {names}.")
    values = [found[key] for key in keys]
    printed = [Decimal(text) for text in published["printed"]]
    here = [Decimal(f"{value:.{-number.as_tuple().exponent}f}") for value, number in zip(values, printed, strict=True)]
    difference = [f"{a - b:+}" if a != b else "0" for a, b in zip(here, printed, strict=True)]
    return published.assign(here=[str(number) for number in here], difference=difference, value=values)


def show_verdict(compared: pd.DataFrame) -> None:
    """Say how many of the published figures are reproduced to every printed digit, and what is not.

    A difference of one in the last digit, which an optimiser that stopped early leaves, is told without alarm.
    """
    total, same = _count_same(compared[compared["source"] != REFIT])
    unlike = compared[compared["difference"] != "0"]
    small = all(abs(Decimal(text)) <= _last_digit(text) for text in unlike["difference"])
    figures = words.count(total, "published figure")
    headline = f"All {figures} are reproduced to every printed digit."
    if same < total:
        rest = "; the others differ by one in the last." if small else "."
        headline = f"Of {figures}, {same} are reproduced to every printed digit{rest}"
    reasons = [
        f"{row.table}, {row.figure}: {REFIT if row.source == REFIT else 'printed'} {row.printed}, here {row.here}."
        for row in unlike.itertuples()
    ]
    show.verdict("sound" if small else "caution", headline, *reasons)


def _last_digit(text: str) -> Decimal:
    """One in the last digit of a number as printed: 0.001 of 0.243."""
    return Decimal(1).scaleb(Decimal(text).as_tuple().exponent)


def _count_same(compared: pd.DataFrame) -> tuple[int, int]:
    """How many figures there are, and how many of them are the same here."""
    return len(compared), int((compared["difference"] == "0").sum())


def show_facts(compared: pd.DataFrame) -> None:
    """Show how much was compared."""
    total, same = _count_same(compared[compared["source"] != REFIT])
    refits, equal = _count_same(compared[compared["source"] == REFIT])
    show.facts(
        {
            "Published figures": total,
            "Reproduced to every digit": same,
            "Independent refits reproduced": f"{equal} of {refits}",
        }
    )


def show_section(compared: pd.DataFrame, section: str) -> None:
    """Show the tables of one section: published, here, difference and source."""
    for title, table in compared[compared["section"] == section].groupby("table", sort=False):
        show.table(
            table[list(_SHOWN)].rename(columns=_SHOWN),
            str(title),
            f"published {section} {title}",
            dict.fromkeys(_SHOWN.values(), "text"),
        )
