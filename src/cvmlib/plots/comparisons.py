"""What was expected against what was seen, class by class."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from cvmlib.plots.style import (
    BLUE,
    INK,
    LINES,
    new_axes,
    note,
    number_axis,
    percent_axis,
    styled,
    top_label,
    value_grid,
)


@styled
def compared_bars(
    classes: Sequence[str],
    series: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
    *,
    label: str = "",
    of: str = "",
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> Axes:
    """Bars of what was seen, and marks of what was expected, for each class.

    Parameters
    ----------
    classes : sequence of str
        Names of the classes, from the left.
    series : mapping of str to sequence of float
        Two series: the first is drawn as bars, the second as marks joined by a line.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, of : str
        What is measured, and what the classes are classes of.
    low, high : sequence of float, optional
        Interval of the second series.
    """
    ax = new_axes(ax)
    if not len(classes):
        return note(ax, "Nothing to compare yet.")
    places = np.arange(len(classes))
    (seen_name, seen), (expected_name, expected) = series.items()
    seen, expected = np.asarray(seen, float), np.asarray(expected, float)
    ax.bar(places, seen, width=0.66, color=BLUE, alpha=0.35, linewidth=0, label=seen_name)
    if low is not None and high is not None:
        ax.vlines(places, low, high, color=INK, linewidth=1.6)
    ax.plot(places, expected, "o", color=INK, linestyle=LINES[2], linewidth=1.2, markersize=5, label=expected_name)
    room = max(5, 60 // len(classes))  # characters of a name before it is broken into lines
    ax.set_xticks(places, [textwrap.fill(str(name), room, break_long_words=False) for name in classes])
    number_axis(ax.yaxis)
    value_grid(ax)
    ax.set_xlabel(of)
    top_label(ax, label)
    ax.legend(frameon=False, loc="best", fontsize=9.5)
    return ax


@styled
def value_bars(
    classes: Sequence[str], shares: Sequence[float], ax: Axes | None = None, *, label: str = "", of: str = ""
) -> Axes:
    """Bars of shares by class, each with its share written on top.

    Parameters
    ----------
    classes : sequence
        Names of the classes, from the left.
    shares : sequence of float
        Shares; they may be negative.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, of : str
        What is measured, and what the classes are classes of.
    """
    ax = new_axes(ax, height=3.1)
    places, heights = np.arange(len(classes)), np.asarray(shares, float)
    ax.bar(places, heights, width=0.72, color=BLUE, alpha=0.75, linewidth=0)
    for place, height in zip(places, heights, strict=True):
        ax.annotate(
            f"{height:.0%}", (place, height), xytext=(0, 3 if height >= 0 else -11), textcoords="offset points",
            ha="center", fontsize=9.5,
        )  # fmt: skip
    ax.set_xticks(places, [str(name) for name in classes])
    percent_axis(ax.yaxis)
    value_grid(ax)
    ax.margins(y=0.12)
    ax.set_xlabel(of)
    top_label(ax, label)
    return ax
