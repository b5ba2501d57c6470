"""Composite lifetime value: several streams of revenue that hang together, such as a car, its service, its financing.

A customer buys a car every so often, as long as he stays with the brand; each car is serviced once a year, as long as
he comes to the company's workshop, and may be financed by monthly instalments. All three follow from the same cars, so
the streams are worked out draw by draw from the same draws of what is not known, and summed draw by draw: the total is
exactly the sum, and its interval knows that good draws are good for all streams.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CarOwner:
    """What is known of owners: counts for shares, means and standard errors for money.

    Parameters
    ----------
    bought_again : tuple of int
        Owners who bought their next car here, and all who replaced theirs.
    serviced : tuple of int
        Cars that came to the yearly service again, of those that came the year before.
    financed : tuple of int
        Cars financed here, of those sold.
    cycle_years : float
        Years between two cars.
    term_years : float
        Length of a financing.
    car, service, financing : tuple of float
        Margin of a car, of a yearly service and of a year of financing: mean and standard error (money).
    """

    bought_again: tuple[int, int]
    serviced: tuple[int, int]
    financed: tuple[int, int]
    cycle_years: float
    term_years: float
    car: tuple[float, float]
    service: tuple[float, float]
    financing: tuple[float, float]


def draw_streams(owner: CarOwner, horizon: float, rate: float, draws: int = 4000, seed: int = 1) -> dict[str, Array]:
    """Expected lifetime value of each stream of an owner who has just taken delivery, draw by draw.

    Parameters
    ----------
    owner : CarOwner
        What is known.
    horizon : float
        Years that count.
    rate : float
        Discount rate a year.
    draws, seed : int
        Draws of what is not known.

    Returns
    -------
    dict of str to array, shape (draws,)
        car, service, financing: discounted margin (money).
    """
    rng = np.random.default_rng(seed)
    loyal, stays, financed = (
        _draw_share(pair, draws, rng) for pair in (owner.bought_again, owner.serviced, owner.financed)
    )
    car, service, financing = (rng.normal(*pair, draws) for pair in (owner.car, owner.service, owner.financing))
    found = {name: np.zeros(draws) for name in ("car", "service", "financing")}
    start, holds = 0.0, np.ones(draws)
    while start < horizon:
        found["car"] += holds * car * (1 + rate) ** -start
        ends = min(start + owner.cycle_years, horizon)
        for year in np.arange(1.0, ends - start + 1e-9):
            found["service"] += holds * stays**year * service * (1 + rate) ** -(start + year)
        length = min(owner.term_years, ends - start)
        found["financing"] += holds * financed * financing * _annuity(length, rate) * (1 + rate) ** -start
        start, holds = start + owner.cycle_years, holds * loyal
    return found


def _draw_share(pair: tuple[int, int], draws: int, rng: np.random.Generator) -> Array:
    yes, number = pair
    return rng.beta(yes + 0.5, number - yes + 0.5, draws)


def _annuity(years: float, rate: float) -> float:
    """Present value of one unit of money a year, paid evenly over so many years."""
    force = np.log1p(rate)
    return float(-np.expm1(-force * years) / force) if force else float(years)


def sum_streams(streams: Mapping[str, Array], interval: float = 0.9) -> pd.DataFrame:
    """Mean and interval of each stream and of their sum, taken draw by draw.

    Parameters
    ----------
    streams : mapping of str to array, shape (draws,)
        Draws of each stream, the same draw of what is not known in the same place.
    interval : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        name, mean, low, high, share (of the total), moves_with (correlation with the rest); the last row is
        ``total``.

    Raises
    ------
    ValueError
        The streams have not equally many draws.
    """
    sizes = {name: np.shape(draws) for name, draws in streams.items()}
    if len(set(sizes.values())) != 1:
        told = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        raise ValueError(f"the streams of one customer need the same draws; {told or 'there are none'}")
    total = np.sum(list(streams.values()), axis=0)
    rows = []
    for name, draws in [*streams.items(), ("total", total)]:
        low, high = np.quantile(draws, [(1 - interval) / 2, (1 + interval) / 2])
        rest = total - draws
        known = name != "total" and draws.std() > 0 and rest.std() > 0
        rows.append(
            {
                "name": name,
                "mean": float(draws.mean()),
                "low": float(low),
                "high": float(high),
                "share": float(draws.mean() / total.mean()),
                "moves_with": float(np.corrcoef(draws, rest)[0, 1]) if known else np.nan,
            }
        )
    return pd.DataFrame(rows)
