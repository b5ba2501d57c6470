r"""Hierarchical retention models over business units and covariates, sampled with NUTS on the life table.

Three models of one face: the shifted beta-geometric (``sbg``: subscribers differ, time changes nothing), the
beta-discrete-Weibull (``bdw``: subscribers differ, and time, the first month and renewals matter), and a discrete-time
hazard (``hazard``: one smooth curve of tenure, renewals, no differences beyond the covariates).

Assumptions
-----------
1. Covariates are known before the time at risk begins, and multiply the propensity to leave: in ``sbg`` and ``bdw`` by
   the same factor at every tenure, in ``hazard`` by one that may drift with log tenure, hardly unless the data say so.
   Of each covariate the log effects of the levels sum to zero.
2. Units are alike: parameters and effects of a unit are normal around common ones, and how far they spread is learned.
   A small unit borrows, a large one speaks for itself. Spreads have log-normal priors, which keep them off zero.
3. A subscriber who joined before leavers were recorded is at risk from that month on only (left truncation); one who is
   still there, or was cut off without wanting to leave, is censored.

The likelihood needs, of each unit, covariate pattern and month of tenure, how many were at risk and how many left.
See `cvmlib.churn.exposure` for the parameters and `cvmlib.churn.bdw` for the published form.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from cvmlib import inference
from cvmlib.churn import exposure
from cvmlib.churn.lifetimes import Lifetimes
from cvmlib.churn.retention_kernel import log_likelihood
from cvmlib.inference import Diagnostics, Sampling
from cvmlib.quick import Trust, sample_quickly

Array = npt.NDArray[np.float64]

TITLES = {"sbg": "sBG", "bdw": "BdW", "hazard": "Hazard"}
"""Models of retention by name, with what people call them, simplest first."""

QUICK_DRAWS = 1000


@dataclass(frozen=True)
class Prior:
    """Normal prior of what units have in common, and the median of the spread between them.

    `information` is about what one leaver tells of the parameter (the inverse variance, as a share of what he tells of
    the level): the sampler treats a unit that is known by its own data otherwise than one that borrows.
    """

    mean: float
    sd: float
    spread: float
    information: float


PRIORS: Mapping[str, Prior] = {
    "log_risk": Prior(np.log(0.5), 1.0, 0.4, 1.0),
    "log_shape": Prior(0.5, 0.8, 0.3, 0.005),
    "log_slope": Prior(-0.2, 0.4, 0.1, 0.3),
    "slope": Prior(-0.2, 0.5, 0.15, 0.3),
    "log_joining": Prior(-0.7, 1.0, 0.3, 0.05),
    "log_first": Prior(0.0, 0.7, 0.3, 0.05),
    "log_renewal": Prior(0.0, 1.0, 0.3, 0.15),
}
"""Priors of a unit's parameters; risk is counted up to the reference tenure, so that the unit of time is immaterial."""

_EFFECT, _DRIFT, _CURVE = Prior(0.0, 0.3, 0.1, 0.2), Prior(0.0, 0.15, 0.05, 0.2), Prior(0.0, 0.2, 0.1, 0.05)


@dataclass(frozen=True)
class RetentionFit:
    """A fitted model: its name, the data it was given, draws, and whether they may be relied on."""

    name: str
    data: Lifetimes
    trace: xr.DataTree
    gate: Diagnostics | Trust

    @property
    def passed(self) -> bool:
        """Whether the fit may be relied on."""
        return self.gate.passed


def parameter_names(name: str, data: Lifetimes) -> list[str]:
    """Parameters that every unit has under a model, in addition to the effects of covariates."""
    months = list(exposure.month_multipliers(data.tenures, data.renewal))
    if name == "sbg":
        return ["log_risk", "log_shape", *(month for month in months if month == "log_joining")]
    return ["log_risk", *(["log_shape", "log_slope"] if name == "bdw" else ["slope"]), *months]


def build_model(data: Lifetimes, name: str = "bdw") -> pm.Model:
    """Build a retention model on a life table.

    Parameters
    ----------
    data : Lifetimes
        From `cvmlib.churn.lifetimes.lay_out`.
    name : {"sbg", "bdw", "hazard"}
        The model.

    Returns
    -------
    pymc.Model
        With a variable per unit for each of `parameter_names`, ``effect`` (units x contrasts) where there are
        covariates, in the hazard ``drift`` (per unit of log tenure, as ``effect``) and ``smooth`` (units x curves), and
        the log-likelihood as a potential.
    """
    contrasts, covariate = data.contrasts()
    coords = {"unit": list(data.units), "contrast": np.arange(contrasts.shape[1]), "covariate": list(data.covariates)}
    leavers = np.bincount(data.unit_of_block, data.left.sum(axis=1), len(data.units))
    with pm.Model(coords=coords) as model:
        values = {
            parameter: _pooled(parameter, PRIORS[parameter], leavers) for parameter in parameter_names(name, data)
        }
        if len(covariate):
            scale = pm.LogNormal("effect_scale", np.log(_EFFECT.sd), 0.5, dims="covariate")[covariate]
            values["effect"] = _pooled_vector("effect", "contrast", _EFFECT, scale, leavers)
        if name == "hazard" and len(covariate):
            values["drift"] = _pooled_vector("drift", "contrast", _DRIFT, _DRIFT.sd, leavers)
        if name == "hazard":
            curves = exposure.smooth_curves(data.tenures, len(data.tenures), data.renewal)
            model.add_coord("curve", np.arange(len(curves)))
            scale = pm.LogNormal("smooth_scale", np.log(_CURVE.sd), 0.5)
            values["smooth"] = _pooled_vector("smooth", "curve", _CURVE, scale, leavers)
        pm.Potential("log_likelihood", log_likelihood(data, _arrange(name, data, values), name))
    return model


def _pooled(name: str, prior: Prior, leavers: Array) -> pt.TensorVariable:
    """One value per unit, normal around a common one whose spread is learned."""
    if len(leavers) == 1:
        return pm.Normal(name, prior.mean, float(np.hypot(prior.sd, prior.spread)), dims="unit")
    centre = pm.Normal(f"{name}_pool", prior.mean, prior.sd)
    spread = pm.LogNormal(f"{name}_spread", np.log(prior.spread), 0.4)
    return _around(name, centre, spread, _centring(prior, leavers), ("unit",))


def _pooled_vector(
    name: str, dim: str, prior: Prior, scale: pt.TensorVariable | float, leavers: Array
) -> pt.TensorVariable:
    """A vector per unit around a common one, itself around zero."""
    if len(leavers) == 1:
        return pm.Normal(name, 0.0, scale, dims=("unit", dim))
    centre = pm.Normal(f"{name}_pool", 0.0, scale, dims=dim)
    spread = pm.LogNormal(f"{name}_spread", np.log(prior.spread), 0.4)
    return _around(name, centre, spread, _centring(prior, leavers)[:, None], ("unit", dim))


def _centring(prior: Prior, leavers: Array) -> Array:
    """Share of a unit's own data in what is known of its parameter: near 1 for large units, near 0 for small ones."""
    own = prior.information * leavers
    return own / (own + prior.spread**-2)


def _around(
    name: str, centre: pt.TensorVariable, spread: pt.TensorVariable, centring: Array, dims: tuple[str, ...]
) -> pt.TensorVariable:
    """Values normal around `centre` with sd `spread`, sampled between as they stand (centring 1) and as deviations.

    References
    ----------
    Papaspiliopoulos, O., Roberts, G. O. and Skoeld, M. (2007). A general framework for the parametrization of
    hierarchical models. Statistical Science 22, 59-73.
    """
    unscaled = spread ** (1.0 - centring)
    raw = pm.Normal(f"{name}_raw", centring * centre / unscaled, spread**centring, dims=dims)
    return pm.Deterministic(name, (1.0 - centring) * centre + unscaled * raw, dims=dims)


def _arrange(name: str, data: Lifetimes, values: Mapping[str, pt.TensorVariable]) -> pt.TensorVariable:
    """Parameters as `cvmlib.churn.retention_kernel` takes them: shape (parameters, units)."""
    months = list(exposure.month_multipliers(data.tenures, data.renewal))
    none = pt.zeros(len(data.units))
    if name == "hazard":
        middle = data.tenures[exposure.reference_month(data.tenures)]
        rows = [values["log_risk"] - np.log(middle), values["slope"]]
    else:
        rows = [values["log_risk"], values["log_shape"], values.get("log_slope", none)]
    rows = pt.stack([*rows, *(values.get(month, none) for month in months)])
    return pt.concatenate([rows, *(values[key].T for key in ("smooth", "effect", "drift") if key in values)])


def fit(data: Lifetimes, name: str = "bdw", sampling: Sampling | None = None, seed: int = 1) -> RetentionFit:
    """Fit a retention model.

    Parameters
    ----------
    data : Lifetimes
        From `cvmlib.churn.lifetimes.lay_out`.
    name : {"sbg", "bdw", "hazard"}
        The model.
    sampling : Sampling, optional
        Draws, tuning steps, chains and seed of NUTS; without it the quick route of `cvmlib.quick` is taken, whose gate
        says when it cannot be trusted.
    seed : int, default 1
        Seed of the quick route.
    """
    model = build_model(data, name)
    if sampling is None:
        trace, trust = sample_quickly(model, draws=QUICK_DRAWS, seed=seed)
        return RetentionFit(name, data, trace, trust)
    trace = inference.sample(model, sampling)
    return RetentionFit(name, data, trace, inference.diagnose(trace, [variable.name for variable in model.free_RVs]))


def fit_all(data: Lifetimes, sampling: Sampling) -> dict[str, RetentionFit]:
    """Fit every model, by name.

    One unit alone takes the quick route where that can be trusted; a pool of units, whose spread makes a posterior of
    another shape, and what was not to be trusted, is sampled with NUTS.
    """
    fits = {}
    for name in TITLES:
        quick = fit(data, name, seed=sampling.seed) if len(data.units) == 1 else None
        fits[name] = quick if quick is not None and quick.passed else fit(data, name, sampling)
    return fits
