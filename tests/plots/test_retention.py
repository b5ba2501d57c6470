import pandas as pd

from cvmlib.plots.retention import hazard


def frame(plan, level):
    table = pd.DataFrame({"tenure": range(1, 13), "at_risk": [100] * 6 + [10] * 6})
    return table.assign(plan=plan, hazard=level, hazard_low=level / 2, hazard_high=level * 2, raw=level)


def test_a_curve_per_group_with_points_where_there_are_enough():
    ax = hazard(pd.concat([frame("a", 0.1), frame("b", 0.02)]), group="plan")
    lines = [line for line in ax.lines if line.get_marker() == "None"]
    points = [line for line in ax.lines if line.get_marker() == "."]
    assert len(lines) == 2 and [len(line.get_xdata()) for line in points] == [6, 6]
    assert {text.get_text() for text in ax.texts} == {"a", "b"}
    assert 0.1 < ax.get_ylim()[1] <= 1


def test_nobody_to_follow():
    ax = hazard(frame("a", 0.1).iloc[:0])
    assert ax.texts[0].get_text() == "There is nobody to follow yet."
