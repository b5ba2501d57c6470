import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.programs.scorecard import score_programs, sum_activity

PROGRAMS = pd.DataFrame(
    {
        "program_id": ["a", "b", "c"],
        "label": ["A", "B", "C"],
        "challenge": "channel",
        "intended_outcome": ["acquisition", "retention", "revenue"],
        "start": pd.Timestamp("2026-03-04"),
        "end": [pd.Timestamp("2026-03-31"), pd.NaT, pd.NaT],
        "design": ["randomised", "none", "randomised"],
    }
)


def weeks(program: str, kind: str, counts: list[float]) -> pd.DataFrame:
    mondays = pd.Timestamp("2026-01-05") + pd.to_timedelta(7 * np.arange(len(counts)), unit="D")
    return pd.DataFrame({"program_id": program, "kind": kind, "week": mondays + pd.Timedelta(days=2), "count": counts})


def test_activity_is_compared_with_the_weeks_before():
    table = pd.concat([weeks("a", "traffic", [100.0] * 8 + [150.0] * 6), weeks("b", "traffic", [5.0] * 12)])
    activity = sum_activity(ibis.memtable(table))
    assert activity["week"].dt.day_of_week.eq(0).all()
    found = score_programs(PROGRAMS, activity, broken={"b", "c"}).set_index("program_id")
    assert found.loc["a", ["before", "during"]].tolist() == [100.0, 150.0]
    assert found.loc["a", "change"] == pytest.approx(0.5) and found.loc["a", "on_the_way"]
    assert not found.loc["b", "on_the_way"] and found.loc["b", "kind"] == "traffic"
    assert found["measured"].tolist() == ["randomised test", "nobody", "a broken test"]
    assert found.loc["c", "counted"] == "" and np.isnan(found.loc["c", "before"])


def test_activity_without_programs_is_nobodys():
    table = weeks("a", "traffic", [1.0]).drop(columns="program_id")
    assert sum_activity(ibis.memtable(table)).empty
