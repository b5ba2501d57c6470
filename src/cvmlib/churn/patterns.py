"""Outlook of the active subscriptions by covariate pattern, where a retention model with covariates was fitted.

The cells are pattern x plan x tenure, so that two subscribers of one plan and tenure who differ in what drives leaving
have risks of their own. The model's risk of choosing to leave, the chance that a payment fails (constant, as often as
so far) and the shocks that all share in a calendar month make the hazard of each month to come.
"""

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.churn.forecast import Terms
from cvmlib.churn.money import LARGEST, Outlook
from cvmlib.churn.outlook import risks_of, take_draws
from cvmlib.churn.retention import HazardPosterior, draw_shocks
from cvmlib.churn.retention_model import RetentionFit

KEYS = ("pattern", "plan", "tenure")


def count_active(spells: ir.Table) -> pd.DataFrame:
    """Count active subscriptions by pattern, plan and tenure, in the engine that holds the spells.

    Parameters
    ----------
    spells : ibis Table
        Of a prepared unit: with pattern (number).

    Returns
    -------
    pandas.DataFrame
        pattern, plan, tenure (months), subscriptions, price (sum), price_sq (sum of squares).
    """
    active = spells.filter(~spells.churned)
    table = active.group_by(*KEYS).aggregate(
        subscriptions=active.count(), price=active.price.sum(), price_sq=(active.price * active.price).sum()
    )
    return table.order_by(*KEYS).execute()


def make_pattern_outlook(
    fit: RetentionFit,
    unit: str,
    patterns: pd.DataFrame,
    cells: pd.DataFrame,
    posterior: HazardPosterior,
    terms: Terms,
    seed: int = 1,
) -> tuple[Outlook, np.ndarray]:
    """Hazards to come of the active cells, and the share of leavers who choose to.

    Parameters
    ----------
    fit : RetentionFit
        The fitted model.
    unit : str
        Unit of the cells.
    patterns : pandas.DataFrame
        pattern and the covariates.
    cells : pandas.DataFrame
        From `count_active`.
    posterior : HazardPosterior
        For the shocks of calendar months and the share of leavers whose last month is billed.
    terms : Terms
        Horizon, margin, costs, discounting.
    seed : int, default 1
        Seed of the shocks, and of the chance that payments fail.

    Returns
    -------
    outlook : Outlook
        By draw, cell and month.
    share : array, shape (draws, cells, months)
        Share of those leaving who choose to: the others' payments fail in the month.
    """
    rng, data, months = np.random.default_rng(seed), fit.data, terms.horizon_months
    draws = int(np.clip(LARGEST / max(len(cells) * months, 1), 50, min(1000, posterior.draws)))
    values = take_draws(fit, draws)
    draws = len(values["log_risk"])
    told = patterns.reindex(columns=["pattern", *data.covariates]).astype(object)  # a unit without one: empty text
    told = told.where(told.notna(), "").assign(unit=unit)
    names = ["unit", *data.covariates]
    of_pattern = told.merge(data.blocks.reset_index(names="block"), on=names, how="left")
    block = cells[["pattern"]].merge(of_pattern[["pattern", "block"]], on="pattern", how="left")["block"].to_numpy(int)
    first, tenure = int(data.tenures[0]), cells["tenure"].to_numpy(np.int64)
    start = np.maximum(tenure + 1 - first, 0)
    ahead = max(int(start.max(initial=0)) + months - len(data.tenures), 0)
    place = data.units.index(unit)
    cut = rng.beta(0.5 + data.cut_off[place], 0.5 + data.at_risk_of_it[place] - data.cut_off[place], draws)
    cut = cut[:, None, None] * float(data.cut_off[place] > 0)
    shocks = draw_shocks(posterior, months, rng)[rng.permutation(posterior.draws)[:draws]]
    chosen = np.empty((draws, len(cells), months))
    for one in np.unique(block):
        own = np.flatnonzero(block == one)
        risk = risks_of(fit, values, np.array([one]), ahead)[:, 0]
        chosen[:, own] = risk[:, start[own][:, None] + np.arange(months)]
    leaves = np.clip(-np.expm1(-chosen) * shocks[:, None, :], 0.0, 0.99)
    hazard = 1 - (1 - leaves) * (1 - cut)
    share = np.divide(leaves, hazard, out=np.ones_like(leaves), where=hazard > 0)
    return Outlook(cells.reset_index(drop=True), hazard, posterior.billed, terms), share
