"""Laplace approximation of latent log intensities under counts (Rasmussen and Williams 2006, section 3.4).

A count is Poisson with mean ``expected * exp(latent) * g``, where the factor g has mean one and a gamma distribution,
so that the count is negative binomial. That is log-concave: there is one mode.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, special

Array = npt.NDArray[np.float64]

_STEPS, _TOLERANCE = 100, 1e-9


@dataclass(frozen=True)
class Mode:
    """Laplace approximation of the latent values of all bins.

    Parameters
    ----------
    latent : array, shape (bins,)
        The posterior mode.
    slope : array, shape (bins,)
        Derivative of the log-likelihood there.
    root : array, shape (bins,)
        Square root of minus the second derivative there.
    factor : array, shape (bins, bins)
        Lower Cholesky factor of ``I + W^0.5 K W^0.5`` with prior covariance K and W = root squared.
    evidence : float
        Approximate log probability of the counts.
    """

    latent: Array
    slope: Array
    root: Array
    factor: Array
    evidence: float

    def solve(self, latent: Array, noise: Array) -> Array:
        """Return ``(K + W^-1)^-1 (latent + W^-0.5 noise)``, finite where W is 0; all of shape (bins, draws)."""
        root = self.root[:, None]
        return root * linalg.cho_solve((self.factor, True), root * latent + noise)


def log_likelihood(latent: Array, actual: Array, expected: Array, noise: float) -> tuple[Array, Array, Array]:
    """Log probability of each count and its derivatives by the latent value; all arrays of shape (bins,).

    Parameters
    ----------
    latent : array
        Log intensity.
    actual, expected : array
        Counts, and their means at an intensity of one; bins where nothing is expected say nothing.
    noise : float
        Coefficient of variation of the factor.

    Returns
    -------
    value, slope, curvature : array
        The log probability, its derivative, and minus its second derivative.
    """
    known, k = expected > 0, 1.0 / noise**2
    y = np.where(known, actual, 0.0)
    tilt = np.log(np.where(known, expected, 1.0)) + np.where(known, latent, 0.0) - np.log(k)
    part = special.expit(tilt)  # mean / (k + mean)
    # gamma(y + k) / (gamma(k) y!) is 1 / (y B(y, k)), which does not lose digits where k is large.
    some = np.maximum(y, 1.0)
    value = np.where(y > 0, -special.betaln(some, k) - np.log(some), 0.0)
    value = value + y * tilt - (y + k) * np.logaddexp(0.0, tilt)
    found = value, y - (y + k) * part, (y + k) * part * (1.0 - part)
    return tuple(np.where(known, one, 0.0) for one in found)


def find_mode(actual: Array, expected: Array, noise: float, prior: Array, start: Array | None = None) -> Mode:
    """Approximate the posterior of the latent values under a Gaussian prior of mean zero.

    Parameters
    ----------
    actual, expected : array, shape (bins,)
        Counts, and their means at an intensity of one.
    noise : float
        Coefficient of variation of single weeks.
    prior : array, shape (bins, bins)
        Prior covariance, positive definite.
    start : array, shape (bins,), optional
        Latent values to start from; by default a flat path.
    """
    if start is None:
        start = np.full(len(actual), np.log((actual[expected > 0].sum() + 0.5) / (expected.sum() + 0.5)))
    weight = linalg.solve(prior, start, assume_a="pos", check_finite=False)  # every path is `prior @ weight`
    latent = prior @ weight
    value, slope, curvature = log_likelihood(latent, actual, expected, noise)
    best = value.sum() - 0.5 * weight @ latent
    for _ in range(_STEPS):
        root, target = np.sqrt(curvature), curvature * latent + slope
        inner = linalg.cho_solve((_factorise(root, prior), True), root * (prior @ target), check_finite=False)
        move = target - root * inner - weight
        step, before = 1.0, best
        while True:  # halve the step until the density rises
            trial = weight + step * move
            latent = prior @ trial
            value, slope, curvature = log_likelihood(latent, actual, expected, noise)
            best = value.sum() - 0.5 * trial @ latent
            if best >= before - 1e-12 * abs(before) or step < 1e-6:
                break
            step *= 0.5
        weight = trial
        if abs(best - before) < _TOLERANCE * (1.0 + abs(best)):
            break
    root = np.sqrt(curvature)
    factor = _factorise(root, prior)
    return Mode(latent, slope, root, factor, float(best - np.log(np.diag(factor)).sum()))


def _factorise(root: Array, prior: Array) -> Array:
    inner = root[:, None] * prior * root[None, :]
    inner[np.diag_indices_from(inner)] += 1.0
    return linalg.cholesky(inner, lower=True, overwrite_a=True, check_finite=False)
