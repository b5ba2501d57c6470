"""The sentences of the pages about media: verdict, returns, budget, and what the data do not tell."""

import pandas as pd

from cvmlib.attribution.budget import ENOUGH, Advice, tabulate_plan
from cvmlib.attribution.media_experiments import ROW
from cvmlib.attribution.media_fit import MediaFit
from cvmlib.reporting.words import amount, between, chance, listing, percent

NAMES = {
    "unit": "Unit",
    "channel": "Channel",
    "outlet": "Outlet",
    "spend": "Spent",
    "contribution": "Brought",
    "share": "Share of sales",
    "return": "Return",
    "marginal": "Return of the next unit",
    "pays": "Chance that it pays",
    "pays_next": "Chance that the next unit pays",
    "learnt": "Learnt from data",
    "source": "Rests on",
    "takes": "Chance that it takes sales",
    "now": "Now, a week",
    "plan": "Plan, a week",
    "name": "Plan",
    "change": "Change",
    "counted": "Return counted on",
    "lowest": "Lowest held",
    "highest": "Highest held",
    "observed": "Observed",
    "inflation": "Variance inflation",
    "widened": "Interval wider by",
    "collinear": "Collinear",
    "follows_demand": "Follows demand",
    "tested": "Lift tests",
    "level": "Times today's spend",
    "response": "Brought, a week",
    "measured": "Return measured",
    "gain": "Gain, a week",
    "worst": "Worst tenth, a week",
    "beats": "Chance to beat today's",
    "moved": "Budget moved",
    "first": "Channel",
    "second": "and channel",
    "correlation": "Correlation",
}
DOUBTED = 0.9
"""Share of a return below which the plan is said not to count on it in full."""
TWO_DIGITS = ("return", "counted", "marginal", "measured", "inflation", "widened", "level")
SHARES = ("share", "pays", "pays_next", "learnt", "takes", "change", "beats", "moved")


def name_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with columns named for people; ``x_low`` and ``x_high`` become ``X, from`` and ``X, to``."""

    def rename(column: str) -> str:
        for ending, word in (("_low", ", from"), ("_high", ", to")):
            if column.endswith(ending):
                return rename(column.removesuffix(ending)) + word
        return NAMES.get(column, column.replace("_", " ").capitalize())

    return frame.rename(columns={column: rename(column) for column in frame.columns})


def formats(frame: pd.DataFrame) -> dict[str, str]:
    """Return the formats of the columns of a table before they are named, by their names for people."""
    found = {}
    for column in frame.columns:
        base = column.removesuffix("_low").removesuffix("_high")
        kind = "percent" if base in SHARES else None
        kind = kind or ("number:2" if base in TWO_DIGITS else None)
        kind = kind or ("money" if pd.api.types.is_float_dtype(frame[column]) and base != "correlation" else None)
        if kind:
            found[name_columns(frame[[column]]).columns[0]] = kind
    return found


def describe_verdict(fit: MediaFit, unit: str, returns: pd.DataFrame, advice: Advice, currency: str) -> tuple:
    """Return level, headline and reasons of the verdict on a unit's media."""
    reasons = [advice.reason]
    prior = returns.loc[returns["source"] == "prior", "channel"]
    if len(prior):
        reasons.append(
            f"For {listing(prior)} the data hardly say anything beyond what was assumed beforehand: only a test can."
        )
    partly = returns.loc[returns["source"] == "partly prior", "channel"]
    if len(partly):
        reasons.append(f"What is said of {listing(partly)} rests on what was assumed beforehand as well as on data.")
    untested = sorted(set(returns["channel"]) - {test.channel for test in fit.tests if test.unit == unit})
    if untested:
        reasons.append(f"No lift test of this unit stands behind {listing(untested)}: a test tells cause from chance.")
    if not fit.diagnostics.passed:
        sentence = "The media mix did not converge, so nothing is concluded from it."
        return "withheld", sentence, [fit.diagnostics.sentence()]
    level = "sound" if (returns["source"] == "data").all() else "caution"
    if advice.hold:
        return level, "Hold the budget as it is.", reasons
    return level, f"Move {percent(advice.moved)} of the budget: {describe_gain(advice, currency)}.", reasons


def describe_gain(advice: Advice, currency: str, interval: float = 0.9) -> str:
    """Say what the plan gains a week."""
    low, high = (float(pd.Series(advice.gain).quantile(q)) for q in ((1 - interval) / 2, (1 + interval) / 2))
    return f"{between(float(advice.gain.mean()), low, high, currency)} more sales a week for the same money"


def describe_returns(returns: pd.DataFrame, currency: str) -> str:
    """Say in a few sentences what media brought."""
    total = float(returns["contribution"].sum())
    best = returns.loc[returns["pays"].idxmax()]
    text = (
        f"Media cost {amount(float(returns['spend'].sum()), currency)} and brought "
        f"{amount(total, currency)} of sales ({percent(float(returns['share'].sum()))} of all). "
        f"The surest to pay for itself is {best['channel']}: {percent(float(best['pays']))}."
    )
    nothing = returns[(returns["return_low"] <= 0) & (returns["source"] != "prior")]
    if len(nothing):
        text += f" No effect at all is possible for {listing(nothing['channel'])}."
    return text


def describe_experiments(table: pd.DataFrame) -> str:
    """Say which tests calibrate which channel and where they come from, and why others do not."""
    if table.empty:
        return "No lift test stands behind these channels: nothing but time tells effect from coincidence."
    used, unused = table[table["used"]], table[~table["used"]]
    parts = []
    for channel, rows in used.groupby("channel", sort=True):
        counted = rows["source"].value_counts(sort=False)
        supplied = f"{counted[ROW]} {ROW}s" if counted.get(ROW, 0) > 1 else f"a {ROW}"
        named = [supplied if source == ROW else source for source in counted.index]
        parts.append(f"{channel} by {listing(named)}")
    text = f"Tests calibrate {listing(parts)}." if parts else "No test that was run could be used."
    reasons = [f"{row.source} ({row.channel}): {row.reason}." for row in unused.itertuples()]
    return " ".join([text, *(["Not used:"] if reasons and parts else []), *reasons])


def name_experiments(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the table of tests as a reader sees it, without empty columns, and the formats of the others."""
    design = table["design"].map({"regional": "regions", "randomised": "customers drawn by lot"}).fillna("")
    shown = pd.DataFrame({
        "Channel": table["channel"], "Test": table["source"], "Tested by": design,
        "First day": table["first"], "Last day": table["last"], "Part of the market": table["share"],
        "Spend tested": table["spend"], "Sales it brought": table["lift"], "Sales it brought, from": table["lift_low"],
        "Sales it brought, to": table["lift_high"], "Return": table["lift"] / table["spend"],
        "Calibrates": table["used"].map({True: "yes", False: "no"}),
        "Why not": table["reason"],
    })  # fmt: skip
    shown = shown.drop(columns=[name for name in ("Tested by", "Why not") if (shown[name] == "").all()])
    money = ("Spend tested", "Sales it brought", "Sales it brought, from", "Sales it brought, to")
    return shown, dict.fromkeys(money, "money") | {"Part of the market": "percent", "Return": "number:2"}


def describe_holdout(scores: dict[str, float]) -> str:
    """Say how the forecast of held-out weeks did."""
    better = "less than" if scores["mape"] < scores["mape_year_before"] else "more than"
    return (
        f"Over the last {scores['weeks']:.0f} weeks, which the check did not see, the forecast was off by "
        f"{percent(scores['mape'], 1)} a week on average, {better} the year before moved to the present level "
        f"({percent(scores['mape_year_before'], 1)}); {percent(scores['covered'])} of the weeks lay in their range."
    )


def describe_budget(advice: Advice, currency: str) -> str:
    """Say what the plan does, and what may go wrong."""
    verb = "would gain" if advice.hold else "gains"
    text = (
        f"The best plan within the limits moves {percent(advice.moved)} of the budget. It beats today's plan with a "
        f"probability of {chance(advice.probability)} and {verb} {describe_gain(advice, currency)}; in the worst "
        f"tenth of cases it changes sales by {amount(advice.downside, currency)} a week on average."
    )
    if advice.hold:
        text += f" A plan is recommended from {percent(ENOUGH)} on."
    return text


def describe_doubts(advice: Advice) -> str:
    """Say which returns the plan does not count on in full, and why; empty where it does."""
    table = tabulate_plan(advice)
    less = table[(table["return"] > 0) & (table["counted"] < DOUBTED * table["return"])]
    if less.empty:
        return ""
    columns = (less[name] for name in ("channel", "counted", "return"))
    parts = [f"{channel} ({counted:.2f} of {found:.2f})" for channel, counted, found in zip(*columns, strict=True)]
    return (
        f"The plan counts on less than the whole return of {listing(parts)}: spend may follow demand that no column "
        "tells, the more so, the less it varies by plan, and no test says what would have been sold without it."
    )


def list_unknowns(fit: MediaFit, unit: str, returns: pd.DataFrame, collinear: pd.DataFrame) -> list[str]:
    """List what the page does not know, one sentence each."""
    design = fit.design
    panel = design.panel
    found = sorted({
        panel.pairs[i].channel for i in range(len(panel.pairs))
        if design.captured[i] and panel.series[panel.pairs[i].series].unit == unit
    })  # fmt: skip
    tested = {test.channel for test in fit.tests if test.unit == unit}
    sentences = []
    if untested := [channel for channel in found if channel not in tested]:
        sentences.append(
            f"The spend of {listing(untested)} follows demand, and no lift test of this unit tells its effect from the "
            "demand it captures."
        )
    weak = returns[returns["source"] != "data"]
    if len(weak):
        sentences.append(
            f"The return of {listing(weak['channel'])} rests on the prior in part or in whole: {listing(
                f'{percent(1 - float(row.learnt))} of the prior variance is left for {row.channel}'
                for row in weak.itertuples())}."
        )  # fmt: skip
    if collinear["collinear"].any():
        names = listing(collinear.loc[collinear["collinear"], "channel"])
        sentences.append(f"The spend of {names} moves with other channels or the season, which widens its interval.")
    if doubted := sorted(set(returns["channel"]) - tested - set(found)):
        sentences.append(
            f"No test tells whether spend on {listing(doubted)} follows demand unnoticed; the plan leaves room for it, "
            "the more, the less that spend varies by itself."
        )
    if design.dropped:
        sentences.append(f"Controls that never vary were left out: {', '.join(design.dropped)}.")
    sentences += [
        f"What media do later than {design.lagged.shape[2]} weeks after the spend, brands above all, is not seen.",
        "What happens beyond the observed spend is the form of the curve, not data.",
        "Whatever moved spend and sales together, and is no column of the tables, counts as an effect of media; only "
        "the plan leaves room for it.",
    ]
    return sentences
