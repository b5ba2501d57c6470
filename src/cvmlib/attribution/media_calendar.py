"""What the calendar does to a baseline: trend, season and holidays as columns of a regression."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from dateutil.easter import easter

Array = npt.NDArray[np.float64]

KNOT_WEEKS = 26
YEAR = 365.25
SEASON_ORDER = 3
_FEWEST_FOR_SEASON = 78
"""Weeks below which a yearly season cannot be told from a trend."""


def trend_columns(weeks: int, padded: int, spacing: int = KNOT_WEEKS) -> Array:
    """Hat functions over knots: a line that bends every `spacing` weeks.

    Parameters
    ----------
    weeks : int
        Weeks of the history.
    padded : int
        Columns to fill; later weeks are zero.
    spacing : int
        Weeks from knot to knot.

    Returns
    -------
    array, shape (knots, padded)
        In each week of the history adding up to 1.
    """
    knots = np.linspace(0.0, weeks - 1.0, max(int(round((weeks - 1) / spacing)), 1) + 1)
    hats = np.zeros((len(knots), padded))
    for i in range(len(knots)):
        hats[i, :weeks] = np.interp(np.arange(weeks), knots, np.eye(len(knots))[i])
    return hats


def season_columns(weeks: pd.DatetimeIndex, order: int = SEASON_ORDER) -> Array:
    """Waves of the year: sine and cosine of its first harmonics, shape (2 x order, weeks); none for a short history."""
    if len(weeks) < _FEWEST_FOR_SEASON:
        return np.zeros((0, len(weeks)))
    angle = 2 * np.pi * (weeks.day_of_year.to_numpy() + 3.0) / YEAR
    return np.concatenate([[np.sin(k * angle), np.cos(k * angle)] for k in range(1, order + 1)])


def holiday_columns(weeks: pd.DatetimeIndex) -> dict[str, Array]:
    """Share of the days of each week that belong to a holiday that most markets of Christian calendar know.

    Other holidays and events are columns of the outcomes table.
    """
    days = weeks.to_numpy()[:, None] + np.arange(7).astype("timedelta64[D]")
    flat = pd.DatetimeIndex(days.ravel())
    easters = {easter(year) for year in set(flat.year)}
    good_fridays = {pd.Timestamp(day) + pd.Timedelta(days=shift) for day in easters for shift in range(-3, 2)}
    found = {
        "christmas": (flat.month == 12) & (flat.day >= 18) & (flat.day <= 26),
        "new_year": ((flat.month == 12) & (flat.day >= 27)) | ((flat.month == 1) & (flat.day <= 2)),
        "easter": flat.isin(list(good_fridays)),
        "black_friday": (flat.month == 11) & (flat.day >= 23) & (flat.day <= 29) & (flat.day_of_week >= 4),
    }
    return {name: np.asarray(hit, dtype=float).reshape(days.shape).mean(axis=1) for name, hit in found.items()}
