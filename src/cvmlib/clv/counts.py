"""From transactions to count tables: identical customers become one weighted row.

The likelihood of every purchase model depends on a customer only through ``(frequency, recency, T)`` and the group
he belongs to, so counting loses nothing. All work is an Ibis expression: it runs where the tables live, on DuckDB or
Spark, and only the grouped rows ever reach pandas.

Symbols of the literature: ``frequency`` is x, ``recency`` is t_x, ``T`` is T (Fader, Hardie and Lee 2005).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.periods import SECONDS, last_period, start_of_period


def count_purchases(transactions: ir.Table, time_unit: str = "day") -> ir.Table:
    """Collapse a cleaned log into purchases: one row per customer and period in which he bought.

    Several orders of a customer in one period are one purchase. A return in the same period is netted against it, and
    nothing is left of a purchase returned whole. A period that holds only rows of value zero (a gift, a voucher) is a
    purchase of value zero; where that is wrong, a row filter of the unit removes such rows.

    Parameters
    ----------
    transactions : ibis Table
        ``customer_id`` (string), ``date`` (timestamp), ``value`` (money; negative is a return), already cleaned.
    time_unit : {"hour", "day", "week", "month", "quarter", "year"}
        Resolution of counting. Weeks begin on Monday.

    Returns
    -------
    ibis Table
        ``customer_id``, ``period`` (timestamp, start of the period), ``value`` (money, zero or more).
    """
    periods = transactions.select("customer_id", period=start_of_period(transactions.date, time_unit), value="value")
    net = periods.group_by("customer_id", "period").agg(value=_exact(periods.value.sum()), least=periods.value.min())
    return net.filter((net.value > 0) | (net.least == 0)).drop("least")


@dataclass(frozen=True)
class Returns:
    """Money returned in later periods as a share of the money bought (both after netting within a period).

    Parameters
    ----------
    share : float
        Between 0 and 1; 0 when nothing was bought.
    share_sd : float
        Standard error of the share, from how much it differs between customers.
    noise : float
        Money: variance of the money returned, about the share, per unit of money bought.
    """

    share: float = 0.0
    share_sd: float = 0.0
    noise: float = 0.0


def count_returns(transactions: ir.Table, time_unit: str = "day") -> Returns:
    """Measure the share of the money that is returned, and how sure it is.

    A customer who buys for B returns ``share * B`` give or take a variance of ``noise * B``; customers are independent,
    so the error of the share has variance ``noise / sum(B)``.

    Parameters
    ----------
    transactions : ibis Table
        As for `count_purchases`.
    time_unit : {"hour", "day", "week"}
        Resolution of counting.
    """
    net = transactions.group_by("customer_id", period=start_of_period(transactions.date, time_unit)).agg(
        value=transactions.value.sum()
    )
    each = net.group_by("customer_id").agg(
        bought=net.value.sum(where=net.value > 0).fill_null(0.0),
        returned=(-net.value).sum(where=net.value < 0).fill_null(0.0),
    )
    sums = each.agg(
        bought=each.bought.sum(),
        returned=each.returned.sum(),
        bb=(each.bought**2).sum(),
        br=(each.bought * each.returned).sum(),
        rr=(each.returned**2).sum(),
    ).execute()
    bought, returned, bb, br, rr = sums.fillna(0.0).iloc[0]
    if bought <= 0:
        return Returns()
    share = min(returned / bought, 1.0)
    noise = max(rr - 2.0 * share * br + share**2 * bb, 0.0) / bought
    return Returns(float(share), float(np.sqrt(noise / bought)), float(noise))


def count_customers(
    purchases: ir.Table,
    end: date,
    *,
    time_unit: str = "day",
    holdout_end: date | None = None,
) -> ir.Table:
    """Count every customer's purchases up to `end`, and in the holdout after it.

    Parameters
    ----------
    purchases : ibis Table
        Result of `count_purchases`.
    end : date
        Last day of the observation (of the calibration, when there is a holdout). Customers who first bought later
        are left out.
    time_unit : {"hour", "day", "week"}
        Resolution at which `purchases` was counted.
    holdout_end : date, optional
        Last day of the holdout.

    Returns
    -------
    ibis Table
        One row per customer: ``customer_id``, ``first`` and ``last`` (timestamps), ``frequency`` (repeat purchases),
        ``recency`` and ``T`` (days), ``monetary_value`` (mean value of the repeat purchases; 0 without any),
        ``total_value``; with a holdout also ``holdout_frequency``, ``holdout_value`` (money) and ``holdout_T`` (days).
    """
    cut = ibis.literal(last_period(end, time_unit), type="timestamp")
    seen = purchases.period <= cut
    measures = {
        "first": purchases.period.min(),
        "last": purchases.period.max(where=seen),
        "purchases": seen.sum(),
        "total_value": _exact(purchases.value.sum(where=seen)),
        "first_value": purchases.value.argmin(purchases.period),
    }
    if holdout_end is None:
        purchases = purchases.filter(seen)
    else:
        until = ibis.literal(last_period(holdout_end, time_unit), type="timestamp")
        purchases = purchases.filter(purchases.period <= until)
        measures |= {"holdout_frequency": (~seen).sum(), "holdout_value": _exact(purchases.value.sum(where=~seen))}
    counted = purchases.group_by("customer_id").agg(**measures)
    counted = counted.filter(counted["first"] <= cut)
    frequency = counted.purchases - 1
    repeat_value = ibis.greatest(_exact(counted.total_value - counted.first_value), 0.0)
    result = counted.select(
        "customer_id",
        "first",
        "last",
        frequency=frequency.cast("int64"),
        recency=_days_between(counted["first"], counted["last"]),
        T=_days_between(counted["first"], cut),
        monetary_value=ibis.ifelse(frequency > 0, repeat_value / ibis.greatest(frequency, 1), 0.0),
        total_value="total_value",
        **{name: counted[name] for name in measures if name == "holdout_frequency"},
        **({"holdout_value": counted.holdout_value.fill_null(0.0)} if holdout_end else {}),
    )
    if holdout_end is None:
        return result
    length = (last_period(holdout_end, time_unit) - last_period(end, time_unit)).total_seconds() / SECONDS["day"]
    return result.mutate(holdout_frequency=result.holdout_frequency.cast("int64"), holdout_T=ibis.literal(length))


def count_rows(
    customers: ir.Table, by: Sequence[str] = (), columns: Sequence[str] = ("frequency", "recency", "T")
) -> ir.Table:
    """Group identical customers into one weighted row.

    Parameters
    ----------
    customers : ibis Table
        Result of `count_customers`, with any grouping columns.
    by : sequence of str
        Grouping columns, kept in front.
    columns : sequence of str
        What tells customers apart; ``("frequency", "recency", "T")`` for purchase models,
        ``("frequency", "monetary_value")`` for spend.

    Returns
    -------
    ibis Table
        ``by``, ``columns`` and ``customers`` (how many are alike), sorted, so that every engine gives the same table.
    """
    keys = [*by, *columns]
    return customers.group_by(keys).agg(customers=customers.count()).order_by(keys)


def holdout_split(end: date, months: int) -> date:
    """Last day of the calibration when the holdout is the last `months` months up to `end`."""
    split = (pd.Timestamp(end) + pd.Timedelta(days=1) - pd.DateOffset(months=months)) - pd.Timedelta(days=1)
    return split.date()


def _exact(total: ir.FloatingValue) -> ir.FloatingValue:
    """Round a sum of money far below the smallest coin: engines add in any order, and the last digits depend on it."""
    return total.round(6)


def _days_between(earlier: ir.TimestampValue, later: ir.TimestampValue) -> ir.FloatingValue:
    return (later.epoch_seconds() - earlier.epoch_seconds()).cast("float64") / SECONDS["day"]
