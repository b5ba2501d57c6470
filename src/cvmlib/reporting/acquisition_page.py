"""What winning a customer may cost: the value of a newcomer, and what the channels and cohorts so far have brought."""

import pandas as pd

from cvmlib.clv import results
from cvmlib.clv.results import UnitValue
from cvmlib.reporting import show, words
from cvmlib.reporting.value_page import WITHHELD


def show_newcomer(unit: UnitValue) -> None:
    """Say what a customer won today is worth, which is the most that winning one may cost."""
    if unit.withheld:
        show.note(WITHHELD)
        return
    totals = unit.totals
    show.prose(describe_newcomer(totals))


def describe_newcomer(totals: dict) -> str:
    """Say in words what a newcomer is worth."""
    new, currency = totals["newcomers"][0], totals["currency"]
    months = words.count(totals["horizon_months"], "month")
    value = words.between(new["value"], new["expected_low"], new["expected_high"], currency)
    ends = words.amount(new["low"], currency), words.amount(new["high"], currency)
    if new["value"] <= 0:
        return (
            f"A customer won today is expected to bring no margin over the next {months} ({value}, the first purchase "
            "included): at this margin and these costs winning customers does not pay within that time."
        )
    return (
        f"Over the next {months} a customer won today is expected to bring a margin of {value}, "
        f"{words.amount(new['first'], currency)} of it with the first purchase. That is the most that winning one may "
        f"cost on average if it is to pay within that time: up to {words.amount(new['expected_low'], currency)} is "
        f"safe, above {words.amount(new['expected_high'], currency)} money is lost. A single newcomer may bring "
        f"anything from {ends[0]} to {ends[1]} ({totals['interval']:.0%} do)."
    )


def show_channels(unit: UnitValue, customers: pd.DataFrame) -> None:
    """Show what the customers of each acquisition channel have brought and will bring, against what they cost.

    Parameters
    ----------
    unit : UnitValue
        The unit.
    customers : DataFrame
        ``customer_id`` and, where known, ``acquisition_channel`` and ``acquisition_cost``.
    """
    if unit.withheld or "acquisition_channel" not in customers or not customers["acquisition_channel"].notna().any():
        return
    table = tabulate_channels(unit, customers)
    currency = unit.totals["currency"]
    names = {
        "group": "Acquisition channel",
        "customers": "Customers",
        "so_far": f"Margin so far, each ({currency})",
        "ahead": f"Expected ahead, each ({currency})",
        "together": f"Together, each ({currency})",
        "cost": f"Acquisition cost, each ({currency})",
        "return": "Margin per money spent",
    }
    shown = table.rename(columns=names)
    formats = {name: "number:2" for name in list(names.values())[2:] if name in shown}
    show.prose(describe_channels(table, currency, words.count(unit.totals["horizon_months"], "month")))
    note = (
        "Margin so far is margin on all purchases on record, after the average share of returns and the costs of "
        "purchases, not discounted. Customers of one channel may have been customers for longer than those of another."
    )
    show.table(shown, "What the customers of each channel bring", "acquisition channels", formats, note)


def tabulate_channels(unit: UnitValue, customers: pd.DataFrame) -> pd.DataFrame:
    """Margin so far, expected value and acquisition cost per customer, by channel, most valuable first.

    Returns
    -------
    DataFrame
        ``group``, ``customers``, ``so_far``, ``ahead``, ``together`` (money per customer) and, where costs are on
        record, ``cost`` (mean of those known) and ``return`` (``together`` over ``cost``).
    """
    totals = unit.totals
    kept = totals["margin"] * (1.0 - totals["returned_share"])
    per_purchase = totals["per_transaction"]
    own = unit.customers
    own = own.assign(so_far=kept * own["total_value"] - per_purchase * (own["frequency"] + 1))
    keyed = customers.set_index("customer_id")
    named = own["customer_id"].map(keyed["acquisition_channel"]).fillna(results.UNKNOWN).astype(str)
    table = own.groupby(named).agg(customers=("value", "size"), so_far=("so_far", "mean"), ahead=("value", "mean"))
    table["together"] = table["so_far"] + table["ahead"]
    if "acquisition_cost" in keyed and keyed["acquisition_cost"].notna().any():
        cost = own["customer_id"].map(keyed["acquisition_cost"])
        table["cost"] = cost.groupby(named).mean()
        table["return"] = table["together"] / table["cost"].where(table["cost"] > 0)
    return table.sort_values("together", ascending=False).rename_axis("group").reset_index()


def describe_channels(table: pd.DataFrame, currency: str, months: str) -> str:
    """Say which channel's customers bring most, and where they did not earn what they cost."""
    known = table[table["group"] != results.UNKNOWN]
    if known.empty:
        return "No acquisition channel is on record."
    best = known.iloc[0]
    text = (
        f"Customers from {show.text(best['group'])} bring most: {words.amount(best['together'], currency)} each, "
        f"{words.amount(best['so_far'], currency)} so far and {words.amount(best['ahead'], currency)} expected over "
        f"the next {months}."
    )
    if "cost" not in known:
        return f"{text} With a column `acquisition_cost` in the table `customers` the page compares this with the cost."
    lost = known[known["together"] < known["cost"]]
    if lost.empty:
        return f"{text} Every channel's customers earn more than they cost to win."
    names = words.listing(show.text(name) for name in lost["group"])
    return f"{text} Customers from {names} do not earn what it cost to win them."


def show_cohorts(unit: UnitValue) -> None:
    """Show the value of the customers by the year in which they first bought."""
    if unit.withheld:
        return
    own = unit.customers
    years = pd.to_datetime(own["first"]).dt.year.astype(str).set_axis(own["customer_id"])
    table = results.count_by(own, years).sort_values("group", ignore_index=True)
    currency = unit.totals["currency"]
    names = {
        "group": "First bought in",
        "customers": "Customers",
        "per_customer": f"Expected value per customer ({currency})",
        "value": f"Expected value in all ({currency})",
        "p_alive": "Still customers",
        "expected_purchases": "Expected purchases per customer",
    }
    formats = {names["per_customer"]: "number:2", names["value"]: "number:0", names["p_alive"]: "percent"}
    formats |= {names["expected_purchases"]: "number:2"}
    show.table(table.rename(columns=names), "Expected value by acquisition cohort", "acquisition cohorts", formats)
