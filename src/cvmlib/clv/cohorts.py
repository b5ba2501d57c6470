"""What becomes of the customers who come: cohorts, the repeat curve, and the time between purchases."""

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.duration.survfunc import SurvfuncRight

from cvmlib.clv.customer_base import dated, observed_span, period_index

MILESTONES = (30, 90, 180, 365, 730)
LARGEST_STEP = 0.05
"""A curve ends where a single customer would move it by more than this: beyond, it shows chance."""

ALL_YEARS = "all years"
_MOST_QUARTERS = 24
_DAY = 86_400


@dataclass(frozen=True)
class Cohorts:
    """Customers by the calendar period of their first purchase, followed over whole periods.

    Attributes
    ----------
    unit : str
        ``"month"``, ``"quarter"`` or ``"year"``: length of a cohort and of a step of age.
    customers : Series
        Size of each cohort; the index names the cohorts, oldest first.
    active : DataFrame
        Cohorts x ages (whole periods since the first purchase): share that bought in that period, NaN if yet to come.
    revenue : DataFrame
        Cohorts x ages: revenue per customer of the cohort up to that period (money), NaN if yet to come.
    first_is_partial : bool
        The first period was observed in part, so that its cohort is smaller than it was.
    """

    unit: str
    customers: pd.Series
    active: pd.DataFrame
    revenue: pd.DataFrame
    first_is_partial: bool

    @property
    def table(self) -> pd.DataFrame:
        """All cells as rows: ``cohort``, ``age``, ``customers``, ``active`` (share), ``revenue`` (per customer)."""
        long = pd.DataFrame({"active": self.active.stack(), "revenue": self.revenue.stack()})
        long = long.rename_axis(["cohort", "age"]).reset_index()
        long.insert(2, "customers", long["cohort"].map(self.customers))
        return long


def choose_cohort_unit(purchases: ir.Table, end: date) -> str:
    """Quarters where the history holds four to twenty-four whole ones; months if it is shorter, years if longer."""
    quarters = len(observed_span(purchases, end).complete("quarter"))
    return "month" if quarters < 4 else "quarter" if quarters <= _MOST_QUARTERS else "year"


def count_cohorts(purchases: ir.Table, end: date, unit: str | None = None) -> Cohorts:
    """Follow cohorts of new customers over whole calendar periods.

    Parameters
    ----------
    purchases : ibis Table
        ``customer_id``, ``period`` (date), ``value`` (money).
    end : date
        Last day of observation; a last period that it cuts short is left out.
    unit : {"month", "quarter", "year"}, optional
        Length of a period; `choose_cohort_unit` when left out.
    """
    unit = unit or choose_cohort_unit(purchases, end)
    span = observed_span(purchases, end)
    table = dated(purchases, end)
    first = table.period.min().over(ibis.window(group_by="customer_id"))
    table = table.mutate(cohort=period_index(first, unit), at=period_index(table.period, unit))
    counts = table.group_by("cohort", age=table["at"] - table.cohort).agg(
        customers=table.customer_id.nunique(), revenue=table.value.sum()
    )
    complete = span.complete(unit)
    freq = complete.freqstr[0]
    begin = pd.Period(span.start, freq)
    periods = pd.period_range(begin, complete[-1] if len(complete) else begin - 1, freq=freq)
    return _arrange_cohorts(counts.execute(), periods, unit, first_is_partial=begin not in complete)


def _arrange_cohorts(counts: pd.DataFrame, periods: pd.PeriodIndex, unit: str, first_is_partial: bool) -> Cohorts:
    numbers = [_period_number(period, unit) for period in periods]
    ages = range(len(periods))
    wide = counts.pivot(index="cohort", columns="age", values=["customers", "revenue"])
    wide = wide.reindex(index=numbers)
    active, revenue = (wide[name].reindex(columns=ages).astype(float).fillna(0.0) for name in ("customers", "revenue"))
    seen = np.add.outer(np.arange(len(periods)), np.arange(len(periods))) < len(periods)
    size = active[0] if len(periods) else pd.Series(dtype=float)
    kept = (size > 0).to_numpy()
    names = [_period_name(period, unit) for period in periods]
    shares, money = (
        frame.where(seen).set_axis(names, axis=0)[kept].rename_axis(columns=None)
        for frame in (
            active.div(size.where(size > 0), axis=0),
            revenue.cumsum(axis=1).div(size.where(size > 0), axis=0),
        )
    )
    sizes = pd.Series(size.to_numpy().astype("int64"), index=names, name="customers")[kept]
    return Cohorts(unit, sizes, shares, money, first_is_partial)


def _period_number(period: pd.Period, unit: str) -> int:
    if unit == "month":
        return period.year * 12 + period.month - 1
    return period.year * 4 + period.quarter - 1 if unit == "quarter" else period.year


def _period_name(period: pd.Period, unit: str) -> str:
    return {"month": f"{period:%b %Y}", "quarter": f"{period.year} Q{period.quarter}", "year": f"{period.year}"}[unit]


def follow_repeats(
    purchases: ir.Table, end: date, interval: float = 0.9, most_years: int = 4, largest_step: float = LARGEST_STEP
) -> pd.DataFrame:
    """Estimate the share of customers who bought again within so many days, by year of the first purchase.

    Kaplan and Meier's estimate: whoever has not bought again yet has been followed only up to `end` and counts as
    censored there, so young cohorts are not mistaken for disloyal ones. The band is Greenwood's on the log-log scale.

    Parameters
    ----------
    purchases : ibis Table
        ``customer_id``, ``period`` (date), ``value`` (money).
    end : date
        Last day of observation.
    interval : float
        Probability of the band (0 to 1).
    most_years : int
        Years told apart; the older ones are taken together.
    largest_step : float
        A curve ends where one customer would move it by more than this share; a cohort of fewer than
        ``1 / largest_step`` customers has none.

    Returns
    -------
    DataFrame
        ``cohort`` (`ALL_YEARS` first, then years, oldest first), ``time`` (days), ``share``, ``low``, ``high``
        (0 to 1), ``at_risk`` (customers followed up to that day).
    """
    counts = _second_purchases(purchases, end)
    years = sorted(counts["year"].unique())
    older = years[:-most_years]
    names = {year: f"{older[0]}–{older[-1]}" if len(older) > 1 and year in older else str(year) for year in years}
    counts["cohort"] = counts["year"].map(names)
    groups = [(ALL_YEARS, counts), *counts.groupby("cohort", sort=False)]
    curves = [_repeat_curve(rows, interval, largest_step).assign(cohort=name) for name, rows in groups]
    columns = ["cohort", "time", "share", "low", "high", "at_risk"]
    return pd.concat([curve for curve in curves if len(curve)] or [pd.DataFrame(columns=columns)])[columns].reset_index(
        drop=True
    )


def _second_purchases(purchases: ir.Table, end: date) -> pd.DataFrame:
    table = dated(purchases, end)
    table = table.mutate(first=table.period.min().over(ibis.window(group_by="customer_id")))
    each = table.group_by("customer_id").agg(
        first=table["first"].min(), second=table.period.min(where=table.period > table["first"])
    )
    until = each.second.fill_null(ibis.date(end))
    each = each.select(
        year=each["first"].year().cast("int64"), time=_days(each["first"], until), again=each.second.notnull()
    )
    counts = each.group_by("year", "time", "again").agg(customers=each.count())
    return counts.order_by("year", "time", "again").execute()


def _repeat_curve(counts: pd.DataFrame, interval: float, largest_step: float) -> pd.DataFrame:
    time, weights = counts["time"].to_numpy(float), counts["customers"].to_numpy(float)
    if not counts["again"].any():
        return pd.DataFrame()
    fit = SurvfuncRight(time, counts["again"].to_numpy(float), freq_weights=weights)
    still, events, risk = fit.surv_prob, fit.n_events, fit.n_risk
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (risk * (risk - events)))
        spread = norm.ppf(0.5 + interval / 2) * np.sqrt(greenwood) / np.abs(np.log(still))
        low, high = (1 - still ** np.exp(sign * spread) for sign in (-1, 1))
    curve = pd.DataFrame({"time": fit.surv_times, "share": 1 - still, "low": low, "high": high, "at_risk": risk})
    curve = curve.assign(low=curve["low"].ffill().fillna(0.0), high=curve["high"].fillna(1.0))  # nobody is left
    longest = _followed_until(time, weights, fit, largest_step)
    start = pd.DataFrame([{"time": 0.0, "share": 0.0, "low": 0.0, "high": 0.0, "at_risk": weights.sum()}])
    curve = pd.concat([start, curve]).drop_duplicates("time", keep="last")
    curve = curve[curve["time"] <= longest]
    return pd.concat([curve, curve.tail(1).assign(time=longest)]).drop_duplicates("time").reset_index(drop=True)


def _followed_until(time: np.ndarray, weights: np.ndarray, fit: SurvfuncRight, largest_step: float) -> float:
    """Last day up to which no single customer moves the curve by more than the largest step; -1 if there is none."""
    days, place = np.unique(time, return_inverse=True)
    at_risk = np.cumsum(np.bincount(place, weights)[::-1])[::-1]
    before = np.r_[1.0, fit.surv_prob][np.searchsorted(fit.surv_times, days, side="left")]
    steady = before <= largest_step * at_risk
    count = len(days) if steady.all() else int(np.argmin(steady))
    return float(days[count - 1]) if count else -1.0


def read_milestones(curves: pd.DataFrame, days: tuple[int, ...] = MILESTONES) -> pd.DataFrame:
    """Read the repeat curves at round numbers of days.

    Returns
    -------
    DataFrame
        ``cohort``, ``days``, ``share``, ``low``, ``high``; a cohort that was not followed so long has no row.
    """
    rows = []
    for name, curve in curves.groupby("cohort", sort=False):
        for day in days:
            if day <= curve["time"].max():
                at = curve[curve["time"] <= day].iloc[-1]
                rows.append({"cohort": name, "days": day, "share": at["share"], "low": at["low"], "high": at["high"]})
    return pd.DataFrame(rows, columns=["cohort", "days", "share", "low", "high"])


def count_gaps(purchases: ir.Table, end: date) -> pd.DataFrame:
    """Count the days between one purchase of a customer and the next.

    Returns
    -------
    DataFrame
        ``days`` (whole, ascending) and ``gaps`` (how many such gaps); no rows when nobody bought twice. Only gaps
        that ended are seen: long ones are missing the more, the shorter the history.
    """
    table = dated(purchases, end)
    before = table.period.lag().over(ibis.window(group_by="customer_id", order_by="period"))
    table = table.mutate(before=before).filter(lambda t: t.before.notnull())
    table = table.mutate(days=_days(table.before, table.period))
    return table.group_by("days").agg(gaps=table.count()).order_by("days").execute()


def gap_quantile(gaps: pd.DataFrame, level: float) -> float:
    """Days within which a share `level` (0 to 1) of the gaps of `count_gaps` ended; NaN without any gap."""
    if gaps.empty:
        return float("nan")
    reached = gaps["gaps"].cumsum() / gaps["gaps"].sum()
    return float(gaps["days"].to_numpy()[np.searchsorted(reached.to_numpy(), level - 1e-12)])


def gap_edges(gaps: pd.DataFrame, level: float = 0.95, bins: int = 60) -> np.ndarray:
    """Edges of at most `bins` bars of whole days that hold a share `level` (0 to 1) of the gaps of `count_gaps`."""
    longest = gap_quantile(gaps, level)
    if np.isnan(longest):
        return np.array([0.5, 1.5])
    width = max(1, int(np.ceil(longest / bins)))
    return np.arange(0.5, longest + width + 0.5, width)


def _days(earlier: ir.DateValue, later: ir.DateValue) -> ir.IntegerValue:
    seconds = later.cast("timestamp").epoch_seconds() - earlier.cast("timestamp").epoch_seconds()
    return (seconds / float(_DAY)).cast("int64")
