"""The tables of a contractual unit's churn page as a reader sees them: columns named in words, with their units."""

import pandas as pd

from cvmlib.reporting.leaving_words import MODELS, RANKINGS
from cvmlib.reporting.words import amount

MEASURES = {
    "auc": "Ranking (dynamic AUC)",
    "brier": "Brier score",
    "integrated_brier": "Integrated Brier score",
    "skill": "Better than Kaplan–Meier by",
    "gap": "Risk stated less share that left",
    "calibration_error": "Calibration error",
}


def course_table(course: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Subscriptions still there, month by month."""
    words = {
        "month": "Month",
        "active": "Still active",
        "active_low": f"{interval:.0%} interval from",
        "active_high": "to",
    }
    return course.rename(columns=words)[list(words.values())]


def risk_table(risk: pd.DataFrame, currency: str, window: int, interval: float = 0.9) -> pd.DataFrame:
    """Leavers and losses by plan and year of tenure, all subscriptions first."""
    words = {
        "plan": "Plan",
        "tenure_years": "Years there",
        "subscriptions": "Subscriptions",
        "leavers": f"Will leave in {window} months",
        "leavers_low": f"{interval:.0%} interval from",
        "leavers_high": "to",
        "lost": f"Margin lost ({currency})",
        "lost_low": f"{interval:.0%} interval from ({currency})",
        "lost_high": f"to ({currency})",
        "value": f"Value ({currency})",
        "share": "Share of value lost",
    }
    return risk.assign(plan=risk["plan"].fillna("all")).rename(columns=words)[list(words.values())]


def levers_table(levers: pd.DataFrame, currency: str, interval: float = 0.9) -> pd.DataFrame:
    """Tabulate what more or less churn does to the value; numbers of different kinds, so in words."""
    names = {
        "value": f"Value as it is ({currency})",
        "point": f"One more in a hundred leave every month ({currency})",
        "tenth": f"One leaver in ten fewer ({currency})",
        "elasticity": "One per cent more stay every month (per cent of value)",
    }
    words = {"lever": "Change", "mean": "Expected", "low": f"{interval:.0%} interval from", "high": "to"}
    shown = levers.assign(lever=levers["lever"].map(names))
    for column in ("mean", "low", "high"):
        shown[column] = [amount(number, "") for number in shown[column]]
    return shown.rename(columns=words)


def lifetimes_table(lifetimes: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Residual lifetime by plan and year of tenure, in months."""
    words = {
        "plan": "Plan",
        "tenure_years": "Years there",
        "subscriptions": "Subscriptions",
        "lifetime": "Months to come",
        "lifetime_low": f"{interval:.0%} of them from",
        "lifetime_median": "half at least",
        "lifetime_high": "to",
    }
    return lifetimes.rename(columns=words)[list(words.values())]


def list_table(listed: pd.DataFrame, currency: str) -> pd.DataFrame:
    """List whom to contact, best first; of personal data the customer's id only."""
    words = {
        "customer_id": "Customer",
        "plan": "Plan",
        "tenure": "Months there",
        "price": f"Price per month ({currency})",
        "p_leave": "Share of risk to leave",
        "at_risk": f"Margin at risk ({currency})",
        "profit": f"Expected profit ({currency})",
    }
    return listed.rename(columns=words)[list(words.values())]


def groups_table(listed: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Summarise the list by plan and year of tenure, most profit first."""
    keys = [listed["plan"].rename("Plan"), (listed["tenure"] // 12).rename("Years there")]
    columns = {
        "Customers": ("customer_id", "size"),
        "Share of risk to leave": ("p_leave", "mean"),
        f"Margin at risk ({currency})": ("at_risk", "sum"),
        f"Expected profit ({currency})": ("profit", "sum"),
    }
    table = listed.groupby(keys).agg(**columns).reset_index()
    return table.sort_values(table.columns[-1], ascending=False, ignore_index=True)


def rankings_table(rankings: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Tabulate the expected profit of lists of the same size, ranked in other ways."""
    named = rankings.assign(ranking=rankings["ranking"].map(RANKINGS))
    return named.rename(columns={"ranking": "Ranked by", "profit": f"Expected profit ({currency})"})


def effects_table(effects: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Effects of a contact by plan and year of tenure, as measured."""
    words = {
        "plan": "Plan",
        "tenure_years": "Years there",
        "treated": "Contacted",
        "left_treated": "of them left",
        "control": "Left alone",
        "left_control": "of those left",
        "effect": "Share kept by the contact",
        "effect_low": f"{interval:.0%} interval of the share from",
        "effect_high": "share to",
    }
    return effects.rename(columns=words)[list(words.values())]


def incidence_table(incidence: pd.DataFrame) -> pd.DataFrame:
    """Share of joiners who have left by reason and months since joining."""
    wide = incidence.pivot(index="months", columns="cause", values="share")
    wide.columns = [f"Share left, {cause}" for cause in wide.columns]
    return wide.rename_axis("Months since joining").reset_index()


def incidence_curves(incidence: pd.DataFrame) -> pd.DataFrame:
    """Incidence in the columns that `cvmlib.plots.survival` draws."""
    return incidence.rename(columns={"months": "time"}).assign(low=incidence["share"], high=incidence["share"])


def scores_table(scores: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Scores of the held-out months by measure and horizon: the model's with its interval, then the plain ones'."""
    keys = ["measure", "horizon"]
    mine = scores[scores["model"] == "model"].set_index(keys)[["value", "low", "high"]]
    others = list(dict.fromkeys(scores.loc[scores["model"] != "model", "model"]))
    for name in others:
        mine[name] = scores[scores["model"] == name].set_index(keys)["value"]
    shown = mine.reset_index()
    order = {name: place for place, name in enumerate(MEASURES)}
    shown = shown.assign(place=shown["measure"].map(order)).sort_values(["place", "horizon"], kind="stable")
    words = {
        "measure": "Measure",
        "horizon": "Months ahead",
        "value": MODELS["model"],
        "low": f"{interval:.0%} interval from",
        "high": "to",
    } | {name: MODELS.get(name, name) for name in others}
    shown["horizon"] = ["all" if months != months else f"{months:.0f}" for months in shown["horizon"]]
    shown = shown.assign(measure=shown["measure"].map(MEASURES))
    return shown.rename(columns=words)[list(words.values())].reset_index(drop=True)


def risks_table(risks: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Risks stated and shares that left, by horizon and tenth of risk."""
    words = {
        "horizon": "Months ahead",
        "group": "Tenth of risk",
        "customers": "Subscriptions",
        "forecast": "Share expected to leave",
        "observed": "Share that left",
        "observed_low": f"{interval:.0%} interval of the share from",
        "observed_high": "share to",
    }
    named = risks["group"].map(lambda group: "all" if group == 0 else str(group))
    shown = risks.assign(group=named, horizon=risks["horizon"].astype(int), customers=risks["customers"].astype(int))
    return shown.rename(columns=words)[list(words.values())]


def projections_table(projections: pd.DataFrame) -> pd.DataFrame:
    """Actual and projected subscriptions, month by month, a column per projection."""
    actual = projections.drop_duplicates("month").set_index("month")["actual"].rename("Actual")
    wide = projections.pivot(index="month", columns="model", values="expected")
    wide = wide[list(dict.fromkeys(projections["model"]))].rename(columns=MODELS)
    return pd.concat([actual, wide], axis=1).rename_axis("Month").reset_index()


def profits_table(profits: pd.DataFrame, currency: str, interval: float = 0.9) -> pd.DataFrame:
    """Expected maximum profit per 1,000 subscribers, by ranking."""
    shown = profits.assign(model=name_models(profits["model"]))
    shown[["profit", "profit_low", "profit_high"]] *= 1000
    words = {
        "model": "Ranked by the risk of",
        "profit": f"Profit per 1,000 ({currency})",
        "profit_low": f"{interval:.0%} interval from ({currency})",
        "profit_high": f"to ({currency})",
        "share": "Share contacted",
    }
    return shown.rename(columns=words)[list(words.values())]


def name_models(models: pd.Series) -> pd.Series:
    """Names of forecasts for people."""
    return models.map(lambda name: MODELS.get(name, name))


def shares(table: pd.DataFrame) -> dict[str, str]:
    """Return the formats of the columns that hold shares, which are named so."""
    return {name: "percent:1" for name in map(str, table.columns) if "hare" in name and table[name].dtype.kind == "f"}
