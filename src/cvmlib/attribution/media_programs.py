"""Tests that marketing programs ran become lift tests of the media mix: the lift, the change of spend, and the market.

What a program measured comes from its own counts (regions treated and untreated, or customers drawn at random), as
money that the treated brought more. What it changed in spend comes from media, where these hold the regions of the
test: what the treated regions spent less what the untreated ones let expect. Otherwise it is the program's cost, in a
part of the market that is told by what the treated would have brought anyway, as a share of all sales of these weeks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from cvmlib.attribution.media_lift import LiftTest, sold_within, spent_within, typical_return
from cvmlib.attribution.media_panel import Array, MediaPanel, UnitWeeks
from cvmlib.errors import DataError

HALF_YEAR = 26
"""Weeks before a test that say what its regions spend beside the others."""
LEAST_CHANGE = 0.05
"""Change of spend, as a share of it, below which a test says nothing about the return."""
HIGH = 6.0
"""Multiple of the usual return beyond which a cost is asked whether it is one of a week."""
SLACK = 1.05
"""By how much a program may outrun what media or outcomes hold, for weeks that do not begin with it."""


def make_test(panel: MediaPanel, data: UnitWeeks, row: Mapping) -> LiftTest:
    """Make a lift test of what a program measured.

    Parameters
    ----------
    panel : MediaPanel
        The panel.
    data : UnitWeeks
        Tables of the unit.
    row : mapping
        What the program measured: label, channel, start, end, cost, lift, lift_error, base, regions, untreated,
        why_not.

    Raises
    ------
    DataError
        When none can be made of it: the reason, as the end of a sentence about the program.
    """
    if row["why_not"]:
        raise DataError(row["why_not"])
    unit = data.unit
    if not panel.pairs_of(unit, row["channel"]):
        raise DataError(f"media hold no spend on {row['channel']}; its channels are {_listed(panel.channels_of(unit))}")
    start, weeks = find_window(panel, unit, row["start"], row["end"])
    if not row["lift_error"] > 0:
        raise DataError("its lift has no error, so it was not measured")
    test = LiftTest(
        unit, row["channel"], (), "", start, weeks, 1.0, 0.0, row["lift"], row["lift_error"], 1.0, row["label"]
    )
    places = {panel.series[s].region for s in panel.series_of(unit)}
    if len(row["regions"]) and places != {""}:
        test = replace(test, regions=tuple(row["regions"]))
        return _by_region(panel, test, list(row["untreated"]), data.constant)
    return _by_share(panel, test, row)


def find_window(panel: MediaPanel, unit: str, first: pd.Timestamp, last: pd.Timestamp) -> tuple[int, int]:
    """Find the first week of a test among the unit's weeks, and how many there are.

    Raises
    ------
    DataError
        When media and outcomes do not hold these weeks.
    """
    grid = panel.weeks[panel.series_of(unit)[0]]
    weeks = max(round(((last - first).days + 1) / 7), 1)
    monday = first.normalize() - pd.Timedelta(days=first.weekday())
    late = (last - monday).days + 1 > 7 * weeks + 3  # most of the first week had passed
    start = (monday - grid[0]).days // 7 + late
    if start < 0 or start + weeks > len(grid):
        raise DataError(
            f"it ran {first.date()} to {last.date()}, and media and outcomes hold the weeks from {grid[0].date()} to "
            f"{(grid[-1] + pd.Timedelta(days=6)).date()} only"
        )
    return int(start), weeks


def _by_region(panel: MediaPanel, test: LiftTest, untreated: list[str], constant: pd.DataFrame) -> LiftTest:
    """Take the change of spend from media, where these hold the regions of the test."""
    places = {panel.series[s].region for s in panel.series_of(test.unit)}
    missing = (set(test.regions) | set(untreated)) - places
    if missing:
        raise DataError(f"outcomes hold no region {_listed(sorted(missing))}")
    instead, noise = expect_spend(panel, test, untreated, constant)
    spent = spent_within(panel, test.pairs(panel), test.start, test.weeks)
    expected = float(sum(path.sum() for path in instead.values()))
    change = spent - expected
    if abs(change) <= max(2 * noise, LEAST_CHANGE * max(spent, expected)):
        raise DataError(
            f"the spend on {test.channel} hardly changed: its regions spent {spent:,.0f}, and the untreated ones let "
            f"expect {expected:,.0f} ± {noise:,.0f}"
        )
    lift = test.lift * np.sign(change)
    error = float(np.hypot(test.error, lift / change * noise))  # the change of spend is known to within its noise
    paths = tuple((region, tuple(map(float, path))) for region, path in sorted(instead.items()))
    lesser = min(spent, expected)
    return replace(test, spend=abs(change), control_spend=lesser, lift=float(lift), error=error, instead=paths)


def expect_spend(
    panel: MediaPanel, test: LiftTest, untreated: Sequence[str], constant: pd.DataFrame
) -> tuple[dict[str, Array], float]:
    """Say what the regions of a test would have spent without it, from what the untreated ones spent.

    Each region is taken to follow the untreated ones together, in the proportion of the half year before; where these
    spent nothing then, in the proportion of their sales.

    Parameters
    ----------
    panel : MediaPanel
        The panel.
    test : LiftTest
        Channel, regions and weeks.
    untreated : sequence of str
        Untreated regions.
    constant : DataFrame
        Rows of media with a spend that never varies, which the panel does not hold.

    Returns
    -------
    dict of str to array, shape (weeks,)
        Spend by region, in money.
    float
        Standard error of its sum over all regions and weeks.
    """
    spend, size = _spend_by_region(panel, test, constant), {}
    for s in panel.series_of(test.unit):
        size[panel.series[s].region] = size.get(panel.series[s].region, 0.0) + panel.series[s].scale
    nothing = np.zeros(len(panel.weeks[panel.series_of(test.unit)[0]]))
    others = sum((spend.get(region, nothing) for region in untreated), nothing)
    before = slice(max(test.start - HALF_YEAR, 0), test.start)
    window = slice(test.start, test.start + test.weeks)
    basis = others[before].sum()
    whole = sum(size[region] for region in untreated)
    treated = {panel.series[panel.pairs[i].series].region for i in test.pairs(panel)}
    ratio = {r: spend[r][before].sum() / basis if basis > 0 else size[r] / whole for r in sorted(treated)}
    if not ratio:
        raise DataError(f"media hold no spend on {test.channel} in {_listed(test.regions)}")
    left = sum((spend[r][before] - share * others[before] for r, share in ratio.items()), nothing[before])
    noise = float(left.std(ddof=1) * np.sqrt(test.weeks)) if len(left) > 1 else 0.0
    return {region: share * others[window] for region, share in ratio.items()}, noise


def _spend_by_region(panel: MediaPanel, test: LiftTest, constant: pd.DataFrame) -> dict[str, Array]:
    """Weekly spend on a test's channel in every region that has any, in money."""
    mine = panel.pairs_of(test.unit, test.channel)
    spend = {panel.series[panel.pairs[i].series].region: panel.spent(i) for i in mine}
    grid = panel.weeks[panel.series_of(test.unit)[0]]
    rows = constant[constant["channel"] == test.channel] if len(constant) else constant
    for region, part in rows.groupby("region") if len(rows) else ():
        spend[str(region)] = part.set_index("week")["spend"].reindex(grid).fillna(0.0).to_numpy(float)
    return spend


def _by_share(panel: MediaPanel, test: LiftTest, row: Mapping) -> LiftTest:
    """Take the change of spend from the program's cost, in the part of the market that its treated are."""
    cost = row["cost"]
    if not cost > 0:
        raise DataError("its cost is missing, and media do not tell what it spent: supply cost in programs")
    known = spent_within(panel, panel.pairs_of(test.unit, test.channel), test.start, test.weeks)
    if cost > SLACK * known:
        raise DataError(
            f"it cost {cost:,.0f}, but media hold a spend of only {known:,.0f} on {test.channel} in its "
            f"{test.weeks} weeks: put both on one basis, and the program's spend into media"
        )
    sold = sold_within(panel, panel.series_of(test.unit), test.start, test.weeks)
    share = row["base"] / (sold - test.lift) if row["base"] > 0 and sold > test.lift else np.nan
    if not share <= SLACK:
        raise DataError(
            f"its part of the market is not known: the treated would have brought {row['base']:,.0f} in its weeks, and "
            f"outcomes hold {sold:,.0f} in all, so they do not count the same sales"
        )
    share = min(float(share), 1.0)
    made = replace(test, spend=float(cost), control_spend=max(known - cost, 0.0) * share, share=share)
    usual, weekly = typical_return(panel, made), made.measured_return / made.weeks
    if (made.lift - 2 * made.error) / made.spend > HIGH * usual and usual / 3 < weekly < usual * 3:
        raise DataError(
            f"cost and lift do not fit each other: {made.measured_return:.2f} of outcome per unit of money is out of "
            f"all reach, and {weekly:.2f} would be usual, as if the cost were an average per week; supply what it cost "
            "in all"
        )
    return made


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
