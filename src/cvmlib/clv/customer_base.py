"""The X-ray of a transaction base: how many customers, how many come and go, what the revenue is made of.

Everything is counted by the engine that holds the tables; only one row per month, or per year, comes to pandas. The
other parts of the X-ray are `cvmlib.clv.cohorts` (what becomes of those who come), `cvmlib.clv.concentration` (how
unequal customers are) and `cvmlib.clv.rfm`.
"""

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

GRACE_DAYS = 3
"""A history that begins this many days into a month or year still counts as holding all of it."""

YEAR = 12
FREQUENCY = {"month": "M", "quarter": "Q", "year": "Y"}


@dataclass(frozen=True)
class Span:
    """The days over which customers were observed, both ends included."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """Days of history."""
        return (self.end - self.start).days + 1

    def back(self, months: int) -> date:
        """Last day before the final `months` months."""
        return _back(self.end, months)

    def holds(self, months: int) -> bool:
        """Whether the history goes back at least so many months."""
        return (pd.Timestamp(self.start) - pd.Timestamp(self.back(months))).days <= 1 + GRACE_DAYS

    def complete(self, unit: str) -> pd.PeriodIndex:
        """Whole calendar months, quarters or years inside the history, oldest first."""
        freq = FREQUENCY[unit]
        first, last = pd.Period(self.start, freq), pd.Period(self.end, freq)
        if (pd.Timestamp(self.start) - first.start_time).days > GRACE_DAYS:
            first += 1
        if pd.Timestamp(self.end) < last.end_time.normalize():
            last -= 1
        return pd.period_range(first, last, freq=freq)

    def months_to_lapse(self) -> int:
        """Months without a purchase after which a customer counts as lapsed.

        Twelve, so that everyone has been offered every season; a third of the history where it is under two years.
        """
        return YEAR if self.holds(2 * YEAR) else max(1, len(self.complete("month")) // 3)


@dataclass(frozen=True)
class Headline:
    """The base in a few numbers. What cannot be known from a short history is None."""

    span: Span
    customers: int
    purchases: int
    revenue: float
    repeat_share: float
    recent_months: int | None
    active: int
    recent_revenue: float
    active_before: int | None
    revenue_before: float | None

    @property
    def active_growth(self) -> float | None:
        """Relative change of active customers against the same length of time before."""
        return self.active / self.active_before - 1 if self.active_before else None

    @property
    def revenue_growth(self) -> float | None:
        """Relative change of revenue against the same length of time before."""
        return self.recent_revenue / self.revenue_before - 1 if self.revenue_before else None


def dated(purchases: ir.Table, end: date) -> ir.Table:
    """Select customer, day and value of the purchases up to `end`, whatever their resolution."""
    days = purchases.select("customer_id", period=purchases.period.cast("date"), value=purchases.value)
    return days.filter(days.period <= ibis.date(end))


def observed_span(purchases: ir.Table, end: date) -> Span:
    """Read the first day with a purchase; the history ends with `end`.

    Raises
    ------
    ValueError
        When there is no purchase up to `end`.
    """
    first = dated(purchases, end).period.min().execute()
    if pd.isna(first):
        raise ValueError(f"no purchase up to {end}: there is no customer base to describe")
    return Span(pd.Timestamp(first).date(), end)


def describe_base(purchases: ir.Table, end: date) -> Headline:
    """Count customers, active customers and revenue of the last twelve months and the twelve before.

    Parameters
    ----------
    purchases : ibis Table
        ``customer_id``, ``period`` (date), ``value`` (money): one row per customer and day of purchase.
    end : date
        Last day of observation.

    Returns
    -------
    Headline
        With a history under a year, the recent figures are those of all of it (`recent_months` is None); with one
        under two years there is nothing to compare them with.
    """
    span = observed_span(purchases, end)
    table = dated(purchases, end)
    windows = {"recent": _window(span, 1), "before": _window(span, 2)} if span.holds(YEAR) else {"recent": None}
    measures = {"recent_revenue": table.value.sum(), "active": table.customer_id.nunique()}
    for name, window in windows.items():
        if window is not None:
            inside = (table.period > ibis.date(window[0])) & (table.period <= ibis.date(window[1]))
            measures["recent_revenue" if name == "recent" else "revenue_before"] = table.value.sum(where=inside)
            measures["active" if name == "recent" else "active_before"] = table.customer_id.nunique(where=inside)
    counted = table.agg(purchases=table.count(), revenue=table.value.sum(), **measures).execute().iloc[0]
    per_customer = table.group_by("customer_id").agg(purchases=table.count())
    customers = per_customer.agg(all=per_customer.count(), again=(per_customer.purchases > 1).sum()).execute().iloc[0]
    compared = span.holds(2 * YEAR)
    return Headline(
        span=span,
        customers=int(customers["all"]),
        purchases=int(counted["purchases"]),
        revenue=float(counted["revenue"]),
        repeat_share=float(customers["again"] / customers["all"]),
        recent_months=YEAR if span.holds(YEAR) else None,
        active=int(counted["active"]),
        recent_revenue=_number(counted["recent_revenue"]),
        active_before=int(counted["active_before"]) if compared else None,
        revenue_before=_number(counted["revenue_before"]) if compared else None,
    )


def count_months(purchases: ir.Table, end: date, lapse: int | None = None) -> pd.DataFrame:
    """Count new, returning, reactivated and lapsed customers and the revenue of every month.

    A customer is new in the month of the first purchase on record, returning in a later month with a purchase,
    reactivated if more than `lapse` months had passed since the last one, and lapses in the month that ends `lapse`
    whole months without a purchase. So the base, those who bought in the last `lapse` months, changes by
    new + reactivated - lapsed, month by month.

    Parameters
    ----------
    purchases : ibis Table
        ``customer_id``, ``period`` (date), ``value`` (money).
    end : date
        Last day of observation.
    lapse : int, optional
        Months without a purchase; `Span.months_to_lapse` when left out.

    Returns
    -------
    DataFrame
        One row per calendar month: ``month`` (timestamp), ``new``, ``returning``, ``reactivated``, ``lapsed``,
        ``base`` (customers), ``purchases``, ``revenue_new`` (first purchases), ``revenue_repeat`` (money), and
        ``complete``: False for a first or last month that was observed in part, which must not be read as a drop.
    """
    span = observed_span(purchases, end)
    lapse = lapse or span.months_to_lapse()
    table = dated(purchases, end)
    first = table.period.min().over(ibis.window(group_by="customer_id"))
    table = table.mutate(month=period_index(table.period, "month"), is_first=table.period == first)
    monthly = table.group_by("customer_id", "month").agg(
        purchases=table.count(), revenue=table.value.sum(), revenue_new=table.value.sum(where=table.is_first)
    )
    order = ibis.window(group_by="customer_id", order_by="month")
    monthly = monthly.mutate(before=monthly.month.lag().over(order), after=monthly.month.lead().over(order))
    counts = monthly.group_by("month").agg(
        new=monthly.before.isnull().sum(),
        returning=monthly.before.notnull().sum(),
        reactivated=(monthly.month - monthly.before > lapse).fill_null(False).sum(),
        leaving=(monthly.after - monthly.month > lapse).fill_null(True).sum(),
        purchases=monthly.purchases.sum(),
        revenue=monthly.revenue.sum(),
        revenue_new=monthly.revenue_new.sum(),
    )
    return _complete_months(counts.execute(), span, lapse)


def _complete_months(counts: pd.DataFrame, span: Span, lapse: int) -> pd.DataFrame:
    months = pd.period_range(pd.Period(span.start, "M"), pd.Period(span.end, "M"), freq="M")
    index = months.year * YEAR + months.month - 1
    frame = counts.set_index("month").reindex(index, fill_value=0).fillna(0.0)
    people = ["new", "returning", "reactivated", "leaving", "purchases"]
    frame[people] = frame[people].astype("int64")
    frame["lapsed"] = frame["leaving"].shift(lapse, fill_value=0)
    frame["base"] = (frame["new"] + frame["reactivated"] - frame["lapsed"]).cumsum()
    frame["revenue_repeat"] = frame["revenue"] - frame["revenue_new"]
    frame["complete"] = months.isin(span.complete("month"))
    frame["month"] = months.to_timestamp()
    order = ["month", "new", "returning", "reactivated", "lapsed", "base", "purchases", "revenue_new"]
    return frame[[*order, "revenue_repeat", "complete"]].reset_index(drop=True)


def count_years(purchases: ir.Table, end: date) -> pd.DataFrame:
    """Count customers, purchases and revenue of each twelve months, counted back from `end`, and explain the changes.

    Revenue is customers x purchases per customer x value per purchase. The change from one year to the next is split
    among the three with logarithmic mean weights, which leave no remainder and treat the years alike (the LMDI-I
    decomposition; Ang 2005, Energy Policy 33, equation 5).

    Returns
    -------
    DataFrame
        Oldest first, whole years only: ``start``, ``end`` (timestamps, both included), ``customers``, ``purchases``,
        ``revenue``, ``frequency`` (purchases per customer), ``value`` (money per purchase), and the money that
        ``from_customers``, ``from_frequency`` and ``from_value`` added against the year before (NaN in the first).
    """
    span = observed_span(purchases, end)
    years = next(n for n in range(1, 200) if not span.holds(YEAR * n)) - 1
    table = dated(purchases, end)
    if not years:
        return _explain_years(pd.DataFrame(columns=["year", "customers", "purchases", "revenue"], dtype=float), span)
    back = ibis.literal(0)
    for n in range(1, years + 1):
        back = back + (table.period <= ibis.date(span.back(YEAR * n))).cast("int64")
    table = table.mutate(year=back)
    counts = table.group_by("year").agg(
        customers=table.customer_id.nunique(), purchases=table.count(), revenue=table.value.sum()
    )
    frame = counts.filter(counts.year < years).execute()
    return _explain_years(frame.set_index("year").reindex(range(years), fill_value=0).reset_index(), span)


def _explain_years(counts: pd.DataFrame, span: Span) -> pd.DataFrame:
    frame = counts.sort_values("year", ascending=False).reset_index(drop=True)
    ago = frame.pop("year").astype(int)
    frame.insert(0, "start", pd.to_datetime([span.back(YEAR * (n + 1)) for n in ago]) + pd.Timedelta(days=1))
    frame.insert(1, "end", pd.to_datetime([span.back(YEAR * n) for n in ago]))
    frame["frequency"] = (frame["purchases"] / frame["customers"]).astype(float)
    frame["value"] = (frame["revenue"] / frame["purchases"]).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.diff(frame["revenue"].to_numpy(float), prepend=np.nan)
        growth = np.diff(np.log(frame["revenue"].to_numpy(float)), prepend=np.nan)
        weight = np.where(np.abs(growth) < 1e-12, frame["revenue"].to_numpy(float), change / growth)
        for cause, column in (("customers", "customers"), ("frequency", "frequency"), ("value", "value")):
            factor = np.diff(np.log(frame[column].to_numpy(float)), prepend=np.nan)
            frame[f"from_{cause}"] = np.where(np.isfinite(weight * factor), weight * factor, np.nan)
    return frame


def bridge_years(years: pd.DataFrame) -> pd.DataFrame:
    """Arrange the last two years of `count_years` for `cvmlib.plots.bridge`.

    Returns
    -------
    DataFrame
        ``name``, ``value`` (money), ``total``; no rows when there are not two whole years to compare.
    """
    if len(years) < 2 or years[["from_customers", "from_frequency", "from_value"]].iloc[-1].isna().any():
        return pd.DataFrame({"name": [], "value": [], "total": []})
    before, last = years.iloc[-2], years.iloc[-1]
    causes = ("customers", "frequency", "value")
    names = ("Number of\ncustomers", "Purchases\nper customer", "Value per\npurchase")
    return pd.DataFrame(
        {
            "name": [f"Year to\n{before['end']:%b %Y}", *names, f"Year to\n{last['end']:%b %Y}"],
            "value": [before["revenue"], *(last[f"from_{cause}"] for cause in causes), last["revenue"]],
            "total": [True, False, False, False, True],
        }
    )


def period_index(day: ir.DateValue, unit: str) -> ir.IntegerValue:
    """Give each calendar month, quarter or year a number; neighbours differ by one."""
    year = day.year().cast("int64")
    if unit == "month":
        return year * 12 + day.month().cast("int64") - 1
    return year * 4 + day.quarter().cast("int64") - 1 if unit == "quarter" else year


def _back(end: date, months: int) -> date:
    return (pd.Timestamp(end) + pd.Timedelta(days=1) - pd.DateOffset(months=months) - pd.Timedelta(days=1)).date()


def _window(span: Span, number: int) -> tuple[date, date] | None:
    """Return the day before, and the last day of, the `number`-th twelve months counted back from the end."""
    return (span.back(YEAR * number), span.back(YEAR * (number - 1))) if span.holds(YEAR * number) else None


def _number(value: object) -> float:
    return 0.0 if pd.isna(value) else float(value)
