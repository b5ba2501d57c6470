"""What `make calibrate` runs, and how it judges."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import calibrate
from cvmlib.churn.retention_model import TITLES


def table(p_values, refused=0) -> pd.DataFrame:
    return pd.DataFrame({"model": "m", "parameter": range(len(p_values)), "p_value": p_values}).assign(
        simulations=200, refused=refused
    )


def test_every_family_is_calibrated():
    problems = calibrate.find_problems()
    assert ("bg_nbd", 1) in problems and ("bg_nbd", 3) in problems and ("gamma_gamma", 3) in problems
    assert len(set(problems)) == len(problems)


@pytest.mark.parametrize(("name", "units"), calibrate.find_problems())
def test_every_problem_can_be_posed(name, units):
    problem = calibrate.pose(name, units)
    if name in TITLES:
        assert problem.first["churned"].any() and not problem.first["churned"].all()
    else:
        assert problem.first["customers"].sum() == 300 * units and (problem.first["frequency"] > 0).any()
    assert len(problem.ranked) >= 2
    model = problem.build(problem.first)
    assert model.coords["unit"] == tuple(f"u{i}" for i in range(units))


def test_chance_among_many_is_no_failure():
    even = np.linspace(0.005, 1.0, 100)
    judged = calibrate.judge(table(even))
    assert judged["verdict"].tolist() == ["small p"] + [""] * 99
    judged = calibrate.judge(table([1e-5, *even]))
    assert judged["verdict"].tolist()[:2] == ["not uniform", "small p"]
    assert set(calibrate.judge(table(even[50:], refused=11))["verdict"]) == {"refused"}
    assert set(calibrate.judge(table(even[50:], refused=10))["verdict"]) == {""}


def test_the_exit_code_says_whether_it_passed(monkeypatch, capsys):
    monkeypatch.setattr(calibrate, "ProcessPoolExecutor", lambda jobs, mp_context: Serial())
    for p_value, code in ((0.5, 0), (1e-6, 1)):
        monkeypatch.setattr(calibrate, "run", lambda *asked, p=p_value: (table([0.3, p]), 1.0))
        assert calibrate.main(["--only", "bg_nbd"]) == code
    shown = capsys.readouterr()
    assert "not uniform" in shown.out and "m: 1 CPU s" in shown.err


class Serial:
    """Stands for a pool of processes."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def submit(self, function, *arguments):
        return Done(function(*arguments))


class Done:
    def __init__(self, value):
        self.value = value

    def result(self):
        return self.value
