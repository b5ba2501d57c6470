r"""A smooth discrete-time hazard on a life table: arrays in, draws out, without sampling chains.

The log-odds of leaving in month *k* of tenure is

.. math:: \eta_k = o_k + \alpha + \beta \log(k + 1/2) + f_k + a_k

with a given offset :math:`o`, a power law of tenure (the duration dependence of a Weibull law), a random walk *f* in
log tenure, :math:`f_k - f_{k-1} \sim N(0, \sigma_f^2 \log\frac{k+1/2}{k-1/2})`, and a bump :math:`a_k` at the month of
joining and at every anniversary, where contracts end (:math:`N(0, \sigma_a^2)`). Beyond the observed tenures power law
and walk go on, so that uncertainty grows; an anniversary that nobody has reached yet has between none and all (uniform)
of the bump of two years before, or of one if that is all: contracts may end there again, or may not.

The posterior is Gaussian at its mode (Laplace), exact in the limit of large counts; :math:`\sigma_f` and
:math:`\sigma_a` are integrated over a grid by their approximate marginal likelihood.

References
----------
Rue, H., Martino, S. and Chopin, N. (2009). Approximate Bayesian inference for latent Gaussian models. JRSS B 71.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.linalg import cho_solve
from scipy.special import expit

WALK_SCALES = (0.02, 0.06, 0.15, 0.35, 0.8)
BUMP_SCALES = (0.03, 0.1, 0.3, 0.8, 1.8)
JOINING_SCALE = 1.5


@dataclass(frozen=True)
class Basis:
    """Columns of the linear predictor: level, slope, walk, bumps.

    Parameters
    ----------
    design : array, shape (months, latents)
        Linear predictor = design @ latents, in the observed months.
    repeats : array, shape (months, latents)
        Added in full where all of a bump is repeated at an unobserved anniversary.
    steps : array, shape (walk,)
        Variance of each step of the walk per squared scale.
    bumps : int
        Number of anniversary bumps (after the bump of the month of joining).
    """

    design: np.ndarray
    repeats: np.ndarray
    steps: np.ndarray
    bumps: int


@dataclass(frozen=True)
class Prior:
    """Prior of level and slope: mean of the level, standard deviations of both."""

    level: float
    level_sd: float
    slope_sd: float


def build_basis(observed: int, ahead: int) -> Basis:
    """Design of the linear predictor for `observed` months of tenure and `ahead` months beyond.

    Parameters
    ----------
    observed : int
        Months of tenure with data (0 … observed - 1).
    ahead : int
        Months to extrapolate.

    Returns
    -------
    Basis
        Latents in the order level, slope, walk (months 1 …), bump of month 0, bumps of months 12, 24, ….
    """
    months = observed + ahead
    log_tenure = np.log(np.arange(months) + 0.5)
    anniversaries = np.arange(12, observed, 12)
    walk = max(months - 1, 0)
    design = np.zeros((months, 2 + walk + 1 + len(anniversaries)))
    design[:, 0] = 1.0
    design[:, 1] = log_tenure - np.log(6.0)
    design[np.arange(1, months), 2 + np.arange(walk)] = 1.0
    design[0, 2 + walk] = 1.0
    repeats = np.zeros_like(design)
    for month in range(12, months, 12):
        source = _source_anniversary(month, observed)
        if source:
            (design if source == month else repeats)[month, 3 + walk + source // 12 - 1] = 1.0
    return Basis(design, repeats, np.diff(log_tenure), len(anniversaries))


def _source_anniversary(month: int, observed: int) -> int:
    """Find the anniversary whose bump a month has: its own, that of two years before, or of one; 0 for none."""
    while month >= observed:
        month -= 24 if month - 24 >= 12 else 12
    return month


def prior_precision(basis: Basis, prior: Prior, walk_scale: float, bump_scale: float) -> np.ndarray:
    """Prior precision of the latents, shape (latents, latents)."""
    walk = basis.steps.size
    size = basis.design.shape[1]
    precision = np.zeros((size, size))
    precision[0, 0], precision[1, 1] = prior.level_sd**-2, prior.slope_sd**-2
    weights = 1 / (walk_scale**2 * basis.steps)
    inner = np.arange(2, 2 + walk)
    precision[inner, inner] += weights
    precision[inner[:-1], inner[:-1]] += weights[1:]
    precision[inner[1:], inner[:-1]] = precision[inner[:-1], inner[1:]] = -weights[1:]
    precision[2 + walk, 2 + walk] = JOINING_SCALE**-2
    bumps = np.arange(3 + walk, size)
    precision[bumps, bumps] = bump_scale**-2
    return precision


@dataclass(frozen=True)
class Laplace:
    """Gaussian approximation of the latents at their mode.

    Parameters
    ----------
    mode : array, shape (latents,)
        Mode.
    factor : array, shape (latents, latents)
        Lower Cholesky factor of the posterior precision.
    weights : array, shape (months,)
        Binomial information of the linear predictor at the mode.
    log_marginal : float
        Approximate log marginal likelihood.
    """

    mode: np.ndarray
    factor: np.ndarray
    weights: np.ndarray
    log_marginal: float


def fit_laplace(
    n: np.ndarray,
    d: np.ndarray,
    design: np.ndarray,
    precision: np.ndarray,
    centre: np.ndarray,
    offset: np.ndarray,
    start: np.ndarray | None = None,
) -> Laplace:
    """Mode and curvature of a binomial likelihood with logit link under a Gaussian prior (damped Newton).

    Parameters
    ----------
    n, d : array, shape (months,)
        At risk and left.
    design : array, shape (months, latents)
        Linear predictor = offset + design @ latents.
    precision : array, shape (latents, latents)
        Prior precision.
    centre : array, shape (latents,)
        Prior mean.
    offset : array, shape (months,)
        Fixed part of the linear predictor.
    start : array, shape (latents,), optional
        Where to begin, such as the mode under similar scales; by default the prior mean.

    Returns
    -------
    Laplace
        The approximation.
    """

    def objective(latents: np.ndarray) -> float:
        eta = offset + design @ latents
        gap = latents - centre
        return float(d @ eta - n @ np.logaddexp(0, eta) - 0.5 * gap @ precision @ gap)

    latents = centre.copy() if start is None else start
    best = objective(latents)
    for _ in range(100):
        hazard = expit(offset + design @ latents)
        weights = n * hazard * (1 - hazard)
        gradient = design.T @ (d - n * hazard) - precision @ (latents - centre)
        factor = np.linalg.cholesky(precision + design.T @ (weights[:, None] * design))
        step = cho_solve((factor, True), gradient, check_finite=False)
        scale = 1.0
        while objective(latents + scale * step) < best - 1e-9 and scale > 1e-6:
            scale /= 2
        latents = latents + scale * step
        best = objective(latents)
        if gradient @ step < 1e-8:
            break
    log_det_prior = np.linalg.slogdet(precision)[1]
    log_marginal = best + 0.5 * log_det_prior - np.log(np.diag(factor)).sum()
    return Laplace(latents, factor, weights, log_marginal)


def draw_hazards(
    n: np.ndarray,
    d: np.ndarray,
    ahead: int,
    prior: Prior,
    rng: np.random.Generator,
    draws: int,
    repeat: np.ndarray,
    offset_draws: np.ndarray | None = None,
) -> np.ndarray:
    r"""Posterior draws of the log-odds of leaving, for one or several life tables with the same scales.

    Parameters
    ----------
    n, d : array, shape (tables, months)
        At risk and left per month of tenure.
    ahead : int
        Months beyond the observed ones.
    prior : Prior
        Of level and slope.
    rng : numpy.random.Generator
        Source of randomness.
    draws : int
        Number of draws.
    repeat : array, shape (draws,)
        Share of a bump that is repeated at unobserved anniversaries, 0 to 1.
    offset_draws : array, shape (draws, months + ahead), optional
        Uncertain offset, such as the log-odds of all plans. The latents are fitted at its mean and shifted, to first
        order, with each draw: ``-(Q + A'WA)^-1 A'W (offset - mean)``.

    Returns
    -------
    array, shape (draws, tables, months + ahead)
        Log-odds, offset included.
    """
    basis = build_basis(n.shape[1], ahead)
    seen = basis.design[: n.shape[1]]
    offset = np.zeros((draws, basis.design.shape[0])) if offset_draws is None else offset_draws
    centre = np.zeros(basis.design.shape[1])
    centre[0] = prior.level
    mean_offset = offset.mean(axis=0)
    grid = list(product(WALK_SCALES, BUMP_SCALES if basis.bumps else BUMP_SCALES[:1]))
    fits: list[list[Laplace]] = []
    for scales in grid:
        precision = prior_precision(basis, prior, *scales)
        starts = [fit.mode for fit in fits[-1]] if fits else [None] * len(n)
        fits.append([
            fit_laplace(*table, seen, precision, centre, mean_offset[: n.shape[1]], start)
            for *table, start in zip(n, d, starts, strict=True)
        ])  # fmt: skip
    log_weights = np.array([sum(fit.log_marginal for fit in row) for row in fits])
    weights = np.exp(log_weights - log_weights.max())
    chosen = rng.choice(len(grid), size=draws, p=weights / weights.sum())
    eta = np.empty((draws, len(n), basis.design.shape[0]))
    for point in np.unique(chosen):
        which = np.flatnonzero(chosen == point)
        for table, fit in enumerate(fits[point]):
            latents = _draw_latents(fit, seen, (offset - mean_offset)[which, : n.shape[1]], rng)
            repeated = repeat[which, None] * (latents @ basis.repeats.T)
            eta[which, table] = offset[which] + latents @ basis.design.T + repeated
    return eta


def _draw_latents(fit: Laplace, design: np.ndarray, shift: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw latents around the mode, moved by a change of the offset; shape (draws, latents)."""
    root = np.linalg.inv(fit.factor)  # small, and quicker than triangular solves with many right-hand sides
    gain = root.T @ (root @ (design.T * fit.weights))
    return fit.mode + rng.standard_normal((len(shift), len(fit.mode))) @ root - shift @ gain.T
