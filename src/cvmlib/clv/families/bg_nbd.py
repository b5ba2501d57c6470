"""BG/NBD and MBG/NBD: purchases of a customer who may leave after any of them.

Assumptions (Fader, Hardie and Lee 2005, *Marketing Science* 24(2), section 3)

1. While alive, a customer buys by a Poisson process with rate ``lambda``.
2. Rates vary over customers as Gamma with shape ``r`` and rate ``alpha`` (in units of time).
3. After each repeat purchase he leaves for good with probability ``p``.
4. Dropout probabilities vary over customers as Beta(``a``, ``b``).
5. ``lambda`` and ``p`` are independent.

The MBG/NBD (Batislam, Denizel and Filiztekin 2007, *International Journal of Research in Marketing* 24(3)) lets him
leave after the first purchase too; functions take it as ``modified``. Whatever his counts, he has then survived one
chance more, as if b were b + 1, and one without a repeat purchase may have left.

Code names and the symbols of the paper: ``frequency`` is x, ``recency`` is t_x, ``T`` is T. Everything here is a plain
function of arrays; times are in any one unit, the same for ``recency``, ``T``, ``alpha`` and the window forecast.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from scipy import optimize, special

Array = npt.NDArray[np.float64]
PARAMETERS = ("r", "alpha", "a", "b")


def log_likelihood(
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    *,
    modified: bool = False,
) -> Array:
    """Log-likelihood of each customer (equation 6 of the paper, in logs).

    Parameters
    ----------
    frequency, recency, T : array
        Repeat purchases, age at the last of them, and age at the end of observation.
    r, alpha, a, b : array or float
        Parameters; they broadcast against the customers.
    modified : bool
        The MBG/NBD.

    Returns
    -------
    array
        Log-likelihood, of the broadcast shape.
    """
    x = np.asarray(frequency, dtype=float)
    chances = x + modified
    common = (
        special.gammaln(r + x)
        - special.gammaln(r)
        + r * np.log(alpha)
        + special.betaln(a, b + chances)
        - special.betaln(a, b)
        - (r + x) * np.log(alpha + T)
    )
    return common + np.logaddexp(0.0, _log_odds_left(x, recency, T, r, alpha, a, b, modified))


def probability_alive(
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    *,
    modified: bool = False,
) -> Array:
    """Probability that a customer is alive at ``T`` (Fader, Hardie and Lee 2008, note 021).

    Parameters are those of `log_likelihood`; the result is in (0, 1], and in the BG/NBD 1 without a repeat purchase,
    since that model lets a customer leave only at one.
    """
    x = np.asarray(frequency, dtype=float)
    return special.expit(-_log_odds_left(x, recency, T, r, alpha, a, b, modified))


def _log_odds_left(
    x: Array, recency: Array, T: Array, r: Array, alpha: Array, a: Array, b: Array, modified: bool
) -> Array:
    chances = x + modified
    may_leave = chances > 0
    safe = np.where(may_leave, chances, 1.0)
    odds = np.log(a) - np.log(b + safe - 1.0) + (r + x) * (np.log(alpha + T) - np.log(alpha + recency))
    return np.where(may_leave, odds, -np.inf)


def expected_purchases(
    horizon: float, frequency: Array, T: Array, r: Array, alpha: Array, a: Array, b: Array, *, discount: float = 0.0
) -> Array:
    """Return the expected (discounted) purchases in the next `horizon` of a customer **who is alive** at ``T``.

    Given that he is alive, ``lambda`` is Gamma(r + x, alpha + T) and ``p`` is Beta(a, b + x), independent, whatever
    the recency (in the MBG/NBD ``p`` is Beta(a, b + x + 1): pass b + 1). Multiply by `probability_alive` for a customer
    of whom only the counts are known. The purchase rate at time s ahead, ``E[lambda exp(-lambda p s)]``, is a 2F1 and
    is integrated by Gauss-Legendre quadrature, which has none of the removable poles of the closed form at a = 1
    (equation 10 of the paper) and takes continuous discounting in the same sum.

    Parameters
    ----------
    horizon : float
        Length of the window ahead.
    frequency, T : array
        Repeat purchases and age.
    r, alpha, a, b : array or float
        Parameters, broadcast against the customers.
    discount : float
        Continuous discount rate per unit of time.

    Returns
    -------
    array
        Expected number of purchases, each discounted by ``exp(-discount * s)``.
    """
    x = np.asarray(frequency, dtype=float)
    return (r + x) / (alpha + T) * _integrate(1.0, horizon, discount, r + x, alpha + T, a, a + b + x)


def expected_time_alive(
    horizon: float, frequency: Array, T: Array, r: Array, alpha: Array, a: Array, b: Array, *, discount: float = 0.0
) -> Array:
    """Return the expected (discounted) time within `horizon` until a customer **who is alive** at ``T`` leaves.

    The probability of being alive at s ahead is ``E[exp(-lambda p s)]``; parameters are those of
    `expected_purchases`, and the result is in the unit of time of `horizon`.
    """
    x = np.asarray(frequency, dtype=float)
    return _integrate(0.0, horizon, discount, r + x, alpha + T, a, a + b + x)


def _integrate(power: float, horizon: float, discount: float, shape: Array, rate: Array, a: Array, c: Array) -> Array:
    arrays = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (shape, rate, a, c)))
    flat = [v.flatten() for v in arrays]
    return _integrated_survival(power, float(horizon), float(discount), *flat).reshape(arrays[0].shape)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@numba.njit(cache=True)
def _integrated_survival(
    power: float, horizon: float, discount: float, shape: Array, rate: Array, a: Array, c: Array
) -> Array:  # pragma: no cover - compiled
    """Integrate ``E[lambda^power exp(-lambda p s - discount s)] / E[lambda^power]`` over s in (0, horizon).

    ``lambda`` ~ Gamma(shape, rate), ``p`` ~ Beta(a, c - a), so the integrand is
    ``2F1(shape + power, a; c; -s / rate) exp(-discount s)``. The panels double in length, from the shortest of
    ``rate``, the inverse of the initial decay and that of the discount on, so that every scale of it is resolved.
    """
    result = np.zeros(shape.size)
    for i in range(shape.size):
        start, total = 0.0, 0.0
        scale = rate[i] / max(1.0, (shape[i] + power) * a[i] / c[i], discount * rate[i])
        while start < horizon:
            stop = min(horizon, start + scale + start)
            half = 0.5 * (stop - start)
            for k in range(_NODES.size):
                s = start + half * (1.0 + _NODES[k])
                value = mean_survival(shape[i] + power, a[i], c[i], s / rate[i])
                total += half * _WEIGHTS[k] * np.exp(-discount * s) * value
            start = stop
        result[i] = total
    return result


@numba.njit(cache=True)
def mean_survival(n: float, a: float, c: float, y: float) -> float:  # pragma: no cover - compiled
    """``2F1(n, a; c; -y)`` for n, a > 0, c > a, y >= 0, by the Pfaff transformation with ``z = y / (1 + y)``.

    ``(1 + y)^-a 2F1(a, c - n; c; z)`` converges fast but cancels when n is well above c; then
    ``(1 + y)^-n 2F1(n, c - a; c; z)``, whose terms are all positive, takes its place.
    """
    z = y / (1.0 + y)
    first, second, log_term = a, c - n, -a * np.log1p(y)
    if n - c > 3.0:
        first, second, log_term = n, c - a, -n * np.log1p(y)
    k = 0
    while log_term < -600.0:  # terms too small to matter, walked through in logs
        ratio = abs((first + k) * (second + k) / ((c + k) * (1.0 + k)) * z)
        if ratio <= 1.0:
            break
        log_term += np.log(ratio)
        k += 1
    term = np.exp(log_term)
    total = term
    for _ in range(10_000_000):
        term *= (first + k) * (second + k) / ((c + k) * (1.0 + k)) * z
        total += term
        k += 1
        rising = (first + k) * (second + k) * z >= (c + k) * (1.0 + k)
        if not (rising or abs(term) >= 1e-14 * abs(total)):  # a number that is not one ends the sum too
            break
    return total


def expected_since_start(age: Array, r: float, alpha: float, a: float, b: float, *, modified: bool = False) -> Array:
    """Return the expected repeat purchases of a new customer up to each `age` (equation 9), of the shape of `age`.

    In the MBG/NBD (`modified`) he survives his first purchase with probability ``b / (a + b)``.
    """
    ages = np.asarray(age, dtype=float)
    stays = b / (a + b) if modified else 1.0
    if_alive = [expected_purchases(t, 0.0, 0.0, r, alpha, a, b + modified) for t in ages.ravel()]
    return stays * np.array(if_alive).reshape(ages.shape)


def simulate_customers(
    T: Array, r: float, alpha: float, a: float, b: float, rng: np.random.Generator, *, modified: bool = False
) -> tuple[npt.NDArray[np.int64], Array]:
    """Draw ``(frequency, recency)`` of new customers observed for ``T``: the model's own simulator, the tests' oracle.

    Parameters
    ----------
    T : array, shape (customers,)
        Ages at the end of observation.
    r, alpha, a, b : float
        Parameters.
    rng : numpy Generator
        Source of randomness.
    modified : bool
        The MBG/NBD.

    Returns
    -------
    frequency : int array, shape (customers,)
    recency : float array, shape (customers,)
    """
    T = np.asarray(T, dtype=float)
    rate = rng.gamma(r, 1.0 / alpha, T.size)
    p = rng.beta(a, b, T.size)
    frequency, recency = np.zeros(T.size, dtype=np.int64), np.zeros(T.size)
    clock, active = np.zeros(T.size), np.arange(T.size)
    if modified:
        active = active[rng.random(T.size) >= p]
    while active.size:
        clock[active] += rng.exponential(1.0, active.size) / np.maximum(rate[active], 1e-300)
        active = active[clock[active] <= T[active]]
        frequency[active] += 1
        recency[active] = clock[active]
        active = active[rng.random(active.size) >= p[active]]
    return frequency, recency


@dataclass(frozen=True)
class MaximumLikelihood:
    """A maximum-likelihood fit: the posterior mode under flat priors."""

    parameters: dict[str, float]
    log_likelihood: float


def fit_maximum_likelihood(
    frequency: Array, recency: Array, T: Array, customers: Array | None = None, *, modified: bool = False
) -> MaximumLikelihood:
    """Fit one group by maximum likelihood (what flat priors give at the mode); published tables are checked with it.

    Parameters
    ----------
    frequency, recency, T : array
        Count rows.
    customers : array, optional
        Customers per row; 1 by default.
    modified : bool
        The MBG/NBD.
    """
    weights = np.ones(len(frequency)) if customers is None else np.asarray(customers, dtype=float)
    x, t_x, age = (np.asarray(v, dtype=float) for v in (frequency, recency, T))
    scale = float(np.average(age, weights=weights)) or 1.0

    def negative(theta: Array) -> float:
        r, alpha, a, b = np.exp(theta)
        return -float(weights @ log_likelihood(x, t_x / scale, age / scale, r, alpha, a, b, modified=modified))

    start = np.log([0.5, 0.5, 0.7, 2.0])
    options = {"xatol": 1e-8, "fatol": 1e-9, "maxiter": 20_000}
    found = optimize.minimize(negative, start, method="Nelder-Mead", options=options)
    found = optimize.minimize(negative, found.x, method="BFGS", options={"gtol": 1e-6})
    r, alpha, a, b = np.exp(found.x)
    # Rescaling time multiplies the density of every purchase time by the scale: back to the units of the data.
    value = -found.fun - float(weights @ x) * np.log(scale)
    return MaximumLikelihood({"r": r, "alpha": alpha * scale, "a": a, "b": b}, value)
