r"""Plain projections of retention, which a forecast must beat: naive, Kaplan-Meier, sBG and BdW.

Each projects the subscriptions active at a date from what was known then, without plans or covariates:

- **naive**: everybody leaves at the rate of the last twelve months;
- **Kaplan-Meier**: the risk of each month of tenure as counted, beyond the longest the mean of those counted late;
- **sBG, BdW**: a curve fitted to the Kaplan-Meier retention of all joiners (`cvmlib.churn.bdw`), from which a
  subscriber of tenure *k* goes on with :math:`S(k + m) / S(k)`.
"""

import numpy as np
import pandas as pd

from cvmlib.churn.bdw import fit_curve, survive
from cvmlib.churn.counts import build_cohort_cube, build_life_table
from cvmlib.churn.money import survive as survive_hazard

NAIVE, KAPLAN_MEIER, SBG, BDW = "naive", "Kaplan–Meier", "sBG", "BdW"
RECENT, LATE = 12, 6


def project(
    known: pd.DataFrame, tenure: np.ndarray, months: int, observed_from: int | None = None
) -> dict[str, np.ndarray]:
    """Project subscriptions by their tenure from what was known.

    Parameters
    ----------
    known : pandas.DataFrame
        From `cvmlib.churn.counts.censor_counts`: nothing after the date of the projection.
    tenure : int array, shape (cells,)
        Months lived at that date.
    months : int
        Months to project.
    observed_from : int, optional
        First grid month whose leavers are recorded.

    Returns
    -------
    dict of str to array, shape (cells, months + 1)
        Probability to be there after 0, 1, … months, by the name of the projection. Without a curve that can be fitted
        (fewer than three months of tenure, gaps in them, or nobody left) sBG and BdW are absent.
    """
    hazard = _life_table_hazard(known, int(tenure.max(initial=0)) + months + 2, observed_from)
    ahead = tenure[:, None] + 1 + np.arange(months)
    found = {
        NAIVE: survive_hazard(np.full(ahead.shape, _recent_hazard(known, observed_from))),
        KAPLAN_MEIER: survive_hazard(hazard[ahead]),
    }
    table = build_life_table(known, None, observed_from)
    retention = np.concatenate([[1.0], table["retention"]])
    joiners = float(known["subscriptions"].sum())
    if len(table) < 3 or int(table["tenure"].iloc[-1]) >= len(table) or retention[-1] >= 1:
        return found
    lived = tenure[:, None] + 1 + np.arange(months + 1)  # tenure k: k + 1 months of the life table are over
    for name, shape in ((SBG, 1.0), (BDW, None)):
        curve = fit_curve(retention * joiners, shape)
        found[name] = survive(lived, curve) / survive(lived[:, :1], curve)
    return found


def _life_table_hazard(known: pd.DataFrame, months: int, observed_from: int | None) -> np.ndarray:
    """Counted risk by tenure; where nobody was at risk, the mean of the late months."""
    table = build_life_table(known, None, observed_from)
    late = table[table["tenure"] >= min(LATE, int(table["tenure"].max()))]
    hazard = np.full(max(months, int(table["tenure"].max()) + 1), late["churned"].sum() / max(late["at_risk"].sum(), 1))
    hazard[table["tenure"]] = table["hazard"]
    return hazard


def _recent_hazard(known: pd.DataFrame, observed_from: int | None) -> float:
    """Share of those there who left per month, over the last twelve months."""
    _, _, at_risk, churned = build_cohort_cube(known, observed_from)
    month = np.add.outer(np.arange(at_risk.shape[1]), np.arange(at_risk.shape[2]))
    last = int((known["joined"] + known["tenure"]).max() - known["joined"].min())
    recent = (month > last - RECENT) & (month <= last)
    return float((churned * recent).sum() / max((at_risk * recent).sum(), 1.0))


def compare_projections(
    projections: dict[str, np.ndarray], subscriptions: np.ndarray, actual: np.ndarray, months: list[str]
) -> pd.DataFrame:
    """Compare projections of those still there with what happened, month by month.

    Parameters
    ----------
    projections : dict of str to array, shape (cells, months + 1)
        By name.
    subscriptions : array, shape (cells,)
        Subscriptions of each cell at the date of the projection.
    actual : array, shape (months,)
        Subscriptions still there at the end of each month.
    months : list of str
        Names of the months.

    Returns
    -------
    pandas.DataFrame
        model, month, expected, actual, error (expected / subscriptions at the date - actual / the same).
    """
    rows = []
    for name, survival in projections.items():
        expected = subscriptions @ survival[:, 1:]
        error = (expected - actual) / max(subscriptions.sum(), 1)
        rows.append(
            pd.DataFrame({"model": name, "month": months, "expected": expected, "actual": actual, "error": error})
        )
    return pd.concat(rows, ignore_index=True)
