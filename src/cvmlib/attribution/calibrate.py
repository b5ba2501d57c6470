"""Attribution calibrated by experiments: what each tested channel truly caused, and what that says of the others.

1. A channel c causes ``theta_c = f_c a_c`` conversions, with ``a_c`` its credit under some method of attribution and
   ``f_c >= 0`` the share of that credit which is real (above 1 where the method sees too little).
2. A randomised test estimates ``theta_c`` with a known standard error, normally distributed.
3. Some channels cause nothing: ``f_c`` is 0 with probability pi. The factors of the others are alike but not equal:
   normal with mean mu and deviation tau, cut off at 0. All three are learnt from the tests, starting from pi ~ U(0, 1),
   mu ~ N(1, 0.5) and tau ~ half-normal(0.7).
4. Direct visits are no marketing: nothing can be withheld, and they cause nothing.

So a channel tested well keeps the result of its test, one tested badly is drawn towards the others, and one never
tested gets the factor of the others with all the uncertainty of it. What no channel caused would have come anyway. pi,
mu and tau are integrated over a grid, the factors are drawn exactly given them.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from cvmlib.errors import UnfitModelError

DRAWS = 4000
_FLOOR = 0.005  # of all credit: a channel that a method credits with nothing may still cause something
_MU, _TAU, _PI = np.linspace(-1.0, 3.0, 61), np.geomspace(0.05, 4.0, 40), np.linspace(0.05, 0.95, 10)


@dataclass(frozen=True)
class Calibrated:
    """The posterior of what channels caused.

    Parameters
    ----------
    channels : tuple of str
        Names.
    tested : bool array, shape (channels,)
        Whether a test speaks of the channel itself.
    draws : array, shape (draws, channels)
        Conversions (or money) caused; exactly 0 where the channel causes nothing.
    """

    channels: tuple[str, ...]
    tested: np.ndarray
    draws: np.ndarray


def calibrate(
    channels: tuple[str, ...],
    credit: np.ndarray,
    tests: pd.DataFrame,
    measure: str = "conversions",
    direct: Collection[str] = (),
    draws: int = DRAWS,
    seed: int = 1,
) -> Calibrated:
    """Draw what each channel caused.

    Parameters
    ----------
    channels : tuple of str
        Names.
    credit : array, shape (channels,)
        Conversions, or money, that a method credits each channel with.
    tests : pandas.DataFrame
        From `cvmlib.attribution.experiments.combine_tests`.
    measure : {"conversions", "value"}
        What is counted.
    direct : collection of str
        Channels that stand for visits without a campaign, in any letter case.
    draws, seed : int
        Draws, and their seed.

    Raises
    ------
    UnfitModelError
        Without a single test of one of the channels.
    """
    by = tests.set_index("channel")
    is_direct = np.isin([name.lower() for name in channels], [name.lower() for name in direct])
    tested = np.isin(channels, by.index) & ~is_direct
    if not tested.any():
        raise UnfitModelError(
            "No channel was ever withheld at random, so nothing tells how much of its credit a "
            "channel truly caused. Run a "
            "test on one and supply it as holdouts."
        )
    scale = np.maximum(credit, _FLOOR * max(float(credit.sum()), 1e-12))
    found = by.reindex(list(channels))
    estimate = found[measure].to_numpy(float) / scale
    precision = np.where(tested, (scale / np.maximum(found[f"{measure}_se"].to_numpy(float), 1e-12)) ** 2, 0.0)
    estimate = np.where(tested, estimate, 0.0)
    rng = np.random.default_rng(seed)
    mu, tau, pi = _draw_hyper(estimate[tested], precision[tested], draws, rng)
    log_some, mean, sd = _slab(estimate, precision, mu[:, None], tau[:, None])
    log_none = np.where(tested, stats.norm.logpdf(estimate, 0.0, _error(precision)), 0.0)
    odds = np.log((1 - pi) / pi)[:, None] + np.where(tested, log_some, 0.0) - log_none
    acts = rng.random(odds.shape) < special.expit(odds)
    factor = np.where(acts, _draw_positive(mean, sd, rng), 0.0)
    return Calibrated(tuple(channels), tested, np.where(is_direct, 0.0, factor * scale))


def _error(precision: np.ndarray) -> np.ndarray:
    return np.maximum(precision, 1e-12) ** -0.5


def _slab(
    estimate: np.ndarray, precision: np.ndarray, mu: np.ndarray, tau: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log density of an estimate when the channel acts, and mean and deviation of the factor then, before the cut."""
    tightness = tau**-2 + precision
    mean, sd = (mu * tau**-2 + precision * estimate) / tightness, tightness**-0.5
    log = stats.norm.logpdf(estimate, mu, np.sqrt(tau**2 + _error(precision) ** 2))
    return log + stats.norm.logcdf(mean / sd) - stats.norm.logcdf(mu / tau), mean, sd


def _draw_hyper(
    estimate: np.ndarray, precision: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw mu, tau and pi from their posterior on the grid, given the tested factors."""
    mu, tau = (axis.ravel()[:, None] for axis in np.meshgrid(_MU, _TAU, indexing="ij"))
    prior = stats.norm.logpdf(mu, 1.0, 0.5) + stats.halfnorm.logpdf(tau, scale=0.7) + np.log(tau)  # grid in log tau
    log = np.repeat(prior, len(_PI), axis=1)
    for y, w in zip(estimate, precision, strict=True):
        some = _slab(np.array(y), np.array(w), mu, tau)[0]
        log += np.logaddexp(np.log(_PI) + stats.norm.logpdf(y, 0.0, w**-0.5), np.log(1 - _PI) + some)
    chance = np.exp(log - log.max()).ravel()
    chosen = rng.choice(chance.size, size=draws, p=chance / chance.sum())
    point = chosen // len(_PI)
    return mu[point, 0], tau[point, 0], _PI[chosen % len(_PI)]


def _draw_positive(mean: np.ndarray, sd: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw normals cut off at 0, by inverting the upper tail."""
    upper = stats.norm.sf(-mean / sd)
    return np.maximum(mean + sd * stats.norm.isf(np.maximum(rng.random(mean.shape) * upper, 1e-300)), 0.0)


def summarise_caused(calibrated: Calibrated, interval: float = 0.9) -> pd.DataFrame:
    """Mean and interval per channel: channel, tested, caused, low, high, acts (probability that it causes anything)."""
    low, high = np.quantile(calibrated.draws, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    columns = {
        "channel": calibrated.channels,
        "tested": calibrated.tested,
        "caused": calibrated.draws.mean(axis=0),
        "low": low,
        "high": high,
        "acts": (calibrated.draws > 0).mean(axis=0),
    }
    return pd.DataFrame(columns)
