"""Customers of a unit: when they came, through which channel, at what cost, who referred them, what they are like."""

from typing import NamedTuple

import numpy as np

from cvmlib.tables.demo.company import Acquisition, Covariates, normalised
from cvmlib.tables.demo.seasons import Calendar

REFERRED_SHARE = 0.92  # of the customers of the referral channel, those whose referrer is on record


class People(NamedTuple):
    """One chunk of customers, in the order in which they joined; arrays of shape (customers,).

    `joined` is calendar time in days, `levels` the level number of each covariate, `effect` the product of the
    covariates' multipliers, `cost` in currency.
    """

    joined: np.ndarray
    levels: dict[str, np.ndarray]
    effect: np.ndarray
    cost: np.ndarray


def draw_people(
    rng: np.random.Generator, size: int, acquisition: Acquisition, covariates: Covariates, calendar: Calendar
) -> People:
    """Draw `size` customers with their covariates."""
    weights = calendar.acquisition_weights(acquisition.growth, acquisition.seasonal, acquisition.months)
    edges = np.concatenate([[0.0], np.cumsum(weights / weights.sum())])
    joined = np.interp(np.sort(rng.random(size)), edges, np.arange(calendar.days + 1))
    joined = np.minimum(joined, np.nextafter(calendar.days, 0))
    effects = normalised(covariates)
    levels, effect = {}, np.ones(size)
    for name, table in covariates.items():
        shares = np.cumsum([level.share for level in table.values()])
        levels[name] = np.searchsorted(shares / shares[-1], rng.random(size), side="right")
        effect *= np.exp(np.array(list(effects[name].values()))[levels[name]])
    means = np.array([level.cost for level in covariates["acquisition_channel"].values()])
    noise = rng.lognormal(-0.5 * 0.35**2, 0.35, size)
    return People(joined, levels, effect, np.round(means[levels["acquisition_channel"]] * noise, 2))


def draw_referrers(rng: np.random.Generator, people: People, covariates: Covariates, merit: np.ndarray) -> np.ndarray:
    """Row of the referrer of each customer, -1 for none: an earlier customer, chosen in proportion to `merit`."""
    channel = list(covariates["acquisition_channel"]).index("referral")
    size = len(people.joined)
    recorded = (people.levels["acquisition_channel"] == channel) & (rng.random(size) < REFERRED_SHARE)
    upto = np.cumsum(merit)
    earlier = np.concatenate([[0.0], upto[:-1]])
    chosen = np.searchsorted(upto, rng.random(size) * earlier, side="right")
    return np.where(recorded & (np.arange(size) > 0), np.minimum(chosen, np.arange(size) - 1), -1)
