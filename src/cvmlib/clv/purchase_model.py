"""Hierarchical BG/NBD over business units: small units borrow strength, large ones speak for themselves.

Each unit has a mean purchase rate, a shape of its heterogeneity, a mean dropout probability and a concentration of it;
these are nearly orthogonal in the posterior, unlike (r, alpha, a, b). On the log (logit) scale a unit's values are
normal around those of its pool; by default all units are one pool. The scales of that spread have log-normal priors,
which keep them off zero. Time is divided by the mean age of the customers before a prior sees it, so that a forecast
does not depend on the unit of time.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from cvmlib import inference
from cvmlib.clv import bg_nbd_kernel
from cvmlib.errors import UnfitModelError

NAMES = ["rate", "shape", "dropout", "concentration"]


@dataclass(frozen=True)
class Prior:
    """Prior of one parameter on its link scale.

    Parameters
    ----------
    name : str
        Name of the parameter.
    mean, sd : float
        Normal prior of a pool's value.
    spread, spread_sd : float
        Median and log-sd of the log-normal prior of the standard deviation between the units of a pool.
    centring : float
        1 samples a unit's value as it stands, which suits a parameter that a unit's own data settle; 0 samples its
        standardised deviation from the pool; values between are between (Papaspiliopoulos, Roberts and Skoeld 2007).
    """

    name: str
    mean: float
    sd: float
    spread: float
    spread_sd: float = 0.4
    centring: float = 1.0


#: Units of one pool are taken to differ more in how often their customers buy than in how alike those customers are.
PRIORS = (
    Prior("log_rate", 0.0, 2.0, 0.5),
    Prior("log_shape", -0.5, 1.0, 0.2),
    Prior("logit_dropout", -1.5, 1.5, 0.3),
    Prior("log_concentration", 1.0, 1.0, 0.2, centring=0.5),
)


@dataclass(frozen=True)
class Draws:
    """Posterior draws of one unit's BG/NBD parameters, shape (draws,); `alpha` in days."""

    r: npt.NDArray[np.float64]
    alpha: npt.NDArray[np.float64]
    a: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]

    def column(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Return the parameters as (draws, 1) arrays that broadcast against rows."""
        return tuple(v[:, None] for v in (self.r, self.alpha, self.a, self.b))


@dataclass(frozen=True)
class PurchaseFit:
    """A fitted purchase model: the posterior, its units, the days of one model time unit, and the diagnostics."""

    trace: xr.DataTree
    units: tuple[str, ...]
    time_scale: float
    diagnostics: inference.Diagnostics

    def draws(self, unit: str, count: int = 1000) -> Draws:
        """Take evenly spaced posterior draws for `unit`, in natural units.

        Parameters
        ----------
        unit : str
            A unit of the fit.
        count : int
            How many draws.
        """
        posterior = self.trace["posterior"].to_dataset().sel(unit=unit)
        rate, shape, dropout, concentration = (inference.thin(posterior[name], count) for name in NAMES)
        return Draws(shape, shape / rate, dropout * concentration, (1 - dropout) * concentration)


def build_model(counts: pd.DataFrame, pools: Mapping[str, str] | None = None) -> tuple[pm.Model, float]:
    """Build the hierarchical BG/NBD on a count table.

    Parameters
    ----------
    counts : DataFrame
        ``unit``, ``frequency``, ``recency``, ``T`` (days), ``customers``.
    pools : mapping of str to str, optional
        Pool of each unit; one pool for all by default.

    Returns
    -------
    model : pymc.Model
        With ``rate`` (per day), ``shape``, ``dropout`` and ``concentration`` per unit as deterministics.
    time_scale : float
        Days in the model's unit of time.
    """
    codes, units = pd.factorize(counts["unit"], sort=True)
    customers = counts["customers"].to_numpy(dtype=float)
    age = counts["T"].to_numpy(dtype=float)
    if not (counts["frequency"] > 0).any():
        raise UnfitModelError(
            f"No customer of {', '.join(map(str, units))} bought more than once, so purchase rates cannot be told from "
            "dropout. Supply a longer history, or pool the unit with others that have repeat buyers."
        )
    scale = float(np.average(age, weights=customers))
    data = bg_nbd_kernel.lay_out(
        codes.astype(np.int64),
        counts["frequency"].to_numpy(dtype=np.int64),
        counts["recency"].to_numpy(dtype=float) / scale,
        age / scale,
        customers,
    )
    with pm.Model(coords=pool_coordinates(list(units), pools)) as model:
        log_rate, log_shape, logit_dropout, log_concentration = (pooled(prior, pools) for prior in PRIORS)
        rate = pm.Deterministic("rate", pt.exp(log_rate) / scale, dims="unit")
        shape = pm.Deterministic("shape", pt.exp(log_shape), dims="unit")
        dropout = pm.Deterministic("dropout", pm.math.invlogit(logit_dropout), dims="unit")
        concentration = pm.Deterministic("concentration", pt.exp(log_concentration), dims="unit")
        alpha = shape / (rate * scale)
        a, b = dropout * concentration, (1 - dropout) * concentration
        pm.Potential("log_likelihood", bg_nbd_kernel.log_likelihood_of(data, shape, alpha, a, b))
    return model, scale


def pool_coordinates(units: list[str], pools: Mapping[str, str] | None) -> dict[str, list[str]]:
    """Coordinates of a model of these units: ``unit``, and ``pool`` for the pools of two units or more."""
    sizes = Counter(_pool_of(unit, pools) for unit in units)
    return {"unit": units, "pool": [name or "(all)" for name, size in sorted(sizes.items()) if size > 1]}


def pooled(prior: Prior, pools: Mapping[str, str] | None = None) -> pt.TensorVariable:
    """One parameter per unit, normal around its pool's (to be called inside a model with `pool_coordinates`).

    A unit alone in its pool has nobody to borrow from: its prior is that of a pool, widened by the spread.

    Parameters
    ----------
    prior : Prior
        The parameter's prior.
    pools : mapping of str to str, optional
        Pool of each unit; one pool for all by default.
    """
    coords = pm.modelcontext(None).coords
    names = [_pool_of(unit, pools) or "(all)" for unit in coords["unit"]]
    alone = np.array([name not in coords["pool"] for name in names])
    wide = float(np.hypot(prior.sd, prior.spread))
    if alone.all():
        return pm.Normal(prior.name, prior.mean, wide, dims="unit")
    place = np.array([0 if lone else coords["pool"].index(name) for name, lone in zip(names, alone, strict=True)])
    centre = pm.Normal(f"{prior.name}_pool", prior.mean, prior.sd, dims="pool")
    between = pm.LogNormal(f"{prior.name}_spread", np.log(prior.spread), prior.spread_sd)
    middle, width = pt.where(alone, prior.mean, centre[place]), pt.where(alone, wide, between)
    if prior.centring == 1.0:
        return pm.Normal(prior.name, middle, width, dims="unit")
    deviation = pm.Normal(f"{prior.name}_deviation", 0.0, width**prior.centring, dims="unit")
    return pm.Deterministic(prior.name, middle + deviation * width ** (1.0 - prior.centring), dims="unit")


def _pool_of(unit: str, pools: Mapping[str, str] | None) -> str:
    return (pools or {}).get(unit, "")


def fit(counts: pd.DataFrame, sampling: inference.Sampling, pools: Mapping[str, str] | None = None) -> PurchaseFit:
    """Fit the hierarchical BG/NBD.

    Parameters
    ----------
    counts, pools
        As for `build_model`.
    sampling : Sampling
        Lengths and seed.

    Raises
    ------
    UnfitModelError
        No customer of any unit bought twice.
    """
    model, scale = build_model(counts, pools)
    trace = inference.sample(model, sampling)
    units = tuple(str(u) for u in trace["posterior"]["unit"].to_numpy())
    return PurchaseFit(trace, units, scale, inference.diagnose(trace, NAMES))
