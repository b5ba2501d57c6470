"""The tables of the customer-value page as a reader sees them: columns named in words, with their units."""

import numpy as np
import pandas as pd

from cvmlib.decisions.value_results import UnitParts
from cvmlib.reporting.value_parts_words import PARTS

Formats = dict[str, str]
CREDITED = "of it credited to those who brought others"


def _named(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    kept = [name for name in names if name in table.columns]
    return table[kept].rename(columns=names).reset_index(drop=True)


def parts_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Every part with its interval, and the total they add up to."""
    currency, interval = unit.totals["currency"], unit.totals["interval"]
    names = {
        "part": "Part",
        "mean": f"Value ({currency})",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "share": "Share",
        "each": f"Per customer ({currency})",
    }
    table = unit.tables["parts"].set_index("part")
    rows = table.loc[[*PARTS, *(["credited"] if "credited" in table.index else [])]].reset_index()
    total = table.loc["total", "mean"]
    rows["share"] = np.where(rows["part"] == "credited", np.nan, rows["mean"] / total)
    rows["each"] = rows["mean"] / unit.totals["customers"]
    rows["part"] = rows["part"].map(PARTS | {"credited": CREDITED})
    formats = dict.fromkeys([names["mean"], names["low"], names["high"]], "money")
    return _named(rows, names), formats | {"Share": "percent:1", names["each"]: "number:2"}


def parts_frame(unit: UnitParts) -> pd.DataFrame:
    """Parts in the columns that `cvmlib.plots.interval_bars` draws."""
    table = unit.tables["parts"].set_index("part").loc[list(PARTS)]
    return table.rename(index={k: v.split(":")[0] for k, v in PARTS.items()}).rename_axis("name").reset_index()


def types_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Customers and value by type."""
    names = {
        "type": "Type",
        "customers": "Customers (expected)",
        "customer_share": "Share of customers",
        "sure": "of one type with 80%",
        "current": "Share of current value",
        "potential": "Share of potential",
    }
    table = unit.tables["types"].assign(type=lambda t: t["type"].str.capitalize())
    formats = dict.fromkeys([names["customer_share"], names["current"], names["potential"]], "percent:1")
    return _named(table, names), formats | {names["customers"]: "number:0", names["sure"]: "integer"}


def tiers_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Criteria, customers and share of value by tier."""
    currency, interval = unit.totals["currency"], unit.totals["interval"]
    names = {
        "tier": "Tier",
        "low": f"Margin a year from ({currency})",
        "high": "to less than",
        "customers": "Customers (expected)",
        "customer_share": "Share of customers",
        "value": f"Current value ({currency})",
        "value_share": "Share of current value",
        "share_low": f"{interval:.0%} interval from",
        "share_high": "to",
    }
    table = unit.tables["tiers"].replace([np.inf, -np.inf], np.nan)
    formats = dict.fromkeys(["Share of customers", "Share of current value", names["share_low"], "to"], "percent:1")
    formats |= dict.fromkeys([names["low"], names["high"], names["customers"]], "number:0")
    return _named(table, names), formats | {names["value"]: "money"}


def moves_table(moves: pd.DataFrame, interval: float) -> tuple[pd.DataFrame, Formats]:
    """Moves between tiers with their intervals."""
    names = {
        "before": "Tier the year before",
        "after": "Tier in the last year",
        "customers": "Customers",
        "share": "Share",
        "low": f"{interval:.0%} interval from",
        "high": "to",
    }
    formats = dict.fromkeys(["Share", names["low"], "to"], "percent:1") | {"Customers": "integer"}
    return _named(moves, names), formats


def moves_grid(moves: pd.DataFrame) -> pd.DataFrame:
    """Shares by tier before (rows) and after (columns)."""
    rows, columns = (list(dict.fromkeys(moves[side])) for side in ("before", "after"))
    return moves.pivot(index="before", columns="after", values="share").loc[rows, columns]


_FEATURES = {
    "purchases": ("Purchases", "number:1"),
    "silence": ("Days since the last", "number:0"),
    "spend": ("Spend per purchase", "number:2"),
    "categories": ("Categories held", "number:1"),
    "months": ("Months with us", "number:1"),
    "price": ("Price a month", "number:2"),
}


def clusters_table(clusters: pd.DataFrame) -> tuple[pd.DataFrame, Formats]:
    """Clusters with what is typical of each (mean of the logarithms)."""
    names = {"cluster": "Group", "customers": "Customers", "share": "Share"}
    used = {name: title for name, (title, _) in _FEATURES.items() if name in clusters.columns}
    formats = {title: _FEATURES[name][1] for name, title in used.items()} | {
        "Share": "percent:1",
        "Customers": "integer",
    }
    return _named(clusters, names | used), formats


def headroom_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Customers of the largest potential; of kinds of headroom that cannot be told, or are none, nothing is shown."""
    currency, interval = unit.totals["currency"], unit.totals["interval"]
    names = {
        "customer_id": "Customer",
        "potential": f"Potential ({currency})",
        "potential_low": f"{interval:.0%} interval from",
        "potential_high": "to",
        "gap_chance": "Comparable customers who spend more",
        "gap": f"Expected gap a {unit.totals['each']} ({currency})",
        "cross_sell": "of it cross-sell",
        "add_on": "of it add-on",
        "up_sell": "of it up-sell",
        "held": "Categories held",
        "next_category": "Likely next category",
        "next_chance": "Chance per line",
        "more_chance": "Comparable customers with more",
        "partner": "Goes with what he buys most",
    }
    rows, told = unit.tables["upsell"], set(unit.tables["kinds"]["kind"])
    dropped = set(KINDS) - told if len(told) > 1 else set(KINDS)
    dropped |= set() if rows["add_on"].any() else {"more_chance", "partner"}
    table = _named(rows.drop(columns=dropped, errors="ignore"), names)
    money = [names[key] for key in ("potential", "potential_low", "potential_high", "gap", *KINDS)]
    formats = {names["more_chance"]: "percent"} if names["more_chance"] in table else {}
    formats |= dict.fromkeys(money, "number:2") | {names["gap_chance"]: "percent"}
    if "Chance per line" in table:
        formats |= {"Chance per line": "percent:1", "Categories held": "number:0"}
    return table, {name: how for name, how in formats.items() if name in table}


KINDS = {
    "cross_sell": ("Cross-sell: categories not held", "that the next product is of the likeliest category not held"),
    "add_on": ("Add-on: more products in a purchase", "that a comparable customer puts more into a purchase"),
    "up_sell": ("Up-sell: dearer products", "that a comparable customer spends more"),
}
DEARER = "Up-sell: dearer plans"


def kinds_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Headroom by kind, with the mean of the customers' probabilities; the kinds add up to the potential."""
    currency, interval = unit.totals["currency"], unit.totals["interval"]
    names = {
        "kind": "Kind",
        "value": f"Headroom ({currency})",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "share": "Share",
        "chance": "Probability, on average",
        "what": "of what",
    }
    table = unit.tables["kinds"]
    table = table.assign(
        **{name: table["kind"].map(lambda kind, i=i: KINDS[kind][i]) for i, name in enumerate(["kind", "what"])}
    )
    if unit.totals["each"] == "month":
        table = table.assign(kind=DEARER)
    formats = dict.fromkeys([names["value"], names["low"], names["high"]], "money")
    return _named(table, names), formats | {"Share": "percent:1", names["chance"]: "percent"}


def partners_table(partners: pd.DataFrame) -> tuple[pd.DataFrame, Formats]:
    """What goes together in a purchase."""
    names = {
        "category": "Category",
        "partner": "Goes with",
        "share": "Share of its purchases that hold it too",
        "times": "Times as often as by chance",
    }
    return _named(partners, names), {names["share"]: "percent:1", names["times"]: "number:2"}


def categories_table(categories: pd.DataFrame) -> tuple[pd.DataFrame, Formats]:
    """Categories: share of lines and who holds them, those fewest hold last."""
    names = {"category": "Category", "share": "Share of lines", "holders": "Customers who hold it"}
    table = categories.sort_values("holders", ascending=False)
    return _named(table, names), {"Share of lines": "percent:1", "Customers who hold it": "percent:1"}


def referrers_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Customers of the largest influence."""
    currency, interval = unit.totals["currency"], unit.totals["interval"]
    names = {
        "customer_id": "Customer",
        "brought": "Brought so far",
        "influence": f"Influence ({currency})",
        "received": "of it credited",
        "coming": "of it referrals to come",
        "coming_low": f"{interval:.0%} interval from",
        "coming_high": "to",
        "historic": f"Own margin so far ({currency})",
        "current": f"Own current value ({currency})",
    }
    formats = dict.fromkeys(list(names.values())[2:], "number:2") | {"Brought so far": "integer"}
    return _named(unit.tables["referrers"], names), formats


def payback_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Mean margin against mean cost by age, with the share of customers who paid back; of channels after a year."""
    currency, interval = unit.totals["currency"], unit.totals["interval"]
    names = {
        "channel": "Channel",
        "month": "Months",
        "followed": "Customers followed",
        "cost": f"Cost of winning one ({currency})",
        "margin": f"Margin of one so far ({currency})",
        "chance": "Probability that margin covers cost on the whole",
        "paid": "Customers who paid back",
        "low": f"{interval:.0%} interval from",
        "high": "to",
    }
    table = unit.tables["costs"].merge(unit.tables["payback"], on=["channel", "month"], how="left")
    table = table[(table["channel"] == table["channel"].iloc[0]) | (table["month"] == min(12, table["month"].max()))]
    formats = dict.fromkeys([names["cost"], names["margin"]], "number:2") | {"Months": "integer"}
    formats |= dict.fromkeys([names["paid"], names["low"], "to"], "percent:1")
    return _named(table, names), formats | {names["chance"]: "percent", names["followed"]: "integer"}


WAYS = {"market": "Win customers", "account": "More per customer"}


def ways_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Margin back per unit of money of both ways."""
    currency, interval = unit.totals["currency"], unit.totals["interval"]
    names = {
        "way": "Way",
        "back": f"Margin back per {currency}",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "rests_on": "Rests on",
        "chance": "Probability of earning more",
    }
    table = unit.tables["penetration"]
    told = {"market": "customers followed", "account": "programs measured"}
    rests = [f"{row.rests_on:,} {told[row.way]}" for row in table.itertuples()]
    table = table.assign(way=table["way"].map(WAYS), rests_on=rests)
    formats = dict.fromkeys([names["back"], names["low"], "to"], "number:2") | {names["chance"]: "percent"}
    return _named(table, names), formats


def steps_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """What one more customer, purchase or category is worth, and how many there are to be had."""
    currency, interval, months = (unit.totals[name] for name in ("currency", "interval", "horizon_months"))
    names = {
        "step": "One more",
        "gross": f"Margin it brings ({currency})",
        "cost": f"Cost of winning ({currency})",
        "each": f"Worth ({currency})",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "most": f"May cost at most ({currency})",
        "number": "How many there are",
        "hundredth": f"One in a hundred of them ({currency})",
    }
    monthly = unit.totals.get("each") == "month"
    told = {
        "customer": f"customer, first {months} months",
        "purchase": f"{'month' if monthly else 'purchase'} of each present customer",
        "category": f"category of each present customer, {months} months",
    }
    table = unit.tables["market"]
    formats = dict.fromkeys([names[key] for key in ("gross", "cost", "each", "low", "high", "most")], "number:2")
    formats |= {names["number"]: "number:0", names["hundredth"]: "money"}
    return _named(table.assign(step=table["step"].map(told)), names), formats


def best_table(unit: UnitParts) -> tuple[pd.DataFrame, Formats]:
    """Customers of the largest value in all, with every part."""
    currency, interval = unit.totals["currency"], unit.totals["interval"]
    names = {
        "customer_id": "Customer",
        "value": f"Value ({currency})",
        "value_low": f"{interval:.0%} interval from",
        "value_high": "to",
        "historic": "Historic",
        "current": "Current",
        "potential": "Potential",
        "credit": "Credited, net",
        "coming": "Referrals to come",
        "type": "Type",
        "type_chance": "with probability",
        "tier": "Tier",
        "tier_chance": "with probability ",
    }
    formats = dict.fromkeys(list(names.values())[1:9], "number:2")
    return _named(unit.tables["best"], names), formats | {"with probability": "percent", "with probability ": "percent"}
