"""Methods side by side: what each says of each channel, where they disagree, and the likely reason.

Everything enters as a plain table of one method: channel, share (of all conversions, or of all that was sold), low,
high. Rules, Markov and Shapley share everything out, so their shares add up to 1; experiments, calibrated attribution
and a media mix say what was caused, and leave a rest that no channel caused.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

LATE = 1.5
"""Last touch over first touch, from which on a channel counts as met late in the journeys; its inverse as early."""
_SMALL = 0.02  # share: differences below this are not worth a reason


def reconcile(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Lay methods side by side.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Method to its table: channel, share, low, high; channels that a method says nothing of may be missing.

    Returns
    -------
    pandas.DataFrame
        method, channel, share, low, high; channels in the order of their mean share, methods as given.

    Raises
    ------
    ValueError
        When a table lacks a column, or names a channel twice.
    """
    parts = []
    for method, table in tables.items():
        missing = {"channel", "share", "low", "high"} - set(table.columns)
        if missing:
            raise ValueError(f"The table of {method} has no column {', '.join(sorted(missing))}.")
        if table["channel"].duplicated().any():
            raise ValueError(
                f"The table of {method} names {table.loc[table['channel'].duplicated(), 'channel'].iloc[0]} twice."
            )
        parts.append(table[["channel", "share", "low", "high"]].assign(method=method))
    frame = pd.concat(parts, ignore_index=True)[["method", "channel", "share", "low", "high"]]
    size = frame.groupby("channel")["share"].mean().sort_values(ascending=False)
    place = frame["channel"].map({name: i for i, name in enumerate(size.index)})
    method = frame["method"].map({name: i for i, name in enumerate(tables)})
    return (
        frame.assign(place=place, by=method)
        .sort_values(["place", "by"], ignore_index=True)
        .drop(columns=["place", "by"])
    )


def find_disagreements(
    frame: pd.DataFrame, credits: Sequence[str], causes: Sequence[str], first: str = "first", last: str = "last"
) -> pd.DataFrame:
    """Say of each channel how far the methods are apart, and the likely reason.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `reconcile`.
    credits, causes : sequence of str
        Methods that share everything out, and methods that say what was caused, the most trusted first.
    first, last : str
        The methods of the first and of the last touch.

    Returns
    -------
    pandas.DataFrame
        channel, credit_low and credit_high (the smallest and largest share among `credits`), cause (the method that
        says what was caused; empty when none does), caused, caused_low, caused_high, verdict (over-credited,
        under-credited, in line, not tested), reason (one sentence).
    """
    rows = []
    for channel, part in frame.groupby("channel", sort=False):
        by = part.set_index("method")
        shared = by.loc[[name for name in credits if name in by.index], "share"]
        if shared.empty:
            continue
        cause = next((name for name in causes if name in by.index), "")
        row = {"channel": channel, "credit_low": shared.min(), "credit_high": shared.max(), "cause": cause}
        if cause:
            row |= {
                f"caused{end}": by.loc[cause, key] for end, key in (("", "share"), ("_low", "low"), ("_high", "high"))
            }
        lateness = by["share"].get(last, 0.0) / max(by["share"].get(first, 0.0), 1e-12)
        rows.append(row | _judge(row, lateness))
    names = [
        "channel",
        "credit_low",
        "credit_high",
        "cause",
        "caused",
        "caused_low",
        "caused_high",
        "verdict",
        "reason",
    ]
    return pd.DataFrame(rows).reindex(columns=names)


def _judge(row: dict, lateness: float) -> dict[str, str]:
    """Verdict and likely reason for one channel."""
    if not row["cause"]:
        return {"verdict": "not tested", "reason": _shape(row, lateness)}
    if row["caused_high"] < row["credit_low"]:
        return {"verdict": "over-credited", "reason": _why_less(lateness)}
    if row["caused_low"] > row["credit_high"]:
        return {"verdict": "under-credited", "reason": _why_more(lateness)}
    if row["credit_high"] - row["credit_low"] > _SMALL and row["caused"] < row["credit_low"]:
        return {
            "verdict": "in line",
            "reason": f"Probably less than credited, but a test could not tell. {_why_less(lateness)}",
        }
    return {"verdict": "in line", "reason": _shape(row, lateness)}


def _why_less(lateness: float) -> str:
    if lateness > LATE:
        return (
            "It is met late: journeys pass through it shortly before a conversion that would have come anyway, so it "
            "captures demand that others, or nobody, made."
        )
    return (
        "It is shown to people who convert anyway, or is simply met often: its touches go with "
        "conversions, not before them."
    )


def _why_more(lateness: float) -> str:
    if lateness < 1 / LATE:
        return (
            "It acts early: it opens journeys that later touches close, and part of its effect comes after the window."
        )
    return "It does more than its touches show: part of what it causes is never tied to a recorded touch."


def _shape(row: dict, lateness: float) -> str:
    if row["credit_high"] - row["credit_low"] <= _SMALL:
        return "The methods agree."
    if lateness > LATE:
        return "The methods differ because it closes journeys: the later a method looks, the more it gives."
    if lateness < 1 / LATE:
        return "The methods differ because it opens journeys: the earlier a method looks, the more it gives."
    return "The methods differ in how they divide journeys with many touches."
