"""The tables of a contractual unit's pages as a reader sees them: columns named in words, with their units."""

import numpy as np
import pandas as pd

from cvmlib.churn.months import month_index, month_start


def flow_table(flow: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Months, newest first: joined, left, active, share that left, revenue."""
    words = {
        "month": "Month",
        "joined": "Joined",
        "left": "Left",
        "active": "Active at the end",
        "churn_rate": "Share that left",
        "revenue": f"Revenue per month ({currency})",
        "price": f"per subscription ({currency})",
    }
    shown = flow.iloc[::-1].rename(columns=words)[list(words.values())]
    return shown.assign(Month=flow["month"].iloc[::-1].dt.strftime("%Y-%m")).reset_index(drop=True)


def survival_table(curves: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Retention by plan and months since joining, with its interval."""
    words = {
        "plan": "Plan",
        "months": "Months since joining",
        "retention": "Share still there",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "at_risk": "At risk",
        "churned": "Left",
    }
    return curves.rename(columns=words)[list(words.values())]


def survival_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Retention in the columns that `cvmlib.plots.survival` draws."""
    return curves.rename(columns={"months": "time", "retention": "share"})


def cohorts_table(table: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of the cohort triangle in words."""
    shown = table.rename(columns={age: f"Share after {age} q" for age in table.columns})
    return shown.rename_axis("Joined in").reset_index()


def plans_table(plans: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Plans, largest revenue first."""
    words = {
        "plan": "Plan",
        "active": "Active",
        "share": "Share of active",
        "revenue": f"{currency} per month",
        "revenue_share": "Share of revenue",
        "price": f"{currency} each",
        "joined": "Joined in a year",
        "left": "Left in a year",
        "churn_rate": "Share lost per month",
    }
    return plans.rename(columns=words)[list(words.values())]


def tenure_table(tenure: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Active subscriptions by how long they have been there."""
    words = {
        "tenure": "There for",
        "active": "Active",
        "share": "Share of the active",
        "revenue": f"Revenue per month ({currency})",
    }
    return tenure.rename(columns=words)[list(words.values())]


def reasons_table(leaving: pd.DataFrame, end_month: int) -> pd.DataFrame:
    """Leavers by recorded reason, in the last twelve months and the twelve before."""
    ago = (end_month - leaving["month"]) // 12
    table = pd.DataFrame({"Reason": sorted(leaving["end_reason"].unique())})
    for years, name in ((0, "Last 12 months"), (1, "12 months before")):
        found = leaving[ago == years].groupby("end_reason")["subscriptions"].sum()
        table[name] = table["Reason"].map(found).fillna(0).astype(int)
        table[f"Share of {name[0].lower()}{name[1:]}"] = table[name] / max(table[name].sum(), 1)
    return table


def forecast_table(forecast: pd.DataFrame, currency: str, interval: float = 0.9) -> pd.DataFrame:
    """Forecast month by month."""
    words = {
        "month": "Month",
        "active": "Still active",
        "active_low": f"{interval:.0%} interval from",
        "active_high": "to",
        "revenue": f"Revenue ({currency})",
        "revenue_low": f"{interval:.0%} interval from ({currency})",
        "revenue_high": f"to ({currency})",
    }
    return forecast.rename(columns=words)[list(words.values())]


def forecast_course(forecast: pd.DataFrame, measure: str = "active") -> pd.DataFrame:
    """Arrange a forecast in the columns that `cvmlib.plots.tracking` draws, dated at the end of each month."""
    frame = pd.DataFrame({"date": _month_ends(forecast["month"]), "actual": np.nan, "expected": forecast[measure]})
    return frame.assign(low=forecast[f"{measure}_low"], high=forecast[f"{measure}_high"])


def holdout_course(course: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One measure of the holdout in the columns that `cvmlib.plots.tracking` draws."""
    part = course[course["measure"] == measure] if len(course) else course
    if part.empty:
        return pd.DataFrame({"date": [], "actual": [], "expected": [], "low": [], "high": []})
    return part.assign(date=_month_ends(part["month"]))[["date", "actual", "expected", "low", "high"]]


def holdout_table(course: pd.DataFrame, measure: str, interval: float = 0.9) -> pd.DataFrame:
    """One measure of the holdout month by month, with the plain Kaplan-Meier projection where there is one."""
    words = {
        "month": "Month",
        "actual": "Actual",
        "expected": "Forecast",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "inside": "Inside",
        "km": "Kaplan–Meier",
    }
    part = course[course["measure"] == measure].rename(columns=words)[list(words.values())]
    return part.assign(Inside=part["Inside"].map({True: "yes", False: "no"})).dropna(axis=1, how="all")


def groups_table(groups: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Survivors of the holdout by plan and year of tenure."""
    words = {
        "plan": "Plan",
        "tenure": "Months there",
        "subscriptions": "Active before",
        "actual": "Still there",
        "expected": "Forecast",
        "low": f"{interval:.0%} interval from",
        "high": "to",
        "inside": "Inside",
    }
    tenure = groups["tenure_from"].astype(str) + " to " + groups["tenure_to"].astype(str)
    shown = groups.assign(tenure=tenure, inside=groups["inside"].map({True: "yes", False: "no"}))
    return shown.rename(columns=words)[list(words.values())]


def hazard_table(hazard: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Risk of leaving by plan and month of tenure."""
    words = {
        "plan": "Plan",
        "tenure": "Month of tenure",
        "at_risk": "At risk",
        "raw": "Share that left",
        "hazard": "Share expected",
        "hazard_low": f"{interval:.0%} interval from",
        "hazard_high": "to",
    }
    return hazard.rename(columns=words)[list(words.values())]


def plan_value_table(plans: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Tabulate the expected value by plan and year of tenure."""
    words = {
        "plan": "Plan",
        "tenure_years": "Years there",
        "subscriptions": "Subscriptions",
        "revenue_now": f"Revenue per month now ({currency})",
        "p_active": "Share still there at the horizon",
        "value": f"Value ({currency})",
        "value_each": f"Value each ({currency})",
    }
    return plans.rename(columns=words)[list(words.values())]


def best_customers_table(customers: pd.DataFrame, currency: str, interval: float = 0.9, rows: int = 20) -> pd.DataFrame:
    """List the customers of highest expected value, with the interval of what each may really bring."""
    words = {
        "customer_id": "Customer",
        "plan": "Plan",
        "tenure": "Months there",
        "price": f"Price per month ({currency})",
        "p_active": "Share of chance to stay",
        "value": f"Value ({currency})",
        "value_low": f"{interval:.0%} interval from ({currency})",
        "value_high": f"to ({currency})",
    }
    best = customers.sort_values(["value", "customer_id"], ascending=[False, True]).head(rows)
    return best.rename(columns=words)[list(words.values())].reset_index(drop=True)


def _month_ends(labels: pd.Series) -> pd.Series:
    """Last days of months written as ``YYYY-MM``."""
    days = [month_start(month_index(pd.Timestamp(f"{label}-01").date()) + 1) for label in labels]
    return pd.Series(pd.to_datetime(days) - pd.Timedelta(days=1), index=labels.index)
