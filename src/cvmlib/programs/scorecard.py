"""What programs were meant to bring about, what was counted while they ran, and whether anyone measured the link."""

from collections.abc import Collection

import ibis.expr.types as ir
import pandas as pd

WEEKS_BEFORE = 8
NEAR = {
    "acquisition": ("traffic", "walk-ins", "calls"),
    "conversion": ("traffic", "views", "walk-ins"),
    "revenue": ("traffic", "walk-ins", "views"),
    "cross-sell": ("views", "conversations"),
    "up-sell": ("conversations", "views", "calls"),
    "retention": ("conversations", "calls"),
    "activation": ("views", "traffic", "conversations"),
}
"""Kinds of activity that come before each intended outcome: what should move if the program is on its way to it."""

MEASURED = {
    "randomised": "randomised test",
    "regional": "regional test",
    "matched": "compared with look-alikes, no test",
    "none": "nobody",
}


def sum_activity(activity: ir.Table) -> pd.DataFrame:
    """Sum activity by program, kind and week (Monday).

    Parameters
    ----------
    activity : ibis Table
        Mapped table; rows without a program, kind or count are left out.

    Returns
    -------
    DataFrame
        program_id, kind, week, events.
    """
    if "program_id" not in activity.columns:
        return pd.DataFrame({"program_id": [], "kind": [], "week": [], "events": []})
    kept = activity.filter(
        activity.program_id.notnull(), activity.kind.notnull(), activity.week.notnull(), activity["count"] >= 0
    )
    kept = kept.mutate(week=kept.week.truncate("W"))
    found = kept.group_by("program_id", "kind", "week").agg(events=kept["count"].sum()).to_pandas()
    return found.sort_values(["program_id", "kind", "week"], ignore_index=True)


def score_programs(programs: pd.DataFrame, activity: pd.DataFrame, broken: Collection[str] = ()) -> pd.DataFrame:
    """Hold each program's intended outcome against what was counted.

    Parameters
    ----------
    programs : DataFrame
        program_id, label, challenge, intended_outcome, start, end (NaT while it runs), channel, design.
    activity : DataFrame
        From `sum_activity`.
    broken : collection of str
        Programs whose arms are not what chance makes: broken tests, where they are said to be drawn at random.

    Returns
    -------
    DataFrame
        One row per program: program_id, label, challenge, intended_outcome, counted (kinds with any count), on_the_way
        (whether any of them comes before the intended outcome), kind (the one that shows it best), before and during
        (events a week in the eight weeks before and while it runs), change (share), measured (who measured the link).
    """
    rows = []
    for program in programs.to_dict("records"):
        mine = activity[activity["program_id"] == program["program_id"]]
        kinds = sorted(mine["kind"].unique())
        near = [kind for kind in NEAR.get(program["intended_outcome"], ()) if kind in kinds]
        shown = (near or kinds or [""])[0]
        design = program["design"]
        tested = design == "randomised"
        before, during = _weekly(mine[mine["kind"] == shown], program["start"], program["end"])
        rows.append(
            {
                "program_id": program["program_id"],
                "label": program["label"],
                "challenge": program["challenge"],
                "intended_outcome": program["intended_outcome"],
                "counted": ", ".join(kinds),
                "on_the_way": bool(near),
                "kind": shown,
                "before": before,
                "during": during,
                "change": during / before - 1 if before > 0 else float("nan"),
                "measured": "a broken test" if tested and program["program_id"] in broken else MEASURED[design],
            }
        )
    return pd.DataFrame(rows)


def _weekly(counts: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> tuple[float, float]:
    """Mean events a week before the program and while it runs; missing without a week of either."""
    first = start.to_period("W").start_time
    last = counts["week"].max() if pd.isna(end) else end
    earliest = max(first - pd.Timedelta(weeks=WEEKS_BEFORE), counts["week"].min()) if len(counts) else first
    weeks_before = (first - earliest).days // 7
    weeks_during = (last.to_period("W").start_time - first).days // 7 + 1 if len(counts) else 0
    before = counts.loc[(counts["week"] >= earliest) & (counts["week"] < first), "events"].sum()
    during = counts.loc[(counts["week"] >= first) & (counts["week"] <= last), "events"].sum()
    return (
        float(before) / weeks_before if weeks_before > 0 else float("nan"),
        float(during) / weeks_during if weeks_during > 0 else float("nan"),
    )
