"""What if a channel follows demand and nobody noticed? Draws of returns that leave room for it.

The model takes a channel whose spend nobody knows to follow demand to cause all that goes with it. Some do follow it,
and the course of their spend seldom gives them away, so a plan that believes every return sends money to those that
look best for this reason. Here each such channel follows demand with a probability, and then captures as much as the
model expects of a channel that is known to. With r the return, N(m, s) its prior, and d >= 0 half-normal of scale c,

    what goes with a channel is r, or (with the doubted probability) r + d,

and the posterior draws, which were made as if it was always r, are weighted and moved by Bayes' rule. So the return of
a channel is doubted the more, the further above its prior it lies and the less the data tell; others hardly change.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from cvmlib.attribution.media_model import CAPTURED_SD, RETURN_MEAN, RETURN_SD
from cvmlib.attribution.media_panel import Array

DOUBT = 0.2
"""Probability that a channel without a test follows demand although nobody knows."""
_SEED = 1


class Doubted(NamedTuple):
    """Draws that leave room for doubt: which draws to take, shape (D,), and the demand captured then, (D, C)."""

    places: npt.NDArray[np.int64]
    captured: Array


def doubt_returns(returns: Array, doubtful: npt.NDArray[np.bool_], doubt: float = DOUBT) -> Doubted:
    """Weigh and move draws of returns, as if some channels might follow demand.

    Parameters
    ----------
    returns : array, shape (D, C)
        Draws of the return of each channel, in reference returns.
    doubtful : array of bool, shape (C,)
        Channels that might follow demand unnoticed: those without a test that are not known to.
    doubt : float
        Probability that one of them does, 0 to below 1.

    Returns
    -------
    Doubted
        Captured demand in reference returns; 0 for other channels, and where a channel is taken not to follow demand.
    """
    count = len(returns)
    captured = np.zeros_like(returns)
    places = np.arange(count)
    if not (doubt and doubtful.any()):
        return Doubted(places, captured)
    seen = returns[:, doubtful]
    variance = 1.0 / (RETURN_SD**-2 + CAPTURED_SD**-2)
    centre = variance * (RETURN_MEAN / RETURN_SD**2 + seen / CAPTURED_SD**2)  # of r, given r + d, before r < r + d
    below = stats.norm.cdf((seen - centre) / np.sqrt(variance))
    wide = np.hypot(RETURN_SD, CAPTURED_SD)
    ratio = 2.0 * below * stats.norm.pdf(seen, RETURN_MEAN, wide) / stats.norm.pdf(seen, RETURN_MEAN, RETURN_SD)
    weight = np.exp(np.log(1.0 - doubt + doubt * ratio).sum(axis=1))
    rng = np.random.default_rng(_SEED)
    steps = (np.arange(count) + rng.random()) / count
    places = np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), steps), count - 1)
    seen, centre, below, ratio = (part[places] for part in (seen, centre, below, ratio))
    follows = rng.random(seen.shape) < doubt * ratio / (1.0 - doubt + doubt * ratio)
    own = centre + np.sqrt(variance) * stats.norm.ppf(below * (1.0 - rng.random(seen.shape)))
    captured[:, doubtful] = np.where(follows, np.maximum(seen - own, 0.0), 0.0)
    return Doubted(places, captured)
