"""The clock of a unit whose customers can buy once a week, month, quarter or year: it counts those opportunities.

Where the period is what matters (yearly donations, a weekly service), purchases are counted by it
(`cvmlib.periods`), so first and last purchase and the end of the observation are starts of periods. On a clock
that goes on by one in each of them, recency and T are whole numbers of opportunities, as the BG/BB wants them (Fader,
Hardie and Shang 2010); a window of the forecast that ends within a period has a part of it. Everything else of a study
goes by days, as for other units.
"""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from cvmlib.clv.calendar import Calendar
from cvmlib.clv.families.registry import BG_BB
from cvmlib.periods import list_starts

NAMES = {
    "week": "weeks",
    "month": "months",
    "quarter": "quarters of a year",
    "year": "years",
}
"""Plural of each opportunity."""
_EPOCH = date(1970, 1, 1)


def clock_opportunities(now: pd.Timestamp, first: date, horizon: float, opportunity: str) -> Calendar:
    """Return the clock of a unit, which goes on by one in each period.

    Parameters
    ----------
    now : Timestamp
        Start of the last period observed, from which the future is counted.
    first : date
        Day of the first purchase, or before it.
    horizon : float
        Days ahead that are asked for.
    opportunity : {"week", "month", "quarter", "year"}
        Length of an opportunity.
    """
    last = now.date() + timedelta(days=int(np.ceil(horizon)) + 1)
    edges = np.array([(start - _EPOCH).days for start in list_starts(first, last, opportunity)], dtype=float)
    pace, nothing = 1.0 / np.diff(edges), np.zeros(len(edges) - 1)
    return Calendar(float((now.date() - _EPOCH).days), edges, pace, pace[None], {}, nothing, nothing)


def explain_choice(opportunity: str) -> str:
    """Say why a unit of opportunities has its purchase model."""
    return (
        f"Its customers are counted by {NAMES[opportunity]} with a purchase, each of which is one opportunity to buy "
        f"or not; {BG_BB.title} is the model of such counts."
    )
