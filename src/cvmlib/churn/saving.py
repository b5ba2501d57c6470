r"""Whom to save: the expected profit of contacting each customer, and the list of those for whom it is positive.

Contacting a customer costs :math:`c`; an offer that is taken up costs :math:`d`. Of would-be leavers a share
:math:`\gamma` accepts and stays, and is then worth what leaving would have lost; everybody else takes the offer and
would have stayed without it. With the probability *p* to leave by choice within the window and the money *L* expected
to be lost by it (`cvmlib.churn.money.expect_losses`), contacting brings

.. math:: \gamma (L - p d) - (1 - p) d - c.

**Without an experiment** :math:`\gamma` is what the portfolio file says, the same for everybody, as a beta
distribution; nothing in the data tells who would be persuaded. **With a randomised experiment** the share saved is
known by segment from who left of the controls and of the treated (`cvmlib.churn.experiment`): :math:`\tau` of all those
contacted, which takes the place of :math:`\gamma p`: customers are ranked by effect times value,
:math:`\tau L / p - (1 - p) d - \tau d - c`, not by risk.

References
----------
Neslin, S. A., Gupta, S., Kamakura, W., Lu, J. and Mason, C. H. (2006). Defection detection: measuring and understanding
the predictive accuracy of customer churn models. J. Marketing Research 43, 204-211.
Ascarza, E. (2018). Retention futility: targeting high-risk customers might be ineffective. J. Marketing Research 55.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.optimize import root
from scipy.stats import beta, norm

from cvmlib.business_unit import Saving
from cvmlib.churn.forecast import summarise_draws
from cvmlib.churn.money import Losses, Outlook

NARROW = 1e-3
"""Least width of a range of acceptance, as a share of its middle: one number is such a range."""


def fit_acceptance(low: float, high: float, interval: float = 0.9) -> tuple[float, float]:
    """Beta distribution whose central interval is a range.

    Parameters
    ----------
    low, high : float
        Ends of the range, within (0, 1).
    interval : float, default 0.9
        Probability that it holds.

    Returns
    -------
    tuple of float
        The two parameters; a range of no width gives a distribution that has next to none.
    """
    tail, middle = (1 - interval) / 2, (low + high) / 2
    width = max(high - low, NARROW * min(middle, 1 - middle))
    spread = width / (2 * norm.ppf(1 - tail))
    total = max(middle * (1 - middle) / spread**2 - 1, 0.5)
    start = np.log([middle * total, (1 - middle) * total])
    if high - low < width:
        return tuple(np.exp(start))
    found = root(lambda logs: beta.cdf([low, high], *np.exp(logs)) - [tail, 1 - tail], start, tol=1e-10)
    return tuple(np.exp(found.x))


@dataclass(frozen=True)
class Response:
    """How customers of each cell respond to being contacted.

    Parameters
    ----------
    saved : array, shape (draws, cells)
        Share of all those contacted who would have left within the window and stay because of it.
    experiment : str
        The program that it was measured in; empty where it is taken from the portfolio file.
    """

    saved: np.ndarray
    experiment: str = ""


def assume_response(losses: Losses, terms: Saving, interval: float = 0.9, seed: int = 1) -> Response:
    """Response when every would-be leaver accepts with the probability that the portfolio file states."""
    draws = np.random.default_rng(seed).beta(*fit_acceptance(*terms.acceptance, interval), size=len(losses.chance))
    return Response(draws[:, None] * losses.chance)


def score_contacts(outlook: Outlook, losses: Losses, response: Response) -> pd.DataFrame:
    """What contacting one subscription of each cell brings, as far as it does not depend on its price.

    Parameters
    ----------
    outlook : Outlook
        The months to come.
    losses : Losses
        Of leaving by choice within the window.
    response : Response
        From `assume_response` or `cvmlib.churn.experiment.measure_response`.

    Returns
    -------
    pandas.DataFrame
        The cells' key columns, p_leave (probability to leave by choice within the window), months_at_risk (discounted
        months expected to be lost by it), p_saved, months_saved (of contacting).
    """
    keys = outlook.cells.drop(columns=["subscriptions", "price", "price_sq"])
    return keys.assign(
        p_leave=losses.chance.mean(axis=0),
        months_at_risk=losses.months.mean(axis=0),
        p_saved=response.saved.mean(axis=0),
        months_saved=_months_saved(losses, response).mean(axis=0),
    )


def _months_saved(losses: Losses, response: Response) -> np.ndarray:
    """Discounted months saved by contacting: whoever is saved keeps what a leaver of the cell loses."""
    each = np.divide(losses.months, losses.chance, out=np.zeros_like(losses.months), where=losses.chance > 0)
    return response.saved * each


def join_profit(
    spells: ir.Table, scores: pd.DataFrame, outlook: Outlook, terms: Saving, keys: Sequence[str] = ("plan", "tenure")
) -> ir.Table:
    """Join the expected profit of contacting to the customers, in the engine that holds the spells.

    Parameters
    ----------
    spells : ibis Table
        From `cvmlib.churn.counts.build_spells`.
    scores : pandas.DataFrame
        From `score_contacts`.
    outlook : Outlook
        Its terms of valuation.
    terms : Saving
        Costs of contact and offer.
    keys : sequence of str
        Columns by which spells and scores are joined.

    Returns
    -------
    ibis Table
        One row per customer with an active subscription: customer_id, subscriptions, plan, tenure (the longest),
        price (per month, of all), p_leave (of the likeliest to leave), at_risk (money expected to be lost within the
        window), profit (expected, of one contact and an offer per subscription).
    """
    columns = ["p_leave", "months_at_risk", "p_saved", "months_saved"]
    table = ibis.memtable(scores[[*keys, *columns]])
    rows = spells.filter(~spells.churned).inner_join(table, list(keys))
    monthly = outlook.terms.margin * rows.price - outlook.terms.cost_per_month
    offers = (1 - rows.p_leave + rows.p_saved) * terms.offer_cost
    rows = rows.mutate(at_risk=monthly * rows.months_at_risk, profit=monthly * rows.months_saved - offers)
    return rows.group_by("customer_id").aggregate(
        subscriptions=rows.count(),
        plan=rows.plan.min(),
        tenure=rows.tenure.max(),
        price=rows.price.sum(),
        p_leave=rows.p_leave.max(),
        at_risk=rows.at_risk.sum(),
        profit=rows.profit.sum() - terms.contact_cost,
    )


def count_listed(
    spells: ir.Table, listed: ir.Table, outlook: Outlook, keys: Sequence[str] = ("plan", "tenure")
) -> tuple[np.ndarray, np.ndarray]:
    """Count the subscriptions of listed customers by cell, and their prices.

    Returns
    -------
    subscriptions, price : array, shape (cells,)
        In the order of the outlook's cells; price is the sum, in money per month.
    """
    active = spells.filter(~spells.churned)
    rows = active.semi_join(listed, "customer_id")
    found = rows.group_by(list(keys)).aggregate(listed=rows.count(), listed_price=rows.price.sum()).execute()
    table = outlook.cells[list(keys)].merge(found, on=list(keys), how="left").fillna({"listed": 0, "listed_price": 0.0})
    return table["listed"].to_numpy(np.int64), table["listed_price"].to_numpy(float)


def draw_profit(
    outlook: Outlook,
    losses: Losses,
    response: Response,
    terms: Saving,
    listed: tuple[np.ndarray, np.ndarray],
    customers: int,
    seed: int = 1,
) -> np.ndarray:
    """Profit of contacting all on a list, an outcome per draw: how many are saved is chance, too.

    Parameters
    ----------
    outlook, losses, response : Outlook, Losses, Response
        As in `score_contacts`.
    terms : Saving
        Costs.
    listed : tuple of arrays, shape (cells,)
        From `count_listed`.
    customers : int
        Contacts.
    seed : int, default 1
        Seed of the outcomes.

    Returns
    -------
    array, shape (draws,)
        Money.
    """
    rng = np.random.default_rng(seed)
    size, price = listed
    monthly = outlook.terms.margin * price - outlook.terms.cost_per_month * size
    each = np.divide(monthly, size, out=np.zeros_like(monthly), where=size > 0)
    gain = np.divide(losses.months, losses.chance, out=np.zeros_like(losses.months), where=losses.chance > 0) * each
    helped = rng.binomial(size, np.clip(response.saved, 0.0, 1.0))
    harmed = rng.binomial(size, np.clip(-response.saved, 0.0, 1.0))
    stay = rng.binomial(size, np.clip(1 - losses.chance, 0.0, 1.0))
    saved = helped - harmed
    return (saved * gain - terms.offer_cost * (stay + saved)).sum(axis=1) - terms.contact_cost * customers


def summarise_list(profit: np.ndarray, customers: int, base: int, interval: float = 0.9) -> dict:
    """Headline of a list.

    Returns
    -------
    dict
        customers (on the list), base (customers in all), profit (mean, low, high), chance (probability that the list
        pays).
    """
    found = summarise_draws(profit, interval)
    return {"customers": customers, "base": base, "profit": found, "chance": float((profit > 0).mean())}


def compare_rankings(customers: ir.Table, listed: int) -> pd.DataFrame:
    """Expected profit of contacting as many customers, picked in other ways.

    Parameters
    ----------
    customers : ibis Table
        From `join_profit`.
    listed : int
        Customers to pick.

    Returns
    -------
    pandas.DataFrame
        ranking ("profit", "at risk", "risk", "price", "chance"), profit (expected, money).
    """
    rows = []
    for name, column in (("profit", "profit"), ("at risk", "at_risk"), ("risk", "p_leave"), ("price", "price")):
        best = customers.order_by(customers[column].desc(), customers.customer_id).limit(listed)
        rows.append({"ranking": name, "profit": float(best.profit.sum().fill_null(0.0).execute())})
    mean = float(customers.profit.mean().fill_null(0.0).execute())
    return pd.DataFrame([*rows, {"ranking": "chance", "profit": listed * mean}])
