"""The tables of a plan: its actions, every contact with its reason, and what other budgets would earn."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from cvmlib.business_unit import Action
from cvmlib.decisions.actions import Opportunities, explain
from cvmlib.decisions.assignment import Assignment, Limits, assign
from cvmlib.decisions.base import Base
from cvmlib.decisions.cells import Cells
from cvmlib.decisions.exploration import CHOSEN, HELD_OUT, draw_numbers
from cvmlib.portfolio import Portfolio

BUDGETS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
"""Shares of the budget (or of what the plan costs) for which the plan is made again, to tell what a euro more earns."""


def tabulate_actions(
    actions: Mapping[str, Action],
    here: Opportunities,
    solved: Assignment,
    net: np.ndarray,
    draws: np.ndarray,
    cells: Cells,
    reasons: Mapping[str, str],
    interval: float,
) -> pd.DataFrame:
    """Tabulate the actions of a plan.

    Returns
    -------
    DataFrame
        action, label, channel, programs, effect (mean, weighted by what it acts on), suited (customers it is for),
        paying (those of them for whom it is expected to bring more than it costs), contacts, cost, value (net of cost)
        with _low and _high, probability (of a net value above 0), reason (why it is not planned; empty otherwise).
    """
    tails, rows = [(1 - interval) / 2, (1 + interval) / 2], []
    for name, action in actions.items():
        row = {"action": name, "label": action.label, "channel": action.channel,
               "programs": ", ".join(action.programs), "reason": reasons.get(name, "")}  # fmt: skip
        if name in here.names:
            a = here.names.index(name)
            number, suited = solved.contacts[:, a], here.worth[:, a] > 0
            total, weight = draws[:, a], here.worth[:, a] * cells.customers
            low, high = np.quantile(total, tails)
            size = here.effects[a].mean[here.segment[:, a]]
            row |= {
                "effect": float(size @ weight / weight.sum()) if weight.sum() > 0 else np.nan,
                "suited": int(cells.customers[suited].sum()),
                "paying": int(cells.customers[suited & (np.nan_to_num(net[:, a]) > 0)].sum()),
                "contacts": int(number.sum()),
                "cost": float(number.sum() * here.cost[a]),
                "value": float(total.mean()),
                "value_low": float(low),
                "value_high": float(high),
                "probability": float((total > 0).mean()) if number.sum() else np.nan,
            }
        rows.append(row)
    columns = "action label channel programs effect suited paying contacts cost value value_low value_high probability"
    return pd.DataFrame(rows, columns=[*columns.split(), "reason"])


def list_contacts(
    portfolio: Portfolio, unit: str, base: Base, cells: Cells, here: Opportunities, solved: Assignment, key: str
) -> pd.DataFrame:
    """List every recommended contact, the most valuable first, then everybody held out or left alone.

    Returns
    -------
    DataFrame
        customer_id, arm (treated, explored, held out, resting), action, label, channel, stage, gain (expected
        incremental margin), cost, net (money), reason (one line). Of customers who are alike, those to contact are
        drawn at random.
    """
    settings, number = portfolio.units[unit], draw_numbers(base.ids, f"rank{key}")
    order = np.lexsort((number, cells.of_customer))
    starts = np.r_[0, np.cumsum(cells.customers)]
    gains = here.gains()
    rows, columns = np.nonzero(solved.contacts)
    many = solved.contacts[rows, columns]
    place = np.cumsum(many) - many
    place = place - place[np.searchsorted(rows, rows)]  # from the first contact of the same cell on
    cell, a = np.repeat(rows, many), np.repeat(columns, many)
    rank = np.repeat(place, many) + np.arange(len(cell)) - np.repeat(np.cumsum(many) - many, many)
    customer = order[starts[cell] + rank % cells.customers[cell]]
    rows, group = base.rows.iloc[cells.row[cell]], cells.group[cell]
    labels = [settings.actions[name].label for name in here.names]
    gain, cost = gains[cell, a], here.cost[a]
    found = pd.DataFrame(
        {
            "customer_id": base.ids[customer].astype(str),
            "arm": np.where(group == CHOSEN, "treated", "explored"),
            "action": np.array(here.names, dtype=object)[a],
            "label": np.array(labels, dtype=object)[a],
            "channel": np.array([settings.actions[name].channel for name in here.names], dtype=object)[a],
            "stage": rows["stage"].to_numpy(object),
            "gain": gain,
            "cost": cost,
            "net": gain - cost,
        }
    )
    records = rows.to_dict("records")
    found["reason"] = [
        explain(record, labels[k], g, c, portfolio.currency)
        for record, k, g, c in zip(records, a, gain, cost, strict=True)
    ]
    out = base.ids[cells.group[cells.of_customer] == HELD_OUT].astype(str)
    held = pd.DataFrame({"customer_id": np.sort(out), "arm": "held out", "reason": "Held out at random to measure."})
    lately = base.ids[(cells.rests & (cells.group != HELD_OUT))[cells.of_customer]].astype(str)
    rest = pd.DataFrame({"customer_id": np.sort(lately), "arm": "resting", "reason": "Contacted lately."})
    found = found.sort_values(["net", "customer_id"], ascending=[False, True])
    return pd.concat([found, held, rest], ignore_index=True)


def trace_budget(
    net: np.ndarray, cells: Cells, here: Opportunities, limits: Limits, solved: Assignment
) -> pd.DataFrame:
    """Make the plan for other budgets, by the mean effects: what a euro more, or less, earns.

    Returns
    -------
    DataFrame
        budget (money), cost (money spent), value (expected, net of cost), marginal (value of one more unit of budget).
    """
    spent = float(solved.contacts.sum(axis=0) @ here.cost)
    places = [place for place, name in enumerate(limits.names) if name == "budget"]
    whole = limits.most[places[0]] if places else spent
    if not places:
        use, most = np.vstack([limits.use, here.cost]), np.r_[limits.most, whole]
        limits, places = replace(limits, names=(*limits.names, "budget"), use=use, most=most), [len(most) - 1]
    rows = [{"budget": 0.0, "cost": 0.0, "value": 0.0, "marginal": np.nan}]
    for share in BUDGETS if whole > 0 else ():
        most = limits.most.copy()
        most[places[0]] = share * whole
        found = assign(net, cells.customers, replace(limits, most=most), 5e-3)
        cost = float(found.contacts.sum(axis=0) @ here.cost)
        rows.append({"budget": share * whole, "cost": cost, "value": found.value, "marginal": found.prices[places[0]]})
    return pd.DataFrame(rows)
