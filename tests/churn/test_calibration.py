import numpy as np
import pytest

from cvmlib.churn import calibration as retention
from cvmlib.churn import exposure
from cvmlib.churn.retention_model import TITLES, parameter_names
from cvmlib.clv.calibration import Problem, check_ranks, rank_truths


@pytest.mark.parametrize("name", list(TITLES))
def test_what_is_simulated_follows_the_hazards_of_the_values(name):
    posed = retention.pose(name, customers=60_000)
    data = retention._lay_out(posed.first)
    values = {key: np.zeros(1) for key in parameter_names(name, data)}
    values |= {"log_risk": np.array([0.0]), "effect": np.array([[0.5, 0.0, 0.0]])}
    if name == "hazard":
        values["drift"] = np.array([[0.2, 0.0, -0.1]])
        values["smooth"] = np.zeros((1, len(exposure.smooth_curves(data.tenures, len(data.tenures), data.renewal))))
    table, moved = posed.simulate(values, np.random.default_rng(1))
    assert not moved and table["subscriptions"].sum() >= 59_000
    laid = retention._lay_out(table)
    one = {key: value[None] for key, value in values.items()}
    patterns = laid.indicators() @ laid.contrasts()[0]
    risk = exposure.risk_increments(
        name, one, laid.tenures, len(laid.tenures), laid.renewal, laid.unit_of_block, patterns
    )[0]
    expected = -np.expm1(-risk) * laid.at_risk
    gap = (laid.left - expected).sum(axis=0) / np.sqrt(np.maximum(expected.sum(axis=0), 1))
    assert np.abs(gap).max() < 4


def test_ranks_of_the_bdw_are_uniform():
    ranks = rank_truths(Problem(**retention.pose("bdw", customers=300)._asdict()), 20)
    assert ranks.refused <= 2
    assert (check_ranks(ranks)["p_value"] > 1e-4).all()
