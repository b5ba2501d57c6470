"""The month grid: tenure is counted in whole calendar months, closed on the day the observation ends.

A subscriber who joined in March has tenure 0 at the end of March, 1 at the end of April, 2 at the end of May. On this
grid every subscriber is observed for whole months from the first full one on, the anniversary of a contract falls in
the same tenure month whatever the day of joining, and "the next month" of a forecast is exactly one row of the life
table. Only the month of joining (tenure 0) is shorter: half a month on average.
"""

import calendar
from datetime import date

import ibis.expr.types as ir


def closing_day(end: date) -> int:
    """Day of the month on which a month of the grid closes.

    Parameters
    ----------
    end : datetime.date
        End of observation.

    Returns
    -------
    int
        31 (that is, the month end) when `end` is the last day of its month, else the day of `end`.
    """
    return 31 if end.day == calendar.monthrange(end.year, end.month)[1] else end.day


def month_index(day: date, closing: int = 31) -> int:
    """Return the number of the grid month that holds a date (months since year 0).

    Parameters
    ----------
    day : datetime.date
        Any date.
    closing : int, default 31
        Closing day of the grid, from `closing_day`.

    Returns
    -------
    int
        ``12 * year + month - 1``, plus one for a day after the closing day.
    """
    return 12 * day.year + day.month - 1 + (day.day > closing)


def month_index_column(day: ir.Value, closing: int = 31) -> ir.IntegerValue:
    """`month_index` as an Ibis expression over a date column; the same arithmetic on every engine."""
    day = day.cast("date")
    return day.year() * 12 + day.month() - 1 + (day.day() > closing).ifelse(1, 0)


def day_of_grid_month(day: ir.Value, closing: int = 31) -> ir.IntegerValue:
    """Place of a date in its grid month (0 = first day) as an Ibis expression; monthly bills fall on equal places."""
    number = day.cast("date").day()
    return (number > closing).ifelse(number - closing - 1, number + 31 - closing - 1)


def month_label(index: int) -> str:
    """Write a month number as ``YYYY-MM``."""
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def quarter_label(index: int) -> str:
    """Write the quarter of a month number as ``YYYY Q#``."""
    return f"{index // 12:04d} Q{index % 12 // 3 + 1}"


def month_start(index: int) -> date:
    """First day of the calendar month with this number."""
    return date(index // 12, index % 12 + 1, 1)
