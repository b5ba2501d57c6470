"""Whether customers buy at random times, as the purchase model assumes, or by rhythm.

Given that a customer made x repeat purchases, the last at t_x, a Poisson process puts the others anywhere in between
with equal probability, whatever his rate. The gaps between purchases, counted in whole periods, are then a uniform
composition of t_x into x parts, so the expected sum of their squares is known exactly, with no parameter to estimate.
Purchases by rhythm have more equal gaps. Gaps of an Erlang-k process are Dirichlet(k) shares of t_x (k = 1 is
Poisson, larger k is more regular), which in whole periods is about Dirichlet-multinomial; k is estimated by equating
the observed sum of squares to its expectation. That is exact for a Poisson process and unbiased to k = 2 or so. Farther
off it errs, on the right side of one: 4 reads as about 4.3 with a purchase a month and 5.6 with one a week, and 0.3 as
about 0.4, because purchases that cluster within a period are one.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

from cvmlib.periods import SECONDS, last_period

Array = npt.NDArray[np.float64]
_BOUNDS = (0.02, 200.0)
_NORMAL_95 = 1.645

#: A customer's sum of squares counts up to so many times its expectation at random timing, which random timing hardly
#: ever exceeds: one stray row, long after a customer left, must not hide the rhythm of all others.
MOST = 3.0


@dataclass(frozen=True)
class Regularity:
    """Estimated Erlang shape ``k`` with a 90% interval (``low``, ``high``), from so many ``customers``."""

    k: float
    low: float
    high: float
    customers: int

    def as_dict(self) -> dict[str, float]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


def count_gaps(purchases: ir.Table, end: date, time_unit: str = "day") -> ir.Table:
    """Sum the squared gaps between purchases, grouped by frequency and recency (in periods).

    Parameters
    ----------
    purchases : ibis Table
        Result of `cvmlib.clv.counts.count_purchases`.
    end : date
        Last day of the observation.
    time_unit : {"hour", "day", "week"}
        Resolution at which `purchases` was counted.

    Returns
    -------
    ibis Table
        ``frequency`` (two or more), ``recency`` (periods), ``customers``, ``squares`` and ``squares_squared``: over
        those customers, the sums of S and of S squared, where S is a customer's sum of squared gaps in periods, at most
        `MOST` times what random timing leads one to expect.
    """
    cut = ibis.literal(last_period(end, time_unit), type="timestamp")
    used = purchases.filter(purchases.period <= cut)
    epoch = (used.period.epoch_seconds() / float(SECONDS[time_unit])).round().cast("int64")
    before = epoch.lag().over(ibis.window(group_by=used.customer_id, order_by=used.period))
    gaps = used.select("customer_id", gap=epoch - before).filter(lambda t: t.gap.notnull())
    each = gaps.group_by("customer_id").agg(
        frequency=gaps.count(), recency=gaps.gap.sum(), squares=(gaps.gap.cast("float64") ** 2).sum()
    )
    each = each.filter(each.frequency >= 2)
    x, n = each.frequency.cast("float64"), each.recency.cast("float64")
    each = each.mutate(squares=ibis.least(each.squares, MOST * _expected(1.0, x, n)))
    return (
        each.group_by("frequency", "recency")
        .agg(customers=each.count(), squares=each.squares.sum(), squares_squared=(each.squares**2).sum())
        .order_by("frequency", "recency")
    )


def count_pairs(purchases: ir.Table) -> ir.Table:
    """Count the pairs of periods in which a customer bought and bought again next.

    Parameters
    ----------
    purchases : ibis Table
        Result of `cvmlib.clv.counts.count_purchases`.

    Returns
    -------
    ibis Table
        ``before``, ``after`` (days since 1970-01-01), ``gaps`` (how many).
    """
    days = purchases.period.epoch_seconds() / float(SECONDS["day"])
    before = days.lag().over(ibis.window(group_by=purchases.customer_id, order_by=purchases.period))
    pairs = purchases.select(before=before, after=days).filter(lambda t: t.before.notnull())
    return pairs.group_by("before", "after").agg(gaps=pairs.count()).order_by("before", "after")


def expected_squares(k: float, frequency: Array, recency: Array) -> Array:
    """Return the expected sum of squared gaps, in periods, of Dirichlet-multinomial gaps (each at least one period).

    Parameters
    ----------
    k : float
        Erlang shape; 1 is a Poisson process.
    frequency, recency : array
        Repeat purchases and periods from first to last purchase.
    """
    return _expected(k, np.asarray(frequency, dtype=float), np.asarray(recency, dtype=float))


def _expected[T: (Array, ir.FloatingValue)](k: float, x: T, n: T) -> T:
    free = n - x
    return free * (1.0 - 1.0 / x) * (free + k * x) / (1.0 + k * x) + n * n / x


def estimate_regularity(gaps: pd.DataFrame) -> Regularity | None:
    """Estimate k from the table of `count_gaps`; None with fewer than 20 customers who bought three times or more.

    Customers are weighted as is best for a Poisson process. The interval holds every k whose expectation the sum of
    squares does not leave by more than 1.645 standard errors, from the scatter between customers, so that gaps more
    equal than any k makes them have their interval at the upper bound.
    """
    used = gaps[gaps["recency"] > gaps["frequency"]]
    if used["customers"].sum() < 20:
        return None
    x, n, customers = (used[c].to_numpy(dtype=float) for c in ("frequency", "recency", "customers"))
    share, share2 = used["squares"].to_numpy() / n**2, used["squares_squared"].to_numpy() / n**4
    weight = (x + 2.0) * (x + 3.0)

    def distance(log_k: float) -> float:
        """Sum of squares less its expectation, in standard errors; it rises with k, as the expectation falls."""
        mean = expected_squares(np.exp(log_k), x, n) / n**2
        variance = weight**2 @ (share2 - 2.0 * mean * share + customers * mean**2)
        return float(weight @ (share - customers * mean) / np.sqrt(max(variance, 1e-300)))

    low, k, high = (float(np.exp(_cross(distance, level))) for level in (-_NORMAL_95, 0.0, _NORMAL_95))
    return Regularity(k, low, high, int(customers.sum()))


def _cross(distance: Callable[[float], float], level: float) -> float:
    """Where a rising function of log k reaches a level; the nearer bound where it does not."""
    lowest, highest = np.log(_BOUNDS)
    if distance(lowest) >= level:
        return lowest
    if distance(highest) <= level:
        return highest
    return optimize.brentq(lambda log_k: distance(log_k) - level, lowest, highest)
