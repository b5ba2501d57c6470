"""Hierarchical purchase models over business units: small units borrow strength, large ones speak for themselves.

Each unit has the interpretable parameters of a family (`families.family`), which are nearly orthogonal in the
posterior, unlike the published ones; on their link scales they are partially pooled (`cvmlib.clv.pooling`). Time is
divided by the mean age of the customers before a prior sees it, so that a forecast does not depend on the unit of time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from cvmlib import inference
from cvmlib.clv.families.family import Family
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.clv.pooling import pool_coordinates, pooled
from cvmlib.errors import UnfitModelError

_INVERSE = {"log": pt.exp, "logit": pm.math.invlogit}


@dataclass(frozen=True)
class Draws:
    """Posterior draws of one unit's published parameters, each of shape (draws,), in the order of the family; days."""

    family: Family
    values: tuple[npt.NDArray[np.float64], ...]

    def __len__(self) -> int:
        """How many draws."""
        return len(self.values[0])

    def __getitem__(self, symbol: str) -> npt.NDArray[np.float64]:
        """Draws of the published parameter `symbol`."""
        return self.values[self.family.symbols.index(symbol)]

    def thin(self, count: int) -> "Draws":
        """Keep `count` evenly spaced draws, or all where there are fewer."""
        chosen = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)
        return Draws(self.family, tuple(value[chosen] for value in self.values))

    def column(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Return the parameters as (draws, 1) arrays that broadcast against rows."""
        return tuple(value[:, None] for value in self.values)


@dataclass(frozen=True)
class PurchaseFit:
    """A fitted purchase model.

    Parameters
    ----------
    family : Family
        The model.
    trace : xarray DataTree
        The posterior.
    units : tuple of str
        Its units.
    time_scale : float
        Days of one unit of the model's time.
    diagnostics : Diagnostics
        The gate.
    constants : dict of str to int
        The family's constant of each unit, where it has one.
    """

    family: Family
    trace: xr.DataTree
    units: tuple[str, ...]
    time_scale: float
    diagnostics: inference.Diagnostics
    constants: Mapping[str, int] = field(default_factory=dict)

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
        values = [inference.thin(posterior[name], count) for name in self.family.names]
        if self.family.constant:
            values.append(np.full(len(values[0]), self.constants[unit]))
        return Draws(self.family, tuple(self.family.published(*values)))


def build_model(
    counts: pd.DataFrame,
    pools: Mapping[str, str] | None = None,
    family: Family = BG_NBD,
    constants: Mapping[str, int] | None = None,
) -> tuple[pm.Model, float]:
    """Build a hierarchical purchase model on a count table.

    Parameters
    ----------
    counts : DataFrame
        ``unit``, ``frequency``, ``recency``, ``T`` (days), ``customers``.
    pools : mapping of str to str, optional
        Pool of each unit; one pool for all by default.
    family : Family
        The model.
    constants : mapping of str to int, optional
        The family's constant of each unit, where it has one.

    Returns
    -------
    model : pymc.Model
        With the family's interpretable parameters per unit as deterministics; rates are per day.
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
    # Opportunities are whole; only a family with a rate measures time.
    scale = float(np.average(age, weights=customers)) if any(p.per_time for p in family.parameters) else 1.0
    data = family.lay_out(
        codes.astype(np.int64),
        counts["frequency"].to_numpy(dtype=np.int64),
        counts["recency"].to_numpy(dtype=float) / scale,
        age / scale,
        customers,
    )
    with pm.Model(coords=pool_coordinates(list(units), pools)) as model:
        values = []
        for parameter in family.parameters:
            value = _INVERSE[parameter.link](pooled(parameter.prior, pools))
            values.append(value)
            pm.Deterministic(parameter.name, value / scale if parameter.per_time else value, dims="unit")
        if family.constant:
            values.append(np.array([constants[unit] for unit in units], dtype=np.int64))
        pm.Potential("log_likelihood", family.density(data, *family.published(*values)))
    return model, scale


def fit(
    counts: pd.DataFrame,
    sampling: inference.Sampling,
    pools: Mapping[str, str] | None = None,
    family: Family = BG_NBD,
    constants: Mapping[str, int] | None = None,
) -> PurchaseFit:
    """Fit a hierarchical purchase model.

    Parameters
    ----------
    counts, pools, family, constants
        As for `build_model`.
    sampling : Sampling
        Lengths and seed.

    Raises
    ------
    UnfitModelError
        No customer of any unit bought twice.
    """
    model, scale = build_model(counts, pools, family, constants)
    trace = inference.sample(model, sampling)
    units = tuple(str(u) for u in trace["posterior"]["unit"].to_numpy())
    diagnostics = inference.diagnose(trace, family.names)
    return PurchaseFit(family, trace, units, scale, diagnostics, dict(constants or {}))
