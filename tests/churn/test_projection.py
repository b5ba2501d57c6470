"""Plain projections against closed forms and simulated cohorts."""

from datetime import date

import numpy as np
import pytest

from cvmlib.churn import projection
from cvmlib.churn.months import month_index
from cvmlib.churn.simulate import simulate_counts

END = date(2026, 6, 30)
LAST = month_index(END)


@pytest.fixture(scope="module")
def flat():
    """Everybody leaves with 4 % a month, whatever the tenure."""
    return simulate_counts(4000, {"a": np.full(60, 0.04)}, {"a": 10.0}, END, 30, 1)


def test_all_projections_agree_where_the_risk_is_constant(flat):
    tenure = np.array([0, 5, 20, 29])
    found = projection.project(flat, tenure, 12)
    assert list(found) == ["naive", "Kaplan–Meier", "sBG", "BdW"]
    for name, survival in found.items():
        assert survival.shape == (4, 13) and (survival[:, 0] == 1).all()
        late = 0.06 if name == "Kaplan–Meier" else 0.02  # single months are counted from few
        np.testing.assert_allclose(survival[:, 12], 0.96**12, atol=late, err_msg=name)


def test_curves_follow_a_falling_risk_and_the_naive_one_does_not():
    hazard = 0.15 / np.arange(1, 61)
    counts = simulate_counts(3000, {"a": hazard}, {"a": 10.0}, END, 30, 2)
    found = projection.project(counts, np.array([0, 20]), 6)
    truth = [np.prod(1 - hazard[1:7]), np.prod(1 - hazard[21:27])]
    for name in ("Kaplan–Meier", "BdW"):
        np.testing.assert_allclose(found[name][:, 6], truth, atol=0.03, err_msg=name)
    assert found["naive"][0, 6] == found["naive"][1, 6] > truth[0] + 0.05


def test_those_who_entered_late_are_not_at_risk_before(flat):
    """Survivors of times without records would make early leaving look rare, were they counted at risk then."""
    lasted = flat[~(flat["churned"] & (flat["joined"] + flat["tenure"] < LAST - 12))]
    naive, right = (
        projection.project(lasted, np.array([3]), 12, since)["Kaplan–Meier"][0, 12] for since in (None, LAST - 12)
    )
    assert right == pytest.approx(0.96**12, abs=0.03) and naive > right + 0.05


def test_no_curve_without_leavers_or_with_too_short_a_history(flat):
    nobody = flat[~flat["churned"]]
    assert list(projection.project(nobody, np.array([3]), 6)) == ["naive", "Kaplan–Meier"]
    assert (projection.project(nobody, np.array([3]), 6)["naive"] == 1).all()
    young = flat[(flat["joined"] >= LAST - 1)]
    assert list(projection.project(young, np.array([1]), 3)) == ["naive", "Kaplan–Meier"]


def test_comparison_measures_errors_in_shares_of_those_there():
    table = projection.compare_projections(
        {"model": np.array([[1.0, 0.9], [1.0, 0.5]])}, np.array([80, 20]), np.array([85.0]), ["2026-07"]
    )
    assert table["expected"].item() == pytest.approx(82) and table["error"].item() == pytest.approx(-0.03)
