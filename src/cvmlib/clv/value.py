"""From posteriors to money: what each customer, and each unit, is worth over the time ahead.

Means are exact expectations under thinned posterior draws (`cvmlib.clv.expectation`). Intervals are **predictive**:
quantiles of what this customer, or this unit, may really do, simulated from the posterior with individual noise
(`cvmlib.clv.predictive`). Both work once per distinct (frequency, recency, T) and stream, so that no array of
draws x customers is ever held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.clv.ahead import Ahead, Outlook
from cvmlib.clv.expectation import expect, group_alike
from cvmlib.clv.predictive import Pricing, simulate
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.terms import Terms

Array = npt.NDArray[np.float64]

_BUDGET, _FEWEST, _MOST = 80_000_000, 200, 1000  # simulated (draw, customer) pairs; draws, whatever the budget
#: (draw, count row) pairs of the means, and draws: 100 draws err by a tenth, 400 by a twentieth of their spread.
_MEANS_BUDGET, _FEWEST_MEANS, _MOST_MEANS = 10_000_000, 100, 400


@dataclass(frozen=True)
class Prediction:
    """Predictions of one unit.

    Parameters
    ----------
    rows : DataFrame
        The count rows with ``p_alive``, ``purchases``, ``spend`` (money per purchase), ``value`` (discounted margin)
        and, for purchases and value, ``_low`` and ``_high`` ends of the predictive interval of one customer.
    purchases, value : array, shape (draws,)
        Totals over all customers of the unit, in an order of the draws that is the same for any unit of the same fit.
        Simulated; of a unit of many customers in some draws only, from which the others are predicted (`_extend`).
    interval : float
        Probability of the intervals.
    """

    rows: pd.DataFrame
    purchases: Array
    value: Array
    interval: float

    def total(self, name: str) -> dict[str, float]:
        """Mean and forecast interval of the unit's total of ``purchases`` or ``value``: keys mean, low, high."""
        low, high = np.quantile(getattr(self, name), [(1 - self.interval) / 2, (1 + self.interval) / 2])
        mean = float(self.rows[name] @ self.rows["customers"])
        return {"mean": mean, "low": float(min(low, mean)), "high": float(max(high, mean))}


def predict(
    rows: pd.DataFrame,
    purchase: PurchaseDraws,
    spend: SpendDraws,
    terms: Terms,
    ahead: Ahead,
    *,
    seed: int,
    mean_draws: int | None = None,
) -> Prediction:
    """Predict purchases and value of every count row and of the whole unit.

    A customer's interval has the uncertainty of the parameters, of the share of returns, and of what he buys and pays;
    not that of when in the time ahead he buys, nor of how long he costs `per_customer_year`, nor whether he returns
    just these goods. The totals have the noise of the returns too.

    Parameters
    ----------
    rows : DataFrame
        ``frequency``, ``recency``, ``T`` (operational days), ``monetary_value`` (money), ``customers``; other columns
        are kept.
    purchase, spend : Draws
        Posterior draws of the unit.
    terms : Terms
        Discounting, margin, returns and costs.
    ahead : Ahead
        The horizon and its windows: purchases are discounted by the mean discount factor of their window.
    seed : int
        Seed of the simulation.
    mean_draws : int, optional
        Draws used for the means, which are exact expectations given the parameters and the calendar; by default all
        that are simulated, or as few as 100 where there are many distinct counts.

    Returns
    -------
    Prediction

    Raises
    ------
    ValueError
        `purchase`, `spend` and `ahead` have not equally many draws.
    """
    outlook, simulated = Outlook(purchase, spend, ahead).spread(_MOST), count_draws(_count(rows))
    return _predict_group(rows.reset_index(drop=True), outlook, terms, _streams(seed), simulated, mean_draws)


def predict_patterns(
    rows: pd.DataFrame,
    purchases: Mapping[str, PurchaseDraws],
    spend: SpendDraws,
    terms: Terms,
    ahead: Ahead,
    *,
    seed: int,
    mean_draws: int | None = None,
) -> Prediction:
    """Predict a unit whose customers differ by covariates: each pattern by its own draws, the unit as their sum.

    In each draw the patterns share the parameters of the unit, the spend, the calendar and the share of returns, and
    what single customers do is independent; so the interval of the total is that of the unit. A unit of one pattern
    is predicted as by `predict`.

    Parameters
    ----------
    rows : DataFrame
        As for `predict`, with ``pattern``.
    purchases : mapping of str to Draws
        Posterior draws of each pattern, the same ones (`PurchaseFit.draws_by_pattern`).
    spend, terms, ahead, seed, mean_draws
        As for `predict`.

    Returns
    -------
    Prediction
        Its rows are in the order of `rows`.

    Raises
    ------
    ValueError
        A pattern has no draws, or `purchases`, `spend` and `ahead` have not equally many.
    """
    rows = rows.reset_index(drop=True)
    absent = sorted(set(rows["pattern"]) - set(purchases))
    if absent:
        raise ValueError(f"no draws of the patterns {', '.join(map(repr, absent))}; there are {', '.join(purchases)}")
    simulated, parts = count_draws(_count(rows)), []
    for place, (pattern, mine) in enumerate(rows.groupby("pattern", sort=True)):
        outlook, streams = Outlook(purchases[pattern], spend, ahead).spread(_MOST), _streams(seed, place)
        own = _predict_group(mine.reset_index(drop=True), outlook, terms, streams, simulated, mean_draws)
        parts.append((mine.index, own))
    return combine(parts)


def combine(parts: Sequence[tuple[pd.Index, Prediction]]) -> Prediction:
    """Put the predictions of groups of one unit together, whose draws are the same: totals are added draw by draw.

    Parameters
    ----------
    parts : sequence of (Index, Prediction)
        Of each group the places of its rows among those of the unit, and its prediction.
    """
    table = pd.concat([one.rows.set_axis(places) for places, one in parts]).sort_index()
    totals = [np.sum([getattr(one, name) for _, one in parts], axis=0) for name in ("purchases", "value")]
    return Prediction(table, *totals, parts[0][1].interval)


def _count(rows: pd.DataFrame) -> int:
    return int(rows["customers"].sum()) if "customers" in rows else len(rows)


def _streams(seed: int, place: int = 0) -> tuple[np.random.Generator, ...]:
    """Noise of what customers do, of the share of returns and of their own returns; the share is the same anywhere."""
    of_money, of_share = np.random.default_rng(seed).spawn(2)
    if not place:
        return of_money, of_share, of_share
    of_money, of_returns = np.random.default_rng([seed, place]).spawn(2)
    return of_money, of_share, of_returns


def _predict_group(
    rows: pd.DataFrame,
    outlook: Outlook,
    terms: Terms,
    streams: tuple[np.random.Generator, ...],
    simulated_draws: int,
    mean_draws: int | None,
) -> Prediction:
    """Predict customers of one set of draws, with the noise of `_streams`."""
    of_money, of_share, of_returns = streams
    alike = group_alike(rows)
    z = rows["monetary_value"].to_numpy(dtype=float)
    of_means = outlook.first(mean_draws or count_mean_draws(len(alike)))
    means = expect(alike, of_means, terms.discount_per_day)
    kept = terms.draw_kept(len(outlook), of_share)
    discount = means.discounted / np.maximum(means.purchases, 1e-300)
    of_customers = outlook.first(simulated_draws)
    pricing = Pricing(kept[: len(of_customers)], float(terms.per_transaction), discount, terms.tails)
    simulated = simulate(alike, z, of_customers, pricing, of_money)
    service = terms.per_customer_year * means.years[alike.of_row]
    predicted = rows.assign(
        p_alive=means.p_alive[alike.of_row],
        purchases=means.purchases[alike.of_row],
        spend=means.spend[0][alike.of_row] + means.spend[1][alike.of_row] * z,
        value=means.value(terms, alike.of_row, z),
        purchases_low=simulated.purchases[0][alike.of_row],
        purchases_median=simulated.purchases[1][alike.of_row],
        purchases_high=simulated.purchases[2][alike.of_row],
        value_low=simulated.value[0] - service,
        value_high=simulated.value[1] - service,
    )
    totals = _extend(simulated.totals, outlook, of_returns)
    years = _extend(means.total_years[None], outlook, of_returns)[0]
    return Prediction(predicted, totals[0], _total_value(totals, kept, years, terms, of_returns), terms.interval)


def residual(
    rows: pd.DataFrame,
    purchase: PurchaseDraws,
    spend: SpendDraws,
    terms: Terms,
    ahead: Ahead,
    *,
    years: float = 20.0,
    mean_draws: int = 100,
) -> Array:
    """Return the expected value of a customer of each row beyond the horizon, discounted to today; shape (rows,).

    Added to the ``value`` of `predict` it is his residual lifetime value (Fader, Hardie and Lee 2005, *Journal of
    Marketing Research* 42(4)), cut at `years` from today, when next to nothing is left after discounting and dropout.
    Parameters are those of `predict`; operational time goes on at the mean pace that it has up to the horizon.

    Raises
    ------
    ValueError
        `purchase`, `spend` and `ahead` have not equally many draws.
    """
    alike, outlook = group_alike(rows), Outlook(purchase, spend, ahead.beyond(years)).spread(mean_draws)
    means = expect(alike, outlook, terms.discount_per_day, skip=1)
    return means.value(terms, alike.of_row, rows["monetary_value"].to_numpy(dtype=float))


def count_draws(customers: int) -> int:
    """How many draws `predict` simulates for so many customers."""
    return int(np.clip(_BUDGET // max(customers, 1), _FEWEST, _MOST))


def count_mean_draws(groups: int) -> int:
    """How many of them the means of so many distinct counts are taken over."""
    return int(np.clip(_MEANS_BUDGET // max(groups, 1), _FEWEST_MEANS, _MOST_MEANS))


def _total_value(totals: Array, kept: Array, years: Array, terms: Terms, rng: np.random.Generator) -> Array:
    """Total value of all customers in each draw, with the noise of their returns; `totals` as of `Simulated`."""
    _, purchases, money, discounted = totals
    value = kept * discounted - terms.per_transaction * purchases - terms.per_customer_year * years
    noise = np.sqrt(terms.returned_noise * money) * rng.standard_normal(len(money))
    return value - terms.margin * noise * discounted / np.maximum(money, 1e-300)


def _extend(totals: Array, outlook: Outlook, rng: np.random.Generator) -> Array:
    """Add the draws of `outlook` beyond those whose `totals`, shape (totals, draws), are known.

    They are predicted, linearly, from the logarithms of the parameters and of the time ahead, with the residuals of a
    draw that is known, those of all totals together. So the ends of an interval are as steady as those of all draws.
    """
    known = totals.shape[1]
    if known >= len(outlook):
        return totals
    spend = outlook.spend
    values = [*outlook.purchase.values, outlook.ahead.edges[:, -1], spend.p, spend.q, spend.gamma]
    logs = np.log(np.maximum(values, 1e-300))
    design = np.vstack([np.ones(len(outlook)), *logs[np.ptp(logs, axis=1) > 1e-9]]).T
    factors, _, rank, _ = np.linalg.lstsq(design[:known], totals.T, rcond=None)
    residuals = (totals.T - design[:known] @ factors) * np.sqrt(known / max(known - rank, 1))
    others = design[known:] @ factors + residuals[rng.integers(known, size=len(outlook) - known)]
    return np.c_[totals, np.maximum(others, 0.0).T]
