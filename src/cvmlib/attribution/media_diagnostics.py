"""What a regression can say before the model is fitted: collinear spend, and spend that follows demand.

Ordinary least squares (statsmodels) on the panel: a variance inflation factor says how much wider an effect becomes
because other columns move with the spend; a lead-lag regression says whether the outcome of a week, beyond what season,
trend and controls explain, foretells the spend of the next week. A channel that passes that test spends after demand,
as search for the brand does, and its association with the outcome is not its effect. The test misses much: demand that
lasts is already in last week's spend. So channels that are known to follow demand are named.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.outliers_influence import variance_inflation_factor

from cvmlib.attribution.media_design import MediaDesign
from cvmlib.attribution.media_panel import Array

COLLINEAR = 5.0
"""Variance inflation from which on a channel counts as collinear: its interval is more than twice as wide."""
FOLLOWS = 0.001
"""Probability under no link, below which spend counts as following demand."""
LATE_WORDS = re.compile(r"search|brand|retarget|remarket|affiliat|coupon|voucher", re.IGNORECASE)
"""Channels met by people who are about to buy anyway (Chen et al. 2018, *Bias correction for paid search in media mix
modeling*); ``follows_demand`` of a unit replaces the list."""
_CARRY = 0.4
_SPEND_LAGS = 4


def mark_captured(design: MediaDesign, named: Mapping[str, Sequence[str] | None] | None = None) -> MediaDesign:
    """Mark the pairs whose spend follows demand, so that the model does not take association for effect.

    Parameters
    ----------
    design : MediaDesign
        The design.
    named : mapping of str to sequence of str, optional
        Per unit, the channels that are known to; for units without (or None) those whose name says so (`LATE_WORDS`)
        and those that `find_followers` finds.
    """
    table = find_followers(design)
    found = set(table.loc[table["follows"], ["pool", "channel"]].itertuples(index=False, name=None))
    marked = []
    for pair, shape in zip(design.panel.pairs, design.shape, strict=True):
        known = (named or {}).get(design.panel.series[pair.series].unit)
        usual = LATE_WORDS.search(pair.channel) is not None or design.shapes[shape] in found
        marked.append(usual if known is None else pair.channel in known)
    return replace(design, captured=np.array(marked))


def find_followers(design: MediaDesign) -> pd.DataFrame:
    """Test of each channel of a pool whether its spend follows the unexplained outcome of the week before.

    Returns
    -------
    pandas.DataFrame
        pool, channel, p (one-sided, over all units by Fisher's method), follows.
    """
    rows = []
    for number, (pool, channel) in enumerate(design.shapes):
        found = [_lead_lag(design, int(pair)) for pair in np.flatnonzero(design.shape == number)]
        p = float(stats.combine_pvalues(found).pvalue) if len(found) > 1 else found[0]
        rows.append((pool, channel, p, p < FOLLOWS / len(design.shapes)))
    return pd.DataFrame(rows, columns=["pool", "channel", "p", "follows"])


def _lead_lag(design: MediaDesign, pair: int) -> float:
    """One-sided p of the last week's surprise in a regression of spend."""
    series = design.panel.pairs[pair].series
    weeks = len(design.panel.weeks[series])
    outcome = np.log(np.maximum(design.panel.outcome[series, :weeks], 1e-3))
    common = baseline_columns(design, series)
    others = [_carried(design, i) for i in np.flatnonzero(design.panel.series_of_pair == series) if i != pair]
    columns = _independent(np.column_stack([common, *others]) if others else common)
    surprise = np.asarray(sm.OLS(outcome, sm.add_constant(columns)).fit().resid)
    spend = np.log1p(design.panel.spend[pair, :weeks])
    lags = [spend[_SPEND_LAGS - k : weeks - k] for k in range(1, _SPEND_LAGS + 1)]
    given = _independent(np.column_stack([*lags, common[_SPEND_LAGS:]]))
    right = np.column_stack([surprise[_SPEND_LAGS - 1 : weeks - 1], given])
    t = float(sm.OLS(spend[_SPEND_LAGS:], sm.add_constant(right)).fit().tvalues[1])
    return float(np.clip(stats.norm.sf(t), 1e-16, 1.0)) if np.isfinite(t) else 1.0


def baseline_columns(design: MediaDesign, series: int) -> Array:
    """Trend, season and controls of a series that vary, shape (weeks, columns)."""
    weeks = len(design.panel.weeks[series])
    table = np.concatenate([design.trend[series], design.season[series], design.controls[series]])[:, :weeks].T
    return table[:, np.abs(table).max(axis=0) > 0]


def _carried(design: MediaDesign, pair: int) -> Array:
    weeks = len(design.panel.weeks[design.panel.pairs[pair].series])
    weights = _CARRY ** np.arange(design.lagged.shape[2])
    return design.lagged[pair, :weeks] @ (weights / weights.sum())


def measure_collinearity(design: MediaDesign, unit: str) -> pd.DataFrame:
    """Variance inflation of each channel of a unit, beside the other channels, trend, season and controls.

    Returns
    -------
    pandas.DataFrame
        channel, inflation (the largest over regions), widened (by how much its interval is wider), collinear.
    """
    worst: dict[str, float] = {}
    for series in design.panel.series_of(unit):
        mine = np.flatnonzero(design.panel.series_of_pair == series)
        spends = np.column_stack([_carried(design, i) for i in mine])
        table = np.column_stack([spends, _independent(baseline_columns(design, series))])
        for place, pair in enumerate(mine):
            channel = design.panel.pairs[pair].channel
            with np.errstate(divide="ignore"):
                worst[channel] = max(worst.get(channel, 0.0), float(variance_inflation_factor(table, place)))
    frame = pd.DataFrame({"channel": list(worst), "inflation": list(worst.values())})
    frame["widened"] = np.sqrt(frame["inflation"])
    return frame.assign(collinear=frame["inflation"] > COLLINEAR).sort_values(
        "inflation", ascending=False, ignore_index=True
    )


def _independent(table: npt.NDArray[np.float64]) -> Array:
    """Orthonormal columns that span the same space beside a constant."""
    left, values, _ = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    return left[:, values > 1e-9 * values[0]]
