"""Figures of a media mix: what each channel answers to more or less spend, and the parts of the outcome."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cvmlib.plots.style import (
    LINES,
    SERIES,
    direct_labels,
    magnitude,
    new_axes,
    note,
    number_axis,
    styled,
    top_label,
    value_grid,
)

MOST = 6


@styled
def response_curves(frame: pd.DataFrame, ax: Axes | None = None, *, unit: str = "") -> Axes:
    """Weekly response to weekly spend: a line with its interval as far as such spend was observed, dotted beyond.

    Parameters
    ----------
    frame : DataFrame
        ``channel``, ``level`` (1 is today), ``spend``, ``response``, ``response_low``, ``response_high``, ``observed``;
        at most six channels are drawn, those of the largest response.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    unit : str
        Currency.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "There is no response to draw.")
    size = frame.groupby("channel")["response"].max().sort_values(ascending=False).head(MOST)
    divisor, word = magnitude(float(frame[["response_high"]].abs().max().iloc[0]))
    ends = []
    for index, channel in enumerate(size.index):
        curve = frame[frame["channel"] == channel].sort_values("level")
        color, line = SERIES[index % len(SERIES)], LINES[index % len(LINES)]
        seen = curve[curve["observed"]]
        ax.plot(curve["spend"], curve["response"], color=color, linestyle=":", linewidth=1.2)
        ax.plot(seen["spend"], seen["response"], color=color, linestyle=line)
        ax.fill_between(
            seen["spend"], seen["response_low"], seen["response_high"], color=color, alpha=0.15, linewidth=0
        )
        today = curve.iloc[int(np.argmin(np.abs(curve["level"] - 1.0)))]
        ax.plot([today["spend"]], [today["response"]], "o", color=color, markeredgecolor="white", markersize=8)
        ends.append((float(curve["spend"].iloc[-1]), float(curve["response"].iloc[-1]), channel, color))
    number_axis(ax.yaxis, divisor)
    number_axis(ax.xaxis, magnitude(float(frame["spend"].max()))[0])
    value_grid(ax)
    top_label(ax, f"Brought per week ({word}{unit})")
    ax.set_xlabel(f"Spent per week ({magnitude(float(frame['spend'].max()))[1]}{unit})")
    direct_labels(ax, ends)
    return ax
