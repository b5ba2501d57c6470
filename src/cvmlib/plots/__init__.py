"""One visual language: every figure of every notebook. Frames in; ``ax`` in, ``ax`` out."""

from cvmlib.plots.attribution import method_shares
from cvmlib.plots.calibration import pit, reliability
from cvmlib.plots.comparisons import compared_bars, value_bars
from cvmlib.plots.courses import intensity, survival, tracking
from cvmlib.plots.customers import bridge, cohort_curves, cohort_triangle, grid_shares, stacked_months
from cvmlib.plots.decisions import budget_curves, kept_promises
from cvmlib.plots.distributions import distribution, lorenz
from cvmlib.plots.intervals import forest, interval_bars
from cvmlib.plots.style import STYLE, new_axes, styled

__all__ = [
    "STYLE",
    "bridge",
    "budget_curves",
    "cohort_curves",
    "cohort_triangle",
    "compared_bars",
    "distribution",
    "forest",
    "grid_shares",
    "intensity",
    "interval_bars",
    "kept_promises",
    "lorenz",
    "method_shares",
    "new_axes",
    "pit",
    "reliability",
    "stacked_months",
    "styled",
    "survival",
    "tracking",
    "value_bars",
]
