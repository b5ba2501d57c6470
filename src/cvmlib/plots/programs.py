"""What pooling does to lifts: measured ones, and what they shrink to."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cvmlib.plots.style import BLUE, INK, MUTED, ORANGE, new_axes, note, percent_axis, styled, value_grid


@styled
def shrinkage(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "Lift") -> Axes:
    """Measured lifts as rings, pooled ones as points with their intervals, joined by a line.

    Parameters
    ----------
    frame : DataFrame
        ``name`` (text), ``measured``, ``mean``, ``low``, ``high`` (shares); drawn from the top in the order given.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label : str
        What the axis measures.
    """
    ax = new_axes(ax, height=max(1.8, 1.1 + 0.36 * len(frame)))
    if frame.empty:
        return note(ax, "Nothing to pool yet.")
    rows = frame.reset_index(drop=True)
    places = np.arange(len(rows))
    ax.axvline(0, color=MUTED, linewidth=0.8)
    ax.hlines(places, rows["low"], rows["high"], color=BLUE, linewidth=1.6)
    ax.hlines(places, rows["measured"], rows["mean"], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    ax.plot(
        rows["measured"], places, "o", markerfacecolor="white", markeredgecolor=ORANGE, markersize=7, label="measured"
    )
    ax.plot(rows["mean"], places, "o", color=BLUE, markeredgecolor="white", markersize=8, label="among its peers")
    ax.set_yticks(places, [str(name) for name in rows["name"]])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.spines["left"].set_visible(False)
    percent_axis(ax.xaxis, bins=5)
    value_grid(ax, "x")
    ax.set_xlabel(label)
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=9.5)
    return ax
