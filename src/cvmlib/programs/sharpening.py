"""What conversions say about lifts in money: how many bought is known far better than how much they spent.

Spending has heavy tails, so a few large baskets on either side make most of the error of a lift in money. The lift in
conversions does not contain them. Across the programs of a unit

    y_i = theta_i + error                   measured lift in money (logarithm of treated over control mean)
    r_i = rho theta_i + eta_i + error       measured lift in conversions (errors and their covariance are known)
    theta_i ~ Normal(m, tau),  eta_i ~ Normal(0, kappa)
    rho ~ Uniform(0, 2),  m ~ Normal(0, 3 s),  tau ~ HalfCauchy(s),  kappa ~ HalfCauchy(s),  s = 0.1

so that the contrast ``r_i - rho y_i`` contains errors and eta alone, whatever the true lift. The part of y_i that goes
with it is error, and is taken out; what is left is still unbiased, with a smaller error (a control variate, as CUPED
is). rho and kappa are learned from all programs. Where conversions do not move in step with money, kappa is large,
and fewer than three programs teach neither: then lifts in money stay as they are. A sharpened lift lies between y_i
and what conversions alone would say, r_i / rho, and never goes beyond either.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Array = npt.NDArray[np.float64]

USUAL = 0.1
"""The s of the model: the size of lifts that is thought usual (log ratio)."""
FEWEST = 3
"""Programs of a unit from which it is learned how conversions go with money."""
SHARES = (np.arange(40) + 0.5) / 20
SPREADS = np.geomspace(0.001, 2.0, 30)
WIDTHS = np.geomspace(0.005, 2.0, 16)


def widen_error(lifts: pd.DataFrame) -> Array:
    """Return the standard deviation of the error of each measured lift, which is Student t.

    Parameters
    ----------
    lifts : DataFrame
        Rows of `cvmlib.programs.lift.measure_lift`: log_ratio_se and freedom.
    """
    freedom = lifts["freedom"].to_numpy(float)
    return lifts["log_ratio_se"].to_numpy(float) * np.sqrt(freedom / (freedom - 2))


def sharpen_lifts(lifts: pd.DataFrame) -> tuple[Array, Array]:
    """Take out of lifts in money the part of their error that conversions explain.

    Parameters
    ----------
    lifts : DataFrame
        Programs of one unit, rows of `cvmlib.programs.lift.measure_lift` with a finite ``log_ratio``.

    Returns
    -------
    array, array
        Lifts in money (log ratios) and the standard deviations of their errors, shape (programs,).
    """
    lift, se = np.array(lifts["log_ratio"], float), widen_error(lifts)
    names = ("rate_log_ratio", "rate_log_ratio_se", "rate_covariance")
    rate, rate_se, covariance = (lifts[name].to_numpy(float) for name in names)
    known = np.isfinite(rate) & np.isfinite(rate_se) & np.isfinite(covariance)
    if known.sum() < FEWEST:
        return lift, se
    y, r, vy, vr, both = lift[known], rate[known], se[known] ** 2, rate_se[known] ** 2, covariance[known]
    rho, doubt, strays = learn_link(y, r, vy, vr, both)
    # Squares of the true lifts: their mean, and its own where one stands out.
    size = np.maximum(y**2 - vy, max(float((y**2 - vy).mean()), 0.0))
    rest = vr + rho**2 * vy - 2 * rho * both + strays + doubt * size  # variance of the contrast
    slope = np.clip((both - rho * vy) / rest, -1 / rho, 0.0)
    lift[known] = y - slope * (r - rho * y)
    se[known] = np.sqrt(vy - 2 * slope * (both - rho * vy) + slope**2 * rest)
    return lift, se


def learn_link(y: Array, r: Array, vy: Array, vr: Array, both: Array) -> tuple[float, float, float]:
    """Learn how lifts in conversions go with lifts in money.

    Parameters
    ----------
    y, r : array, shape (programs,)
        Measured lifts in money and in conversions (log ratios).
    vy, vr, both : array, shape (programs,)
        Variances of their errors, and the covariance.

    Returns
    -------
    float, float, float
        Posterior mean and variance of rho, and posterior mean of the square of kappa.
    """
    kappa, tau = SPREADS[:, None, None], WIDTHS[:, None]
    logs = np.empty((len(SHARES), len(SPREADS), len(WIDTHS)))
    for i, rho in enumerate(SHARES):  # given rho, kappa and tau all is normal, and m is integrated in closed form
        yy, rr, yr = vy + tau**2, vr + kappa**2 + (rho * tau) ** 2, both + rho * tau**2
        determinant = np.maximum(yy * rr - yr**2, 1e-12 * yy * rr)
        squares = (rr * y**2 - 2 * yr * y * r + yy * r**2) / determinant
        ahead = ((rr * y - yr * (rho * y + r) + yy * rho * r) / determinant).sum(axis=2)
        known = ((rr - 2 * yr * rho + yy * rho**2) / determinant).sum(axis=2) + 1 / (3 * USUAL) ** 2
        logs[i] = 0.5 * (ahead**2 / known - np.log(known) - (squares + np.log(determinant)).sum(axis=2))
    for nodes, shape in ((SPREADS, (-1, 1)), (WIDTHS, (1, -1))):
        logs += (stats.halfcauchy.logpdf(nodes, scale=USUAL) + np.log(nodes)).reshape(shape)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    share = weight.sum(axis=(1, 2))
    mean = float(share @ SHARES)
    return mean, float(share @ (SHARES - mean) ** 2), float(weight.sum(axis=(0, 2)) @ SPREADS**2)
