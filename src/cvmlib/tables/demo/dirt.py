"""Faults that real tables have. Every real purchase stays recorded: faults are added rows or blanks around an id."""

import numpy as np

from cvmlib.tables.demo.company import Dirt
from cvmlib.tables.demo.orders import Rows, concat_rows
from cvmlib.tables.demo.seasons import SECONDS

NULL_ID, EMPTY_ID = -1, -2
LATEST_DAYS = 700


def add_dirt(rng: np.random.Generator, rows: Rows, dirt: Dirt, end_second: int, sample: int | None) -> Rows:
    """Add the faults to the rows of history.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    rows : Rows
        Clean rows of history.
    dirt : Dirt
        Shares of rows by kind of fault.
    end_second : int
        First second after the end of observation.
    sample : int or None
        Item number of the free sample; None records zero-value rows under the item itself.
    """
    bought = np.flatnonzero(rows.amount > 0)

    def pick(share: float) -> np.ndarray:
        size = min(len(bought), max(dirt.at_least, round(share * len(rows))))
        return np.sort(rng.choice(bought, size=size, replace=False))

    rows.padded[pick(dirt.padded)] = True
    guests = _as_new_orders(rows.take(pick(dirt.missing_id)), rows.order.max() + 1)
    guests.customer = np.where(rng.random(len(guests)) < 0.5, NULL_ID, EMPTY_ID)
    guests.second = np.minimum(guests.second + rng.integers(-SECONDS, SECONDS, len(guests)), end_second - 1)
    guests.second = np.maximum(guests.second, 0)
    late = _as_new_orders(rows.take(pick(dirt.late)), guests.order.max() + 1)
    late.second = end_second + rng.integers(SECONDS, LATEST_DAYS * SECONDS, len(late))
    zeros = _zero_rows(rng, rows.take(pick(dirt.zero_value)), late.order.max() + 1, end_second, sample)
    twice = rows.take(pick(dirt.duplicate))
    return concat_rows([rows, twice, guests, zeros, late]).by_time()


def _as_new_orders(rows: Rows, first_key: int) -> Rows:
    """Make the rows orders of their own, with ids free of blanks."""
    rows.order = first_key + np.arange(len(rows))
    rows.padded = np.zeros(len(rows), dtype=bool)
    return rows


def _zero_rows(rng: np.random.Generator, rows: Rows, first_key: int, end_second: int, sample: int | None) -> Rows:
    """Rows without value: half added to an order, half sent alone on some later day of history."""
    alone = rng.random(len(rows)) < 0.5
    own_key = first_key + np.arange(len(rows))
    later = rows.second + np.floor(rng.random(len(rows)) * (end_second - rows.second)).astype(np.int64)
    rows.order = np.where(alone | (sample is None), own_key, rows.order)
    rows.second = np.where(alone, later, rows.second)
    rows.quantity, rows.cents = np.ones_like(rows.quantity), np.zeros_like(rows.cents)
    rows.padded = np.zeros(len(rows), dtype=bool)
    if sample is not None:
        rows.item = np.full(len(rows), sample)
    return rows
