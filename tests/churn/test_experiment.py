"""Measured effects: counted from dates, covered over worlds, and used in place of the risk."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import experiment
from cvmlib.churn.counts import build_spells
from cvmlib.churn.forecast import Terms
from cvmlib.churn.money import Losses, Outlook
from cvmlib.errors import DataError

END = date(2026, 6, 30)


def arms(treated, left_treated, control, left_control, years=None):
    years = range(len(treated)) if years is None else years
    parts = []
    for arm, n, left in (("treated", treated, left_treated), ("control", control, left_control)):
        parts.append(pd.DataFrame({"plan": "a", "tenure_years": years, "arm": arm, "subscriptions": n, "left": left}))
    return pd.concat(parts, ignore_index=True).assign(program_id="p")


def test_counts_those_active_when_drawn_and_followed_to_the_end_of_the_window():
    rows = [
        ("stays", "2024-01-10", None), ("leaves", "2024-01-10", "2026-02-20"),
        ("leaves late", "2024-01-10", "2026-05-02"), ("gone before", "2024-01-10", "2025-12-01"),
        ("joined after", "2026-02-01", None), ("control", "2023-12-01", None),
        ("too late", "2024-01-01", "2026-06-15"), ("in no experiment", "2024-01-10", None),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["customer_id", "start", "end"]).assign(price=10.0)
    frame = frame.assign(start=pd.to_datetime(frame["start"]), end=pd.to_datetime(frame["end"]))
    drawn = pd.DataFrame({"customer_id": [row[0] for row in rows[:-1]], "program_id": "p", "arm": "treated"})
    drawn.loc[drawn["customer_id"] == "control", "arm"] = "control"
    drawn["assigned_on"] = pd.to_datetime("2026-01-15")
    drawn.loc[drawn["customer_id"] == "too late", "assigned_on"] = pd.to_datetime("2026-05-15")
    drawn = pd.concat([drawn, drawn.assign(program_id="sales")])
    programs = pd.DataFrame({
        "program_id": ["p", "sales"], "label": ["Call", "Sell"], "intended_outcome": ["retention", "revenue"],
        "start": pd.to_datetime("2026-01-01"),
    })  # fmt: skip
    tables = ibis.memtable(drawn), ibis.memtable(programs)
    found = experiment.count_experiment(build_spells(ibis.memtable(frame), END), *tables, 3, END)
    assert found["program_id"].unique().tolist() == ["p"]
    assert found.set_index(["tenure_years", "arm"])[["subscriptions", "left"]].T.to_dict("list") == {
        (2, "treated"): [3, 1], (2, "control"): [1, 0],
    }  # fmt: skip
    assert experiment.find_program(tables[1], found) == "Call"
    assert experiment.find_program(tables[1], found[found["arm"] == "treated"]) == ""
    undated = experiment.count_experiment(
        build_spells(ibis.memtable(frame), END), ibis.memtable(drawn.drop(columns="assigned_on")), tables[1], 3, END
    )
    assert undated["subscriptions"].sum() == 5  # drawn on the first of January: "too late" is followed long enough now


def test_effects_cover_the_truth_and_small_segments_borrow():
    rng = np.random.default_rng(11)
    inside, raw_error, error = [], [], []
    for world in range(80):
        truth = rng.normal(0.03, 0.02, 12)
        n = rng.integers(150, 2500, 12)
        left = [rng.binomial(n, p) for p in (0.15 - truth, np.full(12, 0.15))]
        effects = experiment.estimate_effects(arms(n, left[0], n, left[1]), 500, world)
        low, high = np.quantile(effects.draws, [0.05, 0.95], axis=0)
        inside.append((low <= truth) & (truth <= high))
        raw_error.append((effects.segments["effect"] - truth) ** 2)
        error.append((effects.draws.mean(axis=0) - truth) ** 2)
    assert np.mean(inside) == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 960) + 0.015)
    assert np.mean(error) < 0.8 * np.mean(raw_error)


def test_segments_of_different_risk_are_alike_in_the_share_of_leavers_kept():
    """A third of the leavers is kept everywhere: of the calm a few, of the others many, and neither draws the other."""
    n, risk = np.full(8, 4000), np.repeat([0.02, 0.24], 4)
    left = np.random.default_rng(3).binomial(n, [risk * 2 / 3, risk])
    found = experiment.estimate_effects(arms(n, left[0], n, left[1]), 2000, 1)
    np.testing.assert_allclose(found.draws.mean(axis=0), risk / 3, rtol=0.3)
    assert np.exp(-found.mean.mean()) == pytest.approx(2 / 3, abs=0.08)


def test_an_experiment_with_one_arm_is_refused():
    one = arms([100], [5], [100], [9]).query("arm == 'treated'")
    with pytest.raises(DataError, match=r"Table assignments.*both arms; found treated \(100\).*drawn at random"):
        experiment.estimate_effects(one)


def test_response_is_the_effect_of_the_segment_and_no_more_than_leave():
    counts = arms([5000, 5000], [500, 1000], [5000, 5000], [1500, 900])
    effects = experiment.estimate_effects(counts, 800, 1)
    cells = pd.DataFrame({"plan": ["a", "a", "a", "b"], "tenure": [3, 15, 4, 3]})
    cells = cells.assign(subscriptions=10, price=100.0, price_sq=1000.0)
    outlook = Outlook(cells, np.full((300, 4, 12), 0.1), 0.0, Terms(12))
    chance = np.tile([0.3, 0.3, 0.05, 0.3], (300, 1))
    response = experiment.measure_response(outlook, Losses(chance, chance * 5), effects, "Call")
    assert response.experiment == "Call"
    mean = response.saved.mean(axis=0)
    assert mean[0] == pytest.approx(0.2, abs=0.03)  # drawn a little towards the other segment
    assert mean[1] < 0  # reminded to leave
    np.testing.assert_array_equal(response.saved[:, 2], np.minimum(response.saved[:, 0], 0.05))
    assert response.saved[:, 3].std() > 3 * response.saved[:, 0].std()  # a segment that had no part in it
