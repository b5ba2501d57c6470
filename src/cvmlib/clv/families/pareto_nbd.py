"""Pareto/NBD: purchases of a customer who may leave at any time.

Assumptions (Schmittlein, Morrison and Colombo 1987, *Management Science* 33(1); Fader and Hardie 2005, *A Note on
Deriving the Pareto/NBD Model and Related Expressions*)

1. While alive, a customer buys by a Poisson process with rate ``lambda``.
2. Rates vary over customers as Gamma with shape ``r`` and rate ``alpha`` (in units of time).
3. He leaves for good after a lifetime that is exponential with rate ``mu``.
4. Dropout rates vary over customers as Gamma with shape ``s`` and rate ``beta`` (in units of time).
5. ``lambda`` and ``mu`` are independent.

Code names and the symbols of the papers: ``frequency`` is x, ``recency`` is t_x, ``T`` is T. Everything here is a plain
function of arrays; times are in any one unit. A count that cannot be (recency above T, or above 0 without a repeat
purchase, or anything negative) and a parameter that is not positive give NaN.

The likelihood is ``Gamma(r + x) / Gamma(r) alpha^r beta^s A(T) (1 + s / A(T) * integral from t_x to T of
(alpha + t)^-(r + x) (beta + t)^-(s + 1) dt)`` with ``A(t) = (alpha + t)^-(r + x) (beta + t)^-s``. With g(t), the
probability that a customer alive at t with x repeat purchases leaves before he buys again, it is

    Gamma(r + x) / Gamma(r) alpha^r beta^s [A(t_x) g(t_x) + A(T) (1 - g(T))]:

after t_x he either left before another purchase, or did so neither until T nor bought, and will buy once more. Both
terms are positive and each needs one age; `cvmlib.clv.families.pareto_nbd_integral` has g.
"""

import math

import numba
import numpy as np
import numpy.typing as npt
from scipy import optimize

from cvmlib.clv.families.bg_nbd import MaximumLikelihood
from cvmlib.clv.families.pareto_nbd_integral import leaving_first
from cvmlib.clv.families.pareto_nbd_kernel import evaluator, lay_out

Array = npt.NDArray[np.float64]
PARAMETERS = ("r", "alpha", "s", "beta")

_TOGETHER = 64  # customers whose integrals are evaluated together


def log_likelihood(frequency: Array, recency: Array, T: Array, r: Array, alpha: Array, s: Array, beta: Array) -> Array:
    """Log-likelihood of each customer (Fader and Hardie 2005, equation 18, in logs).

    Parameters
    ----------
    frequency, recency, T : array
        Repeat purchases, age at the last of them, and age at the end of observation.
    r, alpha, s, beta : array or float
        Parameters; they broadcast against the customers.

    Returns
    -------
    array
        Log-likelihood, of the broadcast shape.
    """
    return _each(frequency, recency, T, r, alpha, s, beta)[0]


def probability_alive(
    frequency: Array, recency: Array, T: Array, r: Array, alpha: Array, s: Array, beta: Array
) -> Array:
    """Probability that a customer is alive at ``T``, with the parameters of `log_likelihood` (equations 36 and 37)."""
    return _each(frequency, recency, T, r, alpha, s, beta)[1]


def _each(*values: Array) -> tuple[Array, Array]:
    arrays = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in values))
    density, alive = _densities(*(v.ravel() for v in arrays))
    return density.reshape(arrays[0].shape), alive.reshape(arrays[0].shape)


@numba.njit(cache=True, error_model="numpy")
def _densities(
    frequency: Array, recency: Array, T: Array, r: Array, alpha: Array, s: Array, beta: Array
) -> tuple[Array, Array]:  # pragma: no cover - compiled
    """Log-likelihood and probability of being alive, element by element."""
    density, alive = np.empty(T.size), np.empty(T.size)
    n, rates, left = np.empty(2 * _TOGETHER), np.empty((3, 2 * _TOGETHER)), np.empty((3, 2 * _TOGETHER))
    for begin in range(0, T.size, _TOGETHER):
        size = min(_TOGETHER, T.size - begin)
        for k in range(2 * size):  # at the last purchase, then at the end
            i, t = begin + k % size, recency[begin + k] if k < size else T[begin + k - size]
            n[k], rates[0, k], rates[1, k], rates[2, k] = r[i] + frequency[i], s[i], alpha[i] + t, beta[i] + t
        used = 2 * size
        leaving_first(n[:used], rates[0, :used], rates[1, :used], rates[2, :used], left[:, :used])
        for k in range(size):
            i = begin + k
            x, early, late, p, q = frequency[i], recency[i], T[i], rates[1, k], rates[2, k]
            positive = min(r[i], alpha[i], s[i], beta[i]) > 0.0
            if not (positive and x >= 0.0 and 0.0 <= early <= late and (x > 0.0 or early == 0.0)):
                density[i] = alive[i] = math.nan
                continue
            waits = math.exp(-n[k] * math.log1p((late - early) / p) - s[i] * math.log1p((late - early) / q))
            either = left[0, k] + waits * (1.0 - left[0, size + k])
            density[i] = math.lgamma(n[k]) - math.lgamma(r[i]) - x * math.log(p) + math.log(either)
            density[i] -= r[i] * math.log1p(early / alpha[i]) + s[i] * math.log1p(early / beta[i])
            alive[i] = waits / either
    return density, alive


def expected_purchases(
    horizon: Array, frequency: Array, T: Array, r: Array, alpha: Array, s: Array, beta: Array
) -> Array:
    """Return the expected purchases in the next `horizon` of a customer **who is alive** at ``T`` (equation 41).

    Given that he is alive, ``lambda`` is Gamma(r + x, alpha + T) and ``mu`` is Gamma(s, beta + T), independent,
    whatever the recency; multiply by `probability_alive` for a customer of whom only the counts are known.
    """
    rate = (np.asarray(frequency) + r) / (alpha + np.asarray(T))
    return rate * expected_time_alive(horizon, T, s, beta)


def expected_time_alive(horizon: Array, T: Array, s: Array, beta: Array) -> Array:
    """Return the expected time within `horizon` until a customer **who is alive** at ``T`` leaves.

    This is ``(beta + T) (1 - (1 + horizon / (beta + T))^(1 - s)) / (s - 1)``, at s = 1 its limit, a logarithm.
    """
    q = beta + np.asarray(T, dtype=float)
    grown = np.log1p(horizon / q)
    power = (1.0 - s) * grown
    return q * grown * np.where(np.abs(power) < 1e-300, 1.0, np.expm1(power) / np.where(power == 0.0, 1.0, power))


def expected_since_start(age: Array, r: float, alpha: float, s: float, beta: float) -> Array:
    """Return the expected repeat purchases of a new customer up to each `age` (equation 27), of the shape of `age`."""
    return expected_purchases(np.asarray(age, dtype=float), 0.0, 0.0, r, alpha, s, beta)


def simulate_customers(
    T: Array, r: float, alpha: float, s: float, beta: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], Array]:
    """Draw ``(frequency, recency)`` of new customers observed for ``T``: the model's own simulator, the tests' oracle.

    Parameters
    ----------
    T : array, shape (customers,)
        Ages at the end of observation.
    r, alpha, s, beta : float
        Parameters.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    frequency : int array, shape (customers,)
    recency : float array, shape (customers,)
    """
    T = np.asarray(T, dtype=float)
    rate = rng.standard_gamma(r, T.size) / alpha
    dropout = rng.standard_gamma(s, T.size) / beta
    seen = np.minimum(T, rng.standard_exponential(T.size) / np.maximum(dropout, 1e-300))
    frequency = rng.poisson(rate * seen)
    # The last of x purchases that are uniform over the time seen.
    last = seen * rng.random(T.size) ** (1.0 / np.maximum(frequency, 1))
    return frequency, np.where(frequency > 0, last, 0.0)


def fit_maximum_likelihood(
    frequency: Array, recency: Array, T: Array, customers: Array | None = None
) -> MaximumLikelihood:
    """Fit one group by maximum likelihood (what flat priors give at the mode); published tables are checked with it.

    The likelihood can have a ridge (much the same survival from many pairs of s and beta), so that the best of several
    starts is taken. Where nobody seems to leave, or all leave alike, s or beta has no finite estimate; logarithms of
    the parameters, in the mean age, then end at +-12.

    Parameters
    ----------
    frequency, recency, T : array
        Count rows.
    customers : array, optional
        Customers per row; 1 by default.
    """
    weights = np.ones(len(frequency)) if customers is None else np.asarray(customers, dtype=float)
    x, t_x, age = (np.asarray(v, dtype=float) for v in (frequency, recency, T))
    scale = float(np.average(age, weights=weights)) or 1.0
    data = lay_out(np.zeros(len(x), np.int64), x.astype(np.int64), t_x / scale, age / scale, weights)
    evaluate = evaluator(data)

    def negative(theta: Array) -> tuple[float, Array]:
        parameters = np.exp(theta)
        value, gradient = evaluate(parameters[:, None])
        return -value, -gradient[:, 0] * parameters

    rate = max(float(weights @ x) / float(weights @ age) * scale, 1e-3)
    starts = [(r, r / rate, s, s / left) for r, s, left in ((0.5, 0.5, 1.0), (1.0, 2.0, 0.2), (2.0, 0.5, 3.0))]
    options = {"maxiter": 2000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-7 * float(weights.sum())}
    bounds = [(-12.0, 12.0)] * 4
    found = min(
        (optimize.minimize(negative, np.log(v), jac=True, bounds=bounds, options=options) for v in starts),
        key=lambda one: one.fun,
    )
    r, alpha, s, beta = np.exp(found.x)
    # Rescaling time multiplies the density of every purchase time by the scale: back to the units of the data.
    value = -float(found.fun) - float(weights @ x) * np.log(scale)
    return MaximumLikelihood({"r": r, "alpha": alpha * scale, "s": s, "beta": beta * scale}, value)
