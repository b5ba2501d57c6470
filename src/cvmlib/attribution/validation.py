"""Attribution against the truth, where it is known: the error and the bias of every method, channel by channel."""

from collections.abc import Mapping

import numpy as np
import pandas as pd


def score_methods(methods: pd.DataFrame, truth: Mapping[str, float], leave_out: tuple[str, ...] = ()) -> pd.DataFrame:
    """Compare what methods credit channels with to what these caused.

    Parameters
    ----------
    methods : pandas.DataFrame
        method, channel, conversions; optionally low and high.
    truth : mapping of str to float
        Conversions that each channel caused.
    leave_out : tuple of str
        Channels that are no marketing, such as direct visits.

    Returns
    -------
    pandas.DataFrame
        method, channel, credited, caused, bias (credited less caused, conversions), inside (whether what was caused
        lies in the interval; NaN without one).
    """
    rows = methods[methods["channel"].isin(list(truth)) & ~methods["channel"].isin(leave_out)]
    caused = rows["channel"].map(truth).astype(float)
    scored = rows[["method", "channel"]].assign(credited=rows["conversions"], caused=caused)
    scored["bias"] = scored["credited"] - scored["caused"]
    scored["inside"] = np.nan
    if {"low", "high"} <= set(rows.columns):
        scored["inside"] = ((rows["low"] <= caused) & (caused <= rows["high"])).astype(float)
    return scored.reset_index(drop=True)


def summarise_errors(scored: pd.DataFrame) -> pd.DataFrame:
    """Summarise the errors of each method over its channels.

    Returns
    -------
    pandas.DataFrame
        method, channels, error (mean absolute bias, conversions), relative (sum of absolute biases over what all
        channels caused), bias (mean, conversions), inside (share of intervals that hold the truth), smallest error
        first.
    """
    parts = scored.assign(absolute=scored["bias"].abs()).groupby("method", as_index=False)
    table = parts.agg(
        channels=("channel", "size"),
        error=("absolute", "mean"),
        total=("absolute", "sum"),
        caused=("caused", "sum"),
        bias=("bias", "mean"),
        inside=("inside", "mean"),
    )
    table["relative"] = table["total"] / table["caused"]
    names = ["method", "channels", "error", "relative", "bias", "inside"]
    return table[names].sort_values("error", ignore_index=True)
