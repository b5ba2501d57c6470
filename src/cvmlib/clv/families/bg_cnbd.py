"""BG/CNBD-k and MBG/CNBD-k: purchases of a customer with a regular rhythm, who may leave after any of them.

Assumptions (Reutterer, Platzer and Schroeder 2021, *International Journal of Research in Marketing* 38(1))

1. While alive, a customer passes through stages by a Poisson process with rate ``lambda``; every k-th is a purchase, so
   that his gaps are Erlang(k, ``lambda``): the more regular, the greater k. k is the same for all.
2. Rates of stages vary over customers as Gamma with shape ``r`` and rate ``alpha`` (in units of time); while alive, he
   buys ``r / (alpha k)`` times per unit of time on average.
3. After each repeat purchase he leaves for good with probability ``p``; in the MBG/CNBD-k (``modified``) after the
   first purchase too.
4. Dropout probabilities vary over customers as Beta(``a``, ``b``).
5. ``lambda`` and ``p`` are independent.

k = 1 is the BG/NBD and the MBG/NBD (`families.bg_nbd`). ``frequency`` is x, ``recency`` is t_x; times are in any one
unit. The counts (x, t_x, T) are sufficient for everything but k, for which the gaps are needed too (`log_gap_term`).
"""

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from cvmlib.clv.families import bg_cnbd_forecast, bg_cnbd_kernel
from cvmlib.clv.families.bg_nbd import MaximumLikelihood

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
PARAMETERS = ("r", "alpha", "a", "b", "k")


def log_likelihood(
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    k: Integers,
    *,
    modified: bool = False,
) -> Array:
    """Log-likelihood of each customer's purchase times, without `log_gap_term`.

    Parameters
    ----------
    frequency, recency, T : array
        Repeat purchases, age at the last of them, and age at the end of observation.
    r, alpha, a, b : array or float
        Parameters; they broadcast against the customers.
    k : int array or int
        Stages of a gap.
    modified : bool
        The MBG/CNBD-k.

    Returns
    -------
    array
        Log-likelihood, of the broadcast shape.
    """
    x = np.asarray(frequency, dtype=float)
    n = r + k * x
    common = (
        special.gammaln(n)
        - special.gammaln(r)
        + r * np.log(alpha)
        + special.betaln(a, b + (x + modified))
        - special.betaln(a, b)
        - n * np.log(alpha + T)
    )
    alive, log_odds = _terms(x, recency, T, r, alpha, a, b, k, modified)
    return common + np.logaddexp(np.log(alive), log_odds)


def _terms(
    x: Array, recency: Array, T: Array, r: Array, alpha: Array, a: Array, b: Array, k: Integers, modified: bool
) -> tuple[Array, Array]:
    """``sum over j < k of Gamma(n + j) / (Gamma(n) j!) z^j``, n = r + k x, and the logarithm of its rival, having left.

    ``z = (T - t_x) / (alpha + T)``; j is the number of stages completed of the gap under way.
    """
    k = np.asarray(k)
    n, z = r + k * x, np.maximum(np.subtract(T, recency), 0.0) / np.add(alpha, T)
    term = np.ones(np.broadcast_shapes(np.shape(n), np.shape(z)))
    alive = term.copy()
    for j in range(1, int(k.max(initial=1))):
        term = term * (n + j - 1.0) / j * z
        alive = alive + np.where(j < k, term, 0.0)
    chances = x + modified
    may_leave = chances > 0
    safe = np.where(may_leave, chances, 1.0)
    log_odds = np.log(a) - np.log(b + safe - 1.0) + n * (np.log(np.add(alpha, T)) - np.log(np.add(alpha, recency)))
    return alive, np.where(may_leave, log_odds, -np.inf)


def log_gap_term(k: Integers, frequency: Array, sum_log_gaps: Array) -> Array:
    """Return what the gaps add to the log-likelihood: ``(k - 1) sum log gap - x log Gamma(k)``; 0 for k = 1.

    It depends on data and k only, so that estimates given k do without; a comparison of different k needs it.

    Parameters
    ----------
    k : int array or int
        Stages of a gap.
    frequency : array
        Repeat purchases, that is gaps; of one customer or summed over customers.
    sum_log_gaps : array
        Sum of the logarithms of the gaps between the consecutive purchases of the same customers, in the unit of time
        of the other arguments.
    """
    return (np.asarray(k) - 1.0) * sum_log_gaps - frequency * special.gammaln(k)


def probability_alive(
    frequency: Array,
    recency: Array,
    T: Array,
    r: Array,
    alpha: Array,
    a: Array,
    b: Array,
    k: Integers,
    *,
    modified: bool = False,
) -> Array:
    """Probability that a customer is alive at ``T``; parameters are those of `log_likelihood`.

    With k above 1 a gap that is long for his rhythm speaks against him sooner than in the BG/NBD. Without a repeat
    purchase it is 1 in the BG/CNBD-k.
    """
    x = np.asarray(frequency, dtype=float)
    alive, log_odds = _terms(x, recency, T, r, alpha, a, b, k, modified)
    return special.expit(np.log(alive) - log_odds)


def expected_since_start(
    age: Array, r: float, alpha: float, a: float, b: float, k: int, *, modified: bool = False
) -> Array:
    """Return the expected repeat purchases of a new customer up to each `age`, of the shape of `age`."""
    ages, where = np.unique(np.asarray(age, dtype=float), return_inverse=True)
    new, draw = np.zeros(1), [np.array([v]) for v in (r, alpha, a, b, k)]
    edges = np.concatenate([[0.0], ages])[None]
    purchases, _ = bg_cnbd_forecast.forecast(edges, new, new, new, *draw, modified=modified)
    return purchases[:, 0, 0].cumsum()[where].reshape(np.shape(age))


def simulate_customers(
    T: Array,
    r: float,
    alpha: float,
    a: float,
    b: float,
    k: int,
    rng: np.random.Generator,
    *,
    modified: bool = False,
) -> tuple[Integers, Array]:
    """Draw ``(frequency, recency)`` of new customers observed for ``T``: the model's own simulator, the tests' oracle.

    Parameters
    ----------
    T : array, shape (customers,)
        Ages at the end of observation.
    r, alpha, a, b : float
        Parameters.
    k : int
        Stages of a gap.
    rng : numpy Generator
        Source of randomness.
    modified : bool
        The MBG/CNBD-k.

    Returns
    -------
    frequency : int array, shape (customers,)
    recency : float array, shape (customers,)
    """
    frequency, recency, _ = simulate_gaps(T, r, alpha, a, b, k, rng, modified=modified)
    return frequency, recency


def simulate_gaps(
    T: Array,
    r: float,
    alpha: float,
    a: float,
    b: float,
    k: int,
    rng: np.random.Generator,
    *,
    modified: bool = False,
) -> tuple[Integers, Array, Array]:
    """Draw new customers as `simulate_customers`, with each one's sum of the logarithms of his gaps as third array."""
    T = np.asarray(T, dtype=float)
    rate = np.maximum(rng.gamma(r, 1.0 / alpha, T.size), 1e-300)
    p = rng.beta(a, b, T.size)
    frequency, recency, log_gaps = np.zeros(T.size, dtype=np.int64), np.zeros(T.size), np.zeros(T.size)
    active = np.flatnonzero(rng.random(T.size) >= p) if modified else np.arange(T.size)
    while active.size:
        gap = rng.standard_gamma(k, active.size) / rate[active]
        seen = recency[active] + gap <= T[active]
        active, gap = active[seen], gap[seen]
        frequency[active] += 1
        recency[active] += gap
        log_gaps[active] += np.log(gap)
        active = active[rng.random(active.size) >= p[active]]
    return frequency, recency, log_gaps


def fit_maximum_likelihood(
    frequency: Array,
    recency: Array,
    T: Array,
    customers: Array | None = None,
    k: int = 1,
    *,
    modified: bool = False,
) -> MaximumLikelihood:
    """Fit one group by maximum likelihood, for a given k; the log-likelihood is without `log_gap_term`.

    Parameters
    ----------
    frequency, recency, T : array
        Count rows.
    customers : array, optional
        Customers per row; 1 by default.
    k : int
        Stages of a gap.
    modified : bool
        The MBG/CNBD-k.
    """
    weights = np.ones(len(frequency)) if customers is None else np.asarray(customers, dtype=float)
    x, t_x, age = np.asarray(frequency, dtype=np.int64), np.asarray(recency, float), np.asarray(T, float)
    scale = float(np.average(age, weights=weights)) or 1.0
    data = bg_cnbd_kernel.lay_out(np.zeros(x.size, dtype=np.int64), x, t_x / scale, age / scale, weights)

    def negative(theta: Array) -> tuple[float, Array]:
        parameters = np.exp(theta)
        value, gradient = bg_cnbd_kernel.evaluate(data, *parameters[:, None], np.array([k]), modified=modified)
        return -value / weights.sum(), -gradient[:, 0] * parameters / weights.sum()

    start, options = np.log([0.5, 0.5 / k, 0.7, 2.0]), {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 1000}
    found = optimize.minimize(negative, start, jac=True, method="L-BFGS-B", bounds=[(-15, 15)] * 4, options=options)
    r, alpha, a, b = np.exp(found.x)
    # Rescaling time multiplies the density by the scale for each of the k x stages: back to the units of the data.
    value = -found.fun * weights.sum() - k * float(weights @ x) * np.log(scale)
    return MaximumLikelihood({"r": r, "alpha": alpha * scale, "a": a, "b": b, "k": k}, value)
