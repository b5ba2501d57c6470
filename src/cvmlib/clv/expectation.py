"""Exact expectations under draws of the parameters, once for each distinct (frequency, recency, T).

Spend needs no row of its own: given the parameters, a customer's expected spend per purchase is linear in his mean
spend z so far, ``p (gamma + x z) / (p x + q - 1)`` (Fader and Hardie 2013, note 025, equation 5). With that equal to
``A + B z``, and D the discounted purchases, the mean over draws of D (A + B z) is ``mean(D A) + z mean(D B)``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.clv import gamma_gamma
from cvmlib.clv.ahead import Ahead, Outlook
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.terms import Terms

Array = npt.NDArray[np.float64]

_CELLS = 4_000_000  # (window, draw, row) triples held at once


@dataclass(frozen=True)
class Alike:
    """Rows grouped by what the purchase model sees of them; sorted by frequency, T and recency.

    Parameters
    ----------
    frequency, recency, T : array, shape (groups,)
        The distinct counts.
    customers, row_customers : int array, shape (groups,) and (rows,)
        Customers of each group and of each row.
    of_row : int array, shape (rows,)
        Group of each row.
    order : int array, shape (rows,)
        The rows, those of one group together.
    """

    frequency: Array
    recency: Array
    T: Array
    customers: npt.NDArray[np.int64]
    row_customers: npt.NDArray[np.int64]
    of_row: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """How many groups."""
        return len(self.T)

    def counts(self, chosen: slice | npt.NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Frequency, recency and T of chosen groups."""
        return self.frequency[chosen], self.recency[chosen], self.T[chosen]


def group_alike(rows: pd.DataFrame) -> Alike:
    """Group rows by ``frequency``, ``recency`` and ``T``; ``customers`` is 1 where there is no such column."""
    x, t_x, age = (rows[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
    order = np.lexsort((t_x, age, x))
    sorted_keys = np.column_stack([x, t_x, age])[order]
    new = np.r_[True, np.any(np.diff(sorted_keys, axis=0) != 0, axis=1)][: len(order)]
    of_row = np.empty(len(order), dtype=np.int64)
    of_row[order] = np.cumsum(new) - 1
    each = rows["customers"].to_numpy(dtype=np.int64) if "customers" in rows else np.ones(len(rows), dtype=np.int64)
    customers = np.zeros(int(new.sum()), dtype=np.int64)
    np.add.at(customers, of_row, each)
    return Alike(*(np.ascontiguousarray(column) for column in sorted_keys[new].T), customers, each, of_row, order)


@dataclass(frozen=True)
class Expectations:
    """Means over draws for each group of alike customers, shape (groups,), and over all customers for each draw.

    Parameters
    ----------
    p_alive, purchases, discounted : array
        P(alive) now, purchases in the windows, and the same discounted.
    years : array
        Discounted years as a customer.
    spend : tuple of two arrays
        Expected spend per purchase: constant and factor of ``monetary_value``.
    money : tuple of two arrays
        Discounted money: constant and factor of ``monetary_value``.
    total_years : array, shape (draws,)
        Discounted years of all customers together.
    """

    p_alive: Array
    purchases: Array
    discounted: Array
    years: Array
    spend: tuple[Array, Array]
    money: tuple[Array, Array]
    total_years: Array

    def value(self, terms: Terms, of_row: npt.NDArray[np.int64], monetary_value: Array) -> Array:
        """Discounted margin after costs of a customer of each row."""
        money = self.money[0][of_row] + self.money[1][of_row] * monetary_value
        costs = terms.per_transaction * self.discounted + terms.per_customer_year * self.years
        return terms.kept * money - costs[of_row]


def expect(alike: Alike, outlook: Outlook, per_day: float, skip: int = 0) -> Expectations:
    """Take the means over all draws of `outlook`.

    Parameters
    ----------
    alike : Alike
        Customers.
    outlook : Outlook
        Draws; all are used.
    per_day : float
        Continuous discount rate per calendar day.
    skip : int
        Windows at the beginning that are not counted.
    """
    found = np.empty((8, len(alike)))
    total_years = np.zeros(len(outlook))
    for part in _parts(alike, outlook):
        alive, bought, discounted, years = expect_by_draw(alike.counts(part), outlook, per_day, skip)
        constant, factor = gamma_gamma.linear_spend(alike.frequency[part], *outlook.spend.column())
        each = (alive, bought, discounted, years, constant, factor, discounted * constant, discounted * factor)
        found[:, part] = [one.mean(axis=0) for one in each]
        total_years += years @ alike.customers[part]
    p_alive, bought, discounted, years, *spend, money, by_z = found
    return Expectations(p_alive, bought, discounted, years, tuple(spend), (money, by_z), total_years)


def expect_by_draw(
    counts: tuple[Array, Array, Array], outlook: Outlook, per_day: float, skip: int = 0
) -> tuple[Array, Array, Array, Array]:
    """Expectations of customers with given `counts` (frequency, recency, T) in each draw.

    Returns
    -------
    p_alive, purchases, discounted, years : array, shape (draws, rows)
        As in `Expectations`.
    """
    ahead = outlook.ahead
    edges = len(ahead.days)
    of_purchases, of_alive = np.zeros((4, edges - 1)), np.zeros((4, edges))
    of_alive[0, 0] = 1.0
    of_purchases[1, skip:] = 1.0
    of_purchases[2, skip:] = ahead.discount_factors(per_day)[skip:]
    of_alive[3] = ahead.customer_years(per_day, skip)
    alive, bought, discounted, years = outlook.purchase.family.forecast_sums(
        ahead.edges, of_purchases, of_alive, *counts, *outlook.purchase.values
    )
    return alive, bought, discounted, years


def probability_alive_later(purchase: Draws, ahead: Ahead, rows: pd.DataFrame, *, mean_draws: int = 100) -> Array:
    """Probability that a customer of each row is alive at each edge of the windows, shape (rows, windows + 1).

    Parameters
    ----------
    purchase : Draws
        Posterior draws of the unit.
    ahead : Ahead
        The windows, for as many draws.
    rows : DataFrame
        ``frequency``, ``recency``, ``T`` (operational days).
    mean_draws : int
        Draws used (expectations given the parameters are exact, so that few suffice).

    Raises
    ------
    ValueError
        `purchase` and `ahead` have not equally many draws.
    """
    alike, outlook = group_alike(rows), Outlook(purchase, None, ahead).spread(mean_draws)
    found = np.empty((len(alike), len(ahead.days)))
    for part in _parts(alike, outlook):
        _, alive = purchase.family.forecast(outlook.ahead.edges, *alike.counts(part), *outlook.purchase.values)
        found[part] = alive.mean(axis=1).T
    return found[alike.of_row]


def _parts(alike: Alike, outlook: Outlook) -> Iterator[slice]:
    """Split the groups so that a part's windows x draws x rows are not too many to hold."""
    size = max(_CELLS // (len(outlook.ahead.days) * len(outlook)), 1)
    for start in range(0, len(alike), size):
        yield slice(start, start + size)
