"""How purchases of a unit move over the calendar, beyond what the model of its customers explains.

Repeat purchases in bin t of unit u are negative binomial with mean ``expected * exp(level + f)``, that is Poisson with
a gamma-distributed factor of mean one in every bin, and f is a Gaussian process with two parts: a yearly pattern, and
slow shocks that all customers share (Ornstein-Uhlenbeck). Units of one pool share part of both. The latent values are
integrated out by the Laplace approximation (Rasmussen and Williams 2006, algorithm 3.1), the scales by importance
sampling around their mode (Rue, Martino and Chopin 2009), and paths of past and future are drawn by Matheron's rule.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize, special, stats

from cvmlib.clv.laplace import Mode, find_mode

Array = npt.NDArray[np.float64]

YEAR = 365.25
#: Length scale of the yearly pattern, on the circle: bends within about a month.
_PATTERN_LENGTH = 0.5
_LEVEL_SD = 2.0
_ROUNDS, _PROPOSALS = 4, 80
_WIDER, _LEAST = 1.2, 0.01
_SEARCH = {"xatol": 0.05, "fatol": 0.02, "maxfev": 400}
_STEP, _OUTERMOST, _NEVER = 0.7, 6.0, 1e12
_DEGREES = 6.0
_JITTER = 1e-9
#: A bin without a purchase where more were expected was a closure; by chance it would come once in 20,000 bins.
_CLOSED = 10.0


@dataclass(frozen=True)
class Scale:
    """A scale of the process, its prior on the working scale (log, or logit for a share), and its name for people."""

    name: str
    mean: float
    sd: float
    label: str
    share: bool = False

    def natural(self, value: Array) -> Array:
        """Return the scale itself."""
        return 1.0 / (1.0 + np.exp(-value)) if self.share else np.exp(value)


#: Of businesses in general: the 90% ranges are 6 to 40%, 4 to 27%, 24 to 340 days, and 4 to 27%.
SCALES = (
    Scale("season", np.log(0.15), 0.6, "yearly pattern (sd of log intensity)"),
    Scale("shock", np.log(0.10), 0.6, "common shocks (sd of log intensity)"),
    Scale("memory", np.log(90.0), 0.8, "memory of the shocks (days)"),
    Scale("noise", np.log(0.10), 0.6, "noise of single weeks (coefficient of variation)"),
)
#: Only where a pool has more than one unit.
SHARES = (
    Scale("season_shared", 1.5, 1.0, "share of the yearly pattern common to the pool", share=True),
    Scale("shock_shared", 0.0, 1.0, "share of the shocks common to the pool", share=True),
)


@dataclass(frozen=True)
class Bins:
    """Purchases by unit and bin: arrays of shape (units, bins).

    Parameters
    ----------
    days : array, shape (bins,)
        Middle of each bin, in days from any origin.
    actual, expected : array, shape (units, bins)
        Repeat purchases that were made, and that the model of the customers expects at an intensity of one.
    """

    days: Array
    actual: Array
    expected: Array

    @property
    def told(self) -> Array:
        """Expected purchases of the bins that tell of the intensity: 0 in those in which the doors were closed."""
        return np.where((self.actual == 0) & (self.expected > _CLOSED), 0.0, self.expected)

    @property
    def units(self) -> int:
        """How many units."""
        return self.actual.shape[0]

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The scales that the process has for so many units."""
        return SCALES if self.units == 1 else (*SCALES, *SHARES)


@dataclass(frozen=True)
class Paths:
    """Draws of the log intensity.

    Parameters
    ----------
    past : array, shape (draws, units, bins)
    future : array, shape (draws, units, future bins)
    scales : dict of str to array
        Draws of every scale, shape (draws,).
    effective : float
        Effective number of the proposals behind them.
    """

    past: Array
    future: Array
    scales: dict[str, Array]
    effective: float


def draw_paths(bins: Bins, ahead: Array, draws: int, rng: np.random.Generator, point: Array | None = None) -> Paths:
    """Draw past and future log intensities from their posterior.

    Parameters
    ----------
    bins : Bins
        What happened.
    ahead : array, shape (future bins,)
        Middle of each future bin, in days of the same clock.
    draws : int
        How many paths.
    rng : numpy Generator
        Source of randomness.
    point : array, optional
        Working scales found before, near which to look for the mode.
    """
    posterior = _ScalePosterior(bins)
    points, weights = _propose_scales(posterior, point, rng)
    chosen = rng.choice(len(points), draws, p=weights)
    past = np.empty((draws, bins.units, len(bins.days)))
    future = np.empty((draws, bins.units, len(ahead)))
    for i in np.unique(chosen):
        mine = np.flatnonzero(chosen == i)
        past[mine], future[mine] = _draw_given(bins, ahead, points[i], len(mine), rng, posterior.start)
    scales = {scale.name: scale.natural(points[chosen, j]) for j, scale in enumerate(bins.scales)}
    return Paths(past, future, scales, float(1.0 / (weights**2).sum()))


def covariance(scales: dict[str, float], days: Array, units: int) -> Array:
    """Prior covariance of level and log intensity of all (unit, bin), unit by unit; scales as named in `SCALES`."""
    apart = np.abs(days[:, None] - days[None, :])
    pattern = scales["season"] ** 2 * np.exp(-2.0 * np.sin(np.pi * apart / YEAR) ** 2 / _PATTERN_LENGTH**2)
    shocks = scales["shock"] ** 2 * np.exp(-apart / scales["memory"])
    level = _JITTER * np.eye(len(days)) + _LEVEL_SD**2
    own = np.eye(units)
    season_shared, shock_shared = scales.get("season_shared", 0.0), scales.get("shock_shared", 0.0)
    return (
        np.kron(season_shared + (1.0 - season_shared) * own, pattern)
        + np.kron(shock_shared + (1.0 - shock_shared) * own, shocks)
        + np.kron(own, level)
    )


def _as_scales(bins: Bins, point: Array) -> dict[str, float]:
    return {scale.name: float(scale.natural(value)) for scale, value in zip(bins.scales, point, strict=True)}


def find_path(bins: Bins, point: Array | None = None, *, search: bool = True) -> tuple[Array, Array]:
    """Find the log intensity of the past at the mode of the scales: quick, without uncertainty.

    Parameters
    ----------
    bins : Bins
        What happened.
    point : array, optional
        Working scales found before.
    search : bool
        Whether to search for better ones.

    Returns
    -------
    path : array, shape (units, bins)
    point : array
        The working scales.
    """
    posterior = _ScalePosterior(bins)
    z = posterior.standardise(point)
    z = posterior.find_mode(z) if search else z
    return posterior.approximate(z).latent.reshape(bins.actual.shape), posterior.working(z)


class _ScalePosterior:
    """Posterior of the working scales, in prior standard deviations z.

    The latent mode of one point is where the search for that of the next begins, so that a point near by costs little.
    """

    def __init__(self, bins: Bins) -> None:
        self.bins = bins
        self.mean = np.array([scale.mean for scale in bins.scales])
        self.sd = np.array([scale.sd for scale in bins.scales])
        self.start: Array | None = None

    def working(self, z: Array) -> Array:
        """Working scales of z."""
        return self.mean + self.sd * z

    def standardise(self, point: Array | None) -> Array:
        """Return z of working scales; without any, the middle of the prior."""
        return np.zeros(len(self.mean)) if point is None else (point - self.mean) / self.sd

    def approximate(self, z: Array) -> Mode:
        """Laplace approximation of the latent path given the scales."""
        bins, scales = self.bins, _as_scales(self.bins, self.working(z))
        prior = covariance(scales, bins.days, bins.units)
        return find_mode(bins.actual.ravel(), bins.told.ravel(), scales["noise"], prior, self.start)

    def badness(self, z: Array) -> float:
        """Minus the log evidence and the log prior density."""
        if np.abs(z).max() > _OUTERMOST:
            return _NEVER
        return 0.5 * float(z @ z) - self.approximate(z).evidence

    def find_mode(self, z: Array) -> Array:
        """Find the mode by a simplex search from z on, of steps of a good half of a prior standard deviation."""
        self.start = self.approximate(z).latent
        simplex = np.vstack([z, z + _STEP * np.eye(len(z))])
        mode = optimize.minimize(
            self.badness, z, method="Nelder-Mead", options=_SEARCH | {"initial_simplex": simplex}
        ).x
        self.start = self.approximate(mode).latent
        return mode


def _as_scales(bins: Bins, point: Array) -> dict[str, float]:
    return {scale.name: float(scale.natural(value)) for scale, value in zip(bins.scales, point, strict=True)}


def _propose_scales(posterior: _ScalePosterior, point: Array | None, rng: np.random.Generator) -> tuple[Array, Array]:
    """Working scales with importance weights, from t distributions that adapt to the posterior."""
    size = len(posterior.mean)
    centre = posterior.find_mode(posterior.standardise(point))
    spread = _spread_at(posterior.badness, centre)
    proposals, points, density = [], np.empty((0, size)), np.empty(0)
    for _ in range(_ROUNDS):
        proposals.append(stats.multivariate_t(centre, spread, df=_DEGREES, seed=rng))
        new = proposals[-1].rvs(_PROPOSALS).reshape(_PROPOSALS, -1)
        points = np.vstack([points, new])
        density = np.r_[density, [-posterior.badness(point) for point in new]]
        # Every point is weighed against the mixture of all proposals so far (Owen and Zhou 2000).
        weight = special.softmax(density - special.logsumexp([q.logpdf(points) for q in proposals], axis=0))
        centre = weight @ points
        spread = np.cov(points.T, aweights=np.maximum(weight, 1e-12)) * _WIDER + _LEAST * np.eye(size)
    return posterior.working(points), weight


def _spread_at(badness: Callable[[Array], float], mode: Array, step: float = 0.25) -> Array:
    """Covariance of the proposal: the inverse Hessian by central differences, no eigenvalue above the prior's."""
    size = len(mode)
    centre = badness(mode)
    shifts = step * np.eye(size)
    up = np.array([badness(mode + s) for s in shifts])
    down = np.array([badness(mode - s) for s in shifts])
    hessian = np.diag((up + down - 2.0 * centre) / step**2)
    for i in range(size):
        for j in range(i):
            both = badness(mode + shifts[i] + shifts[j])
            hessian[i, j] = hessian[j, i] = (both - up[i] - up[j] + centre) / step**2
    values, vectors = np.linalg.eigh(hessian)
    return (vectors / np.clip(values, 1.0, 1e4)) @ vectors.T


def _draw_given(
    bins: Bins, ahead: Array, point: Array, draws: int, rng: np.random.Generator, start: Array | None = None
) -> tuple[Array, Array]:
    """Draw paths given the scales: a prior path of past and future, moved onto what was seen."""
    n, m, units = len(bins.days), len(ahead), bins.units
    scales = _as_scales(bins, point)
    joint = covariance(scales, np.r_[bins.days, ahead], units)
    seen = (np.arange(units)[:, None] * (n + m) + np.arange(n)).ravel()
    prior = joint[np.ix_(seen, seen)]
    mode = find_mode(bins.actual.ravel(), bins.told.ravel(), scales["noise"], prior, start)
    free = rng.standard_normal((draws, len(joint))) @ linalg.cholesky(joint, lower=True).T
    # The path is observed with variance 1 / W; what that tells of it is taken back, and what was seen is put in.
    k = 1.0 / scales["noise"] ** 2
    told = mode.solve(free[:, seen].T, rng.standard_normal((len(seen), draws)))
    path = free + (mode.slope[:, None] - told).T @ joint[seen]
    path = path.reshape(draws, units, n + m)
    return path[:, :, :n], path[:, :, n:] + np.log(rng.standard_gamma(k, (draws, units, m)) / k)
