"""How unequal customers are: the Lorenz curve, the share of the best fifth, and acquisition channels side by side.

Customers are grouped by what they spent, in steps of one per cent, so that ten million of them are about a thousand
rows with exact sums. The bootstrap resamples the customers of the groups (a multinomial draw), not rows of a table.
"""

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.stats import norm

from cvmlib.clv.customer_base import Span, dated

STEP = 0.01
"""Relative width of a group of spending."""

UNKNOWN = "not stated"
_HORIZONS = (365, 180, 90, 30)
_CHANNEL_COLUMNS = [
    *("channel", "customers", "customer_share", "value_share", "top_share", "top_low", "top_high"),
    *("followed", "repeat_share", "mean", "low", "high"),
]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    mean: float
    low: float
    high: float


def group_values(customers: ir.Table, by: str | None = None) -> pd.DataFrame:
    """Group customers by their total value, in steps of one per cent.

    Parameters
    ----------
    customers : ibis Table
        ``total_value`` (money per customer, zero or more), and the column `by`.
    by : str, optional
        Column that tells customers apart further, such as ``acquisition_channel``.

    Returns
    -------
    DataFrame
        ``customers``, ``value`` (money, exact sum), best first, and `by`.
    """
    spent = customers.total_value
    positive = spent > 0
    step = (ibis.ifelse(positive, spent, 1.0).ln() / float(np.log1p(STEP))).floor().cast("int64")
    group = customers.mutate(step=ibis.ifelse(positive, step, -(10**9)))
    if by is not None:
        group = group.mutate(**{by: group[by].cast("string").fill_null(UNKNOWN)})
    keys = [by, "step"] if by else ["step"]
    counts = group.group_by(keys).agg(customers=group.count(), value=group.total_value.sum())
    return counts.order_by(ibis.desc("step"), *keys[:-1]).drop("step").execute()


def lorenz_curve(groups: pd.DataFrame) -> pd.DataFrame:
    """Accumulate customers and value from the best customer down.

    Returns
    -------
    DataFrame
        ``customers``, ``share`` (cumulative shares, 0 to 1), beginning at 0, 0; no rows without any value.
    """
    if groups.empty or groups["value"].sum() <= 0:
        return pd.DataFrame({"customers": [], "share": []})
    customers, value = groups["customers"].to_numpy(float), groups["value"].to_numpy(float)
    return pd.DataFrame(
        {"customers": np.r_[0, customers.cumsum() / customers.sum()], "share": np.r_[0, value.cumsum() / value.sum()]}
    )


def top_share(
    groups: pd.DataFrame, top: float = 0.2, interval: float = 0.9, draws: int = 1_000, seed: int = 1
) -> Estimate:
    """Share of the value that comes from the best customers, with a bootstrap interval over customers.

    Parameters
    ----------
    groups : DataFrame
        Result of `group_values`.
    top : float
        Share of customers that counts as the best (0 to 1).
    interval : float
        Probability of the interval.
    draws, seed : int
        Of the bootstrap.
    """
    counts, value = groups["customers"].to_numpy(float), groups["value"].to_numpy(float)
    if value.sum() <= 0:
        return Estimate(np.nan, np.nan, np.nan)
    total = int(counts.sum())
    rng = np.random.default_rng(seed)
    resampled = rng.multinomial(total, counts / total, size=draws).astype(float)
    shares = _share_of_top(resampled, value / counts, top)
    low, high = np.nanquantile(shares, [0.5 - interval / 2, 0.5 + interval / 2])
    return Estimate(float(_share_of_top(counts[None], value / counts, top)[0]), float(low), float(high))


def _share_of_top(counts: np.ndarray, mean_value: np.ndarray, top: float) -> np.ndarray:
    """Rows of counts over groups, best first, to the share of the value of the top customers in each row."""
    limit = top * counts.sum(axis=1, keepdims=True)
    before = np.cumsum(counts, axis=1) - counts
    inside = np.clip(limit - before, 0, counts)
    with np.errstate(invalid="ignore"):
        return (inside @ mean_value) / (counts @ mean_value)


def customers_behind(groups: pd.DataFrame, share: float = 0.8) -> float:
    """Share of customers (0 to 1) from whom a share of the value comes, the best first; NaN without any value."""
    curve = lorenz_curve(groups)
    return float(np.interp(share, curve["share"], curve["customers"])) if len(curve) else float("nan")


def comparison_days(span: Span) -> int | None:
    """Days after the first purchase over which groups of customers are compared: half the history or less."""
    return next((days for days in _HORIZONS if 2 * days <= span.days), None)


def compare_channels(
    purchases: ir.Table,
    customers: ir.Table,
    end: date,
    days: int | None,
    column: str = "acquisition_channel",
    interval: float = 0.9,
    seed: int = 1,
) -> pd.DataFrame:
    """Compare acquisition channels over the same length of time after each customer's first purchase.

    Only customers whose first purchase lies at least `days` back count in the comparison, each with the purchases of
    those days: a channel does not look better because its customers came earlier.

    Parameters
    ----------
    purchases, customers : ibis Table
        ``customer_id``, ``period``, ``value``; ``customer_id``, ``total_value`` and the channel.
    end : date
        Last day of observation.
    days : int or None
        Length of the comparison (days), see `comparison_days`; with None nobody is compared.
    column : str
        Column of `customers` to compare.
    interval : float
        Probability of the intervals (normal for the mean; bootstrap for the share of the best fifth).
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per channel, largest first: ``channel``, ``customers`` (all), ``customer_share``, ``value_share``,
        ``top_share``, ``top_low``, ``top_high`` (share of the best fifth within the channel), ``followed``
        (customers compared), ``repeat_share`` (bought again within `days`), and ``mean``, ``low``, ``high`` (revenue
        per customer within `days`, money). No rows when `customers` has no such column, or nothing in it.
    """
    if column not in customers.columns or not customers[column].notnull().any().execute():
        return pd.DataFrame(columns=_CHANNEL_COLUMNS)
    named = customers.select("customer_id", channel=customers[column].cast("string").fill_null(UNKNOWN))
    table = dated(purchases, end)
    first = table.period.min().over(ibis.window(group_by="customer_id"))
    table = table.mutate(first=first, limit=first + ibis.interval(days=days or 0))
    table = table.filter((table.period <= table["limit"]) & (table["limit"] <= ibis.date(end)))
    each = table.group_by("customer_id").agg(value=table.value.sum(), purchases=table.count())
    each = each.join(named, "customer_id")
    compared = each.group_by("channel").agg(
        followed=each.count(),
        repeat_share=(each.purchases > 1).cast("float64").mean(),
        mean=each.value.mean(),
        deviation=each.value.std(how="sample"),
    )
    figures = compared.execute() if days else compared.limit(0).execute()
    return _join_channels(group_values(customers, column), figures, column, interval, seed)


def _join_channels(
    groups: pd.DataFrame, compared: pd.DataFrame, column: str, interval: float, seed: int
) -> pd.DataFrame:
    rows = []
    for name, group in groups.groupby(column, sort=False):
        best = top_share(group, interval=interval, seed=seed)
        total = {"channel": name, "customers": int(group["customers"].sum()), "value": group["value"].sum()}
        rows.append(total | {"top_share": best.mean, "top_low": best.low, "top_high": best.high})
    frame = pd.DataFrame(rows).merge(compared, on="channel", how="left")
    frame["followed"] = frame["followed"].fillna(0).astype("int64")
    frame["customer_share"] = frame["customers"] / frame["customers"].sum()
    frame["value_share"] = frame["value"] / frame["value"].sum()
    margin = norm.ppf(0.5 + interval / 2) * frame["deviation"] / np.sqrt(frame["followed"].where(frame["followed"] > 1))
    frame["low"], frame["high"] = frame["mean"] - margin, frame["mean"] + margin
    order = frame.sort_values(["customers", "channel"], ascending=[False, True])
    return order[_CHANNEL_COLUMNS].reset_index(drop=True)
