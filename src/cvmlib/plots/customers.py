"""Figures of the customer base: flows, revenue, cohorts, recency and frequency, bridges from year to year."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from cvmlib.plots.courses import date_axis
from cvmlib.plots.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    VERMILION,
    direct_labels,
    grouped,
    magnitude,
    new_axes,
    note,
    number_axis,
    sequential_map,
    styled,
    text_on,
    top_label,
    value_grid,
)

_HATCHES = ("", "////", "....")


def _month_widths(months: pd.Series) -> np.ndarray:
    return 0.84 * months.dt.days_in_month.to_numpy()


@styled
def stacked_months(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    above: dict[str, str],
    below: dict[str, str] | None = None,
    label: str = "Customers",
    unit: str = "",
) -> Axes:
    """Monthly columns, stacked upwards from zero, with losses hanging below it.

    Parameters
    ----------
    frame : DataFrame
        ``month`` (timestamp, first day) and the columns named in `above` and `below`; complete months only.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    above, below : dict
        Column to the words naming it on the figure, from the bottom up; at most three above.
    label, unit : str
        What is counted and its unit.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "The history holds no complete month.")
    months = pd.to_datetime(frame["month"])
    widths = _month_widths(months)
    base = np.zeros(len(frame))
    largest = max(frame[list(above)].sum(axis=1).max(), frame[list(below)].max().max() if below else 0)
    divisor, word = magnitude(largest)
    handles = {}
    for (column, text), color, hatch in zip(above.items(), (BLUE, ORANGE, GREEN), _HATCHES, strict=False):
        style = {"color": color, "linewidth": 0.4, "edgecolor": "white", "hatch": hatch}
        handles[text] = ax.bar(months, frame[column], widths, bottom=base, align="edge", **style)
        base += frame[column].to_numpy(float)
    for column, text in (below or {}).items():
        style = {"facecolor": "white", "edgecolor": VERMILION, "linewidth": 0.8, "hatch": "xxxx"}
        handles[text] = ax.bar(months, -frame[column], widths * 0.98, align="edge", **style)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.margins(x=0.01)
    number_axis(ax.yaxis, divisor)
    value_grid(ax)
    date_axis(ax)
    top_label(ax, f"{label} ({word}{unit})" if word + unit else label)
    ax.legend(
        handles.values(), handles.keys(), loc="upper left", bbox_to_anchor=(0, -0.1), ncols=4, frameon=False,
        handlelength=1.2, borderaxespad=0.2, columnspacing=1.4, fontsize=10,
    )  # fmt: skip
    return ax


@styled
def cohort_triangle(
    table: pd.DataFrame, ax: Axes | None = None, *, age_label: str = "Quarters since the first purchase",
    cohort_label: str = "Customers who first bought in", first_age: int = 1,
) -> Axes:  # fmt: skip
    """Triangle of shares, a row per cohort and a column per age, each cell written out where there is room.

    Parameters
    ----------
    table : DataFrame
        Index: names of the cohorts; columns: whole ages; cells: shares (0 to 1), NaN where still to come.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    age_label, cohort_label : str
        Labels of the axes.
    first_age : int
        First age to draw: at age 0 everyone is active by definition.
    """
    shown = table.loc[:, [age for age in table.columns if age >= first_age]].dropna(how="all")
    ax = new_axes(ax, height=max(2.2, 1.2 + 0.3 * len(shown)))
    if shown.empty or shown.shape[1] == 0:
        return note(ax, "No cohort has been observed for long enough.")
    cells = shown.to_numpy(float)
    norm = Normalize(0, max(np.nanmax(cells), 0.01))
    colors = sequential_map()
    ax.pcolormesh(np.ma.masked_invalid(cells), cmap=colors, norm=norm, edgecolor="white", linewidth=1)
    ax.invert_yaxis()
    for spine in ax.spines.values():
        spine.set_visible(False)
    if cells.shape[1] <= 14:
        size = 9.5 if cells.shape[1] <= 10 else 8
        for (row, column), share in np.ndenumerate(cells):
            if np.isfinite(share):
                ax.text(
                    column + 0.5, row + 0.5, f"{100 * share:.0f}%", ha="center", va="center", fontsize=size,
                    color=text_on(colors(norm(share))),
                )  # fmt: skip
    step = int(np.ceil(cells.shape[1] / 14))
    ages = np.arange(0, cells.shape[1], step)
    ax.set_xticks(ages + 0.5, [str(shown.columns[age]) for age in ages])
    ax.set_yticks(np.arange(len(shown)) + 0.5, [str(name) for name in shown.index])
    ax.tick_params(length=0)
    top_label(ax, cohort_label)
    ax.set_xlabel(age_label)
    return ax


@styled
def cohort_curves(
    table: pd.DataFrame, ax: Axes | None = None, *, label: str = "Revenue per customer, cumulative", unit: str = "",
    age_label: str = "Quarters since the first purchase",
) -> Axes:  # fmt: skip
    """One curve per cohort by age, from pale (oldest) to dark (newest), the oldest and the newest named.

    Parameters
    ----------
    table : DataFrame
        Index: names of the cohorts, oldest first; columns: whole ages; cells: values, NaN where still to come.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, unit, age_label : str
        What is measured, its unit, and the label of the x axis.
    """
    ax = new_axes(ax)
    drawn = table.dropna(how="all")
    if drawn.empty:
        return note(ax, "No cohort has been observed for a whole period.")
    colors = sequential_map()
    shades = [colors(shade) for shade in np.linspace(0.35, 1.0, len(drawn))] if len(drawn) > 1 else [colors(0.75)]
    divisor, word = magnitude(np.nanmax(drawn.to_numpy(float)))
    for shade, (_name, row) in zip(shades, drawn.iterrows(), strict=True):
        known = row.dropna()
        ax.plot(known.index.to_numpy(float), known.to_numpy(float), color=shade, linewidth=1.6)
        ax.plot(known.index[-1:], known.iloc[-1:], "o", color=shade, markersize=4)
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    number_axis(ax.yaxis, divisor)
    number_axis(ax.xaxis, whole=True)
    value_grid(ax)
    named = {0, len(drawn) // 2, _newest_with_course(drawn)}
    ends = [_curve_end(drawn.iloc[place]) for place in sorted(named)]
    direct_labels(ax, ends, size=9.5)
    top_label(ax, f"{label} ({word}{unit})" if word + unit else label)
    ax.set_xlabel(age_label)
    return ax


def _newest_with_course(table: pd.DataFrame) -> int:
    long_enough = np.flatnonzero(table.notna().sum(axis=1).to_numpy() >= 2)
    return int(long_enough[-1]) if len(long_enough) else 0


def _curve_end(row: pd.Series) -> tuple[float, float, str, str]:
    known = row.dropna()
    return float(known.index[-1]), float(known.iloc[-1]), str(row.name), INK


@styled
def grid_shares(
    table: pd.DataFrame, ax: Axes | None = None, *, row_label: str = "", column_label: str = "",
    texts: pd.DataFrame | None = None,
) -> Axes:  # fmt: skip
    """Heat map of shares over two scores, each cell written out, such as recency by frequency.

    Parameters
    ----------
    table : DataFrame
        Shares (0 to 1); index and columns are the scores in the order drawn (rows from the top).
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    row_label, column_label : str
        What the rows and the columns mean.
    texts : DataFrame, optional
        What to write in the cells instead of the share; same shape.
    """
    ax = new_axes(ax, width=6.4, height=max(2.2, 1.2 + 0.55 * len(table)))
    if table.empty:
        return note(ax, "Nobody has bought anything yet.")
    cells = table.fillna(0.0).to_numpy(float)
    norm, colors = Normalize(0, max(cells.max(), 0.01)), sequential_map()
    ax.pcolormesh(cells, cmap=colors, norm=norm, edgecolor="white", linewidth=1.5)
    ax.invert_yaxis()
    for (row, column), share in np.ndenumerate(cells):
        text = f"{100 * share:.0f}%" if texts is None else str(texts.iloc[row, column])
        ax.text(
            column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=9.5, color=text_on(colors(norm(share)))
        )
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xticks(np.arange(cells.shape[1]) + 0.5, [str(name) for name in table.columns])
    ax.set_yticks(np.arange(cells.shape[0]) + 0.5, [str(name) for name in table.index])
    ax.tick_params(length=0)
    top_label(ax, row_label)
    ax.set_xlabel(column_label)
    return ax


@styled
def bridge(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "Revenue", unit: str = "") -> Axes:
    """Bridge from one total to the next: what each cause added or took away.

    Parameters
    ----------
    frame : DataFrame
        ``name`` (text), ``value``, ``total`` (bool): totals stand on zero, the others hang on what came before.
    ax : matplotlib Axes, optional
        Where to draw; a new figure otherwise.
    label, unit : str
        What is measured and its unit.
    """
    ax = new_axes(ax)
    if frame.empty:
        return note(ax, "The history is too short to compare two years.")
    divisor, word = magnitude(frame.loc[frame["total"], "value"].abs().max())
    digits = 2 if divisor > 1 else 0
    level = 0.0
    for place, step in enumerate(frame.itertuples(index=False)):
        start = 0.0 if step.total else level
        color = MUTED if step.total else BLUE if step.value >= 0 else VERMILION
        hatch = "" if step.total or step.value >= 0 else "////"
        ax.bar(place, step.value, 0.62, bottom=start, color=color, hatch=hatch, edgecolor="white", linewidth=0.5)
        level = start + step.value
        sign = "" if step.total else "+" if step.value >= 0 else ""
        ax.annotate(
            sign + grouped(step.value / divisor, digits), (place, max(start, level)), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=10,
        )  # fmt: skip
        if place + 1 < len(frame):
            ax.plot([place + 0.31, place + 0.69], [level, level], color=MUTED, linewidth=0.8)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set_xticks(range(len(frame)), [str(name) for name in frame["name"]])
    ax.tick_params(axis="x", length=0)
    ax.set_ylim(top=ax.get_ylim()[1] * 1.05)
    number_axis(ax.yaxis, divisor)
    value_grid(ax)
    top_label(ax, f"{label} ({word}{unit})" if word + unit else label)
    return ax
