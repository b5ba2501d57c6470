"""A quick look at a posterior, for when minutes of sampling are too many: it says itself when it cannot be trusted.

The mode is found on the unconstrained space, a multivariate t with the curvature there proposes draws, and importance
ratios, Pareto-smoothed (Vehtari, Simpson, Gelman, Yao and Gabry 2024, *JMLR* 25), turn them into draws of the
posterior. The shape k of the ratios' tail is the gate: where the posterior is unlike what was proposed, the tail is too
heavy, and the draws are refused. What it cannot see is a second mode far from the first.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pymc as pm
import xarray as xr
from arviz_stats.base import array_stats
from scipy import linalg, optimize, special

from cvmlib import inference
from cvmlib.compiled.density import compile_density, evaluate
from cvmlib.inference import CAREFUL, ESS_LIMIT, Diagnostics, Sampling

Array = npt.NDArray[np.float64]
Density = Callable[[Array], tuple[float, Array]]

PROPOSALS = 4000
_DEGREES = 20.0  # of freedom of the proposal: tails heavier than the posterior's, at little cost in the middle
_NEWTON_STEPS = 20
_FLAT = 1e-14  # of the largest curvature: less in any direction is none
_MANY = 10 * ESS_LIMIT  # draws of all chains that a model in order needs no more of
_STEP = 1e-4  # of the differences of the gradient


@dataclass(frozen=True)
class Trust:
    """The gate of the quick route: Pareto k below its limit, and enough effective draws.

    Parameters
    ----------
    pareto_k : float
        Shape of the tail of the importance ratios; infinite when no mode was found.
    ess : float
        Independent draws that the weighted proposals are worth.
    proposals : int
        How many were made.
    """

    pareto_k: float
    ess: float
    proposals: int

    @property
    def limit(self) -> float:
        """The largest k at which so many proposals are enough (Vehtari et al. 2024), at most 0.7."""
        return min(1.0 - 1.0 / np.log10(max(self.proposals, 11)), 0.7)

    @property
    def light(self) -> bool:
        """Whether the tail of the ratios is light enough."""
        return self.pareto_k < self.limit

    @property
    def passed(self) -> bool:
        """Whether the quick draws may be relied on."""
        return self.light and self.ess >= ESS_LIMIT

    def sentence(self) -> str:
        """Say in one sentence whether the quick look can be trusted, with the figures."""
        if not np.isfinite(self.pareto_k):
            return "The quick approximation failed: the posterior has no mode that could be found. Sample with NUTS."
        figures = f"Pareto k is {self.pareto_k:.2f}, and {self.proposals} proposals are worth {self.ess:.0f} draws"
        if self.passed:
            return f"The quick approximation can be trusted: {figures}."
        return (
            f"The quick approximation cannot be trusted: {figures}; required are k < {self.limit:.2f} and {ESS_LIMIT} "
            "draws. Sample with NUTS."
        )


@dataclass(frozen=True)
class Approximation:
    """Weighted proposals: points of the unconstrained space, shape (proposals, dimensions), and log weights."""

    points: Array
    log_weights: Array
    pareto_k: float

    @property
    def trust(self) -> Trust:
        """The gate."""
        ess = float(np.exp(-special.logsumexp(2.0 * self.log_weights)))
        return Trust(self.pareto_k, ess, len(self.points))

    def resample(self, count: int, rng: np.random.Generator) -> Array:
        """Draw `count` points by their weights (systematic resampling), in random order."""
        cumulative = np.exp(self.log_weights).cumsum()
        places = (rng.random() + np.arange(count)) / count * cumulative[-1]
        chosen = np.minimum(np.searchsorted(cumulative, places), len(self.points) - 1)
        return self.points[rng.permutation(chosen)]


def approximate(
    density: Density,
    start: Array,
    rng: np.random.Generator,
    *,
    proposals: int = PROPOSALS,
    rounds: int = 4,
    enough: float = ESS_LIMIT,
) -> Approximation:
    """Approximate a posterior around its mode.

    Where that is not enough, the proposal takes the mean and covariance of the weighted points and twice as many
    are drawn, at most `rounds` times in all. The round worth most draws is kept, of those with a tail light enough.

    Parameters
    ----------
    density : callable
        From a point, shape (dimensions,), to the log density (up to a constant) and its gradient.
    start : array, shape (dimensions,)
        Where the search for the mode begins.
    rng : numpy Generator
        Source of randomness.
    proposals : int
        Points to propose in the first round.
    rounds : int
        Most rounds of proposals.
    enough : float
        Independent draws that the weighted points must be worth.
    """
    mode, curvature = find_mode(density, start)
    values, vectors = linalg.eigh(curvature)
    if not values.min() > _FLAT * values.max():
        points = np.repeat(mode[None, :], proposals, axis=0)
        return Approximation(points, np.full(proposals, -np.log(proposals)), np.inf)
    factor = vectors / np.sqrt(values)
    best = found = _propose(density, mode, factor, rng, proposals)
    for _ in range(rounds - 1):
        if best.trust.light and best.trust.ess >= enough:
            break
        weights = np.exp(found.log_weights)
        centre = weights @ found.points
        spread = (found.points - centre).T @ (weights[:, None] * (found.points - centre))
        try:
            factor = linalg.cholesky(spread, lower=True)
        except linalg.LinAlgError:  # a handful of points carry all the weight
            break
        found = _propose(density, centre, factor, rng, 2 * proposals)
        best = max(best, found, key=_worth)
    return best


def _worth(found: Approximation) -> tuple[float, float]:
    return (1.0, found.trust.ess) if found.trust.light else (0.0, -found.pareto_k)


def find_mode(density: Density, start: Array) -> tuple[Array, Array]:
    """Find the mode by quasi-Newton steps, then Newton's, and the curvature (negative Hessian) there.

    Returns
    -------
    mode : array, shape (dimensions,)
    curvature : array, shape (dimensions, dimensions)
        By central differences of the gradient.
    """

    def negative(x: Array) -> tuple[float, Array]:
        value, gradient = density(x)
        good = np.isfinite(value) and np.isfinite(gradient).all()
        return (-float(value), -np.asarray(gradient)) if good else (1e300, np.zeros_like(x))

    x = optimize.minimize(negative, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-12}).x
    for _ in range(_NEWTON_STEPS):
        value, gradient = negative(x)
        curvature = _curvature(negative, x)
        values, vectors = linalg.eigh(curvature)
        step = -vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-10))
        decrement = -float(gradient @ step)
        if decrement < 1e-6:
            break
        length = 1.0
        while length > 1e-6 and not negative(x + length * step)[0] < value:
            length *= 0.5
        if length <= 1e-6:
            break
        x = x + length * step
    return x, curvature


def _curvature(negative: Density, x: Array) -> Array:
    shifts = _STEP * np.eye(len(x))
    rows = [(negative(x + shift)[1] - negative(x - shift)[1]) / (2.0 * _STEP) for shift in shifts]
    return 0.5 * (np.array(rows) + np.array(rows).T)


def _propose(density: Density, centre: Array, factor: Array, rng: np.random.Generator, proposals: int) -> Approximation:
    """Draw from a multivariate t and weigh by the smoothed ratios to the density."""
    d = len(centre)
    normal = rng.standard_normal((proposals, d))
    scaled = normal * np.sqrt(_DEGREES / rng.chisquare(_DEGREES, proposals))[:, None]
    points = centre + scaled @ factor.T
    log_proposal = -0.5 * (_DEGREES + d) * np.log1p((scaled**2).sum(axis=1) / _DEGREES)
    log_density = np.array([float(density(point)[0]) for point in points])
    ratios = log_density - log_proposal
    if not np.isfinite(ratios).any():
        return Approximation(points, np.full(proposals, -np.log(proposals)), np.inf)
    top = ratios[np.isfinite(ratios)].max()
    ratios = np.where(np.isfinite(ratios), np.maximum(ratios - top, -700.0), -700.0)
    log_weights, k = array_stats.psislw(-ratios)
    return Approximation(points, log_weights, float(k) if np.isfinite(k) else np.inf)


def sample(model: pm.Model, sampling: Sampling, names: list[str]) -> tuple[xr.DataTree, Diagnostics | Trust]:
    """Sample a model by NUTS, or where `sampling` asks for a quick look, approximate it.

    Where chains of many draws do not agree, longer ones are tried once, in smaller steps.

    Parameters
    ----------
    model : pymc.Model
        The model.
    sampling : Sampling
        How.
    names : list of str
        Parameters by which the chains are judged.

    Returns
    -------
    trace : xarray DataTree
        Draws of the posterior.
    gate : Diagnostics or Trust
        Whether they may be relied on.
    """
    if sampling.quick:
        return sample_quickly(model, draws=sampling.draws, seed=sampling.seed)
    trace = inference.sample(model, sampling)
    gate = inference.diagnose(trace, names)
    if not gate.passed and sampling.draws * sampling.chains >= _MANY:
        longer = replace(sampling, draws=2 * sampling.draws, tune=2 * sampling.tune, target_accept=CAREFUL[0])
        trace = inference.sample(model, longer)
        gate = inference.diagnose(trace, names)
    return trace, gate


def sample_quickly(
    model: pm.Model, *, draws: int = 1000, seed: int = 1, proposals: int = PROPOSALS
) -> tuple[xr.DataTree, Trust]:
    """Approximate the posterior of a model by its mode and importance sampling.

    Parameters
    ----------
    model : pymc.Model
        The model; all its free variables are continuous.
    draws : int
        Draws to keep.
    seed : int
        Seed.
    proposals : int
        Points to propose, four times as many as draws or more.

    Returns
    -------
    trace : xarray DataTree
        Groups ``posterior`` and ``sample_stats`` like those of `cvmlib.inference.sample`, with one chain of `draws`.
    trust : Trust
        The gate, in place of `cvmlib.inference.diagnose`. Where it is not passed, the draws are not to be used.

    Raises
    ------
    ValueError
        The model has discrete variables.
    """
    if model.discrete_value_vars:
        names = ", ".join(v.name for v in model.discrete_value_vars)
        raise ValueError(f"The quick route needs continuous variables; discrete are {names}.")
    rng = np.random.default_rng(seed)
    density = compile_density(model)
    found = approximate(density, density.start, rng, proposals=proposals)
    posterior = evaluate(model, density, found.resample(draws, rng)[None])
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((1, draws), dtype=bool))})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats}), found.trust
