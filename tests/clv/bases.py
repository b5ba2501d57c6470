"""Small transaction bases for the tests of the X-ray, and the counts of customers behind them."""

from datetime import date

import ibis
import numpy as np
import pandas as pd

END = date(2026, 6, 30)


def random_base(customers: int = 300, start: date = date(2023, 2, 10), end: date = END, seed: int = 3) -> pd.DataFrame:
    """Customers who arrive evenly between two days and buy at rates and values of their own."""
    rng = np.random.default_rng(seed)
    days = (end - start).days
    arrival = np.r_[0, rng.integers(0, days, customers - 1)]
    rows = []
    for number, first in enumerate(arrival):
        gaps = rng.exponential(40 * rng.gamma(1.0, 2.0) + 1, rng.geometric(0.3)).round() + 1
        at = np.unique(np.r_[first, first + gaps.cumsum()])
        rows += [(f"c{number}", pd.Timestamp(start) + pd.Timedelta(days=d)) for d in at if d <= days]
    frame = pd.DataFrame(rows, columns=["customer_id", "period"])
    frame["value"] = rng.lognormal(3.5, 0.8, len(frame)).round(2)
    return frame


def as_table(frame: pd.DataFrame):
    """Ibis table of purchases with dates."""
    return ibis.memtable(frame.assign(period=pd.to_datetime(frame["period"]).dt.date))


def customers_of(frame: pd.DataFrame, end: date = END) -> pd.DataFrame:
    """One row per customer, counted in pandas."""
    groups = frame.groupby("customer_id")
    counted = groups.agg(first=("period", "min"), last=("period", "max"), total_value=("value", "sum"))
    counted["frequency"] = groups.size() - 1
    return counted.reset_index()
