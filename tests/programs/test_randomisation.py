import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cvmlib.programs.randomisation import LIMIT, check_randomisation, name_faults
from cvmlib.programs.simulate import simulate_counts
from tests.programs.arms import count_customers, draw_customers


def sizes(treated: int, control: int) -> pd.DataFrame:
    counts = count_customers(draw_customers(100, np.random.default_rng(1)).assign(x=0.0))
    return counts.assign(customers=counts["arm"].map({"treated": float(treated), "control": float(control)}))


def test_sizes_are_held_against_the_plan():
    found = check_randomisation(sizes(5_250, 4_750), pd.Series({"p": 0.5})).iloc[0]
    assert found["ratio"] == pytest.approx(stats.binomtest(5_250, 10_000, 0.5).pvalue)
    assert found["broken"] and found["stated"]
    assert "5,250 customers are treated and 4,750 held back" in name_faults(found)[0]
    assert "planned is 50.0%" in name_faults(found)[0]


@pytest.mark.parametrize(("treated", "plan"), [(5_030, 0.5), (9_010, 0.9), (6_650, 2 / 3), (1_240, 1 / 8)])
def test_without_a_plan_the_nearest_usual_share_is_taken(treated, plan):
    found = check_randomisation(sizes(treated, 10_000 - treated)).iloc[0]
    assert found["planned"] == pytest.approx(plan) and not found["stated"] and not found["broken"]


def test_odd_share_without_a_plan_says_that_none_is_stated():
    found = check_randomisation(sizes(43_500, 56_500 - 40)).iloc[0]
    assert found["broken"] and "none is stated in programs.treated_share" in name_faults(found)[0]


def test_chance_is_rarely_called_broken():
    counts = simulate_counts(np.zeros(150), [400] * 150, np.random.default_rng(3), levels=4)
    found = check_randomisation(counts, pd.Series(0.5, index=counts["program_id"].unique()))
    assert len(found) == 150 and found["broken"].mean() <= 0.02
    assert stats.kstest(found["past"], "uniform").pvalue > 1e-4


def test_treated_who_fall_out_of_the_record_break_the_past():
    rows = draw_customers(20_000, np.random.default_rng(4))
    lost = (rows["arm"] == "treated") & (rows["x"] == 0) & (np.random.default_rng(5).random(len(rows)) < 0.3)
    found = check_randomisation(count_customers(rows[~lost])).iloc[0]
    assert found["past"] < LIMIT and found["broken"]
    assert any("differed before the program began" in fault for fault in name_faults(found))


def test_uneven_shares_over_segments_are_seen():
    rows = draw_customers(20_000, np.random.default_rng(6))
    part = np.arange(len(rows)) % 2 == 0
    keep = ~(part & (rows["arm"] == "treated") & (np.random.default_rng(7).random(len(rows)) < 0.2))
    levels = [count_customers(rows[keep & (part == side)], "half", str(side)) for side in (True, False)]
    found = check_randomisation(pd.concat([count_customers(rows[keep]), *levels]), pd.Series({"p": 0.474})).iloc[0]
    assert found["segments"] < LIMIT and any("differs between segments" in fault for fault in name_faults(found))
