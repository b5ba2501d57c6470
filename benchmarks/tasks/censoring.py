"""Weights for subscribers who were followed to a horizon, where how long one is followed depends on one's columns.

Whoever was followed counts for those alike who were not: by the inverse of the probability to be followed so long,
given the columns. One probability for everybody (the Kaplan-Meier estimate of censoring) is right only where censoring
has nothing to do with the columns. Where it has, as among subscribers whose newcomers take other contracts than those
who have been there for years, such weights score true probabilities worse than those of a regression fitted with the
same weights, which learns their error.

References
----------
Gerds, T. A. and Schumacher, M. (2006). Consistent estimation of the expected Brier score in general survival models
with right-censored event times. Biometrical Journal 48, 1029-1040.
"""

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm

from cvmlib.churn.metrics import Outcomes

Array = npt.NDArray[np.float64]


def fit_following(outcomes: Outcomes, columns: Array, months: int) -> Array:
    """Fit who ceases to be followed in a month, by logistic regression on the month and the columns.

    Parameters
    ----------
    outcomes : Outcomes
        Months of tenure, and whether the subscriber left then: he cannot cease to be followed in that month.
    columns : array, shape (rows, columns)
        Dummy variables of the subscribers, without a constant.
    months : int
        Last month of tenure to look at.

    Returns
    -------
    array, shape (rows, months + 2)
        Probability still to be followed when month 0, 1, … months + 1 of tenure begins.
    """
    last = outcomes.time.astype(np.int64)
    at_risk = np.minimum(last + ~outcomes.event, months + 1)  # months 0, 1, … in which one could cease to be followed
    who = np.repeat(np.arange(len(last)), at_risk)
    month = np.arange(len(who)) - np.repeat(np.cumsum(at_risk) - at_risk, at_risk)
    ceases = (month == last[who]) & ~outcomes.event[who]
    seen = np.unique(month[ceases])  # in other months nobody ceases to be followed
    kept = np.isin(month, seen)
    design = np.column_stack([month[kept, None] == seen, columns[who[kept]]]).astype(float)
    found = sm.GLM(ceases[kept].astype(float), design, family=sm.families.Binomial()).fit().params
    reach = columns @ found[len(seen) :]
    stay = np.ones((len(columns), months + 1))
    stay[:, seen] = 1 / (1 + np.exp(found[: len(seen)] + reach[:, None]))
    return np.column_stack([np.ones(len(columns)), np.cumprod(stay, axis=1)])


def weigh(outcomes: Outcomes, followed: Array, horizon: float) -> Array:
    """Weight of each subscriber at a horizon; 0 for those of whom it is not known whether they left by then.

    Parameters
    ----------
    outcomes : Outcomes
        What became of them.
    followed : array, shape (rows, months + 2)
        From `fit_following`, for at least as many months as the horizon.
    horizon : float
        Months of tenure.
    """
    left = outcomes.event & (outcomes.time <= horizon)
    until = np.where(left, outcomes.time, horizon + 1).astype(np.int64)
    known = left | (outcomes.time > horizon)
    return np.where(known, 1 / followed[np.arange(len(until)), until], 0.0)
