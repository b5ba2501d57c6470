"""Decisions: what a budget earns, and which promises were kept."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cvmlib.plots.style import (
    BLUE,
    INK,
    LINES,
    MUTED,
    SERIES,
    VERMILION,
    magnitude,
    new_axes,
    note,
    number_axis,
    styled,
    value_grid,
)


@styled
def budget_curves(
    curves: Mapping[str, pd.DataFrame], now: Mapping[str, float], ax: Axes | None = None, *, unit: str = ""
) -> Axes:
    """What each budget is expected to earn, net of itself; today's budget is a ring.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        By name: ``cost`` and ``value`` (money), from the smallest budget to the largest.
    now : mapping of str to float
        What the plan of today costs, by name.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    unit : str
        The currency.
    """
    ax = new_axes(ax, height=3.6)
    drawn = {name: curve for name, curve in curves.items() if len(curve) > 1 and curve["cost"].max() > 0}
    if not drawn:
        return note(ax, "No budget to compare.")
    by, word = magnitude(max(curve["value"].abs().max() for curve in drawn.values()))
    wide, across = magnitude(max(curve["cost"].max() for curve in drawn.values()))
    for (name, curve), color, dashes in zip(drawn.items(), cycle(SERIES), cycle(LINES), strict=False):
        table = curve.sort_values("cost")
        ax.plot(table["cost"], table["value"], linestyle=dashes, color=color, linewidth=2, label=name)
        at = np.interp(now[name], table["cost"], table["value"])
        ax.plot(now[name], at, "o", color=color, markerfacecolor="white", markeredgewidth=2, markersize=8)
    number_axis(ax.xaxis, wide, bins=5)
    number_axis(ax.yaxis, by, bins=5)
    value_grid(ax, "y")
    ax.set_xlabel(f"Spent on contacts ({across}{unit})")
    ax.set_ylabel(f"Expected value less cost ({word}{unit})")
    if len(drawn) > 1:
        ax.legend(frameon=False, loc="lower right", fontsize=9.5)
    return ax


@styled
def kept_promises(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "Outcome over forecast") -> Axes:
    """Forecast ranges and outcomes, each divided by its forecast; outcomes out of range stand out.

    Parameters
    ----------
    frame : DataFrame
        ``name``, ``low``, ``high``, ``actual`` (as multiples of the forecast), ``inside``; drawn from the left.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label : str
        What is measured.
    """
    ax = new_axes(ax, width=7.4, height=3.6)
    if frame.empty:
        return note(ax, "No forecast has come to its end yet.")
    rows = frame.reset_index(drop=True)
    places, inside = np.arange(len(rows)), rows["inside"].to_numpy(bool)
    ax.axhline(1.0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    ax.vlines(places, rows["low"], rows["high"], color=BLUE, linewidth=5, alpha=0.35)
    ax.plot(places[inside], rows["actual"][inside], "o", color=INK, markersize=5, label="happened, within the range")
    ax.plot(places[~inside], rows["actual"][~inside], "D", color=VERMILION, markersize=6, label="out of the range")
    first = rows.groupby("name", sort=False).apply(lambda part: part.index[0], include_groups=False)
    ax.set_xticks(first.to_numpy(), first.index, fontsize=9)
    number_axis(ax.yaxis, 1.0, bins=5)
    value_grid(ax, "y")
    ax.set_ylabel(label)
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, fontsize=9.5)
    return ax
