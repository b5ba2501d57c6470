"""Expected maximum profit against empulse, against brute force over the acceptance, and its limits."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from cvmlib.churn.maximum_profit import expected_maximum_profit, upper_envelope

REFERENCES = Path(__file__).parent / "references" / "survival_metrics.json"


def test_equals_empulse_with_one_value_for_all():
    case = json.loads(REFERENCES.read_text(encoding="utf-8"))["empc"]
    terms = case["settings"]
    found = expected_maximum_profit(
        np.array(case["risk"]),
        np.array(case["churned"]),
        terms["clv"],
        terms["contact_cost"],
        terms["incentive_cost"],
        (terms["alpha"], terms["beta"]),
    )
    assert found.profit == pytest.approx(case["value"], abs=1e-8)


def test_equals_brute_force_with_values_of_their_own():
    rng = np.random.default_rng(5)
    risk, left = np.round(rng.random(60), 1), rng.random(60) < 0.4
    value, weight = rng.gamma(2.0, 40.0, 60), rng.integers(1, 5, 60).astype(float)
    found = expected_maximum_profit(risk, left, value, 1.5, 20.0, (3.0, 4.0), weight)
    gammas = beta.ppf((np.arange(20_000) + 0.5) / 20_000, 3, 4)
    best, size = np.zeros(len(gammas)), np.zeros(len(gammas))
    for level in np.unique(risk):
        on = risk >= level
        profit = (weight * on * left * (value - 20)).sum() * gammas - (weight * on * (1.5 + 20 * ~left)).sum()
        size = np.where(profit > best, (weight * on).sum(), size)
        best = np.maximum(best, profit)
    assert found.profit == pytest.approx(best.mean() / weight.sum(), rel=1e-5)
    assert found.share == pytest.approx(size.mean() / weight.sum(), abs=1e-3)


def test_contacts_nobody_when_it_cannot_pay_and_all_leavers_when_it_is_free():
    risk, left = np.array([0.9, 0.5, 0.1]), np.array([1, 1, 0])
    nobody = expected_maximum_profit(risk, left, 10.0, 50.0, 1.0, (6, 14))
    assert (nobody.profit, nobody.share) == (0.0, 0.0)
    free = expected_maximum_profit(risk, left, 100.0, 0.0, 0.0, (6, 14))
    assert free.profit == pytest.approx(0.3 * 200 / 3)


def test_envelope_holds_the_highest_lines_only():
    slope, level = np.array([0.0, 1.0, 2.0, 2.0, -1.0]), np.array([0.0, -0.2, -1.5, -0.9, -0.1])
    best, knots = upper_envelope(slope, level)
    x = np.linspace(0, 1, 1001)
    highest = (slope[:, None] * x + level[:, None]).max(axis=0)
    piece = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(best) - 1)
    np.testing.assert_allclose(slope[best][piece] * x + level[best][piece], highest, atol=1e-12)
    assert best.tolist() == [0, 1, 3]
