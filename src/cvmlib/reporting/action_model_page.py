"""The parts of the models page of actions: the effect of each action, and what the limits are worth."""

from collections.abc import Mapping

import pandas as pd

from cvmlib.decisions.plan_results import UnitPlan
from cvmlib.reporting import show


def show_effects(plans: Mapping[str, UnitPlan]) -> None:
    """Show the actions of all units, with their measured effects or why there are none."""
    tables = [plan.actions.assign(unit=plan.totals["label"]) for plan in plans.values()]
    names = {
        "unit": "Unit",
        "label": "Action",
        "programs": "Measured by",
        "effect": "Effect",
        "suited": "Meant for",
        "paying": "Pays for",
        "contacts": "Contacts",
        "reason": "Not planned, because",
    }
    table = pd.concat(tables, ignore_index=True).rename(columns=names)[list(names.values())]
    formats = {"Effect": "percent:1"} | dict.fromkeys(["Meant for", "Pays for", "Contacts"], "integer")
    show.table(table, "Actions and their effects", "effects", formats)


def show_limits(plans: Mapping[str, UnitPlan]) -> None:
    """Show of every plan the limits, their prices, and how far it may fall short of the best one."""
    limits = [{"unit": plan.totals["label"], **limit} for plan in plans.values() for limit in plan.totals["limits"]]
    names = {"unit": "Unit", "name": "Limit", "most": "There is", "used": "Used", "price": "One more is worth"}
    table = pd.DataFrame(limits, columns=list(names)).rename(columns=names)
    formats = {"There is": "number:0", "Used": "number:0", "One more is worth": "number:2"}
    gaps = ", ".join(f"{plan.totals['label']} {plan.totals['gap']:.3%}" for plan in plans.values())
    show.table(table, "Limits", "limits", formats, f"Optimality gap at most: {gaps}.")
