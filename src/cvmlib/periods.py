"""Periods of the calendar in which purchases are counted: hours, days, weeks, and the longer ones of some units.

Weeks begin on Monday, quarters in January, April, July and October.
"""

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir

SECONDS = {"hour": 3_600, "day": 86_400, "week": 604_800}
"""Seconds of the periods that are always of one length."""
OPPORTUNITIES = ("week", "month", "quarter", "year")
"""Periods that can be the opportunities of a unit (`cvmlib.clv.opportunities`)."""
MONTHS = {"month": 1, "quarter": 3, "year": 12}
"""Months of an opportunity, where these are whole."""
PER_YEAR = {"week": 365.25 / 7, "month": 12.0, "quarter": 4.0, "year": 1.0}
"""Opportunities in a year."""

#: Days after the start of a period, at least its length and less than that of two.
_LONGEST = {"week": 7, "month": 31, "quarter": 92, "year": 366}
_TRUNCATE = {"hour": "h", "day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}


def start_of_period(moment: "ir.Value", period: str) -> "ir.TimestampValue":
    """Return the start of the hour, day, week, month, quarter or year in which a date or a time lies.

    Raises
    ------
    ValueError
        An unknown period.
    """
    if period not in _TRUNCATE:
        raise ValueError(f"time_unit is {period!r}; allowed are {', '.join(_TRUNCATE)}")
    return moment.cast("timestamp").truncate(_TRUNCATE[period])


def last_period(end: date, period: str = "day") -> datetime:
    """Start of the last period that begins by the end of the day `end`."""
    if period in ("hour", "day"):
        return datetime.combine(end, time(23 if period == "hour" else 0))
    return datetime.combine(_start(end, period), time())


def last_whole_period(end: date, opportunity: str) -> date:
    """Last day of the last period that is over with the day `end`.

    Parameters
    ----------
    end : date
        A day.
    opportunity : {"week", "month", "quarter", "year"}
        Length of the period.
    """
    return _start(end + timedelta(days=1), opportunity) - timedelta(days=1)


def list_starts(first: date, last: date, opportunity: str) -> list[date]:
    """Starts of the periods from the one that holds `first` to the one after that of `last`.

    Parameters
    ----------
    first, last : date
        Two days, in order.
    opportunity : {"week", "month", "quarter", "year"}
        Length of the periods.
    """
    starts = [_start(first, opportunity)]
    while starts[-1] <= last:
        starts.append(_start(starts[-1] + timedelta(days=_LONGEST[opportunity]), opportunity))
    return starts


def _start(day: date, opportunity: str) -> date:
    if opportunity not in OPPORTUNITIES:
        raise ValueError(f"opportunity is {opportunity!r}; allowed are {', '.join(OPPORTUNITIES)}")
    if opportunity == "week":
        return day - timedelta(days=day.weekday())
    months = MONTHS[opportunity]
    return date(day.year, (day.month - 1) // months * months + 1, 1)
