"""Held-out weeks: what the fit that did not see them foretold, beside what came and beside a simple forecast."""

import numpy as np
import pandas as pd

from cvmlib.attribution.media_effects import MediaPosterior, fitted
from cvmlib.attribution.media_panel import Array

YEAR_WEEKS = 52


def forecast_outcomes(
    posterior: MediaPosterior, series: int, weeks: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Forecast the last weeks of a series from the weeks that were fitted.

    What the last fitted week was off goes on, the less the later the week, as the noise of the model does.

    Parameters
    ----------
    posterior : MediaPosterior
        Draws of the fit that did not see these weeks.
    series : int
        The series.
    weeks : int
        How many there are.
    rng : numpy Generator
        Source of the noise.

    Returns
    -------
    expected, outcomes : array, shape (draws, weeks)
        Expected outcome, and the outcome as it might be, in money.
    """
    design = posterior.design
    found = design.panel.series[series]
    mean = fitted(posterior, series) / found.scale
    phi = posterior.draws["persistence"][:, design.panel.units().index(found.unit)]
    sigma = posterior.draws["sigma"][:, series]
    last = int(np.flatnonzero(design.fitted[series])[-1])
    known = noise = design.panel.outcome[series, last] - mean[:, last]
    outcomes = mean.copy()
    for t in range(last + 1, mean.shape[1]):
        known, noise = phi * known, phi * noise + sigma * rng.standard_normal(len(mean))
        mean[:, t] += known
        outcomes[:, t] += noise
    return mean[:, -weeks:] * found.scale, outcomes[:, -weeks:] * found.scale


def tabulate_holdout(
    posterior: MediaPosterior, unit: str, weeks: int, interval: float = 0.9, seed: int = 1
) -> pd.DataFrame:
    """Held-out weeks of a unit.

    Parameters
    ----------
    posterior : MediaPosterior
        Draws of the fit that did not see them.
    unit : str
        The unit.
    weeks : int
        How many there are.
    interval : float
        Probability of the interval.
    seed : int
        Seed of the noise.

    Returns
    -------
    pandas.DataFrame
        week, actual, expected, low, high, year_before (the same week of the year before, moved to the level of the last
        13 weeks seen), in money.
    """
    panel = posterior.design.panel
    mine = panel.series_of(unit)
    rng = np.random.default_rng(seed)
    expected, draws = np.sum([forecast_outcomes(posterior, s, weeks, rng) for s in mine], axis=0)
    grid = panel.weeks[mine[0]]
    actual = sum(
        np.where(panel.observed[s], panel.outcome[s] * panel.series[s].scale, np.nan)[: len(grid)] for s in mine
    )
    low, high = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2], axis=0)
    return pd.DataFrame({
        "week": grid[-weeks:], "actual": actual[-weeks:], "expected": expected.mean(axis=0), "low": low, "high": high,
        "year_before": _year_before(actual, weeks),
    })  # fmt: skip


def _year_before(actual: np.ndarray, weeks: int) -> np.ndarray:
    seen = actual[:-weeks]
    if len(seen) < YEAR_WEEKS + weeks:
        return np.full(weeks, np.nanmean(seen[-weeks:]))
    before = actual[-weeks - YEAR_WEEKS : -YEAR_WEEKS]
    growth = np.nanmean(seen[-weeks:]) / np.nanmean(seen[-weeks - YEAR_WEEKS : -YEAR_WEEKS])
    return before * growth


def score_holdout(table: pd.DataFrame) -> dict[str, float]:
    """Errors of a holdout: mape and rmse of the model and of the year before, bias, and covered weeks (a share).

    Parameters
    ----------
    table : pandas.DataFrame
        From `tabulate_holdout`.
    """
    seen = table.dropna(subset=["actual"])
    actual = seen["actual"]
    scores = {"weeks": float(len(seen)), "bias": float(seen["expected"].sum() / actual.sum() - 1.0)}
    for name, column in (("", "expected"), ("_year_before", "year_before")):
        error = seen[column] - actual
        scores[f"mape{name}"] = float((error.abs() / actual.abs()).mean())
        scores[f"rmse{name}"] = float(np.sqrt((error**2).mean()))
    scores["covered"] = float(((actual >= seen["low"]) & (actual <= seen["high"])).mean())
    return scores
