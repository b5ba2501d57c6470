"""A small operator on disk: subscriptions with reasons of leaving, and, on demand, a randomised program."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from cvmlib.churn.fit import UnitFit, fit_unit
from cvmlib.churn.prepare import load_unit, prepare_unit
from cvmlib.churn.simulate import PlanTruth, observe, simulate_subscriptions
from cvmlib.portfolio import Portfolio, read_portfolio

END = date(2026, 6, 30)
MONTHS = np.arange(60)
PLANS = {
    "basic": PlanTruth(0.6, 10.0, 0.02 + 0.05 * np.exp(-MONTHS / 8)),
    "pro": PlanTruth(0.4, 60.0, 0.02 + 0.03 * np.exp(-MONTHS / 15)),
}
CONFIG = """
[portfolio]
name = "Operator"
source = "."
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1
horizon_months = 12
holdout_months = 6

[units.phone]
label = "Phone <b>& more</b>"
setting = "contractual"
margin = 0.5
{saving}

[units.phone.tables.subscriptions]
path = "subscriptions.parquet"
"""
SAVING = "saving = { contact_cost = 0.2, offer_cost = 1.0, acceptance = [0.2, 0.5] }"
EXPERIMENT = """
[units.phone.tables.programs]
path = "programs.parquet"
[units.phone.tables.assignments]
path = "assignments.parquet"
"""


def make_operator(folder: Path, saving: str = SAVING, experiment: bool = False, customers: int = 2500) -> Portfolio:
    """Write an operator's tables and portfolio file, and prepare its unit."""
    rng = np.random.default_rng(5)
    truth = simulate_subscriptions(customers, END, PLANS, heterogeneity=0.3, seed=3)
    reason = np.where(rng.random(customers) < 0.8, "voluntary", "involuntary")
    if experiment:
        _run_program(folder, truth, rng)
    seen = observe(truth, END)
    seen = seen.assign(end_reason=np.where(seen["end"].notna(), reason[: len(seen)], None))
    seen.to_parquet(folder / "subscriptions.parquet", index=False)
    (folder / "pyproject.toml").touch()
    text = CONFIG.format(saving=saving) + (EXPERIMENT if experiment else "")
    (folder / "operator.toml").write_text(text, encoding="utf-8")
    portfolio = read_portfolio(folder / "operator.toml")
    prepare_unit(portfolio, "phone")
    return portfolio


def _run_program(folder: Path, truth: pd.DataFrame, rng: np.random.Generator) -> None:
    """Contact half of the active a quarter before the end: three in four would-be leavers of plan pro stay."""
    day = pd.Timestamp(2026, 3, 31)
    active = (truth["start"] <= day) & ~(truth["end"] <= day)
    treated = active & (rng.random(len(truth)) < 0.5)
    kept = treated & (truth["plan"] == "pro") & (truth["end"] <= pd.Timestamp(END)) & (rng.random(len(truth)) < 0.75)
    truth.loc[kept, "end"] = pd.NaT
    drawn = pd.DataFrame({"customer_id": truth["customer_id"], "program_id": "P1", "assigned_on": day})
    drawn.assign(arm=np.where(treated, "treated", "control"))[active].to_parquet(folder / "assignments.parquet")
    program = {"program_id": "P1", "label": "Spring call", "challenge": "lifecycle", "intended_outcome": "retention"}
    pd.DataFrame([program | {"start": day}]).to_parquet(folder / "programs.parquet")


def fit_operator(portfolio: Portfolio) -> UnitFit:
    """Fit the unit with few draws."""
    return fit_unit(portfolio, load_unit(portfolio, "phone"), draws=300)
