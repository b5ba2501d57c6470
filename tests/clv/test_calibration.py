"""Simulation-based calibration in the small: uniform ranks where all is right, and not where something is wrong.

`make calibrate` runs it in full, over every model.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytensor
import pytest
from scipy import stats

from cvmlib.clv import calibration
from cvmlib.clv.calibration import (
    DRAWS,
    Compiled,
    Ranks,
    check_ranks,
    compile_problem,
    narrow,
    purchase_problem,
    rank_truths,
    spend_problem,
)
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.errors import UnfitModelError

FAMILY = narrow(BG_NBD)
SMALL = 60


def sum_of_squares(ranks: pd.Series) -> float:
    """P-value of the ranks' mean square distance from the middle: sees posteriors too wide or too narrow."""
    u = (ranks.to_numpy() + 0.5) / (DRAWS + 1) - 0.5
    return float(2 * stats.norm.sf(abs((u**2).mean() - 1 / 12) / np.sqrt(1 / 180 / len(u))))


PROBLEM = purchase_problem(FAMILY, customers=120)


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_problem(PROBLEM)


@pytest.fixture(scope="module")
def right(compiled) -> Ranks:
    return rank_truths(PROBLEM, SMALL, 3, compiled)


def test_ranks_of_a_right_model_are_uniform(right):
    assert list(right.table) == ["log_rate", "log_shape", "logit_dropout", "log_concentration", "log_likelihood"]
    assert right.table.shape == (SMALL, 5) and right.refused == 0
    assert right.table.min().min() >= 0 and right.table.max().max() <= DRAWS
    table = check_ranks(right)
    assert (table["p_value"] > 0.001).all() and (table["simulations"] == SMALL).all()
    assert all(sum_of_squares(right.table[name]) > 0.001 for name in right.table)


def test_the_same_seed_gives_the_same_ranks(right, compiled):
    pd.testing.assert_frame_equal(rank_truths(PROBLEM, 4, 3, compiled).table, right.table.head(4))
    assert not rank_truths(PROBLEM, 4, 4, compiled).table.equals(right.table.head(4))
    assert compiled.density.compilations <= 2  # of many data sets; one more where a number first differs


def test_a_wrong_simulator_is_found(compiled):
    """Customers who buy by half again as fast as the parameters say."""

    def simulate(values, rng):
        return PROBLEM.simulate(values | {"rate": 1.5 * values["rate"]}, rng)

    found = check_ranks(rank_truths(replace(PROBLEM, simulate=simulate), 30, 3, compiled)).set_index("parameter")
    assert found.loc["log_rate", "p_value"] < 1e-4
    assert found.loc["log_likelihood", "p_value"] < 1e-4


def test_a_wrong_prior_is_found(compiled):
    """Truths from a prior twice as wide as the one that is fitted lie too often at the ends."""
    wide = purchase_problem(narrow(BG_NBD, 1.0), customers=120)
    ranks = rank_truths(PROBLEM, 40, 3, replace(compiled, model=wide.build(PROBLEM.first)))
    assert sum_of_squares(ranks.table["log_concentration"]) < 0.01
    assert ranks.table["log_concentration"].isin([*range(10), *range(90, 100)]).mean() > 0.35


def test_units_of_a_pool_are_ranked_each(monkeypatch):
    """In plain Python, and of few draws: compiling this graph would take longer than all its evaluations."""
    for name, value in {"_PROPOSALS": 40, "_MANY_PROPOSALS": 40, "_ENOUGH": 1, "DRAWS": 9}.items():
        monkeypatch.setattr(calibration, name, value)
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        ranks = rank_truths(purchase_problem(FAMILY, units=2, customers=60), 2)
    assert ranks.name == "BG/NBD, 2 units"
    assert list(ranks.table)[:3] == ["log_rate[u0]", "log_rate[u1]", "log_shape[u0]"]
    assert ranks.table.shape == (2, 9)


def test_spend_is_calibrated_whatever_the_unit_of_money():
    ranks = rank_truths(spend_problem(customers=120), 40, seed=2)
    assert list(ranks.table) == ["log_mean_spend", "log_p", "log_q_less_one", "log_likelihood"]
    assert (check_ranks(ranks)["p_value"] > 0.001).all()


def test_a_table_without_repeat_buyers_is_an_error(compiled):
    silent = replace(PROBLEM, simulate=lambda values, rng: (PROBLEM.first.assign(frequency=0, recency=0.0), {}))
    with pytest.raises(UnfitModelError, match="A draw of the prior of BG/NBD cannot be fitted; narrow it"):
        rank_truths(silent, 2, 1, compiled)


def test_a_distrusted_fit_is_counted_and_kept(compiled, monkeypatch):
    monkeypatch.setattr(calibration, "_ENOUGH", 1e9)
    monkeypatch.setattr(calibration, "_MANY_PROPOSALS", 2000)
    ranks = rank_truths(PROBLEM, 2, 1, compiled)
    assert ranks.refused == 2 and len(ranks.table) == 2


def test_narrowed_priors_are_no_wider():
    wide, narrowed = BG_NBD.parameters, narrow(BG_NBD, 0.4).parameters
    assert [p.prior.sd for p in narrowed] == [min(p.prior.sd, 0.4) for p in wide]
    assert [(p.name, p.prior.mean, p.prior.spread) for p in narrowed] == [
        (p.name, p.prior.mean, p.prior.spread) for p in wide
    ]


def test_uniformity_is_that_of_the_bins():
    even = Ranks("m", pd.DataFrame({"a": np.arange(100), "b": np.arange(100) // 4}), 2)
    table = check_ranks(even).set_index("parameter")
    assert (table.loc["a", "chi_square"], table.loc["a", "p_value"]) == (0.0, 1.0)
    counts = np.array([40, 40, 20, 0, 0, 0, 0, 0, 0, 0])
    assert table.loc["b", "chi_square"] == pytest.approx(((counts - 10) ** 2 / 10).sum())
    assert table.loc["b", "p_value"] < 1e-20 and (table["refused"] == 2).all()
