"""The sentences of the models notebook on retention."""

import numpy as np
import pandas as pd

from cvmlib.reporting.words import count, percent


def describe_agreement(compared: pd.DataFrame) -> str:
    """Say how far the model's retention is from Kaplan-Meier, against the width of the latter's interval.

    Parameters
    ----------
    compared : DataFrame
        From `cvmlib.churn.fit.compare_retention`.
    """
    if compared.empty:
        return "Nobody has left yet, so there is nothing to compare."
    inside = compared["retention"].between(compared["km_low"], compared["km_high"])
    gap = float(np.abs(compared["retention"] - compared["km"]).max())
    return (
        f"The model's retention lies inside the Kaplan–Meier interval in {percent(inside.mean(), 1)} of "
        f"{count(len(compared), 'month')} of plan and tenure; the largest gap is {100 * gap:.1f} percentage points."
    )


def describe_holdouts(total: pd.DataFrame, groups: pd.DataFrame) -> str:
    """Say in how many units, and in how many groups of plan and tenure, what happened lies in its interval."""
    if not len(total):
        return "No unit has a history long enough to hold months out."
    return (
        f"Revenue lies inside its forecast interval in {int(total['inside'].sum())} of {count(len(total), 'unit')}; "
        f"survivors in {int(groups['inside'].sum())} of {count(len(groups), 'group')} of plan and year of tenure."
    )


#: Names for people of the columns of the models notebook.
_COLUMNS = {
    "active": "Active",
    "actual": "Actual",
    "at_risk": "At risk",
    "bias": "Bias",
    "billed": "Share billed",
    "churned": "Left",
    "expected": "Expected",
    "extrapolated": "Share extrapolated",
    "hazard": "Risk of leaving",
    "hazard_high": "Risk, to",
    "hazard_low": "Risk, from",
    "headline": "Verdict",
    "high": "to",
    "inside": "Inside the interval",
    "interval": "Interval",
    "km": "Kaplan–Meier",
    "km_high": "Kaplan–Meier, to",
    "km_low": "Kaplan–Meier, from",
    "leavers": "Leavers",
    "level": "Level",
    "low": "from",
    "mean": "Mean",
    "measure": "Measure",
    "month": "Month",
    "months": "Months since joining",
    "plan": "Plan",
    "raw": "Risk as counted",
    "records_from": "Complete records from",
    "retention": "Retention",
    "retention_high": "Retention, to",
    "retention_low": "Retention, from",
    "shock_persistence": "Persistence of the shocks",
    "shock_sd": "Common shocks, sd",
    "subscriptions": "Subscriptions",
    "tenure": "Tenure (months)",
    "tenure_from": "Tenure from",
    "tenure_to": "to month",
    "unit": "Unit",
    "value": "Value",
    "value_high": "Value, to",
    "value_low": "Value, from",
}


def name_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of a table of `cvmlib.churn.fit` their names for people."""
    return frame.rename(columns=_COLUMNS)


def name_formats(formats: dict[str, str]) -> dict[str, str]:
    """Give the keys of column formats the names of `name_columns`."""
    return {_COLUMNS.get(name, name): style for name, style in formats.items()}
