"""What a customer is worth who is acquired today: the most that his acquisition may cost."""

from collections.abc import Sequence
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
    purchases: Sequence[tuple[float, PurchaseDraws]],
    spend: SpendDraws,
    terms: Terms,
    ahead: Ahead,
    *,
    seed: int,
    samples: int = _SAMPLES,
) -> NewCustomer:
    """Value a customer who makes his first purchase at the end of observation.

    Of him nothing is known but that he is new: frequency, recency and T are 0. His first purchase is not discounted.

    Parameters
    ----------
    purchases : sequence of (float, Draws)
        Groups of new customers: how many of each there are (in any unit), and the group's posterior draws.
    spend : Draws
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
        `purchases`, `spend` and `ahead` have not equally many draws.
    """
    shares = np.array([share for share, _ in purchases]) / sum(share for share, _ in purchases)
    of_returns, *of_groups = np.random.default_rng(seed).spawn(1 + len(purchases))
    kept = terms.draw_kept(len(ahead), of_returns)
    per_purchase = gamma_gamma.linear_spend(0.0, spend.p, spend.q, spend.gamma)[0]
    parts = [
        _value_group(Outlook(purchase, spend, ahead), terms, kept, per_purchase, max(int(share * samples), 400), rng)
        for share, (_, purchase), rng in zip(shares, purchases, of_groups, strict=True)
    ]
    single = np.concatenate([one.ravel() for *_, one in parts])
    each = [np.full(one.size, share / one.size) for share, (*_, one) in zip(shares, parts, strict=True)]
    value, bought = (float(shares @ [part[i] for part in parts]) for i in range(2))
    expected = shares @ np.array([part[2] for part in parts])
    return NewCustomer(
        value,
        float(np.mean(per_purchase) * terms.kept - terms.per_transaction),
        bought,
        *np.quantile(expected, terms.tails).tolist(),
        *np.quantile(single, terms.tails, weights=np.concatenate(each), method="inverted_cdf").tolist(),
    )


def _value_group(
    outlook: Outlook, terms: Terms, kept: Array, per_purchase: Array, samples: int, rng: np.random.Generator
) -> tuple[float, float, Array, Array]:
    """Value, repeat purchases, expected value in each draw, and simulated values, of new customers of one group."""
    new = (np.zeros(1),) * 3
    _, bought, discounted, years = (v[:, 0] for v in expect_by_draw(new, outlook, terms.discount_per_day))
    service = terms.per_customer_year * years
    expected = (1 + discounted) * (per_purchase * kept - terms.per_transaction) - service
    value = np.mean((1 + discounted) * (per_purchase * terms.kept - terms.per_transaction) - service)
    one = _simulate_one(outlook, kept, discounted / np.maximum(bought, 1e-300), terms, samples, rng)
    return float(value), float(np.mean(bought)), expected, one - service[:, None]


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
