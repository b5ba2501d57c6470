"""IBM Telco, cross-validated: the retention model against logistic regression; prints one line of JSON.

``python -m benchmarks.tasks.telco CONFIG [FOLDS] [MODEL]``

The data are a snapshot: months of tenure, and whether the subscriber has left. Read as durations, tenure is censored
where the subscriber is still there, and the question is who leaves within 6 and 12 months of joining; the logistic
regression of each horizon (statsmodels) has the same columns, and as weights the inverse probabilities of being
followed, given the columns (`benchmarks.tasks.censoring`), by which both forecasts are scored.
Read as one month at risk for everybody (``flag``), the question is who is marked as left, given tenure as well; the
logistic regression then also has tenure and its logarithm, and the model's life table begins at each tenure.
"""

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm

from benchmarks.tasks.censoring import fit_following, weigh
from cvmlib.churn import metrics
from cvmlib.churn.lifetimes import Lifetimes, lay_out
from cvmlib.churn.metrics import Outcomes, Steps
from cvmlib.churn.outlook import risks_of, take_draws
from cvmlib.churn.prepare import load_unit, prepare_unit
from cvmlib.churn.retention_model import RetentionFit, fit
from cvmlib.inference import Sampling
from cvmlib.portfolio import read_portfolio

HORIZONS = np.array([6.0, 12.0])
RESAMPLES, TAILS = 1000, (0.05, 0.95)
SEED = 1
SAMPLING = Sampling(draws=2000, tune=1000, chains=4, seed=SEED)
ALL = Steps(np.zeros(0), np.zeros(0))  # everybody is followed: what weights have made up for


def read_rows(config: Path) -> tuple[pd.DataFrame, list[str]]:
    """One row per subscriber, from the counts by covariate pattern, and the names of the covariates."""
    portfolio = read_portfolio(config)
    unit = next(iter(portfolio.units))
    prepare_unit(portfolio, unit)
    data = load_unit(portfolio, unit)
    rows = data.pattern_counts.loc[data.pattern_counts.index.repeat(data.pattern_counts["subscriptions"])]
    return rows.assign(subscriptions=1, unit=unit).reset_index(drop=True), [one.name for one in data.covariates]


def predict_model(train: pd.DataFrame, test: pd.DataFrame, names: list[str], model: str, ahead: bool) -> np.ndarray:
    """Risk of the test rows: within each horizon, or (not `ahead`) in the month of their own tenure."""
    if ahead:  # like the logistic regressions, one model per horizon, which knows nothing of later months
        parts = [_predict(lay_out(_cut(train, int(h)), names), test, model, int(h)) for h in HORIZONS]
        return np.column_stack(parts)
    return _predict(lay_out(train.assign(entry=train["tenure"]), names), test, model, None)


def _cut(rows: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Return the rows as they would be if nobody had been followed beyond a month of tenure."""
    later = rows["tenure"] > horizon
    return rows.assign(tenure=rows["tenure"].clip(upper=horizon), churned=rows["churned"] & ~later)


def fit_surely(data: Lifetimes, model: str) -> RetentionFit:
    """Fit by the quick route, and with NUTS where that is not to be trusted."""
    quick = fit(data, model, seed=SEED)
    found = quick if quick.passed else fit(data, model, SAMPLING)
    if not found.passed:
        raise RuntimeError(found.gate.sentence())
    return found


def _predict(data: Lifetimes, test: pd.DataFrame, model: str, horizon: int | None) -> np.ndarray:
    fitted = fit_surely(data, model)
    keys = ["unit", *data.covariates]
    blocks = test[keys].drop_duplicates().reset_index(drop=True)
    place = test[keys].merge(blocks.reset_index(names="place"), on=keys, how="left")["place"].to_numpy()
    known = replace(fitted, data=replace(data, blocks=blocks))
    risk = risks_of(known, take_draws(fitted, 400), np.arange(len(blocks)))
    first = int(data.tenures[0])
    if horizon is not None:
        return 1 - np.exp(-risk[:, :, : horizon - first + 1].sum(axis=2)).mean(axis=0)[place]
    month = np.clip(test["tenure"].to_numpy() - first, 0, risk.shape[2] - 1)
    return (-np.expm1(-risk)).mean(axis=0)[place, month]


def predict_logistic(train: pd.DataFrame, test: pd.DataFrame, names: list[str], ahead: bool) -> np.ndarray:
    """The same by logistic regression on dummy variables."""
    both = _dummies(pd.concat([train, test]), names)
    if not ahead:
        months = pd.concat([train, test])["tenure"].to_numpy(float)
        both = np.column_stack([both, months / 12, np.log(months + 0.5)])
    design = sm.add_constant(both)
    x, new = design[: len(train)], design[len(train) :]
    left = train["churned"].to_numpy(float)
    if not ahead:
        return _fit_logistic(left, x, np.ones(len(left))).predict(new)
    outcomes, found = _outcomes(train), []
    followed = fit_following(outcomes, both[: len(train)], int(HORIZONS.max()))
    for horizon in HORIZONS:
        weight = weigh(outcomes, followed, horizon)
        case, known = outcomes.event & (outcomes.time <= horizon), weight > 0
        found.append(_fit_logistic(case.astype(float)[known], x[known], weight[known]).predict(new))
    return np.column_stack(found)


def _dummies(rows: pd.DataFrame, names: list[str]) -> np.ndarray:
    return pd.get_dummies(rows[names], drop_first=True, dtype=float).to_numpy()


def _fit_logistic(left: np.ndarray, x: np.ndarray, weight: np.ndarray):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights that are no counts
        return sm.GLM(left, x, family=sm.families.Binomial(), freq_weights=weight).fit()


def _outcomes(rows: pd.DataFrame) -> Outcomes:
    return Outcomes(rows["tenure"].to_numpy(float), rows["churned"].to_numpy(bool), np.ones(len(rows)))


def score(outcomes: Outcomes, weights: np.ndarray, risk: np.ndarray, horizons: np.ndarray) -> dict[str, float]:
    """AUC, Brier score and calibration error, by horizon; `weights` as `risk`, shape (rows, horizons)."""
    found = {}
    for place, horizon in enumerate(horizons):
        forecast, at = risk[:, place], horizons[[place]]
        weighted = replace(outcomes, weight=outcomes.weight * weights[:, place])
        auc = metrics.dynamic_auc(weighted, forecast, at, ALL)[0]
        brier = metrics.brier_scores(weighted, 1 - forecast[:, None], at, ALL)[0]
        group = metrics.group_by_risk(forecast, np.ones(len(risk)))
        table = metrics.calibrate(outcomes, forecast, horizon, group)
        found |= {f"auc_{horizon:.0f}": float(auc), f"brier_{horizon:.0f}": float(brier)}
        found[f"calibration_{horizon:.0f}"] = metrics.calibration_error(table)
    return found


def compare(
    outcomes: Outcomes, weights: np.ndarray, model: np.ndarray, logistic: np.ndarray, horizons: np.ndarray
) -> dict:
    """Score both, and their differences on the same resamples of the subscribers."""
    found = {
        name: score(outcomes, weights, risk, horizons) for name, risk in (("model", model), ("logistic", logistic))
    }
    draws = []
    for one in metrics.resample(outcomes, RESAMPLES, SEED):
        ours, theirs = (score(one, weights, risk, horizons) for risk in (model, logistic))
        draws.append({key: ours[key] - theirs[key] for key in ours})
    found["difference"] = {
        key: [found["model"][key] - found["logistic"][key], *pd.DataFrame(draws)[key].quantile(list(TAILS))]
        for key in found["model"]
    }
    return found


def run(config: Path, folds: int, model: str) -> list[dict]:
    """Predict every subscriber from the other folds, and compare."""
    rows, names = read_rows(config)
    fold = np.random.default_rng(SEED).permutation(len(rows)) % folds
    found = []
    for reading, ahead in (("durations", True), ("flag", False)):
        shape = (len(rows), len(HORIZONS)) if ahead else (len(rows),)
        ours, theirs = np.empty(shape), np.empty(shape)
        for number in range(folds):
            train, test = rows[fold != number].reset_index(drop=True), rows[fold == number].reset_index(drop=True)
            ours[fold == number] = predict_model(train, test, names, model, ahead)
            theirs[fold == number] = predict_logistic(train, test, names, ahead)
        if ahead:
            outcomes = _outcomes(rows)
            followed = fit_following(outcomes, _dummies(rows, names), int(HORIZONS.max()))
            weights = np.column_stack([weigh(outcomes, followed, horizon) for horizon in HORIZONS])
            found.append({"reading": reading} | compare(outcomes, weights, ours, theirs, HORIZONS))
            continue
        flag = rows["churned"].to_numpy(bool)
        outcomes = Outcomes(np.where(flag, 1.0, 1.5), flag, np.ones(len(rows)))
        same = compare(outcomes, np.ones((len(rows), 1)), ours[:, None], theirs[:, None], np.array([1.0]))
        found.append({"reading": reading} | same)
    return found


if __name__ == "__main__":
    folds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(json.dumps(run(Path(sys.argv[1]), folds, sys.argv[3] if len(sys.argv) > 3 else "hazard")))
