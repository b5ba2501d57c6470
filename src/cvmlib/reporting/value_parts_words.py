"""The sentences of the customer-value page, built from its tables, so that text cannot drift from them."""

import pandas as pd

from cvmlib.decisions.value_results import UnitParts
from cvmlib.reporting.words import amount, between, count, listing, percent

PARTS = {
    "historic": "Historic: margin so far",
    "current": "Current: if behaviour goes on",
    "potential": "Potential: like comparable customers",
    "coming": "Influence: customers to be referred",
    "total": "Together",
}


def part_of(unit: UnitParts, name: str) -> pd.Series:
    """Return one row of the parts."""
    return unit.tables["parts"].set_index("part").loc[name]


def judge_page(unit: UnitParts) -> tuple[str, str]:
    """Return the level of the page's verdict and its headline."""
    totals = unit.totals
    brought = amount(totals["historic"], totals["currency"])
    if unit.withheld:
        return "withheld", (
            f"The {count(totals['customers'], 'customer')} of {totals['label']} have brought {brought} so far; what "
            "they will bring is withheld, because their forecast did not pass its checks."
        )
    total = part_of(unit, "total")
    money = between(total["mean"], total["low"], total["high"], totals["currency"])
    level = "caution" if totals["notes"] else "sound"
    return level, (
        f"The {count(totals['customers'], 'customer')} of {totals['label']} are worth {money}, "
        f"headroom included; {brought} of it is earned already."
    )


def list_reasons(unit: UnitParts) -> list[str]:
    """Say what the value consists of and who holds it, in a few sentences."""
    if unit.withheld:
        return list(unit.totals["notes"])
    totals, currency = unit.totals, unit.totals["currency"]
    months = count(totals["horizon_months"], "month")
    current, potential = part_of(unit, "current"), part_of(unit, "potential")
    lines = [
        f"If behaviour goes on, the next {months} bring {between(*current[_ENDS], currency)}.",
        f"Customers who spend less than comparable ones leave {between(*potential[_ENDS], currency)} of headroom in "
        "that time.",
    ]
    if len(types := unit.tables["types"]):
        gold = types.set_index("type").loc["gold"]
        lines.append(
            f"Gold customers, {percent(gold['customer_share'])} of all, hold {percent(gold['current'])} of the value "
            "ahead."
        )
    if totals["referred"]:
        coming = part_of(unit, "coming")
        lines.append(
            f"{count(totals['referred'], 'customer')} came by referral; about {totals['referrals']:,.0f} more are "
            f"expected in {months} and bring {between(*coming[_ENDS], currency)}."
        )
    return lines + list(totals["notes"])


_ENDS = ["mean", "low", "high"]


def list_facts(unit: UnitParts) -> dict[str, object]:
    """Headline numbers, as tiles."""
    totals, currency = unit.totals, unit.totals["currency"]
    facts: dict[str, object] = {"Customers": totals["customers"], "Earned so far": amount(totals["historic"], currency)}
    if unit.withheld:
        return facts
    reach = f"{totals['interval']:.0%} interval"
    for label, name in (("Current", "current"), ("Potential", "potential"), ("Referrals to come", "coming")):
        row = part_of(unit, name)
        low, high = (amount(row[end], currency) for end in ("low", "high"))
        facts[label] = (amount(row["mean"], currency), f"{reach} {low} to {high}")
    return facts


def describe_parts(unit: UnitParts) -> str:
    """Say what each part is of the whole, and what is credited within it."""
    currency, table = unit.totals["currency"], unit.tables["parts"].set_index("part")
    whole = table.loc["total", "mean"]
    shares = {name: percent(table.loc[name, "mean"] / whole) for name in PARTS if name != "total"}
    text = (
        f"Of all value, {shares['historic']} is earned, {shares['current']} is expected, {shares['potential']} is "
        f"headroom and {shares['coming']} comes from customers yet to be referred. The parts add up to the total; "
        "nothing is counted twice."
    )
    if "credited" in table.index and table.loc["credited", "mean"]:
        credited = table.loc["credited"]
        text += (
            f" Within historic and current value, {between(*credited[_ENDS], currency)} is owed to customers who "
            "brought others: it is credited to them and taken from those they brought."
        )
    return text


def describe_types(unit: UnitParts) -> str:
    """Say where the lines of the types are, and how sure assignments are."""
    totals, lines = unit.totals, unit.totals["lines"]
    source = "as the portfolio file states" if lines["stated"] else "what the average customer of the unit brings"
    margin = amount(lines["margin"], totals["currency"])
    if totals["each"] == "month":
        rule = f"Much is a margin of {margin} a month or more, {source}; often is staying through the horizon."
    else:
        rule = (
            f"Much is a margin of {margin} a purchase or more and often is more than {lines['often']:g} purchases a "
            f"year, {source}; who has left buys rarely."
        )
    return (
        f"{rule} {percent(totals['sure_types'])} of the customers are of one type with a probability of 80% or more; "
        "the others are counted with each type by its probability."
    )


def describe_tiers(unit: UnitParts) -> str:
    """Say what the tiers go by and how much of the value ahead the best hold."""
    totals, tiers, lorenz = unit.totals, unit.tables["tiers"], unit.tables["lorenz"]
    source = "as the portfolio file states" if totals["tiers_stated"] else "cut at multiples of the average"
    full = tiers[tiers["customers"] >= 0.5]
    best = full.iloc[0]
    text = (
        f"Tiers go by the margin a year at which a customer now buys, {source}. {_capital(best['tier'])} is "
        f"{percent(best['customer_share'])} of the customers and {percent(best['value_share'])} of the value ahead "
        f"({percent(best['share_low'])} to {percent(best['share_high'])})."
    )
    if len(lorenz):
        row = lorenz.iloc[0]
        text += (
            f" The best fifth of customers hold {percent(row['top'])} ({percent(row['top_low'])} to "
            f"{percent(row['top_high'])}); 80% of the value ahead comes from {percent(row['behind'])} of them."
        )
    return text


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def describe_moves(moves: pd.DataFrame) -> str:
    """Say who rose and who fell."""
    if moves.empty:
        return "No customer has been here for two whole years, so nobody's move between tiers can be told."
    order = {
        name: place for place, name in enumerate(dict.fromkeys(moves["before"].tolist() + moves["after"].tolist()))
    }
    step = moves["after"].map(order) - moves["before"].map(order)
    total = moves["customers"].sum()
    down, up = (moves.loc[which, "customers"].sum() / total for which in (step > 0, step < 0))
    top = moves[moves["before"] == moves["before"].iloc[0]]
    kept = top[top["after"] == top["before"].iloc[0]].iloc[0]
    return (
        f"Of {count(int(total), 'customer')} who have been here for two years, {percent(up)} brought more in the last "
        f"year, by a tier or more, and {percent(down)} less. {_capital(kept['before'])} kept {percent(kept['share'])} "
        f"of its customers ({percent(kept['low'])} to {percent(kept['high'])})."
    )


def describe_clusters(clusters: pd.DataFrame) -> str:
    """Name the largest clusters."""
    if clusters.empty:
        return "Behaviour does not tell groups of customers apart."
    first = clusters.iloc[0]
    return (
        f"By behaviour customers fall into {count(len(clusters), 'group')}; the largest, {first['cluster']}, is "
        f"{percent(first['share'])} of them."
    )


def describe_referrers(unit: UnitParts) -> str:
    """Say how concentrated influence is."""
    table, totals = unit.tables["referrers"], unit.totals
    if table.empty:
        return "Who brought whom is not known, so influence cannot be told."
    best = table.iloc[0]
    text = (
        f"{count(totals.get('referred', 0), 'customer')} came by referral. The most influential customer, "
        f"{best['customer_id']}, brought {int(best['brought'])}; {amount(best['influence'], totals['currency'])} "
        "is owed to that."
    )
    newcomer = totals.get("newcomer")
    if newcomer:
        months = count(totals["horizon_months"], "month")
        text += f" A referred customer brings {amount(newcomer, totals['currency'])} in the first {months}."
    return text


def describe_payback(unit: UnitParts) -> str:
    """Say how soon acquisition pays back, and for which channel it does not."""
    table, costs = unit.tables["payback"], unit.tables["costs"]
    if table.empty:
        return "What winning customers cost is not on record, so payback cannot be told."
    everybody = table[table["channel"] == table["channel"].iloc[0]]
    told = [f"{percent(row.paid)} within {count(int(row.month), 'month')}" for row in everybody.itertuples()]
    text = f"Of customers won, {listing(told[:4])} have brought what winning them cost."
    late = costs[(costs["month"] == costs["month"].max()) & (costs["channel"] != costs["channel"].iloc[0])]
    unpaid = late[late["chance"] < 0.5]
    ages = count(int(costs["month"].max()), "month")
    if len(unpaid):
        names = listing(unpaid["channel"])
        return f"{text} On the whole, customers from {names} have not paid back after {ages}."
    first = costs[(costs["channel"] == costs["channel"].iloc[0]) & (costs["chance"] >= 0.95)]
    if len(first):
        text += f" On the whole their margin covers the cost within {count(int(first['month'].iloc[0]), 'month')}."
    return text


def list_unknowns(unit: UnitParts) -> list[str]:
    """Say what the page leaves out or assumes."""
    totals, months = unit.totals, count(unit.totals["horizon_months"], "month")
    lines = [
        f"Current value, potential and referrals count the next {months}; what comes later is left out.",
        "Potential is headroom: nobody has tested how much of it an offer would bring.",
        "How referrals are credited is a convention: a referred customer passes half of his account on, and so on up.",
    ]
    if "products" in totals["missing"] and totals["setting"] == "noncontractual":
        lines.append("Without a table products the page cannot tell which category to offer.")
    lines += totals["absent"]
    if not unit.withheld:
        lines.append("Types and tiers take the unit's parameters as known; small units are less sure than it looks.")
    return lines
