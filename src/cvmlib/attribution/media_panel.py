"""The weekly panel that the media mix model sees: outcomes by series, spend by series and channel, controls by market.

A series is a unit's region and outlet; a market is a unit's outlet, over all its regions. Regions have their own
spend; outlets (store, online) share it, and what media bring is estimated for each outlet apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.errors import DataError

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

FEWEST_WEEKS = 52
_NOT_CONTROLS = ("week", "region", "outlet", "value", "currency")


@dataclass(frozen=True)
class UnitWeeks:
    """Weekly tables of one unit, one row per key (see `cvmlib.attribution.media_prepare`).

    Parameters
    ----------
    unit, pool : str
        Name of the unit, and of the group of units that it borrows strength from.
    media : pandas.DataFrame
        week (Monday), region, channel, spend.
    outcomes : pandas.DataFrame
        week, region, outlet, value, and controls.
    tests : pandas.DataFrame
        Lift tests; may be empty.
    margin : float
        Share of the outcome that is margin.
    label : str
        Name for people.
    programs : pandas.DataFrame
        What programs that varied a channel measured, see `cvmlib.attribution.media_programs`; may be empty.
    constant : pandas.DataFrame
        Rows of media that are left out because the spend there never varies; may be empty.
    """

    unit: str
    pool: str
    media: pd.DataFrame
    outcomes: pd.DataFrame
    tests: pd.DataFrame
    margin: float = 1.0
    label: str = ""
    programs: pd.DataFrame = field(default_factory=pd.DataFrame)
    constant: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Series:
    """One series: its unit, region and outlet, its weeks, and the average weekly outcome in money."""

    unit: str
    region: str
    outlet: str
    scale: float

    @property
    def market(self) -> tuple[str, str]:
        """Unit and outlet."""
        return self.unit, self.outlet


@dataclass(frozen=True)
class Pair:
    """A series and a channel: what the channel spent there, on average a week, in money."""

    series: int
    channel: str
    scale: float


@dataclass(frozen=True)
class MediaPanel:
    """Weekly panel of all units, padded to the longest.

    Parameters
    ----------
    series : tuple of Series
        S series.
    pairs : tuple of Pair
        P pairs of series and channel with any spend.
    weeks : tuple of pandas.DatetimeIndex
        Mondays of each series, the first of them in column 0.
    outcome : array, shape (S, T)
        In multiples of the series' average; 0 where nothing was observed.
    observed : array of bool, shape (S, T)
        Where an outcome was observed.
    spend : array, shape (P, T)
        In multiples of the pair's average.
    controls : dict of (unit, outlet) to pandas.DataFrame
        Controls by series position and week: columns are controls, the index is (series, t).
    pools : dict of str to str
        Pool of each unit.
    """

    series: tuple[Series, ...]
    pairs: tuple[Pair, ...]
    weeks: tuple[pd.DatetimeIndex, ...]
    outcome: Array
    observed: npt.NDArray[np.bool_]
    spend: Array
    controls: dict[tuple[str, str], pd.DataFrame]
    pools: dict[str, str]

    @property
    def series_of_pair(self) -> Index:
        """Series of each pair, shape (P,)."""
        return np.array([pair.series for pair in self.pairs], dtype=np.int64)

    @property
    def length(self) -> Index:
        """Weeks of each series, shape (S,)."""
        return np.array([len(weeks) for weeks in self.weeks], dtype=np.int64)

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Which columns are weeks of the series, shape (S, T)."""
        return np.arange(self.outcome.shape[1]) < self.length[:, None]

    def units(self) -> list[str]:
        """Names of the units, in order."""
        return list(dict.fromkeys(series.unit for series in self.series))

    def series_of(self, unit: str) -> list[int]:
        """Positions of a unit's series."""
        return [i for i, series in enumerate(self.series) if series.unit == unit]

    def channels_of(self, unit: str) -> list[str]:
        """Channels of a unit, in order of name."""
        mine = set(self.series_of(unit))
        return sorted({pair.channel for pair in self.pairs if pair.series in mine})

    def pairs_of(self, unit: str, channel: str) -> list[int]:
        """Positions of a unit's pairs with a channel."""
        mine = set(self.series_of(unit))
        return [i for i, pair in enumerate(self.pairs) if pair.series in mine and pair.channel == channel]

    def spent(self, pair: int) -> Array:
        """Weekly spend of a pair in money, over the weeks of its series; outlets share it."""
        found = self.pairs[pair]
        return self.spend[pair, : len(self.weeks[found.series])] * found.scale


def build_panel(units: Mapping[str, UnitWeeks]) -> MediaPanel:
    """Build the panel of all units.

    Parameters
    ----------
    units : mapping of str to UnitWeeks
        Their weekly tables, checked.

    Returns
    -------
    MediaPanel

    Raises
    ------
    DataError
        When a unit's history is too short to tell media from the season.
    """
    series, pairs, weeks, outcomes, spends = [], [], [], [], []
    controls: dict[tuple[str, str], pd.DataFrame] = {}
    for data in units.values():
        grid = _grid(data)
        for (region, outlet), rows in data.outcomes.groupby(["region", "outlet"], sort=True):
            value = rows.set_index("week")["value"].reindex(grid)
            place = len(series)
            series.append(Series(data.unit, region, outlet, float(value.mean())))
            weeks.append(grid)
            outcomes.append(value.to_numpy(dtype=float) / series[-1].scale)
            media = data.media[data.media["region"] == region]
            for channel, spent in media.groupby("channel", sort=True):
                spend = spent.set_index("week")["spend"].reindex(grid).fillna(0.0).to_numpy(dtype=float)
                if spend.sum() > 0:
                    pairs.append(Pair(place, str(channel), float(spend.mean())))
                    spends.append(spend / spend.mean())
            found = _control_rows(rows, grid, place)
            market = (data.unit, outlet)
            controls[market] = pd.concat([controls[market], found]) if market in controls else found
    longest = max(len(grid) for grid in weeks)
    outcome = np.stack([_pad(row, longest, np.nan) for row in outcomes])
    return MediaPanel(
        tuple(series),
        tuple(pairs),
        tuple(weeks),
        np.nan_to_num(outcome),
        np.isfinite(outcome),
        np.stack([_pad(row, longest, 0.0) for row in spends]),
        controls,
        {data.unit: data.pool for data in units.values()},
    )


def _grid(data: UnitWeeks) -> pd.DatetimeIndex:
    """List the weeks in which both the outcome and the media of a unit were recorded."""
    first = max(data.outcomes["week"].min(), data.media["week"].min())
    last = min(data.outcomes["week"].max(), data.media["week"].max())
    grid = pd.date_range(first, last, freq="7D")
    if len(grid) < FEWEST_WEEKS:
        raise DataError(
            f"{data.unit}: media and outcomes overlap in {max(len(grid), 0)} weeks; the media mix needs {FEWEST_WEEKS} "
            "or more to tell media from the season. Supply a longer history."
        )
    return grid


def control_names(outcomes: pd.DataFrame) -> list[str]:
    """Names of the controls among the columns of weekly outcomes, in order."""
    return [name for name in outcomes.columns if name not in _NOT_CONTROLS]


def _control_rows(rows: pd.DataFrame, grid: pd.DatetimeIndex, place: int) -> pd.DataFrame:
    """Controls of a series on its weeks; the price as its logarithm, gaps filled with the value before."""
    table = rows.set_index("week")[control_names(rows)].reindex(grid).astype(float).ffill().bfill()
    if "price" in table and (table["price"] > 0).all():
        table["price"] = np.log(table["price"])
    table.index = pd.MultiIndex.from_product([[place], range(len(grid))], names=["series", "t"])
    return table


def _pad(row: Array, length: int, value: float) -> Array:
    return np.concatenate([row, np.full(length - len(row), value)])
