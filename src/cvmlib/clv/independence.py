"""Does spend per purchase depend on how often a customer buys? The Gamma-Gamma says no; here it is checked and priced.

Spend is taken to grow as a power of the number of purchases, ``(1 + frequency) ** slope``. The slope is estimated from
repeat buyers with the noise that the model gives their averages: under it, ``x z`` of a customer of x repeat purchases
is a scaled beta prime of shapes ``p x`` and ``q``, whatever x, so that the place of his average in that distribution
(between 0 and 1) must not rise with x. Unlike an average or its logarithm, this place cannot be carried away by one
wholesaler, and it has the same mean for one purchase as for fifty.

What a slope would do to customer value is found by shrinking every customer to the mean of those who buy as often as
he will have done, instead of to the mean of all: his own average already holds his own level.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from cvmlib.clv import gamma_gamma

Array = npt.NDArray[np.float64]

#: Customers with repeat purchases below which nothing is said.
FEWEST = 30
#: The leverage of a customer is that of this quantile of the frequencies, at most.
CAP = 0.95
#: Change of a value (the unit's, its best tenth's) that is too small to mention, and that is too large to ignore.
NEGLIGIBLE, MATERIAL = 0.01, 0.05
#: The same of the customers who have bought once: single values that are poorly known in any case.
NEGLIGIBLE_ONCE, MATERIAL_ONCE = 0.05, 0.10
_LOG_SHAPES = (-4.0, 12.0)
_NORMAL_90 = 1.6448536269514722


@dataclass(frozen=True)
class Dependence:
    """How spend per purchase goes with the number of purchases.

    Parameters
    ----------
    slope, low, high : float
        Power of ``1 + frequency``, with its 90% interval; nan where it cannot be told.
    reference : float
        Purchases, the first included, of the customer whose spend is that of the independent model.
    customers : float
        Repeat buyers the slope rests on.
    """

    slope: float
    low: float
    high: float
    reference: float
    customers: float

    @property
    def known(self) -> bool:
        """Whether there were repeat buyers enough, of different frequencies."""
        return bool(np.isfinite(self.slope))


@dataclass(frozen=True)
class Revaluation:
    """Relative change of values when dependence is allowed for.

    Parameters
    ----------
    total, total_low, total_high : float
        Of the unit's value: at the estimate, and the least and most over the interval of the slope.
    top : float
        Of the value of the tenth of the customers who are worth most under the independent model.
    once : float
        Of the value of the customers who have not bought again; 0 where there are none.
    """

    total: float
    total_low: float
    total_high: float
    top: float
    once: float


def estimate_slope(frequency: Array, monetary_value: Array, customers: Array | None = None) -> Dependence:
    """Estimate how spend per purchase goes with frequency, among repeat buyers.

    Intercept and slope of the log scale of spend solve two estimating equations: the places of the customers' averages
    in the model's distribution average one half, and do not go with ``log(1 + frequency)``. The shapes of that
    distribution are those of a Gamma-Gamma fitted with a slope by maximum likelihood. Customers weigh by the inverse of
    their standard deviation on the log scale, ``trigamma(p x) + trigamma(q)`` being the variance; leverage is capped at
    a quantile of the frequencies. The interval is from the sandwich variance, so that its width does not rest on the
    model.

    Parameters
    ----------
    frequency, monetary_value : array
        Count rows, money in any unit; those without repeat purchases or money are left out.
    customers : array, optional
        Customers per row; 1 by default.
    """
    x, z = np.asarray(frequency, dtype=float), np.asarray(monetary_value, dtype=float)
    n = np.ones(x.size) if customers is None else np.asarray(customers, dtype=float)
    used = (x > 0) & (z > 0) & (n > 0)
    x, z, n = x[used], z[used], n[used]
    if n.sum() < FEWEST or np.ptp(x) == 0:
        return Dependence(np.nan, np.nan, np.nan, np.nan, float(n.sum()))
    log_total, purchases = np.log(x * z), np.log1p(x)
    p, q = _fit_shapes(x, log_total, purchases, n)
    precision = 1.0 / (special.polygamma(1, p * x) + special.polygamma(1, q))
    middle = np.average(purchases, weights=n * precision)
    regressors = np.column_stack([np.ones(x.size), purchases - middle])
    leverage = np.minimum(purchases, _quantile(purchases, n, CAP))
    leverage -= np.average(leverage, weights=n * precision)
    instruments = np.column_stack([np.ones(x.size), leverage]) * np.sqrt(precision)[:, None]
    coefficients, covariance = _solve(log_total, regressors, instruments, p * x, q, n)
    slope, error = float(coefficients[1]), float(np.sqrt(covariance[1, 1]))
    half = _NORMAL_90 * error
    return Dependence(slope, slope - half, slope + half, float(np.exp(middle)), float(n.sum()))


def _fit_shapes(x: Array, log_total: Array, purchases: Array, n: Array) -> tuple[float, float]:
    """Shapes p and q of a Gamma-Gamma whose log scale is linear in `purchases`, by maximum likelihood."""
    levels, of_row = np.unique(x, return_inverse=True)
    regressors = np.column_stack([np.ones(x.size), purchases - np.average(purchases, weights=n)])
    centre = _quantile(log_total, n, 0.5)
    log_total = log_total - centre

    def negative(theta: Array) -> tuple[float, Array]:
        p, q, scale = np.exp(theta[0]), np.exp(theta[1]), regressors @ theta[2:]
        above = np.logaddexp(scale, log_total)
        both, within = p * levels + q, p * levels
        gammas = special.gammaln(both) - special.gammaln(within) - special.gammaln(q)
        value = gammas[of_row] + q * scale + p * x * log_total - (p * x + q) * above
        digammas = special.digamma(both)
        by_p = x * ((digammas - special.digamma(within))[of_row] + log_total - above)
        by_q = digammas[of_row] - special.digamma(q) + scale - above
        by_scale = q - (p * x + q) * np.exp(scale - above)
        gradient = np.array([p * (n @ by_p), q * (n @ by_q), *(regressors.T @ (n * by_scale))])
        return -float(n @ value) / n.sum(), -gradient / n.sum()

    bounds = [_LOG_SHAPES, _LOG_SHAPES, (None, None), (None, None)]
    found = optimize.minimize(negative, [0.7, 0.7, 0.0, 0.0], jac=True, method="L-BFGS-B", bounds=bounds)
    return float(np.exp(found.x[0])), float(np.exp(found.x[1]))


def _solve(
    log_total: Array, regressors: Array, instruments: Array, shape: Array, q: float, n: Array
) -> tuple[Array, Array]:
    """Solve for the coefficients of the log scale, by Newton's steps; return them and their sandwich covariance."""
    centred = log_total - special.digamma(shape) + special.digamma(q)
    coefficients = np.array([_quantile(centred, n, 0.5), *np.zeros(regressors.shape[1] - 1)])
    log_beta = special.betaln(shape, q)
    for _ in range(50):
        odds = log_total - regressors @ coefficients
        place = special.betainc(shape, q, special.expit(odds))
        density = np.exp(shape * special.log_expit(odds) + q * special.log_expit(-odds) - log_beta)
        scores = instruments * (place - 0.5)[:, None]
        slopes = (instruments * (n * density)[:, None]).T @ regressors
        step = np.linalg.solve(slopes, scores.T @ n)
        coefficients = coefficients + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-8:
            break
    inverse = np.linalg.inv(slopes)
    return coefficients, inverse @ ((scores * n[:, None]).T @ scores) @ inverse.T


def _quantile(values: Array, weights: Array, level: float) -> float:
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, level * cumulative[-1])])


def revalue(
    dependence: Dependence,
    frequency: Array,
    monetary_value: Array,
    purchases: Array,
    p: float,
    q: float,
    gamma: float,
    customers: Array | None = None,
) -> Revaluation:
    """Tell how much the value of a unit and of its best customers changes when the dependence is allowed for.

    Every customer is shrunk to the population's spend at ``1 + frequency + 1`` purchases, which is the independent
    model's times ``((2 + frequency) / reference) ** slope``. It is one purchase more than he has made because value
    arises only where he buys again: weighted by their future purchases, customers of x are like customers of x + 1
    (exactly so for gamma-distributed Poisson rates). Expected purchases are left as they are, though with dependence
    the spend so far would say something about them: changes of a few percent are rough.

    Parameters
    ----------
    dependence : Dependence
        Result of `estimate_slope`, known.
    frequency, monetary_value : array, shape (rows,)
        Counts of all customers.
    purchases : array, shape (rows,)
        Expected future purchases (discounted or not) of a customer of each row.
    p, q, gamma : float
        The fitted Gamma-Gamma.
    customers : array, shape (rows,), optional
        Customers per row; 1 by default.
    """
    x = np.asarray(frequency, dtype=float)
    n = np.ones(x.size) if customers is None else np.asarray(customers, dtype=float)

    def values(slope: float) -> Array:
        level = gamma * ((2.0 + x) / dependence.reference) ** slope
        return np.asarray(purchases) * gamma_gamma.expected_spend(x, monetary_value, p, q, level)

    independent = values(0.0)
    best, once = _best_tenth(independent, n), np.where(x > 0, 0.0, n)
    at = {slope: values(slope) for slope in (dependence.slope, dependence.low, dependence.high)}
    totals = [float(n @ value / (n @ independent) - 1.0) for value in at.values()]
    changed = at[dependence.slope] - independent
    top, bought_once = (float(group @ changed / max(group @ independent, 1e-300)) for group in (best, once))
    return Revaluation(totals[0], min(totals), max(totals), top, bought_once)


def _best_tenth(values: Array, customers: Array) -> Array:
    """Customers of each row who are among the tenth worth most."""
    order = np.argsort(-values, kind="stable")
    before = np.cumsum(customers[order]) - customers[order]
    taken = np.clip(0.1 * customers.sum() - before, 0.0, customers[order])
    best = np.empty_like(taken)
    best[order] = taken
    return best


def judge(dependence: Dependence, change: Revaluation | None) -> str:
    """Weigh the check: ``holds``, ``weak``, ``fails``, or ``unknown`` without repeat buyers enough.

    The assumption holds where the interval of the slope contains zero, or where allowing for the slope changes neither
    the unit's value nor that of its best tenth by 1%, nor that of customers who bought once by 5%; it fails where the
    interval is clear of zero and one of the first two changes by 5% or more, or the last by 10%. In between it is weak.
    """
    if not dependence.known or change is None:
        return "unknown"
    largest = max(abs(change.total), abs(change.top))
    if dependence.low <= 0.0 <= dependence.high or (largest < NEGLIGIBLE and abs(change.once) < NEGLIGIBLE_ONCE):
        return "holds"
    return "fails" if largest >= MATERIAL or abs(change.once) >= MATERIAL_ONCE else "weak"


def describe(dependence: Dependence, change: Revaluation | None) -> str:
    """Say what was found, for a report."""
    outcome = judge(dependence, change)
    if outcome == "unknown":
        return (
            f"Whether spend depends on how often a customer buys cannot be told from {dependence.customers:.0f} repeat "
            f"buyers: it takes at least {FEWEST}, of different frequencies. The spend model assumes that it does not."
        )
    double, low, high = (2.0**slope - 1.0 for slope in (dependence.slope, dependence.low, dependence.high))
    figures = f"twice the purchases go with {double:+.1%} a purchase (90% interval {low:+.1%} to {high:+.1%})"
    effect = (
        f"the unit's value by {change.total:+.1%}, that of its best tenth by {change.top:+.1%} and that of customers "
        f"who have bought once by {change.once:+.1%}"
    )
    if outcome == "holds":
        return (
            f"Spend per purchase does not depend noticeably on how often a customer buys: {figures}. The spend model's "
            f"assumption holds; allowing for the difference would change {effect}."
        )
    direction = "more" if dependence.slope > 0 else "less"
    found = f"Customers who buy more often spend {direction} per purchase: {figures}"
    if outcome == "weak":
        return (
            f"{found}. The spend model assumes that they do not, which matters little: allowing for it would change "
            f"{effect}."
        )
    return (
        f"{found}. The spend model assumes that they do not, and its assumption fails: allowing for it would change "
        f"{effect}. Do not rely on these values more closely than that."
    )
