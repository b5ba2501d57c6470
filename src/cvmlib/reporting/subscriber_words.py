"""The sentences of the pages Subscribers and Subscriber value, built from their tables, so that text cannot drift.

Every function takes results of `cvmlib.churn` and returns plain text: it serves as prose and as the alternative text of
a figure.
"""

import datetime

import pandas as pd

from cvmlib.churn.months import month_label
from cvmlib.churn.prepare import UnitSubscribers
from cvmlib.reporting.words import amount, between, count, day, percent

WITHHELD = "Who is worth what is withheld with the value; the reasons are at the top of the page."
YEAR = 12
FEW = 100
"""Active subscriptions below which shares are called unsteady."""


def describe_level(base: dict) -> str:
    """Return the level of the page's verdict: caution for a base too small to speak for itself."""
    return "caution" if base["active"] < FEW else "info"


def describe_base(base: dict, label: str) -> str:
    """Say how many subscriptions are active, and whether that is growing."""
    text = f"{label} has {count(base['active'], 'active subscription')}"
    if base["change"] != base["change"]:
        return f"{text}; there were none twelve months ago to compare with."
    return f"{text}, {_change(base['change'])} twelve months ago."


def describe_turnover(base: dict, data: UnitSubscribers, currency: str) -> list[str]:
    """Say what came, went and is paid, and what the records leave open."""
    turnover = (
        f"In the last twelve months {count(base['joined'], 'subscription')} began and "
        f"{count(base['left'], 'subscription')} ended"
    )
    known = base["churn_rate"] == base["churn_rate"]
    sentences = [turnover + (f": {percent(base['churn_rate'], 1)} of the active leave per month." if known else ".")]
    if base["active"]:
        paid, each = (amount(base[key], currency) for key in ("revenue", "price"))
        sentences.append(f"They pay {paid} per month, {each} each.")
    if data.observed_from is not None:
        sentences.append(
            f"Leavers are on record from {_month(month_label(data.observed_from))} only: older subscriptions are in "
            "the tables because they lasted, and are counted at risk from then on."
        )
    if base["active"] < FEW:
        sentences.append("With so few subscriptions, shares can change much with a few of them.")
    return sentences


def list_facts(base: dict, data: UnitSubscribers, currency: str) -> dict[str, tuple[str, str]]:
    """Headline numbers of the base, as tiles."""
    return {
        "Active subscriptions": (f"{base['active']:,}", f"of {base['subscriptions']:,} ever"),
        "Customers": (f"{data.active_customers:,}", f"active, of {data.customers:,} ever"),
        "Revenue per month": (amount(base["revenue"], currency), f"{amount(base['price'], currency)} per subscription"),
        "Leave per month": (percent(base["churn_rate"], 1), "mean of the last twelve months"),
    }


def describe_flow(flow: pd.DataFrame) -> str:
    """Say how joiners and leavers compare, month by month."""
    year = flow.tail(YEAR)
    more = int((year["joined"] > year["left"]).sum())
    return (
        f"In {more} of the last {len(year)} months more subscriptions began than ended; on average "
        f"{year['joined'].mean():,.0f} began and {year['left'].mean():,.0f} ended per month."
    )


def describe_revenue(flow: pd.DataFrame, currency: str) -> str:
    """Say what the active pay per month now and a year ago."""
    now = amount(flow["revenue"].iloc[-1], currency)
    if len(flow) <= YEAR or not flow["revenue"].iloc[-1 - YEAR] > 0:
        return f"The active subscriptions pay {now} per month."
    before = flow["revenue"].iloc[-1 - YEAR]
    return (
        f"The active subscriptions pay {now} per month, {_change(flow['revenue'].iloc[-1] / before - 1)} a year before."
    )


def describe_survival(curves: pd.DataFrame, interval: float = 0.9, months: int = YEAR) -> str:
    """Say what share of joiners of each plan is still there after a year."""
    parts = []
    for plan, curve in curves.groupby("plan", sort=False):
        if curve["months"].max() < months:
            continue
        at = curve[curve["months"] <= months].iloc[-1]
        bounds = f"{interval:.0%} interval {percent(at['low'])} to {percent(at['high'])}"
        parts.append(f"{percent(at['retention'])} of plan {plan} ({bounds})")
    if not parts:
        return "No plan has been observed for a year yet."
    return f"A year after joining there remain {', '.join(parts)}."


def describe_cohorts(table: pd.DataFrame) -> str:
    """Say what the triangle shows: how much of the oldest and of the newest comparable cohort is still there."""
    ages = [age for age in table.columns if age >= 1 and table[age].notna().sum() >= 2]
    if not ages:
        return "Fewer than two quarters of joiners have been observed for a quarter, so there is nothing to compare."
    age = 4 if 4 in ages else ages[-1]
    known = table[age].dropna()
    first, last = known.index[0], known.index[-1]
    return (
        f"{age} {'quarter' if age == 1 else 'quarters'} after joining, {percent(known.iloc[0])} of those who joined in "
        f"{first} were still there, and {percent(known.iloc[-1])} of those of {last}."
    )


def describe_plans(plans: pd.DataFrame) -> str:
    """Say which plan brings most and which one loses most."""
    best, active = plans.iloc[0], plans[plans["churn_rate"].notna()]
    text = f"Plan {best['plan']} brings {percent(best['revenue_share'])} of the revenue."
    if len(active) < 2:
        return text
    worst = active.sort_values("churn_rate").iloc[-1]
    rate = percent(worst["churn_rate"], 1)
    return f"{text} Subscribers of plan {worst['plan']} leave most: {rate} per month in the last twelve months."


def describe_treatments(data: UnitSubscribers) -> str:
    """Say how many rows were supplied and used."""
    supplied = int(data.checks.rows.get("subscriptions", 0))
    used = data.checks.facts.get("subscriptions", {}).get("rows_used", int(data.counts["subscriptions"].sum()))
    text = f"{count(supplied, 'row')} of subscriptions were supplied and {used:,} are used."
    unpriced = int(data.counts["unpriced"].sum())
    if unpriced:
        text += f" {count(unpriced, 'subscription')} without a positive price count as subscribers, but as no money."
    return text if data.checks.problems else f"{text} Nothing in the supplied tables had to be treated."


def describe_value(totals: dict) -> str:
    """Say the value of the active subscribers with its interval; only that it is withheld where it is."""
    value, months = totals["value"], totals["horizon_months"]
    if totals["verdict"]["level"] == "withheld":
        return f"The value of the next {months} months is withheld."
    return (
        f"In the next {months} months the {count(totals['active'], 'active customer')} will bring a margin of "
        f"{between(value['mean'], value['low'], value['high'], totals['currency'])}."
    )


def list_value_facts(totals: dict, forecast: pd.DataFrame, subscriptions: int) -> dict[str, tuple[str, str]]:
    """Headline numbers of the value page, as tiles."""
    currency, months, value, revenue = (totals[key] for key in ("currency", "horizon_months", "value", "revenue"))
    last = forecast.iloc[-1]
    left = subscriptions - last[["active", "active_high", "active_low"]].to_numpy(float)
    return {
        "Value": (amount(value["mean"], currency), between(*_ends(value), currency)),
        "Value per customer": (amount(value["mean"] / max(totals["active"], 1), currency), f"over {months} months"),
        "Revenue": (amount(revenue["mean"], currency), between(*_ends(revenue), currency)),
        "Will leave": (f"{left[0]:,.0f}", f"{left[1]:,.0f} to {left[2]:,.0f} of {subscriptions:,} subscriptions"),
    }


def describe_months(forecast: pd.DataFrame, end: datetime.date, subscriptions: int) -> str:
    """Say how many of those active now will still be there at the horizon."""
    last = forecast.iloc[-1]
    rest = between(last["active"], last["active_low"], last["active_high"], "subscriptions")
    return (
        f"Of {subscriptions:,} subscriptions active on {day(end)}, {rest}, will still be there at the end of "
        f"{_month(last['month'])}; those who will join meanwhile are not counted."
    )


def describe_spread(customers: pd.DataFrame, currency: str) -> str:
    """Say how customers' expected values spread."""
    if customers.empty:
        return "No customer has an active subscription."
    low, middle, high = customers["value"].quantile([0.1, 0.5, 0.9])
    tenth = customers["value"].nlargest(max(1, len(customers) // 10)).sum() / customers["value"].sum()
    return (
        f"Half of the customers are expected to bring {amount(middle, currency)} or more, one in ten less than "
        f"{amount(low, currency)} and one in ten more than {amount(high, currency)}; the best tenth brings "
        f"{percent(tenth)} of it."
    )


def describe_plan_value(plans: pd.DataFrame, currency: str) -> str:
    """Say which subscribers are worth most, each and together."""
    if plans.empty:
        return "No subscription is active."
    each = plans.sort_values("value_each").iloc[-1]
    most = plans.sort_values("value").iloc[-1]
    return (
        f"Worth most each are subscribers of plan {each['plan']} in their {_ordinal(each['tenure_years'])} year "
        f"({amount(each['value_each'], currency)}), most together those of plan {most['plan']} in their "
        f"{_ordinal(most['tenure_years'])} year ({amount(most['value'], currency)})."
    )


def describe_holdout(totals: dict) -> str:
    """Say how the forecast of the held-out months compares with what happened."""
    check = totals["holdout"]
    if check is None:
        return "No months could be held out, so the forecast was never compared with what happened."
    expected = between(check["mean"], check["low"], check["high"], totals["currency"])
    where = "inside" if check["inside"] else "outside"
    return (
        f"Fitted without the last {check['months']} months, the model forecast what those active then would pay: "
        f"{expected}. {amount(check['actual'], totals['currency'])} came, {where} the interval."
    )


def describe_hazard(hazard: pd.DataFrame) -> str:
    """Say when each plan's subscribers are most at risk, and how the risk changes with tenure."""
    parts = []
    for plan, curve in hazard[hazard["tenure"] > 0].groupby("plan", sort=False):
        worst, last = curve.loc[curve["hazard"].idxmax()], curve.sort_values("tenure").iloc[-1]
        parts.append(
            f"plan {plan} loses most in month {int(worst['tenure'])} ({percent(worst['hazard'], 1)}) and "
            f"{percent(last['hazard'], 1)} in month {int(last['tenure'])}"
        )
    return f"Of those still there, {'; '.join(parts)}." if parts else "There is nobody to follow yet."


def list_unknowns(totals: dict) -> list[str]:
    """List what the value leaves out or assumes, one sentence each."""
    end = day(datetime.date.fromisoformat(totals["end_of_observation"]))
    return [
        f"Only customers active on {end} are valued: those who will join, and those who left and might come back, are "
        "not.",
        "Plan and price are taken to stay as they are: no price round, no change of plan, no discount that ends.",
        "Retention depends on plan and tenure only; what else tells stayers from leavers (contacts, payment, usage) is "
        "not used, so subscribers of one plan and tenure differ in price alone.",
        "A month's price is taken as paid in advance on the day of the month on which the subscription began.",
        "Beyond the longest tenure seen, the trend of the risk is continued; whether contracts end at anniversaries "
        "that nobody has reached yet is taken as open.",
    ]


def _ends(summary: dict) -> tuple[float, float, float]:
    return summary["mean"], summary["low"], summary["high"]


def _month(label: str) -> str:
    return day(datetime.date.fromisoformat(f"{label}-01")).removeprefix("1 ")


def _change(growth: float) -> str:
    if abs(growth) < 0.0005:
        return "as many as" if growth == 0 else "about as many as"
    return f"{percent(abs(growth), 1)} {'more' if growth > 0 else 'less'} than"


def _ordinal(years: int) -> str:
    names = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    return names[int(years)] if years < len(names) else f"{int(years) + 1}th"
