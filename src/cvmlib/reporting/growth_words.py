"""The sentences on where more is to be had: headroom by kind, the market not won, where the next euro earns more."""

import numpy as np
import pandas as pd

from cvmlib.decisions.value_results import UnitParts
from cvmlib.reporting.words import amount, between, chance, count, listing, percent


def describe_headroom(unit: UnitParts) -> str:
    """Say where the headroom lies, or what is missing to tell."""
    table, totals = unit.tables["upsell"], unit.totals
    if table.empty:
        return "No customer has headroom against comparable customers."
    text = (
        "Headroom is what a customer would bring beyond what is expected, if he spent like a comparable customer drawn "
        "at random whenever that one spends more. It is an upper end for offers, not a forecast."
    )
    if totals["each"] == "month":
        return (
            f"{text} For subscriptions it is the step to dearer plans that comparable subscribers have: all of it is "
            "up-sell. Cross-sell and add-on cannot be told, for a subscription names no products."
        )
    return " ".join([text, _describe_kinds(unit), *_list_untold(unit)])


def _describe_kinds(unit: UnitParts) -> str:
    """Say how much of the headroom is of each kind."""
    kinds = unit.tables["kinds"].set_index("kind")["share"]
    told = {
        "cross_sell": "lies in categories they do not hold (cross-sell)",
        "add_on": "in more products per purchase, at their own price (add-on)",
        "up_sell": "in dearer products (up-sell)",
    }
    if len(kinds) == 1:
        return "All of it counts as up-sell."
    return (
        f"Of all customers' headroom {listing(f'{percent(kinds[one])} {told[one]}' for one in told if one in kinds)}."
    )


def _list_untold(unit: UnitParts) -> list[str]:
    """Say which kinds of headroom cannot be told, and what would tell them."""
    known, lines = set(unit.tables["kinds"]["kind"]), []
    if "cross_sell" not in known:
        lines.append(
            "Categories are not on record, so that cross-sell cannot be told; a table products would tell which to "
            "offer."
        )
    if "add_on" not in known:
        lines.append(
            "What goes into a purchase is not on record, so that add-on cannot be told: map product_id in the table "
            "transactions, one row per product bought."
        )
    elif not unit.tables["kinds"].set_index("kind").loc["add_on", "value"]:
        lines.append(
            "Customers do not differ, beyond chance, in how many products they put into a purchase, which leaves no "
            "headroom in add-on."
        )
    return lines


def describe_market(unit: UnitParts) -> str:
    """Say how much of the market is won, or what to supply."""
    totals = unit.totals
    if totals["market"] is None:
        return (
            f"How much of the market is won is not known: state the size of the market, market_customers, in "
            f"[units.{totals['unit']}] of the portfolio file."
        )
    text = (
        f"{percent(totals['customers'] / totals['market'])} of the market of "
        f"{count(totals['market'], 'customer')} is won"
    )
    if "present" not in totals:
        return f"{text}."
    return (
        f"{text}; {percent(totals['present'] / totals['market'])} of it, {totals['present']:,.0f}, still are customers."
    )


def describe_worth(unit: UnitParts) -> str:
    """Say what one more customer is worth, against more of those there are."""
    table, currency = unit.tables["market"], unit.totals["currency"]
    rows = table.set_index("step") if len(table) else table
    months = count(unit.totals["horizon_months"], "month")
    monthly, lines = unit.totals.get("each") == "month", []
    if "customer" in rows.index:
        row = rows.loc["customer"]
        lines.append(
            f"One more customer brings {amount(row['gross'], currency)} in the first {months} and costs "
            f"{amount(row['cost'], currency)} to win, which leaves {_range(row, currency)}."
        )
    else:
        lines.append("What one more customer is worth cannot be told without acquisition costs and customers followed.")
    if "purchase" in rows.index:
        what = "month of a subscription" if monthly else "purchase of a present customer"
        lines.append(f"One more {what} brings {_range(rows.loc['purchase'], currency)}.")
    if "category" in rows.index:
        lines.append(
            f"One more category of a present customer brings {_range(rows.loc['category'], currency)} in {months}."
        )
    if {"customer", "purchase"} <= set(rows.index) and np.isfinite(rows.loc["customer", "hundredth"]):
        won, more = (amount(rows.loc[step, "hundredth"], currency) for step in ("customer", "purchase"))
        lines.append(
            f"Winning one in a hundred of those not won yet would bring {won}; one more "
            f"{'month' if monthly else 'purchase'} of one in a hundred present customers, {more}."
        )
    if {"customer", "purchase"} <= set(rows.index) and np.isfinite(most := rows.loc["purchase", "most"]) and most > 0:
        what = "month" if monthly else "purchase"
        lines.append(
            f"Doing more with present customers earns more of the next {currency} wherever a further {what} is had for "
            f"less than {amount(most, currency)}; where it costs more, winning customers does."
        )
    return " ".join(lines)


def _range(row: pd.Series, currency: str) -> str:
    """Return the range of a step, or its one value where that is known."""
    return (
        between(row["each"], row["low"], row["high"], currency)
        if row["high"] > row["low"]
        else amount(row["each"], currency)
    )


def describe_penetration(unit: UnitParts) -> str:
    """Say where the next euro earns more: with customers there are, or by winning new ones."""
    table, currency = unit.tables["penetration"], unit.totals["currency"]
    rows = table.set_index("way") if len(table) else table
    if table.empty:
        return "Neither the cost of winning customers nor the effect of any program is on record."
    if len(table) == 1:
        way = table["way"].iloc[0]
        known = "winning customers" if way == "market" else "programs for present customers"
        missing = (
            "no program for present customers was measured" if way == "market" else "acquisition costs are missing"
        )
        back = f"{table['back'].iloc[0]:.2f}"
        return (
            f"One {currency} spent on {known} has brought back {back}; {missing}, so there is nothing to compare with."
        )
    best = "market" if rows.loc["market", "chance"] >= 0.5 else "account"
    names = {"market": "winning customers", "account": "doing more with those there are"}
    other = "account" if best == "market" else "market"
    return (
        f"The next {currency} earns more by {names[best]} (probability {chance(rows.loc[best, 'chance'])}): "
        f"{rows.loc[best, 'back']:.2f} of margin per {currency} against {rows.loc[other, 'back']:.2f} by "
        f"{names[other]}. Both are averages of what was spent so far; the next customers may cost more to win than the "
        "last."
    )
