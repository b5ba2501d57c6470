"""BG/BB: purchases at discrete opportunities (a yearly appeal, a weekly service), before any of which one may leave.

Assumptions (Fader, Hardie and Shang 2010, *Marketing Science* 29(6), section 3)

1. While alive, a customer buys at each opportunity with probability ``p``, at most once.
2. At the beginning of each opportunity he leaves for good with probability ``theta``.
3. Purchase probabilities vary over customers as Beta(``alpha``, ``beta``).
4. Dropout probabilities vary over customers as Beta(``gamma``, ``delta``).
5. ``p`` and ``theta`` are independent.

Code names and the symbols of the paper: ``frequency`` is x, ``recency`` is t_x (the number of the last opportunity at
which he bought, 0 if none), ``T`` is n (opportunities seen since his first purchase). Counts are whole numbers of
opportunities, whatever type holds them. A time that is not whole (the edge of a window, an age) is allowed where a
function says so: the opportunity of a period falls on a uniformly random moment of it, so that what is expected up to
then is linear between whole opportunities.
"""

import numba
import numpy as np
import numpy.typing as npt
from scipy import optimize

from cvmlib.clv.families.bg_nbd import MaximumLikelihood

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
PARAMETERS = ("alpha", "beta", "gamma", "delta")

_SHOWN = 3
_ROUNDING = 1e-6  # of counts that went through the arithmetic of a clock


def check_counts(frequency: Array, recency: Array, T: Array) -> tuple[Integers, Integers, Integers]:
    """Return the counts as whole numbers, of the broadcast shape.

    Parameters
    ----------
    frequency, recency, T : array
        Opportunities with a purchase, the last of them, and all there were.

    Raises
    ------
    ValueError
        A count is not a whole number, or no path of opportunities has these counts; the first offenders are named.
    """
    x, t_x, n = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (frequency, recency, T)))
    for name, values in (("frequency", x), ("recency", t_x), ("T", n)):
        whole = np.abs(values - np.rint(values)) <= _ROUNDING
        _refuse(~whole, f"{name} must be a whole number of opportunities", x, t_x, n)
    x, t_x, n = (np.rint(values) for values in (x, t_x, n))
    possible = (x >= 0) & (x <= t_x) & (t_x <= n) & ((x > 0) | (t_x == 0))
    _refuse(~possible, "counts must satisfy frequency <= recency <= T, and recency 0 where frequency is 0", x, t_x, n)
    return x.astype(np.int64), t_x.astype(np.int64), n.astype(np.int64)


def _refuse(wrong: npt.NDArray[np.bool_], rule: str, x: Array, t_x: Array, n: Array) -> None:
    if not wrong.any():
        return
    rows = zip(x[wrong][:_SHOWN].tolist(), t_x[wrong][:_SHOWN].tolist(), n[wrong][:_SHOWN].tolist(), strict=True)
    first = "; ".join(f"({a:g}, {b:g}, {c:g})" for a, b, c in rows)
    raise ValueError(
        f"{rule}, but {int(wrong.sum())} of {wrong.size} rows are not so; the first (frequency, recency, T): {first}. "
        "Count opportunities (a week, a year), not days."
    )


def log_likelihood(
    frequency: Array, recency: Array, T: Array, alpha: Array, beta: Array, gamma: Array, delta: Array
) -> Array:
    """Log-likelihood of each customer (equation 5 of the paper, in logs).

    It is a product of the probabilities of each opportunity given those before: first those up to the last purchase,
    then the silence after it, summed over the opportunity at which he may have left by a backward recurrence of
    positive terms (`_walk`). Nothing over- or underflows, whatever T and the parameters.

    Parameters
    ----------
    frequency, recency, T : array
        Opportunities with a purchase, the last of them, and all there were.
    alpha, beta, gamma, delta : array or float
        Parameters; they broadcast against the customers.

    Returns
    -------
    array
        Log-likelihood of the counts of one path, of the broadcast shape.

    Raises
    ------
    ValueError
        Counts that are not whole or not possible, see `check_counts`.
    """
    return _over_rows(frequency, recency, T, alpha, beta, gamma, delta)[0]


def probability_alive(
    frequency: Array, recency: Array, T: Array, alpha: Array, beta: Array, gamma: Array, delta: Array
) -> Array:
    """Probability that a customer was alive at opportunity ``T`` (equation 11, for opportunity n).

    The paper's tables give it for opportunity n + 1, which is this times ``(delta + n) / (gamma + delta + n)``.
    Parameters are those of `log_likelihood`; the result is 1 for who bought at the last opportunity.
    """
    return _over_rows(frequency, recency, T, alpha, beta, gamma, delta)[1]


def _over_rows(*values: Array) -> tuple[Array, Array]:
    arrays = np.broadcast_arrays(*values[:3], *(np.asarray(v, dtype=float) for v in values[3:]))
    counts = np.broadcast_arrays(*check_counts(*values[:3]), arrays[-1])[:3]
    found = _walk_rows(*(v.flatten() for v in counts), *(v.flatten() for v in arrays[3:]))
    return found[0].reshape(arrays[0].shape), found[1].reshape(arrays[0].shape)


@numba.njit(cache=True)
def _walk_rows(
    x: Integers, t_x: Integers, n: Integers, alpha: Array, beta: Array, gamma: Array, delta: Array
) -> tuple[Array, Array]:  # pragma: no cover - compiled
    log_likelihoods, alive = np.empty(x.size), np.empty(x.size)
    for i in range(x.size):
        log_likelihoods[i], alive[i] = _walk(x[i], t_x[i], n[i], alpha[i], beta[i], gamma[i], delta[i])
    return log_likelihoods, alive


@numba.njit(cache=True)
def _walk(
    x: int, t_x: int, n: int, alpha: float, beta: float, gamma: float, delta: float
) -> tuple[float, float]:  # pragma: no cover - compiled
    """Log-likelihood of one customer and his probability of being alive at n.

    Given what was seen up to opportunity j, all while alive, the next is survived with probability
    ``(delta + j) / (gamma + delta + j)`` and, if so, brings a purchase with probability
    ``(alpha + purchases) / (alpha + beta + j)``. The order of purchases does not matter, so they are taken first. The
    silence from j on has probability ``rest = leaves + stays * rest(j + 1)``.
    """
    seen, factor = 0.0, 1.0
    for j in range(t_x):
        bought = alpha + j if j < x else beta + (j - x)
        factor *= bought * (delta + j) / ((alpha + beta + j) * (gamma + delta + j))
        if factor < 1e-100:
            seen += np.log(factor)
            factor = 1.0
    rest, still = 1.0, 1.0
    for j in range(n - 1, t_x - 1, -1):
        silent = (beta + (j - x)) / (alpha + beta + j) * (delta + j) / (gamma + delta + j)
        rest = gamma / (gamma + delta + j) + silent * rest
        still *= silent
    return seen + np.log(factor) + np.log(rest), still / rest


def expected_since_start(age: Array, alpha: float, beta: float, gamma: float, delta: float) -> Array:
    """Return the expected repeat purchases of a new customer in his first `age` opportunities (equation 8).

    The sum over opportunities is taken as it stands: the closed form has a removable pole at gamma = 1.

    Parameters
    ----------
    age : array
        Opportunities since the first purchase; linear between whole numbers.
    alpha, beta, gamma, delta : float
        Parameters.
    """
    ages = np.asarray(age, dtype=float)
    j = np.arange(int(np.ceil(ages.max(initial=0.0))))
    survived = np.cumprod((delta + j) / (gamma + delta + j))
    total = np.r_[0.0, np.cumsum(survived)]
    return alpha / (alpha + beta) * np.interp(ages, np.arange(total.size), total)


def simulate_customers(
    T: Array, alpha: float, beta: float, gamma: float, delta: float, rng: np.random.Generator
) -> tuple[Integers, Array]:
    """Draw ``(frequency, recency)`` of new customers over T opportunities: the model's own simulator.

    Parameters
    ----------
    T : array, shape (customers,)
        Opportunities, whole numbers.
    alpha, beta, gamma, delta : float
        Parameters.
    rng : numpy Generator
        Source of randomness.

    Returns
    -------
    frequency : int array, shape (customers,)
    recency : float array, shape (customers,)
    """
    n = check_counts(np.zeros(np.shape(T)), np.zeros(np.shape(T)), T)[2]
    p, theta = rng.beta(alpha, beta, n.size), rng.beta(gamma, delta, n.size)
    alive = np.minimum(_count_before(theta, rng), n)
    # Seen from the last opportunity alive backwards, the first purchase is the last one.
    silent = np.minimum(_count_before(p, rng), alive)
    recency = alive - silent
    before = np.maximum(recency - 1, 0).astype(np.int64)
    frequency = (recency > 0) + rng.binomial(before, p)
    return frequency.astype(np.int64), recency.astype(float)


def _count_before(probability: Array, rng: np.random.Generator) -> Array:
    """Draw how many opportunities pass before the first event of this probability."""
    with np.errstate(divide="ignore"):  # an event that is certain
        passed = np.log(1.0 - rng.random(probability.size)) / np.log1p(-np.maximum(probability, 1e-300))
    return np.floor(passed) + 0.0


def fit_maximum_likelihood(
    frequency: Array, recency: Array, T: Array, customers: Array | None = None
) -> MaximumLikelihood:
    """Fit one group by maximum likelihood (what flat priors give at the mode); published tables are checked with it.

    Parameters
    ----------
    frequency, recency, T : array
        Count rows, whole opportunities.
    customers : array, optional
        Customers per row; 1 by default.
    """
    counts = np.column_stack(check_counts(frequency, recency, T))
    rows, of_row = np.unique(counts, axis=0, return_inverse=True)
    weights = np.bincount(of_row.ravel(), customers)

    def negative(theta: Array) -> float:
        return -float(weights @ log_likelihood(*rows.T, *np.exp(theta)))

    start = np.log([1.0, 1.0, 0.5, 3.0])
    options = {"xatol": 1e-8, "fatol": 1e-9, "maxiter": 20_000}
    found = optimize.minimize(negative, start, method="Nelder-Mead", options=options)
    found = optimize.minimize(negative, found.x, method="BFGS", options={"gtol": 1e-6})
    return MaximumLikelihood(dict(zip(PARAMETERS, np.exp(found.x).tolist(), strict=True)), -float(found.fun))
