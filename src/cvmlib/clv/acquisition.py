"""What a customer is worth who is acquired today: the most that his acquisition may cost."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvmlib.clv import gamma_gamma
from cvmlib.clv.ahead import Ahead, Outlook
from cvmlib.clv.expectation import expect_by_draw
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.terms import Terms

Array = npt.NDArray[np.float64]

_SAMPLES = 40_000


@dataclass(frozen=True)
class NewCustomer:
    """Value of a new customer, his first purchase included.

    Parameters
    ----------
    value : float
        Expected value (discounted margin after costs): with more spent on his acquisition, he costs more than he
        brings.
    first : float
        Part of it that the first purchase brings.
    purchases : float
        Expected repeat purchases.
    expected_low, expected_high : float
        Interval of the expectation: what is not known of the mean of many new customers.
    low, high : float
        Predictive interval of one new customer.
    """

    value: float
    first: float
    purchases: float
    expected_low: float
    expected_high: float
    low: float
    high: float


def value_of_new(
    purchase: PurchaseDraws, spend: SpendDraws, terms: Terms, ahead: Ahead, *, seed: int, samples: int = _SAMPLES
) -> NewCustomer:
    """Value a customer who makes his first purchase at the end of observation.

    Of him nothing is known but that he is new: frequency, recency and T are 0. His first purchase is not discounted.

    Parameters
    ----------
    purchase, spend : Draws
        Posterior draws of the unit.
    terms : Terms
        Discounting, margin, returns and costs.
    ahead : Ahead
        The horizon and its windows.
    seed : int
        Seed of the simulation.
    samples : int
        Simulated customers, at least, for the predictive interval.

    Returns
    -------
    NewCustomer

    Raises
    ------
    ValueError
        `purchase`, `spend` and `ahead` have not equally many draws.
    """
    outlook = Outlook(purchase, spend, ahead)
    new = (np.zeros(1),) * 3
    _, bought, discounted, years = (v[:, 0] for v in expect_by_draw(new, outlook, terms.discount_per_day))
    of_returns, of_customers = np.random.default_rng(seed).spawn(2)
    kept = terms.draw_kept(len(outlook), of_returns)
    per_purchase = gamma_gamma.linear_spend(0.0, spend.p, spend.q, spend.gamma)[0]
    service = terms.per_customer_year * years
    expected = (1 + discounted) * (per_purchase * kept - terms.per_transaction) - service
    first = float(np.mean(per_purchase) * terms.kept - terms.per_transaction)
    value = np.mean((1 + discounted) * (per_purchase * terms.kept - terms.per_transaction) - service)
    one = _simulate_one(outlook, kept, discounted / np.maximum(bought, 1e-300), terms, samples, of_customers)
    return NewCustomer(
        float(value),
        first,
        float(np.mean(bought)),
        *np.quantile(expected, terms.tails).tolist(),
        *np.quantile(one - service[:, None], terms.tails).tolist(),
    )


def _simulate_one(
    outlook: Outlook, kept: Array, discount: Array, terms: Terms, samples: int, rng: np.random.Generator
) -> Array:
    """Simulate new customers under each draw: value before costs of customer-years, shape (draws, customers)."""
    purchase, spend = outlook.purchase, outlook.spend
    nothing = np.zeros(-(-samples // len(outlook)))
    horizon = outlook.ahead.edges[:, -1]
    count = purchase.family.simulate_future(horizon, nothing, nothing, nothing, *purchase.values, rng)
    p, q, gamma = spend.column()
    inverse_rate = gamma / np.maximum(rng.standard_gamma(np.broadcast_to(q, count.shape)), 1e-300)
    first = rng.standard_gamma(np.broadcast_to(p, count.shape))
    rest = discount[:, None] * rng.standard_gamma(p * count)
    costs = terms.per_transaction * (1 + discount[:, None] * count)
    return kept[:, None] * (first + rest) * inverse_rate - costs
