"""Money back for money spent, and the verdict: scale, keep, retest or stop, with its probability."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.programs.pooling import Pooled

Array = npt.NDArray[np.float64]

SCALE, KEEP, STOP = 0.95, 0.80, 0.10
"""Probability of a return above the hurdle from which a program is scaled or kept, and below which it is stopped."""

VERDICTS = ("scale", "keep", "retest", "stop", "withheld", "not measured")


def judge(probability: float) -> str:
    """Return the verdict on a program from the probability that its return exceeds the hurdle.

    ``scale`` from 0.95, ``keep`` from 0.80, ``stop`` up to 0.10, otherwise ``retest``; also where it is unknown (a cost
    or an outcome is missing).
    """
    if not np.isfinite(probability):
        return "retest"
    if probability >= SCALE:
        return "scale"
    return "keep" if probability >= KEEP else "stop" if probability <= STOP else "retest"


def break_even(worth: Array, cost: Array, hurdle: float | Array) -> Array:
    """Lift (as a share of the control mean) at which the margin is `hurdle` times the cost.

    Parameters
    ----------
    worth : array
        Margin that the treated would have brought untreated: what a lift of 100% would add, in money.
    cost : array
        What the program cost, in money; missing stays missing.
    hurdle : float or array
        Margin asked for per unit of cost.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(worth) > 0, np.asarray(hurdle) * np.asarray(cost) / np.asarray(worth), np.nan)


def value_programs(pooled: Pooled, worth: Array, cost: Array, hurdle: float | Array, interval: float) -> pd.DataFrame:
    """Turn pooled lifts into money.

    Parameters
    ----------
    pooled : Pooled
        Draws of the lifts.
    worth, cost : array, shape (programs,)
        As in `break_even`.
    hurdle : float or array
        Margin asked for per unit of cost.
    interval : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        pooled, pooled_low, pooled_high (lift as a share of the control mean); gain, gain_low, gain_high (incremental
        margin, money); back, back_low, back_high (margin per unit of cost); probability (of a return above the
        hurdle), verdict.
    """
    ends = [(1 - interval) / 2, (1 + interval) / 2]
    mean, (low, high) = pooled.mean_lift(), np.expm1(np.quantile(pooled.theta, ends, axis=0))
    threshold = break_even(worth, cost, hurdle)
    probability = np.where(np.isfinite(threshold), pooled.probability_above(np.nan_to_num(threshold)), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(np.asarray(cost) > 0, np.asarray(worth) / np.asarray(cost), np.nan)
    frame = pd.DataFrame({"pooled": mean, "pooled_low": low, "pooled_high": high})
    for name, factor in (("gain", worth), ("back", rate)):
        for end, values in (("", mean), ("_low", low), ("_high", high)):
            frame[f"{name}{end}"] = values * factor
    return frame.assign(probability=probability, verdict=[judge(p) for p in probability])


def sum_gains(pooled: Pooled, worth: Array, interval: float) -> dict[str, float]:
    """Add up the incremental margin of all programs, draw by draw: mean, low, high (money)."""
    total = np.expm1(pooled.theta) @ np.asarray(worth, float)
    low, high = np.quantile(total, [(1 - interval) / 2, (1 + interval) / 2]) if total.size else (0.0, 0.0)
    return {
        "mean": float(pooled.mean_lift() @ np.asarray(worth, float)),
        "low": float(low),
        "high": float(high),
    }
