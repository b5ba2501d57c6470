"""The sentences of the action-plan page, built from its tables, so that text cannot drift from them."""

from collections.abc import Mapping

import pandas as pd

from cvmlib.decisions.plan_results import UnitPlan
from cvmlib.reporting.words import amount, between, count, listing, percent

KINDS = {"start": "Start", "change": "Change", "stop": "Stop", "test": "Test"}


def judge_plan(plan: UnitPlan) -> tuple[str, str]:
    """Return the level of the page's verdict and its headline."""
    totals, value = plan.totals, plan.totals["value"]
    if totals["why_not"]:
        return "withheld", f"Nothing can be promised of actions for the customers of {totals['label']}."
    if not totals["contacts"]:
        return "caution", f"No contact of {totals['label']} is expected to bring more than it costs."
    worth = between(value["mean"], value["low"], value["high"], totals["currency"], "on average")
    days = count(totals["period_days"], "day")
    headline = f"In the next {days}, {count(totals['contacts'], 'contact')} are expected to bring {worth} net of cost."
    sure = totals["probability"] >= 0.95 and totals["level"] != "caution"
    return ("sound" if sure else "caution"), headline


def list_reasons(plan: UnitPlan) -> list[str]:
    """Say what the plan does, what it rests on, and what it leaves out."""
    totals = plan.totals
    sentences = [totals["why_not"]] if totals["why_not"] else []
    if totals["level"] == "caution":
        sentences.append("The forecast of what customers are worth is usable with caution, and so is this plan.")
    if totals["contacts"]:
        sentences.append(
            f"They cost {amount(totals['cost'], totals['currency'])}; the probability that they earn that back is "
            f"{percent(totals['probability'])}."
        )
    if totals["held_out"]:
        sentences.append(
            f"{count(totals['held_out'], 'customer')} of {totals['customers']:,} drawn at random are not contacted, so "
            "that the next run can measure what contacting brought."
        )
    unmeasured = plan.actions.loc[plan.actions["reason"].fillna("") != "", "label"].tolist()
    if unmeasured and not totals["why_not"]:
        verb = "has" if len(unmeasured) == 1 else "have"
        sentences.append(f"{listing(unmeasured)} {verb} no measured effect and {verb} no part in the plan.")
    return sentences


def list_facts(plan: UnitPlan) -> dict[str, object]:
    """Headline numbers, as tiles."""
    totals, currency = plan.totals, plan.totals["currency"]
    mean, low, high = (amount(totals["value"][end], currency) for end in ("mean", "low", "high"))
    return {
        "Value net of cost": (mean, f"{totals['interval']:.0%} interval {low} to {high}"),
        "Contacts": (totals["contacts"], f"{totals['explored']:,} of them to learn"),
        "Cost": amount(totals["cost"], currency),
        "Held out": totals["held_out"],
    }


def describe_roadmap(moves: pd.DataFrame, currency: str) -> str:
    """Say how many moves there are of each kind, and which comes first."""
    if moves.empty:
        return "There is nothing to start, change, stop or test."
    counted = moves["kind"].value_counts()
    told = listing(f"{counted[kind]} to {kind}" for kind in KINDS if kind in counted)
    first = moves.iloc[0]
    if pd.isna(first["value"]):
        return f"There are {told}."
    return (
        f"Of {count(len(moves), 'move')}, there are {told}. First: {first['kind']} {first['what']}, worth "
        f"{amount(first['value'], currency)}."
    )


def describe_actions(plan: UnitPlan) -> str:
    """Say which action is to bring most."""
    table = plan.actions[plan.actions["contacts"].fillna(0) > 0]
    if table.empty:
        return "No action is taken."
    best = table.sort_values("value").iloc[-1]
    worth = between(best["value"], best["value_low"], best["value_high"], plan.totals["currency"], "on average")
    return f"{best['label']} is to bring most: {worth}, with {count(int(best['contacts']), 'contact')}."


def describe_budget(plan: UnitPlan) -> str:
    """Say what one more unit of money would earn."""
    limits = {limit["name"]: limit for limit in plan.totals["limits"]}
    currency = plan.totals["currency"]
    if "budget" not in limits:
        return "No budget is set: every contact that pays, and that the capacities allow, is made."
    budget = limits["budget"]
    if budget["price"] <= 0:
        return (
            f"The budget is not what limits the plan: {amount(budget['used'], currency)} of "
            f"{amount(budget['most'], currency)} are used, and more would earn nothing."
        )
    return f"One more {currency} of budget would earn {budget['price']:.2f} {currency} beyond itself."


def explain_limits(plan: UnitPlan) -> list[str]:
    """List what the plan leaves out or assumes."""
    totals = plan.totals
    if totals["why_not"]:
        return [totals["why_not"]]
    windows = ", ".join(f"{days:.0f}" for days in sorted(set(totals["windows"].values())))
    lines = [
        f"Effects are those of the window of the programs ({windows} days); what lasts longer is not counted.",
        "An effect on spending is taken to be the same share for every customer an action is meant for.",
        "Effects were measured on those who were contacted then; that they hold for the next contact too is assumed.",
    ]
    if totals["resting"]:
        lines.append(f"{count(totals['resting'], 'customer')} were contacted lately and are left alone in this period.")
    short = f"falls short of the best possible one by {percent(totals['gap'], 2)} of its value at most"
    lines.append(f"Under its limits, the plan {short if totals['gap'] > 1e-6 else 'is the best possible one'}.")
    return lines


def name_limit(name: str, labels: Mapping[str, str]) -> str:
    """Name a limit for people."""
    kind, _, rest = name.partition(" ")
    return {"budget": "Budget", "channel": f"Channel {rest}", "action": f"Action {labels.get(rest, rest)}"}[kind]
