"""Distributions over customers, and how unequal they are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cvmlib.plots.style import (
    BLUE,
    INK,
    MUTED,
    grouped,
    new_axes,
    note,
    number_axis,
    percent_axis,
    styled,
    top_label,
    value_grid,
)


def _weighted_quantile(values: np.ndarray, weights: np.ndarray, level: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(reached, level)])


def _edges(values: np.ndarray, log: bool, bins: int) -> np.ndarray:
    low, high = values.min(), values.max()
    if low == high:
        return np.array([low * 0.9, high * 1.1]) if low else np.array([-0.5, 0.5])
    return np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)


@styled
def distribution(
    values: Sequence[float],
    weights: Sequence[float] | None = None,
    ax: Axes | None = None,
    *,
    label: str = "Value per customer",
    unit: str = "",
    of: str = "customers",
    log: bool = True,
    bins: int = 40,
    edges: Sequence[float] | None = None,
) -> Axes:
    """Histogram of a value over customers, on a logarithmic scale, with the middle and the upper tenth marked.

    Parameters
    ----------
    values : sequence of float
        One value per customer, or per group of like customers.
    weights : sequence of float, optional
        Customers per value; one each when left out.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, unit : str
        What is measured and its unit.
    of : str
        What is counted, in the plural.
    log : bool
        Logarithmic scale; values of zero or less are then counted in words.
    bins : int
        Number of bars.
    edges : sequence of float, optional
        Edges of the bars instead; what lies beyond them is counted in words.
    """
    ax = new_axes(ax)
    data = np.asarray(values, float)
    counts = np.ones_like(data) if weights is None else np.asarray(weights, float)
    shown = np.isfinite(data) & ((data > 0) if log else True) & (counts > 0)
    if not shown.any():
        return note(ax, f"No {of} with a value above zero.")
    inside, heavy = data[shown], counts[shown]
    edges = _edges(inside, log, bins) if edges is None else np.asarray(edges, float)
    heights, _ = np.histogram(inside, np.r_[edges[:-1], np.nextafter(edges[-1], np.inf)], weights=heavy)
    ax.bar(edges[:-1], heights, np.diff(edges), align="edge", color=BLUE, alpha=0.75, linewidth=0.5, edgecolor="white")
    if log:
        _log_axis(ax, edges)
    else:
        number_axis(ax.xaxis)
    number_axis(ax.yaxis)
    value_grid(ax)
    ax.set_ylim(top=ax.get_ylim()[1] * 1.12)
    half, most = (_weighted_quantile(inside, heavy, level) for level in (0.5, 0.9))
    names = ("half above", "top tenth above") if log else ("half within", "nine in ten within")
    for value, name in zip((half, most), names, strict=True):
        _mark(ax, value, name, left=value == half and log)
    top_label(ax, f"Number of {of}")
    below = counts[np.isfinite(data) & (data <= 0)].sum() if log else 0
    above = heavy[inside > edges[-1]].sum()
    missing = f"\n{grouped(below)} {of} at zero or less are not drawn" if below else ""
    missing += f"\n{grouped(above)} {of} above {grouped(edges[-1])} are not drawn" if above else ""
    ax.set_xlabel(f"{label}{f' ({unit})' if unit else ''}{', logarithmic scale' if log else ''}{missing}")
    return ax


def _log_axis(ax: Axes, edges: np.ndarray) -> None:
    ax.set_xscale("log")
    decades = np.log10(edges[-1] / edges[0])
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2.5 else (1.0, 2.0, 5.0), numticks=12))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}" if v >= 1 else f"{v:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _mark(ax: Axes, value: float, name: str, left: bool) -> None:
    ax.axvline(value, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
    ax.annotate(
        f"{name} {grouped(value, 0 if value >= 10 or value == round(value) else 2)}",
        (value, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if left else 4, -3),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        fontsize=9.5,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )


@styled
def lorenz(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "Share of revenue", top: float = 0.2) -> Axes:
    """Concentration: share of the revenue that comes from the best customers, with the share of the top marked.

    Parameters
    ----------
    frame : DataFrame
        ``customers`` and ``share``: cumulative shares (0 to 1) counted from the best customer down, beginning at 0, 0.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label : str
        What is shared out.
    top : float
        Share of customers (0 to 1) whose part is read off.
    """
    ax = new_axes(ax, width=5.4, height=4.2)
    if frame.empty:
        return note(ax, "Nobody has bought anything yet.")
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    ax.annotate("all alike", (0.62, 0.62), xytext=(4, -8), textcoords="offset points", color=MUTED, va="top")
    ax.plot(frame["customers"], frame["share"], color=BLUE)
    ax.fill_between(frame["customers"], frame["customers"], frame["share"], color=BLUE, alpha=0.15, linewidth=0)
    part = float(np.interp(top, frame["customers"], frame["share"]))
    ax.plot([top, top, 0], [0, part, part], color=INK, linewidth=1, linestyle=(0, (1.2, 1.6)))
    ax.plot([top], [part], "o", color=INK)
    right = part < 0.8
    ax.annotate(
        f"best {top:.0%} of customers:\n{part:.0%} of {label.removeprefix('Share of ')}",
        (top, part),
        xytext=(10, -4 if right else -12),
        textcoords="offset points",
        va="top",
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
    )
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.01)
    percent_axis(ax.xaxis)
    percent_axis(ax.yaxis)
    value_grid(ax)
    top_label(ax, label)
    ax.set_xlabel("Share of customers, best first")
    return ax
