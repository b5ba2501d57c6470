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
