r"""From parameters to the risk of each month of tenure: the formulas of the retention models, for arrays.

The cumulative risk of a group of subscribers is :math:`-\log` of the share still there; its growth in month *k* is
:math:`\Lambda_k`, and a subscriber leaves in it with probability :math:`1 - e^{-\Lambda_k}`.

**sBG and BdW** are stated by three numbers that the data tell apart, instead of (a, b, c): the cumulative risk *q* at a
reference tenure, the shape *a* (how alike subscribers are: the squared coefficient of variation of the propensity to
leave is near 1/a), and the slope *s* of the log of the cumulative risk in log exposure there. With the exposure *C* at
the reference tenure,

.. math:: b = C / (e^{q/a} - 1), \qquad c = s / f, \qquad f = \frac{1 - e^{-q/a}}{q/a}

to the order of 1/b. Effects of covariates are stated on the cumulative risk at the reference tenure as well; that on a
given person's propensity is 1/f times as large, since those prone to leave go first, which makes groups alike.

A renewal month that nobody has reached yet has between none and all of the multiplier of those before: contracts may
end there again, or may not.

**Hazard**: the log of :math:`\Lambda_k` is a level, a slope in log tenure and a smooth curve (complementary log-log
link: an effect is a log ratio of propensities, as in the BdW). Effects drift with log tenure, around a typical month
of leaving, to which the effects themselves belong.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from cvmlib.churn.bdw import log_survival

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_CURVES = 4


def month_multipliers(tenures: Integers, renewal: int) -> dict[str, Array]:
    """Months that have a multiplier of their own, as 0 and 1 by month.

    Returns
    -------
    dict
        ``log_joining`` (month 0, shorter than others; only where it is in `tenures`), ``log_first`` (the first full
        month) and, with `renewal` > 0, ``log_renewal`` (every `renewal` months).
    """
    found = {"log_joining": tenures == 0} if tenures[0] == 0 else {}
    found["log_first"] = tenures == 1
    if renewal:
        found["log_renewal"] = (tenures > 0) & (tenures % renewal == 0)
    return {name: months.astype(float) for name, months in found.items()}


def reference_month(tenures: Integers) -> int:
    """Place of the reference tenure among `tenures`: the middle of the months on record."""
    return len(tenures) // 2


def attenuation(log_risk: Array, log_shape: Array) -> Array:
    """Return *f*: how much smaller effects are among subscribers at the reference tenure than on one person."""
    ratio = np.exp(log_risk - log_shape)
    return -np.expm1(-ratio) / ratio


def published_parameters(values: Mapping[str, Array], tenures: Integers, observed: int, renewal: int) -> dict:
    """Parameters of the beta-discrete-Weibull as published, from those that are sampled.

    Parameters
    ----------
    values : mapping of str to array, shape (..., units)
        log_risk, log_shape and, unless the model is the sBG, log_slope; log multipliers of months; optionally repeat
        (from 0 to 1), the share of the log multiplier that renewals beyond the observed months have (otherwise all).
    tenures : int array, shape (months,)
        Months of tenure, the observed ones first.
    observed : int
        How many of them were observed: the reference tenure is in their middle.
    renewal : int
        Months between renewals; 0 for none.

    Returns
    -------
    dict
        a, b, c, shape (..., units), and exposure, shape (..., units, months), at covariates' multiplier 1.
    """
    factor = attenuation(values["log_risk"], values["log_shape"])
    c = np.exp(values["log_slope"]) / factor if "log_slope" in values else np.ones_like(factor)
    t, earlier = np.maximum(tenures, 1).astype(float), np.maximum(tenures - 1, 0).astype(float)
    steps = t ** c[..., None] - earlier ** c[..., None]
    multipliers = month_multipliers(tenures, renewal)
    bumps = sum((values[key][..., None] * multipliers[key] for key in multipliers if key in values), 0.0)
    bumps = bumps - _unrepeated(values, tenures, observed, renewal)
    grown = np.cumsum(steps * np.exp(bumps), axis=-1)
    a = np.exp(values["log_shape"])
    b = grown[..., reference_month(tenures[:observed])] / np.expm1(np.exp(values["log_risk"]) / a)
    return {"a": a, "b": b, "c": c, "exposure": grown}


def _unrepeated(values: Mapping[str, Array], tenures: Integers, observed: int, renewal: int) -> Array | float:
    """Part of the log multiplier that renewals beyond the observed months have not: shape (..., units, months)."""
    if "repeat" not in values or "log_renewal" not in values:
        return 0.0
    beyond = month_multipliers(tenures, renewal)["log_renewal"] * (np.arange(len(tenures)) >= observed)
    return ((1.0 - values["repeat"]) * values["log_renewal"])[..., None] * beyond


def smooth_curves(tenures: Integers, observed: int, renewal: int) -> Array:
    """Curves of which the smooth part of the log hazard is made: shape (curves, months).

    They are the leading principal curves of a Brownian motion in log tenure over the observed months, less what level,
    slope and the months with a multiplier of their own can say, and turned so that the data tell them apart. Both are
    judged with the weights that a steady stream of joiners gives to the months. Beyond the observed months the last
    value holds.

    Parameters
    ----------
    tenures : int array, shape (months,)
        Months of tenure, the observed ones first.
    observed : int
        Number of observed months.
    renewal : int
        Months between renewals; 0 for none.
    """
    seen = tenures[:observed]
    log_tenure = np.log(np.maximum(seen, 0.5))
    covariance = np.minimum.outer(log_tenure, log_tenure) - log_tenure.min()
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1][: min(_CURVES, max(observed - 4, 0))]
    curves = vectors[:, order] * np.sqrt(np.maximum(values[order], 0.0))
    weight = np.sqrt(_steady_weights(seen))
    fixed = np.column_stack([np.ones(observed), log_tenure, *month_multipliers(seen, renewal).values()])
    curves -= fixed @ np.linalg.lstsq(fixed * weight[:, None], curves * weight[:, None], rcond=None)[0]
    curves = (curves @ np.linalg.eigh((curves * weight[:, None] ** 2).T @ curves)[1][:, ::-1]).T
    curves *= np.where(curves[:, -1:] < 0, -1.0, 1.0)
    return np.concatenate([curves, np.repeat(curves[:, -1:], len(tenures) - observed, axis=1)], axis=1)


def _steady_weights(seen: Integers) -> Array:
    """Weight of each observed month under a steady stream of joiners and a hazard that falls as 1 / tenure."""
    return np.arange(len(seen), 0, -1) / np.maximum(seen, 1)


def drift_curve(tenures: Integers, observed: int) -> Array:
    """Log tenure less that of a typical month of leaving, by month: what the drift of effects is multiplied by.

    Typical is the mean with the weights that a steady stream of joiners gives to the months. Beyond the observed months
    the last value holds.

    Parameters
    ----------
    tenures : int array, shape (months,)
        Months of tenure, the observed ones first.
    observed : int
        Number of observed months.
    """
    log_tenure = np.log(np.clip(tenures, 1, tenures[observed - 1]))
    return log_tenure - np.average(log_tenure[:observed], weights=_steady_weights(tenures[:observed]))


def hazard_basis(tenures: Integers, observed: int, renewal: int) -> Array:
    """Rows of the log hazard of the smooth model: level, slope, months with a multiplier, curves; (rows, months)."""
    middle = tenures[reference_month(tenures[:observed])]
    slope = np.log(np.maximum(tenures, 1) / middle)
    multipliers = list(month_multipliers(tenures, renewal).values())
    return np.vstack([np.ones(len(tenures)), slope, *multipliers, smooth_curves(tenures, observed, renewal)])


def risk_increments(
    name: str,
    values: Mapping[str, Array],
    tenures: Integers,
    observed: int,
    renewal: int,
    unit: Integers,
    patterns: Array,
) -> Array:
    r"""Growth :math:`\Lambda` of the cumulative risk of leaving of each block in each month of tenure.

    Parameters
    ----------
    name : {"sbg", "bdw", "hazard"}
        The model.
    values : mapping of str to array, shape (draws, units) or (draws, units, contrasts or curves)
        Draws of the parameters, and repeat as in `published_parameters`.
    tenures : int array, shape (months,)
        Months of tenure, the observed ones first.
    observed : int
        How many were observed.
    renewal : int
        Months between renewals; 0 for none.
    unit : int array, shape (blocks,)
        Unit of each block.
    patterns : array, shape (blocks, contrasts)
        Covariate pattern of each block in contrasts.

    Returns
    -------
    array, shape (draws, blocks, months)
        The hazard is ``1 - exp(-Λ)``.
    """
    effect = np.einsum("dbj,bj->db", values["effect"][:, unit], patterns) if "effect" in values else None
    if name == "hazard":
        weights = np.concatenate([hazard_weights(values, tenures[:observed]), values["smooth"]], axis=-1)
        curve = weights @ hazard_basis(tenures, observed, renewal)
        curve = curve - _unrepeated(values, tenures, observed, renewal)
        if effect is None:
            return np.exp(curve[:, unit])
        drift = np.einsum("dbj,bj->db", values["drift"][:, unit], patterns)
        return np.exp(curve[:, unit] + effect[..., None] + drift[..., None] * drift_curve(tenures, observed))
    found = published_parameters(values, tenures, observed, renewal)
    grown = found["exposure"][:, unit]
    if effect is not None:
        factor = attenuation(values["log_risk"], values["log_shape"])
        grown = grown * np.exp(effect / factor[:, unit])[..., None]
    log_share = log_survival(grown, found["a"][:, unit][..., None], found["b"][:, unit][..., None])
    return -np.diff(log_share, axis=-1, prepend=0.0)


def hazard_weights(values: Mapping[str, Array], tenures: Integers) -> Array:
    """Weights of the level, the slope and the months' multipliers in `hazard_basis`: shape (draws, units, rows)."""
    level = values["log_risk"] - np.log(tenures[reference_month(tenures)])
    bumps = [values[key] for key in ("log_joining", "log_first", "log_renewal") if key in values]
    return np.stack([level, values["slope"], *bumps], axis=-1)
