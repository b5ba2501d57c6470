"""The time ahead, in days of the calendar and in the operational days that customers live through, draw by draw."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws

Array = npt.NDArray[np.float64]

DAYS_PER_YEAR = 365.25
_GROWTH = 1.15  # of the windows beyond the horizon, where everything is discounted and slow


def month_edges(start: pd.Timestamp, end: pd.Timestamp) -> Array:
    """Days from `start` to the ends of the months ahead, 0 first and `end` last."""
    months = [start + pd.DateOffset(months=m) for m in range(1, 12 * 20)]
    inner = [month for month in months if month < end - pd.Timedelta(days=10)]  # no window of a few days
    return np.array([0.0, *((t - start) / pd.Timedelta(days=1) for t in [*inner, end])])


@dataclass(frozen=True)
class Ahead:
    """Windows (such as months) from the end of observation on.

    Parameters
    ----------
    edges : array, shape (draws, windows + 1)
        Operational days after the end of observation at the ends of the windows, in each draw of the calendar; the
        first is 0.
    days : array, shape (windows + 1,)
        Calendar days at the same edges, the first 0 and the last the horizon.

    Raises
    ------
    ValueError
        The shapes do not fit, or the times do not begin with 0 or do not rise.
    """

    edges: Array
    days: Array

    def __post_init__(self) -> None:
        if self.edges.ndim != 2 or self.days.ndim != 1 or self.edges.shape[1] != len(self.days) or len(self.days) < 2:
            raise ValueError(
                f"edges have shape {self.edges.shape} and days {self.days.shape}; needed are (draws, windows + 1) and "
                "(windows + 1,), with at least one window"
            )
        if np.any(self.edges[:, 0] != 0) or self.days[0] != 0:
            raise ValueError("the first edge of the time ahead is not 0")
        if not (np.all(np.diff(self.edges, axis=1) >= 0) and np.all(np.diff(self.days) > 0)):
            raise ValueError("the edges of the time ahead do not rise")

    @classmethod
    def plain(cls, days: npt.ArrayLike, draws: int) -> "Ahead":
        """Without a calendar an operational day is a day, in every draw."""
        days = np.asarray(days, dtype=float)
        return cls(np.tile(days, (draws, 1)), days)

    def __len__(self) -> int:
        """How many draws."""
        return len(self.edges)

    @property
    def horizon(self) -> float:
        """Calendar days ahead."""
        return float(self.days[-1])

    def take(self, draws: npt.NDArray[np.int64]) -> "Ahead":
        """Keep the chosen draws."""
        return Ahead(self.edges[draws], self.days)

    def discount_factors(self, per_day: float) -> Array:
        """Mean of ``exp(-per_day * t)`` over the calendar days t of each window, shape (windows,)."""
        length = per_day * np.diff(self.days)
        shrink = -np.expm1(-length) / np.where(length > 0, length, 1.0)
        return np.exp(-per_day * self.days[:-1]) * np.where(length > 0, shrink, 1.0)

    def customer_years(self, per_day: float, skip: int = 0) -> Array:
        """Weights of P(alive) at the edges that give discounted years as a customer (trapezoid), shape (windows + 1,).

        The trapezoid runs over calendar days, each window discounted like the purchases in it; the first `skip` windows
        are left out.
        """
        half = 0.5 * self.discount_factors(per_day) * np.diff(self.days) / DAYS_PER_YEAR
        half[:skip] = 0.0
        return np.r_[half, 0.0] + np.r_[0.0, half]

    def beyond(self, years: float = 20.0) -> "Ahead":
        """Go on until `years` from now: one window up to the horizon, then windows that grow by 15% each.

        Operational time goes on, in each draw, at the mean pace that it has up to the horizon, so that a horizon of
        whole years carries its seasons on.
        """
        end = max(years * DAYS_PER_YEAR, self.horizon * _GROWTH)
        steps = int(np.ceil(np.log(end / self.horizon) / np.log(_GROWTH)))
        days = np.r_[0.0, np.geomspace(self.horizon, end, steps + 1)]
        return Ahead(np.outer(self.edges[:, -1] / self.horizon, days), days)


@dataclass(frozen=True)
class Outlook:
    """All that is uncertain about the time ahead of a unit, draw by draw: both models' parameters and the calendar.

    Parameters
    ----------
    purchase, spend : Draws
        Posterior draws of the unit; `spend` is None where only purchases are asked for.
    ahead : Ahead
        The windows.

    Raises
    ------
    ValueError
        They are not equally many.
    """

    purchase: PurchaseDraws
    spend: SpendDraws | None
    ahead: Ahead

    def __post_init__(self) -> None:
        counts = {"purchase": len(self.purchase), "ahead": len(self.ahead)}
        if self.spend is not None:
            counts["spend"] = len(self.spend.p)
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise ValueError(f"draws must be equally many, and there are {told}")

    def __len__(self) -> int:
        """How many draws."""
        return len(self.purchase)

    def spread(self, count: int) -> "Outlook":
        """Keep `count` draws (or all) spread evenly over all, in an order in which fewer are the first of more.

        So any two units of one fit, thinned differently, agree draw by draw as far as the shorter goes.
        """
        return self._take(_radical_order(len(self))[:count])

    def first(self, count: int) -> "Outlook":
        """Keep the first `count` draws, or all."""
        return self._take(np.arange(min(count, len(self))))

    def _take(self, chosen: npt.NDArray[np.int64]) -> "Outlook":
        spend = self.spend and SpendDraws(self.spend.p[chosen], self.spend.q[chosen], self.spend.gamma[chosen])
        purchase = PurchaseDraws(self.purchase.family, tuple(value[chosen] for value in self.purchase.values))
        return Outlook(purchase, spend, self.ahead.take(chosen))


def _radical_order(count: int) -> npt.NDArray[np.int64]:
    """The numbers below `count` in the order of their reversed bits (van der Corput): every beginning is spread out."""
    bits = (count - 1).bit_length()
    numbers = np.arange(2**bits)
    reversed_bits = np.zeros_like(numbers)
    for bit in range(bits):
        reversed_bits |= ((numbers >> bit) & 1) << (bits - 1 - bit)
    return reversed_bits[reversed_bits < count]
