"""From purchases to counts of opportunities: the weeks, months, quarters or years of the calendar with a purchase.

Where customers can buy once a period, or the period is what matters (yearly donations, a weekly service), a purchase
model of discrete opportunities (`families.bg_bb`) counts periods instead of days. All work is an Ibis expression, as
in `cvmlib.clv.counts`, and `counts.count_rows` takes the result as it takes that of `counts.count_customers`.

The period of a customer's first purchase is his acquisition; his opportunities are the periods after it. Only whole
periods count: one that was not over at the end of the observation is left out with the purchases in it.
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

OPPORTUNITIES = ("week", "month", "quarter", "year")

_FREQUENCIES = {"week": "W-SUN", "month": "M", "quarter": "Q-DEC", "year": "Y-DEC"}
_PER_YEAR = {"month": 12, "quarter": 4, "year": 1}
_WEEK = 604_800
_MONDAY = 259_200  # seconds from Monday, 29 December 1969, to the epoch


def count_opportunities(
    purchases: ir.Table, end: date, opportunity: str = "year", *, holdout_end: date | None = None
) -> ir.Table:
    """Count in how many of his opportunities every customer bought, and in how many of the holdout's.

    Parameters
    ----------
    purchases : ibis Table
        Result of `counts.count_purchases`, counted by the hour or day (by the week only for weekly opportunities).
    end : date
        Last day of the observation (of the calibration, when there is a holdout). Customers first seen after the last
        whole period up to it are left out.
    opportunity : {"week", "month", "quarter", "year"}
        Length of an opportunity, by the calendar. Weeks begin on Monday.
    holdout_end : date, optional
        Last day of the holdout, which begins after the last whole period up to `end` and ends with one itself.

    Returns
    -------
    ibis Table
        One row per customer: ``customer_id``, ``first`` and ``last`` (timestamps of purchases), ``frequency``
        (opportunities with a purchase), ``recency`` (number of the last of them, 0 if none) and ``T``
        (opportunities), ``monetary_value`` (mean value of an opportunity with a purchase; 0 without any),
        ``total_value``; with a holdout also ``holdout_frequency``, ``holdout_value`` (money) and ``holdout_T``
        (opportunities).

    Raises
    ------
    ValueError
        An unknown length of an opportunity.
    """
    cut = _last_whole(end, opportunity)
    until = cut if holdout_end is None else _last_whole(holdout_end, opportunity)
    bought = purchases.select("customer_id", "period", "value", number=_number(purchases.period, opportunity))
    bought = bought.filter(bought.number <= until)
    periods = bought.group_by("customer_id", "number").agg(
        first=bought.period.min(), last=bought.period.max(), value=_exact(bought.value.sum())
    )
    seen = periods.number <= cut
    counted = periods.group_by("customer_id").agg(
        first=periods["first"].min(),
        last=periods["last"].max(where=seen),
        acquired=periods.number.min(),
        latest=periods.number.max(where=seen),
        periods=seen.sum(),
        first_value=periods.value.argmin(periods.number),
        total_value=_exact(periods.value.sum(where=seen)),
        holdout_frequency=(~seen).sum(),
        holdout_value=_exact(periods.value.sum(where=~seen)),
    )
    counted = counted.filter(counted.acquired <= cut)
    frequency = counted.periods - 1
    repeat_value = ibis.greatest(_exact(counted.total_value - counted.first_value), 0.0)
    result = counted.select(
        "customer_id",
        "first",
        "last",
        frequency=frequency.cast("int64"),
        recency=(counted.latest - counted.acquired).cast("float64"),
        T=(ibis.literal(cut, type="int64") - counted.acquired).cast("float64"),
        monetary_value=ibis.ifelse(frequency > 0, repeat_value / ibis.greatest(frequency, 1), 0.0),
        total_value="total_value",
        holdout_frequency=counted.holdout_frequency.cast("int64"),
        holdout_value=counted.holdout_value.fill_null(0.0),
        holdout_T=ibis.literal(float(until - cut)),
    )
    return result if holdout_end else result.drop("holdout_frequency", "holdout_value", "holdout_T")


def opportunities_between(start: date, end: date, opportunity: str) -> float:
    """How many opportunities lie between two mornings, the parts of a period by its days: edges of forecast windows.

    Parameters
    ----------
    start, end : date
        First day of the window and first day after it.
    opportunity : {"week", "month", "quarter", "year"}
        Length of an opportunity.
    """
    return _position(end, opportunity) - _position(start, opportunity)


def last_whole_period(end: date, opportunity: str) -> date:
    """Last day of the last period that is over with the day `end`, up to which opportunities are counted."""
    period = pd.Period(end + timedelta(days=1), _frequency(opportunity))
    return period.start_time.date() - timedelta(days=1)


def _last_whole(end: date, opportunity: str) -> int:
    return int(_position(last_whole_period(end, opportunity), opportunity))


def _position(day: date, opportunity: str) -> float:
    """Number of the period of a day, as in `_number`, and the part of it that is over in the morning."""
    period = pd.Period(day, _frequency(opportunity))
    start, following = period.start_time, (period + 1).start_time
    if opportunity == "week":
        number = (start - pd.Timestamp("1969-12-29")) // pd.Timedelta(weeks=1)
    else:
        per_year = _PER_YEAR[opportunity]
        number = start.year * per_year + (start.month - 1) * per_year // 12
    return number + (pd.Timestamp(day) - start) / (following - start)


def _frequency(opportunity: str) -> str:
    if opportunity not in OPPORTUNITIES:
        raise ValueError(f"opportunity is {opportunity!r}; allowed are {', '.join(OPPORTUNITIES)}")
    return _FREQUENCIES[opportunity]


def _number(at: ir.TimestampValue, opportunity: str) -> ir.IntegerValue:
    """Number of a moment's period, consecutive over the calendar."""
    if opportunity == "week":
        return ((at.truncate("W").epoch_seconds() + _MONDAY) / _WEEK).round().cast("int64")
    year = at.year().cast("int64")
    within = {"month": at.month() - 1, "quarter": at.quarter() - 1, "year": ibis.literal(0)}[opportunity]
    return year * _PER_YEAR[opportunity] + within.cast("int64")


def _exact(total: ir.FloatingValue) -> ir.FloatingValue:
    """Round a sum of money far below the smallest coin, as `counts.count_customers` does."""
    return total.round(6)
