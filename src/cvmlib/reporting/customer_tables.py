"""The tables of the page Customers as a reader sees them: columns named in words, with their units."""

from collections.abc import Mapping

import pandas as pd

from cvmlib.clv.cohorts import Cohorts
from cvmlib.clv.rfm import Rfm
from cvmlib.reporting.words import count
from cvmlib.tables.problems import CheckReport

NO_TREATMENT = "Nothing in the supplied tables had to be treated."


def months_table(months: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Months, newest first, with what came, went and was spent."""
    words = {
        "month": "Month",
        "new": "New",
        "returning": "Bought before",
        "reactivated": "Came back",
        "lapsed": "Lapsed",
        "base": "Active base",
        "purchases": "Purchases",
        "revenue_new": f"Revenue of first purchases ({currency})",
        "revenue_repeat": f"Revenue of repeat purchases ({currency})",
    }
    shown = months.iloc[::-1].rename(columns=words)[list(words.values())]
    shown["Observed"] = months.iloc[::-1]["complete"].map({True: "whole", False: "in part"})
    shown["Month"] = months.iloc[::-1]["month"].dt.strftime("%Y-%m")
    return shown.reset_index(drop=True)


def years_table(years: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Twelve-month periods, newest first: revenue, its three factors and what each added."""
    words = {
        "customers": "Active customers",
        "frequency": "Purchases per customer",
        "value": f"Value per purchase ({currency})",
        "revenue": f"Revenue ({currency})",
        "from_customers": f"Change from customers ({currency})",
        "from_frequency": f"from purchases per customer ({currency})",
        "from_value": f"from value per purchase ({currency})",
    }
    shown = years.iloc[::-1].rename(columns=words)[list(words.values())].reset_index(drop=True)
    shown.insert(0, "12 months to", years["end"].iloc[::-1].reset_index(drop=True))
    return shown


def cohorts_table(cohorts: Cohorts, currency: str) -> pd.DataFrame:
    """Every cell of the cohort triangle as a row."""
    words = {
        "cohort": "First bought in",
        "age": f"{cohorts.unit.capitalize()}s since",
        "customers": "Customers of the cohort",
        "active": "Share that bought",
        "revenue": f"Revenue per customer so far ({currency})",
    }
    return cohorts.table.rename(columns=words)


def repeats_table(milestones: pd.DataFrame, interval: float = 0.9) -> pd.DataFrame:
    """Repeat curve at its milestones: a row per cohort and number of days."""
    words = {
        "cohort": "First bought in",
        "days": "Within days",
        "share": "Bought again",
        "low": f"{interval:.0%} interval from",
        "high": "to",
    }
    return milestones.rename(columns=words)


def lorenz_table(curve: pd.DataFrame) -> pd.DataFrame:
    """Lorenz curve at every tenth of the customers, and at one, five and twenty-five per cent."""
    import numpy as np

    at = np.array([0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    share = np.interp(at, curve["customers"], curve["share"]) if len(curve) else np.full(len(at), np.nan)
    return pd.DataFrame({"Best share of customers": at, "Share of revenue": share})


def channels_table(channels: pd.DataFrame, days: int | None, currency: str, interval: float = 0.9) -> pd.DataFrame:
    """Acquisition channels side by side."""
    words = {
        "channel": "Channel",
        "customers": "Customers",
        "customer_share": "Share of customers",
        "value_share": "Share of revenue",
        "top_share": "Revenue from its best 20%",
        "top_low": f"{interval:.0%} interval from",
        "top_high": "to",
        "followed": f"Followed {days} days",
        "repeat_share": f"Bought again within {days} days",
        "mean": f"Revenue within {days} days ({currency} per customer)",
    }
    return channels.rename(columns=words)[list(words.values())]


def classes_table(rfm: Rfm, currency: str) -> pd.DataFrame:
    """Cuts of the RFM classes with the customers and the revenue in each."""
    names = {
        "recency": "Recency (days)",
        "frequency": "Frequency (purchases)",
        "monetary": f"Monetary ({currency})",
    }
    digits = rfm.classes["measure"].map({"recency": 0, "frequency": 0, "monetary": 2})
    bounds = {
        side: [f"{value:,.{n}f}" for value, n in zip(rfm.classes[side], digits, strict=True)]
        for side in ("low", "high")
    }
    return pd.DataFrame(
        {
            "Measure": rfm.classes["measure"].map(names),
            "Class": rfm.classes["score"],
            "From": bounds["low"],
            "To": bounds["high"],
            "Customers": rfm.classes["customers"],
            "Share of customers": rfm.classes["customer_share"],
            "Share of revenue": rfm.classes["value_share"],
        }
    )


def grid_table(shares: pd.DataFrame) -> pd.DataFrame:
    """Recency by frequency as a table whose first column names the rows."""
    return shares.rename_axis("Days since the last purchase").rename(columns=lambda name: f"{name} purchases")


def percents(frame: pd.DataFrame) -> dict[str, str]:
    """Return the formats of the columns that hold shares: those named so, and the ends of their intervals."""
    telling = ("Share", "Bought again", "Revenue from its best", "interval from", "to", "purchases")
    return {
        name: "percent:1"
        for name in map(str, frame.columns)
        if name.startswith(telling) or name.endswith(telling)
        if pd.api.types.is_float_dtype(frame[name])
    }


def treatments_table(checks: CheckReport, currency: str) -> pd.DataFrame:
    """Everything that was found in the unit's tables and how it was treated, with rows and money."""
    rows = [
        {
            "Where": f"{problem.column} of {problem.table}" if problem.column else problem.table,
            "What was found": _sentence(problem.message),
            "What was done": _sentence(problem.treatment),
            "Rows": problem.rows or None,
            f"Money ({currency})": problem.money,
        }
        for problem in checks.problems
    ]
    columns = ["Where", "What was found", "What was done", "Rows", f"Money ({currency})"]
    return pd.DataFrame(rows, columns=columns).astype({"Rows": float, f"Money ({currency})": float})


def treatment_formats(currency: str) -> dict[str, str]:
    """Return the formats of `treatments_table`: whole rows, whole money."""
    return {"Rows": "integer", f"Money ({currency})": "money"}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def describe_treatments(checks: CheckReport, returned_share: float) -> str:
    """Say how much was supplied, used and set aside, and what part of the money came back."""
    facts: Mapping[str, object] = checks.facts.get("transactions", {})
    supplied = int(checks.rows.get("transactions", 0))
    text = f"{count(supplied, 'row')} of transactions were supplied"
    used = facts.get("rows_used")
    if isinstance(used, int):
        text += f" and {used:,} are used ({count(supplied - used, 'row')} set aside)"
    text += f". {count(len(checks.problems), 'kind')} of irregularity" if checks.problems else f". {NO_TREATMENT}"
    if checks.problems:
        text += (
            f" {'was' if len(checks.problems) == 1 else 'were'} found, each listed below with what was done about it."
        )
    if returned_share:
        text += f" Goods worth {returned_share:.1%} of the money spent were returned on later days."
    return text[0].upper() + text[1:]
