"""Uplift by segment: shrunk towards the program's own lift, so that the best of many segments is not just the luckiest.

Each dimension of a program is a small pool of its own (`cvmlib.programs.pooling`): levels are exchangeable, their
spread is learned, and where nothing but chance tells them apart they all come out alike.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.programs.pooling import pool_lifts
from cvmlib.programs.sharpening import widen_error

FEWEST_BUYERS = 20
"""Conversions in either arm below which a segment is too small to have a lift of its own."""

OUTSTANDING = 0.975
"""Posterior probability from which a segment is said to differ from the program's other segments."""


def shrink_segments(lifts: pd.DataFrame, interval: float, *, draws: int = 2_000, seed: int = 1) -> pd.DataFrame:
    """Shrink the lift of every level of every dimension.

    Parameters
    ----------
    lifts : DataFrame
        From `cvmlib.programs.lift.measure_lift`.
    interval : float
        Probability of the intervals.
    draws, seed : int
        Posterior draws and their seed.

    Returns
    -------
    DataFrame
        program_id, dimension, level, treated, control, measured (raw lift as a share of the control mean), pooled, low,
        high (shrunk), above (probability of a lift above the median of the other segments), outstanding
        (whether that is beyond `OUTSTANDING` either way), levels (segments looked at in the dimension).
    """
    frames = []
    buyers = np.minimum(lifts["treated"] * lifts["rate_treated"], lifts["control"] * lifts["rate_control"])
    usable = lifts["log_ratio"].notna() & (lifts["log_ratio_se"] > 0) & (lifts["dimension"] != "")
    for _, part in lifts[usable & (buyers >= FEWEST_BUYERS)].groupby(["program_id", "dimension"], sort=True):
        if len(part) < 2:
            continue
        measured, se = part["log_ratio"].to_numpy(float), widen_error(part)
        pooled = pool_lifts(measured, se, np.zeros(len(part), int), draws=draws, seed=seed)
        low, high = np.quantile(pooled.theta, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
        above = np.array([_above_others(pooled.theta, level) for level in range(len(part))])
        frames.append(
            part[["program_id", "dimension", "level", "treated", "control"]].assign(
                measured=np.expm1(measured),
                pooled=pooled.mean_lift(),
                low=np.expm1(low),
                high=np.expm1(high),
                above=above,
                outstanding=np.maximum(above, 1 - above) >= OUTSTANDING,
                levels=len(part),
            )
        )
    if not frames:
        names = "program_id dimension level treated control measured pooled low high above outstanding levels"
        return pd.DataFrame(columns=names.split())
    return pd.concat(frames, ignore_index=True)


def _above_others(theta: npt.NDArray[np.float64], level: int) -> float:
    """Probability that one level's lift exceeds the median of the others; even odds where they are all alike."""
    others = np.median(np.delete(theta, level, axis=1), axis=1)
    return float((theta[:, level] > others).mean())
