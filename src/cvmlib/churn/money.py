r"""From the hazard to money: value, value at risk, the cost of a point of churn, the elasticity of value to retention.

Everything is reckoned in **discounted months**: the sum of the discount factors of the monthly payments of one
subscription over the horizon. Money is discounted months times the monthly margin less costs, so that customers of one
cell share one number, whatever they pay. With hazards :math:`\lambda_m` of the months to come,
:math:`S_m = \prod_{j<m}(1 - \lambda_j)`, discount factors :math:`D_m` and the share *b* of leavers whose last month is
still billed,

.. math:: M = \sum_m D_m \left[S_{m+1} + b\, S_m \lambda_m\right].

Who leaves in month *m* instead of going on like the others who stayed loses

.. math:: R_m = (1 - b) D_m + \frac{1}{S_{m+1}} \sum_{j > m} D_j \left[S_{j+1} + b\, S_j \lambda_j\right],

and :math:`\sum_{m<w} S_m \lambda_m R_m` is what leaving within *w* months is expected to cost: the value at risk.
Those who are kept are taken to go on like others of their tenure. Retention raised by a factor :math:`1 + \epsilon` in
every month has elasticity :math:`\mathrm{d} \log V / \mathrm{d} \epsilon`, exact at zero.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.churn.forecast import Terms, summarise_draws
from cvmlib.churn.retention import HazardPosterior, draw_shocks, extend_hazard

LARGEST = 1e7
"""Numbers of an outlook held at once; more cells take fewer draws."""
POINT = 0.01


@dataclass(frozen=True)
class Outlook:
    """Hazards of the active subscriptions in the months to come.

    Parameters
    ----------
    cells : pandas.DataFrame
        Key columns (plan, tenure, …), subscriptions, price (sum), price_sq (sum of squares): one row per cell.
    hazard : array, shape (draws, cells, months)
        Probability to leave in each month to come of those still there, with what all share in a calendar month.
    billed : float
        Share of leavers whose month of leaving is billed.
    terms : Terms
        Horizon (the months of `hazard`), margin, costs, discounting.
    """

    cells: pd.DataFrame
    hazard: np.ndarray
    billed: float
    terms: Terms

    @property
    def monthly(self) -> np.ndarray:
        """Margin less costs of each cell in a month in which all its subscriptions pay, shape (cells,)."""
        size = self.cells["subscriptions"].to_numpy(float)
        return self.terms.margin * self.cells["price"].to_numpy(float) - self.terms.cost_per_month * size


def make_outlook(posterior: HazardPosterior, cells: pd.DataFrame, terms: Terms, seed: int = 1) -> Outlook:
    """Hazards to come of the active cells, a plan that the posterior does not know having the mean of all plans.

    Parameters
    ----------
    posterior : HazardPosterior
        From `cvmlib.churn.retention.fit_hazard`.
    cells : pandas.DataFrame
        From `cvmlib.churn.counts.active_cells`.
    terms : Terms
        Horizon, margin, costs, discounting.
    seed : int, default 1
        Seed of the calendar shocks to come.

    Returns
    -------
    Outlook
        With fewer draws than the posterior where the cells are many (`LARGEST`).
    """
    months, cells = terms.horizon_months, cells.reset_index(drop=True)
    tenure = cells["tenure"].to_numpy(np.int64)
    hazard = extend_hazard(posterior, int(tenure.max(initial=0)) + months + 2)
    shocks = draw_shocks(posterior, months, np.random.default_rng(seed))
    kept = np.arange(0, posterior.draws, max(1, int(np.ceil(posterior.draws * len(cells) * months / LARGEST))))
    weights = posterior.at_risk.sum(axis=1) / max(posterior.at_risk.sum(), 1.0)
    hazard = np.concatenate([hazard[kept], np.einsum("dgk,g->dk", hazard[kept], weights)[:, None, :]], axis=1)
    names = {name: place for place, name in enumerate(posterior.plans)}
    plan = np.array([names.get(name, len(names)) for name in cells["plan"]], dtype=np.int64)
    ahead = tenure[:, None] + 1 + np.arange(months)
    rate = np.clip(hazard[:, plan[:, None], ahead] * shocks[kept][:, None, :], 0.0, 0.99)
    return Outlook(cells, rate, posterior.billed, terms)


def survive(hazard: np.ndarray) -> np.ndarray:
    """Probability to be there at the end of month 0 (now), 1, 2, …, along the last axis, one longer than `hazard`."""
    return np.concatenate([np.ones((*hazard.shape[:-1], 1)), np.cumprod(1 - hazard, axis=-1)], axis=-1)


def count_months(hazard: np.ndarray, discounts: np.ndarray, billed: float) -> np.ndarray:
    """Expected discounted months *M* of one subscription.

    Parameters
    ----------
    hazard : array, shape (..., months)
        Probability to leave in each month to come.
    discounts : array, shape (months,)
        Discount factor of each month.
    billed : float
        Share of leavers whose month of leaving is billed.

    Returns
    -------
    array, shape (...)
        Discounted months.
    """
    staying = survive(hazard)
    return ((1 - billed) * staying[..., 1:] + billed * staying[..., :-1]) @ discounts


def lose_months(hazard: np.ndarray, discounts: np.ndarray, billed: float) -> np.ndarray:
    """Discounted months lost by one who leaves in each month instead of going on like those who stay, *R*.

    Returns
    -------
    array, shape (..., months)
        Decreasing to what is left of the last month.
    """
    months = hazard.shape[-1]
    later = np.zeros(hazard.shape)
    for month in range(months - 2, -1, -1):
        rate = hazard[..., month + 1]
        later[..., month] = discounts[month + 1] * (1 - (1 - billed) * rate) + (1 - rate) * later[..., month + 1]
    return (1 - billed) * discounts + later


@dataclass(frozen=True)
class Losses:
    """What leaving within a window costs, per subscription of each cell.

    Parameters
    ----------
    chance : array, shape (draws, cells)
        Probability to leave within the window (for the causes meant).
    months : array, shape (draws, cells)
        Expected discounted months lost by leaving in it, not given that one leaves.
    """

    chance: np.ndarray
    months: np.ndarray


def expect_losses(outlook: Outlook, window: int, share: np.ndarray | None = None) -> Losses:
    """Expected losses by leaving within the first months.

    Parameters
    ----------
    outlook : Outlook
        The months to come.
    window : int
        Months; no more than the horizon count.
    share : array, shape (draws, cells, months) or broadcastable, optional
        Share of the leavers of each month who leave for the cause meant; all by default.

    Returns
    -------
    Losses
        By draw and cell.
    """
    window = min(window, outlook.hazard.shape[-1])
    leaving = -np.diff(survive(outlook.hazard), axis=-1)[..., :window]
    if share is not None:
        leaving = leaving * share[..., :window]
    lost = lose_months(outlook.hazard, outlook.terms.discounts, outlook.billed)[..., :window]
    return Losses(leaving.sum(axis=-1), (leaving * lost).sum(axis=-1))


def draw_losses(outlook: Outlook, losses: Losses, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes per draw and cell: how many leave within the window, and the money lost with them.

    Which subscriptions of a cell leave is chance, and they differ in price: the sum of the prices of those who leave
    has the mean and variance of a draw without replacement.

    Returns
    -------
    leavers, money : array, shape (draws, cells)
        Subscriptions; discounted money.
    """
    rng = np.random.default_rng(seed)
    size = outlook.cells["subscriptions"].to_numpy(np.int64)
    mean = outlook.cells["price"].to_numpy(float) / np.maximum(size, 1)
    spread = np.maximum(outlook.cells["price_sq"].to_numpy(float) - size * mean**2, 0.0) / np.maximum(size - 1, 1)
    leavers = rng.binomial(size, np.clip(losses.chance, 0.0, 1.0))
    noise = np.sqrt(spread * leavers * (size - leavers) / np.maximum(size, 1)) * rng.standard_normal(leavers.shape)
    monthly = outlook.terms.margin * (leavers * mean + noise) - outlook.terms.cost_per_month * leavers
    each = np.divide(losses.months, losses.chance, out=np.zeros_like(losses.months), where=losses.chance > 0)
    return leavers, monthly * each


def draw_survivors(outlook: Outlook, seed: int = 1) -> np.ndarray:
    """Subscriptions still there at the end of each month to come, an outcome per draw: shape (draws, months)."""
    rng = np.random.default_rng(seed)
    count = np.broadcast_to(outlook.cells["subscriptions"].to_numpy(np.int64), outlook.hazard.shape[:2])
    there = np.zeros((outlook.hazard.shape[0], outlook.hazard.shape[2]))
    for month in range(outlook.hazard.shape[2]):
        count = rng.binomial(count, 1 - outlook.hazard[..., month])
        there[:, month] = count.sum(axis=1)
    return there


def value_draws(outlook: Outlook, change: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """Expected value of all active subscriptions per draw, with the hazards as they are or changed.

    Returns
    -------
    array, shape (draws,)
        Discounted money over the horizon.
    """
    hazard = outlook.hazard if change is None else np.clip(change(outlook.hazard), 0.0, 1.0)
    return count_months(hazard, outlook.terms.discounts, outlook.billed) @ outlook.monthly


def differentiate_value(outlook: Outlook) -> np.ndarray:
    """Elasticity of the value to retention: per cent of value by one per cent more of those who stay each month.

    Returns
    -------
    array, shape (draws,)
        Exact derivative of the log of the value.
    """
    staying = survive(outlook.hazard)
    after = np.arange(staying.shape[-1])
    gain = (1 - outlook.billed) * (staying * after)[..., 1:] + outlook.billed * (staying * after)[..., :-1]
    return gain @ outlook.terms.discounts @ outlook.monthly / value_draws(outlook)


def tabulate_levers(outlook: Outlook, interval: float = 0.9) -> pd.DataFrame:
    """Tabulate what more or less churn would do to the value of the active subscriptions.

    Returns
    -------
    pandas.DataFrame
        lever ("value", "point": a percentage point more of those there leave every month, "tenth": one leaver in ten
        fewer, "elasticity"), mean, low, high: money, the last one a ratio. Intervals of expectations.
    """
    value = value_draws(outlook)
    draws = {
        "value": value,
        "point": value_draws(outlook, lambda hazard: hazard + POINT) - value,
        "tenth": value_draws(outlook, lambda hazard: 0.9 * hazard) - value,
        "elasticity": differentiate_value(outlook),
    }
    return pd.DataFrame([{"lever": name} | summarise_draws(found, interval) for name, found in draws.items()])


def tabulate_risk(
    outlook: Outlook, losses: Losses, by: dict[str, np.ndarray], interval: float = 0.9, seed: int = 1
) -> pd.DataFrame:
    """Tabulate who will leave within the window and what is lost with them, by segment and in all.

    Parameters
    ----------
    outlook, losses : Outlook, Losses
        The months to come, and from `expect_losses`.
    by : dict of str to array, shape (cells,)
        Columns that name the segment of each cell.
    interval : float, default 0.9
        Probability of the intervals, which hold outcomes.
    seed : int, default 1
        Seed of the outcomes.

    Returns
    -------
    pandas.DataFrame
        The columns of `by` (missing in the first row, which is for all), subscriptions, leavers with _low and _high,
        lost with _low and _high (money), value (expected, money), share (lost of the value).
    """
    leavers, money = draw_losses(outlook, losses, seed)
    value = count_months(outlook.hazard, outlook.terms.discounts, outlook.billed).mean(axis=0) * outlook.monthly
    size = outlook.cells["subscriptions"].to_numpy()
    groups = pd.DataFrame({name: np.asarray(values) for name, values in by.items()})
    places = [((None,) * len(by), np.arange(len(groups)))]
    places += [(key, part.index.to_numpy()) for key, part in groups.groupby(list(by), sort=True)]
    rows = []
    for key, index in places:
        row = dict(zip(by, key, strict=True))
        row["subscriptions"] = int(size[index].sum())
        for name, draws in (("leavers", leavers), ("lost", money)):
            found = summarise_draws(draws[:, index].sum(axis=1), interval)
            row |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        row["value"] = float(value[index].sum())
        row["share"] = row["lost"] / row["value"] if row["value"] > 0 else np.nan
        rows.append(row)
    whole = {name: "Int64" for name in by if groups[name].dtype.kind in "iu"}
    return pd.DataFrame(rows).astype(whole)


def tabulate_lifetimes(outlook: Outlook, by: dict[str, np.ndarray], interval: float = 0.9) -> pd.DataFrame:
    """Tabulate how long one subscription picked from each segment will stay, cut at the months of the outlook.

    Returns
    -------
    pandas.DataFrame
        The columns of `by`, subscriptions, lifetime (expected months to come, those beyond the outlook not counted),
        lifetime_low, lifetime_median, lifetime_high (months; outcomes; the length of the outlook means "that or
        longer").
    """
    size = outlook.cells["subscriptions"].to_numpy(float)
    staying = survive(outlook.hazard).mean(axis=0) * size[:, None]
    rows = []
    for key, part in pd.DataFrame({n: np.asarray(values) for n, values in by.items()}).groupby(list(by), sort=True):
        curve = staying[part.index].sum(axis=0) / size[part.index].sum()
        row = dict(zip(by, key, strict=True)) | {"subscriptions": int(size[part.index].sum())}
        row["lifetime"] = float(curve[1:].sum())
        for name, chance in (("low", (1 - interval) / 2), ("median", 0.5), ("high", (1 + interval) / 2)):
            row[f"lifetime_{name}"] = int((1 - curve[1:] < chance).sum())
        rows.append(row)
    return pd.DataFrame(rows)
