"""The sentences of the attribution pages."""

import math

import pandas as pd

from cvmlib.attribution.stages import STAGES
from cvmlib.attribution.study import CREDITS, LABELS, NO_CHANNEL, Study
from cvmlib.reporting.words import amount, between, chance, count, listing, percent

CREDIT_IS_NOT_CAUSE = (
    "Rules, Markov chains and Shapley values divide what happened over the touches that were "
    "recorded. They say who was "
    "there, not what would have been lost without them; only an experiment does."
)


def judge(study: Study, found: pd.DataFrame) -> tuple[str, str, list[str]]:
    """Level, headline and reasons of the verdict.

    Parameters
    ----------
    study : Study
        The unit's study.
    found : DataFrame
        From `cvmlib.attribution.reconcile.find_disagreements`.
    """
    rest = study.methods[(study.methods["method"] == "calibrated") & (study.methods["channel"] == NO_CHANNEL)]
    reasons = [f"{_over(found)}", CREDIT_IS_NOT_CAUSE]
    if rest.empty:
        headline = (
            f"Who was there is known for {count(int(study.notes['conversions']), 'conversion')}, what "
            "caused them is not: no "
            "channel was ever tested."
        )
        return "caution", headline, [CREDIT_IS_NOT_CAUSE, describe_spread(found)]
    total = study.notes["conversions"]
    row = rest.iloc[0]
    least, most, mean = (percent(1 - row[name] / total) for name in ("high", "low", "conversions"))
    headline = (
        f"Of {count(int(total), 'conversion')} with touches, marketing caused between {least} and {most}, most likely "
        f"{mean}; the rest would have come anyway."
    )
    judged = set(found.loc[found["cause"] != "", "channel"])  # direct visits are no marketing, and have no cause
    untested = [c for c in study.notes["channels"] if c in judged and c not in study.notes["tested"]]
    if untested:
        reasons.append(f"Never tested: {listing(untested)}. What is said of them rests on the other channels' tests.")
    return ("sound" if len(untested) <= len(study.notes["tested"]) else "caution"), headline, reasons


def _over(found: pd.DataFrame) -> str:
    parts = []
    for verdict, words in (("over-credited", "get more credit than they caused"), ("under-credited", "get less")):
        names = list(found.loc[found["verdict"] == verdict, "channel"])
        if names:
            parts.append(
                f"{listing(names)} {words if len(names) > 1 else words.replace('get', 'gets').replace('they', 'it')}"
            )
    return (
        f"Under every method of credit, {' and '.join(parts)}."
        if parts
        else "No channel is clearly over- or under-credited."
    )


def list_facts(study: Study, currency: str) -> dict[str, object]:
    """Headline numbers."""
    notes = study.notes
    facts: dict[str, object] = {
        "Conversions with touches": int(notes["conversions"]),
        "Value": amount(notes["value"], currency),
        "Journeys without conversion": int(notes["nulls"]),
        "Channels": len(notes["channels"]),
        "Channels tested": len(notes["tested"]),
    }
    return facts


def describe_spread(found: pd.DataFrame) -> str:
    """Say where the methods of credit are furthest apart."""
    if found.empty:
        return "There is nothing to compare."
    row = found.loc[(found["credit_high"] - found["credit_low"]).idxmax()]
    return (
        f"The methods are furthest apart on {row['channel']}: between {percent(row['credit_low'])} and "
        f"{percent(row['credit_high'])} of all conversions. {row['reason']}"
    )


def describe_comparison(found: pd.DataFrame) -> str:
    """Alternative text of the figure of all methods."""
    tested = found[found["cause"] != ""]
    if tested.empty:
        return describe_spread(found)
    most = tested.loc[tested["caused"].idxmax()]
    return (
        f"{describe_spread(found)} Most was caused by {most['channel']}: {percent(most['caused'])} of all conversions, "
        f"between {percent(max(most['caused_low'], 0.0))} and {percent(most['caused_high'])}."
    )


def describe_tests(study: Study) -> str:
    """Say what the experiments showed."""
    if study.tests.empty:
        return (
            "No channel was ever withheld from customers drawn at random, so nothing here says what "
            "marketing caused. Supply "
            "the table holdouts once one was."
        )
    good = study.tests[study.tests["reason"] == ""]
    clear = good[good["p_value"] < 0.05]
    positive = list(clear.loc[clear["conversions"] > 0, "channel"])
    none = list(good.loc[good["p_value"] >= 0.05, "channel"])
    parts = [f"{count(len(good), 'test')} of withheld channels could be read."]
    if positive:
        parts.append(f"A clear effect was found for {listing(positive)}.")
    if none:
        parts.append(f"None could be told from chance for {listing(none)}.")
    return " ".join(parts)


def describe_next(study: Study, currency: str) -> str:
    """Say which test to run next."""
    table = study.next_tests
    if table.empty:
        return (
            "Which channel to test next cannot be weighed: that needs the cost of touches, and at "
            "least one test to start from."
        )
    best = table.iloc[0]
    if best["gain"] <= 0:
        return "No test is worth its cost now: what would be done about each channel is already clear enough."
    return (
        f"Test {best['channel']} next: it pays with a probability of {chance(best['pays'])}, and a "
        "test of eight weeks on "
        f"half of the customers would be worth about {amount(best['test_worth'], currency)} a year, at a cost of about "
        f"{amount(best['test_cost'], currency)}."
    )


def describe_order(study: Study) -> str:
    """Say which order the chain has, and why."""
    chosen = study.orders[study.orders["chosen"]].iloc[0]
    best = study.orders.loc[study.orders["score"].idxmax()]
    first = study.orders.set_index("order").loc[1]
    if chosen["order"] == 1:
        return "The latest touch says as much of what comes next as longer memories do: the chain has order 1."
    return (
        f"The chain remembers {int(chosen['order'])} touches: on held-out journeys that predicts "
        "better than one touch by "
        f"{first['behind'] - chosen['behind']:.3f} nats a journey (standard error "
        f"{first['behind_se']:.3f}); the best order "
        f"is {int(best['order'])}."
    )


def describe_movers(movers: pd.DataFrame) -> str:
    """Say which channel moves customers on most, stage by stage."""
    parts = []
    for stage in STAGES:
        part = movers[movers["stage"] == stage]
        if len(part) > 1:
            best = part.iloc[0]
            parts.append(
                f"from {stage}, {best['channel']} ({percent(best['moved'])} of its touches, against "
                f"{percent(best['usual'])})"
            )
    return (
        f"Most often followed by a step on: {'; '.join(parts)}."
        if parts
        else "Each stage is served by one channel only."
    )


def describe_stalls(stages: pd.DataFrame) -> str:
    """Say where journeys stall."""
    if not stages["ended"].sum() > 0:
        return "No journey without a conversion passed a stage."
    worst = stages.loc[stages["share_ended"].idxmax()]
    return f"Of the journeys that did not convert, {percent(worst['share_ended'])} ended at the stage {worst['stage']}."


def describe_ranks(study: Study) -> str:
    """Say how sure the order of the channels is under the Markov chain."""
    part = study.methods[study.methods["method"].eq("markov")]
    if part.empty or part["same_rank"].isna().all():
        return ""
    unsure = list(part.loc[part["same_rank"] < 0.9, "channel"])
    if not unsure:
        return "The order of the channels is not a matter of chance: each keeps its rank in at least 90% of the draws."
    return f"The rank is a matter of chance for {listing(unsure)}: less than 90% of the draws agree on it."


def list_unknowns(study: Study) -> list[str]:
    """What the page does not know."""
    unknown = [
        "What nobody recorded (word of mouth, offline media, other devices) has no touch, and gets no credit.",
        "Effects of touches older than the look-back window are not seen.",
    ]
    if study.notes["source"] == "paths":
        unknown.append(
            "Ready paths carry no times and no customers: sessions, windows and repeat buyers were decided elsewhere."
        )
    if study.notes["tested"]:
        unknown.append(
            "A test says what a channel caused while it ran; the page takes it to do as much at other times."
        )
    refused = [LABELS[name] for name in study.refused["method"]]
    if refused:
        unknown.append(f"Not computed, because these journeys cannot carry it: {listing(refused)}.")
    return unknown


def describe_findings(findings: pd.DataFrame) -> str:
    """Say in one sentence what was left out."""
    left = findings[findings["treatment"].str.startswith("left out")]
    rows = int(left["number"].sum())
    money = left["money"].sum()
    worth = f", worth {money:,.0f}" if math.isfinite(money) and money > 0 else ""
    return (
        f"{count(rows, 'row')} were left out{worth}; everything that was treated is listed."
        if rows
        else "Nothing was left out."
    )


def describe_spread_of(part: pd.DataFrame) -> str:
    """Alternative text of a figure of one method: the largest and the smallest channel."""
    most, least = part.iloc[0], part.iloc[-1]
    return (
        f"{most['channel']} is credited with most: "
        f"{between(most['conversions'], most['low'], most['high'], 'conversions')}; "
        f"{least['channel']} with least: {between(least['conversions'], least['low'], least['high'], 'conversions')}."
    )


def describe_media(frame: pd.DataFrame, method: str) -> str:
    """Say what a media mix adds to the journeys, and where experiments say otherwise.

    Parameters
    ----------
    frame : DataFrame
        From `cvmlib.attribution.reconcile.reconcile`.
    method : str
        The method that is the media mix.
    """
    mine = frame[frame["method"] == method].set_index("channel")
    met = set(frame.loc[frame["method"].isin(CREDITS), "channel"])
    tested = frame[frame["method"] == "experiment"].set_index("channel")
    sentences = []
    if unseen := [channel for channel in mine.index if channel not in met]:
        leave = "leaves" if len(unseen) == 1 else "leave"
        sentences.append(f"{listing(unseen)} {leave} no touch in these journeys, so only the media mix speaks of it.")
    both = [channel for channel in mine.index if channel in tested.index]
    one, other = mine.loc[both], tested.loc[both]
    apart = list(one.index[(one["low"] > other["high"]) | (one["high"] < other["low"])])
    if apart:
        sentences.append(
            f"For {listing(apart)} its interval and that of the experiments do not meet. They are shares of different "
            "totals; beyond that, believe the experiments, which drew at random."
        )
    elif both:
        sentences.append(f"For {listing(both)} its intervals and those of the experiments overlap.")
    return " ".join(sentences)
