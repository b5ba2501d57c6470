"""Forecast of the active subscriptions: survivors, revenue and discounted value, with the chance of each outcome.

The unit of work is a **cell**, plan x tenure: survival depends on nothing else, so a million subscribers are a few
hundred rows. Leavers of a cell are binomial draws given the hazards; a cell's subscriptions differ in price, and which
of them leave is a random choice without replacement, whose effect on sums of money is added exactly in mean and
variance (finite population), as normal noise.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.churn.retention import HazardPosterior, draw_shocks, extend_hazard


@dataclass(frozen=True)
class Terms:
    """What turns months of a subscription into value.

    Parameters
    ----------
    horizon_months : int
        Months from the end of observation that count.
    margin : float
        Share of the price that is margin.
    cost_per_month : float
        Money per active subscription and month.
    discount_rate : float
        Per year. A month's money is discounted from its middle.
    """

    horizon_months: int = 12
    margin: float = 1.0
    cost_per_month: float = 0.0
    discount_rate: float = 0.0

    @property
    def discounts(self) -> np.ndarray:
        """Discount factor of the middle of each month of the horizon, shape (months,)."""
        return (1 + self.discount_rate) ** (-(np.arange(self.horizon_months) + 0.5) / 12)


@dataclass(frozen=True)
class Forecast:
    """Draws of what the active subscriptions will do, all together and in the mean of each cell.

    Parameters
    ----------
    cells : pandas.DataFrame
        plan, tenure, subscriptions, price, price_sq: the rows behind the last axis of `survival`.
    survival : array, shape (cells, horizon_months + 1)
        Predictive probability to be active at the end of month 0, 1, …: mean over the draws.
    active : array, shape (draws, horizon_months)
        Subscriptions still active at the end of each month, an outcome per draw.
    active_by_cell : array, shape (draws, cells)
        The same at the horizon, by cell.
    revenue : array, shape (draws, horizon_months)
        Money paid in each month.
    value : array, shape (draws,)
        Discounted margin less costs over the horizon.
    billed : float
        Share of leavers whose month of leaving is billed.
    terms : Terms
        Horizon, margin, costs, discounting.
    """

    cells: pd.DataFrame
    survival: np.ndarray
    active: np.ndarray
    active_by_cell: np.ndarray
    revenue: np.ndarray
    value: np.ndarray
    billed: float
    terms: Terms


def forecast_cells(posterior: HazardPosterior, cells: pd.DataFrame, terms: Terms, seed: int = 1) -> Forecast:
    """Simulate the future of the active subscriptions, month by month.

    Parameters
    ----------
    posterior : HazardPosterior
        From `cvmlib.churn.retention.fit_hazard`.
    cells : pandas.DataFrame
        From `cvmlib.churn.counts.active_cells`: plan, tenure, subscriptions, price (sum), price_sq (sum of squares).
    terms : Terms
        Horizon, margin, costs, discounting.
    seed : int, default 1
        Seed of the outcomes.

    Returns
    -------
    Forecast
        Outcomes per draw of the posterior (parameter, shock and binomial uncertainty together).
    """
    rng = np.random.default_rng(seed)
    size, price_mean, price_var = _cell_prices(cells)
    hazard = _cell_hazards(posterior, cells, terms.horizon_months)
    shocks = draw_shocks(posterior, terms.horizon_months, rng)
    count = np.broadcast_to(size, (posterior.draws, len(size))).copy()
    alive = np.ones(count.shape)
    shape = (posterior.draws, terms.horizon_months)
    survival, active, revenue = np.ones((len(size), terms.horizon_months + 1)), np.zeros(shape), np.zeros(shape)
    total, squares = np.zeros(count.shape), np.zeros(count.shape)
    paid_before = 0.0
    for month, discount in enumerate(terms.discounts):
        rate = np.clip(hazard(month) * shocks[:, month, None], 0.0, 0.99)
        stay = rng.binomial(count, 1 - rate)
        left = count - stay
        alive *= 1 - rate
        survival[:, month + 1] = alive.mean(axis=0)
        active[:, month] = stay.sum(axis=1)
        paid, paid_sq = stay + posterior.billed * left, stay + posterior.billed**2 * left
        noise = _choice_variance(paid, paid_sq, size) * price_var
        revenue[:, month] = paid @ price_mean + np.sqrt(noise.sum(axis=1)) * rng.standard_normal(posterior.draws)
        months_if_left = paid_before + posterior.billed * discount
        total, squares = total + left * months_if_left, squares + left * months_if_left**2
        paid_before += discount
        count = stay
    total, squares = total + count * paid_before, squares + count * paid_before**2
    noise = np.sqrt((_choice_variance(total, squares, size) * price_var).sum(axis=1)) * terms.margin
    value = total @ (terms.margin * price_mean - terms.cost_per_month) + noise * rng.standard_normal(posterior.draws)
    return Forecast(cells, survival, active, count, revenue, value, posterior.billed, terms)


def _cell_prices(cells: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Size, mean price and variance of the price (n - 1) of each cell."""
    size = cells["subscriptions"].to_numpy(np.int64)
    mean = cells["price"].to_numpy(float) / np.maximum(size, 1)
    spread = cells["price_sq"].to_numpy(float) - size * mean**2
    return size, mean, np.maximum(spread, 0.0) / np.maximum(size - 1, 1)


def _choice_variance(total: np.ndarray, squares: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Sum of squared deviations of the outcomes within a cell.

    Outcomes x, with sum `total` and sum of squares `squares`, fall on the subscriptions of a cell at random: the sum of
    price x outcome then has variance ``s2(price) * sum((x - mean(x))**2)`` with ``s2`` over n - 1.
    """
    return np.maximum(squares - total**2 / np.maximum(size, 1), 0.0)


def _cell_hazards(posterior: HazardPosterior, cells: pd.DataFrame, horizon: int):
    """Return a function month -> hazard draws of each cell, shape (draws, cells).

    The first month to come of a subscriber with tenure k is month k + 1 of the life table. A plan that the posterior
    does not know has the mean hazard of all plans, weighted by those at risk.
    """
    tenure = cells["tenure"].to_numpy(np.int64)
    longest = int(tenure.max(initial=0)) + horizon + 2
    hazard = extend_hazard(posterior, longest)
    names = {name: i for i, name in enumerate(posterior.plans)}
    unknown = len(names)
    plan = np.array([names.get(name, unknown) for name in cells["plan"]], dtype=np.int64)
    if (plan == unknown).any():
        weights = posterior.at_risk.sum(axis=1) / posterior.at_risk.sum()
        hazard = np.concatenate([hazard, np.einsum("dgk,g->dk", hazard, weights)[:, None, :]], axis=1)

    def at(month: int) -> np.ndarray:
        return hazard[:, plan, tenure + 1 + month]

    return at


def score_cells(forecast: Forecast, interval: float = 0.9) -> pd.DataFrame:
    """Months to come of one subscription of each cell: expectation and predictive interval.

    The outcome of one subscription is the month in which it leaves; its distribution is known exactly (the differences
    of `Forecast.survival`), so the interval needs no simulation.

    Parameters
    ----------
    forecast : Forecast
        From `forecast_cells`.
    interval : float, default 0.9
        Probability of the predictive interval.

    Returns
    -------
    pandas.DataFrame
        plan, tenure, subscriptions; p_active (probability to be active at the horizon); expected_months (monthly
        payments within the horizon) with _low and _high (outcome); discounted_months with _low and _high: the same,
        each payment times its discount factor.
    """
    survival, terms = forecast.survival, forecast.terms
    frame = forecast.cells[["plan", "tenure", "subscriptions"]].reset_index(drop=True)
    frame["p_active"] = survival[:, -1]
    leaving = -np.diff(survival, axis=1)
    chances = np.column_stack([leaving, survival[:, -1]]).cumsum(axis=1)
    tails = ((1 - interval) / 2, (1 + interval) / 2)
    for name, weights in (("expected_months", np.ones(terms.horizon_months)), ("discounted_months", terms.discounts)):
        before = np.concatenate([[0.0], np.cumsum(weights)])
        outcomes = np.append(before[:-1] + forecast.billed * weights, before[-1])
        frame[name] = survival[:, 1:] @ weights + leaving @ (forecast.billed * weights)
        for tail, suffix in zip(tails, ("low", "high"), strict=True):
            place = np.minimum((chances < tail - 1e-12).sum(axis=1), len(outcomes) - 1)
            frame[f"{name}_{suffix}"] = outcomes[place]
    return frame


def summarise_draws(draws: np.ndarray, interval: float = 0.9) -> dict[str, float]:
    """Mean and central interval of draws: ``{"mean", "low", "high"}``."""
    low, high = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])
    return {"mean": float(draws.mean()), "low": float(low), "high": float(high)}


def share_extrapolated(forecast: Forecast, months: int) -> float:
    """Share of the forecast subscription-months that lie beyond the observed tenures (`months` of them)."""
    tenure = forecast.cells["tenure"].to_numpy()[:, None] + 1 + np.arange(forecast.terms.horizon_months)
    expected = forecast.survival[:, 1:] * forecast.cells["subscriptions"].to_numpy()[:, None]
    return float((expected * (tenure >= months)).sum() / max(expected.sum(), 1e-12))
