"""Purchases as the shop's system records them: order lines with returns, or baskets."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from cvmlib.tables.demo.company import Returns
from cvmlib.tables.demo.products import Catalogue, choose_products
from cvmlib.tables.demo.purchases import Purchases
from cvmlib.tables.demo.seasons import SECONDS, Calendar

_LINES = (0.58, 0.28, 0.14)  # share of orders with 1, 2, 3 lines
_QUANTITIES = (0.86, 0.11, 0.03)  # share of lines with 1, 2, 3 pieces
_ALL_LINES_BACK = 0.3  # share of later returns that send back the whole order


@dataclass
class Rows:
    """Recorded rows as arrays of shape (rows,).

    `customer` is the customer's row in the chunk (-1: null, -2: empty text), `order` an order key unique in the chunk,
    `second` clock seconds since the start, `item` the product's or the store's number, `cents` the price of a piece,
    `padded` marks an id recorded with blanks around it.
    """

    customer: np.ndarray
    order: np.ndarray
    second: np.ndarray
    item: np.ndarray
    quantity: np.ndarray
    cents: np.ndarray
    padded: np.ndarray

    def take(self, chosen: np.ndarray) -> Self:
        """Copy the rows chosen by a mask or by row numbers."""
        return type(self)(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def by_time(self) -> Self:
        """Sort the rows by time."""
        return self.take(np.argsort(self.second, kind="stable"))

    @property
    def amount(self) -> np.ndarray:
        """Money of each row, in cents."""
        return self.quantity * self.cents

    def __len__(self) -> int:
        return len(self.customer)


def concat_rows(parts: list[Rows]) -> Rows:
    """Join all parts, one after the other."""
    return Rows(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Rows)})


def record_orders(
    rng: np.random.Generator,
    purchases: Purchases,
    favourite: np.ndarray,
    catalogue: Catalogue,
    returns: Returns | None,
    split_share: float,
    calendar: Calendar,
) -> Rows:
    """Break each purchase into one to three order lines and add the returns; `favourite` is a category per customer."""
    count = len(purchases.customer)
    lines = rng.choice(3, size=count, p=_LINES) + 1
    purchase = np.repeat(np.arange(count), lines)
    first = np.cumsum(lines) - lines
    number = np.arange(len(purchase)) - first[purchase]
    weight = rng.uniform(0.4, 1.6, len(purchase))
    amount = purchases.value[purchase] * 100 * weight / np.add.reduceat(weight, first)[purchase]
    dearest = catalogue.cents[-2]
    quantity = np.maximum(
        rng.choice(3, size=len(purchase), p=_QUANTITIES) + 1, np.ceil(amount / dearest).astype(np.int64)
    )
    cents = np.maximum(1, np.rint(amount / quantity)).astype(np.int64)
    customer = purchases.customer[purchase]
    item = choose_products(rng, catalogue, cents, favourite[customer])
    second = calendar.to_seconds(purchases.time)[purchase]
    rows = Rows(customer, purchase, second, item, quantity, cents, np.zeros(len(purchase), dtype=bool))
    _split_orders(rng, rows, lines, number, split_share)
    if returns is None:
        return rows.by_time()
    back, back_second = _draw_returns(rng, rows.second, lines, purchase, number, returns, calendar)
    sent_back = rows.take(back)
    sent_back.second, sent_back.quantity = back_second, -sent_back.quantity
    return concat_rows([rows, sent_back]).by_time()


def record_baskets(
    rng: np.random.Generator,
    purchases: Purchases,
    home: np.ndarray,
    stores: int,
    split_share: float,
    calendar: Calendar,
) -> Rows:
    """Record one receipt per purchase, two for a few; customers go to their `home` store 85% of the time."""
    count = len(purchases.customer)
    away = rng.random(count) > 0.85
    store = np.where(away, rng.integers(stores, size=count), home[purchases.customer])
    second = calendar.to_seconds(purchases.time)
    cents = np.maximum(2, np.rint(purchases.value * 100)).astype(np.int64)
    split = np.flatnonzero(rng.random(count) < split_share)
    later = np.maximum(1, np.rint(cents[split] * rng.uniform(0.1, 0.5, len(split)))).astype(np.int64)
    cents[split] -= later
    rows = Rows(
        customer=np.concatenate([purchases.customer, purchases.customer[split]]),
        order=np.arange(count + len(split)),
        second=np.concatenate([second, _later_that_day(rng, second[split])]),
        item=np.concatenate([store, store[split]]),
        quantity=np.ones(count + len(split), dtype=np.int64),
        cents=np.concatenate([cents, later]),
        padded=np.zeros(count + len(split), dtype=bool),
    )
    return rows.by_time()


def _later_that_day(rng: np.random.Generator, second: np.ndarray) -> np.ndarray:
    """Draw seconds between the given ones and the last second of the same day."""
    left = SECONDS - 1 - second % SECONDS
    return second + np.floor(rng.random(len(second)) * (left + 1)).astype(np.int64)


def _split_orders(rng: np.random.Generator, rows: Rows, lines: np.ndarray, number: np.ndarray, share: float) -> None:
    """Move the last line of some orders into a second order later the same day, in place; `share` of all orders."""
    chance = min(1.0, share / (1 - _LINES[0]))
    split = (lines > 1) & (rng.random(len(lines)) < chance)
    purchase = rows.order
    chosen = np.flatnonzero(split[purchase] & (number == lines[purchase] - 1))
    rows.order = purchase.copy()
    rows.order[chosen] = len(lines) + np.arange(len(chosen))
    rows.second[chosen] = _later_that_day(rng, rows.second[chosen])


def _draw_returns(
    rng: np.random.Generator,
    second: np.ndarray,
    lines: np.ndarray,
    purchase: np.ndarray,
    number: np.ndarray,
    returns: Returns,
    calendar: Calendar,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the row numbers sent back, and when: the same day (then never the whole order) or 3 to 20 days later."""
    count = len(lines)
    returned = rng.random(count) < returns.share
    same_day = (rng.random(count) < returns.same_day / (1 - _LINES[0])) & (lines > 1)
    everything = (rng.random(count) < _ALL_LINES_BACK) & ~same_day
    chosen = np.floor(rng.random(count) * lines).astype(np.int64)
    delay = rng.integers(3, 21, size=count)
    clock = calendar.to_seconds(rng.random(count))
    back = np.flatnonzero(returned[purchase] & (everything[purchase] | (number == chosen[purchase])))
    which = purchase[back]
    later = (second[back] // SECONDS + delay[which]) * SECONDS + clock[which]
    return back, np.where(same_day[which], _later_that_day(rng, second[back]), later)
