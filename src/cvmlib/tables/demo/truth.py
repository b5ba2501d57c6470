"""What customers really did after the end of observation, counted as the models count: purchase days.

Several orders of a customer on one day are one purchase; a day whose returns outweigh what was bought is none.
Value is money dated within the horizon, whether gross or net of the returns that arrive in it.
"""

from typing import NamedTuple

import numpy as np

from cvmlib.tables.demo.orders import Rows
from cvmlib.tables.demo.seasons import SECONDS, Calendar

HORIZON_MONTHS = 12
DISCOUNT_RATE = 0.10
MONTH_COLUMNS = ("purchases", "value_gross", "value_net")


class Future(NamedTuple):
    """The future of one chunk: arrays of shape (customers,) over the horizon, and (36, 3) totals of `MONTH_COLUMNS`.

    Values are in currency; the discounted ones at 10% a year from the end of observation, each day's money on its day.
    """

    purchases: np.ndarray
    gross: np.ndarray
    net: np.ndarray
    gross_discounted: np.ndarray
    net_discounted: np.ndarray
    months: np.ndarray


def discount_factor(days_after_end: np.ndarray) -> np.ndarray:
    """Compute the value at the end of observation of one unit of money that many days later."""
    return (1 + DISCOUNT_RATE) ** (-np.asarray(days_after_end) / 365.25)


def count_future(rows: Rows, customers: int, calendar: Calendar) -> Future:
    """Count the purchases and the money after the end of observation, per customer and per month."""
    day = rows.second // SECONDS
    inside = (day >= calendar.days) & (day < calendar.months_ahead[-1])
    day, customer, amount = day[inside], rows.customer[inside], rows.amount[inside] / 100
    within = day < calendar.months_ahead[HORIZON_MONTHS]
    gross = np.maximum(amount, 0.0)
    factor = discount_factor(day - calendar.days + 1)

    def total(weight: np.ndarray) -> np.ndarray:
        return np.bincount(customer[within], weights=weight[within], minlength=customers)

    buyer, bought_on = purchase_days(customer, day, rows.amount[inside])
    month, bought_in = (np.searchsorted(calendar.months_ahead, d, side="right") - 1 for d in (day, bought_on))
    months = [np.bincount(bought_in, minlength=36)] + [np.bincount(month, w, minlength=36) for w in (gross, amount)]
    return Future(
        purchases=np.bincount(buyer[bought_on < calendar.months_ahead[HORIZON_MONTHS]], minlength=customers),
        gross=total(gross).round(2),
        net=total(amount).round(2),
        gross_discounted=total(gross * factor).round(4),
        net_discounted=total(amount * factor).round(4),
        months=np.column_stack(months),
    )


def purchase_days(customer: np.ndarray, day: np.ndarray, cents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List customer and day of every purchase: days on which a customer's money, net of returns, is positive."""
    if len(day) == 0:
        return customer, day
    width = int(day.max()) + 1
    key = customer * width + day
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    bought = np.add.reduceat(cents[order], first) > 0
    keys = key[order][first][bought]
    return keys // width, keys % width
