"""Gold, comet, stream and burden: four types by margin per purchase and by how often a customer still comes.

Gold brings much each time and comes often, a comet brings much but rarely, a stream brings little but steadily, a
burden brings little and rarely. Nobody is sorted by a line through noise: each customer has a probability of every
type, from his own posterior. A subscriber's price is known; whether he stays through the horizon is not, and takes the
place of how often he comes.

The lines are those of ``[units.NAME.types]``; without them, what the unit's average customer brings per purchase (per
month of a subscription) and how often he comes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.business_unit import TypeLines
from cvmlib.clv.terms import Terms
from cvmlib.decisions.latent import Rates, Spend

Array = npt.NDArray[np.float64]

TYPES = ("gold", "comet", "stream", "burden")


@dataclass(frozen=True)
class Lines:
    """Where high and often begin.

    Parameters
    ----------
    margin : float
        Margin per purchase, or per month of a subscription (money).
    often : float
        Purchases a year; of a subscription, the probability scale has no line: staying through the horizon counts.
    stated : bool
        Whether the portfolio file says so; otherwise they are the average customer's.
    """

    margin: float
    often: float
    stated: bool


def round_figure(value: float, digits: int = 2) -> float:
    """Round to so many telling digits, so that a line can be said."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else value


def draw_lines(margin: Array, often: Array, customers: Array, settings: TypeLines | None) -> Lines:
    """Take the lines from the portfolio file, or from the average customer.

    Parameters
    ----------
    margin, often : array, shape (rows,)
        Expected margin per purchase (money) and purchases a year of each row.
    customers : array, shape (rows,)
        Customers of each row.
    settings : TypeLines, optional
        From the portfolio file.
    """
    settings = settings or TypeLines()
    means = [round_figure(float(np.average(values, weights=customers))) for values in (margin, often)]
    stated = [settings.margin_per_purchase, settings.purchases_per_year]
    found = [mean if one is None else one for mean, one in zip(means, stated, strict=True)]
    return Lines(*found, stated=all(one is not None for one in stated))


def assign_types(rates: Rates, spend: Spend, terms: Terms, lines: Lines) -> Array:
    """Probability of each of `TYPES` for each count row of a shop, shape (rows, 4)."""
    high = 1 - spend.chance_below(np.full(len(spend.rate), (lines.margin + terms.per_transaction) / terms.kept))
    return cross(high, rates.chance_above(lines.often))


def cross(high: Array, often: Array) -> Array:
    """Probabilities of `TYPES` from those of bringing much and of coming often, shape (rows, 4)."""
    return np.column_stack([high * often, high * (1 - often), (1 - high) * often, (1 - high) * (1 - often)])


def tabulate_types(chances: Array, parts: pd.DataFrame, customers: Array) -> pd.DataFrame:
    """Expected customers and value by type.

    Parameters
    ----------
    chances : array, shape (rows, types)
        From `assign_types`.
    parts : DataFrame
        Columns of money per customer of a row; each is averaged and shared out by type.
    customers : array, shape (rows,)
        Customers of each row.

    Returns
    -------
    DataFrame
        type, customers (expected), sure (customers whose probability is 0.8 or more), customer_share, and for each
        column of `parts` its share of the unit's sum.
    """
    weighted = chances * customers[:, None]
    best = chances.argmax(axis=1)
    sure = chances.max(axis=1) >= 0.8
    table = pd.DataFrame({"type": TYPES[: chances.shape[1]], "customers": weighted.sum(axis=0)})
    table["sure"] = [int(customers[sure & (best == place)].sum()) for place in range(chances.shape[1])]
    table["customer_share"] = table["customers"] / max(customers.sum(), 1)
    for name in parts.columns:
        sums = parts[name].to_numpy(float) @ weighted
        table[name] = sums / sums.sum() if sums.sum() else np.nan
    return table
