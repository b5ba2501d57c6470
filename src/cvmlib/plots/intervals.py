"""Estimates with their intervals: totals side by side, effects in a forest."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cvmlib.plots.style import (
    BLUE,
    INK,
    MUTED,
    RULE,
    grouped,
    magnitude,
    new_axes,
    note,
    number_axis,
    percent_axis,
    styled,
    value_grid,
)


def _digits(low: pd.Series, high: pd.Series, scale: float) -> int:
    """Decimals that show the narrowest interval with two figures."""
    widths = ((high - low) / scale).to_numpy(float)
    widths = widths[np.isfinite(widths) & (widths > 0)]
    return int(np.clip(1 - np.floor(np.log10(widths.min())), 0, 3)) if len(widths) else 0


def _range_text(row: pd.Series, divisor: float, digits: int, share: bool) -> str:
    scale, suffix = (0.01, "%") if share else (divisor, "")
    mean, low, high = (grouped(value / scale, digits) + suffix for value in (row["mean"], row["low"], row["high"]))
    return f"{mean} ({low} to {high})"


def _rows(frame: pd.DataFrame, ax: Axes | None) -> Axes:
    longest = frame["name"].astype(str).str.len().max() if len(frame) else 0
    return new_axes(ax, width=6.6 if longest < 28 else 7.4, height=max(1.6, 0.95 + 0.42 * len(frame)))


def _name_rows(ax: Axes, names: pd.Series) -> None:
    ax.set_yticks(np.arange(len(names)), [str(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


@styled
def interval_bars(
    frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "Value", unit: str = "", color: str = BLUE
) -> Axes:
    """Totals as bars from zero, each with its interval and its numbers written beside it.

    Parameters
    ----------
    frame : DataFrame
        ``name`` (text), ``mean``, ``low``, ``high`` (in `unit`); drawn from the top in the order given.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label : str
        What is measured.
    unit : str
        Its unit, such as the currency.
    color : str
        Colour of the bars.
    """
    ax = _rows(frame, ax)
    if frame.empty:
        return note(ax, "Nothing to compare yet.")
    rows = frame.reset_index(drop=True)
    places = np.arange(len(rows))
    bounds = rows[["mean", "low", "high"]].to_numpy(float)
    divisor, word = magnitude(np.nanmax(np.abs(bounds)))
    ax.barh(places, rows["mean"], height=0.62, color=color, alpha=0.35, linewidth=0)
    ax.hlines(places, rows["low"], rows["high"], color=INK, linewidth=2)
    ax.plot(rows["mean"], places, "o", color=INK, markersize=6)
    digits = _digits(rows["low"], rows["high"], divisor)
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        ax.annotate(
            _range_text(row, divisor, digits, share=False),
            (max(row["high"], row["mean"], 0), place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            annotation_clip=False,
        )
    _name_rows(ax, rows["name"])
    ax.axvline(0, color=MUTED, linewidth=0.8)
    ax.margins(x=0.02)
    number_axis(ax.xaxis, divisor, bins=5)
    value_grid(ax, "x")
    ax.set_xlabel(f"{label} ({word}{unit})" if word + unit else label)
    return ax


@styled
def forest(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    label: str = "Estimate",
    unit: str = "",
    reference: float | None = 0.0,
    reference_label: str = "",
    share: bool = False,
) -> Axes:
    """Estimates as points with their intervals, against a line of reference.

    Parameters
    ----------
    frame : DataFrame
        ``name`` (text), ``mean``, ``low``, ``high``; optionally ``inner_low``, ``inner_high`` (a narrower interval,
        drawn thicker). Drawn from the top in the order given.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, unit : str
        What is estimated, and its unit.
    reference : float or None
        Where the line of reference stands: no effect, or the average of all; None for no line.
    reference_label : str
        What the line means, written above it.
    share : bool
        The estimates are shares between 0 and 1, to be read in per cent.
    """
    ax = _rows(frame, ax)
    if frame.empty:
        return note(ax, "Nothing to compare yet.")
    rows = frame.reset_index(drop=True)
    places = np.arange(len(rows))
    bounds = rows[["mean", "low", "high"]].to_numpy(float)
    divisor, word = (1.0, "") if share else magnitude(np.nanmax(np.abs(bounds)))
    if reference is not None:
        ax.axvline(reference, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        ax.annotate(
            reference_label,
            (reference, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=MUTED,
            fontsize=9,
        )
    ax.hlines(places, rows["low"], rows["high"], color=BLUE, linewidth=1.6)
    if {"inner_low", "inner_high"} <= set(rows.columns):
        ax.hlines(places, rows["inner_low"], rows["inner_high"], color=BLUE, linewidth=4)
    ax.plot(rows["mean"], places, "o", color=BLUE, markeredgecolor="white", markersize=8)
    digits = _digits(rows["low"], rows["high"], 0.01 if share else divisor)
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        ax.annotate(
            _range_text(row, divisor, digits, share),
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            annotation_clip=False,
        )
    _name_rows(ax, rows["name"])
    ax.hlines(places, *ax.get_xlim(), color=RULE, linewidth=0.6, zorder=0)
    ax.margins(x=0.03)
    percent_axis(ax.xaxis, bins=5) if share else number_axis(ax.xaxis, divisor, bins=5)
    ax.set_xlabel(f"{label} ({word}{unit})" if word + unit else label)
    return ax
