import numpy as np
import pandas as pd

from cvmlib.programs.lift import measure_lift
from cvmlib.programs.segments import FEWEST_BUYERS, shrink_segments
from cvmlib.programs.simulate import simulate_counts


def test_segments_that_differ_by_chance_do_not_stand_out():
    lifts = measure_lift(simulate_counts(np.full(12, 0.1), [6_000] * 12, np.random.default_rng(1), levels=6))
    found = shrink_segments(lifts, 0.9)
    assert len(found) == 72
    assert found["outstanding"].mean() <= 0.03  # of 5% without shrinkage
    assert found["pooled"].std() < 0.6 * found["measured"].std()
    assert (found["low"] < found["pooled"]).all() and (found["pooled"] < found["high"]).all()


def test_segment_that_really_differs_stands_out():
    rng = np.random.default_rng(2)
    parts = []
    for level, lift in enumerate([0.0, 0.0, 0.0, 0.8]):
        counts = simulate_counts([lift], [8_000], rng)
        parts.append(counts.assign(dimension="segment", level=str(level)))
    found = shrink_segments(measure_lift(pd.concat(parts)), 0.9)
    assert found.loc[found["outstanding"], "level"].tolist() == ["3"]


def test_small_segments_are_left_out():
    counts = simulate_counts([0.0], [200], np.random.default_rng(3), levels=5)
    small = counts.loc[counts["dimension"] == "segment", "buyers"] < FEWEST_BUYERS
    assert small.all() and shrink_segments(measure_lift(counts), 0.9).empty
