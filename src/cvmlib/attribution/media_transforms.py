"""Adstock and saturation: how spend carries over to later weeks, and how its effect flattens.

Adstock weights add up to one: carry-over moves an effect in time
and does not make it larger. Spend is in multiples of the channel's own weekly average.

Forms of adstock: geometric; delayed (Jin, Wang, Sun, Chan and Koehler 2017, *Bayesian methods for media mix modeling
with carryover and shape effects*, eq. 2); Weibull, by its density. Forms of saturation: Hill (eq. 5 there), logistic.
"""

from types import ModuleType
from typing import Any

import numpy as np

ADSTOCKS = {"geometric": ("decay",), "delayed": ("decay", "delay"), "weibull": ("shape", "scale")}
"""Parameters of each form of adstock."""

SATURATIONS = {"hill": ("half", "slope"), "logistic": ("rate",)}
"""Parameters of each form of saturation."""

TINY = 1e-9
"""Added to spend before its logarithm is taken, in multiples of the average."""


def adstock_weights(form: str, parameters: dict[str, Any], lags: int, xp: ModuleType = np) -> Any:
    """Compute the share of an effect that comes 0, 1, … weeks after the spend.

    Parameters
    ----------
    form : {"geometric", "delayed", "weibull"}
        Form of the carry-over.
    parameters : dict
        Arrays of shape (...): ``decay`` (0 to 1) and ``delay`` (weeks), or ``shape`` and ``scale`` (weeks).
    lags : int
        Weeks, the first included.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array, shape (..., lags)
        Adding up to 1.
    """
    week = np.arange(lags, dtype=float)
    first = parameters[ADSTOCKS[form][0]][..., None]
    if form == "geometric":
        raw = first**week
    elif form == "delayed":
        raw = first ** ((week - parameters["delay"][..., None]) ** 2)
    else:
        ratio = (week + 0.5) / parameters["scale"][..., None]
        raw = ratio ** (first - 1.0) * xp.exp(-(ratio**first))
    return raw / raw.sum(axis=-1, keepdims=True)


def carry_over(lagged: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum spend over its lags.

    Parameters
    ----------
    lagged : array, shape (..., weeks, lags)
        Spend of each week and the weeks before it, see `lag_spend`.
    weights : array, shape (..., lags)
        From `adstock_weights`.

    Returns
    -------
    array, shape (..., weeks)
    """
    return (lagged * weights[..., None, :]).sum(axis=-1)


def saturate(form: str, parameters: dict[str, np.ndarray], carried: np.ndarray) -> np.ndarray:
    """Compute the response to carried-over spend, 0 without spend and below 1.

    Parameters
    ----------
    form : {"hill", "logistic"}
        Form of the saturation.
    parameters : dict
        Arrays of shape (...): ``half`` (spend of half the largest response) and ``slope``, or ``rate``.
    carried : array, shape (..., weeks)
        Carried-over spend, not negative.

    Returns
    -------
    array, shape (..., weeks)
    """
    if form == "hill":
        ratio = (carried + TINY) / parameters["half"][..., None]
        return 1.0 / (1.0 + np.exp(-parameters["slope"][..., None] * np.log(ratio)))
    return np.tanh(0.5 * parameters["rate"][..., None] * carried)


def lag_spend(spend: np.ndarray, lags: int) -> np.ndarray:
    """Lay the spend of each week beside that of the weeks before it.

    What was spent before the first week is unknown; it is taken as the average of the first `lags` weeks.

    Parameters
    ----------
    spend : array, shape (..., weeks)
        Weekly spend.
    lags : int
        Weeks, the first included.

    Returns
    -------
    array, shape (..., weeks, lags)
    """
    before = np.repeat(spend[..., :lags].mean(axis=-1, keepdims=True), lags - 1, axis=-1)
    whole = np.concatenate([before, spend], axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(whole, lags, axis=-1)
    return np.ascontiguousarray(windows[..., ::-1])
