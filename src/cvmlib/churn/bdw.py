r"""Beta-discrete-Weibull and shifted beta-geometric: how long subscribers stay, as functions of arrays.

Assumptions
-----------
1. A subscriber leaves in period *t* with a probability of his own, :math:`\theta`, where nothing changes with time.
2. :math:`\theta` differs between subscribers as a beta distribution with parameters *a* and *b*.
3. Time works on everybody alike: after *t* periods a share :math:`(1-\theta)^{C(t)}` of the subscribers with
   :math:`\theta` is still there. :math:`C(t) = t` gives the shifted beta-geometric (sBG), :math:`t^c` the
   beta-discrete-Weibull (BdW: *c* above 1 means a growing, below 1 a falling propensity to leave). Covariates multiply
   the growth of *C* (`cvmlib.churn.exposure`).

References
----------
Fader, P. S. and Hardie, B. G. S. (2007). How to project customer retention. J. Interactive Marketing 21(1), 76-90.
Fader, P. S., Hardie, B. G. S., Liu, Y., Davin, J. and Steenburgh, T. (2018). "How to project customer retention"
revisited: the role of duration dependence. J. Interactive Marketing 43, 1-16.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

Array = npt.NDArray[np.float64]

_FARTHEST = np.array([12.0, 12.0, 2.0])


class Curve(NamedTuple):
    """Parameters of a retention curve (*c* = 1 is the sBG) and its log-likelihood."""

    a: float
    b: float
    c: float
    log_likelihood: float


def log_survival(exposure: Array, a: Array, b: Array) -> Array:
    r"""Log of the share still there: :math:`\log B(a, b + C) - \log B(a, b)` (Fader et al. 2018, eq. 6).

    Parameters
    ----------
    exposure : array
        *C(t)*: number of periods to the power *c*, times the multipliers of covariates.
    a, b : array, broadcast against `exposure`
        Parameters of the beta distribution.
    """
    later = special.gammaln(b + exposure) - special.gammaln(a + b + exposure)
    return later - special.gammaln(b) + special.gammaln(a + b)


def survive(periods: Array, curve: Curve) -> Array:
    """Share of a cohort still there after each number of periods."""
    return np.exp(log_survival(np.asarray(periods, float) ** curve.c, curve.a, curve.b))


def fit_curve(survivors: Array, c: float | None = None) -> Curve:
    """Fit a cohort's survivors by maximum likelihood.

    Parameters
    ----------
    survivors : array, shape (periods + 1,)
        Subscribers of the cohort still there after 0, 1, 2, … periods.
    c : float, optional
        Fixed duration dependence; 1 fits the sBG. By default it is estimated (BdW).

    Returns
    -------
    Curve
        The parameters.

    Raises
    ------
    ValueError
        Survivors are negative, grow, or nobody left.
    """
    survivors = np.asarray(survivors, float)
    left = -np.diff(survivors)
    if len(left) < 2 or (survivors < 0).any() or (left < 0).any() or not left.any():
        raise ValueError(f"Expected survivors that fall from period to period, found {survivors.tolist()}.")
    periods = np.arange(len(survivors), dtype=float)

    def negative(x: Array) -> float:
        a, b, *shape = np.exp(_bounded(x))
        log = log_survival(periods ** (shape[0] if c is None else c), a, b)
        gone = np.log(-np.expm1(np.minimum(np.diff(log), -1e-300))) + log[:-1]
        return -float(left @ gone + survivors[-1] * log[-1]) / survivors[0]

    start = np.zeros(3 if c is None else 2)
    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20_000, "maxfev": 20_000}
    found = optimize.minimize(negative, start, method="Nelder-Mead", options=options)
    a, b, *shape = np.exp(_bounded(found.x))
    return Curve(float(a), float(b), float(shape[0]) if c is None else c, -found.fun * survivors[0])


def _bounded(logs: Array) -> Array:
    """Keep a and b within e^12 of one and c within e^2: beyond, curves do not differ, and arithmetic fails."""
    return np.clip(logs, -_FARTHEST[: len(logs)], _FARTHEST[: len(logs)])


def simulate_periods(
    size: int, a: float, b: float, exposure: Array, multiplier: Array, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw the period in which each subscriber leaves, counted from 0; ``len(exposure)`` where none of them.

    Parameters
    ----------
    size : int
        Subscribers.
    a, b : float
        Parameters of the beta distribution.
    exposure : array, shape (periods,)
        Cumulative exposure *C* after each period at multiplier 1, growing.
    multiplier : array, shape (size,)
        Product of the covariates' multipliers of each subscriber.
    rng : numpy Generator
        Source of randomness.
    """
    theta = np.clip(rng.beta(a, b, size), 1e-300, 1 - 1e-15)
    allowed = rng.exponential(size=size) / (-np.log1p(-theta) * multiplier)
    return np.searchsorted(exposure, allowed).astype(np.int64)
