"""All tests of media that were run: rows of ``lift_tests`` and programs; which calibrate, and why others do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from cvmlib.attribution.media_design import MediaDesign
from cvmlib.attribution.media_lift import LiftTest, read_tests
from cvmlib.attribution.media_panel import MediaPanel, UnitWeeks
from cvmlib.attribution.media_programs import make_test
from cvmlib.errors import DataError

ROW = "supplied lift test"
"""Source of a test that the unit supplies as such."""
EXPERIMENTS = (
    "unit", "channel", "source", "design", "first", "last", "spend", "lift", "lift_low", "lift_high", "share", "used",
    "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """One test that was run, the lift test it became, or why it became none."""

    unit: str
    channel: str
    source: str
    design: str
    first: pd.Timestamp
    last: pd.Timestamp
    test: LiftTest | None
    reason: str = ""


def list_experiments(panel: MediaPanel, weeks: Mapping[str, UnitWeeks]) -> list[Experiment]:
    """List the tests of all units: rows of ``lift_tests``, then what programs measured, the most precise first.

    Parameters
    ----------
    panel : MediaPanel
        The panel.
    weeks : mapping of str to UnitWeeks
        Tables of the units.

    Raises
    ------
    DataError
        When a row of ``lift_tests`` cannot be used. A program that cannot is listed with its reason.
    """
    found = []
    for unit, data in weeks.items():
        tests = read_tests(panel, unit, data.tests) if len(data.tests) else []
        mine = [_of_test(panel, test, ROW, "") for test in tests]
        known = panel.weeks[panel.series_of(unit)[0]]
        programs = [_convert(panel, data, row) for row in data.programs.to_dict("records")]
        for one in sorted(programs, key=lambda one: one.test.error / one.test.spend if one.test else np.inf):
            mine.append(_unless_repeated(one, mine, known))
        found += mine
    return found


def calibrating_tests(experiments: Sequence[Experiment]) -> list[LiftTest]:
    """Return the lift tests that calibrate the model."""
    return [one.test for one in experiments if one.test is not None]


def _convert(panel: MediaPanel, data: UnitWeeks, row: Mapping) -> Experiment:
    """Make a lift test of what a program measured, or keep the reason why none can be made of it."""
    known = (data.unit, row["channel"], row["label"], row["design"], row["start"], row["end"])
    try:
        return Experiment(*known, make_test(panel, data, row))
    except DataError as error:
        return Experiment(*known, None, str(error).rstrip("."))


def _unless_repeated(one: Experiment, before: Sequence[Experiment], weeks: pd.DatetimeIndex) -> Experiment:
    """Leave a test out that another of the same channel, places and weeks already tells."""
    other = next((o for o in before if one.test and o.test and _overlap(one.test, o.test)), None)
    if other is None:
        return one
    until = weeks[other.test.start + other.test.weeks - 1] + pd.Timedelta(days=6)
    name = other.source if other.test.source else f"a {other.source}"
    return replace(
        one, test=None, reason=f"it overlaps {name} ({weeks[other.test.start].date()} to {until.date()}), which is used"
    )


def _overlap(one: LiftTest, other: LiftTest) -> bool:
    places = not one.regions or not other.regions or set(one.regions) & set(other.regions)
    weeks = one.start < other.start + other.weeks and other.start < one.start + one.weeks
    return one.channel == other.channel and weeks and bool(places)


def _of_test(panel: MediaPanel, test: LiftTest, source: str, design: str) -> Experiment:
    grid = panel.weeks[panel.series_of(test.unit)[0]]
    last = grid[test.start + test.weeks - 1] + pd.Timedelta(days=6)
    return Experiment(test.unit, test.channel, source, design, grid[test.start], last, test)


def hide_tested(design: MediaDesign, tests: Sequence[LiftTest]) -> MediaDesign:
    """Hide the outcome of regions within their own test from the regression: the lift test says what it tells.

    Parameters
    ----------
    design : MediaDesign
        The design.
    tests : sequence of LiftTest
        All tests; only those whose regions are series of the panel hide anything.
    """
    fitted = design.fitted.copy()
    for test in tests:
        if test.instead:
            mine = [s for s, series in enumerate(design.panel.series) if test.covers(series)]
            fitted[mine, test.start : test.start + test.weeks] = False
    if (fitted == design.fitted).all():
        return design
    before = np.concatenate([np.zeros((len(fitted), 1), dtype=bool), fitted[:, :-1]], axis=1)
    return replace(design, fitted=fitted, follows=fitted & before)


def tabulate_experiments(panel: MediaPanel, experiments: Sequence[Experiment], interval: float = 0.9) -> pd.DataFrame:
    """Tabulate all tests that were run, in the terms of the whole market.

    Parameters
    ----------
    panel : MediaPanel
        The panel.
    experiments : sequence of Experiment
        From `list_experiments`.
    interval : float
        Probability of the interval.

    Returns
    -------
    DataFrame
        unit, channel, source, design, first and last day, spend and lift with _low and _high (money a week, had the
        whole market been tested: the change of spend, and of the outcome), share (of the market tested), used, reason.
    """
    rows = [_describe(panel, one, interval) for one in experiments]
    return pd.DataFrame(rows, columns=list(EXPERIMENTS))


def _describe(panel: MediaPanel, one: Experiment, interval: float) -> dict:
    known = {name: getattr(one, name) for name in ("unit", "channel", "source", "design", "first", "last", "reason")}
    if one.test is None:
        return known | {"used": False}
    test = one.test
    share, wide = market_share(panel, test), float(stats.norm.ppf((1 + interval) / 2)) * test.error
    scale = 1.0 / (share * test.weeks)
    money = {"spend": test.spend, "lift": test.lift, "lift_low": test.lift - wide, "lift_high": test.lift + wide}
    return known | {name: value * scale for name, value in money.items()} | {"share": share, "used": True}


def market_share(panel: MediaPanel, test: LiftTest) -> float:
    """Part of the unit's whole market that a test was run in."""
    mine = panel.series_of(test.unit)
    covered = [s for s in mine if test.covers(panel.series[s])]
    return test.share * sum(panel.series[s].scale for s in covered) / sum(panel.series[s].scale for s in mine)
