"""The media mix model: a baseline that is never negative, plus what media add, by business unit, region and outlet.

Of series s (scaled to an average of 1) in week t

    y[s, t] = base[s] g(moved[s, t] / base[s]) + sum of contribution[p, t] + e[s, t]
    g(x) = k[u] exp(x) + (1 - k[u]) (1 + x)
    moved[s, t] = level[s] + trend[s, t] + season[m, t] + controls[m, t]
    contribution[p, t] = r[p] b[p] F[p, t] / mean F[p],   e[s, t] = phi e[s, t - 1] + sigma[s] N(0, 1)

with F the saturated, carried-over spend of a pair p of series and channel, and b its contribution at the reference
return (`cvmlib.attribution.media_design`), and base what media leave of the average outcome (1 - sum of r[p] b[p], bent
so that it never reaches zero, as 1 + x is). Whether season, trend and controls multiply (k = 1) or add up (k = 0) is
learnt for each unit: were it fixed, a base far too large or too small could make up for the wrong one. What moves the
baseline is a share of the outcome and not of the baseline: as a share of the baseline, its many parameters would be
told the better the smaller the baseline is, and the posterior would give to media for that reason alone. So r is a
return in multiples of the reference return, whatever the carry-over and saturation are, and it is r that has the prior.

Assumptions: 1. media add to the baseline and do not change it; 2. a channel's carry-over and saturation are the same in
all units of a pool, its return is not: pairs of a kind scatter around a common mean, regions around their unit;
3. a return may be negative: sales that a channel only moves from an outlet to another are seen, and a channel without
effect has an interval that holds zero; 4. given trend, season and controls, spend does not follow demand. Where
`cvmlib.attribution.media_diagnostics` finds that it does, what goes with the channel is r + d, of which d >= 0 is
demand that it captures and not its effect. Only lift tests, which see r alone, tell the two apart; without one, r keeps
much of its prior, and the reports say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.transforms import log_exp_m1

from cvmlib.attribution import media_kernel
from cvmlib.attribution.media_design import MediaDesign
from cvmlib.attribution.media_kernel import BEND, REACH, ROUND
from cvmlib.attribution.media_lift import LiftArrays
from cvmlib.attribution.media_panel import Array
from cvmlib.attribution.media_transforms import ADSTOCKS, SATURATIONS, adstock_weights, carry_over, saturate

RETURN_MEAN, RETURN_SD = 1.0, 1.5
"""Prior of the mean return of a kind, in reference returns: normal."""
UNIT_VARIANCE = 0.3
"""Prior mean of the variance of returns between units of a kind, and between regions of a unit, in squares of reference
returns."""
_NOISE = 0.05
"""Prior median of the standard deviation of a week's noise, as a share of the average outcome."""
_SPREAD_SHAPE, _SPARSE_SHAPE = 3.0, 1.5  # of inverse gammas; with the lesser shape most are next to nothing, some large
_BEND_VARIANCE = 0.00004
"""Prior mean of the variance by which the slope of a trend changes from one half year to the next, in squared shares of
the average outcome per half year."""
_MOVED_VARIANCE = 0.0027
"""Prior mean of the variance of what a wave of the year, a holiday or a control adds, in squared shares of the average
outcome; each has a variance of its own, for most move hardly anything and some much."""
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
        carry, bend = _shape_priors(form, len(design.shapes))
        returns = _returns(design, elasticity(form.saturation, bend, pt))
        associated = returns + _captured(design) if design.captured.any() else returns
        first, *others = (bend[name] for name in SATURATIONS[form.saturation])
        parameters = {
            "weights": adstock_weights(form.adstock, carry, design.lagged.shape[2], pt),
            "first": first,
            "second": others[0] if others else first,
            "associated": associated * design.reference,
            "caused": returns * design.reference,
        }
        parameters |= _baseline(design) | _noise(design)
        pm.Potential("fit", media_kernel.log_likelihood(design, lifts, form.saturation, parameters))
    return model


def _returns(design: MediaDesign, elastic: pt.TensorVariable) -> pt.TensorVariable:
    """Returns per pair: common mean of the kind, scatter of units around it, scatter of regions around their unit.

    Data speak of the marginal return at the usual spend, which is the return times the elasticity, and the prior of the
    return; so the sampler moves in marginal returns, in units of how far both leave them open, and the density carries
    the prior over.
    """
    elastic = elastic[np.array([design.shapes.index(kind[:2]) for kind in design.kinds])]
    open_to = 1.0 / pt.sqrt(_known_marginals(design) + (RETURN_SD * elastic) ** -2)
    marginal = open_to * pm.Flat("marginal_standard", shape=len(design.kinds))
    mean = pm.Deterministic("kind_return", marginal / elastic)
    density = -0.5 * ((mean - RETURN_MEAN) / RETURN_SD) ** 2 + pt.log(open_to / elastic)
    pm.Potential("return_prior", density.sum())
    value = mean[design.kind]
    of_group = np.array([kind for kind, _ in design.groups])
    several = np.bincount(of_group, minlength=len(design.kinds))[of_group] > 1
    if several.any():
        place = np.where(several, np.cumsum(several) - 1, 0)[design.group]
        value = value + _scatter("unit_scatter", (int(several.sum()),), UNIT_VARIANCE)[place] * several[design.group]
    sizes = np.bincount(design.group)[design.group]
    if (sizes > 1).any():
        place = np.where(sizes > 1, np.cumsum(sizes > 1) - 1, 0)
        value = value + _scatter("region_scatter", (int((sizes > 1).sum()),), UNIT_VARIANCE)[place] * (sizes > 1)
    return pm.Deterministic("ret", value)


def _captured(design: MediaDesign) -> pt.TensorVariable:
    """Demand that each pair captures, in reference returns, shape (P,); zero for those whose spend follows none."""
    places = np.flatnonzero(design.captured)
    found = pm.HalfNormal("captured_demand", CAPTURED_SD, shape=len(places), default_transform=log_exp_m1)
    return pm.Deterministic("captured", pt.set_subtensor(pt.zeros(len(design.captured))[places], found))


def _known_marginals(design: MediaDesign) -> np.ndarray:
    """Roughly how precisely the spend of each kind tells its marginal return, by the noise of the prior, shape (K,)."""
    carried = design.lagged @ (0.4 ** np.arange(design.lagged.shape[2]) * 0.6)
    around = carried - (design.weight * carried).sum(axis=1, keepdims=True)
    squares = (around**2 * (design.weight > 0)).sum(axis=1)
    return np.bincount(design.kind, squares * (design.reference / _NOISE) ** 2, minlength=len(design.kinds))


def _scatter(
    name: str, shape: tuple[int, ...], variance: float, tail: float = _SPREAD_SHAPE, sets: Sequence[int] | None = None
) -> pt.TensorVariable:
    """Normal deviations of an unknown variance, common to all of them or to those of each set of columns.

    Its inverse gamma prior, of this mean and the shape `tail`, is integrated out. What is left is a multivariate t: the
    sampler meets no variance near zero, where it would get stuck.
    """
    standard = pm.Flat(f"{name}_standard", shape=shape)
    squares = (standard**2).reshape((-1, shape[-1])).sum(axis=0)
    member = np.equal.outer(np.unique(sets), sets) if sets is not None else np.ones((1, shape[-1]))
    twice_scale = 2.0 * (tail - 1.0)  # of the inverse gamma with a mean of 1
    half_degrees = tail + 0.5 * member.sum(axis=1) * np.prod(shape[:-1])
    density = -half_degrees * pt.log1p(pt.dot(member.astype(float), squares) / twice_scale)
    pm.Potential(f"{name}_prior", density.sum())
    return pm.Deterministic(name, np.sqrt(variance) * standard)


def _shape_priors(form: Form, shapes: int) -> tuple[dict, dict]:
    priors = {
        "decay": lambda: pm.Beta("decay", 2.0, 3.0, shape=shapes),
        "delay": lambda: pm.Gamma("delay", 2.0, 1.0, shape=shapes),
        "shape": lambda: pm.LogNormal("shape_of_delay", 0.2, 0.3, shape=shapes),
        "scale": lambda: pm.LogNormal("scale", np.log(2.0), 0.5, shape=shapes),
    }
    carry = {name: priors[name]() for name in ADSTOCKS[form.adstock]}
    if form.saturation == "hill":
        return carry, _hill_priors(shapes)
    return carry, {"rate": pm.LogNormal("rate", 0.0, 0.7, shape=shapes)}


def _hill_priors(shapes: int) -> dict:
    """Slope, and the spend of half the largest response: lognormal around twice the average.

    Data speak of the part of the largest response that is left at the average spend. Its log odds are the slope times
    the log of that spend of half the response, and in these the sampler moves.
    """
    slope = pm.LogNormal("slope", 0.1, 0.25, shape=shapes)
    left = pm.Normal("left", slope * np.log(2.0), 0.7 * slope, shape=shapes)
    return {"half": pm.Deterministic("half", pt.exp(left / slope)), "slope": slope}


def elasticity(form: str, bend: dict[str, Any], xp: ModuleType = np) -> Any:
    """Percent of response per percent of spend at the average spend, per shape."""
    if form == "hill":
        return bend["slope"] / (1.0 + xp.exp(-bend["slope"] * xp.log(bend["half"])))
    return bend["rate"] / xp.sinh(bend["rate"])


def _baseline(design: MediaDesign) -> dict[str, pt.TensorVariable]:
    """Level, trend, season and controls of the baseline, as shares of the average outcome.

    The slope of a trend goes on as it was last, but for a bend from one knot to the next, which is small or rare. So a
    forecast goes on as the trend was last, and not as it was on average.
    """
    series, knots = design.trend.shape[:2]
    drift = pm.Normal("trend_drift", 0.0, 0.05, shape=series)
    bends = _scatter("trend_bend", (series, knots - 1), _BEND_VARIANCE, _SPARSE_SHAPE)
    steps = drift[:, None] + pt.cumsum(bends, axis=1)
    path = pt.cumsum(pt.concatenate([pt.zeros((series, 1)), steps], axis=1), axis=1)
    found = {
        "level": pm.Normal("level", 0.0, 0.1, shape=series),
        "path": path - path.mean(axis=1, keepdims=True),
        "season": pt.zeros((0,)),
        "control": pt.zeros((0,)),
    }
    waves, controls = design.season.shape[1], len(design.control_names)
    for name, count, sets in (("season", waves, np.arange(waves) // 2), ("control", controls, np.arange(controls))):
        if count:  # sine and cosine of a harmonic are one set, and so is a control; markets share its variance
            shape = (len(design.markets), count)
            found[name] = _scatter(name, shape, _MOVED_VARIANCE, _SPARSE_SHAPE, list(sets))
    return found


def _noise(design: MediaDesign) -> dict[str, pt.TensorVariable]:
    """Standard deviation of the noise of each series, how it lasts from week to week, and how effects compound."""
    units = design.panel.units()
    of_unit = np.array([units.index(series.unit) for series in design.panel.series])
    return {
        "sigma": pm.LogNormal("sigma", np.log(_NOISE), 0.7, shape=len(of_unit)),
        "persistence": pm.Beta("persistence", 1.5, 3.0, shape=len(units))[of_unit],
        "compounding": _share("compounding", len(units))[of_unit],
    }


def _share(name: str, size: int) -> pt.TensorVariable:
    """Shares of a uniform prior, by the normal distribution function: their tails are those that NUTS is used to."""
    standard = pm.Normal(f"{name}_standard", shape=size)
    return pm.Deterministic(name, 0.5 * pt.erfc(-standard / np.sqrt(2.0)))


def baseline_of(media_share: Array, effects: Array, compounding: Array) -> Array:
    """Baseline week by week as a share of the average outcome.

    Parameters
    ----------
    media_share : array, shape (draws,)
        What goes with media, as a share of the average outcome.
    effects : array, shape (draws, weeks)
        What level, trend, season and controls add, as shares of the average outcome.
    compounding : array, shape (draws,)
        From 0 (they add up) to 1 (they multiply).
    """
    kept = BEND * np.logaddexp(0.0, (1.0 - media_share) / BEND)[:, None]
    relative = effects / np.sqrt(kept**2 + REACH**2)
    added = ROUND * np.logaddexp(0.0, (1.0 + relative) / ROUND)
    return kept * (added + compounding[:, None] * (np.exp(relative) - added))


def predict_lifts(
    form: Form, parameters: dict[str, Array], factor: Array, data: dict[str, np.ndarray], lags: int
) -> Array:
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
    """
    mine = {name: value[data["lift_pair"]] for name, value in parameters.items()}
    weights = adstock_weights(form.adstock, mine, lags)
    treated = saturate(form.saturation, mine, carry_over(data["lift_treated"], weights))
    control = saturate(form.saturation, mine, carry_over(data["lift_control"], weights))
    gained = ((treated - control) * data["lift_weeks"]).sum(axis=1) * factor[data["lift_pair"]] * data["lift_money"]
    return (gained[:, None] * data["lift_of"]).sum(axis=0)
