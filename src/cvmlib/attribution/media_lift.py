"""Lift tests as calibration: what a test measured, in the units the model needs, and what the model says to it.

A test says that spend more (or less) by so much brought so much outcome more (or less). Whether both are totals of the
test or per week changes the return by nothing, but its combination with the weekly model by the number of weeks; so the
basis must be stated, and is held against the spend and the outcomes that the tables hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.attribution.media_design import MediaDesign, reference_returns
from cvmlib.attribution.media_panel import Array, Index, MediaPanel, Series
from cvmlib.attribution.media_transforms import lag_spend
from cvmlib.errors import DataError

BASES = ("total", "weekly")


@dataclass(frozen=True)
class LiftTest:
    """One test, as totals.

    Parameters
    ----------
    unit, channel : str
        Unit and channel.
    regions : tuple of str
        Regions tested; none are all of them.
    outlet : str
        Outlet measured; empty is all of them.
    start, weeks : int
        First week of the test among the unit's weeks, and how many.
    spend, control_spend : float
        Money that was spent because of the test, and without it, in the part of the market tested.
    lift, error : float
        Outcome it brought within the test, and its standard error, in money.
    share : float
        Part of the market tested.
    source : str
        Program that was the test; empty for a row of ``lift_tests``.
    instead : tuple of (region, tuple of float)
        Weekly spend that each region tested would have had without the test, in money, where media hold what it had
        with it; otherwise the test spent in the pattern that media hold.
    """

    unit: str
    channel: str
    regions: tuple[str, ...]
    outlet: str
    start: int
    weeks: int
    spend: float
    control_spend: float
    lift: float
    error: float
    share: float
    source: str = ""
    instead: tuple[tuple[str, tuple[float, ...]], ...] = ()

    @property
    def measured_return(self) -> float:
        """Outcome per unit of money."""
        return self.lift / self.spend

    def label(self) -> str:
        """Name of the test for people."""
        places = [*self.regions[:3], *(["…"] if len(self.regions) > 3 else []), self.outlet, self.source]
        return f"{', '.join(part for part in (self.channel, *places) if part)}, {self.weeks} weeks"

    def covers(self, series: Series) -> bool:
        """Whether a series is part of what was tested."""
        places = not self.regions or series.region in self.regions
        return series.unit == self.unit and places and self.outlet in ("", series.outlet)

    def pairs(self, panel: MediaPanel) -> list[int]:
        """Positions of the pairs of its channel within what was tested."""
        return [i for i in panel.pairs_of(self.unit, self.channel) if self.covers(panel.series[panel.pairs[i].series])]


@dataclass(frozen=True)
class LiftArrays:
    """Tests as arrays: E combinations of a test and a pair, of N tests, W weeks (padded), L lags."""

    tests: tuple[LiftTest, ...]
    treated: Array
    control: Array
    weeks: Array
    pair: Index
    money: Array
    of: Array

    def data(self) -> dict[str, np.ndarray]:
        """Arrays by the names the model knows."""
        return {
            "lift_treated": self.treated,
            "lift_control": self.control,
            "lift_weeks": self.weeks,
            "lift_pair": self.pair,
            "lift_money": self.money,
            "lift_of": self.of,
            "lift": np.array([test.lift for test in self.tests]),
            "lift_error": np.array([test.error for test in self.tests]),
        }


def read_tests(panel: MediaPanel, unit: str, table: pd.DataFrame) -> list[LiftTest]:
    """Read the lift tests of a unit and hold their units against its tables.

    Parameters
    ----------
    panel : MediaPanel
        The panel.
    unit : str
        The unit.
    table : pandas.DataFrame
        Rows of the contract ``lift_tests``.

    Returns
    -------
    list of LiftTest
        As totals.

    Raises
    ------
    DataError
        When a test cannot be placed, or its numbers are of another unit than stated; all of them at once.
    """
    tests, mistakes = [], []
    for number, row in enumerate(table.to_dict("records"), start=1):
        try:
            test = _read_test(panel, unit, row)
            check_basis(panel, test, str(row["basis"]), row.get("relative_lift"))
            tests.append(test)
        except DataError as error:
            mistakes.append(f"{unit}, lift_tests, row {number} ({row.get('channel')}): {error}")
    if mistakes:
        raise DataError("\n".join(mistakes))
    return tests


def _read_test(panel: MediaPanel, unit: str, row: dict) -> LiftTest:
    channel, region, outlet = (_text(row.get(name)) for name in ("channel", "region", "outlet"))
    basis = _text(row.get("basis"))
    if basis not in BASES:
        raise DataError(
            f'found basis "{basis}"; expected "total" (spend and lift are sums over the test) or "weekly" (averages a '
            "week). The two differ by the number of weeks, so it must be said."
        )
    mine = [i for i in panel.pairs_of(unit, channel) if _matches(panel, i, region, outlet)]
    if not mine:
        known = ", ".join(panel.channels_of(unit))
        raise DataError(f"no spend of this channel and place in media; the channels there are {known}.")
    weeks = panel.weeks[panel.pairs[mine[0]].series]
    start, weeks_long = _window(row, weeks)
    factor = 1.0 if basis == "total" else float(weeks_long)
    spend, lift, error = (float(row[name]) * factor for name in ("spend", "lift", "lift_error"))
    if not (np.isfinite([spend, lift, error]).all() and spend != 0 and error > 0):
        raise DataError(
            f"found spend {row['spend']}, lift {row['lift']}, lift_error {row['lift_error']}; expected numbers, a "
            "spend other than 0 and a lift_error above 0."
        )
    share = _number(row.get("market_share"), 1.0)
    if not 0 < share <= 1:
        raise DataError(f"found market_share {share}; expected the part of the market tested, above 0 and at most 1.")
    control = _number(row.get("control_spend"), 0.0) * factor
    regions, lift = ((region,) if region else ()), lift * np.sign(spend)
    return LiftTest(unit, channel, regions, outlet, start, weeks_long, abs(spend), control, lift, error, share)


def _window(row: dict, weeks: pd.DatetimeIndex) -> tuple[int, int]:
    first, last = (pd.Timestamp(row[name]).normalize() for name in ("start", "end"))
    if pd.isna(first) or pd.isna(last) or last < first:
        raise DataError(f"found start {row['start']} and end {row['end']}; expected two days, the end not before.")
    days = (last - first).days + 1
    length = max(round(days / 7), 1)
    start = round((first - weeks[0]).days / 7)
    if start < 0 or start + length > len(weeks):
        raise DataError(
            f"the test ran {first.date()} to {last.date()}, outside the weeks of media and outcomes, {weeks[0].date()} "
            f"to {(weeks[-1] + pd.Timedelta(days=6)).date()}. Supply the weeks of the test, or leave it out."
        )
    return start, length


def check_basis(panel: MediaPanel, test: LiftTest, basis: str, relative_lift: float | None = None) -> None:
    """Refuse a test whose numbers are weekly where totals are stated, or the other way.

    The spend stated must be nearer to the spend that media holds for the window than what it would be on the other
    basis. So must the lift, held against `relative_lift` times the outcome; without a relative lift, a lift is refused
    whose return is out of all reach as stated, and an ordinary one on the other basis.

    Parameters
    ----------
    panel : MediaPanel
        The panel.
    test : LiftTest
        The test, as totals by the stated basis.
    basis : {"total", "weekly"}
        What was stated.
    relative_lift : float, optional
        Lift as a share of the outcome without the spend.

    Raises
    ------
    DataError
        With both readings and what to do.
    """
    if test.weeks < 2:
        return
    other = "weekly" if basis == "total" else "total"
    turned = float(test.weeks) if basis == "total" else 1.0 / test.weeks
    spend = test.spend + test.control_spend
    known = _known_spend(panel, test) * test.share
    if known > 0 and _nearer(spend, turned, known):
        raise DataError(
            f"the spend of the test is {spend:,.0f} over {test.weeks} weeks by the stated basis \"{basis}\", but media "
            f"holds {known:,.0f} for these weeks; read as \"{other}\" it is {spend * turned:,.0f}. If spend and lift "
            f"are {_words(other)}, say basis = \"{other}\"; if only a part of the market was tested, say its "
            "market_share; if the channel also spent without the test, say control_spend."
        )  # fmt: skip
    relative = _number(relative_lift, np.nan)
    if np.isfinite(relative) and relative != 0:
        expected = abs(relative) * _known_outcome(panel, test) * test.share
        if _nearer(abs(test.lift), turned, expected):
            raise DataError(
                f"the lift is {test.lift:,.0f} over {test.weeks} weeks by the stated basis \"{basis}\", but a relative "
                f"lift of {relative:.1%} of the outcome of these weeks is {expected:,.0f}; read as \"{other}\" it is "
                f"{test.lift * turned:,.0f}. Say which basis the lift has, and give the spend on the same."
            )  # fmt: skip
        return
    typical = typical_return(panel, test)
    if _out_of_reach(test, typical) and typical / 3 < test.measured_return * turned < typical * 3:
        raise DataError(
            f"the lift means {test.measured_return:.2f} of outcome per unit of money by the stated basis \"{basis}\", "
            f"and {test.measured_return * turned:.2f} read as \"{other}\"; an ordinary return of this unit is "
            f"{typical:.2f}. Is the lift {_words(other)}, and the spend {_words(basis)}? Put both on one basis, or "
            "confirm the lift by its relative_lift (share of the outcome)."
        )  # fmt: skip


def _out_of_reach(test: LiftTest, typical: float) -> bool:
    """Whether even a lift two standard errors off would be far from any ordinary return, and not just no effect."""
    low, high = ((test.lift + sign * 2 * test.error) / test.spend for sign in (-1, 1))
    return high < typical / 4 and low > 0 or low > typical * 6


def _words(basis: str) -> str:
    return "averages per week" if basis == "weekly" else "totals of the test"


def _nearer(stated: float, turned: float, known: float) -> bool:
    """Whether a number fits what is known better when read on the other basis."""
    if not (stated > 0 and known > 0):
        return False
    return abs(np.log(stated * turned / known)) < abs(np.log(stated / known))


def _known_spend(panel: MediaPanel, test: LiftTest) -> float:
    return spent_within(panel, test.pairs(panel), test.start, test.weeks)


def spent_within(panel: MediaPanel, pairs: Sequence[int], start: int, weeks: int) -> float:
    """Sum what pairs spent in some weeks, in money; outlets of a region share their spend, which counts once."""
    spent = {panel.series[panel.pairs[i].series].region: panel.spent(i)[start : start + weeks].sum() for i in pairs}
    return float(sum(spent.values()))


def sold_within(panel: MediaPanel, series: Sequence[int], start: int, weeks: int) -> float:
    """Sum the outcome of series in some weeks, in money."""
    window = slice(start, start + weeks)
    return float(sum(panel.outcome[s, window].sum() * panel.series[s].scale for s in series))


def _known_outcome(panel: MediaPanel, test: LiftTest) -> float:
    return sold_within(panel, sorted({panel.pairs[i].series for i in test.pairs(panel)}), test.start, test.weeks)


def typical_return(panel: MediaPanel, test: LiftTest) -> float:
    """Return that a channel would have where a test was run if media brought a fifth of the outcome."""
    mine = test.pairs(panel)
    regions = {panel.series[panel.pairs[i].series].region for i in mine}
    return float(reference_returns(panel)[mine].sum() / len(regions))


def _matches(panel: MediaPanel, pair: int, region: str, outlet: str) -> bool:
    series = panel.series[panel.pairs[pair].series]
    return region in ("", series.region) and outlet in ("", series.outlet)


def arrange_tests(design: MediaDesign, tests: list[LiftTest]) -> LiftArrays | None:
    """Lay out tests for the model; None without any.

    The treated part of the market spent what the test says, in the weekly pattern that media holds; the control spent
    the rest; where media hold the tested regions themselves, they say what one side spent, and `LiftTest.instead` what
    the other would have. Before the test both spent alike.
    """
    if not tests:
        return None
    panel, lags = design.panel, design.lagged.shape[2]
    longest = max(test.weeks for test in tests)
    treated, control, weeks, pairs, money, of = [], [], [], [], [], []
    for number, test in enumerate(tests):
        window = slice(test.start, test.start + test.weeks)
        for i in test.pairs(panel):
            for found, rows in zip(_spend_paths(panel, test, i), (treated, control), strict=True):
                block = lag_spend(found, lags)[window]
                rows.append(np.pad(block, ((0, longest - test.weeks), (0, 0))))
            weeks.append(np.arange(longest) < test.weeks)
            pairs.append(i)
            money.append(test.share * panel.series[panel.pairs[i].series].scale)
            of.append(np.arange(len(tests)) == number)
    return LiftArrays(
        tuple(tests),
        np.stack(treated),
        np.stack(control),
        np.array(weeks, dtype=float),
        np.array(pairs, dtype=np.int64),
        np.array(money),
        np.array(of, dtype=float),
    )


def _spend_paths(panel: MediaPanel, test: LiftTest, pair: int) -> tuple[Array, Array]:
    """Spend of a pair with the greater spend of the test and with the lesser, in multiples of its average."""
    window, found = slice(test.start, test.start + test.weeks), panel.pairs[pair]
    more = panel.spend[pair, : len(panel.weeks[found.series])].copy()
    less = more.copy()
    instead = dict(test.instead).get(panel.series[found.series].region)
    if instead is not None:
        less[window] = np.array(instead) / found.scale
        withheld = sum(sum(path) for _, path in test.instead) > _known_spend(panel, test)
        return (less, more) if withheld else (more, less)
    known = _known_spend(panel, test) * test.share
    level = (test.spend + test.control_spend) / known if known > 0 else 1.0
    more[window] *= level
    less[window] *= level * test.control_spend / (test.spend + test.control_spend)
    return more, less


def _text(value: object) -> str:
    return "" if value is None or value != value else str(value).strip()


def _number(value: object, default: float) -> float:
    return default if value is None or value != value else float(value)
