"""The calendar of the simulation: days, months ahead, and operational time in which purchases are homogeneous."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from cvmlib.tables.demo.company import Season

FUTURE_MONTHS = 36
SECONDS = 86_400


def add_days(dates: np.ndarray, days: np.ndarray | int) -> np.ndarray:
    """Move dates (datetime64[D]) by whole days."""
    return np.asarray(dates, dtype="datetime64[D]") + np.asarray(days).astype("timedelta64[D]")


def add_months(dates: np.ndarray, months: np.ndarray | int) -> np.ndarray:
    """Move dates (datetime64[D]) by whole months; a day that the month lacks becomes its last day."""
    dates = np.asarray(dates, dtype="datetime64[D]")
    month = dates.astype("datetime64[M]")
    day = dates - month.astype("datetime64[D]")
    target = month + np.asarray(months).astype("timedelta64[M]")
    last = add_days((target + np.timedelta64(1, "M")).astype("datetime64[D]"), -1)
    return np.minimum(target.astype("datetime64[D]") + day, last)


@dataclass(frozen=True, eq=False)
class Calendar:
    """Day 0 is the first day of history, day `days` the first day of the future.

    Attributes
    ----------
    start, first_future : np.datetime64
        First day of the history, and the day after the end of observation.
    days : int
        Days of history.
    months_ahead : np.ndarray of int, shape (37,)
        Day numbers at which the future months 1..36 begin, and the day after the last.
    intensity : np.ndarray, shape (all days,)
        Purchase intensity of each day, mean 1 over each simulated year unless there are shocks.
    operational : np.ndarray, shape (all days + 1,)
        Operational time at the beginning of each day, in days.
    clock : np.ndarray, shape (25,)
        Share of a day's purchases made before each hour.
    """

    start: np.datetime64
    first_future: np.datetime64
    days: int
    months_ahead: np.ndarray
    intensity: np.ndarray
    operational: np.ndarray
    clock: np.ndarray

    def to_operational(self, time: np.ndarray) -> np.ndarray:
        """Convert calendar to operational time; both in days since the start."""
        return np.interp(time, np.arange(len(self.operational)), self.operational)

    def to_calendar(self, operational: np.ndarray) -> np.ndarray:
        """Convert operational to calendar time; both in days since the start."""
        return np.interp(operational, self.operational, np.arange(len(self.operational)))

    def to_seconds(self, time: np.ndarray) -> np.ndarray:
        """Convert days to whole clock seconds since the start, a share of the day through the unit's hours."""
        day = np.floor(time)
        second = np.interp(time - day, self.clock, np.arange(25) * 3600.0)
        return day.astype(np.int64) * SECONDS + np.minimum(second.astype(np.int64), SECONDS - 1)

    def acquisition_weights(self, growth: float, seasonal: float, months: int | None) -> np.ndarray:
        """Return the relative numbers of new customers on each day of history, shape (days,)."""
        day = np.arange(self.days)
        weights = (1 + growth) ** (day / 365.25) * (1 + seasonal * (self.intensity[: self.days] - 1))
        if months is not None:
            weights[: max(0, self.days - self._days_back(months))] = 0.0
        return weights

    def _days_back(self, months: int) -> int:
        return int((self.first_future - add_months(self.first_future, -months)).astype(int))


def build_calendar(end: date, years: int, season: Season | None) -> Calendar:
    """Build the calendar of `years` whole years up to and including `end`, and of three years after it.

    Parameters
    ----------
    end : date
        Last day of observation.
    years : int
        Years of history.
    season : Season or None
        The unit's seasonality; None makes every day alike.
    """
    first_future = add_days(np.datetime64(end, "D"), 1)
    start = add_months(first_future, -12 * years)
    ahead = (add_months(first_future, np.arange(FUTURE_MONTHS + 1)) - start).astype(int)
    intensity = np.ones(int(ahead[-1]))
    if season is not None:
        raw = _raw_intensity(add_days(start, np.arange(ahead[-1])), season)
        edges = (add_months(first_future, 12 * np.arange(-years, 4)) - start).astype(int)
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            intensity[low:high] = raw[low:high] / raw[low:high].mean()
    hours = np.asarray(season.hours if season is not None else np.ones(24), dtype=float)
    return Calendar(
        start=start,
        first_future=first_future,
        days=int(ahead[0]),
        months_ahead=ahead,
        intensity=intensity,
        operational=np.concatenate([[0.0], np.cumsum(intensity)]),
        clock=np.concatenate([[0.0], np.cumsum(hours / hours.sum())]),
    )


def add_shocks(calendar: Calendar, sd: float, memory: float, rng: np.random.Generator) -> Calendar:
    """Move the intensity of every day, past and future, by a slow shock that all customers share.

    The log intensity gets a stationary Ornstein-Uhlenbeck process, drawn day by day, less half its variance, so that
    the mean over many simulations stays 1 while that of any one year does not.

    Parameters
    ----------
    calendar : Calendar
        The calendar without shocks.
    sd : float
        Standard deviation of the shock (log intensity).
    memory : float
        Days after which its autocorrelation has fallen to 1/e.
    rng : numpy Generator
        Source of randomness.
    """
    noise = rng.standard_normal(len(calendar.intensity))
    kept = np.exp(-1.0 / memory)
    shock = np.empty_like(noise)
    shock[0] = noise[0]
    for day in range(1, len(noise)):
        shock[day] = kept * shock[day - 1] + np.sqrt(1.0 - kept**2) * noise[day]
    intensity = calendar.intensity * np.exp(sd * shock - 0.5 * sd**2)
    return replace(calendar, intensity=intensity, operational=np.concatenate([[0.0], np.cumsum(intensity)]))


def _raw_intensity(days: np.ndarray, season: Season) -> np.ndarray:
    """Compute the intensity of each day before it is normalised."""
    year = days.astype("datetime64[Y]")
    of_year = (days - year.astype("datetime64[D]")).astype(int) + 1
    month = (days.astype("datetime64[M]") - year.astype("datetime64[M]")).astype(int) + 1
    of_month = (days - days.astype("datetime64[M]")).astype(int) + 1
    wave = 1 + season.annual * np.cos(2 * np.pi * (of_year - season.annual_top) / 365.25)
    high = ((month == 11) & (of_month >= 20)) | ((month == 12) & (of_month <= 23))
    low = (month == 1) & (of_month >= 2)
    weekend = (days.astype("datetime64[D]").astype(int) + 3) % 7 >= 5
    return wave * (1 + season.peak * high) * (1 - season.dip * low) * (1 + season.weekend * weekend)
