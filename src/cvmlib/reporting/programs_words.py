"""The sentences of the programs page, built from its tables, so that text cannot drift from them."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cvmlib.reporting import escape
from cvmlib.reporting.words import amount, between, count, listing, percent

VERDICTS = {
    "scale": "Scale",
    "keep": "Keep",
    "retest": "Retest",
    "stop": "Stop",
    "withheld": "Withheld",
    "not measured": "Not measured",
}
MEASURED = {
    "randomised": "randomised holdout",
    "regional": "regional test",
    "matched": "look-alikes, no test",
    "none": "no test",
}
_SAID = {
    "scale": "{n} {is} worth scaling",
    "keep": "{n} {is} worth keeping",
    "retest": "{n} {is} undecided",
    "stop": "{n} {is} to be stopped",
    "withheld": "the verdict on {n} is withheld because its randomisation is broken",
    "not measured": "{n} {was} not measured",
}


def judge_page(totals: Mapping) -> tuple[str, str]:
    """Return the level of the page's verdict and its headline."""
    verdicts = totals["verdicts"]
    told = [_say(name, verdicts[name]) for name in VERDICTS if verdicts.get(name)]
    known = sum(verdicts.get(name, 0) for name in ("scale", "keep", "retest", "stop"))
    programs = count(totals["programs"], "program")
    if not known and totals["programs"] == 1:
        return "withheld", f"The one program of {totals['label']} cannot be judged: nothing shows what it caused."
    if not known:
        return "withheld", f"None of {programs} of {totals['label']} can be judged: nothing shows what they caused."
    level = "sound" if known == totals["programs"] and not verdicts.get("retest") else "caution"
    return level, f"Of {programs} of {totals['label']}, {listing(told)}."


def _say(verdict: str, number: int) -> str:
    words = {"is": "is", "was": "was"} if number == 1 else {"is": "are", "was": "were"}
    text = _SAID[verdict].format(n=number, **words)
    return text if number == 1 else text.replace("its randomisation", "their randomisation")


def list_reasons(totals: Mapping, results: pd.DataFrame) -> list[str]:
    """Say what the verdict rests on: money in and back, what is not known, what is cut short."""
    currency, sentences = totals["currency"], []
    if totals["gain"] and totals["cost_measured"]:
        sentences.append(describe_money(totals))
    if totals["cost_unknown"] > 0:
        share = percent(totals["cost_unknown"] / totals["cost"])
        sentences.append(
            f"{amount(totals['cost_unknown'], currency)}, {share} of the cost on record, went into programs whose "
            "effect is not known."
        )
    if totals["costs_missing"]:
        verb = "has" if totals["costs_missing"] == 1 else "have"
        sentences.append(f"{count(totals['costs_missing'], 'program')} {verb} no cost on record, so no return.")
    cut = results.loc[results["unfinished"], "label"].tolist()
    if cut:
        sentences.append(
            f"The window of {listing(cut)} was not over at the end of observation, for those drawn last at least; what "
            "comes later is missing."
        )
    if not totals["money"]:
        sentences.append("Outcomes are recorded as conversions, not as money, so no return can be stated.")
    return sentences


def describe_money(totals: Mapping) -> str:
    """Say what the measured programs cost and brought back."""
    gain, currency = totals["gain"], totals["currency"]
    tested = count(totals["tested"], "program")
    verb = "was" if totals["tested"] == 1 else "were"
    return (
        f"{tested} that {verb} tested with a randomised holdout cost {amount(totals['cost_measured'], currency)} and "
        f"brought an incremental margin of {between(gain['mean'], gain['low'], gain['high'], currency)}."
    )


def list_facts(totals: Mapping) -> dict[str, object]:
    """Headline numbers, as tiles."""
    currency = totals["currency"]
    facts: dict[str, object] = {"Programs": totals["programs"]}
    measured = totals["tested"] + totals["regional"]
    facts["Measured"] = (f"{measured} of {totals['programs']}", "by a randomised or regional test")
    if totals["gain"]:
        gain, low, high = (amount(totals["gain"][end], currency) for end in ("mean", "low", "high"))
        facts["Incremental margin"] = (gain, f"{totals['interval']:.0%} interval {low} to {high}")
        facts["Cost of these"] = amount(totals["cost_measured"], currency)
    if totals["cost_unknown"] > 0:
        facts["Cost without known effect"] = amount(totals["cost_unknown"], currency)
    return facts


def name_hurdle(totals: Mapping) -> str:
    """Name the margin asked for per unit of cost, as a mark in a figure."""
    return f"asked {'of most' if len(totals['hurdles']) > 1 else 'for'}: {totals['hurdle']:g}"


def describe_hurdle(totals: Mapping) -> str:
    """Say what programs are asked to bring back; nothing where it is their cost."""
    if totals["hurdles"] in ([], [1.0]):
        return ""
    asked = f"{totals['hurdle']:.2f} {totals['currency']} of margin per {totals['currency']} spent"
    others = [f"{hurdle:.2f}" for hurdle in totals["hurdles"] if hurdle != totals["hurdle"]]
    rest = f"; some of {listing(others)}, as the table says" if others else ""
    return f"A program is asked for {asked}{rest}: a verdict is the probability of more than that."


def describe_returns(results: pd.DataFrame, totals: Mapping) -> str:
    """Say which program brings back most per unit of cost."""
    known = results[results["back"].notna() & results["verdict"].isin(["scale", "keep", "retest", "stop"])]
    if known.empty:
        return "No program has both a measured effect and a cost, so no return can be drawn."
    best = known.sort_values("back").iloc[-1]
    low, high, mean = (f"{best[name]:.2f}" for name in ("back_low", "back_high", "back"))
    text = (
        f"{best['label']} brings back most: {mean} {totals['currency']} of margin per {totals['currency']} spent "
        f"({totals['interval']:.0%} interval {low} to {high})."
    )
    return f"{text} {describe_hurdle(totals)}".strip()


def explain_verdicts(results: pd.DataFrame) -> list[tuple[str, str]]:
    """Say of each program what its verdict is and why, and what its lift is worth knowing."""
    lines = []
    for row in results.to_dict("records"):
        said = f"{VERDICTS[row['verdict']]}. {row['reason']}"
        if row["verdict"] in ("scale", "keep", "retest", "stop") and np.isfinite(row["pooled"]):
            said += " " + _lift_words(row)
        if row["verdict"] == "not measured" and np.isfinite(row["raw"]):
            said += (
                f" Those treated brought {_signed(row['relative'])} than the others did, which says nothing about "
                "what the program caused."
            )
        if row["assumed"]:
            said += (
                " That the arms were drawn at random is taken from there being two; programs.design does not say so."
            )
        lines.append((row["label"], f"{said}{_media_words(row)}"))
    return lines


def _media_words(row: Mapping) -> str:
    """Say what a program that varied the spend of a media channel tells the media mix; nothing of any other."""
    channel = row.get("media_channel")
    if not isinstance(channel, str) or not channel:
        return ""
    if row["design"] in ("randomised", "regional") and not row["broken"]:
        return f" It varied the spend on {channel}: the page on media says what its test tells the media mix."
    return f" It varied the spend on {channel}, but without a sound test the media mix learns nothing from it."


def _lift_words(row: Mapping) -> str:
    low, high = percent(row["pooled_low"], 1), percent(row["pooled_high"], 1)
    if row["design"] == "regional":
        text = (
            f"Its areas brought {_signed(row['pooled'], 1)} than expected from the others ({low} to {high}). Without "
            "any program the same areas stray as far or further with a probability of "
            f"{percent(row['p_value'], 1)} (placebo p-value)."
        )
        if np.isfinite(row["moved"]) and row["moved"] > 0.1:
            text += (
                f" Of the areas without the program, each taken alone, {percent(row['moved'])} moved as much in the "
                "same weeks: some areas stray more than others. Interval and p-value therefore rest on how far these "
                "areas themselves strayed, taken together, at earlier dates."
            )
        return text
    return (
        f"Measured was a lift of {percent(row['relative'], 1)}; in the light of the other programs and of conversions "
        f"it is taken to be {percent(row['pooled'], 1)} ({low} to {high})."
    )


def _signed(share: float, digits: int = 0) -> str:
    return f"{percent(abs(share), digits)} {'more' if share >= 0 else 'less'}"


def describe_value(results: pd.DataFrame, totals: Mapping) -> str:
    """Say what the change in predicted customer value adds, and where it would change the verdict."""
    if not totals["valued"]:
        return (
            "No model predicts the value of these customers, so only the money of the window counts: what the "
            "programs do "
            "to customers later is left out."
        )
    known = results[results["total_gain"].notna() & results["gain"].notna()]
    if known.empty:
        return "No program with a randomised holdout has customers whose value is predicted."
    total, window = known["total_gain"].sum(), known["gain"].sum()
    turned = known[(known["total_probability"] > 0.5) != (known["probability"] > 0.5)]
    text = (
        f"With the change in predicted customer value, the programs bring {amount(total, totals['currency'])} instead "
        f"of "
        f"{amount(window, totals['currency'])} in the window alone."
    )
    if len(turned):
        text += f" For {listing(turned['label'])} that decides whether it pays."
    return text


def describe_segments(segments: pd.DataFrame) -> str:
    """Say how many segments stand out after shrinkage, of how many looked at."""
    if segments.empty:
        return (
            "No program could be told apart by segment: none is supplied, or too few customers bought in any of them."
        )
    found = segments[segments["outstanding"]]
    looked = f"{count(len(segments), 'segment')} of {count(segments['program_id'].nunique(), 'program')} were looked at"
    if found.empty:
        return (
            f"{looked}, and none stands out from its program: the differences between them are no larger than chance "
            f"makes "
            "among so many."
        )
    named = [f"{row.level} ({row.label})" for row in found.itertuples()]
    verb = "stands" if len(named) == 1 else "stand"
    return f"{looked}; after shrinking for their number, {listing(named)} {verb} out."


def describe_scorecard(scorecard: pd.DataFrame) -> str:
    """Say how many programs counted anything on the way to their intended outcome, and who measured the link."""
    counted = scorecard[scorecard["counted"] != ""]
    if counted.empty:
        return "No activity is counted for any program, so nothing is known of what lies between it and its outcome."
    near = counted[counted["on_the_way"]]
    unmeasured = near[near["measured"] == "nobody"]
    text = (
        f"{len(counted)} of {count(len(scorecard), 'program')} have any activity counted, {len(near)} of a kind that "
        "comes before the intended outcome."
    )
    if len(unmeasured):
        verb = "has" if len(unmeasured) == 1 else "have"
        text += f" {listing(unmeasured['label'])} {verb} activity to show, but nobody measured whether it led there."
    return text


def describe_tests(tests: pd.DataFrame, totals: Mapping) -> str:
    """Say which test is worth most, and which are not worth running."""
    if tests.empty:
        return "Every program is decided: there is no test to run."
    worth = tests[tests["net"] > 0]
    plain = tests[tests["net"].isna() & (tests["why_not"] == "")]
    if worth.empty and len(plain):
        first = plain.iloc[0]
        return (
            f"What knowing is worth is not known without money and cost. With {first['customers']:,.0f} customers for "
            f"{first['days']:.0f} days, half of them held back, {first['label']} would show a lift of "
            f"{percent(first['detectable'], 1)} or more with 80% power."
        )
    if (tests["why_not"] != "").all():
        return "For no program can the next test be designed, for the reasons below."
    if worth.empty:
        return "No further test is worth what it costs: the decisions are clear enough, or too little hangs on them."
    best = worth.iloc[0]
    currency = totals["currency"]
    text = (
        f"First comes {best['label']}: {best['customers']:,.0f} customers for {best['days']:.0f} days, "
        f"{percent(best['held_back'])} of them held back. Knowing is worth {amount(best['worth'], currency)} over "
        f"{count(totals['horizon_months'], 'month')}, the test costs {amount(best['cost'], currency)}."
    )
    idle = int((tests["net"] <= 0).sum())
    if idle:
        text += f" For {count(idle, 'program')} a test would cost more than it is worth."
    return text


def list_obstacles(tests: pd.DataFrame) -> list[tuple[str, str]]:
    """List programs for which no test can be designed, and what is in the way."""
    blocked = tests[tests["why_not"] != ""]
    return [(row.label, f"no test can be designed: {row.why_not}.") for row in blocked.itertuples()]


def list_unknowns(totals: Mapping, results: pd.DataFrame) -> list[str]:
    """List what the page leaves out or assumes, one sentence each."""
    customers = results.loc[results["design"] != "regional", "window_days"]
    window = listing(f"{days:.0f}" for days in sorted(set(customers.fillna(90))))
    sentences = []
    if (results["design"] != "regional").any():
        sentences += [
            f"Money counts for {window} days after the assignment; what a program changes later is seen only through "
            "predicted customer value.",
            "Lifts are averages over the customers who were in the program; for other customers they are a guess.",
            "Customers are taken not to influence each other: a treated customer who recommends to one held back hides "
            "effect.",
        ]
    if (results["design"] == "regional").any():
        sentences += [
            "Regional tests count what the areas brought while the program ran; what it changes later is not seen.",
            "Areas without the program are taken not to be touched by it, and all areas to go on moving together as "
            "they did before it.",
        ]
    sentences.append("The cost is taken to be complete, and to have been spent on those treated.")
    if (results["design"] == "randomised").sum() > 1:
        sentences.append("Programs are taken to be alike a priori; one of a kind of its own is shrunk too much.")
    return sentences


def as_bullets(pairs: Iterable[tuple[str, str]]) -> str:
    """Return labelled sentences as a Markdown list, with what comes from data escaped."""
    return "\n".join(f"- **{escape.markdown(label)}**: {escape.markdown(sentence)}" for label, sentence in pairs)
