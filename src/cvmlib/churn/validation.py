"""Holdout check: forecast the last months as if they were the future, and compare with what happened."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from cvmlib.churn.counts import active_cells, censor_counts
from cvmlib.churn.forecast import Forecast, Terms, forecast_cells, share_extrapolated, summarise_draws
from cvmlib.churn.metrics import Outcomes
from cvmlib.churn.months import month_label
from cvmlib.churn.projection import KAPLAN_MEIER, compare_projections, project
from cvmlib.churn.retention import HazardPosterior, fit_hazard
from cvmlib.churn.scores import follow, pick_horizons, score_forecasts, tabulate_calibration

MIN_HISTORY_MONTHS = 6
MODEL = "model"


@dataclass(frozen=True)
class Trial:
    """The subscriptions of a holdout, how they were forecast, and what they did.

    Parameters
    ----------
    cells : pandas.DataFrame
        The forecast's cells at the split.
    outcomes : Outcomes
        Rows of subscriptions, in months after the split.
    cell : int array, shape (rows,)
        Cell of each row.
    forecasts : dict of str to array, shape (cells, months + 1)
        Probability to be there after 0, 1, … months, by the model ("model") and the plain projections.
    """

    cells: pd.DataFrame
    outcomes: Outcomes
    cell: np.ndarray
    forecasts: dict[str, np.ndarray]


@dataclass(frozen=True)
class HoldoutCheck:
    """What was forecast from the calibration period, and what happened in the holdout.

    Parameters
    ----------
    split : int
        Last grid month of the calibration.
    months : int
        Months held out.
    subscriptions : int
        Active subscriptions at the split.
    course : pandas.DataFrame
        month, measure ("active subscriptions", "revenue"), actual, expected, low, high, inside (bool), km (the same by
        plain Kaplan-Meier without plans; subscriptions only).
    total : dict
        Revenue of the holdout: actual, mean, low, high, inside, bias (mean / actual - 1).
    cells : pandas.DataFrame
        plan, tenure_from, tenure_to (months), subscriptions, actual, expected, low, high, inside: subscriptions still
        active at the end of the holdout by group.
    trial : Trial
        The subscriptions one row by one, with the forecasts that are scored.
    """

    split: int
    months: int
    subscriptions: int
    course: pd.DataFrame
    total: dict
    cells: pd.DataFrame
    trial: Trial | None = None

    @property
    def coverage(self) -> float:
        """Share of the groups whose outcome lies in its interval (right for 90 %: 0.9)."""
        return float(self.cells["inside"].mean()) if len(self.cells) else np.nan


def check_holdout(
    counts: pd.DataFrame,
    end_month: int,
    months: int,
    observed_from: int | None = None,
    interval: float = 0.9,
    draws: int = 1000,
    seed: int = 1,
) -> HoldoutCheck | None:
    """Fit at the end of observation less `months`, forecast the subscriptions active then, and compare.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `cvmlib.churn.counts.count_subscriptions`.
    end_month : int
        Grid month in which the observation ends.
    months : int
        Months to hold out.
    observed_from : int, optional
        First grid month whose leavers are recorded.
    interval : float, default 0.9
        Probability of the forecast intervals.
    draws, seed : int
        Draws and seed.

    Returns
    -------
    HoldoutCheck or None
        None when there is nothing to compare: no month held out, fewer than six months of records before the split, or
        no active subscription or no leaver at the split.
    """
    split = end_month - months
    first = max(int(counts["joined"].min()), observed_from or 0)
    if months < 1 or split - first + 1 < MIN_HISTORY_MONTHS:
        return None
    known = censor_counts(counts, split)
    cells = active_cells(known)
    if cells.empty or not known["churned"].any():
        return None
    posterior = fit_hazard(known, observed_from, months, draws, seed)
    forecast = forecast_cells(posterior, cells, Terms(months), seed + 1)
    actual = count_outcomes(counts, split, months)
    course = _course(forecast, actual, split, interval)
    trial = _follow(counts, forecast, known, split, months, observed_from)
    staying = trial.forecasts[KAPLAN_MEIER][:, 1:]
    course["km"] = np.nan
    course.loc[course["measure"] == "active subscriptions", "km"] = cells["subscriptions"].to_numpy() @ staying
    total = summarise_draws(forecast.revenue.sum(axis=1), interval) | {"actual": float(actual["revenue"].sum())}
    total["inside"] = bool(total["low"] <= total["actual"] <= total["high"])
    total["bias"] = total["mean"] / total["actual"] - 1 if total["actual"] > 0 else np.nan
    groups = _groups(counts, forecast, split, months, interval)
    return HoldoutCheck(split, months, int(cells["subscriptions"].sum()), course, total, groups, trial)


def _follow(
    counts: pd.DataFrame,
    forecast: Forecast,
    known: pd.DataFrame,
    split: int,
    months: int,
    observed_from: int | None,
) -> Trial:
    """Follow the subscriptions forecast over the holdout, and project them plainly as well."""
    cells = forecast.cells.reset_index(drop=True)
    forecasts = {MODEL: forecast.survival} | project(known, cells["tenure"].to_numpy(), months, observed_from)
    return Trial(cells, *follow(counts, cells, split, months), forecasts)


def tabulate_scores(check: HoldoutCheck, interval: float = 0.9, seed: int = 1) -> pd.DataFrame:
    """Score the model's forecast of the holdout and the plain projections, see `cvmlib.churn.scores.score_forecasts`.

    The skill is measured against Kaplan-Meier.
    """
    trial, horizons = check.trial, pick_horizons(check.months)
    columns = horizons.astype(np.int64)
    forecasts = {name: survival[trial.cell][:, columns] for name, survival in trial.forecasts.items()}
    return score_forecasts(trial.outcomes, forecasts, horizons, KAPLAN_MEIER, interval, seed=seed)


def tabulate_risks(check: HoldoutCheck, interval: float = 0.9, seed: int = 1) -> pd.DataFrame:
    """Compare the model's risks with what happened, see `cvmlib.churn.scores.tabulate_calibration`."""
    trial, horizons = check.trial, pick_horizons(check.months)
    survival = trial.forecasts[MODEL][trial.cell][:, horizons.astype(np.int64)]
    return tabulate_calibration(trial.outcomes, survival, horizons, interval, seed=seed)


def tabulate_projections(check: HoldoutCheck) -> pd.DataFrame:
    """Compare all forecasts of the holdout with what happened, see `cvmlib.churn.projection.compare_projections`."""
    trial = check.trial
    course = check.course[check.course["measure"] == "active subscriptions"]
    months, actual = course["month"].tolist(), course["actual"].to_numpy()
    return compare_projections(trial.forecasts, trial.cells["subscriptions"].to_numpy(), actual, months)


def count_outcomes(counts: pd.DataFrame, split: int, months: int) -> pd.DataFrame:
    """Count what the subscriptions active at the end of grid month `split` did in the following months.

    Returns
    -------
    pandas.DataFrame
        month (grid month), active (subscriptions at its end), revenue (money billed).
    """
    base = counts[(counts["joined"] <= split) & ((counts["joined"] + counts["tenure"] > split) | ~counts["churned"])]
    until = base["joined"] + base["tenure"]
    rows = []
    for month in range(split + 1, split + months + 1):
        stay = ~base["churned"] | (until > month)
        left = base["churned"] & (until == month)
        revenue = base.loc[stay, "price"].sum() + base.loc[left, "price_billed"].sum()
        rows.append((month, int(base.loc[stay, "subscriptions"].sum()), float(revenue)))
    return pd.DataFrame(rows, columns=["month", "active", "revenue"])


def _course(forecast: Forecast, actual: pd.DataFrame, split: int, interval: float) -> pd.DataFrame:
    """Month by month, actual against forecast, for subscriptions and revenue."""
    parts = []
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    for name, column, draws in (
        ("active subscriptions", "active", forecast.active),
        ("revenue", "revenue", forecast.revenue),
    ):
        low, high = np.quantile(draws, tails, axis=0)
        part = pd.DataFrame({"month": [month_label(m) for m in actual["month"]], "measure": name})
        part = part.assign(actual=actual[column].astype(float), expected=draws.mean(axis=0), low=low, high=high)
        parts.append(part.assign(inside=part["actual"].between(part["low"], part["high"])))
    return pd.concat(parts, ignore_index=True)


def _groups(counts: pd.DataFrame, forecast: Forecast, split: int, months: int, interval: float) -> pd.DataFrame:
    """Survivors at the end of the holdout by plan and year of tenure: how well single groups are forecast."""
    cells = forecast.cells.reset_index(drop=True)
    base = counts[(counts["joined"] <= split) & ((counts["joined"] + counts["tenure"] > split) | ~counts["churned"])]
    stayed = base[~base["churned"] | (base["joined"] + base["tenure"] > split + months)]
    keys = [stayed["plan"], (split - stayed["joined"]) // 12]
    actual = stayed["subscriptions"].groupby(keys).sum()
    rows = []
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    for (plan, year), index in cells.groupby(["plan", cells["tenure"] // 12]).groups.items():
        size = int(cells.loc[index, "subscriptions"].sum())
        draws = forecast.active_by_cell[:, index].sum(axis=1)
        low, high = np.quantile(draws, tails)
        happened = int(actual.get((plan, year), 0))
        rows.append((plan, 12 * year, 12 * year + 11, size, happened, draws.mean(), low, high, low <= happened <= high))
    names = ["plan", "tenure_from", "tenure_to", "subscriptions", "actual", "expected", "low", "high", "inside"]
    return pd.DataFrame(rows, columns=names)


def estimate_kaplan_meier(
    counts: pd.DataFrame, by: str | None = None, observed_from: int | None = None, interval: float = 0.9
) -> pd.DataFrame:
    """Kaplan-Meier estimate of retention from the counts, by statsmodels, with a log-log interval (Greenwood).

    Parameters
    ----------
    counts : pandas.DataFrame
        From `cvmlib.churn.counts.count_subscriptions`.
    by : str, optional
        Grouping column, such as ``"plan"``.
    observed_from : int, optional
        First grid month whose leavers are recorded (left truncation).
    interval : float, default 0.9
        Probability of the interval.

    Returns
    -------
    pandas.DataFrame
        [by,] months (since joining: 0 = at joining), retention, low, high, at_risk, churned; one row per month in
        which somebody left.
    """
    if by is not None:
        parts = [
            estimate_kaplan_meier(part, None, observed_from, interval).assign(**{by: key})
            for key, part in counts.groupby(by, sort=True)
        ]
        table = pd.concat(parts, ignore_index=True)
        return table[[by, *[c for c in table.columns if c != by]]]
    from statsmodels.duration.survfunc import SurvfuncRight

    entry = (observed_from - counts["joined"]).clip(lower=0) if observed_from is not None else 0 * counts["joined"]
    rows = counts.assign(entry=entry)
    rows = rows[rows["entry"] <= rows["tenure"]]
    start = pd.DataFrame({"months": [0], "retention": 1.0, "low": 1.0, "high": 1.0, "churned": 0})
    start["at_risk"] = int(rows.loc[rows["entry"] == 0, "subscriptions"].sum())
    if not rows["churned"].any():
        return start[["months", "retention", "low", "high", "at_risk", "churned"]]
    fit = SurvfuncRight(
        (rows["tenure"] + 1).to_numpy(float),
        rows["churned"].to_numpy(float),
        entry=rows["entry"].to_numpy(float) if observed_from is not None else None,
        freq_weights=rows["subscriptions"].to_numpy(float),
    )
    low, high = log_log_interval(fit.surv_prob, fit.n_risk, fit.n_events, interval)
    table = pd.DataFrame({"months": fit.surv_times.astype(int), "retention": fit.surv_prob, "low": low, "high": high})
    table = table.assign(at_risk=fit.n_risk.astype(np.int64), churned=fit.n_events.astype(np.int64))
    return pd.concat([start[table.columns], table], ignore_index=True)


def log_log_interval(
    retention: np.ndarray, at_risk: np.ndarray, churned: np.ndarray, interval: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of a Kaplan-Meier curve on the log(-log) scale with Greenwood's variance.

    Parameters
    ----------
    retention, at_risk, churned : array, shape (times,)
        The curve and the counts behind it.
    interval : float, default 0.9
        Probability.

    Returns
    -------
    low, high : array, shape (times,)
        Bounds inside [0, 1]; where the curve is at 0 or 1 they are unknown and [0, 1] clipped to the curve's own side.

    References
    ----------
    Kalbfleisch, J. D. and Prentice, R. L. (2002). The Statistical Analysis of Failure Time Data, 2nd ed., eq. 1.13.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(churned / (at_risk * (at_risk - churned)))
        log = np.log(retention)
        half = norm.ppf((1 + interval) / 2) * np.sqrt(variance) / np.abs(log)
        low, high = retention ** np.exp(half), retention ** np.exp(-half)
    low = np.where(np.isfinite(low) & (retention > 0), low, 0.0)
    return low, np.where(np.isfinite(high), high, 1.0)


def count_extrapolated(forecast: Forecast, posterior: HazardPosterior) -> float:
    """Share of the forecast subscription-months beyond the tenures that the posterior has data on."""
    return share_extrapolated(forecast, posterior.months)
