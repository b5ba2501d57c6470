"""What if spend follows demand and nobody noticed? Draws of returns that leave room for it.

The model takes a channel whose spend nobody knows to follow demand to cause all that goes with it. But there is always
demand that no column tells, and if spend rises with it by f percent for each percent, the channel is given too much:
the omitted variable bias of a regression (Angrist and Pischke 2009, *Mostly Harmless Econometrics*, 3.2.2). In shares
of the average outcome, with v the variance of that demand in the whole unit, b the contribution at the reference
return, e the elasticity of the response and w the variance of the carried-over spend around trend, season and controls,
what goes with a channel of return r is

    r + d,   d = f v / (b e w),   f >= 0 half-normal of scale `FOLLOWS`.

So the return of a channel that goes on and off by plan is hardly doubted, for demand cannot have moved it that much;
the return of one that is never off, and whose spend wavers as demand does, is doubted much. The posterior draws, which
were made as if d was zero, are weighted and moved by Bayes' rule under the prior of r.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from cvmlib.attribution.media_diagnostics import baseline_columns
from cvmlib.attribution.media_effects import MediaPosterior, fitted
from cvmlib.attribution.media_model import RETURN_MEAN, RETURN_SD, elasticity
from cvmlib.attribution.media_panel import Array
from cvmlib.attribution.media_transforms import adstock_weights

FOLLOWS = 1.0
"""Scale of the percent by which spend may follow a percent of demand, unnoticed: clicks on a search follow one for
one."""
LASTING = 0.5
"""Share of the variance that the model does not explain which is taken to be demand that a buyer of media may see."""
_MOST = 10.0  # of what is captured, in reference returns, however little spend varies
_TINY = 1e-300
_SEED = 1


class Doubted(NamedTuple):
    """Draws that leave room for doubt: which draws to take, shape (D,), and the demand captured then, (D, C)."""

    places: npt.NDArray[np.int64]
    captured: Array


def capturable(
    posterior: MediaPosterior,
    unit: str,
    channels: Sequence[str],
    tested: Collection[str] = (),
    follows: float = FOLLOWS,
) -> Array:
    """How much demand each channel may capture unnoticed: the scale of d above.

    Parameters
    ----------
    posterior : MediaPosterior
        Draws.
    unit : str
        The unit.
    channels : sequence of str
        C channels with spend.
    tested : collection of str
        Channels that a lift test of the unit calibrates.
    follows : float
        Scale of f; 0 leaves no room for doubt.

    Returns
    -------
    array, shape (C,)
        In reference returns; 0 for tested channels, and for those that the model takes to follow demand already.
    """
    panel = posterior.design.panel
    demand = LASTING * _unexplained_variance(posterior, unit)
    scales = np.zeros(len(channels))
    for place, channel in enumerate(channels):
        pairs = panel.pairs_of(unit, channel)
        if channel in tested or posterior.design.captured[pairs].any():
            continue
        elastic = elasticity(posterior.form.saturation, posterior.parameters(pairs[0])).mean()
        slope = _reference_share(posterior, unit, pairs) * elastic
        varies = max(_own_variance(posterior, pairs), demand / (slope * _MOST) ** 2)
        # a correlation of spend and demand is 1 at most
        scales[place] = min(follows * demand / varies, np.sqrt(demand / varies)) / slope
    return scales


def _unexplained_variance(posterior: MediaPosterior, unit: str) -> float:
    """Variance of the unit's outcome around what the model expects, in squared shares of its average.

    A region without an outcome in a week counts as if it had been as expected.
    """
    panel = posterior.design.panel
    mine = panel.series_of(unit)
    weeks = len(panel.weeks[mine[0]])
    off, seen = np.zeros(weeks), np.zeros(weeks, dtype=bool)
    for s in mine:
        known = panel.observed[s, :weeks]
        wrong = panel.outcome[s, :weeks] * panel.series[s].scale - fitted(posterior, s).mean(axis=0)
        off, seen = off + np.where(known, wrong, 0.0), seen | known
    return float(np.var(off[seen]) / sum(panel.series[s].scale for s in mine) ** 2)


def _reference_share(posterior: MediaPosterior, unit: str, pairs: Sequence[int]) -> float:
    """What a channel would bring at the reference return, as a share of the unit's average outcome."""
    design = posterior.design
    series = design.panel.series
    brought = sum(design.reference[i] * series[design.panel.pairs[i].series].scale for i in pairs)
    return float(brought / sum(series[s].scale for s in design.panel.series_of(unit)))


def _own_variance(posterior: MediaPosterior, pairs: Sequence[int]) -> float:
    """Variance of carried-over spend around trend, season and controls, in squared multiples of its average.

    Regions are averaged by their spend: what tells their effects is how each of them varies, together or not.
    """
    design = posterior.design
    variances = []
    for pair in pairs:
        series = design.panel.pairs[pair].series
        lagged = design.lagged[pair, : len(design.panel.weeks[series])]
        weights = adstock_weights(posterior.form.adstock, posterior.parameters(pair), lagged.shape[1]).mean(axis=0)
        carried = lagged @ weights
        known = np.column_stack([np.ones(len(carried)), baseline_columns(design, series)])
        found, _, rank, _ = np.linalg.lstsq(known, carried, rcond=None)
        variances.append(np.sum((carried - known @ found) ** 2) / max(len(carried) - rank, 1))
    return float(np.average(variances, weights=[design.panel.pairs[pair].scale for pair in pairs]))


def doubt_returns(returns: Array, scales: Array) -> Doubted:
    """Weigh and move draws of returns, as if channels might follow demand.

    Parameters
    ----------
    returns : array, shape (D, C)
        Draws of the return of each channel, in reference returns.
    scales : array, shape (C,)
        Scale of the demand that each may capture, see `capturable`; 0 is not doubted.

    Returns
    -------
    Doubted
        Captured demand in reference returns; 0 for channels that are not doubted.
    """
    count = len(returns)
    captured = np.zeros_like(returns)
    doubtful = scales > 0
    if not doubtful.any():
        return Doubted(np.arange(count), captured)
    seen, scale = returns[:, doubtful], scales[doubtful]
    variance = 1.0 / (RETURN_SD**-2 + scale**-2)
    centre = variance * (RETURN_MEAN / RETURN_SD**2 + seen / scale**2)  # of r, given r + d, before r < r + d
    below = np.maximum(stats.norm.cdf((seen - centre) / np.sqrt(variance)), _TINY)
    prior = stats.norm.logpdf(seen, RETURN_MEAN, RETURN_SD)
    weight = (np.log(below) + stats.norm.logpdf(seen, RETURN_MEAN, np.hypot(RETURN_SD, scale)) - prior).sum(axis=1)
    weight = np.exp(weight - weight.max())
    rng = np.random.default_rng(_SEED)
    steps = (np.arange(count) + rng.random()) / count
    places = np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), steps), count - 1)
    seen, centre, below = seen[places], centre[places], below[places]
    own = centre + np.sqrt(variance) * stats.norm.ppf(below * (1.0 - rng.random(seen.shape)))
    captured[:, doubtful] = np.maximum(seen - own, 0.0)
    return Doubted(places, captured)
