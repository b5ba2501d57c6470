"""Sampling of the media mix: NUTS in coordinates in which the posterior is nearly round, compiled once.

Levels, trends, seasons and returns of a media mix are strongly correlated, so that NUTS as it stands takes hundreds of
steps a draw. Here the unconstrained space is turned and scaled by the curvature at the mode, then by the draws and
gradients of a short pilot run; both are fixed before the draws that are kept, so the posterior is untouched.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pymc as pm
import xarray as xr
from scipy import linalg, optimize

from cvmlib.compiled.density import Density, compile_density, evaluate
from cvmlib.inference import Sampling

Array = npt.NDArray[np.float64]

PILOT = Sampling(draws=250, tune=250, chains=2, target_accept=0.8)
CAREFUL = 0.98
"""Step-size target of the second attempt, when transitions diverged in the first."""
_SHRINK = 0.01
"""Weight of the coordinates before against what the draws say."""
_ROUNDED = 1000
"""Draws, at most, that the coordinates are taken from."""


class MediaSampler:
    """Samples models of the same variables, and keeps the coordinates for the next."""

    def __init__(self) -> None:
        self._density: Density
        self._turned: tuple[Array, Array] | None = None

    def sample(self, model: pm.Model, sampling: Sampling, again: bool = False) -> xr.DataTree:
        """Sample a model.

        Parameters
        ----------
        model : pymc.Model
            The model.
        sampling : Sampling
            Draws, tuning steps, chains, seed, and step-size target. When any transition diverges, the draws are made
            once more with smaller steps.
        again : bool
            Whether the posterior is nearly that of the call before, so that its coordinates serve.

        Returns
        -------
        xarray DataTree
            Groups ``posterior`` and ``sample_stats`` like those of `cvmlib.inference.sample`.
        """
        self._density = compile_density(model)
        if self._turned is None or not again:
            pilot = Sampling(PILOT.draws, PILOT.tune, PILOT.chains, sampling.seed + 1, PILOT.target_accept)
            self._turned = self._mode()
            self._draw(pilot)
        points, stats = self._draw(sampling)
        if int(stats["diverging"].sum()) and sampling.target_accept < CAREFUL:
            points, stats = self._draw(replace(sampling, target_accept=CAREFUL))
        return xr.DataTree.from_dict({"posterior": evaluate(model, self._density, points), "sample_stats": stats})

    def _draw(self, sampling: Sampling) -> tuple[Array, xr.Dataset]:
        """Run NUTS in the coordinates of the draws before, and take the next ones from what it drew."""
        centre, factor = self._turned
        points, stats = self._run(centre, factor, sampling)
        flat = points.reshape(-1, points.shape[-1])
        flat = flat[:: -(-len(flat) // _ROUNDED)]
        gradients = np.array([self._density(point)[1] for point in flat]) @ factor
        turned = linalg.solve(factor, (flat - centre).T).T
        self._turned = flat.mean(axis=0), factor @ find_scales(turned, gradients)
        return points, stats

    def _mode(self) -> tuple[Array, Array]:
        """Find the mode and a factor of the inverse curvature there."""

        def negative(x: Array) -> tuple[float, Array]:
            value, gradient = self._density(x)
            good = np.isfinite(value) and np.isfinite(gradient).all()
            return (-value, -gradient) if good else (1e300, np.zeros_like(x))

        start = self._density.start
        found = optimize.minimize(negative, start, jac=True, method="L-BFGS-B", options={"maxiter": 1500}).x
        step = 1e-4 * np.eye(len(found))
        rows = np.array([(negative(found + e)[1] - negative(found - e)[1]) / 2e-4 for e in step])
        values, vectors = linalg.eigh(0.5 * (rows + rows.T))
        return found, vectors / np.sqrt(np.maximum(np.abs(values), 0.1))

    def _run(self, centre: Array, factor: Array, sampling: Sampling) -> tuple[Array, xr.Dataset]:
        """Run NUTS in turned coordinates; return points of the unconstrained space, shape (chains, draws, D)."""
        import nutpie

        size = len(centre)

        def make_density() -> Callable:
            def density(x: Array) -> tuple[float, Array]:
                value, gradient = self._density(centre + factor @ x)
                return value, factor.T @ gradient

            return density

        def make_expand(*_: object) -> Callable:
            return lambda x: {"x": np.asarray(x, dtype=float)}

        compiled = nutpie.compiled_pyfunc.from_pyfunc(
            size, make_density, make_expand, [np.dtype("float64")], [(size,)], ["x"]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trace = nutpie.sample(
                compiled,
                draws=sampling.draws,
                tune=sampling.tune,
                chains=sampling.chains,
                cores=1,
                seed=sampling.seed,
                target_accept=sampling.target_accept,
                save_warmup=False,
                progress_bar=False,
            )
        stats = trace["sample_stats"].to_dataset()[["diverging", "n_steps"]]
        return centre + trace["posterior"]["x"].to_numpy() @ factor.T, stats


def find_scales(points: Array, gradients: Array) -> Array:
    """Find coordinates in which draws of a density are nearly round.

    The covariance of the draws and the inverse covariance of the gradients there are the same for a normal density, and
    their geometric mean is then exact from as many draws as there are dimensions: the chance in the one cancels that in
    the other, which leaves a covariance of draws alone too far from round.

    Parameters
    ----------
    points : array, shape (draws, D)
        Draws.
    gradients : array, shape (draws, D)
        Gradients of the log density at them.

    Returns
    -------
    array, shape (D, D)
        Factor that turns round coordinates into those of the points.
    """
    size = points.shape[1]
    spread, steep = (
        (1.0 - _SHRINK) * np.cov(values.T).reshape(size, size) + _SHRINK * np.eye(size)
        for values in (points, gradients)
    )
    root, inverse = _power(steep, 0.5), _power(steep, -0.5)
    return _power(inverse @ _power(root @ spread @ root, 0.5) @ inverse, 0.5)


def _power(matrix: Array, exponent: float) -> Array:
    values, vectors = linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
