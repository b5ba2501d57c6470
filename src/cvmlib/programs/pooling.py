"""Partial pooling of lifts over programs and units, so that lucky winners shrink; exact by quadrature, no sampler.

Model (a lift here is the logarithm of treated over control mean, so that money and programs of any size are on one
scale, no mean falls below zero, and the error of a lift does not depend on its luck as that of a plain share does)

    lift_i   ~ Normal(theta_i, se_i)            measured
    theta_i  ~ Normal(0, s / 10)                with probability pi: the program does next to nothing
    theta_i  ~ StudentT_4(m_u, tau)             otherwise, in unit u; heavy tails: what is outstanding may stand out
    m_u      ~ Normal(mu, omega)                units differ
    mu       ~ Cauchy(0, s),  tau ~ HalfCauchy(s),  omega ~ HalfCauchy(s),  pi ~ Uniform(0, 1),  s = 0.1

The Student t is a mixture of normals (over a grid of precisions), so given (m_u, tau) everything is normal mixtures in
closed form. The integral over m_u is a sum over one grid, the same for all (mu, omega): the work grows with programs
times grid, not with draws. Gelman (2006, *Bayesian Analysis* 1(3)) for the priors of the scales; Scott and Berger
(2010, *Annals of Statistics* 38(5)) for a share of nulls that is learned, which corrects for looking at many programs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Array = npt.NDArray[np.float64]

PRIOR_SCALE = 0.1
TAIL = 4.0
NEXT_TO_NOTHING = 0.1
"""Standard deviation of the lift of a program that does next to nothing, as a share of the prior scale."""
MEANS, SPREADS, PRECISIONS, SHARES = 121, 33, 24, 9


@dataclass(frozen=True)
class Pooled:
    """Posterior draws of the true lifts.

    Parameters
    ----------
    theta : array, shape (draws, programs)
        True lifts (log ratios), jointly drawn.
    centre, scale : array, shape (draws, programs)
        Mean and standard deviation of each theta given the rest of its draw: for smooth probabilities.
    means : array, shape (draws, units)
        Mean lift of each unit's programs.
    tau : array, shape (draws,)
        Spread of programs within a unit.
    idle : array, shape (draws,)
        Share of programs that do next to nothing.
    fresh : array, shape (draws, units)
        Lift of a program of each unit that has not been tested.
    """

    theta: Array
    centre: Array
    scale: Array
    means: Array
    tau: Array
    idle: Array
    fresh: Array

    def mean_lift(self) -> Array:
        """Posterior mean of each lift as a share of the control mean, shape (programs,)."""
        return np.exp(self.centre + 0.5 * self.scale**2).mean(axis=0) - 1.0

    def probability_above(self, threshold: Array) -> Array:
        """Probability that each lift, as a share of the control mean, exceeds its threshold, shape (programs,)."""
        with np.errstate(divide="ignore"):
            logs = np.log1p(np.maximum(np.asarray(threshold, float), -1.0))
        return stats.norm.sf((logs - self.centre) / self.scale).mean(axis=0)


def pool_lifts(
    lift: Array,
    se: Array,
    unit: npt.NDArray[np.int64],
    *,
    units: int = 0,
    prior_scale: float = PRIOR_SCALE,
    draws: int = 4_000,
    seed: int = 1,
) -> Pooled:
    """Pool measured lifts.

    Parameters
    ----------
    lift, se : array, shape (programs,)
        Measured lifts (logarithms of treated over control mean), and their standard errors.
    unit : int array, shape (programs,)
        Number of the unit of each program, from 0.
    units : int
        Number of units, if some have no program measured.
    prior_scale : float
        The s of the model: the size of lifts that is thought usual.
    draws : int
        Posterior draws.
    seed : int
        Seed of the draws.

    Returns
    -------
    Pooled
        Without any program, draws of the prior.
    """
    lift, se, unit = np.asarray(lift, float), np.asarray(se, float), np.asarray(unit, int)
    units = max(units, int(unit.max(initial=-1)) + 1, 1)
    if not (np.isfinite(lift).all() and np.isfinite(se).all() and (se > 0).all()):
        raise ValueError("every lift needs to be finite, with a standard error above 0")
    grid = _make_grid(lift, se, prior_scale)
    inverse, weights = mix_tail()
    evidence = np.zeros((units, MEANS, SPREADS, SHARES))
    for i in range(lift.size):
        evidence[unit[i]] += _log_evidence(lift[i], se[i], grid, inverse, weights)
    chosen = _draw_hyper(evidence, grid, draws, np.random.default_rng(seed))
    return _draw_lifts(lift, se, unit, grid, chosen, inverse, weights, np.random.default_rng(seed + 1))


def mix_tail(tail: float = TAIL, points: int = PRECISIONS) -> tuple[Array, Array]:
    """Return variance factors (1 / precision) and weights of the normal mixture that is a Student t of `tail` df."""
    edges = stats.gamma.ppf([1e-6, 1 - 1e-6], tail / 2, scale=2 / tail)
    nodes = np.linspace(*np.log(edges), points)
    weights = stats.gamma.pdf(np.exp(nodes), tail / 2, scale=2 / tail) * np.exp(nodes)
    return np.exp(-nodes), weights / weights.sum()


@dataclass(frozen=True)
class _Grid:
    """Nodes and log prior weights of the unit means, the overall mean, the two spreads, and the share of nulls."""

    mean: Array
    width: Array
    tau: Array
    log_tau: Array
    omega: Array
    log_omega: Array
    log_mu: Array
    idle: Array
    narrow: float


def _make_grid(lift: Array, se: Array, s: float) -> _Grid:
    """Place nodes: means dense where the data put them and far out too, spreads evenly in logs."""
    if lift.size:
        precision = 1 / (se**2 + s**2)
        centre = float((precision * lift).sum() / precision.sum())
        fine = float(1 / np.sqrt(precision.sum()))
        reach = max(float(np.abs(lift - centre).max()) + 3 * s, 20 * s, 6 * fine)
    else:
        centre, fine, reach = 0.0, s / 4, 20 * s
    t = np.linspace(-1, 1, MEANS) * np.arcsinh(reach / fine)
    mean = centre + fine * np.sinh(t)
    width = fine * np.cosh(t) * (t[1] - t[0])
    smallest = 0.02 * min(float(se.min(initial=s)), s)
    tau = np.geomspace(smallest, max(10 * s, 2 * reach), SPREADS)
    return _Grid(
        mean, width, tau, _log_half_cauchy(tau, s), tau, _log_half_cauchy(tau, s),
        stats.cauchy.logpdf(mean, 0, s) + np.log(width), (np.arange(SHARES) + 0.5) / SHARES, NEXT_TO_NOTHING * s,
    )  # fmt: skip


def _log_half_cauchy(nodes: Array, s: float) -> Array:
    """Log prior mass of each node of a log-spaced grid; what lies below the first node counts to it."""
    edges = np.sqrt(nodes[1:] * nodes[:-1])
    upto = np.concatenate([[0.0], stats.halfcauchy.cdf(edges, scale=s), [1.0]])
    return np.log(np.diff(upto))


def _log_evidence(lift: float, se: float, grid: _Grid, inverse: Array, weights: Array) -> Array:
    """Log density of a measured lift at every (unit mean, tau, share of nulls), shape (MEANS, SPREADS, SHARES)."""
    variance = se**2 + grid.tau[:, None] ** 2 * inverse  # (tau, precision)
    gap = (lift - grid.mean)[:, None, None]
    logs = -0.5 * (gap**2 / variance + np.log(2 * np.pi * variance)) + np.log(weights)
    acting = special.logsumexp(logs, axis=2)[:, :, None] + np.log1p(-grid.idle)
    return np.logaddexp(acting, _log_null(lift, se, grid) + np.log(grid.idle))


def _log_null(lift: float, se: float, grid: _Grid) -> float:
    """Log density of a measured lift of a program that does next to nothing."""
    return float(stats.norm.logpdf(lift, 0.0, np.hypot(se, grid.narrow)))


@dataclass(frozen=True)
class _Hyper:
    means: Array
    tau: Array
    idle: Array


def _draw_hyper(evidence: Array, grid: _Grid, draws: int, rng: np.random.Generator) -> _Hyper:
    """Draw (mu, omega, tau, pi) from their grid, and the unit means given them."""
    gap = grid.mean[None, None, :] - grid.mean[:, None, None]  # (mu, 1, mean)
    wide = grid.omega[None, :, None]
    kernel = stats.norm.logpdf(gap, 0, wide) + np.log(grid.width)
    kernel -= special.logsumexp(kernel, axis=2, keepdims=True)  # also where omega is finer than the grid
    top = evidence.max(axis=1, keepdims=True)
    scaled = np.exp(evidence - top)  # (unit, mean, tau, pi)
    joint = (grid.log_mu[:, None, None] + grid.log_omega[None, :, None] + grid.log_tau[None, None, :])[..., None]
    flat = np.exp(kernel).reshape(-1, MEANS)
    for u in range(len(evidence)):
        with np.errstate(divide="ignore"):
            found = np.log(flat @ scaled[u].reshape(MEANS, -1)).reshape(MEANS, SPREADS, SPREADS, SHARES) + top[u]
        joint = joint + found
    mass = np.exp(joint - joint.max()).ravel()
    spots = (np.arange(draws) + rng.random()) / draws
    cell = np.searchsorted(np.cumsum(mass) / mass.sum(), spots)
    cell = np.minimum(cell, mass.size - 1)[rng.permutation(draws)]
    mu, omega, tau, idle = np.unravel_index(cell, joint.shape)
    means = np.empty((draws, len(evidence)))
    for u in range(len(evidence)):
        weight = np.exp(kernel[mu, omega]) * scaled[u][:, tau, idle].T
        upto = np.cumsum(weight, axis=1)
        at = (upto < (rng.random(draws) * upto[:, -1])[:, None]).sum(axis=1)
        at = np.minimum(at, MEANS - 1)
        means[:, u] = grid.mean[at] + (rng.random(draws) - 0.5) * grid.width[at]
    return _Hyper(means, grid.tau[tau], grid.idle[idle])


def _draw_lifts(
    lift: Array,
    se: Array,
    unit: npt.NDArray[np.int64],
    grid: _Grid,
    hyper: _Hyper,
    inverse: Array,
    weights: Array,
    rng: np.random.Generator,
) -> Pooled:
    """Draw each true lift given the rest: first whether it is null and else its precision, then a normal."""
    draws = len(hyper.tau)
    theta, centre, scale = (np.empty((draws, lift.size)) for _ in range(3))
    for i in range(lift.size):
        mean = hyper.means[:, unit[i]]
        spread = hyper.tau[:, None] ** 2 * inverse
        variance = se[i] ** 2 + spread
        logs = -0.5 * ((lift[i] - mean)[:, None] ** 2 / variance + np.log(2 * np.pi * variance)) + np.log(weights)
        logs = np.column_stack(
            [logs + np.log1p(-hyper.idle)[:, None], _log_null(lift[i], se[i], grid) + np.log(hyper.idle)]
        )
        upto = np.cumsum(np.exp(logs - logs.max(axis=1, keepdims=True)), axis=1)
        at = (upto < (rng.random(draws) * upto[:, -1])[:, None]).sum(axis=1)
        null = at >= len(inverse)
        prior = np.where(null, grid.narrow**2, spread[np.arange(draws), np.minimum(at, len(inverse) - 1)])
        mean = np.where(null, 0.0, mean)
        shrunk = prior / (prior + se[i] ** 2)
        centre[:, i] = mean + shrunk * (lift[i] - mean)
        scale[:, i] = se[i] * np.sqrt(shrunk)
        theta[:, i] = centre[:, i] + scale[:, i] * rng.standard_normal(draws)
    fresh = hyper.means + hyper.tau[:, None] * stats.t.rvs(TAIL, size=hyper.means.shape, random_state=rng)
    null = rng.random(fresh.shape) < hyper.idle[:, None]
    fresh = np.where(null, grid.narrow * rng.standard_normal(fresh.shape), fresh)
    return Pooled(theta, centre, scale, hyper.means, hyper.tau, hyper.idle, fresh)
