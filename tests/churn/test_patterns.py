"""Outlook by covariate pattern, against the survivors that the retention model itself draws."""

from dataclasses import replace
from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import money, patterns
from cvmlib.churn.counts import build_spells, count_subscriptions
from cvmlib.churn.covariates import count_patterns, find_levels, label_spells, number_patterns
from cvmlib.churn.forecast import Terms
from cvmlib.churn.lifetimes import lay_out
from cvmlib.churn.outlook import forecast_survivors
from cvmlib.churn.retention import fit_hazard
from cvmlib.churn.retention_model import fit
from cvmlib.churn.simulate import PlanTruth, observe, simulate_subscriptions

END = date(2026, 6, 30)


@pytest.fixture(scope="module")
def fitted():
    """Two plans of different risk, named as a covariate; one in five leavers is cut off."""
    plans = {"calm": PlanTruth(0.5, 10.0, np.full(60, 0.02)), "quick": PlanTruth(0.5, 20.0, np.full(60, 0.06))}
    table = observe(simulate_subscriptions(3000, END, plans, seed=2), END)
    cut = np.random.default_rng(1).random(len(table)) < 0.2
    reason = np.where(table["end"].isna(), None, np.where(cut, "involuntary", "voluntary"))
    spells = build_spells(ibis.memtable(table.assign(end_reason=reason, kind=table["plan"])), END, keep=["kind"])
    levels, refused = find_levels(spells, ["kind"], {})
    assert not refused
    spells, known = number_patterns(label_spells(spells, levels), levels)
    counts = count_patterns(spells).merge(known.drop(columns="subscriptions"), on="pattern").assign(unit="phone")
    return spells, known, fit(lay_out(counts, ["kind"]), "sbg"), count_subscriptions(spells)


def test_survivors_are_those_of_the_retention_model(fitted):
    spells, known, model, table = fitted
    cells = patterns.count_active(spells)
    posterior = replace(fit_hazard(table, draws=400), shock_sd=0.0, level=np.ones(400))
    outlook, share = patterns.make_pattern_outlook(model, "phone", known, cells, posterior, Terms(6))
    size = cells["subscriptions"].to_numpy()
    mine = (money.survive(outlook.hazard)[..., 6] @ size).mean()
    drawn = forecast_survivors(model, 6)["phone"][:, 5]
    assert mine == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(len(drawn)) + 0.002 * size.sum())
    left = (money.expect_losses(outlook, 6, share).chance @ size).mean()
    assert left / (size.sum() - mine) == pytest.approx(0.8, abs=0.04)


def test_patterns_have_risks_of_their_own(fitted):
    spells, known, model, table = fitted
    cells, posterior = patterns.count_active(spells), fit_hazard(table, draws=100)
    outlook, _ = patterns.make_pattern_outlook(model, "phone", known, cells, posterior, Terms(3))
    chance = pd.Series(money.expect_losses(outlook, 3).chance.mean(axis=0)).groupby(cells["plan"].to_numpy()).mean()
    assert chance["quick"] > 2 * chance["calm"]
