"""Which purchase model a unit's own customers speak for: leave-one-out and holdout prediction, from count rows.

All customers of a count row have one likelihood, so one importance ratio per draw and row leaves any of them out, and
the expected log predictive density of a unit is a sum over rows weighted by their customers (Vehtari, Gelman and Gabry
2017, *Statistics and Computing* 27). It is a density of purchase **times** in days, which is what makes models
comparable: the families of `cvmlib.clv.families` state theirs per day. A model that sees other times or more of them
brings an adjustment per unit: for a calendar the sum over purchases of the log intensity (the Jacobian of operational
time), for Erlang timing the sum over purchases of the log gap terms that the counts do not hold. Models of discrete
opportunities (BG/BB) state probabilities, not densities, and cannot be ranked among the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from arviz_stats.base import array_stats
from scipy import special

from cvmlib.clv.purchase_model import Draws, PurchaseFit
from cvmlib.clv.scores import score_rows, summarise_scores

Array = npt.NDArray[np.float64]

_CELLS = 4_000_000  # log-likelihoods (draws x rows) held at once
_MEAN_DRAWS = 100  # for expectations, which are exact given the parameters
_FLAT = 0.05  # log-likelihoods of a row that differ by less over all draws need no smoothing
#: Customers of this share or more with a k beyond the limit make a model's elpd doubtful.
DOUBTFUL = 0.01


@dataclass(frozen=True)
class LeaveOneOut:
    """Leave-one-out prediction of the customers of one unit under one model.

    Parameters
    ----------
    elpd : array, shape (rows,)
        Expected log predictive density of one customer of each row.
    effective : array, shape (rows,)
        What leaving the customer out costs: density with him less density without; their sum is the effective number
        of parameters.
    pareto_k : array, shape (rows,)
        Shape of the tail of the importance ratios; zero where they hardly differ.
    customers : array, shape (rows,)
        Customers of each row.
    draws : int
        Posterior draws used.
    adjustment : float
        Log Jacobian and gap terms of all customers together.
    """

    elpd: Array
    effective: Array
    pareto_k: Array
    customers: Array
    draws: int
    adjustment: float = 0.0

    @property
    def total(self) -> float:
        """Expected log predictive density of the unit."""
        return float(self.customers @ self.elpd) + self.adjustment

    @property
    def standard_error(self) -> float:
        """Standard error of `total` over customers."""
        return _standard_error(self.elpd, self.customers)

    @property
    def bad_share(self) -> float:
        """Share of the customers whose Pareto k is beyond what so many draws bear (at most 0.7)."""
        limit = min(1.0 - 1.0 / np.log10(max(self.draws, 11)), 0.7)
        return float(np.average(self.pareto_k > limit, weights=self.customers))

    def better_than(self, other: "LeaveOneOut") -> tuple[float, float]:
        """Difference of the totals to those of `other`, and its standard error, paired by customer."""
        if len(self.elpd) != len(other.elpd) or not np.array_equal(self.customers, other.customers):
            raise ValueError("The models were given different customers; the rows must be the same, in the same order.")
        return self.total - other.total, _standard_error(self.elpd - other.elpd, self.customers)


def _standard_error(each: Array, customers: Array) -> float:
    n = float(customers.sum())
    deviation = each - np.average(each, weights=customers)
    return float(np.sqrt(n / max(n - 1.0, 1.0) * (customers @ deviation**2)))


def leave_one_out(rows: pd.DataFrame, draws: Draws, *, adjustment: float = 0.0) -> LeaveOneOut:
    """Predict each customer of a unit from the others, by Pareto-smoothed importance sampling.

    Parameters
    ----------
    rows : DataFrame
        ``frequency``, ``recency``, ``T`` (days, of operational time where the fit was), ``customers`` of one unit.
    draws : Draws
        Posterior draws of the unit, nearly independent (thinned): their relative efficiency is taken as 1.
    adjustment : float
        Sum over the unit's purchases of what the counts do not hold (see the module).
    """
    x, t_x, age, n = (rows[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T", "customers"))
    elpd, effective, k = (np.empty(len(rows)) for _ in range(3))
    step = max(_CELLS // len(draws), 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        log_likelihood = draws.family.log_likelihood(x[part], t_x[part], age[part], *draws.column())
        elpd[part], effective[part], k[part] = smooth(log_likelihood)
    return LeaveOneOut(elpd, effective, k, n, len(draws), adjustment)


def smooth(log_likelihood: Array) -> tuple[Array, Array, Array]:
    """Leave-one-out density, cost and Pareto k of each row, from log-likelihoods of shape (draws, rows).

    Where the log-likelihoods of a row differ by less than 0.05 over the draws, the raw ratios are used, which differ
    from the smoothed ones by less than that: k is not estimated and stated as 0.
    """
    top, bottom = log_likelihood.max(axis=0), log_likelihood.min(axis=0)
    relative = np.exp(log_likelihood - top)
    with_him = top + np.log(relative.mean(axis=0))
    with np.errstate(divide="ignore"):  # only where the row is smoothed below
        elpd = top - np.log((1.0 / relative).mean(axis=0))
    k = np.zeros(log_likelihood.shape[1])
    uneven = np.flatnonzero(top - bottom >= _FLAT)
    if len(uneven):
        each = np.ascontiguousarray(log_likelihood[:, uneven].T)
        log_weights, found = array_stats.psislw(each)
        elpd[uneven] = special.logsumexp(log_weights + each, axis=1)
        k[uneven] = np.where(np.isfinite(found), found, np.inf)
    return elpd, with_him - elpd, k


def compare(
    models: Mapping[str, PurchaseFit],
    rows: pd.DataFrame | Mapping[str, pd.DataFrame],
    adjustments: Mapping[str, Mapping[str, float]] | None = None,
    *,
    draws: int = 1000,
) -> dict[str, dict[str, LeaveOneOut]]:
    """Leave-one-out prediction of every unit under every model.

    Parameters
    ----------
    models : mapping of str to PurchaseFit
        Fitted models, by name.
    rows : DataFrame or mapping of str to DataFrame
        ``unit``, ``frequency``, ``recency``, ``T``, ``customers``; by model where their times differ, with the same
        customers in the same order.
    adjustments : mapping of str to mapping of str to float, optional
        By model and unit, the log Jacobian of its calendar and its gap terms; 0 where there is none.
    draws : int
        Posterior draws to use.

    Returns
    -------
    dict
        By unit and model.

    Raises
    ------
    ValueError
        Models of times and models of opportunities are mixed, or the models were given different customers.
    """
    timed = {name: fit.family.measures_time for name, fit in models.items()}
    if len(set(timed.values())) > 1:
        discrete = ", ".join(name for name, is_timed in timed.items() if not is_timed)
        raise ValueError(f"{discrete} counts opportunities, the other models measure time: they cannot be compared.")
    found: dict[str, dict[str, LeaveOneOut]] = {}
    for name, fit in models.items():
        table = rows if isinstance(rows, pd.DataFrame) else rows[name]
        for unit, mine in table.groupby("unit", sort=True):
            adjustment = (adjustments or {}).get(name, {}).get(unit, 0.0)
            one = leave_one_out(mine, fit.draws(str(unit), draws), adjustment=adjustment)
            found.setdefault(str(unit), {})[name] = one
    return found


def score_models(
    models: Mapping[str, PurchaseFit],
    rows: pd.DataFrame | Mapping[str, pd.DataFrame],
    horizons: float | Mapping[str, Mapping[str, Array]],
    *,
    draws: int = 400,
    seed: int = 1,
) -> pd.DataFrame:
    """Score every model's forecast of the holdout, for `rank`.

    Parameters
    ----------
    models, rows
        As for `compare`, of models fitted to the calibration; the rows have ``holdout_frequency``.
    horizons : float or mapping of str to mapping of str to array
        Days of the holdout; by model and unit where the model has a calendar, its operational time, one value or one
        per draw.
    draws : int
        Posterior draws to simulate.
    seed : int
        Seed of the simulation.

    Returns
    -------
    DataFrame
        ``unit``, ``model`` and the figures of `cvmlib.clv.scores.Scores`.
    """
    table = []
    for name, fit in models.items():
        all_rows = rows if isinstance(rows, pd.DataFrame) else rows[name]
        for unit, mine in all_rows.groupby("unit", sort=True):
            horizon = horizons[name][unit] if isinstance(horizons, Mapping) else horizons
            rng = np.random.default_rng(seed)
            scored = score_forecast(mine, fit.draws(str(unit), draws), horizon, rng)
            table.append({"unit": str(unit), "model": name} | summarise_scores(scored, mine["customers"]).as_dict())
    return pd.DataFrame(table)


def score_forecast(rows: pd.DataFrame, draws: Draws, horizon: float | Array, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate the holdout of one customer of each row under every draw, and reduce that to `scores.score_rows`.

    Parameters
    ----------
    rows : DataFrame
        ``frequency``, ``recency``, ``T``, ``holdout_frequency`` of one unit.
    draws : Draws
        Posterior draws of the unit.
    horizon : float or array, shape (draws,)
        Length of the holdout, in the time of the draws.
    rng : numpy Generator
        Source of randomness.
    """
    ahead = np.broadcast_to(np.asarray(horizon, dtype=float), len(draws)).copy()
    few = np.linspace(0, len(draws) - 1, min(_MEAN_DRAWS, len(draws))).round().astype(int)
    edges, parameters = np.column_stack([np.zeros(len(few)), ahead[few]]), [value[few] for value in draws.values]
    step = max(_CELLS // len(draws), 1)
    parts = []
    for start in range(0, len(rows), step):
        part = rows.iloc[start : start + step]
        counts = [part[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T")]
        samples = draws.family.simulate_future(ahead, *counts, *draws.values, rng)
        mean = draws.family.forecast(edges, *counts, *parameters)[0][0].mean(axis=0)
        parts.append(score_rows(samples, part["holdout_frequency"], mean=mean))
    return pd.concat(parts, ignore_index=True)


def rank(
    models: Mapping[str, PurchaseFit],
    rows: pd.DataFrame | Mapping[str, pd.DataFrame],
    adjustments: Mapping[str, Mapping[str, float]] | None = None,
    *,
    parameters: Mapping[str, int] | None = None,
    scores: pd.DataFrame | None = None,
    draws: int = 1000,
) -> pd.DataFrame:
    """Rank the models of every unit by leave-one-out prediction.

    Parameters
    ----------
    models, rows, adjustments, draws
        As for `compare`.
    parameters : mapping of str to int, optional
        Parameters of a unit under each model, for parsimony; by default those of its family, its constant among them.
    scores : DataFrame, optional
        Holdout scores with ``unit`` and ``model`` (see `score_models`), joined to the table.

    Returns
    -------
    DataFrame
        Per unit, best first: ``unit``, ``model``, ``elpd`` and its standard error ``se`` (over customers),
        ``difference`` to the best and its paired ``difference_se``, ``parameters``, ``effective`` number of them,
        ``bad_k`` (share of the customers), then the holdout scores.
    """
    table = []
    for unit, by_model in compare(models, rows, adjustments, draws=draws).items():
        order = sorted(by_model, key=lambda name: -by_model[name].total)
        for name in order:
            one = by_model[name]
            difference, error = one.better_than(by_model[order[0]])
            table.append(
                {
                    "unit": unit,
                    "model": name,
                    "elpd": one.total,
                    "se": one.standard_error,
                    "difference": difference,
                    "difference_se": error,
                    "parameters": (parameters or {}).get(name, _count_parameters(models[name])),
                    "effective": float(one.customers @ one.effective),
                    "bad_k": one.bad_share,
                }
            )
    frame = pd.DataFrame(table)
    return frame if scores is None else frame.merge(scores, on=["unit", "model"], how="left", validate="one_to_one")


def _count_parameters(fit: PurchaseFit) -> int:
    return len(fit.family.parameters) + bool(fit.family.constant)


def choose(table: pd.DataFrame, order: Sequence[str] | None = None) -> pd.DataFrame:
    """Choose a model per unit: the best, or a preferred one within one standard error of the difference.

    Parameters
    ----------
    table : DataFrame
        Result of `rank`.
    order : sequence of str, optional
        Models, the preferred first, where they have equally many parameters; by default none is. With fewer
        parameters a model is always preferred.

    Returns
    -------
    DataFrame
        ``unit``, ``model``, ``reason`` (a sentence).
    """
    place = {name: number for number, name in enumerate(order or [])}
    chosen = []
    for unit, ranked in table.groupby("unit", sort=True):
        ranked = ranked.sort_values("elpd", ascending=False, kind="stable")
        best = ranked.iloc[0]
        near = ranked[-ranked["difference"] <= ranked["difference_se"]]
        ranks = [(row["parameters"], place.get(row["model"], 0)) for _, row in near.iterrows()]
        winner = near.iloc[ranks.index(min(ranks))]
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
            f"{winner['model']} predicts customers left out best: its log predictive density is {lead:.1f} above that "
            f"of {second['model']} (standard error {second['difference_se']:.1f}){close}"
        )
    else:
        fewer = f" for its fewer parameters ({winner['parameters']} against {best['parameters']})"
        why = fewer if winner["parameters"] < best["parameters"] else ", which is preferred where the evidence is close"
        reason = (
            f"{winner['model']} is chosen{why}: {best['model']} predicts customers left out better by "
            f"{-winner['difference']:.1f} only (standard error {winner['difference_se']:.1f})"
        )
    if winner["bad_k"] >= DOUBTFUL:
        reason += (
            f"; for {winner['bad_k']:.0%} of the customers that prediction is itself uncertain (Pareto k too high)"
        )
    return reason + "."
