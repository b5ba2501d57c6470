"""What methods of attribution say of each channel, side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cvmlib.plots.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    RULE,
    VERMILION,
    new_axes,
    note,
    percent_axis,
    styled,
    value_grid,
)

_MARKS = (("v", ORANGE), ("o", BLUE), ("s", GREEN), ("P", MUTED), ("X", INK))


@styled
def method_shares(
    frame: pd.DataFrame,
    credits: Mapping[str, str],
    causes: Mapping[str, str],
    ax: Axes | None = None,
    *,
    spread: Sequence[str] = (),
    label: str = "Share of all conversions",
) -> Axes:
    """Shares by channel and method: who is credited, and what was caused.

    Parameters
    ----------
    frame : DataFrame
        method, channel, share, low, high (0 to 1); channels are drawn from the top in the order of the rows.
    credits, causes : mapping of str to str
        Methods to draw, and their names: those that share everything out (hollow marks) and those that say what was
        caused (diamonds, with their intervals).
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    spread : sequence of str
        Methods whose smallest and largest share make the grey band of a channel.
    label : str
        What is measured.
    """
    channels = list(dict.fromkeys(frame["channel"]))
    ax = new_axes(ax, width=7.0, height=max(2.2, 1.3 + 0.46 * len(channels)))
    if frame.empty:
        return note(ax, "Nothing to compare yet.")
    place = {name: number for number, name in enumerate(channels)}
    for channel, part in frame[frame["method"].isin(spread)].groupby("channel"):
        low, high = part["share"].min(), part["share"].max()
        ax.barh(place[channel], high - low, left=low, height=0.5, color=RULE, linewidth=0, zorder=1)
    for (method, name), (mark, color) in zip(credits.items(), _MARKS, strict=False):
        part = frame[frame["method"] == method]
        y = part["channel"].map(place)
        ax.plot(part["share"], y, mark, color=color, markerfacecolor="white", markeredgewidth=1.6, label=name, zorder=3)
    offsets = np.linspace(-0.14, 0.14, len(causes)) if len(causes) > 1 else [0.0]
    for (method, name), offset, color in zip(causes.items(), offsets, (VERMILION, INK, MUTED), strict=False):
        part = frame[frame["method"] == method]
        y = part["channel"].map(place) + offset
        ax.hlines(y, part["low"], part["high"], color=color, linewidth=2, zorder=4)
        ax.plot(part["share"], y, "D", color=color, markersize=5.5, label=name, zorder=5)
    ax.axvline(0.0, color=MUTED, linewidth=0.8, zorder=0)
    ax.set_yticks(np.arange(len(channels)), channels)
    ax.set_ylim(len(channels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    percent_axis(ax.xaxis)
    value_grid(ax, "x")
    ax.set_xlabel(label)
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=4, fontsize=9.5)
    return ax
