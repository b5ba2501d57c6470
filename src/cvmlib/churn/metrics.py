r"""Scores of survival forecasts on weighted rows: dynamic AUC, Brier score, calibration, with bootstrap intervals.

A row stands for `weight` customers with the same forecast, time and event. Customers who were not followed to a horizon
are made up for by those who were: everyone counts by the inverse of the probability :math:`G` not to be censored, the
Kaplan-Meier estimate of censoring, in which an event precedes a censoring of the same time (IPCW). The definitions are
those of scikit-survival (``cumulative_dynamic_auc``, ``brier_score``) and, for observed risks, the Kaplan-Meier
estimate of lifelines.

References
----------
Uno, H., Cai, T., Tian, L. and Wei, L. J. (2007). Evaluating prediction rules for t-year survivors with censored
regression models. JASA 102, 527-537.
Graf, E., Schmoor, C., Sauerbrei, W. and Schumacher, M. (1999). Assessment and comparison of prognostic classification
schemes for survival data. Statistics in Medicine 18, 2529-2545.
Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9, 130-134.
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Outcomes:
    """What happened to customers after the date of a forecast.

    Parameters
    ----------
    time : array, shape (rows,)
        Time of leaving, or until when they were followed, in any unit.
    event : array of bool, shape (rows,)
        Whether they left then.
    weight : array, shape (rows,)
        Customers per row.
    """

    time: np.ndarray
    event: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Steps:
    """A curve that starts at 1 and steps down to `level` at each of `time` (rising), right-continuous."""

    time: np.ndarray
    level: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return the level at `times`; the last one holds beyond the end."""
        place = np.searchsorted(self.time, times, side="right")
        return np.concatenate([[1.0], self.level])[place]


def estimate_survival(outcomes: Outcomes) -> Steps:
    """Kaplan-Meier estimate of staying."""
    time, left, censored, later = _count(outcomes)
    return Steps(time, np.cumprod(1 - _ratio(left, left + censored + later)))


def estimate_censoring(outcomes: Outcomes) -> Steps:
    """Kaplan-Meier estimate of not being censored; an event at the same time comes first."""
    time, _, censored, later = _count(outcomes)
    return Steps(time, np.cumprod(1 - _ratio(censored, censored + later)))


def _count(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct times, and at each the weight that left, that was censored, and that stayed longer."""
    time, place = np.unique(outcomes.time, return_inverse=True)
    left = np.bincount(place, weights=outcomes.weight * outcomes.event, minlength=len(time))
    censored = np.bincount(place, weights=outcomes.weight * ~outcomes.event, minlength=len(time))
    later = np.append((left + censored)[::-1].cumsum()[::-1][1:], 0.0)
    return time, left, censored, later


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=part > 0)


def dynamic_auc(
    outcomes: Outcomes, risk: np.ndarray, horizons: np.ndarray, censoring: Steps | None = None
) -> np.ndarray:
    """Cumulative/dynamic AUC: chance that one who left by a horizon had a higher risk than one who was still there.

    Parameters
    ----------
    outcomes : Outcomes
        What happened.
    risk : array, shape (rows,) or (rows, horizons)
        Any forecast that is higher for those more likely to leave. Equal risks count one half.
    horizons : array, shape (horizons,)
        In the unit of `outcomes.time`.
    censoring : Steps, optional
        Probability not to be censored; by default estimated from `outcomes`.

    Returns
    -------
    array, shape (horizons,)
        NaN where nobody has left by the horizon, or nobody is seen beyond it.
    """
    censoring = censoring or estimate_censoring(outcomes)
    remaining = censoring.at(outcomes.time)
    weight = np.where(outcomes.event & (remaining > 0), outcomes.weight / np.where(remaining > 0, remaining, 1.0), 0.0)
    found = []
    for column, horizon in enumerate(horizons):
        case = weight * (outcomes.time <= horizon)
        control = outcomes.weight * (outcomes.time > horizon)
        found.append(_area(risk if risk.ndim == 1 else risk[:, column], case, control))
    return np.array(found)


def _area(risk: np.ndarray, case: np.ndarray, control: np.ndarray) -> float:
    levels, place = np.unique(risk, return_inverse=True)
    cases = np.bincount(place, weights=case, minlength=len(levels))
    controls = np.bincount(place, weights=control, minlength=len(levels))
    if not (cases.sum() > 0 and controls.sum() > 0):
        return np.nan
    below = np.cumsum(controls) - controls / 2
    return float(cases @ below / cases.sum() / controls.sum())


def mean_auc(outcomes: Outcomes, auc: np.ndarray, horizons: np.ndarray) -> float:
    """Mean of the dynamic AUC over the horizons, weighted by the share who leave in between (Lambert, Chevret 2014)."""
    staying = estimate_survival(outcomes).at(horizons)
    leaving = -np.diff(np.concatenate([[1.0], staying]))
    return float(auc @ leaving / (1 - staying[-1])) if staying[-1] < 1 else np.nan


def brier_scores(
    outcomes: Outcomes, survival: np.ndarray, horizons: np.ndarray, censoring: Steps | None = None
) -> np.ndarray:
    """Mean squared error of the forecast probability to be still there at each horizon (IPCW).

    Parameters
    ----------
    outcomes : Outcomes
        What happened.
    survival : array, shape (rows, horizons)
        Forecast probability to be there beyond each horizon.
    horizons : array, shape (horizons,)
        In the unit of `outcomes.time`.
    censoring : Steps, optional
        Probability not to be censored; by default estimated from `outcomes`.

    Returns
    -------
    array, shape (horizons,)
        0 is perfect; a forecast of one half for everybody scores 0.25.
    """
    censoring = censoring or estimate_censoring(outcomes)
    then, now = censoring.at(outcomes.time), censoring.at(horizons)
    left = outcomes.event[:, None] & (outcomes.time[:, None] <= horizons)
    there = outcomes.time[:, None] > horizons
    one, two = (np.where(g > 0, 1 / np.where(g > 0, g, 1.0), 0.0) for g in (then, now))
    error = survival**2 * left * one[:, None] + (1 - survival) ** 2 * there * two
    return outcomes.weight @ error / outcomes.weight.sum()


def integrate_scores(scores: np.ndarray, horizons: np.ndarray) -> float:
    """Mean of a score over the span of the horizons, by the trapezoidal rule; of one horizon the score itself."""
    if len(horizons) < 2:
        return float(scores[0])
    return float(np.trapezoid(scores, horizons) / (horizons[-1] - horizons[0]))


def group_by_risk(risk: np.ndarray, weight: np.ndarray, groups: int = 10) -> np.ndarray:
    """Split rows into groups of about equal weight by rising risk; equal risks stay together.

    Returns
    -------
    array of int, shape (rows,)
        Group of each row, from 0.
    """
    levels, place = np.unique(risk, return_inverse=True)
    size = np.bincount(place, weights=weight, minlength=len(levels))
    middle = (np.cumsum(size) - size / 2) / max(size.sum(), 1e-300)
    return np.unique(np.minimum((middle * groups).astype(np.int64), groups - 1)[place], return_inverse=True)[1]


def calibrate(outcomes: Outcomes, risk: np.ndarray, horizon: float, group: np.ndarray) -> dict[str, np.ndarray]:
    """Compare forecast and observed risk at a horizon within groups.

    Parameters
    ----------
    outcomes : Outcomes
        What happened.
    risk : array, shape (rows,)
        Forecast probability to leave by the horizon.
    horizon : float
        In the unit of `outcomes.time`.
    group : array of int, shape (rows,)
        Group of each row, numbered from 0.

    Returns
    -------
    dict of arrays, shape (groups,)
        weight (customers), forecast (mean risk), observed (1 - Kaplan-Meier at the horizon, within the group).
    """
    groups = int(group.max(initial=-1)) + 1
    weight = np.bincount(group, weights=outcomes.weight, minlength=groups)
    forecast = np.bincount(group, weights=outcomes.weight * risk, minlength=groups) / np.maximum(weight, 1e-300)
    return {"weight": weight, "forecast": forecast, "observed": 1 - _stay_by_group(outcomes, horizon, group, groups)}


def _stay_by_group(outcomes: Outcomes, horizon: float, group: np.ndarray, groups: int) -> np.ndarray:
    """Kaplan-Meier estimate of staying beyond a horizon within each group, all at once."""
    early = outcomes.time <= horizon
    time, place = np.unique(outcomes.time[early], return_inverse=True)

    def count(weight: np.ndarray) -> np.ndarray:
        cell = group[early] * len(time) + place
        return np.bincount(cell, weights=weight[early], minlength=groups * len(time)).reshape(groups, len(time))

    left, censored = count(outcomes.weight * outcomes.event), count(outcomes.weight * ~outcomes.event)
    beyond = np.bincount(group, weights=outcomes.weight * ~early, minlength=groups)
    at_risk = (left + censored)[:, ::-1].cumsum(axis=1)[:, ::-1] + beyond[:, None]
    return np.prod(1 - _ratio(left, at_risk), axis=1)


def calibration_error(table: dict[str, np.ndarray]) -> float:
    """Mean absolute difference of forecast and observed risk over customers, from `calibrate` (grouped ICI)."""
    gap = np.abs(table["forecast"] - table["observed"])
    return float(table["weight"] @ gap / max(table["weight"].sum(), 1e-300))


def resample(outcomes: Outcomes, draws: int, seed: int) -> list[Outcomes]:
    """Bayesian bootstrap of the customers behind the rows: a row of *w* customers weighs Gamma(*w*), exactly.

    Parameters
    ----------
    outcomes : Outcomes
        The rows.
    draws : int
        Number of resamples.
    seed : int
        Seed; resamples with the same seed pair the scores of two forecasts.

    Returns
    -------
    list of Outcomes
        The rows with random weights of the same expected sum.
    """
    rng = np.random.default_rng(seed)
    return [replace(outcomes, weight=rng.gamma(outcomes.weight)) for _ in range(draws)]
