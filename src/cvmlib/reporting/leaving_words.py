"""The sentences of the churn page of a contractual unit, built from its tables, so that text cannot drift.

Every function takes what `cvmlib.churn.decision` saved and returns plain text, which also serves as the alternative
text of a figure.
"""

import pandas as pd

from cvmlib.reporting.words import amount, between, count, listing, percent

WITHHELD = "Not shown: the value is withheld, for the reasons given at the top of the page, and with it the costs."
RANKINGS = {
    "profit": "Expected profit of the contact",
    "at risk": "Money at risk",
    "risk": "Risk of leaving",
    "price": "Price paid",
    "chance": "Picked at random",
}
NO_DRIVERS = (
    "What else drives leaving is not shown: no covariates are named in the portfolio file (retention = { covariates = "
    "[…] }), or the model that has them did not pass its checks."
)
NO_COHORTS = (
    "Cohorts are not shown: all leavers are dated in one month, as in a snapshot, so when those who joined together "
    "left is not on record."
)
ON_DRIVERS = "A driver tells who leaves, not what a contact or an offer would change."
DRIFTING = "The ratios are those of a typical month of leaving; earlier and later in tenure they may differ."
MODELS = {"model": "This model", "naive": "Last year's rate"}


def describe_leaving(churn: dict, totals: dict) -> str:
    """Say how many will leave within the window, and what is lost with them."""
    base = count(churn["subscriptions"], "active subscription")
    leavers = f"{_range(churn['leavers'])} of the {base} of {totals['label']} will end"
    text = f"In the next {_window(churn)} {leavers}"
    if totals["verdict"]["level"] == "withheld":
        return f"{text}; what that costs is withheld."
    return f"{text}, which will cost a margin of {between(*_ends(churn['lost']), totals['currency'])}."


def describe_causes(churn: dict) -> str:
    """Say how many of those who will leave choose to, where the records tell."""
    if churn["voluntary"] is None:
        return (
            "The records do not tell those who choose to leave from those whose payment fails, so all count as leaving "
            "by choice."
        )
    return (
        f"{percent(churn['voluntary'])} of those who will leave choose to, the others are cut off (payments that "
        "fail); an offer can save the former only."
    )


def describe_list(churn: dict, currency: str) -> str:
    """Say whom it pays to contact and what it will bring."""
    saving = churn["saving"]
    if saving is None:
        return (
            "Whom to save cannot be said: the portfolio file does not state what a contact and an offer cost and how "
            "many accept (saving = { contact_cost = …, offer_cost = …, acceptance = […, …] })."
        )
    terms = _terms(saving, currency, bool(churn["experiment"]))
    if not saving["customers"]:
        return f"It pays to contact nobody: {terms}, no contact is expected to bring back what it costs."
    share = percent(saving["customers"] / max(saving["base"], 1))
    profit = between(*_ends(saving["profit"]), currency)
    return (
        f"It pays to contact {count(saving['customers'], 'customer')}, {share} of all: {terms}, contacting all "
        f"of them will bring a profit of {profit}; with {percent(saving['chance'])} probability it is one."
    )


def describe_evidence(churn: dict) -> str:
    """Say what the ranking rests on: a randomised experiment, or an assumption."""
    if churn["saving"] is None:
        return ""
    if churn["experiment"]:
        return (
            f"Customers are ranked by the effect of a contact times the value at stake. The effect was measured by the "
            f"randomised program “{churn['experiment']}”, by plan and year of tenure."
        )
    return (
        "No randomised experiment tells who is persuaded by a contact: everybody is taken to accept with the same "
        "probability, so that customers are ranked by the money they would take with them. Hold back a random part of "
        "the list as a control (tables programs and assignments), and the next list ranks by measured effects."
    )


def list_facts(churn: dict, totals: dict, levers: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Headline numbers of the page, as tiles."""
    currency, months, leavers = totals["currency"], _window(churn), churn["leavers"]
    facts = {
        f"Will leave in {months}": (
            f"{leavers['mean']:,.0f}",
            f"{leavers['low']:,.0f} to {leavers['high']:,.0f} of {churn['subscriptions']:,}",
        )
    }
    if totals["verdict"]["level"] == "withheld":
        return facts
    lost, saving, point = churn["lost"], churn["saving"], levers.set_index("lever").loc["point"]
    facts["Margin lost with them"] = (amount(lost["mean"], currency), between(*_ends(lost), currency))
    facts["A point of churn costs"] = (amount(-point["mean"], currency), "one more in a hundred leaving every month")
    if saving is not None:
        remark = f"profit {between(*_ends(saving['profit']), currency)}" if saving["customers"] else "none pays"
        facts["Worth a contact"] = (f"{saving['customers']:,}", remark)
    return facts


def describe_risk(risk: pd.DataFrame, currency: str, window: int) -> str:
    """Say where most is lost, and where the largest part of what there is."""
    parts = risk[risk["plan"].notna()]
    if parts.empty:
        return "No subscription is active."
    most, worst = parts.loc[parts["lost"].idxmax()], parts.loc[parts["share"].fillna(0).idxmax()]
    months = count(window, "month")
    return (
        f"Most is at stake with {_segment(most)}: {amount(most['lost'], currency)} in the next {months}. The largest "
        f"part of their value is lost by {_segment(worst)}: {percent(worst['share'], 1)}."
    )


def describe_levers(levers: pd.DataFrame, currency: str, months: int) -> str:
    """Say what more or less churn would do to the value."""
    row = levers.set_index("lever")
    point, tenth, elasticity = (row.loc[name] for name in ("point", "tenth", "elasticity"))
    return (
        f"If one more in a hundred left every month, the value of the next {count(months, 'month')} would fall by "
        f"{amount(-point['mean'], currency)}; one leaver in ten fewer would add {amount(tenth['mean'], currency)}. One "
        f"per cent more who stay each month is worth {elasticity['mean']:.1f} per cent of the value."
    )


def describe_lifetimes(lifetimes: pd.DataFrame, longest: int) -> str:
    """Say how long subscribers of the segments will stay."""
    if lifetimes.empty:
        return "No subscription is active."
    best, least = (lifetimes.loc[pick(lifetimes["lifetime"])] for pick in (pd.Series.idxmax, pd.Series.idxmin))
    return (
        f"Within the next {longest} months, {_segment(best)} will stay {best['lifetime']:.0f} months on average and "
        f"{_segment(least)} {least['lifetime']:.0f} months. What lies beyond the tenures seen so far continues their "
        "trend."
    )


def describe_rankings(rankings: pd.DataFrame, listed: int, currency: str) -> str:
    """Say what the list is expected to earn beyond one of the same size by risk."""
    profit = rankings.set_index("ranking")["profit"]
    if not listed:
        return "With nobody on the list there is nothing to compare."
    return (
        f"The {count(listed, 'customer')} on the list are expected to bring {amount(profit['profit'], currency)}; as "
        f"many customers of the highest risk of leaving {amount(profit['risk'], currency)}."
    )


def describe_effects(effects: pd.DataFrame) -> str:
    """Say for how many segments the effect of a contact is known to be positive."""
    sure, harm = int((effects["effect_low"] > 0).sum()), int((effects["effect_high"] < 0).sum())
    text = f"Of {count(len(effects), 'group')} of plan and tenure, contacting keeps customers in {sure} beyond doubt"
    return f"{text}, and drives them away in {harm}." if harm else f"{text}."


def describe_incidence(incidence: pd.DataFrame) -> str:
    """Say what share of joiners has left for each reason after a year, or as long as was seen."""
    months = min(12, int(incidence["months"].max()))
    found = incidence[incidence["months"] == months].set_index("cause")["share"]
    parts = [f"{percent(found[cause], 1)} ({cause})" for cause in found.sort_values(ascending=False).index]
    return f"Within {count(months, 'month')} of joining, {listing(parts)} of the joiners have left."


def describe_scores(scores: pd.DataFrame) -> str:
    """Say how well the held-out months were told apart, and how far the risks stated were right."""
    horizon = scores["horizon"].max()
    at = scores[scores["model"] == "model"].set_index(["measure", "horizon"])
    auc, gap = at.loc[("auc", horizon)], at.loc[("gap", horizon)]
    skill = scores[(scores["model"] == "model") & (scores["measure"] == "skill")].iloc[0]
    sign = "better" if skill["value"] > 0 else "worse"
    months = count(int(horizon), "month")
    return (
        f"Of two subscribers, one who left within {months} and one who stayed, the former was given the higher risk in "
        f"{percent(auc['value'])} of the cases ({percent(auc['low'])} to {percent(auc['high'])}); one half is chance. "
        f"The risks stated were {_points(gap)} the share that left. The integrated Brier score is "
        f"{percent(abs(skill['value']), 1)} {sign} than that of Kaplan–Meier."
    )


def describe_projections(projections: pd.DataFrame) -> str:
    """Say which projection of the held-out months came closest."""
    error = projections.groupby("model", sort=False)["error"].apply(lambda values: values.abs().mean())
    rank = int((error < error["model"]).sum()) + 1
    best = MODELS.get(error.idxmin(), error.idxmin())
    place = "the closest" if rank == 1 else f"number {rank}"
    missed = f"{100 * error['model']:.1f} points"
    text = f"The model missed the share still there by {missed} on average, {place} of {len(error)}"
    return f"{text}." if rank == 1 else f"{text}; the closest was {best} ({100 * error.min():.1f})."


def describe_profits(profits: pd.DataFrame, currency: str) -> str:
    """Say what a campaign at the beginning of the held-out months would have earned by the model's ranking."""
    row = 1000 * profits.set_index("model").loc["model", ["profit", "profit_low", "profit_high"]].astype(float)
    mean, low, high = (amount(number, currency) for number in row)
    best = amount(1000 * profits[profits["model"] != "model"]["profit"].max(), currency)
    return (
        "At the costs stated, a campaign at the beginning of the held-out months, of the best size for each "
        f"acceptance, would have earned {mean} per 1,000 subscribers by the model's ranking ({low} to {high}), and "
        f"{best} by the best of the plain ones."
    )


def list_unknowns(churn: dict) -> list[str]:
    """List what the page leaves out or assumes, one sentence each."""
    unknowns = [
        "Whoever is kept is taken to go on like others of the same plan and tenure; people saved once may be readier "
        "to leave again.",
        "An offer is taken to be accepted by all who would have stayed anyway: its whole cost counts against the list.",
        "Loss is the margin within the horizon only; what leavers would have brought later, or the cost of winning "
        "others in their place, is not in it.",
    ]
    if churn["saving"] is not None and not churn["experiment"]:
        unknowns.insert(0, "The share that accepts is taken from the portfolio file; the data cannot confirm it.")
    return unknowns


def _terms(saving: dict, currency: str, measured: bool) -> str:
    costs = (
        f"at {amount(saving['contact_cost'], currency)} a contact and {amount(saving['offer_cost'], currency)} an offer"
    )
    low, high = saving["acceptance"]
    if measured:
        return costs
    accept = percent(low) if low == high else f"{percent(low)} to {percent(high)}"
    return f"{costs}, accepted by {accept} of would-be leavers"


def _segment(row: pd.Series) -> str:
    year = int(row["tenure_years"]) + 1
    return f"plan {row['plan']} in year {year}"


def _points(gap: pd.Series) -> str:
    side = "above" if gap["value"] > 0 else "below"
    low, high = sorted(100 * gap[["low", "high"]].to_numpy(float))
    return f"{100 * abs(gap['value']):.1f} points {side} ({_signed(low)} to {_signed(high)})"


def _signed(number: float) -> str:
    return f"{number:+.1f}".replace("-", "−")


def _window(churn: dict) -> str:
    months = churn["window"]
    return "three months" if months == 3 else count(months, "month") if months > 1 else "month"


def _range(found: dict) -> str:
    mean, low, high = (f"{number:,.0f}" for number in _ends(found))
    return mean if low == high else f"{low} to {high} (most likely {mean})"


def _ends(found: dict) -> tuple[float, float, float]:
    return found["mean"], found["low"], found["high"]
