"""Checks of count rows before a model sees them: what no customer can have is refused, with the rows and the remedy."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from cvmlib.errors import DataError

_SHOWN = 3


def check_rows(rows: pd.DataFrame, *, spend: bool = False) -> None:
    """Refuse count rows that no customer can have, all mistakes at once.

    A customer who first bought at the very end of the observation has T = 0; he is new, and kept.

    Parameters
    ----------
    rows : DataFrame
        ``frequency``, ``customers`` and, where there are any, ``recency``, ``T`` (time), ``monetary_value`` (money)
        and ``unit``.
    spend : bool
        Check ``monetary_value`` too.

    Raises
    ------
    DataError
        With a sentence per mistake: what was found, in how many rows, the first of them, and what to do.
    """
    sentences = [_describe(rows, bad, found, remedy) for bad, found, remedy in _find_mistakes(rows, spend) if bad.any()]
    if sentences:
        raise DataError("Count rows that no customer can have:\n" + "\n".join(f"- {one}" for one in sentences))


def _find_mistakes(rows: pd.DataFrame, spend: bool) -> Iterator[tuple[pd.Series, str, str]]:
    """Yield where each mistake is, what it is, and the remedy."""
    x = rows["frequency"]
    customers = rows["customers"]
    yield (
        x.isna() | (x < 0) | (x != np.round(x)),
        "a frequency that is not a whole number of at least 0",
        "frequency counts repeat purchases: periods with a purchase, less the first",
    )
    yield (
        customers.isna() | ~(customers > 0),
        "no customers",
        "every row stands for one customer or more; leave out rows of nobody",
    )
    if "T" in rows:
        age, last = rows["T"], rows["recency"]
        yield (
            ~np.isfinite(age) | (age < 0),
            "a T that is missing or below 0",
            "T is the time from the first purchase to the end of the observation; leave out customers won after it",
        )
        yield (
            ~np.isfinite(last) | (last < 0) | (last > age),
            "a recency that is missing, below 0 or above T",
            "recency is the time from the first purchase to the last, T that to the end of the observation, both in "
            "one unit of time",
        )
        yield (
            (x == 0) & (last > 0),
            "a recency above 0 without a repeat purchase",
            "without a repeat purchase first and last purchase are the same, so recency is 0; or the frequency counts "
            "too few",
        )
        yield (
            (x > 0) & (last == 0),
            "repeat purchases but a recency of 0",
            "purchases of one period are one purchase; count the periods, not the rows of the log",
        )
    if spend:
        z = rows["monetary_value"]
        yield (
            ~np.isfinite(z) | (z < 0),
            "a monetary_value that is missing or below 0",
            "it is the mean value of the repeat purchases, 0 without any; net returns against their purchase before "
            "counting",
        )


def _describe(rows: pd.DataFrame, bad: pd.Series, found: str, remedy: str) -> str:
    first = rows[bad].head(_SHOWN)
    columns = [name for name in ("unit", "frequency", "recency", "T", "monetary_value", "customers") if name in first]
    shown = "; ".join(", ".join(f"{name} {row[name]}" for name in columns) for _, row in first.iterrows())
    count = int(bad.sum())
    return f"{count:,} {'row has' if count == 1 else 'rows have'} {found} (first: {shown}): {remedy}."
