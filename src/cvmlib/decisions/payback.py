"""Acquisition cost and payback: months until a customer's margin has covered what it cost to win him, with probability.

Customers have been followed for different lengths, so the share paid back by each month is a Kaplan-Meier estimate over
counted (month, paid back or not) pairs. A channel pays back on the whole when the mean margin per customer of that age
exceeds the mean cost.
"""

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.stats import norm

from cvmlib.errors import DataError

MONTHS = (1, 3, 6, 12, 18, 24, 36)
ALL = "all channels"
_MONTH = 365.25 / 12


def check_costs(people: ir.Table, unit: str = "") -> None:
    """Refuse negative acquisition costs.

    Raises
    ------
    DataError
        Naming how many rows, and the first customers.
    """
    wrong = people.filter(people.acquisition_cost < 0)
    number = int(wrong.count().execute())
    if number:
        first = wrong.order_by("customer_id").limit(3).execute()
        shown = ", ".join(f"{r.customer_id} ({r.acquisition_cost:g})" for r in first.itertuples())
        rows = "1 row has a negative cost" if number == 1 else f"{number:,} rows have a negative cost"
        raise DataError(
            f"{unit}.customers.acquisition_cost: {rows}: {shown}{' …' if number > 3 else ''}. A cost is money spent, "
            "zero or more; credits and refunds do not belong in it. Mend these rows, or leave the cost empty."
        )


def count_paybacks(cash: ir.Table, people: ir.Table, end: date) -> pd.DataFrame:
    """Count customers by channel, by the month in which they paid their cost back, or up to which they have not.

    Parameters
    ----------
    cash : ibis Table
        From `cvmlib.decisions.cash`.
    people : ibis Table
        ``customer_id``, ``acquisition_cost`` (money; customers without one are left out), ``acquisition_channel``.
    end : date
        End of observation.

    Returns
    -------
    DataFrame
        channel, month (30.4 days each after the first purchase; 1 is the first), paid (bool), customers.
    """
    channel = (
        people.acquisition_channel.cast("string") if "acquisition_channel" in people.columns else ibis.null("string")
    )
    costs = people.filter(people.acquisition_cost.notnull())
    costs = people.select("customer_id", cost=people.acquisition_cost, channel=channel.fill_null("not stated"))
    costs = costs.filter(costs.cost.notnull() & ~costs.cost.isnan())
    window = ibis.window(group_by="customer_id", order_by="day", preceding=None, following=0)
    flow = cash.join(costs, "customer_id")
    flow = flow.mutate(sum=flow.margin.sum().over(window))
    flow = flow.mutate(first=flow.day.min().over(ibis.window(group_by="customer_id")))
    each = flow.group_by("customer_id", "channel", "first").agg(back=flow.day.min(where=flow["sum"] >= flow.cost))
    until = ibis.literal(pd.Timestamp(end))
    last = ibis.coalesce(each.back, until.cast("timestamp"))
    days = (last.epoch_seconds() - each["first"].epoch_seconds()).cast("float64") / 86_400
    each = each.mutate(paid=each.back.notnull(), month=(days / _MONTH).floor().cast("int64") + 1)
    counted = each.group_by("channel", "month", "paid").agg(customers=each.count())
    return counted.order_by("channel", "month", "paid").execute()


def estimate_payback(counts: pd.DataFrame, months: tuple[int, ...] = MONTHS, interval: float = 0.9) -> pd.DataFrame:
    """Share of customers who have paid back by so many months (Kaplan and Meier 1958; interval by log-log Greenwood).

    Returns
    -------
    DataFrame
        channel (first `ALL`), month, paid, low, high; months that nobody was followed for are left out.
    """
    everybody = counts.groupby(["month", "paid"], as_index=False)["customers"].sum().assign(channel=ALL)
    z, rows = norm.ppf(0.5 + interval / 2), []
    for channel, part in pd.concat([everybody, counts]).groupby("channel", sort=False):
        table = part.pivot_table(index="month", columns="paid", values="customers", aggfunc="sum", fill_value=0)
        table = table.reindex(columns=[False, True], fill_value=0).sort_index()
        at_risk = table.sum(axis=1).iloc[::-1].cumsum().iloc[::-1]
        paid = table[True].to_numpy(float)
        risk = np.maximum(at_risk.to_numpy(float) - 0.0, 1.0)
        left = np.cumprod(1 - paid / risk)
        variance = np.cumsum(paid / np.maximum(risk * (risk - paid), 1e-9))
        month = table.index.to_numpy()
        for wanted in months:
            if wanted > month.max():
                break
            at = np.searchsorted(month, wanted, side="right") - 1
            rows.append((channel, wanted, *_interval(1.0 if at < 0 else left[at], variance[max(at, 0)], z)))
    return pd.DataFrame(rows, columns=["channel", "month", "paid", "low", "high"])


def _interval(left: float, variance: float, z: float) -> tuple[float, float, float]:
    if not 0 < left < 1:
        return 1 - left, 1 - left, 1 - left
    spread = np.exp(z * np.sqrt(variance) / abs(np.log(left)))
    return 1 - left, float(1 - left ** (1 / spread)), float(1 - left**spread)


def sum_first_months(
    cash: ir.Table, people: ir.Table | None, end: date, months: int, rate: float, column: str = "acquisition_channel"
) -> pd.DataFrame:
    """Sum the margin of each customer's first months, over customers followed for as long, by a column of theirs.

    Parameters
    ----------
    cash, people : ibis Table
        As for `count_paybacks`; without people all are one group.
    end : date
        End of observation.
    months : int
        Months after the first purchase.
    rate : float
        Discount rate a year, to the day of the first purchase.
    column : str
        Column of `people`.

    Returns
    -------
    DataFrame
        group, customers, mean, deviation (money per customer).
    """
    first = cash.day.min().over(ibis.window(group_by="customer_id"))
    flow = cash.mutate(first=first)
    age = (flow.day.epoch_seconds() - flow["first"].epoch_seconds()).cast("float64") / 86_400
    until = flow["first"] + ibis.interval(months=months)  # by the calendar: so many payments of a subscription, no more
    after = ibis.literal(pd.Timestamp(end) + pd.Timedelta(days=1))
    flow = flow.filter(until <= after, flow.day < until)
    each = flow.group_by("customer_id").agg(sum=(flow.margin * ((-np.log1p(rate) / 365.25) * age).exp()).sum())
    each = each.mutate(group=ibis.literal("")) if people is None else _named(each, people, column)
    found = each.group_by("group").agg(
        customers=each.count(), mean=each["sum"].mean(), deviation=each["sum"].std(how="sample")
    )
    return found.order_by("group").execute()


def _named(each: ir.Table, people: ir.Table, column: str) -> ir.Table:
    named = people.select("customer_id", group=people[column].cast("string").fill_null("not stated"))
    return each.left_join(named, "customer_id", rname="{name}_known").mutate(group=ibis._.group.fill_null("not stated"))


def compare_costs(cash: ir.Table, people: ir.Table, end: date, months: tuple[int, ...] = MONTHS) -> pd.DataFrame:
    """Mean margin per customer by age beside the mean acquisition cost, by channel.

    Returns
    -------
    DataFrame
        channel, month, followed (customers), margin (mean, cumulative, money), cost (mean), chance (that the mean
        margin of many such customers covers their cost by then).
    """
    costs = people.filter(people.acquisition_cost.notnull())
    column = costs.acquisition_channel.cast("string") if "acquisition_channel" in costs.columns else ibis.null("string")
    costs = costs.select("customer_id", cost=costs.acquisition_cost, channel=column.fill_null("not stated"))
    first = cash.day.min().over(ibis.window(group_by="customer_id"))
    flow = cash.mutate(first=first).join(costs, "customer_id")
    age = (flow.day.epoch_seconds() - flow["first"].epoch_seconds()).cast("float64") / 86_400
    until = ibis.literal(pd.Timestamp(end)).cast("timestamp").epoch_seconds()
    follow = (until - flow["first"].epoch_seconds()) / 86_400
    sums = {f"m{month}": (flow.margin * (age < month * _MONTH).cast("float64")).sum() for month in months}
    each = flow.mutate(follow=follow).group_by("customer_id", "channel", "cost", "follow").agg(**sums)
    measures = {name: value for month in months for name, value in _at_age(each, month).items()}
    wide = [each.agg(**measures).execute().assign(channel=ALL)]
    wide.append(each.group_by("channel").agg(**measures).order_by("channel").execute())
    table = pd.concat([_lay_out(pd.concat(wide, ignore_index=True), month) for month in months])
    table = table[table["followed"] > 1].sort_values(["place", "month"], ignore_index=True)
    error = table["deviation"] / np.sqrt(table["followed"])
    table["chance"] = norm.cdf(table["net"] / error.where(error > 0, 1e-9))
    return table[["channel", "month", "followed", "margin", "cost", "chance"]]


def _at_age(each: ir.Table, month: int) -> dict[str, ir.Scalar]:
    """Aggregate the customers followed for so many months."""
    old, sums = each.follow >= month * _MONTH, each[f"m{month}"]
    return {
        f"followed_{month}": old.sum(),
        f"margin_{month}": sums.mean(where=old),
        f"cost_{month}": each.cost.mean(where=old),
        f"net_{month}": (sums - each.cost).mean(where=old),
        f"deviation_{month}": (sums - each.cost).std(how="sample", where=old),
    }


def _lay_out(wide: pd.DataFrame, month: int) -> pd.DataFrame:
    names = ("followed", "margin", "cost", "net", "deviation")
    table = wide[["channel", *(f"{name}_{month}" for name in names)]].set_axis(["channel", *names], axis=1)
    table[list(names[1:])] = table[list(names[1:])].astype(float)
    return table.assign(month=month, place=np.arange(len(table)), followed=table["followed"].fillna(0).astype("int64"))
