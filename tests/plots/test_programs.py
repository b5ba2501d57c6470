import pandas as pd

from cvmlib.plots.programs import shrinkage


def test_measured_and_pooled_lifts_are_drawn_on_one_row_each():
    frame = pd.DataFrame({"name": ["A", "B"], "measured": [0.5, 0.0], "mean": [0.2, 0.01], "low": -0.1, "high": 0.4})
    ax = shrinkage(frame)
    rings, points = (line.get_xdata().tolist() for line in ax.lines[-2:])
    assert (rings, points) == ([0.5, 0.0], [0.2, 0.01])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["A", "B"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["measured", "among its peers"]


def test_nothing_to_pool():
    assert shrinkage(pd.DataFrame({"name": []})).texts[0].get_text() == "Nothing to pool yet."
