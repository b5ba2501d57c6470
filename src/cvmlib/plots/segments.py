"""Segments of customers: the four types as fields of a square, and how soon customers pay their acquisition back."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cvmlib.plots.style import (
    INK,
    LINES,
    MUTED,
    SERIES,
    direct_labels,
    new_axes,
    note,
    percent_axis,
    sequential_map,
    styled,
    text_on,
    top_label,
    value_grid,
)

_FIELDS = {"gold": (1, 1), "comet": (0, 1), "stream": (1, 0), "burden": (0, 0)}


@styled
def type_square(
    frame: pd.DataFrame, ax: Axes | None = None, *, across: str = "Purchases a year", up: str = "Margin per purchase"
) -> Axes:
    """Draw the four types as fields: rarely to often from the left, little to much from below; darker holds more value.

    Parameters
    ----------
    frame : DataFrame
        ``type`` (gold, comet, stream, burden), ``customer_share``, ``value_share`` (0 to 1).
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    across, up : str
        What the two directions measure.
    """
    ax = new_axes(ax, width=5.6, height=4.2)
    if frame.empty:
        return note(ax, "No customer can be told by type.")
    colors = sequential_map()
    largest = max(float(frame["value_share"].max()), 0.01)
    for row in frame.itertuples(index=False):
        x, y = _FIELDS[row.type]
        shade = colors(max(row.value_share, 0.0) / largest)
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor=shade, edgecolor="white", linewidth=2))
        ink = text_on(shade)
        ax.text(x + 0.5, y + 0.68, row.type.capitalize(), ha="center", va="center", fontsize=13, color=ink)
        told = f"{row.customer_share:.0%} of customers\n{row.value_share:.0%} of the value ahead"
        ax.text(x + 0.5, y + 0.36, told, ha="center", va="center", fontsize=10, color=ink)
    ax.set_xlim(0, 2)
    ax.set_ylim(0, 2)
    ax.set_xticks([0.5, 1.5], ["rarely", "often"])
    ax.set_yticks([0.5, 1.5], ["little", "much"])
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel(across)
    top_label(ax, up)
    return ax


@styled
def payback_curves(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "Customers who paid back") -> Axes:
    """Share of customers who have paid their acquisition cost back by so many months, one line per channel.

    Parameters
    ----------
    frame : DataFrame
        ``channel``, ``month``, ``paid``, ``low``, ``high`` (shares); the first channel is drawn with its interval.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label : str
        What is measured.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "Nobody was followed long enough.")
    ends = []
    for place, (channel, part) in enumerate(frame.groupby("channel", sort=False)):
        color = INK if place == 0 else SERIES[(place - 1) % len(SERIES)]
        month, paid = np.r_[0, part["month"]], np.r_[0.0, part["paid"]]
        ax.plot(month, paid, color=color, linestyle=LINES[place % len(LINES)], linewidth=2.4 if place == 0 else 1.6)
        if place == 0:
            ax.fill_between(part["month"], part["low"], part["high"], color=MUTED, alpha=0.2, linewidth=0)
        ends.append((float(month[-1]), float(paid[-1]), str(channel), color))
    ax.set_ylim(0, 1.02)
    ax.set_xlim(0, float(frame["month"].max()) * 1.02)
    percent_axis(ax.yaxis)
    value_grid(ax)
    ax.set_xlabel("Months after the first purchase")
    top_label(ax, label)
    direct_labels(ax, ends)
    return ax
