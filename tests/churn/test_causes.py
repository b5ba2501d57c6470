"""Competing reasons: incidence against scikit-survival, shares against a simulated truth."""

import json
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import causes

REFERENCES = Path(__file__).parent / "references" / "survival_metrics.json"


def test_incidence_equals_scikit_survival():
    peers = json.loads(REFERENCES.read_text(encoding="utf-8"))
    time, cause = np.array(peers["time"]), np.array(peers["cause"])
    months = np.array(peers["incidence_months"])
    at_risk = np.array([(time >= m).sum() for m in months])
    left = np.array([[((time == m) & (cause == c)).sum() for m in months] for c in (1, 2)])
    shares = np.divide(left, left.sum(axis=0), out=np.zeros(left.shape), where=left.sum(axis=0) > 0)
    found = causes.cumulate_incidence(left.sum(axis=0) / at_risk, shares)
    np.testing.assert_allclose(found, np.array(peers["incidence"])[1:], atol=1e-8, rtol=0)
    np.testing.assert_allclose(found.sum(axis=0), np.array(peers["incidence"])[0], atol=1e-8, rtol=0)


def test_counts_by_recorded_reason():
    rows = [(3, True, "voluntary"), (3, True, "involuntary"), (3, True, None), (5, False, None), (3, True, "voluntary")]
    frame = pd.DataFrame(rows, columns=["tenure", "churned", "end_reason"])
    found = causes.count_causes(
        ibis.memtable(frame, schema={"tenure": "int64", "churned": "bool", "end_reason": "string"})
    )
    assert found.set_index("cause")["leavers"].to_dict() == {"voluntary": 2, "involuntary": 1, "not stated": 1}
    assert causes.causes_told_apart(found)
    assert not causes.causes_told_apart(found[found["cause"] != "involuntary"])


def test_shares_cover_the_truth_and_small_bands_borrow():
    """Over many worlds, 90 % intervals hold the true share of each band, also of bands with few leavers."""
    rng = np.random.default_rng(7)
    starts = np.array(causes.BANDS)
    inside = []
    for world in range(60):
        truth = np.clip(rng.normal(0.8, 0.06, len(starts)), 0.01, 0.99)
        leavers = rng.integers(3, 200, len(starts))
        yes = rng.binomial(leavers, truth)
        table = pd.concat([
            pd.DataFrame({"tenure": starts, "cause": "voluntary", "leavers": yes}),
            pd.DataFrame({"tenure": starts, "cause": "involuntary", "leavers": leavers - yes}),
        ])  # fmt: skip
        draws = causes.draw_voluntary_share(table, 70, 400, world)[:, starts]
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        inside.append((low <= truth) & (truth <= high))
    share = np.mean(inside)
    assert share == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / np.size(inside)) + 0.02)


def test_without_two_causes_all_leavers_count_as_voluntary():
    table = pd.DataFrame({"tenure": [1], "cause": ["voluntary"], "leavers": [9]})
    assert (causes.draw_voluntary_share(table, 5, 3) == 1).all()
    assert (causes.draw_voluntary_share(table.assign(cause="not stated"), 5, 3) == 1).all()


def test_incidence_table_adds_up_to_the_life_table():
    table = pd.DataFrame(
        {"tenure": [0, 1, 1], "cause": ["voluntary", "voluntary", "involuntary"], "leavers": [10, 6, 3]}
    )
    life = pd.DataFrame({"tenure": [0, 1], "at_risk": [100, 90], "churned": [10, 9]})
    found = causes.tabulate_incidence(table, life).set_index(["cause", "months"])["share"]
    assert found["voluntary", 1] == pytest.approx(0.1)
    assert found["voluntary", 2] == pytest.approx(0.1 + 0.9 * 0.1 * 2 / 3)
    assert found["involuntary", 2] == pytest.approx(0.9 * 0.1 / 3)
