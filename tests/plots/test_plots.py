"""Every figure: axes in and out, matplotlib left alone, numbers as people write them, nothing to draw said in words."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cvmlib import plots

NAMES = pd.DataFrame({"name": ["Fashion $a$ & <b>", "Grocery"], "mean": [4.6e6, 2.2e6]})
TOTALS = NAMES.assign(low=[4.1e6, 2.1e6], high=[5.3e6, 2.4e6])
WEEKS = pd.DataFrame({"date": pd.date_range("2024-01-07", periods=60, freq="W"), "expected": np.arange(60) * 1_000.0})
WEEKS = WEEKS.assign(actual=WEEKS["expected"] * 1.02, low=WEEKS["expected"] * 0.9, high=WEEKS["expected"] * 1.1)
CURVE = pd.DataFrame({"time": np.arange(500), "share": 1 - np.exp(-np.arange(500) / 200)})
CURVE = CURVE.assign(low=CURVE["share"] * 0.9, high=np.minimum(CURVE["share"] * 1.1, 1))
MONTHS = pd.DataFrame(
    {"month": pd.date_range("2024-01-01", periods=24, freq="MS"), "new": 1_200, "old": 3_000, "gone": 9}
)
TRIANGLE = pd.DataFrame([[1.0, 0.4, 0.3], [1.0, 0.5, np.nan], [1.0, np.nan, np.nan]], index=["Q1", "Q2", "Q3"])
WEEKLY = pd.DataFrame(
    {"date": pd.date_range("2025-01-01", periods=60, freq="7D"), "mean": 1.0, "low": 0.8, "high": 1.3}
)
STEPS = pd.DataFrame({"name": ["2024", "more", "2025"], "value": [4e6, -5e5, 3.5e6], "total": [True, False, True]})
GROUPS = pd.DataFrame({"predicted": [0.1, 0.4, 0.8], "actual": [0.12, 0.37, 0.81]})
GROUPS = GROUPS.assign(low=GROUPS["actual"] - 0.05, high=GROUPS["actual"] + 0.05)
PLACES = pd.DataFrame({"low": [0.0, 0.5], "high": [0.5, 1.0], "share": [0.48, 0.52], "expected": 0.5})
PLACES = PLACES.assign(standard_error=0.01)
METHODS = pd.DataFrame(
    {"method": ["first", "first", "test"], "channel": ["search", "tv & <b>", "search"], "share": [0.6, 0.4, 0.3]}
)
METHODS = METHODS.assign(low=METHODS["share"] - 0.1, high=METHODS["share"] + 0.1)
BUDGETS = pd.DataFrame({"cost": [0.0, 1e3, 2e3], "value": [0.0, 5e3, 6e3]})
PROMISES = pd.DataFrame({"name": ["2025-06-30", "2025-06-30", "2025-09-30"], "low": 0.9, "high": 1.1})
PROMISES = PROMISES.assign(actual=[0.95, 1.2, 1.0], inside=[True, False, True])
LORENZ = pd.DataFrame({"customers": [0.0, 0.2, 1.0], "share": [0.0, 0.6, 1.0]})

DRAWN = {
    "compared_bars": lambda ax=None: plots.compared_bars(
        ["0", "1", "2"], {"seen": [5_000, 300, 20], "expected": [4_800, 320, 22]}, ax, label="Customers", of="purchases"
    ),
    "value_bars": lambda ax=None: plots.value_bars(["worst", "best"], [-0.02, 0.6], ax, label="Share", of="tenths"),
    "tracking": lambda ax=None: plots.tracking(WEEKS, ax, split=WEEKS["date"][30].date()),
    "intensity": lambda ax=None: plots.intensity(WEEKLY, ax, split=WEEKLY["date"][30].date()),
    "survival": lambda ax=None: plots.survival(CURVE, ax),
    "interval_bars": lambda ax=None: plots.interval_bars(TOTALS, ax, unit="EUR"),
    "forest": lambda ax=None: plots.forest(TOTALS, ax, unit="EUR"),
    "distribution": lambda ax=None: plots.distribution(np.geomspace(1, 1e4, 500), ax=ax, unit="EUR"),
    "lorenz": lambda ax=None: plots.lorenz(LORENZ, ax),
    "stacked_months": lambda ax=None: plots.stacked_months(
        MONTHS, ax, above={"old": "bought before", "new": "new"}, below={"gone": "lapsed"}
    ),
    "cohort_triangle": lambda ax=None: plots.cohort_triangle(TRIANGLE, ax),
    "cohort_curves": lambda ax=None: plots.cohort_curves(TRIANGLE * 100, ax, unit="EUR"),
    "grid_shares": lambda ax=None: plots.grid_shares(TRIANGLE, ax, row_label="Recency", column_label="Purchases"),
    "bridge": lambda ax=None: plots.bridge(STEPS, ax, unit="EUR"),
    "reliability": lambda ax=None: plots.reliability(GROUPS, ax, label="Share that bought", of="Predicted chance"),
    "pit": lambda ax=None: plots.pit(PLACES, ax, label="Share of the customers"),
    "budget_curves": lambda ax=None: plots.budget_curves(
        {"Fashion $a$ & <b>": BUDGETS, "Grocery": BUDGETS / 2}, {"Fashion $a$ & <b>": 1_500.0, "Grocery": 900.0}, ax
    ),
    "kept_promises": lambda ax=None: plots.kept_promises(PROMISES, ax),
    "method_shares": lambda ax=None: plots.method_shares(
        METHODS, {"first": "first touch"}, {"test": "experiment"}, ax, spread=["first"]
    ),
}
EMPTY = {
    "compared_bars": lambda: plots.compared_bars([], {"seen": [], "expected": []}),
    "tracking": lambda: plots.tracking(WEEKS.head(0)),
    "intensity": lambda: plots.intensity(WEEKLY.head(0)),
    "survival": lambda: plots.survival(CURVE.head(0)),
    "interval_bars": lambda: plots.interval_bars(TOTALS.head(0)),
    "forest": lambda: plots.forest(TOTALS.head(0)),
    "distribution": lambda: plots.distribution([0.0, np.nan]),
    "lorenz": lambda: plots.lorenz(LORENZ.head(0)),
    "stacked_months": lambda: plots.stacked_months(MONTHS.head(0), above={"new": "new"}),
    "cohort_triangle": lambda: plots.cohort_triangle(TRIANGLE[[0]]),
    "cohort_curves": lambda: plots.cohort_curves(TRIANGLE.head(0)),
    "grid_shares": lambda: plots.grid_shares(TRIANGLE.head(0)),
    "bridge": lambda: plots.bridge(STEPS.head(0)),
    "reliability": lambda: plots.reliability(GROUPS.head(0)),
    "pit": lambda: plots.pit(PLACES.head(0)),
    "budget_curves": lambda: plots.budget_curves({"Shop": BUDGETS.head(1)}, {"Shop": 0.0}),
    "kept_promises": lambda: plots.kept_promises(PROMISES.head(0)),
}


def _texts(ax):
    FigureCanvasAgg(ax.figure).draw()
    found = ax.findobj(mpl.text.Text)
    return [text for text in found if text.get_text() and text.get_visible()]


def test_every_figure_is_tested():
    drawing = set(plots.__all__) - {"STYLE", "new_axes", "styled"}
    assert drawing == set(DRAWN)
    assert set(EMPTY) <= drawing


@pytest.mark.parametrize("name", DRAWN)
def test_axes_in_axes_out_and_settings_left_alone(name):
    before = dict(mpl.rcParams)
    given = mpl.figure.Figure().add_subplot()
    assert DRAWN[name](given) is given
    own = DRAWN[name]()
    assert own is not given
    FigureCanvasAgg(own.figure).draw()
    assert dict(mpl.rcParams) == before
    import matplotlib.pyplot as plt

    assert not plt.get_fignums()


@pytest.mark.parametrize("name", DRAWN)
def test_text_is_inside_the_figure_and_large_enough(name):
    ax = DRAWN[name]()
    texts = _texts(ax)
    width, height = ax.figure.canvas.get_width_height()
    renderer = ax.figure.canvas.get_renderer()
    for text in texts:
        assert text.get_fontsize() >= 8
        box = text.get_window_extent(renderer)
        inside_axis = text in ax.get_xticklabels() + ax.get_yticklabels()
        if not inside_axis:
            assert box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1, text.get_text()


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_to_draw_is_said(name):
    ax = EMPTY[name]()
    said = [text.get_text() for text in _texts(ax)]
    assert len(said) == 1
    assert said[0].endswith(".")
    assert ax.figure.get_figheight() < 1


def test_names_are_written_as_they_are():
    ax = plots.interval_bars(TOTALS, unit="EUR")
    assert "Fashion $a$ & <b>" in [text.get_text() for text in _texts(ax)]
    label = next(text for text in ax.get_yticklabels() if "Fashion" in text.get_text())
    assert label.get_parse_math() is False


def test_numbers_have_separators_and_units():
    bars = [text.get_text() for text in _texts(plots.interval_bars(TOTALS, label="Value", unit="EUR"))]
    assert "Value (million EUR)" in bars
    assert "4.60 (4.10 to 5.30)" in bars
    months = [text.get_text() for text in _texts(DRAWN["stacked_months"]())]
    assert "4,000" in months
    bridge = [text.get_text() for text in _texts(DRAWN["bridge"]())]
    assert "−0.50" in bridge


def test_ticks_tell_neighbours_apart():
    ax = plots.forest(pd.DataFrame({"name": ["a"], "mean": [0.011], "low": [0.008], "high": [0.014]}), share=True)
    _texts(ax)
    shown = [text.get_text() for text in ax.get_xticklabels()]
    assert len(set(shown)) == len(shown)


def test_small_and_large_weights_count():
    ax = plots.distribution([10.0, 100.0, 0.0], [5.0, 20.0, 7.0], label="Value", unit="EUR")
    assert sum(patch.get_height() for patch in ax.patches) == 25
    assert "7 customers at zero or less are not drawn" in ax.get_xlabel()


def test_labels_at_the_ends_do_not_touch():
    flat = pd.concat([CURVE.assign(group=str(year), share=0.5 + year * 1e-6) for year in (2023, 2024, 2025, 2026)])
    ax = plots.survival(flat.drop(columns=["low", "high"]), group="group")
    texts = [text for text in _texts(ax) if text.get_text() in set(flat["group"])]
    boxes = [text.get_window_extent(ax.figure.canvas.get_renderer()) for text in texts]
    assert len(boxes) == 4
    boxes.sort(key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 2 for low, high in zip(boxes, boxes[1:], strict=False))


def test_triangle_leaves_out_the_first_period_and_the_future():
    ax = plots.cohort_triangle(TRIANGLE)
    cells = [text.get_text() for text in ax.texts]
    assert sorted(cells) == ["30%", "40%", "50%"]
