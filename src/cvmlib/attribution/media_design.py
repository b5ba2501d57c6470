"""What the media mix model is fitted to: the panel as arrays of its regression, scaled by the data.

Returns are given their prior in multiples of a reference return: the outcome per unit of money that a series would
have if media had brought a fifth of its outcome, each channel in proportion to its spend. So no prior knows the
currency, and money in cents gives the same answer as money in euros.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvmlib.attribution.media_calendar import holiday_columns, season_columns, trend_columns
from cvmlib.attribution.media_panel import Array, Index, MediaPanel
from cvmlib.attribution.media_transforms import lag_spend

LAGS = 9
MEDIA_SHARE = 0.2
"""Share of the outcome that media bring if every channel has the reference return."""


@dataclass(frozen=True)
class MediaDesign:
    """Arrays of the regression: S series, P pairs, T weeks (padded), L lags, J controls, K knots, M markets.

    Parameters
    ----------
    panel : MediaPanel
        The panel.
    lagged : array, shape (P, T, L)
        Spend of each week and those before it, in multiples of the pair's average.
    weight : array, shape (P, T)
        1 over the number of weeks in each week of the pair's series, 0 beyond: sums become means.
    reference : array, shape (P,)
        Contribution at the reference return, as a share of the series' average outcome.
    trend : array, shape (S, K, T)
        Hat functions.
    season : array, shape (S, H, T)
        Waves of the year.
    controls : array, shape (S, J, T)
        Controls and holidays, scaled.
    control_names : list of str
        J names.
    dropped : tuple of str
        Controls that never vary, left out: ``unit, name``.
    fitted : array of bool, shape (S, T)
        Weeks whose outcome the fit sees.
    follows : array of bool, shape (S, T)
        Fitted weeks whose week before is fitted too.
    kinds, shapes : list of tuple
        Sets of pairs that share a mean return (pool, channel, outlet), and a carry-over and saturation (pool, channel).
    kind, shape, group : array of int, shape (P,)
        The kind, shape and unit group of each pair.
    groups : list of tuple
        (kind, unit): pairs of one unit and kind, one per region.
    captured : array of bool, shape (P,)
        Pairs whose spend follows demand, see `cvmlib.attribution.media_diagnostics.mark_captured`.
    """

    panel: MediaPanel
    lagged: Array
    weight: Array
    reference: Array
    trend: Array
    season: Array
    controls: Array
    control_names: list[str]
    dropped: tuple[str, ...]
    fitted: npt.NDArray[np.bool_]
    follows: npt.NDArray[np.bool_]
    kinds: list[tuple[str, str, str]]
    shapes: list[tuple[str, str]]
    groups: list[tuple[int, str]]
    kind: Index
    shape: Index
    group: Index
    captured: npt.NDArray[np.bool_]

    @property
    def markets(self) -> list[tuple[str, str]]:
        """Unit and outlet of each market, in order."""
        return list(dict.fromkeys(series.market for series in self.panel.series))

    @property
    def market(self) -> Index:
        """Market of each series, shape (S,)."""
        names = self.markets
        return np.array([names.index(series.market) for series in self.panel.series], dtype=np.int64)


def build_design(panel: MediaPanel, lags: int = LAGS, holdout: int = 0) -> MediaDesign:
    """Build the arrays of the regression.

    Parameters
    ----------
    panel : MediaPanel
        The panel.
    lags : int
        Weeks over which an effect is spread, the week of the spend included.
    holdout : int
        Weeks at the end of each series whose outcome is hidden from the fit.
    """
    places = panel.series_of_pair
    inside = panel.inside
    last = panel.length - holdout
    fitted = panel.observed & (np.arange(inside.shape[1]) < last[:, None])
    follows = fitted & np.concatenate([np.zeros((len(inside), 1), dtype=bool), fitted[:, :-1]], axis=1)
    kinds, kind = _label([(panel.pools[s.unit], p.channel, s.outlet) for p, s in _walk(panel)])
    shapes, shape = _label([(panel.pools[s.unit], p.channel) for p, s in _walk(panel)])
    groups, group = _label([(int(k), s.unit) for k, (_, s) in zip(kind, _walk(panel), strict=True)])
    controls, names, dropped = _controls(panel)
    return MediaDesign(
        panel=panel,
        lagged=_lag_panel(panel, lags),
        weight=(inside / panel.length[:, None])[places],
        reference=_reference(panel),
        trend=_stacked([trend_columns(int(n), inside.shape[1]) for n in panel.length]),
        season=_stacked([_pad_weeks(season_columns(weeks), inside.shape[1]) for weeks in panel.weeks]),
        controls=controls,
        control_names=names,
        dropped=dropped,
        fitted=fitted,
        follows=follows,
        kinds=kinds,
        shapes=shapes,
        groups=groups,
        kind=kind,
        shape=shape,
        group=group,
        captured=np.zeros(len(panel.pairs), dtype=bool),
    )


def _walk(panel: MediaPanel) -> list[tuple]:
    return [(pair, panel.series[pair.series]) for pair in panel.pairs]


def _label(keys: Sequence[tuple]) -> tuple[list, Index]:
    """List distinct keys in order, and the place of each key among them."""
    distinct = sorted(set(keys))
    return distinct, np.array([distinct.index(key) for key in keys], dtype=np.int64)


def _lag_panel(panel: MediaPanel, lags: int) -> Array:
    lagged = np.zeros((*panel.spend.shape, lags))
    for i, pair in enumerate(panel.pairs):
        weeks = len(panel.weeks[pair.series])
        lagged[i, :weeks] = lag_spend(panel.spend[i, :weeks], lags)
    return lagged


def _reference(panel: MediaPanel) -> Array:
    """Share of a series' outcome that each pair would bring at the reference return."""
    totals: dict[int, float] = {}
    for pair in panel.pairs:
        totals[pair.series] = totals.get(pair.series, 0.0) + pair.scale
    return np.array([MEDIA_SHARE * pair.scale / totals[pair.series] for pair in panel.pairs])


def reference_returns(panel: MediaPanel) -> Array:
    """Outcome per unit of money at which each pair's return is 1 reference return, shape (P,)."""
    scales = np.array([panel.series[pair.series].scale / pair.scale for pair in panel.pairs])
    return _reference(panel) * scales


def _controls(panel: MediaPanel) -> tuple[Array, list[str], tuple[str, ...]]:
    names: list[str] = []
    columns: dict[tuple[int, str], Array] = {}
    dropped = []
    for (unit, outlet), table in panel.controls.items():
        for name in table.columns:
            scaled = _scale_control(table[name].to_numpy(dtype=float))
            if scaled is None:
                dropped.append(f"{unit}{', ' + outlet if outlet else ''}: {name}")
                continue
            for place in table.index.unique(level=0):
                columns[place, name] = scaled[table.index.get_level_values(0) == place]
            names += [name] if name not in names else []
    for place, weeks in enumerate(panel.weeks):
        for name, share in holiday_columns(weeks).items():
            if np.count_nonzero(share) >= 2:  # one occurrence cannot be told from chance
                columns[place, name] = share
                names += [name] if name not in names else []
    table = np.zeros((len(panel.series), len(names), panel.outcome.shape[1]))
    for (place, name), values in columns.items():
        table[place, names.index(name), : len(values)] = values
    return table, names, tuple(dropped)


def _scale_control(values: Array) -> Array | None:
    """Scale a control to standard deviation 1; shares between 0 and 1 stay as they are. None when it never varies."""
    spread = np.nanstd(values)
    if not spread > 1e-9 * max(1.0, float(np.nanmax(np.abs(values), initial=0.0))):
        return None
    filled = np.nan_to_num(values, nan=float(np.nanmean(values)))
    if filled.min() >= 0.0 and filled.max() <= 1.0:
        return filled - filled.mean()
    return (filled - filled.mean()) / spread


def _pad_weeks(columns: Array, length: int) -> Array:
    return np.pad(columns, ((0, 0), (0, length - columns.shape[1])))


def _stacked(tables: Sequence[Array]) -> Array:
    """Stack tables of columns, the shorter ones filled with zeros."""
    rows = max(len(table) for table in tables)
    return np.stack([np.pad(table, ((0, rows - len(table)), (0, 0))) for table in tables])
