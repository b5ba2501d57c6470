r"""Competing reasons of leaving: those who choose to leave, and those whose payment fails.

The hazard of a cause is the hazard of leaving times the share of that cause among those who leave at that tenure,
:math:`\lambda_{ck} = \lambda_k \pi_{ck}`: the likelihood of a discrete-time life table with competing causes is the
product of one for leaving and one for the cause given leaving, so each is estimated on its own, exactly. Shares are
estimated by bands of tenure, drawn together towards the share of all tenures by a Dirichlet prior whose strength is
learned from how much the bands differ.

References
----------
Prentice, R. L. and Kalbfleisch, J. D. (1978). The analysis of failure times in the presence of competing risks.
Biometrics 34, 541-554.
Minka, T. P. (2000). Estimating a Dirichlet distribution.
"""

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.special import expit, gammaln

from cvmlib.churn.money import survive

VOLUNTARY, INVOLUNTARY, UNKNOWN = "voluntary", "involuntary", "not stated"
BANDS = (0, 1, 3, 6, 12, 13, 24, 25, 36, 48, 60)
"""First months of the bands of tenure; the month of joining and anniversaries stand alone."""
STRENGTHS = np.linspace(0.02, 0.7, 35) ** -2.0 - 1
MEANS = expit(np.linspace(-6.0, 6.0, 241))


def count_causes(spells: ir.Table) -> pd.DataFrame:
    """Count leavers by tenure and recorded reason, in the engine that holds the spells.

    Parameters
    ----------
    spells : ibis Table
        From `cvmlib.churn.counts.build_spells`.

    Returns
    -------
    pandas.DataFrame
        tenure (months), cause ("voluntary", "involuntary", "not stated"), leavers.
    """
    left = spells.filter(spells.churned)
    known = left.end_reason.isin([VOLUNTARY, INVOLUNTARY]).fill_null(False)
    left = left.select(tenure=left.tenure, cause=ibis.ifelse(known, left.end_reason, UNKNOWN))
    table = left.group_by("tenure", "cause").aggregate(leavers=left.count()).execute()
    return table.astype({"cause": "str"}).sort_values(["tenure", "cause"], ignore_index=True)


def causes_told_apart(causes: pd.DataFrame) -> bool:
    """Whether the records tell those who chose to leave from those whose payment failed."""
    found = causes.groupby("cause")["leavers"].sum()
    return bool(found.get(VOLUNTARY, 0) > 0 and found.get(INVOLUNTARY, 0) > 0)


def draw_voluntary_share(causes: pd.DataFrame, months: int, draws: int, seed: int = 1) -> np.ndarray:
    """Posterior of the share of voluntary leavers by month of tenure; leavers without a reason tell nothing.

    Parameters
    ----------
    causes : pandas.DataFrame
        From `count_causes`.
    months : int
        Months of tenure wanted (0 … months - 1).
    draws, seed : int
        Draws and seed.

    Returns
    -------
    array, shape (draws, months)
        One everywhere where the records do not tell the causes apart.
    """
    if not causes_told_apart(causes):
        return np.ones((draws, months))
    band = np.searchsorted(BANDS, np.arange(months), side="right") - 1
    of_row = np.searchsorted(BANDS, causes["tenure"].to_numpy(), side="right") - 1
    yes, no = (
        np.bincount(of_row, weights=causes["leavers"] * (causes["cause"] == cause), minlength=len(BANDS))
        for cause in (VOLUNTARY, INVOLUNTARY)
    )
    rng = np.random.default_rng(seed)
    mean, strength = (part[:, None] for part in _draw_prior(yes, no, draws, rng))
    share = rng.beta(yes + strength * mean, no + strength * (1 - mean))
    return share[:, band]


def _draw_prior(yes: np.ndarray, no: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw mean and strength of what the bands share, by the beta-binomial likelihood on a grid.

    Flat in the spread of the bands, relative to the largest there can be, and in the log-odds of the mean.
    """
    mean, strength = (part.ravel() for part in np.meshgrid(MEANS, STRENGTHS))
    a, b = (strength * mean)[:, None], (strength * (1 - mean))[:, None]
    terms = gammaln(yes + a) + gammaln(no + b) - gammaln(yes + no + a + b)
    log = (terms - gammaln(a) - gammaln(b) + gammaln(a + b)).sum(axis=1)
    weights = np.exp(log - log.max())
    place = rng.choice(len(log), size=draws, p=weights / weights.sum())
    return mean[place], strength[place]


def cumulate_incidence(hazard: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Probability to have left for each cause by the end of each month (Aalen-Johansen).

    Parameters
    ----------
    hazard : array, shape (..., months)
        Probability to leave in each month for any cause.
    shares : array, shape (causes, ..., months)
        Share of each cause among those who leave in the month.

    Returns
    -------
    array, shape (causes, ..., months)
        Cumulative incidence; over the causes it adds up to one less survival.
    """
    return np.cumsum(survive(hazard)[..., :-1] * hazard * shares, axis=-1)


def tabulate_incidence(causes: pd.DataFrame, life_table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the share of joiners who have left for each recorded cause by months since joining, as counted.

    Parameters
    ----------
    causes : pandas.DataFrame
        From `count_causes`.
    life_table : pandas.DataFrame
        From `cvmlib.churn.counts.build_life_table` of the whole unit: tenure, at_risk, churned.

    Returns
    -------
    pandas.DataFrame
        months (since joining), cause, share; one row per month of the life table and cause.
    """
    table = life_table.groupby("tenure", as_index=False)[["at_risk", "churned"]].sum()
    found = causes.pivot_table(index="tenure", columns="cause", values="leavers", aggfunc="sum", fill_value=0)
    found = found.reindex(table["tenure"], fill_value=0).to_numpy(float).T
    names = sorted(causes["cause"].unique())
    shares = np.divide(found, found.sum(axis=0), out=np.zeros_like(found), where=found.sum(axis=0) > 0)
    incidence = cumulate_incidence((table["churned"] / table["at_risk"]).to_numpy(), shares)
    parts = [
        pd.DataFrame({"months": table["tenure"] + 1, "cause": name, "share": row})
        for name, row in zip(names, incidence, strict=True)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"months": [], "cause": [], "share": []})
