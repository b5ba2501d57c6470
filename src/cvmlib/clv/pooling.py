"""Partial pooling over business units: small units borrow strength, large ones speak for themselves.

On its link scale a unit's parameter is normal around that of its pool; by default all units are one pool. The scales of
that spread have log-normal priors, which keep them off zero.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt


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
