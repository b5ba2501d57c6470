"""Programs and assignments that do not fit together: what a person is told, and what is done."""

import pandas as pd
import pytest

from tests.programs.company import draw_arm, list_programs, study, write_company
from tests.tables.builders import find

PROGRAMS = list_programs(("a", 10.0, "randomised"), ("b", 10.0, "randomised"))
CLEAN = pd.concat([draw_arm("a", 200, 200), draw_arm("b", 200, 200)])


def check(folder, programs=PROGRAMS, assignments=CLEAN, **tables):
    return study(write_company(folder, programs=programs, assignments=assignments, **tables))


def extra(program: str, customer: str, arm: str, **columns) -> pd.DataFrame:
    return pd.concat([CLEAN, pd.DataFrame([{"program_id": program, "customer_id": customer, "arm": arm, **columns}])])


def test_clean_programs_have_no_problem(tmp_path):
    kinds = [problem.kind for problem in check(tmp_path)[1].problems]
    assert kinds == ["no_log"]


def test_customers_in_both_arms_are_left_out(tmp_path):
    found, checks = check(tmp_path, assignments=extra("a", "a-0", "control", outcome=1.0))
    problem = find(checks, "both_arms")
    assert "1 customer is both treated and held back in one program" in problem.message
    assert problem.first_rows == [{"program_id": "a", "customer_id": "a-0"}]
    assert found.units["shop"].results["treated"].tolist() == [199, 200]


def test_overlapping_assignments_are_named(tmp_path):
    found, checks = check(tmp_path, assignments=extra("b", "a-0", "treated", outcome=1.0))
    problem = find(checks, "overlapping_assignments")
    assert "1 customer was treated by programs that ran at the same time: a and b (1)" in problem.message
    assert "without regard to the other" in problem.treatment
    assert found.units["shop"].results["treated"].sum() == 401


def test_programs_one_after_the_other_do_not_overlap(tmp_path):
    programs = PROGRAMS.assign(start=pd.to_datetime(["2026-01-01", "2026-05-01"]))
    kinds = [p.kind for p in check(tmp_path, programs, extra("b", "a-0", "treated", outcome=1.0))[1].problems]
    assert "overlapping_assignments" not in kinds


def test_treatment_before_the_customer_existed(tmp_path):
    customers = pd.DataFrame({"customer_id": CLEAN["customer_id"], "acquired_on": pd.Timestamp("2025-01-01")})
    customers.loc[customers["customer_id"].isin(["a-0", "a-399"]), "acquired_on"] = pd.Timestamp("2026-03-01")
    found, checks = check(tmp_path, customers=customers)
    problem = find(checks, "treated_before_acquired")
    assert "2 assignments are dated before the customer was acquired" in problem.message
    assert "left out, in both arms" in problem.treatment
    assert found.units["shop"].results[["treated", "control"]].iloc[0].tolist() == [199, 199]


@pytest.mark.parametrize("arm", ["treated", "control"])
def test_one_empty_arm_is_told(tmp_path, arm):
    lone = pd.concat([CLEAN[CLEAN["program_id"] == "a"], CLEAN[(CLEAN["program_id"] == "b") & (CLEAN["arm"] == arm)]])
    found, checks = check(tmp_path, assignments=lone)
    problem = find(checks, "empty_arm")
    assert "1 program has one empty arm" in problem.message and problem.first_rows[0]["program_id"] == "b"
    assert "hold customers back at random" in problem.treatment
    assert found.units["shop"].results["verdict"].iloc[1] == "not measured"


def test_missing_costs_leave_no_return(tmp_path):
    programs = PROGRAMS.assign(cost=[None, 10.0]).astype({"cost": float})
    found, checks = check(tmp_path, programs)
    assert "1 program has no cost" in find(checks, "missing_cost").message
    assert find(checks, "missing_cost").first_rows == [{"program_id": "a", "label": "A"}]
    assert "Its cost is missing" in found.units["shop"].results["reason"].iloc[0]


def test_outcomes_before_the_start_are_said(tmp_path):
    programs = PROGRAMS.assign(start=pd.to_datetime(["2026-01-01", "2026-07-15"]))
    problem = find(check(tmp_path, programs)[1], "no_outcome_yet")
    assert "1 program starts on the end of observation, 2026-06-30, or later" in problem.message
    assert "every outcome on record lies before the start" in problem.message


def test_arms_drawn_before_the_start_count_from_the_start(tmp_path):
    drawn = CLEAN.assign(assigned_on=pd.Timestamp("2026-01-02"))
    drawn.iloc[0, drawn.columns.get_loc("assigned_on")] = pd.Timestamp("2025-11-01")
    problem = find(check(tmp_path, assignments=drawn)[1], "before_start")
    assert "1 assignment is dated before the start of the program" in problem.message


def test_unknown_programs_and_ends_before_starts(tmp_path):
    programs = PROGRAMS.assign(end=pd.to_datetime(["2025-12-01", None]))
    checks = check(tmp_path, programs, extra("zzz", "x", "treated", outcome=1.0))[1]
    assert "1 program in assignments is absent from programs" in find(checks, "unknown_programs").message
    assert "1 program ends before the start" in find(checks, "end_before_start").message


def test_broken_programs_table_is_fatal_where_there_is_nothing_else(tmp_path):
    portfolio = write_company(tmp_path, programs=PROGRAMS.drop(columns="start"), assignments=CLEAN)
    with pytest.raises(Exception, match="the required column start"):
        study(portfolio)
