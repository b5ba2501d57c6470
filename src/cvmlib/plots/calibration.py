"""Whether probabilities keep what they promise."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cvmlib.plots.style import BLUE, INK, LINES, new_axes, note, percent_axis, styled, top_label, value_grid


@styled
def reliability(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "", of: str = "") -> Axes:
    """Shares that came true against the probabilities that were predicted; a right forecast lies on the diagonal.

    Parameters
    ----------
    frame : DataFrame
        ``predicted``, ``actual``, ``low``, ``high`` (shares; interval of the actual one), a row per group.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, of : str
        What came true, and what was predicted.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "Nothing to compare yet.")
    top = min(1.0, 1.08 * float(frame[["predicted", "high"]].to_numpy().max()))
    ax.plot([0, top], [0, top], color=INK, linestyle=LINES[2], linewidth=1.0, label="as predicted")
    ax.vlines(frame["predicted"], frame["low"], frame["high"], color=BLUE, linewidth=1.8)
    ax.plot(frame["predicted"], frame["actual"], "o", color=BLUE, markersize=6, label="what happened")
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    percent_axis(ax.xaxis)
    percent_axis(ax.yaxis)
    value_grid(ax)
    ax.set_xlabel(of)
    top_label(ax, label)
    ax.legend(frameon=False, loc="upper left", fontsize=9.5)
    return ax


@styled
def pit(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "") -> Axes:
    """Histogram of the probability integral transform; a right forecast is flat.

    Parameters
    ----------
    frame : DataFrame
        ``low``, ``high`` (of the bin), ``share``, ``expected``, ``standard_error``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label : str
        What is shared out.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "Nothing to compare yet.")
    width = (frame["high"] - frame["low"]).to_numpy()
    ax.bar(frame["low"], frame["share"], width=0.94 * width, align="edge", color=BLUE, alpha=0.35, linewidth=0)
    expected, error = float(frame["expected"].iloc[0]), float(frame["standard_error"].iloc[0])
    ax.axhline(expected, color=INK, linestyle=LINES[2], linewidth=1.2)
    ax.axhspan(expected - 2 * error, expected + 2 * error, color=INK, alpha=0.08, linewidth=0)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, max(2 * expected, 1.1 * float(np.max(frame["share"]))))
    percent_axis(ax.yaxis)
    value_grid(ax)
    ax.set_xlabel("Place of the actual purchases in the forecast distribution")
    top_label(ax, label)
    return ax
