"""The parts of the models page on all parts of value: sums, certainty of types and tiers, and what limits them."""

from collections.abc import Mapping

import pandas as pd

from cvmlib.decisions.value_study import Study
from cvmlib.reporting import show

SUMMED = ("historic", "current", "potential", "coming")


def tabulate_sums(studies: Mapping[str, Study]) -> pd.DataFrame:
    """Sum the parts over customers and hold them against the unit's total.

    Returns
    -------
    DataFrame
        Unit, the parts (money, summed over customers), Credited (net, zero), Customers together, Parts together, and
        their Difference.
    """
    rows = []
    for study in studies.values():
        table = study.customers
        sums = table.agg(**{name: table[name].sum() for name in (*SUMMED, "credit", "value")}).execute().iloc[0]
        row = {"Unit": study.result.totals["label"]} | {name.capitalize(): float(sums[name]) for name in SUMMED}
        whole = float(sum(sums[name] for name in SUMMED))
        difference = abs(float(sums["value"]) - whole)
        row |= {"Credited, net": round(float(sums["credit"]), 4), "Customers together": float(sums["value"])}
        rows.append(row | {"Parts together": whole, "Difference": round(difference, 4)})
    return pd.DataFrame(rows)


def show_sums(studies: Mapping[str, Study]) -> None:
    """Show that no euro is counted twice: the customers' values sum to the parts, and credits to nothing."""
    table = tabulate_sums(studies)
    worst = float(table["Difference"].max()) if len(table) else 0.0
    show.prose(f"Customers' values and the parts differ by {worst:.2f} at most; credits sum to zero.")
    formats = {name: "number:2" for name in table.columns if name not in ("Unit", "Credited, net", "Difference")}
    show.table(table, "Sums over customers and over parts", "sums", formats)


def show_certainty(studies: Mapping[str, Study]) -> None:
    """Show how many customers have a type and a tier with a probability of 80% or more, and the lines."""
    rows = []
    for study in studies.values():
        totals = study.result.totals
        if study.result.withheld:
            continue
        lines = totals["lines"]
        row = {"Unit": totals["label"], "Scored": totals["scored"], "One type with 80%": totals["sure_types"]}
        row |= {"One tier with 80%": totals["sure_tiers"], f"Much, margin per {_EACH}": lines["margin"]}
        rows.append(row | {"Often, times a year": lines["often"], "Stated in the file": lines["stated"]})
    table = pd.DataFrame(rows)
    if table.empty:
        show.prose("No unit's value ahead may be told, so nobody has a type or a tier.")
        return
    formats = {"One type with 80%": "percent", "One tier with 80%": "percent", "Scored": "integer"}
    show.table(table, "Types and tiers: what they go by, and how sure they are", "certainty", formats)


_EACH = "purchase or month"


def show_notes(studies: Mapping[str, Study]) -> None:
    """List, unit by unit, what is missing or cannot be used."""
    lines = [
        f"- {show.text(study.result.totals['label'])}: {show.text(note)}"
        for study in studies.values()
        for note in [*study.result.totals["notes"], *study.result.totals["absent"]]
    ]
    show.prose("\n".join(lines) or "Nothing is missing.")
