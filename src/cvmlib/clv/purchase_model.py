"""Hierarchical BG/NBD over business units: small units borrow strength, large ones speak for themselves.

Each unit has a mean purchase rate, a shape of its heterogeneity, a mean dropout probability and a concentration of it;
these are nearly orthogonal in the posterior, unlike (r, alpha, a, b), so that they are sampled as they stand (centred).
The unit's values are normal around those of the portfolio on the log (logit) scale. The scales of that spread have
log-normal priors, which keep them off zero. Time is divided by the mean age of the customers before a prior sees it, so
that a forecast does not depend on the unit of time.
"""

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

#: Priors on the link scales: (name, mean and sd of the portfolio's value, median and log-sd of the spread of units).
PRIORS = (
    ("log_rate", 0.0, 2.0, 0.5, 0.5),
    ("log_shape", -0.5, 1.0, 0.3, 0.35),
    ("logit_dropout", -1.5, 1.5, 0.5, 0.5),
    ("log_concentration", 1.0, 1.0, 0.3, 0.35),
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


def build_model(counts: pd.DataFrame) -> tuple[pm.Model, float]:
    """Build the hierarchical BG/NBD on a count table.

    Parameters
    ----------
    counts : DataFrame
        ``unit``, ``frequency``, ``recency``, ``T`` (days), ``customers``.

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
    with pm.Model(coords={"unit": list(units)}) as model:
        log_rate, log_shape, logit_dropout, log_concentration = (pooled(*prior) for prior in PRIORS)
        rate = pm.Deterministic("rate", pt.exp(log_rate) / scale, dims="unit")
        shape = pm.Deterministic("shape", pt.exp(log_shape), dims="unit")
        dropout = pm.Deterministic("dropout", pm.math.invlogit(logit_dropout), dims="unit")
        concentration = pm.Deterministic("concentration", pt.exp(log_concentration), dims="unit")
        alpha = shape / (rate * scale)
        a, b = dropout * concentration, (1 - dropout) * concentration
        pm.Potential("log_likelihood", bg_nbd_kernel.log_likelihood_of(data, shape, alpha, a, b))
    return model, scale


def pooled(name: str, mean: float, sd: float, spread: float, spread_sd: float) -> pt.TensorVariable:
    """One parameter per unit, normal around the portfolio's (to be called inside a model with a ``unit`` coordinate).

    Parameters
    ----------
    name : str
        Name of the parameter.
    mean, sd : float
        Prior of the portfolio's value.
    spread, spread_sd : float
        Median and log-sd of the log-normal prior of the standard deviation between units. With a single unit there is
        nothing to learn a spread from, so its prior variance is added to that of the mean.
    """
    if len(pm.modelcontext(None).coords["unit"]) == 1:
        return pm.Normal(name, mean, float(np.hypot(sd, spread)), dims="unit")
    centre = pm.Normal(f"{name}_portfolio", mean, sd)
    between = pm.LogNormal(f"{name}_spread", np.log(spread), spread_sd)
    return pm.Normal(name, centre, between, dims="unit")


def fit(counts: pd.DataFrame, sampling: inference.Sampling) -> PurchaseFit:
    """Fit the hierarchical BG/NBD.

    Parameters
    ----------
    counts : DataFrame
        As for `build_model`.
    sampling : Sampling
        Lengths and seed.

    Raises
    ------
    UnfitModelError
        No customer of any unit bought twice.
    """
    model, scale = build_model(counts)
    trace = inference.sample(model, sampling)
    units = tuple(str(u) for u in trace["posterior"]["unit"].to_numpy())
    return PurchaseFit(trace, units, scale, inference.diagnose(trace, NAMES))
