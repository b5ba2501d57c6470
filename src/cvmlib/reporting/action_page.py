"""The parts of the action-plan page: what to start, stop, change and test, for whom, and what that should bring."""

from pathlib import Path

import pandas as pd

from cvmlib import plots
from cvmlib.decisions.plan_results import UnitPlan
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import action_words as words
from cvmlib.reporting import downloads, pages, show

LIST = "action_list"
"""Name of the files beside the page: one row per recommended contact and per customer held out."""


def show_verdict(plan: UnitPlan) -> None:
    """Show what the plan is expected to bring, and what limits that."""
    level, headline = words.judge_plan(plan)
    show.verdict(level, headline, *words.list_reasons(plan))
    show.facts(words.list_facts(plan))


def show_roadmap(plan: UnitPlan) -> None:
    """Show the moves in the order of value per effort."""
    currency = plan.totals["currency"]
    show.prose(show.text(words.describe_roadmap(plan.moves, currency)))
    names = {
        "kind": "Move",
        "what": "What",
        "value": f"Expected value ({currency})",
        "value_low": f"{plan.totals['interval']:.0%} interval from",
        "value_high": "to",
        "effort": f"Effort ({currency})",
        "per_effort": "Value per effort",
        "probability": "Probability of a gain",
        "why": "Why",
    }
    table = plan.moves.assign(kind=plan.moves["kind"].map(words.KINDS)).rename(columns=names)
    table.insert(0, "Step", range(1, len(table) + 1))
    formats = {names[key]: "money" for key in ("value", "value_low", "value_high", "effort")}
    formats |= {names["per_effort"]: "number:1", names["probability"]: "percent", "Step": "integer"}
    note = "Value is net of cost. Of stopping it is the loss that is saved; of a test, what knowing is worth."
    show.table(table, "Roadmap, by value per effort", "roadmap", formats, note)


def show_actions(plan: UnitPlan) -> None:
    """Show what each action of the plan is expected to bring."""
    totals, sentence = plan.totals, words.describe_actions(plan)
    show.prose(show.text(sentence))
    table, currency = plan.actions, totals["currency"]
    taken = table[table["contacts"].fillna(0) > 0].sort_values("value", ascending=False)
    names = {
        "label": "Action",
        "channel": "Channel",
        "effect": "Measured effect",
        "suited": "Meant for",
        "paying": "Pays for",
        "contacts": "Contacts",
        "cost": f"Cost ({currency})",
        "value": f"Value net of cost ({currency})",
        "value_low": f"{totals['interval']:.0%} interval from",
        "value_high": "to",
        "probability": "Probability of a gain",
    }
    formats = {names[key]: "money" for key in ("cost", "value", "value_low", "value_high")}
    formats |= {names[key]: "integer" for key in ("suited", "paying", "contacts")}
    formats |= {names["effect"]: "percent:1", names["probability"]: "percent"}
    shown = table.sort_values("value", ascending=False).rename(columns=names)[list(names.values())]
    if taken.empty:
        show.table(shown, "Actions", "actions", formats)
        return
    frame = taken.rename(columns={"label": "name", "value": "mean", "value_low": "low", "value_high": "high"})
    ax = plots.interval_bars(frame[["name", "mean", "low", "high"]], label="Value net of cost", unit=currency)
    caption = f"Value net of cost, with {totals['interval']:.0%} intervals of what the effects may be."
    show.figure(ax.figure, sentence, shown.reset_index(drop=True), caption, "actions", formats)


def show_contacts(plan: UnitPlan) -> None:
    """Show the most valuable contacts, each with its reason."""
    contacts = plan.contacts[plan.contacts["arm"].isin(["treated", "explored"])]
    if contacts.empty:
        show.prose("Nobody is to be contacted.")
        return
    currency = plan.totals["currency"]
    names = {"customer_id": "Customer", "label": "Action", "net": f"Net ({currency})", "reason": "Why"}
    table = contacts.rename(columns=names)[list(names.values())].reset_index(drop=True)
    show.table(table, "Contacts, the most valuable first", "contacts", {names["net"]: "number:2"}, rows=10)
    by_stage = contacts.groupby(["stage", "label"], as_index=False).agg(
        contacts=("net", "size"), cost=("cost", "sum"), net=("net", "sum")
    )
    by_stage = by_stage.sort_values("net", ascending=False).rename(
        columns={"stage": "Stage", "label": "Action", "contacts": "Contacts", "cost": f"Cost ({currency})",
                 "net": f"Expected net ({currency})"}
    )  # fmt: skip
    formats = dict.fromkeys([f"Cost ({currency})", f"Expected net ({currency})"], "money")
    show.table(by_stage.reset_index(drop=True), "Contacts by stage", "stages", formats)


def write_lists(portfolio: Portfolio, plan: UnitPlan) -> list[Path]:
    """Write the list of contacts as CSV and Parquet beside the page; return both files."""
    folder = portfolio.reports_dir / plan.unit
    folder.mkdir(parents=True, exist_ok=True)
    text, table = folder / f"{LIST}.csv", folder / f"{LIST}.parquet"
    listed = plan.contacts[plan.contacts["arm"] != "resting"]
    pages.write_text(text, "\ufeff" + downloads.csv_text(listed))
    listed.to_parquet(table, index=False)
    return [text, table]


def show_lists(written: list[Path]) -> None:
    """Say where the whole list is."""
    links = " and ".join(f"[{path.name}]({path.name})" for path in written)
    show.prose(
        f"The whole list, with everybody held out, is beside this page: {links}. Its column `arm` is what "
        "`assignments` needs to measure the actions in the next run."
    )


def show_budget(plan: UnitPlan) -> None:
    """Show what smaller and larger budgets would earn."""
    currency, sentence = plan.totals["currency"], words.describe_budget(plan)
    show.prose(show.text(sentence))
    curve = plan.curve
    if curve["cost"].max() <= 0:
        return
    label = plan.totals["label"]
    ax = plots.budget_curves({label: curve}, {label: plan.totals["cost"]}, unit=currency)
    names = {
        "budget": f"Budget ({currency})",
        "cost": f"Spent ({currency})",
        "value": f"Value net of cost ({currency})",
        "marginal": f"One more {currency} earns",
    }
    formats = dict.fromkeys(list(names.values())[:3], "money") | {names["marginal"]: "number:2"}
    caption = "Expected value of the best plan for each budget, net of it; the ring is the plan of this page."
    show.figure(ax.figure, sentence, curve.rename(columns=names), caption, "budget", formats)


def show_limits(plan: UnitPlan) -> None:
    """Show how much of every limit is used, and what one more unit of it is worth."""
    limits = pd.DataFrame(plan.totals["limits"], columns=["name", "most", "used", "price"])
    if limits.empty:
        show.prose("No budget and no capacity is set.")
        return
    labels = plan.actions.set_index("action")["label"].to_dict()
    names = {
        "name": "Limit",
        "most": "There is",
        "used": "Used",
        "price": f"One more is worth ({plan.totals['currency']})",
    }
    table = limits.assign(name=[words.name_limit(name, labels) for name in limits["name"]]).rename(columns=names)
    formats = {"There is": "number:0", "Used": "number:0", names["price"]: "number:2"}
    show.table(table, "Limits of the plan", "limits", formats)


def show_unknowns(plan: UnitPlan) -> None:
    """List what the page leaves out or assumes."""
    show.prose("- " + "\n- ".join(show.text(line) for line in words.explain_limits(plan)))
    missing = plan.actions[plan.actions["reason"].fillna("") != ""]
    for row in missing.to_dict("records"):
        show.prose(f"- **{show.text(row['label'])}**, no measured effect: {show.text(row['reason'])}")
