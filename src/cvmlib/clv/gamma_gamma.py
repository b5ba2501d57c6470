"""Gamma-Gamma: what a customer spends per purchase.

Assumptions (Fader and Hardie 2013, note 025; after Colombo and Jiang 1999)

1. The value of a purchase is Gamma with shape ``p`` and rate ``nu``, so its mean is ``p / nu``.
2. ``nu`` varies over customers as Gamma with shape ``q`` and rate ``gamma``.
3. ``nu`` does not depend on how often the customer buys.

Code names and the symbols of the note: ``frequency`` is x (repeat purchases), ``monetary_value`` is z-bar (their mean
value), ``gamma`` is v in some texts. Money is in any one unit, the same for ``monetary_value`` and ``gamma``.
"""

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from cvmlib.clv.bg_nbd import MaximumLikelihood

Array = npt.NDArray[np.float64]
PARAMETERS = ("p", "q", "gamma")


def log_likelihood(frequency: Array, monetary_value: Array, p: Array, q: Array, gamma: Array) -> Array:
    """Log-likelihood of each customer's mean spend (equation 1a of the note).

    Parameters
    ----------
    frequency, monetary_value : array
        Repeat purchases (at least one) and their mean value (above zero).
    p, q, gamma : array or float
        Parameters; they broadcast against the customers.
    """
    x, z = np.asarray(frequency, dtype=float), np.asarray(monetary_value, dtype=float)
    return (
        special.gammaln(p * x + q)
        - special.gammaln(p * x)
        - special.gammaln(q)
        + q * np.log(gamma)
        + (p * x - 1.0) * np.log(z)
        + p * x * np.log(x)
        - (p * x + q) * np.log(gamma + x * z)
    )


def expected_spend(frequency: Array, monetary_value: Array, p: Array, q: Array, gamma: Array) -> Array:
    """Return the expected value per purchase of a customer (equation 5); his population's mean without repeats.

    It is a mean of the customer's own average and of the population's, weighted by ``p x`` and ``q - 1``; infinite
    where ``p x + q <= 1``.
    """
    events = p * np.asarray(frequency, dtype=float) + q - 1.0
    spend = p * (gamma + np.asarray(frequency) * np.asarray(monetary_value)) / np.where(events > 0, events, 1.0)
    return np.where(events > 0, spend, np.inf)


def simulate_total(
    purchases: npt.NDArray[np.int64],
    frequency: Array,
    monetary_value: Array,
    p: Array,
    q: Array,
    gamma: Array,
    rng: np.random.Generator,
) -> Array:
    """Draw the total value of `purchases` future purchases of each customer, given his history.

    ``nu`` is Gamma(q + p x, gamma + x z) given the history, and the sum of n purchases is Gamma(p n, nu).
    """
    total = np.zeros(purchases.shape)
    some = purchases > 0
    x, z, p, q, gamma = (np.broadcast_to(v, purchases.shape)[some] for v in (frequency, monetary_value, p, q, gamma))
    nu = rng.standard_gamma(q + p * x) / (gamma + x * z)
    total[some] = rng.standard_gamma(p * purchases[some]) / np.maximum(nu, 1e-300)
    return total


def simulate_customers(
    frequency: npt.NDArray[np.int64], p: float, q: float, gamma: float, rng: np.random.Generator
) -> Array:
    """Draw the mean value of `frequency` purchases of new customers (zero without any): the model's own simulator."""
    frequency = np.asarray(frequency)
    nu = rng.gamma(q, 1.0 / gamma, frequency.shape)
    total = rng.gamma(np.maximum(p * frequency, 1e-12), 1.0 / nu)
    return np.where(frequency > 0, total / np.maximum(frequency, 1), 0.0)


def fit_maximum_likelihood(
    frequency: Array, monetary_value: Array, customers: Array | None = None
) -> MaximumLikelihood:
    """Fit one group by maximum likelihood (the mode under flat priors), over customers with a repeat purchase.

    Parameters
    ----------
    frequency, monetary_value : array
        Count rows; those without repeat purchases or with no money are left out.
    customers : array, optional
        Customers per row; 1 by default.
    """
    x, z = np.asarray(frequency, dtype=float), np.asarray(monetary_value, dtype=float)
    weights = np.ones(len(x)) if customers is None else np.asarray(customers, dtype=float)
    kept = (x > 0) & (z > 0)
    x, z, weights = x[kept], z[kept], weights[kept]
    scale = float(np.average(z, weights=weights))

    def negative(theta: Array) -> float:
        return -float(weights @ log_likelihood(x, z / scale, *np.exp(theta)))

    start = np.log([2.0, 3.0, 1.0])
    options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 20_000}
    found = optimize.minimize(negative, start, method="Nelder-Mead", options=options)
    p, q, gamma = np.exp(found.x)
    value = -float(found.fun) - float(weights.sum()) * np.log(scale)
    return MaximumLikelihood({"p": p, "q": q, "gamma": gamma * scale}, value)
