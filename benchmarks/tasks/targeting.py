"""Retention campaigns in simulated worlds, by effect times value and by risk; prints one line of JSON.

``python -m benchmarks.tasks.targeting FIRST LAST [CUSTOMERS]``

In each world subscribers of three plans leave by hazards and propensities of their own. How many would-be leavers a
contact persuades differs by plan and year of tenure and has nothing to do with the risk: some segments are lost causes,
in some a contact reminds people to leave. A randomised pilot runs in the quarter before the end of observation; from it
and from the history the library makes its list for the next quarter. Profit is what then really happens: true leavers,
true persuasion, and the true hazards of the horizon.
"""

import json
import sys
from datetime import date

import ibis
import numpy as np
import pandas as pd

from cvmlib.business_unit import Saving
from cvmlib.churn import experiment, money, saving
from cvmlib.churn.counts import active_cells, build_spells, count_subscriptions
from cvmlib.churn.forecast import Terms
from cvmlib.churn.retention import fit_hazard
from cvmlib.churn.simulate import PlanTruth, observe, simulate_subscriptions

START, END = date(2026, 3, 31), date(2026, 6, 30)
WINDOW, PILOT = 3, 0.4
TERMS = Terms(12, 0.6, 0.0, 0.1)
PRICES = {"basic": 12.0, "plus": 25.0, "premium": 45.0}


def make_plans(rng: np.random.Generator) -> dict[str, PlanTruth]:
    """Draw the hazards of the plans: falling with tenure, at their own levels."""
    shares = rng.dirichlet([8, 6, 4])
    months = np.arange(120)
    return {
        name: PlanTruth(
            share, price, rng.uniform(0.012, 0.04) + rng.uniform(0, 0.04) * np.exp(-months / rng.uniform(4, 12))
        )
        for share, (name, price) in zip(shares, PRICES.items(), strict=True)
    }


def draw_persuasion(rng: np.random.Generator) -> dict[tuple[str, int], float]:
    """Draw which share of would-be leavers a contact persuades; below zero: which share as many it drives away."""
    return {(plan, year): rng.choice([-0.1, 0.0, rng.uniform(0.2, 0.7)]) for plan in PRICES for year in range(5)}


def _segments(table: pd.DataFrame, day: date) -> list[tuple[str, int]]:
    months = (day.year - table["start"].dt.year) * 12 + day.month - table["start"].dt.month
    return list(zip(table["plan"], months // 12, strict=True))


def run_pilot(
    truth: pd.DataFrame, persuasion: dict[tuple[str, int], float], rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Contact half of a random part of the active and change their ends; return the new truth and the assignments."""
    day, over = pd.Timestamp(START), pd.Timestamp(END)
    active = (truth["start"] <= day) & ~(truth["end"] <= day)
    drawn = active & (rng.random(len(truth)) < PILOT)
    treated = drawn & (rng.random(len(truth)) < 0.5)
    share = np.array([persuasion.get(segment, 0.0) for segment in _segments(truth, START)])
    leaves = truth["end"] <= over
    chance = rng.random(len(truth))
    kept = treated & leaves & (chance < share)
    rate = float((active & leaves).sum() / active.sum())
    driven = treated & ~leaves & (chance < -share * rate / (1 - rate))
    end = truth["end"].mask(kept, truth["end"] + pd.to_timedelta(rng.integers(120, 600, len(truth)), unit="D"))
    end = end.mask(driven, day + pd.to_timedelta(rng.integers(1, 90, len(truth)), unit="D"))
    assignments = pd.DataFrame({"customer_id": truth["customer_id"], "program_id": "pilot", "assigned_on": day})
    assignments["arm"] = np.where(treated, "treated", "control")
    return truth.assign(end=end), assignments[drawn]


def true_profits(truth: pd.DataFrame, plans: dict[str, PlanTruth], persuasion: dict, costs: Saving) -> pd.Series:
    """Profit of contacting each active customer at the end of observation, as it will really come about."""
    end = pd.Timestamp(END)
    active = truth[(truth["start"] <= end) & ~(truth["end"] <= end)]
    leaves = (active["end"] <= end + pd.DateOffset(months=WINDOW)).to_numpy()
    share = np.array([persuasion.get(segment, 0.0) for segment in _segments(active, END)])
    rate = leaves.mean()
    saved = np.where(share > 0, share * leaves, share * rate / (1 - rate) * ~leaves)
    months = ((END.year - active["start"].dt.year) * 12 + END.month - active["start"].dt.month).to_numpy()
    lost = np.zeros(len(active))
    for plan, told in plans.items():
        hazard = np.concatenate([told.hazard, np.full(120, told.hazard[-1])])
        own = (active["plan"] == plan).to_numpy()
        ahead = hazard[months[own][:, None] + 1 + np.arange(TERMS.horizon_months)]
        lost[own] = money.lose_months(ahead, TERMS.discounts, 0.5)[:, :WINDOW].mean(axis=1)
    gain = TERMS.margin * active["price"].to_numpy() * lost * saved
    profit = gain - costs.offer_cost * (~leaves + saved) - costs.contact_cost
    return pd.Series(profit, index=active["customer_id"].to_numpy())


def try_world(seed: int, customers: int) -> dict:
    """One world: the true profits of lists by effect times value, by risk, by risk times value, and of everybody."""
    rng = np.random.default_rng(seed)
    plans, persuasion = make_plans(rng), draw_persuasion(rng)
    costs = Saving(contact_cost=0.2, offer_cost=float(rng.uniform(0.3, 1.2)), acceptance=[0.1, 0.5])
    truth = simulate_subscriptions(customers, END, plans, 48, heterogeneity=0.5, seed=seed)
    truth, assignments = run_pilot(truth, persuasion, rng)
    spells = build_spells(ibis.memtable(observe(truth, END)), END)
    programs = pd.DataFrame({"program_id": ["pilot"], "intended_outcome": "retention", "start": pd.Timestamp(START)})
    counted = experiment.count_experiment(spells, ibis.memtable(assignments), ibis.memtable(programs), WINDOW, END)
    counts = count_subscriptions(spells)
    outlook = money.make_outlook(fit_hazard(counts, draws=500, seed=seed), active_cells(counts), TERMS, seed)
    losses = money.expect_losses(outlook, WINDOW)
    found = {}
    effects = experiment.estimate_effects(counted, 500, seed)
    for name, response in (
        ("measured", experiment.measure_response(outlook, losses, effects, "pilot", seed)),
        ("assumed", saving.assume_response(losses, costs, seed=seed)),
    ):
        scores = saving.score_contacts(outlook, losses, response)
        found[name] = saving.join_profit(spells, scores, outlook, costs).execute().set_index("customer_id")
    worth = true_profits(truth, plans, persuasion, costs)
    listed = found["measured"].query("profit > 0")
    size = len(listed)
    assumed = found["assumed"].assign(ties=rng.random(len(found["assumed"])))  # alike customers: picked at random
    by_risk = assumed.sort_values(["p_leave", "ties"], ascending=False)
    believed = by_risk["profit"].cumsum().to_numpy()
    own = int(believed.argmax()) + 1 if believed.max() > 0 else 0  # as many as pay if all accept alike
    return {
        "seed": seed,
        "base": len(worth),
        "listed": size,
        "effect": float(worth[listed.index].sum()),
        "risk": float(worth[by_risk.index[:size]].sum()),
        "risk_own_size": float(worth[by_risk.index[:own]].sum()),
        "risk_times_value": float(worth[assumed[assumed["profit"] > 0].index].sum()),
        "everybody": float(worth.sum()),
        "expected": float(listed["profit"].sum()),
    }


if __name__ == "__main__":
    first, last = int(sys.argv[1]), int(sys.argv[2])
    size = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
    print(json.dumps([try_world(seed, size) for seed in range(first, last + 1)]))
