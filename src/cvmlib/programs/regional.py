"""Regional tests: what treated areas sold against a weighted mix of untreated ones (Bayesian synthetic control).

Assumptions

1. Before the test, the treated areas (added up, as a share of their own mean) follow a weighted mean of the untreated
   ones, up to a constant and noise (Abadie, Diamond and Hainmueller 2010; demeaned as in Doudchenko and Imbens 2016).
2. Weights are equal up to normal deviations, ``w_j ~ Normal(1 / J, g sigma^2)``; how far they deviate (g) is averaged
   over with the evidence of each g, in closed form.
3. The untreated areas are not touched by the test.

How well the mix forecasts is not taken from its fit but from placebo runs: the same areas, the same length of test, at
earlier dates when nothing was done, each forecast from the days before it alone. With m such stretches that do not
overlap, the error of the test's own forecast is Student t with m degrees of freedom and the scale of the placebo errors
(Jeffreys prior on their variance). Interval and p-value are read from that one distribution: the p-value is below 10%
exactly when the 90% interval excludes zero.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Array = npt.NDArray[np.float64]

RATIOS = np.exp(np.linspace(-6.0, 8.0, 29))
FEWEST_PLACEBOS = 2
FEWEST_CONTROLS = 2
FEWEST_BEFORE = 8
PLACEBO_AREAS = 60


@dataclass(frozen=True)
class RegionalTest:
    """Result of a regional test.

    Parameters
    ----------
    lift, low, high : float
        Change in the treated areas, as a share of what they would have sold, with its interval.
    incremental, incremental_low, incremental_high : float
        The same added up over the test (unit of the outcome).
    scale, freedom : float
        Scale and degrees of freedom of the placebo distribution (as shares).
    p_value : float
        Two-sided placebo p-value.
    course : DataFrame
        date, actual, expected, low, high, tested: the treated areas together.
    placebos : DataFrame
        began (date), error: lifts found where there were none, in the same areas.
    areas : DataFrame
        area, lift: each untreated area given the same dates, its change against the others.
    """

    lift: float
    low: float
    high: float
    incremental: float
    incremental_low: float
    incremental_high: float
    scale: float
    freedom: float
    p_value: float
    course: pd.DataFrame
    placebos: pd.DataFrame
    areas: pd.DataFrame


def fit_mix(treated: Array, controls: Array, before: int) -> Array:
    """Forecast the treated areas from the controls, fitted to the first `before` periods.

    Parameters
    ----------
    treated : array, shape (periods,)
        Outcome of the treated areas together.
    controls : array, shape (periods, areas)
        Outcome of each control area.
    before : int
        Periods before the test.

    Returns
    -------
    array, shape (periods,)
        What the treated areas would have sold, unit of the outcome; the posterior mean over weights and g.
    """
    size = treated[:before].mean()
    outcome, shares = treated / size, controls / controls[:before].mean(axis=0)
    equal = shares.mean(axis=1)
    deviations = shares - equal[:, None]
    gap = (outcome - equal)[:before]
    left, singular, right = np.linalg.svd(deviations[:before] - deviations[:before].mean(axis=0), full_matrices=False)
    seen = left.T @ (gap - gap.mean())
    shrink = RATIOS[:, None] * singular**2
    rest = (gap - gap.mean()) @ (gap - gap.mean()) - (seen**2 * shrink / (1 + shrink)).sum(axis=1)
    logs = -0.5 * np.log1p(shrink).sum(axis=1) - 0.5 * (before - 1) * np.log(np.maximum(rest, 1e-300))
    weight = np.exp(logs - logs.max())
    loading = (weight / weight.sum()) @ (RATIOS[:, None] * singular / (1 + shrink) * seen)
    moved = (deviations - deviations[:before].mean(axis=0)) @ (right.T @ loading)
    return size * (equal + gap.mean() + moved)


def _lift(treated: Array, controls: Array, before: int, after: int) -> float:
    expected = fit_mix(treated[: before + after], controls[: before + after], before)
    return float(treated[before : before + after].sum() / expected[before:].sum() - 1.0)


def find_placebos(treated: Array, controls: Array, before: int, after: int) -> tuple[Array, Array]:
    """Run the test at earlier dates: first periods of the placebo tests, and the lifts found there."""
    first = max(FEWEST_BEFORE, before // 3)
    begins = np.arange(before - after, first - 1, -max(1, after // 5))[::-1]
    return begins, np.array([_lift(treated, controls, start, after) for start in begins])


def measure_regions(
    series: pd.DataFrame, treated: set[str], began: pd.Timestamp, ended: pd.Timestamp, interval: float
) -> RegionalTest:
    """Estimate what a regional program changed.

    Parameters
    ----------
    series : DataFrame
        date, region, value: one row per area and period, none missing.
    treated : set of str
        Treated areas.
    began, ended : Timestamp
        First and last day of the test.
    interval : float
        Probability of the interval.

    Returns
    -------
    RegionalTest

    Raises
    ------
    ValueError
        No treated or fewer than two control areas, no period of the test, or too short a past to run placebos; the
        message says which, for the reader of the page.
    """
    wide = series.pivot_table(index="date", columns="region", values="value", aggfunc="sum").sort_index()
    wide = wide[wide.index <= ended].dropna(axis=1)
    inside = [name for name in wide.columns if name in treated]
    outside = [name for name in wide.columns if name not in treated and wide.loc[wide.index < began, name].mean() > 0]
    before, after = int((wide.index < began).sum()), int((wide.index >= began).sum())
    _refuse(inside, outside, before, after)
    total, controls = wide[inside].sum(axis=1).to_numpy(float), wide[outside].to_numpy(float)
    expected = fit_mix(total, controls, before)
    lift = float(total[before:].sum() / expected[before:].sum() - 1.0)
    begins, errors = find_placebos(total, controls, before, after)
    stretches = (before - int(begins[0])) / after if len(begins) else 0.0
    if stretches < FEWEST_PLACEBOS:
        raise ValueError(
            f"its past of {before} periods is too short for two placebo runs of {after} periods: without them the "
            "error of the forecast is not known"
        )
    scale = float(np.sqrt(np.mean(errors**2)))
    half = float(stats.t.ppf((1 + interval) / 2, stretches)) * scale
    counterfactual = float(expected[before:].sum())
    return RegionalTest(
        lift=lift, low=lift - half, high=lift + half,
        incremental=lift * counterfactual,
        incremental_low=(lift - half) * counterfactual, incremental_high=(lift + half) * counterfactual,
        scale=scale, freedom=stretches,
        p_value=float(2 * stats.t.sf(abs(lift) / scale, stretches)),
        course=_draw_course(wide.index, total, expected, before, interval),
        placebos=pd.DataFrame({"began": wide.index[begins], "error": errors}),
        areas=_try_areas(controls, outside, before, after),
    )  # fmt: skip


def _refuse(inside: list[str], outside: list[str], before: int, after: int) -> None:
    if not inside:
        raise ValueError("none of its treated areas is a region of outcomes with a value in every period")
    if len(outside) < FEWEST_CONTROLS:
        raise ValueError(f"only {len(outside)} control areas have a value in every period; at least two are needed")
    if after < 1:
        raise ValueError("outcomes end before it starts")
    if before < FEWEST_BEFORE:
        raise ValueError(f"outcomes hold {before} periods before its start; at least {FEWEST_BEFORE} are needed")


def _draw_course(dates: pd.Index, total: Array, expected: Array, before: int, interval: float) -> pd.DataFrame:
    """Actual and expected course; the band is that of single periods, from the errors of the fit."""
    noise = (total - expected)[:before].std(ddof=min(before - 1, 2))
    half = stats.norm.ppf((1 + interval) / 2) * noise
    frame = pd.DataFrame({"date": dates, "actual": total, "expected": expected})
    return frame.assign(low=expected - half, high=expected + half, tested=np.arange(len(dates)) >= before)


def _try_areas(controls: Array, names: list[str], before: int, after: int) -> pd.DataFrame:
    """Give each untreated area the same dates: how much areas move against each other without any test."""
    if len(names) <= FEWEST_CONTROLS:
        return pd.DataFrame({"area": [], "lift": []})
    chosen = np.unique(np.linspace(0, len(names) - 1, min(PLACEBO_AREAS, len(names))).round().astype(int))
    lifts = [_lift(controls[:, j], np.delete(controls, j, axis=1), before, after) for j in chosen]
    return pd.DataFrame({"area": [names[j] for j in chosen], "lift": lifts})
