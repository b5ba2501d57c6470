"""Checks of media and outcomes together: whether a media mix can be fitted to them at all, and what is left out."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from cvmlib.tables.mapping import Mapping as TableMapping
from cvmlib.tables.problems import Problem, count_words
from cvmlib.tables.weekly import match_places, weekly_media, weekly_outcomes

FEWEST_WEEKS = 52
_FLAT = 0.01
"""Standard deviation of spend, as a share of its average, below which it does not vary."""
_WEEK = pd.Timedelta(days=7)


def check_media(unit: str, mappings: Mapping[str, TableMapping], currency: str) -> list[Problem]:
    """Check media and outcomes of a unit.

    Parameters
    ----------
    unit : str
        Name of the unit.
    mappings : mapping of str to Mapping
        Its mapped tables.
    currency : str
        The portfolio's.

    Returns
    -------
    list of Problem
        None is fatal; those that stand against a media mix block ``media``.
    """
    if "media" not in mappings:
        return []
    found = _Found(unit)
    if "outcomes" not in mappings:
        found.block("outcomes", "", "missing", "the unit supplies media but no outcomes to explain",
                    f"supply [units.{unit}.tables.outcomes].")  # fmt: skip
        return found.problems
    _check_currency(found, mappings, currency)
    media = weekly_media(mappings["media"].kept)
    outcomes = weekly_outcomes(mappings["outcomes"].kept)
    if len(media) and len(outcomes):
        outcomes = match_places(media, outcomes)
        _check_spend(found, media)
        _check_places(found, media, outcomes)
        _check_weeks(found, media, outcomes)
    return found.problems


class _Found:
    """Problems of one unit while its media are being checked."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.problems: list[Problem] = []

    def note(self, table: str, column: str, kind: str, message: str, treatment: str, rows: int = 0) -> None:
        self.problems.append(Problem(self.unit, table, column, kind, False, message, treatment, rows))

    def block(self, table: str, column: str, kind: str, message: str, treatment: str, rows: int = 0) -> None:
        self.problems.append(
            Problem(self.unit, table, column, kind, False, message, treatment, rows, blocks=("media",))
        )


def _check_currency(found: _Found, mappings: Mapping[str, TableMapping], currency: str) -> None:
    for name in ("media", "outcomes"):
        if "currency" not in mappings[name].columns:
            continue
        table = mappings[name].kept
        counts = table.group_by("currency").agg(rows=table.count()).execute().dropna()
        others = counts[counts["currency"].str.upper() != currency].sort_values("currency")
        if len(others):
            listed = ", ".join(f"{row.currency} in {count_words(row.rows, 'row')}" for row in others.itertuples())
            found.block(
                name, "currency", "currency",
                f"the portfolio counts in {currency}, but {name} holds {listed}; returns would mix currencies",
                "convert the money in the mapping, for instance "
                f'{"spend" if name == "media" else "value"} = "amount * rate", or filter these rows out.',
                int(others["rows"].sum()),
            )  # fmt: skip


def _check_spend(found: _Found, media: pd.DataFrame) -> None:
    negative = media[media["spend"] < 0]
    if len(negative):
        found.block(
            "media", "spend", "negative_spend",
            f"the spend of {count_words(len(negative), 'week')} is negative: {_first(negative)}",
            "net corrections and refunds against the week they belong to, or filter these rows out.", len(negative),
        )  # fmt: skip
    for (region, channel), rows in media.groupby(["region", "channel"]):
        name = channel + (f" in {region}" if region else "")
        spend = rows["spend"].to_numpy()
        if not spend.sum() > 0:
            found.note("media", "spend", "no_spend", f"{name} never spent anything", "left out of the media mix.")
        elif spend.std() < _FLAT * spend.mean() and not _has_gaps(rows, media):
            found.note(
                "media", "spend", "constant_spend",
                f"the spend of {name} is the same in every week ({spend.mean():,.0f}), so nothing "
                "tells its effect from sales that come anyway",
                "left out of the media mix: no number would be honest. Vary the spend, or test it (lift_tests).",
            )  # fmt: skip
    gaps = [f"{channel}{' in ' + region if region else ''} ({missing})" for channel, region, missing in _gaps(media)]
    if gaps:
        found.note(
            "media", "week", "absent_weeks", f"some channels have no row in some weeks: {_listed(gaps)}",
            "taken as weeks without spend; supply them if there was any.",
        )  # fmt: skip


def constant_channels(media: pd.DataFrame) -> list[tuple[str, str]]:
    """List region and channel of spend that never varies, or is never above zero."""
    flat = []
    for (region, channel), rows in media.groupby(["region", "channel"]):
        spend = rows["spend"].to_numpy()
        if not spend.sum() > 0 or (spend.std() < _FLAT * spend.mean() and not _has_gaps(rows, media)):
            flat.append((str(region), str(channel)))
    return flat


def _has_gaps(rows: pd.DataFrame, media: pd.DataFrame) -> bool:
    return len(rows) < media["week"].nunique()


def _gaps(media: pd.DataFrame) -> Iterator[tuple[str, str, int]]:
    weeks = media["week"].nunique()
    for (region, channel), rows in media.groupby(["region", "channel"]):
        if len(rows) < weeks:
            yield str(channel), str(region), weeks - len(rows)


def _check_places(found: _Found, media: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    spent, sold = set(media["region"]), set(outcomes["region"])
    if strange := sorted(spent - sold):
        where = _listed([name or "(no region)" for name in strange])
        known = _listed([name or "(no region)" for name in sorted(sold)])
        found.block(
            "media", "region", "region", f"media has spend in {where}, but outcomes knows {known} only",
            "name the same regions in both tables, or map no region in either.",
        )  # fmt: skip
    repeated = outcomes.duplicated(["week", "region", "outlet"], keep=False)
    if repeated.any():
        first = outcomes[repeated].iloc[0]
        found.block(
            "outcomes", "week", "not_weekly",
            f"{count_words(int(repeated.sum()), 'row')} share their week, region and outlet with another, first in the "
            f"week of {first['week'].date()}; expected one row per week",
            "add days up to weeks before they are supplied, with the average price and promotion.", int(repeated.sum()),
        )  # fmt: skip
    for (region, outlet), rows in outcomes.groupby(["region", "outlet"]):
        value = rows["value"].to_numpy()
        name = ", ".join(part for part in (region, outlet) if part) or "the market"
        if not value.mean() > 0 or value.std() < 1e-9 * abs(value.mean()):
            found.block("outcomes", "value", "constant_outcome", f"the outcome of {name} is constant or not above 0",
                        "supply the weekly figure that media should move.")  # fmt: skip


def _check_weeks(found: _Found, media: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    first, last = (getattr(np, how)([media["week"].agg(end), outcomes["week"].agg(end)])
                   for how, end in (("max", "min"), ("min", "max")))  # fmt: skip
    grid = pd.date_range(first, last, freq="7D")
    if len(grid) < FEWEST_WEEKS:
        found.block(
            "outcomes", "week", "short", f"media and outcomes overlap in {count_words(len(grid), 'week')}",
            f"supply {FEWEST_WEEKS} or more: below, media cannot be told from the season.",
        )  # fmt: skip
        return
    if len(absent := grid.difference(media["week"])):
        found.block(
            "media", "week", "gap",
            f"no channel has a row in {count_words(len(absent), 'week')} between {first.date()} and {last.date()}: "
            f"{_listed([str(day.date()) for day in absent])}",
            "supply these weeks, with a spend of 0 where nothing was spent: what is missing could be anything.",
            len(absent),
        )  # fmt: skip
    if len(absent := grid.difference(outcomes["week"])):
        found.note(
            "outcomes", "week", "gap", f"{count_words(len(absent), 'week')} without an outcome: "
            f"{_listed([str(day.date()) for day in absent])}", "left out of the fit; their spend still carries over.",
            len(absent),
        )  # fmt: skip


def _first(rows: pd.DataFrame) -> str:
    texts = [f"{row.channel}, week of {row.week.date()}: {row.spend:,.2f}" for row in rows.head(3).itertuples()]
    return "; ".join(texts) + (" …" if len(rows) > 3 else "")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
