"""The sentences of the page Customers, built from its tables, so that text cannot drift from numbers.

Every function takes results of `cvmlib.clv.customer_base` and its neighbours and returns plain text: it serves as
prose and as the alternative text of a figure. Where the data are too few to say something, the text says that.
"""

import numpy as np
import pandas as pd

from cvmlib.clv.cohorts import ALL_YEARS, Cohorts, gap_quantile
from cvmlib.clv.concentration import Estimate
from cvmlib.clv.customer_base import YEAR, Headline
from cvmlib.clv.rfm import Rfm
from cvmlib.reporting.words import amount, count, day, listing, percent

FEW = 100
"""Customers below which shares of the base are called unsteady."""


def describe_level(headline: Headline) -> str:
    """Return the level of the verdict: caution for a base too small or a history too short to speak for itself."""
    return "caution" if headline.customers < FEW or headline.recent_months is None else "info"


def describe_base(headline: Headline, label: str) -> str:
    """Say in one sentence how many customers there are, how many are active, and whether that is growing."""
    known = f"{label} has {count(headline.customers, 'customer')}"
    if headline.recent_months is None:
        return f"{known}, first seen {_since(headline)}; the history is too short to tell the active from the lapsed."
    active = (
        f"{known}; {headline.active:,} of them ({percent(headline.active / headline.customers)}) bought in the last"
        f" {YEAR} months"
    )
    growth = headline.active_growth
    return active + ("." if growth is None else f", {_change(growth)} the {YEAR} months before.")


def describe_money(headline: Headline, best: Estimate, currency: str, interval: float = 0.9) -> list[str]:
    """Say what the base brings, how unequally, and how many come back; and what a short history leaves open."""
    period = f"the last {YEAR} months" if headline.recent_months else f"the history ({headline.span.days} days)"
    money = f"In {period} they spent {amount(headline.recent_revenue, currency)}"
    growth = headline.revenue_growth
    sentences = [money + ("." if growth is None else f", {_change(growth)} the {YEAR} months before.")]
    sentences.append(f"{describe_best(best, interval)} {_repeaters(headline)}")
    if headline.active_before is None:
        sentences.append("The history holds less than two years, so there is no earlier year to compare with.")
    if headline.customers < FEW:
        sentences.append(f"With {count(headline.customers, 'customer')}, shares can change much with a few of them.")
    return sentences


def describe_best(best: Estimate, interval: float = 0.9, top: float = 0.2) -> str:
    """Say what share of the revenue the best customers bring."""
    if not np.isfinite(best.mean):
        return "Nobody has spent anything yet."
    bounds = f"{interval:.0%} interval {percent(best.low)} to {percent(best.high)}"
    return f"The best {top:.0%} of customers bring {percent(best.mean)} of all revenue ({bounds})."


def list_facts(headline: Headline, currency: str) -> dict[str, tuple[str, str]]:
    """Return the headline numbers as tiles: label to value and remark."""
    recent = f"in the last {YEAR} months" if headline.recent_months else "in the whole history"
    growths = (headline.active_growth, headline.revenue_growth)
    active_change, money_change = ("" if growth is None else f", {_signed(growth)}" for growth in growths)
    return {
        "Customers": (f"{headline.customers:,}", f"since {day(headline.span.start)}"),
        "Active customers": (f"{headline.active:,}", recent + active_change),
        "Revenue": (amount(headline.recent_revenue, currency), recent + money_change),
        "Bought more than once": (percent(headline.repeat_share), "of all customers"),
    }


def describe_flows(months: pd.DataFrame, lapse: int) -> str:
    """Say how many customers came, came back and lapsed over the last whole months."""
    whole = months[months["complete"]]
    if whole.empty:
        return "The history holds no complete month yet, so there is no course over time to show."
    last = whole.tail(YEAR)
    won, back, lost = (int(last[name].sum()) for name in ("new", "reactivated", "lapsed"))
    text = (
        f"In the last {count(len(last), 'complete month')} {count(won, 'new customer')} came, {back:,} came back after"
        f" more than {count(lapse, 'month')} without a purchase and {lost:,} lapsed"
        f" ({count(lapse, 'month')} without one)."
    )
    if len(months) <= lapse:
        text += " Nobody can be seen to lapse before the history is longer than that."
    return f"{text} {_partial(months)}".strip()


def describe_repeat_revenue(months: pd.DataFrame) -> str:
    """Say what part of the revenue comes from repeat purchases."""
    last = months[months["complete"]].tail(YEAR)
    total = last["revenue_new"].sum() + last["revenue_repeat"].sum()
    if last.empty or total <= 0:
        return "There is no complete month with revenue yet."
    share = percent(last["revenue_repeat"].sum() / total)
    return f"Over the last {count(len(last), 'complete month')}, {share} of the revenue came from repeat purchases."


def describe_years(years: pd.DataFrame, currency: str) -> str:
    """Say how the revenue changed from the year before, and through what."""
    if len(years) < 2:
        return "The history holds less than two whole years, so their revenue cannot be compared season by season."
    before, last = years.iloc[-2], years.iloc[-1]
    if not before["revenue"]:
        return "There was no revenue in the year before the last, so there is nothing to compare it with."
    change = last["revenue"] - before["revenue"]
    head = (
        f"Revenue of the {YEAR} months to {day(last['end'])} was {amount(last['revenue'], currency)},"
        f" {amount(abs(change), currency)} ({percent(abs(change) / before['revenue'])})"
        f" {'more' if change >= 0 else 'less'} than a year earlier."
    )
    causes = {
        "customers": "the number of customers",
        "frequency": "purchases per customer",
        "value": "value per purchase",
    }
    points = {words: 100 * last[f"from_{cause}"] / before["revenue"] for cause, words in causes.items()}
    if not np.isfinite(list(points.values())).all():
        return head
    parts = [f"{'−' if value < 0 else '+'}{abs(value):.1f} from {words}" for words, value in points.items()]
    return f"{head} In percentage points, that is {listing(parts)}."


def describe_cohorts(cohorts: Cohorts) -> str:
    """Say what share of a cohort buys in the periods after its first, on average over customers."""
    unit, table = cohorts.unit, cohorts.active
    if table.shape[1] < 2 or table[1].isna().all():
        return f"No cohort of customers has been observed over two whole {unit}s yet."
    step, ordinal = {"month": (3, "third"), "quarter": (4, "fourth"), "year": (2, "second")}[unit]
    first = percent(_weighted(table[1], cohorts.customers))
    text = f"Of the customers of a cohort, {first} bought in the first {unit} after that of their first purchase"
    if step in table and table[step].notna().any():
        text += f" and {percent(_weighted(table[step], cohorts.customers))} in the {ordinal}"
    text += ", on average over the cohorts."
    if cohorts.first_is_partial:
        text += f" The first {unit} was observed in part, so the cohort of {table.index[0]} is not whole."
    return text


def describe_cohort_revenue(cohorts: Cohorts, currency: str) -> str:
    """Compare what the newest cohort followed for a year spent with the cohort a year before it."""
    year = {"month": 12, "quarter": 4, "year": 1}[cohorts.unit]
    age = next((a for a in (year, year // 2, 1) if a in cohorts.revenue and cohorts.revenue[a].notna().any()), None)
    if age is None:
        return "No cohort has been followed long enough to compare its revenue with another's."
    known = cohorts.revenue[age].dropna()
    within = count(age, cohorts.unit)
    text = (
        f"Within the {within} after that of the first purchase, customers of the cohort of {known.index[-1]} spent"
        f" {amount(known.iloc[-1], currency)} each"
    )
    if len(known) <= year:
        return f"{text}; there is no cohort a year older to compare it with."
    return f"{text}, those of {known.index[-1 - year]} {amount(known.iloc[-1 - year], currency)}."


def describe_repeats(milestones: pd.DataFrame, interval: float = 0.9) -> str:
    """Say what share of customers buys again within the longest milestones."""
    if milestones.empty:
        return "Too few customers have bought again to draw how long that takes."
    whole = milestones[milestones["cohort"] == ALL_YEARS]
    if whole.empty:
        return "Customers have not been followed for a month yet."
    told = listing(f"{percent(row.share)} within {row.days}" for row in whole.itertuples())
    last = whole.iloc[-1]
    bounds = f"{interval:.0%} interval of the last {percent(last['low'])} to {percent(last['high'])}"
    return f"Of all customers, {told} days buy again ({bounds}). {_newest(milestones)}".strip()


def describe_gaps(gaps: pd.DataFrame) -> str:
    """Say how long it takes from one purchase to the next."""
    if gaps.empty:
        return "Nobody has bought twice yet, so there is no time between purchases to show."
    half, most = (f"{gap_quantile(gaps, level):,.0f}" for level in (0.5, 0.9))
    return (
        f"Of {count(int(gaps['gaps'].sum()), 'repeat purchase')}, half came within {half} days of the one before"
        f" and nine in ten within {most}. Gaps that have not ended yet are not among them."
    )


def describe_concentration(best: Estimate, behind: float, interval: float = 0.9) -> str:
    """Say how unequal customers are, both ways round."""
    if not np.isfinite(behind):
        return describe_best(best, interval)
    return f"{describe_best(best, interval)} Turned round, 80% of the revenue comes from the best {percent(behind)}."


def describe_channels(channels: pd.DataFrame, days: int | None, currency: str) -> str:
    """Say which acquisition channels bring the customers who spend most, or what to supply to know it."""
    if channels.empty:
        return (
            "Acquisition channels are not compared: supply the table customers with the column acquisition_channel"
            " (see data/README.md)."
        )
    largest = channels.iloc[0]
    text = f"Most customers came through {largest['channel']} ({percent(largest['customer_share'])})."
    compared = channels[channels["low"].notna()].sort_values("mean")
    if len(compared) < 2 or days is None:
        return f"{text} Too few were followed for long enough to compare what they spend."
    worst, best = compared.iloc[0], compared.iloc[-1]
    text += (
        f" In the {days} days after the first purchase, customers from {best['channel']} spent the most"
        f" ({amount(best['mean'], currency)} each) and those from {worst['channel']} the least"
        f" ({amount(worst['mean'], currency)})."
    )
    clear = best["low"] > worst["high"]
    doubt = "their intervals do not overlap" if clear else "their intervals overlap, so this may be chance"
    return f"{text} {doubt[0].upper()}{doubt[1:]}; either way, it does not show what a channel causes."


def describe_rfm(rfm: Rfm) -> str:
    """Say what the best class of recency and of frequency hold."""
    classes = rfm.classes.set_index("measure")
    recent, frequent = (classes.loc[[measure]].iloc[0] for measure in ("recency", "frequency"))
    if not np.isfinite(recent["value_share"]):
        return "Nobody has spent anything yet, so the classes hold no revenue."
    text = (
        f"The {percent(recent['customer_share'])} who bought last"
        f" ({recent['low']:,.0f} to {recent['high']:,.0f} days ago) account for {percent(recent['value_share'])} of all"
        f" revenue; the {percent(frequent['customer_share'])} with {frequent['low']:,.0f} or more purchases for"
        f" {percent(frequent['value_share'])}."
    )
    fewer = [measure for measure in ("recency", "frequency", "monetary") if len(classes.loc[[measure]]) < 5]
    names = {"recency": "recency", "frequency": "frequency", "monetary": "value"}
    if fewer:
        alike = " and ".join(names[measure] for measure in fewer)
        text += f" So many customers are alike in {alike} that there are fewer than five classes of it."
    return text


def _since(headline: Headline) -> str:
    return f"in the {headline.span.days} days since {day(headline.span.start)}"


def _change(growth: float) -> str:
    if abs(growth) < 0.0005:
        return "as many as in" if growth == 0 else "about as much as in"
    return f"{percent(abs(growth))} {'more' if growth > 0 else 'less'} than in"


def _signed(growth: float) -> str:
    return f"{'+' if growth >= 0 else '−'}{percent(abs(growth))} on the year before"


def _repeaters(headline: Headline) -> str:
    if not headline.repeat_share:
        return "Nobody has bought more than once yet."
    return f"{percent(headline.repeat_share)} of all customers have bought more than once."


def _partial(months: pd.DataFrame) -> str:
    partly = [f"{month:%B %Y}" for month in months.loc[~months["complete"], "month"]]
    if not partly:
        return ""
    verb = "was" if len(partly) == 1 else "were"
    return f"{' and '.join(partly)} {verb} observed in part and {'is' if len(partly) == 1 else 'are'} not drawn."


def _weighted(shares: pd.Series, customers: pd.Series) -> float:
    known = shares.dropna()
    return float(np.average(known, weights=customers.loc[known.index]))


def _newest(milestones: pd.DataFrame) -> str:
    """Compare the newest year with the one before it at the longest milestone they share."""
    years = [name for name in milestones["cohort"].unique() if name != ALL_YEARS]
    if len(years) < 2:
        return ""
    table = milestones.set_index(["cohort", "days"])
    before, newest = (table.loc[year] for year in years[-2:])
    shared = newest.index.intersection(before.index)
    if shared.empty:
        return ""
    days = shared.max()
    a, b = before.loc[days], newest.loc[days]
    differs = b["low"] > a["high"] or b["high"] < a["low"]
    judged = "a difference beyond chance" if differs else "no difference beyond chance"
    return (
        f"Within {days} days it was {percent(b['share'])} of the customers won in {years[-1]}"
        f" and {percent(a['share'])} of those won in {years[-2]}: {judged}."
    )
