"""The parts of the value page: what the customers of a unit are worth, who they are, and how far to trust it.

Each function shows one part. Where a check failed, the forecast is withheld: the parts that would print it say so
instead, while those that show why stay.
"""

import pandas as pd

from cvmlib import plots
from cvmlib.clv import results
from cvmlib.clv.results import UnitValue
from cvmlib.reporting import show, words

WITHHELD = "Not shown: the forecast is withheld, for the reasons given at the top of the page."
FEW = 10
"""Customers below which tenths of them say nothing."""
_SPAN = 1e4  # of the value axis, largest over smallest


def show_verdict(unit: UnitValue) -> None:
    """Show the verdict: what the customers are worth, in words, or why that is withheld."""
    totals, label = unit.totals, unit.totals["label"]
    level, reasons = totals["verdict"]["level"], totals["verdict"]["reasons"]
    if unit.withheld:
        show.verdict(level, f"What the customers of {label} are worth cannot be said yet.", *reasons)
        return
    rhythm = [check["sentence"] for check in totals["checks"] if check["name"] == "timing of purchases"]
    told = rhythm[:1] if totals["model"]["stages"] > 1 and rhythm[0] not in reasons else []
    show.verdict(level, describe_value(totals), *reasons, *told, describe_purchases(totals))
    value, customers = totals["value"], totals["customers"]
    currency = totals["currency"]
    low, high = (words.amount(value[end], "") for end in ("low", "high"))
    show.facts(
        {
            f"Expected value in {words.count(totals['horizon_months'], 'month')}": (
                words.amount(value["mean"], currency),
                f"with {_interval(totals)} probability {low} to {high}",
            ),
            "Per customer": words.amount(value["mean"] / customers, currency),
            "Expected purchases": words.amount(totals["purchases"]["mean"], ""),
            "Probably still customers": (f"{totals['alive']:,.0f}", f"of {customers:,} on record"),
        }
    )


def describe_value(totals: dict) -> str:
    """Say in one sentence what the customers of a unit are worth."""
    value = totals["value"]
    return (
        f"Over the next {words.count(totals['horizon_months'], 'month')} the "
        f"{words.count(totals['customers'], 'customer')} of {totals['label']} will bring a margin of "
        f"{words.between(value['mean'], value['low'], value['high'], totals['currency'])}."
    )


def describe_purchases(totals: dict) -> str:
    """Say in one sentence how much they will buy, and what value means."""
    bought = totals["purchases"]
    costs = "after returns and costs" if totals["returned_share"] else "after costs"
    opportunity = totals["model"]["opportunity"]
    counted = f" (a {opportunity} in which a customer buys counts as one)" if opportunity else ""
    return (
        f"They will make {words.between(bought['mean'], bought['low'], bought['high'], 'purchases')}{counted}. "
        f"Value is margin ({totals['margin']:.0%} of sales) {costs}, discounted at {totals['discount_rate']:.0%} a "
        f"year; the range holds what will happen with {_interval(totals)} probability, if customers go on as they did. "
        "Customers yet to be won are not in it."
    )


def show_distribution(unit: UnitValue) -> None:
    """Show how the expected value is spread over the customers."""
    if _say_withheld(unit):
        return
    totals, customers = unit.totals, unit.customers
    sentence = describe_tenths(customers, totals["currency"])
    show.prose(sentence)
    floor = customers["value"].max() / _SPAN
    ax = plots.distribution(
        customers["value"].clip(lower=floor), label="Expected value per customer", unit=totals["currency"]
    )
    table, formats = tabulate_tenths(customers, totals["currency"])
    least = words.amount(max(floor, 0.0), totals["currency"])
    below = int((customers["value"] < floor).sum())
    caption = f"Customers by expected value over {words.count(totals['horizon_months'], 'month')}"
    caption += f"; the first bar holds the {below:,} below {least}." if below and floor > 0 else "."
    show.figure(ax.figure, sentence, table, caption, "value by tenth", formats)


def describe_tenths(customers: pd.DataFrame, currency: str) -> str:
    """Say how unequal the expected value is, in figures of `tabulate_tenths`."""
    table = results.count_tenths(customers)
    total = table["value"].sum()
    if total <= 0:
        return (
            f"All customers together are expected to bring {words.amount(total, currency)}, so there is none to share."
        )
    if len(customers) < FEW:
        return f"With {words.count(len(customers), 'customer')} there is little to compare; the table lists the shares."
    half = table["share"].iloc[:5].sum()
    best, last = (words.amount(table["per_customer"].iloc[place], currency) for place in (0, -1))
    return (
        f"The best tenth of the customers holds {words.percent(table['share'].iloc[0])} of the expected value, the "
        f"better half {words.percent(half)}. A customer of the best tenth is expected to bring {best} on average, one "
        f"of the last tenth {last}."
    )


def tabulate_tenths(customers: pd.DataFrame, currency: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Tabulate the customers by tenths of expected value, best first; return the table and its formats."""
    table = results.count_tenths(customers)
    table.insert(table.columns.get_loc("share") + 1, "so_far", table["share"].cumsum())
    names = {
        "tenth": "Tenth of customers (1 is best)",
        "customers": "Customers",
        "value": f"Expected value ({currency})",
        "share": "Share of the value",
        "so_far": "Share so far",
        "per_customer": f"Per customer ({currency})",
    }
    formats = dict.fromkeys([names["share"], names["so_far"]], "percent:1")
    formats |= {names["value"]: "number:0", names["per_customer"]: "number:2"}
    return table.rename(columns=names), formats


def show_groups(unit: UnitValue, customers: pd.DataFrame, column: str, title: str) -> None:
    """Show the average expected value by a covariate, such as the acquisition channel.

    Parameters
    ----------
    unit : UnitValue
        The unit.
    customers : DataFrame
        With ``customer_id`` and perhaps `column`; without it the part says what to supply.
    column : str
        The covariate.
    title : str
        Its name for people, in lower case.
    """
    if unit.withheld:
        return
    if column not in customers or not customers[column].notna().any():
        show.note(
            f"To see the value by {title}, supply a table `customers` with a column `{column}` (see data/README.md)."
        )
        return
    totals = unit.totals
    groups = results.count_by(unit.customers, customers.set_index("customer_id")[column])
    currency = totals["currency"]
    show.prose(describe_groups(groups, title, currency))
    names = {
        "group": title.capitalize(),
        "customers": "Customers",
        "per_customer": f"Expected value per customer ({currency})",
        "value": f"Expected value in all ({currency})",
        "p_alive": "Still customers",
        "expected_purchases": "Expected purchases per customer",
    }
    formats = {names["per_customer"]: "number:2", names["value"]: "number:0", names["p_alive"]: "percent"}
    formats |= {names["expected_purchases"]: "number:2"}
    show.table(groups.rename(columns=names), f"Expected value by {title}", f"value by {title}", formats)


def describe_groups(groups: pd.DataFrame, title: str, currency: str) -> str:
    """Say in Markdown which group of customers is worth most and which least, each of them."""
    known = groups[groups["group"] != results.UNKNOWN]
    if len(known) < 2:
        name = show.text(known["group"].iloc[0])
        return f"Only one {title} is on record, {name}, so there is nothing to compare."
    best, last = known.iloc[0], known.iloc[-1]
    return (
        f"By {title}, customers from {show.text(best['group'])} are worth most "
        f"({words.amount(best['per_customer'], currency)} each), those from {show.text(last['group'])} least "
        f"({words.amount(last['per_customer'], currency)}). This describes who came; it does not say what winning one "
        "more of them would bring."
    )


def show_best(unit: UnitValue) -> None:
    """Show the customers of the highest expected value, each with an interval."""
    if _say_withheld(unit):
        return
    currency = unit.totals["currency"]
    names = {
        "customer_id": "Customer",
        "value": f"Expected value ({currency})",
        "value_low": "from",
        "value_high": "to",
        "p_alive": "Still a customer",
        "expected_purchases": "Expected purchases",
        "purchases_low": "at least",
        "purchases_high": "at most",
        "expected_spend": f"Spend per purchase ({currency})",
        "frequency": "Repeat purchases so far",
        "last": "Last purchase",
    }
    formats = dict.fromkeys([names["value"], "from", "to", names["expected_spend"]], "number:0")
    formats |= {names["p_alive"]: "percent", "Expected purchases": "number:1"}
    formats |= {names["frequency"]: "integer"}
    show.table(
        results.list_best(unit.customers).rename(columns=names),
        "Customers of the highest expected value",
        "best customers",
        formats,
        note=f"Ranges hold what each customer will do with {_interval(unit.totals)} probability. “Still a customer” is "
        "the probability of not having left for good.",
        rows=12,
    )


def show_silent(unit: UnitValue) -> None:
    """Show customers who bought much, but have probably left."""
    if unit.withheld:
        return
    currency = unit.totals["currency"]
    silent = results.list_silent(unit.customers)
    if silent.empty:
        show.prose("No customer who bought more than once is more likely to have left than not.")
        return
    first = silent.iloc[0]
    show.prose(
        "Some customers who bought more than once have been silent for so long that they have more likely left than "
        f"not. The best of them, {show.text(first['customer_id'])}, bought for "
        f"{words.amount(first['total_value'], currency)} until {words.day(first['last'])}."
    )
    names = {
        "customer_id": "Customer",
        "total_value": f"Bought so far ({currency})",
        "frequency": "Repeat purchases so far",
        "last": "Last purchase",
        "p_alive": "Still a customer",
        "expected_purchases": "Expected purchases",
        "value": f"Expected value ({currency})",
    }
    formats = {names["total_value"]: "number:0", names["p_alive"]: "percent", "Expected purchases": "number:2"}
    formats |= {names["value"]: "number:2", names["frequency"]: "integer"}
    show.table(silent.rename(columns=names), "Good customers gone silent", "silent customers", formats, rows=8)


def show_tracking(unit: UnitValue) -> None:
    """Show forecast against outcome over time: fitted to the calibration, tried on the holdout."""
    holdout, totals = unit.totals["holdout"], unit.totals
    if holdout is None or unit.tracking is None:
        show.note("The history is too short to hold out a part of it, so the forecast could not be tried.")
        return
    sentence = (
        f"Fitted to the purchases until {_date(totals['calibration_end'])}, the model forecast "
        f"{words.between(holdout['mean'], holdout['low'], holdout['high'], 'purchases')}, until "
        f"{_date(totals['end_of_observation'])}; {_outcome(holdout)}. Of the "
        f"{words.count(holdout['customers'], 'customer')} known by then, {holdout['coverage']:.0%} bought "
        f"as often as their {_interval(totals)} intervals said."
    )
    show.prose(sentence)
    split = pd.Timestamp(totals["calibration_end"])
    ax = plots.tracking(unit.tracking, label="Repeat purchases, cumulative", split=split)
    names = {"date": "Until", "actual": "Actual", "expected": "Expected", "low": "from", "high": "to"}
    formats = dict.fromkeys(["Actual", "Expected", "from", "to"], "number:0")
    caption = "Repeat purchases of the customers known at the split. The band is the uncertainty of the expectation."
    show.figure(ax.figure, sentence, unit.tracking.rename(columns=names), caption, "tracking", formats)


def show_calibration(unit: UnitValue) -> None:
    """Show forecast against outcome by how often customers had bought before."""
    if unit.by_frequency is None:
        return
    table = unit.by_frequency
    sentence = "Purchases per customer in the holdout, by how often the customer had bought again before it."
    ax = plots.compared_bars(
        table["frequency"],
        {"actual": table["actual"], "expected": table["expected"]},
        label="Purchases per customer in the holdout",
        of="Repeat purchases before the holdout",
    )
    names = {
        "frequency": "Repeat purchases before",
        "customers": "Customers",
        "actual": "Actual",
        "expected": "Expected",
    }
    formats = dict.fromkeys(["Actual", "Expected"], "number:2")
    show.figure(ax.figure, sentence, table.rename(columns=names), sentence, "holdout by frequency", formats)


def show_checks(unit: UnitValue) -> None:
    """Show every check of the model on this unit with its outcome."""
    table = pd.DataFrame(order_checks(unit.totals["checks"]))
    table["outcome"] = table["outcome"].map(words.OUTCOMES)
    table["name"] = table["name"].map(lambda name: name[:1].upper() + name[1:])
    names = {"name": "Check", "outcome": "Outcome", "sentence": "What was found"}
    show.table(table.rename(columns=names), "Checks of the model", "model checks")


def order_checks(checks: list[dict]) -> list[dict]:
    """Return the checks with those of the computation last: they mean least to a reader who is no statistician."""
    return sorted(checks, key=lambda check: check["name"].startswith("convergence"))


def show_unknowns(unit: UnitValue) -> None:
    """Say what the forecast does not know."""
    totals = unit.totals
    lines = [
        "What will be done differently from now on: prices, campaigns, assortment and competitors are taken to go "
        "on as they were.",
        "Shocks that hit all customers at once: the range contains none, so that totals are less certain than stated."
        if totals["model"]["opportunity"]
        else "Shocks of a kind not seen before: the range contains shocks that hit all customers at once as large as "
        "those of the past, and no larger ones.",
        f"Customers who will come: only those who bought until {_date(totals['end_of_observation'])} are valued.",
        "Whether a silent customer has left: nobody tells a shop. The probability of being a customer still is "
        "inferred from how long they have been silent, measured by how often they bought.",
    ]
    if totals["returned_share"]:
        lines.append(
            f"Who returns what: {totals['returned_share']:.1%} of the money bought came back later, and this share is "
            "taken from everybody alike."
        )
    show.prose("\n".join(f"- {line}" for line in lines))


def _say_withheld(unit: UnitValue) -> bool:
    if unit.withheld:
        show.note(WITHHELD)
    return unit.withheld


def _interval(totals: dict) -> str:
    return f"{totals['interval']:.0%}"


def _date(text: str) -> str:
    return words.day(pd.Timestamp(text).date())


def _outcome(holdout: dict) -> str:
    """Say what came of the holdout's forecast, which has no bias when nobody bought."""
    if not holdout["actual"]:
        return "none was made"
    made = words.count(round(holdout["actual"]), "was made", "were made")
    size = f"{abs(holdout['bias']):.1%}"
    if size == "0.0%":
        return f"{made}, as forecast"
    return f"{made}, so the forecast was {size} too {'high' if holdout['bias'] > 0 else 'low'}"
