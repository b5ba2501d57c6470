"""When customers were contacted last, and through which channel they come: read where the tables lie."""

from collections.abc import Iterable

import ibis
import ibis.expr.types as ir
import pandas as pd

from cvmlib.portfolio import Portfolio
from cvmlib.tables.cleaning import clean_keyed
from cvmlib.tables.sources import connect, mapped_table

LOOKBACK_DAYS = 365


def find_contacted(portfolio: Portfolio, unit: str, end: pd.Timestamp, rest_days: int) -> set[str]:
    """Customers who were contacted in the last `rest_days` days, by `assignments` and touchpoints of the actions.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.
    end : Timestamp
        End of observation.
    rest_days : int
        How long customers are left alone.
    """
    tables, con = portfolio.units[unit].tables, connect(portfolio, unit)
    since = ibis.literal(end - pd.Timedelta(days=rest_days - 1), type="timestamp")
    until = ibis.literal(end + pd.Timedelta(days=1), type="timestamp")
    found: set[str] = set()
    if rest_days and "assignments" in tables:
        drawn = mapped_table(portfolio, unit, "assignments", con)
        if "assigned_on" not in drawn.columns and "programs" in tables:
            starts = clean_keyed(mapped_table(portfolio, unit, "programs", con), "programs")
            drawn = drawn.inner_join(starts.select("program_id", assigned_on="start"), "program_id")
        if "assigned_on" in drawn.columns:
            day = drawn.assigned_on.cast("timestamp")
            found |= _names(drawn.filter(drawn.arm == "treated", day >= since, day < until))
    if rest_days and "touchpoints" in tables:
        channels = sorted({action.channel for action in portfolio.units[unit].actions.values()})
        touched = mapped_table(portfolio, unit, "touchpoints", con)
        time = touched.time.cast("timestamp")
        found |= _names(touched.filter(touched.channel.isin(channels), time >= since, time < until))
    return found


def find_channels(portfolio: Portfolio, unit: str, end: pd.Timestamp) -> pd.Series:
    """Channel through which each customer came most often in the year before `end`, by customer_id.

    Customers without a touchpoint are not in it; of channels that are equal the first in the alphabet is taken.
    """
    if "touchpoints" not in portfolio.units[unit].tables:
        return pd.Series(dtype=object)
    touched = mapped_table(portfolio, unit, "touchpoints", connect(portfolio, unit))
    time = touched.time.cast("timestamp")
    since = ibis.literal(end - pd.Timedelta(days=LOOKBACK_DAYS), type="timestamp")
    kept = touched.filter(time >= since, time < ibis.literal(end + pd.Timedelta(days=1), type="timestamp"))
    counted = kept.group_by("customer_id", "channel").agg(touches=kept.count())
    ranked = counted.mutate(
        place=ibis.row_number().over(group_by=counted.customer_id, order_by=[counted.touches.desc(), counted.channel])
    )
    best = ranked.filter(ranked.place == 0).select("customer_id", "channel").to_pandas()
    return best.set_index("customer_id")["channel"]


def _names(table: ir.Table) -> set[str]:
    return set(_strings(table.select("customer_id").distinct().to_pandas()["customer_id"]))


def _strings(values: Iterable) -> list[str]:
    return [str(value) for value in values]
