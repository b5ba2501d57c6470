"""Scores of forecasts on held-out months: who leaves first, how well, and whether the risks stated came true.

All forecasts of a table are scored on the same resamples of the same customers, so that their intervals compare in
pairs. Definitions: `cvmlib.churn.metrics`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cvmlib.business_unit import Saving
from cvmlib.churn import metrics
from cvmlib.churn.maximum_profit import expected_maximum_profit
from cvmlib.churn.metrics import Outcomes
from cvmlib.churn.saving import fit_acceptance

HORIZONS = (1, 3, 6, 12, 24)
RESAMPLES = 200
Forecasts = Mapping[str, np.ndarray]


def pick_horizons(months: int) -> np.ndarray:
    """Months after the split at which forecasts are scored: 1, 3, 6, 12, 24, as far as they were followed."""
    return np.array([horizon for horizon in HORIZONS if horizon <= months] or [months], float)


def follow(counts: pd.DataFrame, cells: pd.DataFrame, split: int, months: int) -> tuple[Outcomes, np.ndarray]:
    """Follow the subscriptions active at the end of grid month `split` over the next months.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `cvmlib.churn.counts.count_subscriptions`, with what happened after the split.
    cells : pandas.DataFrame
        From `cvmlib.churn.counts.active_cells` at the split.
    split, months : int
        Grid month, and months followed.

    Returns
    -------
    outcomes : Outcomes
        Time in months after the split; those still there at its end are seen for half a month more.
    cell : int array, shape (rows,)
        Cell of each row.
    """
    until = counts["joined"] + counts["tenure"]
    base = counts[(counts["joined"] <= split) & ((until > split) | ~counts["churned"])]
    after = (base["joined"] + base["tenure"] - split).to_numpy(float)
    event = base["churned"].to_numpy() & (after <= months)
    rows = pd.DataFrame({"plan": base["plan"], "tenure": split - base["joined"], "event": event})
    rows = rows.assign(time=np.where(event, after, months + 0.5), weight=base["subscriptions"])
    rows = rows.groupby(["plan", "tenure", "time", "event"], as_index=False)["weight"].sum()
    places = cells[["plan", "tenure"]].reset_index(drop=True).reset_index(names="cell")
    rows = rows.merge(places, on=["plan", "tenure"], how="inner")
    outcomes = Outcomes(rows["time"].to_numpy(), rows["event"].to_numpy(bool), rows["weight"].to_numpy(float))
    return outcomes, rows["cell"].to_numpy(np.int64)


def score_forecasts(
    outcomes: Outcomes,
    forecasts: Forecasts,
    horizons: np.ndarray,
    baseline: str,
    interval: float = 0.9,
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> pd.DataFrame:
    """Score forecasts of staying: dynamic AUC, Brier scores, skill and calibration error, with intervals.

    Parameters
    ----------
    outcomes : Outcomes
        What happened.
    forecasts : mapping of str to array, shape (rows, horizons)
        Probability to be there beyond each horizon, by model.
    horizons : array, shape (horizons,)
        In the unit of `outcomes.time`, rising.
    baseline : str
        The forecast that the skill is measured against.
    interval : float, default 0.9
        Probability of the intervals (Bayesian bootstrap).
    resamples, seed : int
        Number of resamples, and seed.

    Returns
    -------
    pandas.DataFrame
        model, measure ("auc", "brier", "gap": mean risk stated less share that left, "calibration_error": the mean of
        its size over tenths of risk; over all horizons "integrated_brier" and "skill", one less its ratio to the
        baseline's), horizon (NaN over all), value, low, high. Resampling adds noise to the size of a difference, so the
        interval of the calibration error is moved to where its mean is the value found.
    """
    groups = {
        name: [metrics.group_by_risk(1 - survival[:, h], outcomes.weight) for h in range(len(horizons))]
        for name, survival in forecasts.items()
    }
    found = _scores(outcomes, forecasts, horizons, baseline, groups)
    drawn = [_scores(one, forecasts, horizons, baseline, groups) for one in metrics.resample(outcomes, resamples, seed)]
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    rows = []
    for key, value in found.items():
        draws = np.array([one[key] for one in drawn])
        draws = draws[np.isfinite(draws)]
        if key[1] == "calibration_error":
            draws = np.maximum(draws - draws.mean() + value, 0.0)
        rows.append((*key, value, *(np.quantile(draws, tails) if len(draws) else (np.nan, np.nan))))
    return pd.DataFrame(rows, columns=["model", "measure", "horizon", "value", "low", "high"])


def _scores(
    outcomes: Outcomes,
    forecasts: Forecasts,
    horizons: np.ndarray,
    baseline: str,
    groups: Mapping[str, list[np.ndarray]],
) -> dict[tuple[str, str, float], float]:
    censoring, staying = metrics.estimate_censoring(outcomes), metrics.estimate_survival(outcomes)
    found: dict[tuple[str, str, float], float] = {}
    for name, survival in forecasts.items():
        brier = metrics.brier_scores(outcomes, survival, horizons, censoring)
        auc = metrics.dynamic_auc(outcomes, 1 - survival, horizons, censoring)
        for place, horizon in enumerate(horizons):
            table = metrics.calibrate(outcomes, 1 - survival[:, place], horizon, groups[name][place])
            found[name, "auc", horizon] = float(auc[place])
            found[name, "brier", horizon] = float(brier[place])
            found[name, "calibration_error", horizon] = metrics.calibration_error(table)
            stated = outcomes.weight @ (1 - survival[:, place]) / outcomes.weight.sum()
            found[name, "gap", horizon] = float(stated - (1 - staying.at(horizon)))
        found[name, "integrated_brier", np.nan] = metrics.integrate_scores(brier, horizons)
    for name in forecasts:
        other = found[baseline, "integrated_brier", np.nan]
        mine = found[name, "integrated_brier", np.nan]
        found[name, "skill", np.nan] = 1 - mine / other if other > 0 else np.nan
    return found


def tabulate_calibration(
    outcomes: Outcomes,
    survival: np.ndarray,
    horizons: Sequence[float],
    interval: float = 0.9,
    resamples: int = RESAMPLES,
    seed: int = 1,
    groups: int = 10,
) -> pd.DataFrame:
    """Compare the risks stated with the shares that left, by horizon, for all and by tenth of risk.

    Returns
    -------
    pandas.DataFrame
        horizon, group (0 for all, then 1, 2, … by rising risk), customers, forecast, observed with _low and _high (the
        interval of the observed share).
    """
    drawn = metrics.resample(outcomes, resamples, seed)
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    parts = []
    for place, horizon in enumerate(horizons):
        risk = 1 - survival[:, place]
        for first, group in (
            (0, np.zeros(len(risk), np.int64)),
            (1, metrics.group_by_risk(risk, outcomes.weight, groups)),
        ):
            table = metrics.calibrate(outcomes, risk, horizon, group)
            observed = np.array([metrics.calibrate(one, risk, horizon, group)["observed"] for one in drawn])
            low, high = np.quantile(observed, tails, axis=0)
            part = pd.DataFrame(
                {"horizon": horizon, "group": first + np.arange(len(low)), "customers": table["weight"]}
            )
            part = part.assign(forecast=table["forecast"], observed=table["observed"])
            parts.append(part.assign(observed_low=low, observed_high=high))
    return pd.concat(parts, ignore_index=True)


def score_profit(
    outcomes: Outcomes,
    forecasts: Forecasts,
    window: float,
    value: np.ndarray,
    terms: Saving,
    interval: float = 0.9,
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> pd.DataFrame:
    """Expected maximum profit of contacting the customers of highest forecast risk, per customer of the base.

    Parameters
    ----------
    outcomes : Outcomes
        What happened; everybody followed over the window.
    forecasts : mapping of str to array, shape (rows,)
        Probability to leave within the window, by model.
    window : float
        In the unit of `outcomes.time`.
    value : array, shape (rows,)
        What a saved leaver of the row is worth.
    terms : Saving
        Costs and acceptance.
    interval, resamples, seed : float, int, int
        As in `score_forecasts`.

    Returns
    -------
    pandas.DataFrame
        model, profit with _low and _high (money per customer), share (contacted at the best size).
    """
    acceptance = fit_acceptance(*terms.acceptance, interval)
    drawn = metrics.resample(outcomes, resamples, seed)

    def earn(one: Outcomes, risk: np.ndarray) -> tuple[float, float]:
        left = (one.event & (one.time <= window)).astype(float)
        costs = terms.contact_cost, terms.offer_cost
        found = expected_maximum_profit(risk, left, value, *costs, acceptance, one.weight)
        return found.profit, found.share

    rows = []
    for name, risk in forecasts.items():
        profit, share = earn(outcomes, risk)
        draws = [earn(one, risk)[0] for one in drawn]
        low, high = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])
        rows.append({"model": name, "profit": profit, "profit_low": low, "profit_high": high, "share": share})
    return pd.DataFrame(rows)
