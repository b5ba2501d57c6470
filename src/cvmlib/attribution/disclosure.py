"""What was left out of the journeys, or treated in some way, with numbers: one row per finding, in plain words."""

from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.attribution.journeys import CONVERSION, OTHER_CHANNELS, TOUCH
from cvmlib.attribution.paths import Paths
from cvmlib.attribution.stages import STAGES, UNPLACED
from cvmlib.business_unit import JourneySettings

COLUMNS = ("what", "number", "money", "treatment")
_FIRST = 3


class Finding(NamedTuple):
    """One finding: what, how many, how much money (None where it does not apply), and what is done about it."""

    what: str
    number: int
    money: float | None
    treatment: str


def count_reasons(table: ir.Table, name: str) -> list[Finding]:
    """Count the rows of a supplied table that are left out, by reason (see `cvmlib.attribution.journeys.with_reason`).

    Parameters
    ----------
    table : ibis Table
        With the column ``reason``.
    name : str
        What the rows are, in the plural.
    """
    money = table.value.sum() if "value" in table.columns else ibis.null("float64")
    found = table.group_by("reason").agg(rows=table.count(), money=money).execute()
    found = found[found["reason"].notna()].sort_values("reason")
    return [
        Finding(
            f"{name} with {row.reason}" if row.reason.startswith(("no ", "a ")) else f"{name} {row.reason}",
            int(row.rows),
            None if pd.isna(row.money) else float(row.money),
            "left out",
        )
        for row in found.itertuples()
    ]


def count_treatments(
    events: ir.Table, touches: ir.Table, repeated: int, end_second: int, settings: JourneySettings
) -> list[Finding]:
    """Count what the building of journeys did, from `list_events` and `list_touches`.

    Parameters
    ----------
    events, touches : ibis Table
        As stored.
    repeated : int
        Touches that repeat the one before within a session.
    end_second : int
        Last second of the observation.
    settings : JourneySettings
        Of the unit.
    """
    days, minutes = f"{settings.lookback_days:g} days", f"{settings.session_minutes:g} minutes"
    t = touches.agg(
        old=(~touches.inside).sum(),
        cut=(touches.inside & ~touches.kept).sum(),
        late=touches.late.sum(),
        nulls=((touches.from_end == 0) & ~touches.converted).sum(),
        open=(
            (touches.from_end == 0)
            & ~touches.converted
            & (touches.second > end_second - int(86_400 * settings.lookback_days))
        ).sum(),
    ).execute().fillna(0).astype(int).iloc[0]  # fmt: skip
    cut = touches.filter(touches.inside & ~touches.kept)
    who = cut.group_by("customer_id").agg(n=cut.count()) if t.cut else None
    alone, worth = _untouched(events)
    repeat = _repeat_customers(events)
    listed = (
        (f"touches of one channel within {minutes} of the one before", repeated, None, "one visit, counted once"),
        (f"touches more than {days} before the end of their journey", t.old, None, "left out: look-back window"),
        ("touches that came after a conversion", t.late, None, "they begin a new journey"),
        ("customers who converted more than once", repeat, None, "each conversion has a journey of its own"),
        (f"conversions without a touch in the {days} before", alone, worth, "no journey: no channel is credited"),
        ("journeys without a conversion", t.nulls, None, "counted as such: what did not convert"),
        (f"of these, still open: a touch in the last {days}", t.open, None, "counted as not converted so far"),
    )
    findings = [Finding(what, int(number), money, done) for what, number, money, done in listed]
    if who is not None:
        names = ", ".join(who.order_by([who.n.desc(), who.customer_id]).limit(_FIRST).execute()["customer_id"])
        what = f"touches beyond the latest {settings.longest_journey} of a journey, of customers such as {names}"
        findings.append(Finding(what, int(t.cut), None, "left out; look whether these are customers or robots"))
    return [finding for finding in findings if finding.number]


def _untouched(events: ir.Table) -> tuple[int, float]:
    """Number and value of the conversions whose journey has no touch."""
    whole = ibis.window(group_by=[events.customer_id, events.journey])
    rows = events.mutate(touched=(events.event == TOUCH).sum().over(whole))
    rows = rows.filter((rows.event == CONVERSION) & (rows.touched == 0))
    found = rows.agg(n=rows.count(), money=rows.value.sum()).execute().iloc[0]
    return int(found["n"]), float(found["money"]) if found["n"] else 0.0


def _repeat_customers(events: ir.Table) -> int:
    counted = events.group_by("customer_id").agg(n=(events.event == CONVERSION).sum())
    return int(counted.filter(counted.n > 1).count().execute())


def describe_channels(paths: Paths, kinds: pd.DataFrame) -> list[Finding]:
    """Find channels that never convert, that were merged, or that have no stage.

    Parameters
    ----------
    paths : Paths
        By channel.
    kinds : pandas.DataFrame
        channel, name, stage, touches.
    """
    findings = []
    converts = np.bincount(paths.touches, paths.conversions[paths.row], len(paths.channels))
    never = [name for name, number in zip(paths.channels, converts, strict=True) if number == 0]
    if never and len(never) < len(paths.channels):
        what = f"channels seen only in journeys that did not convert: {_some(never)}"
        done = "kept, with a credit of zero: the data hold no sign of an effect"
        findings.append(Finding(what, len(never), None, done))
    if len(paths.channels) == 1:
        what = f"all journeys use one channel, {paths.channels[0]}"
        findings.append(Finding(what, 1, None, "it gets all credit by definition; Markov and Shapley are not used"))
    merged = kinds.loc[(kinds["name"] == OTHER_CHANNELS) & (kinds["channel"] != OTHER_CHANNELS), "channel"].unique()
    if len(merged):
        done = f"counted together as “{OTHER_CHANNELS}”"
        findings.append(Finding(f"smallest channels: {_some(sorted(merged))}", len(merged), None, done))
    unplaced = sorted(kinds.loc[kinds["stage"] == UNPLACED, "channel"].unique())
    if unplaced:
        done = f"not on the lifecycle map; name one of {', '.join(STAGES)} for each in [units.NAME.journeys.stages]"
        findings.append(Finding(f"channels without a stage: {_some(unplaced)}", len(unplaced), None, done))
    return findings


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def as_frame(findings: list[Finding]) -> pd.DataFrame:
    """Return findings as a table."""
    return pd.DataFrame(findings, columns=list(COLUMNS)).astype({"number": "int64", "money": "float64"})
