"""Courses over time: what happened against what was expected, and curves of survival."""

from datetime import date

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cvmlib.plots.style import (
    BLUE,
    INK,
    LINES,
    MUTED,
    SERIES,
    direct_labels,
    magnitude,
    new_axes,
    note,
    number_axis,
    percent_axis,
    styled,
    top_label,
    value_grid,
)


def date_axis(ax: Axes) -> None:
    """Tick the x axis with dates as short as they can be without being ambiguous."""
    locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(
        mdates.ConciseDateFormatter(locator, formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S"], show_offset=False)
    )


@styled
def tracking(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    label: str = "Purchases",
    unit: str = "",
    split: date | None = None,
    interval: float = 0.9,
) -> Axes:
    """Actual against expected over time, weekly or cumulative, with the interval of the forecast.

    Parameters
    ----------
    frame : DataFrame
        ``date``, ``actual`` (NaN where not yet known), ``expected``, and optionally ``low``, ``high``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, unit : str
        What is counted and its unit.
    split : date, optional
        End of the calibration: what lies right of it was not seen by the model.
    interval : float
        Probability of ``low`` to ``high``, for the label.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "There is no period to compare.")
    data = frame.sort_values("date")
    days = pd.to_datetime(data["date"])
    columns = [name for name in ("actual", "expected", "high") if name in data]
    divisor, word = magnitude(np.nanmax(data[columns].to_numpy(float)))
    if {"low", "high"} <= set(data.columns):
        ax.fill_between(days, data["low"], data["high"], color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(days, data["expected"], color=BLUE, linestyle=LINES[1])
    ax.plot(days, data["actual"], color=INK, linewidth=1.6)
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    ax.margins(x=0.01)
    number_axis(ax.yaxis, divisor)
    value_grid(ax)
    date_axis(ax)
    top_label(ax, f"{label} ({word}{unit})" if word + unit else label)
    ends = []
    expected_text = f"expected\n({interval:.0%} interval)" if "low" in data else "expected"
    for column, text, color in (("actual", "actual", INK), ("expected", expected_text, BLUE)):
        known = data[column].notna().to_numpy()
        if known.any():
            ends.append((mdates.date2num(days[known].iloc[-1]), float(data[column][known].iloc[-1]), text, color))
    direct_labels(ax, ends)
    if split is not None:
        _mark_split(ax, split)
    return ax


def _mark_split(ax: Axes, split: date, sides: tuple[str, str] = ("fitted to ←", "→ not seen by the model")) -> None:
    ax.axvline(pd.Timestamp(split), color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for text, shift, side in zip(sides, (-5, 5), ("right", "left"), strict=True):
        ax.annotate(
            text,
            (mdates.date2num(pd.Timestamp(split)), 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(shift, 0),
            textcoords="offset points",
            ha=side,
            va="bottom",
            color=MUTED,
            fontsize=9,
        )


@styled
def intensity(frame: pd.DataFrame, ax: Axes | None = None, *, split: date | None = None) -> Axes:
    """Purchase intensity over the calendar, relative to its mean, with its interval.

    Parameters
    ----------
    frame : DataFrame
        ``date``, ``mean``, ``low``, ``high``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    split : date, optional
        End of the observation: what lies right of it is forecast.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "There is no week to show.")
    days = pd.to_datetime(frame["date"])
    ax.axhline(1.0, color=MUTED, linewidth=1)
    ax.fill_between(days, frame["low"], frame["high"], color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(days, frame["mean"], color=BLUE)
    ax.set_ylim(bottom=0.0)
    ax.margins(x=0.01)
    percent_axis(ax.yaxis)
    value_grid(ax)
    date_axis(ax)
    top_label(ax, "Purchases, of the usual")
    if split is not None:
        _mark_split(ax, split, ("observed ←", "→ forecast"))
    return ax


@styled
def survival(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    label: str = "Share of customers still there",
    time_label: str = "Time (days)",
    group: str | None = None,
    top: float | None = 1.0,
) -> Axes:
    """Draw curves of survival, or of what has happened by a time, as steps with their interval as a band.

    Parameters
    ----------
    frame : DataFrame
        ``time``, ``share`` (0 to 1), and optionally ``low``, ``high`` and the column named by `group`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, time_label : str
        What is shared, and the unit of time.
    group : str, optional
        Column whose values are drawn as separate curves, at most six of them told apart by colour and line style.
    top : float or None
        Upper end of the y axis; None to fit the data.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "There is nobody to follow yet.")
    curves = [("", frame)] if group is None else list(frame.groupby(group, sort=False))
    ends = []
    for index, (name, curve) in enumerate(curves):
        curve = _thin(curve.sort_values("time"))
        color, line = SERIES[index % len(SERIES)], LINES[index % len(LINES)]
        if {"low", "high"} <= set(curve.columns):
            ax.fill_between(
                curve["time"], curve["low"], curve["high"], step="post", color=color, alpha=0.18, linewidth=0
            )
        ax.step(curve["time"], curve["share"], where="post", color=color, linestyle=line)
        ax.plot(curve["time"].iloc[-1:], curve["share"].iloc[-1:], "o", color=color, markersize=5)
        ends.append((float(curve["time"].iloc[-1]), float(curve["share"].iloc[-1]), str(name), color))
    ax.set_xlim(left=0)
    ax.set_ylim(0, top)
    ax.margins(x=0.01)
    percent_axis(ax.yaxis)
    number_axis(ax.xaxis)
    value_grid(ax)
    top_label(ax, label)
    ax.set_xlabel(time_label)
    direct_labels(ax, [end for end in ends if end[2]])
    return ax


def _thin(curve: pd.DataFrame, points: int = 250) -> pd.DataFrame:
    """Keep at most so many points of a curve, the first and the last among them: more cannot be seen."""
    if len(curve) <= points:
        return curve
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, points).round().astype(int))]
