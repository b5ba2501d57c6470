"""Gamma-Gamma: what a customer spends per purchase.

Assumptions (Fader and Hardie 2013, note 025; after Colombo and Jiang 1999)

1. The value of a purchase is Gamma with shape ``p`` and rate ``nu``, so its mean is ``p / nu``.
2. ``nu`` varies over customers as Gamma with shape ``q`` and rate ``gamma``.
3. ``nu`` does not depend on how often the customer buys.

Code names and the symbols of the note: ``frequency`` is x (repeat purchases), ``monetary_value`` is z-bar (their mean
value), ``gamma`` is v in some texts. Money is in any one unit, the same for ``monetary_value`` and ``gamma``.
"""

import numba
import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from cvmlib.clv.families.bg_nbd import MaximumLikelihood

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


def linear_spend(frequency: Array, p: Array, q: Array, gamma: Array) -> tuple[Array, Array]:
    """Return A and B of the expected value per purchase ``A + B z`` of a customer of mean spend z (equation 5).

    Infinite and 0 where ``p x + q <= 1``.
    """
    x = np.asarray(frequency, dtype=float)
    events = p * x + q - 1.0
    some = events > 0
    each = p / np.where(some, events, 1.0)
    return np.where(some, each * gamma, np.inf), np.where(some, each * x, 0.0)


def expected_spend(frequency: Array, monetary_value: Array, p: Array, q: Array, gamma: Array) -> Array:
    """Return the expected value per purchase of a customer (equation 5); his population's mean without repeats.

    It is a mean of the customer's own average and of the population's, weighted by ``p x`` and ``q - 1``; infinite
    where ``p x + q <= 1``.
    """
    constant, factor = linear_spend(frequency, p, q, gamma)
    return constant + factor * np.asarray(monetary_value)


@numba.njit(cache=True)
def simulate_scale(
    purchases: npt.NDArray[np.int64], frequency: Array, p: Array, q: Array, rng: np.random.Generator
) -> Array:  # pragma: no cover - compiled
    """Draw the total value of future purchases in units of ``gamma + x z``, so that it fits any mean spend z so far.

    ``nu`` is Gamma(q + p x, gamma + x z) given the history, and the sum of n purchases is Gamma(p n, nu): the ratio of
    standard Gamma(p n) and Gamma(q + p x), times ``gamma + x z``.

    Parameters
    ----------
    purchases : int array, shape (draws, customers)
        Future purchases n.
    frequency : array, shape (customers,)
        Repeat purchases x so far.
    p, q : array, shape (draws,)
        Parameters.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    array, shape (draws, customers)
    """
    scale = np.zeros(purchases.shape)
    for s in range(purchases.shape[0]):
        for i in range(purchases.shape[1]):
            if purchases[s, i] > 0:
                total = rng.standard_gamma(p[s] * purchases[s, i])
                scale[s, i] = total / max(rng.standard_gamma(q[s] + p[s] * frequency[i]), 1e-300)
    return scale


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
