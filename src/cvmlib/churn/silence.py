r"""Churn of customers who leave without saying so: who is probably gone, what that costs, whom to win back.

A purchase model gives each customer the probability *p* to be still a customer, and the value *V* expected of him,
which a customer who is gone does not bring: if he is still there he brings :math:`V / p`. So those who are gone cost
:math:`(1 - p) V / p`, and winning one back with an offer of cost *d*, which brings back a share :math:`\gamma` of
those who are gone and is taken by all who are still there, is expected to earn

.. math:: \gamma (1 - p) (V / p - d) - p d - c.

The purchase model is not part of this module: its results are columns.
"""

import numpy as np
import pandas as pd

from cvmlib.business_unit import Saving
from cvmlib.churn.saving import fit_acceptance

BANDS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LEAST = 0.02
"""Smallest probability to be alive that is divided by: below it the model only knows that a customer is gone."""


def weigh_silence(customers: pd.DataFrame, terms: Saving | None = None, interval: float = 0.9) -> pd.DataFrame:
    """What each customer costs by being gone with some probability, and what winning him back is expected to earn.

    Parameters
    ----------
    customers : pandas.DataFrame
        customer_id, p_alive (probability to be still a customer), value (money expected over the horizon).
    terms : Saving, optional
        Costs and acceptance.
    interval : float, default 0.9
        Probability that the range of acceptance holds it.

    Returns
    -------
    pandas.DataFrame
        The same with p_gone, if_there (value if still a customer), at_stake (money that is lost if he is gone, in the
        mean) and, with terms, profit (expected, of a contact).
    """
    there = customers["p_alive"].clip(lower=LEAST)
    table = customers.assign(p_gone=1 - customers["p_alive"], if_there=(customers["value"] / there).clip(lower=0.0))
    table["at_stake"] = table["p_gone"] * table["if_there"]
    if terms is None:
        return table
    a, b = fit_acceptance(*terms.acceptance, interval)
    back = a / (a + b) * table["p_gone"]
    cost = terms.contact_cost + table["p_alive"] * terms.offer_cost
    return table.assign(profit=back * (table["if_there"] - terms.offer_cost) - cost)


def draw_winback(
    listed: pd.DataFrame, terms: Saving, interval: float = 0.9, draws: int = 2000, seed: int = 1
) -> np.ndarray:
    """Profit of contacting listed customers: the acceptance is uncertain, and who comes back is chance.

    Parameters
    ----------
    listed : pandas.DataFrame
        Rows of `weigh_silence`.
    terms : Saving
        Costs and acceptance.
    interval, draws, seed : float, int, int
        Probability that the range of acceptance holds it; draws and seed.

    Returns
    -------
    array, shape (draws,)
        Money; given the acceptance a sum of independent customers, normal with its exact mean and variance.
    """
    rng = np.random.default_rng(seed)
    share = rng.beta(*fit_acceptance(*terms.acceptance, interval), size=draws)
    gone, there = listed["p_gone"].to_numpy(), listed["p_alive"].to_numpy()
    gain, offer = listed["if_there"].to_numpy() - terms.offer_cost, terms.offer_cost
    mean = share * (gone @ gain) - offer * there.sum() - terms.contact_cost * len(listed)
    linear = gone @ gain**2 + 2 * offer * (gone * there) @ gain
    variance = share * linear - share**2 * (gone**2 @ gain**2) + offer**2 * (gone @ there)
    return mean + np.sqrt(np.maximum(variance, 0.0)) * rng.standard_normal(draws)


def tabulate_silence(weighed: pd.DataFrame) -> pd.DataFrame:
    """Tabulate customers by the probability to be still there, the likeliest first.

    Parameters
    ----------
    weighed : pandas.DataFrame
        From `weigh_silence`; optionally p_alive_later (probability to be there at the end of the horizon).

    Returns
    -------
    pandas.DataFrame
        low, high (of the probability), customers, there (expected still there), later (expected at the horizon, where
        known), value (money), at_stake (money).
    """
    place = np.clip(np.searchsorted(BANDS, weighed["p_alive"], side="right") - 1, 0, len(BANDS) - 2)
    columns = {"customers": ("p_alive", "size"), "there": ("p_alive", "sum")}
    if "p_alive_later" in weighed:
        columns["later"] = ("p_alive_later", "sum")
    columns |= {"value": ("value", "sum"), "at_stake": ("at_stake", "sum")}
    table = weighed.groupby(place).agg(**columns).sort_index(ascending=False)
    table.insert(0, "low", [BANDS[band] for band in table.index])
    table.insert(1, "high", [BANDS[band + 1] for band in table.index])
    return table.reset_index(drop=True)
