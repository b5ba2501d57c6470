"""The one visual language of the figures: palette, type, axes and direct labels, applied explicitly to each figure.

Nothing here touches matplotlib's global state at import. A plotting function is wrapped with `styled`, takes an
optional ``ax`` and returns it. Colours are those of Okabe and Ito, paired so that neighbours differ in lightness, and
series are told apart by line style, marker or hatch as well: a page printed in grey stays readable.
"""

from collections.abc import Callable, Sequence
from functools import wraps

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK = "#1a1a1a"
MUTED = "#5f6368"
RULE = "#d9dce0"
BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
SKY = "#56b4e9"
VERMILION = "#d55e00"
PURPLE = "#aa4499"

SERIES = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE)
"""Colours of a series of categories, in order."""

LINES = ("-", (0, (5, 2)), (0, (1.2, 1.6)), (0, (6, 2, 1.2, 2)), (0, (3, 1)), (0, (8, 3)))
"""Line styles of a series of categories, in the same order as `SERIES`."""

WIDTH, HEIGHT = 6.6, 3.7
"""Inches of an ordinary figure: wide enough for a page, and legible when a telephone shrinks it."""

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "white",
    "axes.formatter.useoffset": False,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 10.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "cvmlib",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 10,
}
"""The matplotlib settings under which every figure is drawn; reports save figures under them too.

Mathematical text is off, so that a name with dollar signs in it is written as it is.
"""


def styled[**P](plot: Callable[P, Axes]) -> Callable[P, Axes]:
    """Run a plotting function under `STYLE`, leaving matplotlib's own settings as they were."""

    @wraps(plot)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Axes:
        with mpl.rc_context(STYLE):
            return plot(*args, **kwargs)

    return wrapper


def new_axes(ax: Axes | None = None, width: float = WIDTH, height: float = HEIGHT) -> Axes:
    """Return `ax`, or the axes of a new styled figure (`ax.figure`), which pyplot does not hold on to.

    Parameters
    ----------
    ax : matplotlib Axes, optional
        Axes to draw on.
    width, height : float
        Size of a new figure (inches).
    """
    if ax is not None:
        return ax
    with mpl.rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained").add_subplot()


def sequential_map(color: str = BLUE) -> LinearSegmentedColormap:
    """Colour map from white to a dark shade, monotone in lightness, for shares and densities."""
    shades = {BLUE: ("#f3f8fc", "#a9cfe8", "#3f93c6", "#0b5a8e", "#06304e")}
    return LinearSegmentedColormap.from_list("cvmlib", shades.get(color, ("#ffffff", color)))


def text_on(rgba: Sequence[float]) -> str:
    """Black or white, whichever reads better on a background colour (WCAG relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgba[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if luminance < 0.179 else "black"


def top_label(ax: Axes, text: str) -> None:
    """Write what the y axis measures horizontally above it, where it is read without turning the head."""
    ax.set_title(text, loc="left", color=INK, fontsize=10.5, pad=8)


def magnitude(largest: float) -> tuple[float, str]:
    """Divisor and word for numbers up to `largest`: 1, thousand is spelt out in digits, million, billion."""
    for divisor, word in ((1e9, "billion "), (1e6, "million ")):
        if abs(largest) >= 2 * divisor:
            return divisor, word
    return 1.0, ""


def grouped(value: float, digits: int = 0) -> str:
    """Write a number with thousands separators and a true minus sign."""
    text = f"{value:,.{digits}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.replace("-", "")


def number_axis(axis: Axis, divisor: float = 1.0, bins: int = 6, whole: bool = False, suffix: str = "") -> None:
    """Tick an axis with round numbers, thousands separators and as many decimals as the steps need."""
    axis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10], integer=whole and divisor == 1.0))

    def label(value: float, _position: int) -> str:
        steps = np.abs(np.diff(axis.get_majorticklocs())) / divisor
        step = float(steps.min()) if len(steps) else 1.0
        digits = next((d for d in range(6) if abs(step * 10**d - round(step * 10**d)) < 1e-6 * step * 10**d), 6)
        return grouped(value / divisor, digits) + suffix

    axis.set_major_formatter(FuncFormatter(label))


def percent_axis(axis: Axis, bins: int = 6) -> None:
    """Tick an axis of shares (0 to 1) in per cent."""
    number_axis(axis, 0.01, bins, suffix="%")


def value_grid(ax: Axes, axis: str = "y") -> None:
    """Thin rules across the axis on which values are read."""
    ax.grid(visible=True, axis=axis, color=RULE, linewidth=0.8)
    ax.tick_params(axis=axis, length=0)


def direct_labels(ax: Axes, ends: Sequence[tuple[float, float, str, str]], size: float = 10.0) -> None:
    """Name each line at its end instead of in a legend, pushing labels apart where they would touch.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes with the lines drawn and the limits set.
    ends : sequence of (x, y, text, colour)
        Where each line ends, in data coordinates.
    size : float
        Size of the text (points).
    """
    if not ends:
        return
    points = [ax.transData.transform((x, y)) * 72.0 / ax.figure.dpi for x, y, _, _ in ends]
    widths = [0.62 * size * max(map(len, text.split("\n"))) for _, _, text, _ in ends]
    placed: dict[int, float] = {}
    for index in sorted(range(len(ends)), key=lambda i: points[i][1]):
        height = points[index][1]
        for other, taken in placed.items():
            left, right = sorted((index, other), key=lambda i: points[i][0])
            if points[right][0] < points[left][0] + widths[left] + size:
                lines = ends[index][2].count("\n") + ends[other][2].count("\n")
                height = max(height, taken + size * (1.25 + 0.6 * lines))
        placed[index] = height
        x, y, text, color = ends[index]
        ax.annotate(
            text,
            (x, y),
            xytext=(6, height - points[index][1]),
            textcoords="offset points",
            va="center",
            ha="left",
            color=color,
            fontsize=size,
            annotation_clip=False,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def note(ax: Axes, text: str) -> Axes:
    """Write a sentence in place of an empty frame: what is missing. A figure of its own shrinks to a line."""
    ax.set_axis_off()
    if len(ax.figure.axes) == 1:
        ax.figure.set_size_inches(ax.figure.get_figwidth(), 0.5)
    ax.text(0.0, 0.5, text, ha="left", va="center", color=MUTED, transform=ax.transAxes)
    return ax
