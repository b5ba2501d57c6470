"""How regular customers buy: the number k of stages of their gaps, by likelihood (`cvmlib.clv.families.bg_cnbd`)."""

import numpy as np
import numpy.typing as npt

from cvmlib.clv.families import bg_cnbd
from cvmlib.clv.families.bg_nbd import MaximumLikelihood

Array = npt.NDArray[np.float64]

MOST = 8
"""The greatest k there is: gaps of one customer with a coefficient of variation of 0.35."""


def fit_each_k(
    frequency: Array,
    recency: Array,
    T: Array,
    sum_log_gaps: float,
    customers: Array | None = None,
    *,
    modified: bool = False,
) -> dict[int, MaximumLikelihood]:
    """Fit the (M)BG/CNBD-k of every k from 1 to `MOST`, with log-likelihoods that can be compared.

    Parameters
    ----------
    frequency, recency, T : array
        Count rows of one group.
    sum_log_gaps : float
        Sum, over all customers, of the logarithms of all gaps between their consecutive purchases, the gap after the
        first purchase included, in the unit of time of `recency`. A gap is above 0.
    customers : array, optional
        Customers per row; 1 by default.
    modified : bool
        The MBG/CNBD-k.

    Returns
    -------
    dict
        By k: the fit, whose log-likelihood is complete, with `bg_cnbd.log_gap_term`.
    """
    gaps = float(np.sum(frequency) if customers is None else np.dot(customers, frequency))
    fits = {}
    for k in range(1, MOST + 1):
        fit = bg_cnbd.fit_maximum_likelihood(frequency, recency, T, customers, k, modified=modified)
        complete = fit.log_likelihood + float(bg_cnbd.log_gap_term(k, gaps, sum_log_gaps))
        fits[k] = MaximumLikelihood(fit.parameters, complete)
    return fits


def choose_k(
    frequency: Array,
    recency: Array,
    T: Array,
    sum_log_gaps: float,
    customers: Array | None = None,
    *,
    modified: bool = False,
) -> int:
    """Choose the k of the greatest log-likelihood, as Reutterer, Platzer and Schroeder; parameters of `fit_each_k`."""
    fits = fit_each_k(frequency, recency, T, sum_log_gaps, customers, modified=modified)
    return max(fits, key=lambda k: fits[k].log_likelihood)
