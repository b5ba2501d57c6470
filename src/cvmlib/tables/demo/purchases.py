"""When customers buy and for how much: BG/NBD (or Erlang) purchase times with Gamma-Gamma spend.

The simulator tosses the dropout coin after every repeat purchase, as Fader, Hardie and Lee (2005) do: a customer who
has bought once is still alive.
"""

from typing import NamedTuple

import numpy as np

from cvmlib.tables.demo.company import Buying, Spend
from cvmlib.tables.demo.seasons import Calendar


class Buyers(NamedTuple):
    """True parameters of each customer, arrays of shape (customers,).

    `rate` is purchases per day of operational time, `dropout` a probability, `lifetime` the number of the repeat
    purchase after which the customer leaves, `spend_rate` the gamma rate of one purchase's value per currency unit.
    """

    rate: np.ndarray
    dropout: np.ndarray
    lifetime: np.ndarray
    spend_rate: np.ndarray


class Purchases(NamedTuple):
    """Purchases of history and future, by customer and then time: customer row, time in calendar days, value."""

    customer: np.ndarray
    time: np.ndarray
    value: np.ndarray


def draw_buyers(rng: np.random.Generator, effect: np.ndarray, buying: Buying, spend: Spend) -> Buyers:
    """Draw the true parameters of customers whose covariates multiply the rate by `effect`."""
    size, symbols = len(effect), buying.symbols
    rate = rng.gamma(symbols["r"], 1 / symbols["alpha"], size) * effect
    dropout = np.clip(rng.beta(symbols["a"], symbols["b"], size), 1e-12, 1.0)
    spend_rate = rng.gamma(spend.q, 1 / spend.v, size)
    return Buyers(rate, dropout, rng.geometric(dropout), spend_rate)


def draw_purchases(
    rng: np.random.Generator, joined: np.ndarray, buyers: Buyers, buying: Buying, spend: Spend, calendar: Calendar
) -> Purchases:
    """Draw every purchase from the first one (at `joined`, calendar days) to the end of the simulated future."""
    start = calendar.to_operational(joined)
    customer, operational = _repeat_purchases(rng, start, buyers, calendar.operational[-1], buying.erlang_shape)
    rows = np.concatenate([np.arange(len(joined)), customer])
    times = np.concatenate([joined, calendar.to_calendar(operational)])
    order = np.argsort(rows, kind="stable")
    rows, times = rows[order], times[order]
    value = rng.gamma(spend.p, 1.0, len(rows)) / buyers.spend_rate[rows]
    return Purchases(rows, times, value)


def _repeat_purchases(
    rng: np.random.Generator, start: np.ndarray, buyers: Buyers, end: float, shape: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw customer row and operational time of the repeat purchases up to `end`.

    Every `shape`-th event of a Poisson process of `shape` times the rate makes Erlang gaps; given their number, the
    events of a Poisson process are sorted uniform times.
    """
    span = end - start
    events = rng.poisson(shape * buyers.rate * span)
    rows = np.repeat(np.arange(len(start)), events)
    share = np.sort(rows + rng.random(len(rows))) - rows
    number = np.arange(len(rows)) - np.repeat(np.cumsum(events) - events, events) + 1
    keep = (number % shape == 0) & (number // shape <= buyers.lifetime[rows])
    rows = rows[keep]
    return rows, start[rows] + np.clip(share[keep], 0.0, 1.0) * span[rows]


def count_repeats(purchases: Purchases, customers: int, before: float) -> np.ndarray:
    """Count the repeat purchases of each customer before a time in calendar days."""
    return np.bincount(purchases.customer[purchases.time < before], minlength=customers) - 1
