"""Which retention model a unit's own subscribers speak for: leave-one-out prediction from the weighted rows.

All subscribers of a row have one likelihood, so one importance ratio per draw and row leaves any of them out, and the
expected log predictive density of a unit is a sum over rows weighted by their subscriptions (Vehtari, Gelman and Gabry
2017, *Statistics and Computing* 27). The models state probabilities of the same months, so they can be compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from arviz_stats.base import array_stats
from scipy import special

from cvmlib.churn.outlook import risks_of, take_draws
from cvmlib.churn.retention_model import TITLES, RetentionFit, parameter_names

Array = npt.NDArray[np.float64]

_CELLS = 2_000_000  # log-likelihoods (draws x rows) held at once
_FLAT = 0.05  # log-likelihoods of a row that differ by less over all draws need no smoothing
DOUBTFUL = 0.01
"""Share of subscriptions with a Pareto k beyond the limit that makes a comparison doubtful."""


@dataclass(frozen=True)
class LeaveOneOut:
    """Leave-one-out prediction of a unit's subscriptions: arrays by row of `Lifetimes.rows`.

    Parameters
    ----------
    elpd : array, shape (rows,)
        Expected log predictive density of one subscription of each row.
    pareto_k : array, shape (rows,)
        Shape of the tail of the importance ratios; zero where they hardly differ.
    subscriptions : array, shape (rows,)
        Subscriptions of each row.
    draws : int
        Posterior draws used.
    """

    elpd: Array
    pareto_k: Array
    subscriptions: Array
    draws: int

    @property
    def total(self) -> float:
        """Expected log predictive density of the unit."""
        return float(self.subscriptions @ self.elpd)

    @property
    def bad_share(self) -> float:
        """Share of the subscriptions whose Pareto k is beyond what so many draws bear (at most 0.7)."""
        limit = min(1.0 - 1.0 / np.log10(max(self.draws, 11)), 0.7)
        return float(np.average(self.pareto_k > limit, weights=self.subscriptions))


def leave_one_out(fit: RetentionFit, unit: str, draws: int = 1000) -> LeaveOneOut:
    """Predict each subscription of a unit from the others, by Pareto-smoothed importance sampling.

    Parameters
    ----------
    fit : RetentionFit
        The fitted model.
    unit : str
        The unit.
    draws : int
        Posterior draws, thinned evenly.
    """
    rows = fit.data.customers(unit)
    values = take_draws(fit, draws)
    elpd, k = np.zeros(len(rows)), np.zeros(len(rows))
    blocks, place = np.unique(rows["block"], return_inverse=True)
    size = len(values["log_risk"])
    step = max(_CELLS // (size * len(fit.data.tenures)), 1)
    for start in range(0, len(blocks), step):
        chosen = np.flatnonzero((place >= start) & (place < start + step))
        risk = risks_of(fit, values, blocks[start : start + step])
        part = rows.iloc[chosen].assign(block=place[chosen] - start)
        for few in np.array_split(np.arange(len(chosen)), max(len(chosen) * size // _CELLS, 1)):
            log_likelihood = row_log_likelihood(risk, part.iloc[few], int(fit.data.tenures[0]))
            elpd[chosen[few]], k[chosen[few]] = _smooth(log_likelihood)
    return LeaveOneOut(elpd, k, rows["subscriptions"].to_numpy(float), size)


def row_log_likelihood(risk: Array, rows: pd.DataFrame, first: int) -> Array:
    """Log-likelihood of one subscription of each row.

    Parameters
    ----------
    risk : array, shape (draws, blocks, months)
        Growth of the cumulative risk of leaving.
    rows : pandas.DataFrame
        block (along the second axis), entry, tenure (months), left.
    first : int
        Tenure of the first month.

    Returns
    -------
    array, shape (draws, rows)
    """
    block, left = rows["block"].to_numpy(), rows["left"].to_numpy(bool)
    reached = np.concatenate([np.zeros((*risk.shape[:2], 1)), risk.cumsum(axis=2)], axis=2)
    end = np.maximum(rows["tenure"].to_numpy() + 1 - first, 0)
    begin = np.minimum(np.maximum(rows["entry"].to_numpy() - first, 0), end)
    stayed = reached[:, block, begin] - reached[:, block, end]
    if not left.any():
        return stayed
    last = np.maximum(risk[:, block[left], end[left] - 1], 1e-12)
    stayed[:, left] += last + np.log(-np.expm1(-last))
    return stayed


def _smooth(log_likelihood: Array) -> tuple[Array, Array]:
    """Leave-one-out density and Pareto k of each row; rows that hardly differ over the draws are not smoothed."""
    top, bottom = log_likelihood.max(axis=0), log_likelihood.min(axis=0)
    with np.errstate(divide="ignore"):
        elpd = top - np.log(np.exp(top - log_likelihood).mean(axis=0))
    k = np.zeros(log_likelihood.shape[1])
    uneven = np.flatnonzero(top - bottom >= _FLAT)
    if len(uneven):
        each = np.ascontiguousarray(log_likelihood[:, uneven].T)
        log_weights, found = array_stats.psislw(each)
        elpd[uneven] = special.logsumexp(log_weights + each, axis=1)
        k[uneven] = np.where(np.isfinite(found), found, np.inf)
    return elpd, k


def rank(fits: Mapping[str, RetentionFit], draws: int = 1000) -> pd.DataFrame:
    """Rank the models of every unit by leave-one-out prediction.

    Parameters
    ----------
    fits : mapping of str to RetentionFit
        By the name of the model, on the same data.
    draws : int
        Posterior draws.

    Returns
    -------
    pandas.DataFrame
        Per unit, best first: unit, model (words), elpd, difference to the best and its paired standard error
        difference_se (over subscriptions), parameters, bad_k (share of the subscriptions).
    """
    table = []
    for unit in next(iter(fits.values())).data.units:
        scored = {name: leave_one_out(fit, unit, draws) for name, fit in fits.items()}
        order = sorted(scored, key=lambda name: -scored[name].total)
        best = scored[order[0]]
        for name in order:
            one = scored[name]
            table.append({
                "unit": unit,
                "model": TITLES[name],
                "elpd": one.total,
                "difference": one.total - best.total,
                "difference_se": _standard_error(one.elpd - best.elpd, one.subscriptions),
                "parameters": _count_parameters(fits[name]),
                "bad_k": one.bad_share,
            })  # fmt: skip
    return pd.DataFrame(table)


def _count_parameters(fit: RetentionFit) -> int:
    """Parameters of a unit, but for the effects, which all models have."""
    posterior = fit.trace["posterior"]
    more = sum(posterior[key].shape[-1] for key in ("drift", "smooth") if key in posterior)
    return len(parameter_names(fit.name, fit.data)) + more


def _standard_error(each: Array, subscriptions: Array) -> float:
    number = float(subscriptions.sum())
    deviation = each - np.average(each, weights=subscriptions)
    return float(np.sqrt(number / max(number - 1.0, 1.0) * (subscriptions @ deviation**2)))


def choose(table: pd.DataFrame) -> pd.DataFrame:
    """Choose a model per unit: the best, or one with fewer parameters within one standard error of the difference.

    Parameters
    ----------
    table : pandas.DataFrame
        From `rank`.

    Returns
    -------
    pandas.DataFrame
        unit, model (words), reason (a sentence).
    """
    chosen = []
    for unit, ranked in table.groupby("unit", sort=False):
        best = ranked.iloc[0]
        near = ranked[-ranked["difference"] <= ranked["difference_se"]]
        simpler = near[near["parameters"] < best["parameters"]].sort_values("parameters", kind="stable")
        winner = best if simpler.empty else simpler.iloc[0]
        chosen.append({"unit": unit, "model": winner["model"], "reason": _explain(ranked, best, winner)})
    return pd.DataFrame(chosen, columns=["unit", "model", "reason"])


def _explain(ranked: pd.DataFrame, best: pd.Series, winner: pd.Series) -> str:
    if len(ranked) == 1:
        reason = f"{winner['model']} is the only model that was fitted"
    elif winner["model"] == best["model"]:
        second = ranked.iloc[1]
        lead = -second["difference"]
        close = "" if lead > second["difference_se"] else ", so close that the data hardly tell them apart"
        reason = (
            f"{winner['model']} predicts subscribers left out best: its log predictive density is {lead:.1f} above "
            f"that of {second['model']} (standard error {second['difference_se']:.1f}){close}"
        )
    else:
        reason = (
            f"{winner['model']} is chosen for its fewer parameters ({winner['parameters']} against "
            f"{best['parameters']}): {best['model']} predicts subscribers left out better by "
            f"{-winner['difference']:.1f} only (standard error {winner['difference_se']:.1f})"
        )
    if winner["bad_k"] >= DOUBTFUL:
        reason += f"; for {winner['bad_k']:.0%} of the subscribers this is itself uncertain (Pareto k too high)"
    return reason + "."
