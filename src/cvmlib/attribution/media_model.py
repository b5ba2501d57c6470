"""The media mix model: a baseline that is never negative, plus what media add, by business unit, region and outlet.

Of series s (scaled to an average of 1) in week t

    y[s, t] = base[s] exp(level[s] + trend[s, t] + season[m, t] + controls[m, t]) + sum of contribution[p, t] + e[s, t]
    contribution[p, t] = r[p] b[p] F[p, t] / mean F[p],   e[s, t] = phi e[s, t - 1] + sigma[s] N(0, 1)

with F the saturated, carried-over spend of a pair p of series and channel, and b its contribution at the reference
return (`cvmlib.attribution.media_design`), and base what media leave of the average outcome. So r is a return in
multiples of the reference return, whatever the carry-over and saturation are, and it is r that has the prior.

Assumptions: 1. media add to the baseline and do not change it; 2. a channel's carry-over and saturation are the same in
all units of a pool, its return is not: pairs of a kind scatter around a common mean, regions around their unit;
3. a return may be negative: sales that a channel only moves from an outlet to another are seen, and a channel without
effect has an interval that holds zero; 4. given trend, season and controls, spend does not follow demand. Where
`cvmlib.attribution.media_diagnostics` finds that it does, what goes with the channel is r + d, of which d >= 0 is
demand that it captures and not its effect. Only lift tests, which see r alone, tell the two apart; without one, r keeps
much of its prior, and the reports say so.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from cvmlib.attribution.media_design import MediaDesign
from cvmlib.attribution.media_lift import LiftArrays
from cvmlib.attribution.media_transforms import ADSTOCKS, SATURATIONS, adstock_weights, carry_over, saturate

RETURN_MEAN, RETURN_SD = 1.0, 1.5
"""Prior of the mean return of a kind, in reference returns: normal."""
_BEND = 0.05
UNIT_SPREAD = (4.0, 8.0)
"""Shape and rate of the gamma prior of the spread of returns between units: mean 0.5, none at zero."""
CAPTURED_SD = 2.0
"""Scale of the half-normal prior of the demand that a channel captures, in reference returns."""


@dataclass(frozen=True)
class Form:
    """Forms of the model: the adstock (geometric, delayed, weibull) and the saturation (hill, logistic)."""

    adstock: str = "geometric"
    saturation: str = "hill"


def build_model(design: MediaDesign, lifts: LiftArrays | None = None, form: Form | None = None) -> pm.Model:
    """Build the model of a panel.

    Parameters
    ----------
    design : MediaDesign
        Arrays of the regression.
    lifts : LiftArrays, optional
        Lift tests that calibrate it.
    form : Form, optional
        Forms of adstock and saturation; geometric and Hill by default.

    Returns
    -------
    pymc.Model
        Variables ``ret`` (returns in reference returns, per pair), the parameters of carry-over and saturation per
        shape, and those of the baseline. All data can be exchanged for others of the same shapes.
    """
    form = form or Form()
    with pm.Model() as model:
        data = {name: pm.Data(name, value) for name, value in model_data(design, lifts).items()}
        carry, bend = _shape_priors(form, len(design.shapes))
        returns = _returns(design, elasticity(form.saturation, bend, pt))
        mine = {name: value[data["shape"]] for name, value in (carry | bend).items()}
        weights = adstock_weights(form.adstock, mine, design.lagged.shape[2], pt)
        response = saturate(form.saturation, mine, carry_over(data["lagged"], weights), pt)
        average = (response * data["weight"]).sum(axis=1)
        factor = returns * data["reference"] / average
        associated = factor
        if design.captured.any():
            captured = pm.HalfNormal("captured_demand", CAPTURED_SD, shape=int(design.captured.sum()))
            of_pair = pt.set_subtensor(pt.zeros(len(design.captured))[np.flatnonzero(design.captured)], captured)
            associated = (returns + pm.Deterministic("captured", of_pair)) * data["reference"] / average
        media = pt.zeros_like(data["outcome"])
        media = pt.inc_subtensor(media[data["series"]], associated[:, None] * response)
        share = pt.zeros(len(design.panel.series))
        share = pt.inc_subtensor(share[data["series"]], associated * average)
        mean = baseline_share(share)[:, None] * pt.exp(_log_baseline(design, data)) + media
        pm.Potential("fit", _log_likelihood(design, data, mean))
        if lifts is not None:
            lift = predict_lifts(form, mine, factor, data, design.lagged.shape[2], pt)
            pm.Potential("calibration", -0.5 * (((data["lift"] - lift) / data["lift_error"]) ** 2).sum())
    return model


def model_data(design: MediaDesign, lifts: LiftArrays | None) -> dict[str, np.ndarray]:
    """Arrays that the compiled model takes as data."""
    data = {
        "outcome": design.panel.outcome,
        "fitted": design.fitted.astype(float),
        "follows": design.follows.astype(float),
        "lagged": design.lagged,
        "weight": design.weight,
        "reference": design.reference,
        "trend_columns": design.trend,
        "season_columns": design.season,
        "control_columns": design.controls,
        "series": design.panel.series_of_pair,
        "shape": design.shape,
    }
    return data | ({} if lifts is None else lifts.data())


def _returns(design: MediaDesign, elastic: pt.TensorVariable) -> pt.TensorVariable:
    """Returns per pair: common mean of the kind, scatter of units around it, scatter of regions around their unit.

    Data speak of the marginal return at the usual spend, which is the return times the elasticity; so the sampler moves
    in marginal returns, and the density carries the prior of the return over to them.
    """
    elastic = elastic[np.array([design.shapes.index(kind[:2]) for kind in design.kinds])]
    marginal = pm.Flat("marginal", shape=len(design.kinds))
    mean = pm.Deterministic("kind_return", marginal / elastic)
    pm.Potential("return_prior", (-0.5 * ((mean - RETURN_MEAN) / RETURN_SD) ** 2 - pt.log(elastic)).sum())
    value = mean[design.kind]
    of_group = np.array([kind for kind, _ in design.groups])
    several = np.bincount(of_group, minlength=len(design.kinds))[of_group] > 1
    if several.any():
        spread = pm.Gamma("unit_spread", *UNIT_SPREAD)
        place = np.where(several, np.cumsum(several) - 1, 0)[design.group]
        scatter = pm.Normal("unit_scatter", shape=int(several.sum()))
        value = value + spread * scatter[place] * several[design.group]
    sizes = np.bincount(design.group)[design.group]
    if (sizes > 1).any():
        spread = pm.Gamma("region_spread", *UNIT_SPREAD)
        place = np.where(sizes > 1, np.cumsum(sizes > 1) - 1, 0)
        scatter = pm.Normal("region_scatter", shape=int((sizes > 1).sum()))
        value = value + spread * scatter[place] * (sizes > 1)
    return pm.Deterministic("ret", value)


def _shape_priors(form: Form, shapes: int) -> tuple[dict, dict]:
    priors = {
        "decay": lambda: pm.Beta("decay", 2.0, 3.0, shape=shapes),
        "delay": lambda: pm.Gamma("delay", 2.0, 1.0, shape=shapes),
        "shape": lambda: pm.LogNormal("shape_of_delay", 0.2, 0.3, shape=shapes),
        "scale": lambda: pm.LogNormal("scale", np.log(2.0), 0.5, shape=shapes),
        "half": lambda: pm.LogNormal("half", np.log(2.0), 0.7, shape=shapes),
        "slope": lambda: pm.LogNormal("slope", 0.1, 0.25, shape=shapes),
        "rate": lambda: pm.LogNormal("rate", 0.0, 0.7, shape=shapes),
    }
    carry = {name: priors[name]() for name in ADSTOCKS[form.adstock]}
    return carry, {name: priors[name]() for name in SATURATIONS[form.saturation]}


def elasticity(form: str, bend: dict[str, Any], xp: ModuleType = np) -> Any:
    """Percent of response per percent of spend at the average spend, per shape."""
    if form == "hill":
        return bend["slope"] / (1.0 + xp.exp(-bend["slope"] * xp.log(bend["half"])))
    return bend["rate"] / xp.sinh(bend["rate"])


def baseline_share(media_share: Any, xp: ModuleType = pt) -> Any:
    """What media leave of an average outcome of 1: one minus their share, bent so that it never reaches zero."""
    return _BEND * xp.log1p(xp.exp((1.0 - media_share) / _BEND))


def _log_baseline(design: MediaDesign, data: dict) -> pt.TensorVariable:
    """Log of the baseline in multiples of what media leave, shape (S, T)."""
    series, knots = design.trend.shape[:2]
    market = design.market
    level = pm.Normal("level", 0.0, 0.1, shape=series)
    step = pm.Gamma("trend_step", 2.0, 60.0)
    bends = pm.Normal("trend_bend", shape=(series, knots - 1))
    drift = pm.Normal("trend_drift", 0.0, 0.1, shape=series)
    steps = drift[:, None] + step * bends
    path = pt.cumsum(pt.concatenate([pt.zeros((series, 1)), steps], axis=1), axis=1)
    path = path - path.mean(axis=1, keepdims=True)
    log_baseline = level[:, None] + (path[:, :, None] * data["trend_columns"]).sum(axis=1)
    if design.season.shape[1]:
        wave = pm.Normal("season", 0.0, 0.1, shape=(len(design.markets), design.season.shape[1]))
        log_baseline = log_baseline + (wave[market][:, :, None] * data["season_columns"]).sum(axis=1)
    if design.control_names:
        effect = pm.Normal("control", 0.0, 0.15, shape=(len(design.markets), len(design.control_names)))
        log_baseline = log_baseline + (effect[market][:, :, None] * data["control_columns"]).sum(axis=1)
    return log_baseline


def _log_likelihood(design: MediaDesign, data: dict, mean: pt.TensorVariable) -> pt.TensorVariable:
    """Log-likelihood of the fitted weeks: normal, each residual correlated with that of the week before."""
    units = design.panel.units()
    of_unit = np.array([units.index(series.unit) for series in design.panel.series])
    sigma = pm.LogNormal("sigma", np.log(0.05), 0.7, shape=len(of_unit))
    phi = pm.Beta("persistence", 1.5, 3.0, shape=len(units))[of_unit][:, None]
    error = (data["outcome"] - mean) / sigma[:, None] * data["fitted"]
    before = pt.concatenate([pt.zeros((len(of_unit), 1)), error[:, :-1]], axis=1)
    precision = data["follows"] + (data["fitted"] - data["follows"]) * (1.0 - phi**2)
    innovation = error - phi * before * data["follows"]
    starts = (data["fitted"] - data["follows"]) * 0.5 * pt.log1p(-(phi**2))
    return (-0.5 * precision * innovation**2 - data["fitted"] * pt.log(sigma)[:, None] + starts).sum()


def predict_lifts(
    form: Form, parameters: dict[str, Any], factor: Any, data: dict[str, Any], lags: int, xp: ModuleType
) -> Any:
    """Lift of each test by the model, in money.

    Parameters
    ----------
    form : Form
        Forms.
    parameters : dict
        Parameters of carry-over and saturation per pair.
    factor : array, shape (P,)
        Contribution per unit of response.
    data : dict
        ``LiftArrays.data``.
    lags : int
        Lags.
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    """
    mine = {name: value[data["lift_pair"]] for name, value in parameters.items()}
    weights = adstock_weights(form.adstock, mine, lags, xp)
    treated = saturate(form.saturation, mine, carry_over(data["lift_treated"], weights), xp)
    control = saturate(form.saturation, mine, carry_over(data["lift_control"], weights), xp)
    gained = ((treated - control) * data["lift_weeks"]).sum(axis=1) * factor[data["lift_pair"]] * data["lift_money"]
    return (gained[:, None] * data["lift_of"]).sum(axis=0)
