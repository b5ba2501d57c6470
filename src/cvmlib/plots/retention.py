"""The risk of leaving by tenure: what was counted, and what is believed."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cvmlib.plots.style import (
    LINES,
    SERIES,
    direct_labels,
    new_axes,
    note,
    number_axis,
    percent_axis,
    styled,
    top_label,
    value_grid,
)


@styled
def hazard(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    group: str | None = None,
    label: str = "Share who leave in the month",
    time_label: str = "Months since joining",
) -> Axes:
    """Risk of leaving per month of tenure: a curve with its interval per group, the counted shares as points.

    Parameters
    ----------
    frame : DataFrame
        ``tenure`` (months), ``hazard``, ``hazard_low``, ``hazard_high`` (0 to 1), and optionally ``raw`` (churned /
        at risk), ``at_risk`` (points of months with fewer than 30 are left out) and the column named by `group`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    group : str, optional
        Column whose values are drawn as separate curves, at most six of them told apart by colour and line style.
    label, time_label : str
        What is drawn, and the unit of time.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "There is nobody to follow yet.")
    curves = [("", frame)] if group is None else list(frame.groupby(group, sort=False))
    ends = []
    for index, (name, curve) in enumerate(curves):
        curve = curve.sort_values("tenure")
        color, line = SERIES[index % len(SERIES)], LINES[index % len(LINES)]
        ax.fill_between(
            curve["tenure"], curve["hazard_low"], curve["hazard_high"], color=color, alpha=0.18, linewidth=0
        )
        ax.plot(curve["tenure"], curve["hazard"], color=color, linestyle=line)
        if "raw" in curve:
            enough = curve[curve["at_risk"] >= 30] if "at_risk" in curve else curve
            ax.plot(enough["tenure"], enough["raw"], ".", color=color, markersize=4, alpha=0.7)
        ends.append((float(curve["tenure"].iloc[-1]), float(curve["hazard"].iloc[-1]), str(name), color))
    top = np.nanmax(frame["hazard"])
    ax.set_ylim(0, min(1.0, 1.6 * float(top)))
    ax.set_xlim(left=0)
    ax.margins(x=0.01)
    percent_axis(ax.yaxis)
    number_axis(ax.xaxis, whole=True)
    value_grid(ax)
    top_label(ax, label)
    ax.set_xlabel(time_label)
    direct_labels(ax, [end for end in ends if end[2]])
    return ax
