r"""Expected maximum profit of a retention campaign that contacts those of highest risk (EMPC), in closed form.

Contacting a customer costs :math:`c`. A would-be leaver of value :math:`V` accepts an offer of cost :math:`d` with
probability :math:`\gamma` and stays; whoever would have stayed anyway takes the offer. Contacting the *k* customers of
highest risk then brings

.. math:: P_k(\gamma) = \sum_{i \le k} \ell_i \left[\gamma (V_i - d) - c\right] - (1 - \ell_i)(d + c),

with :math:`\ell_i = 1` for those who left: a straight line in :math:`\gamma`. The best size for each :math:`\gamma` is
the upper envelope of these lines, and the mean of the envelope over :math:`\gamma \sim \mathrm{Beta}(\alpha, \beta)` is
a sum of incomplete beta functions, without quadrature. With the same value for everybody it is the measure of Verbraken
et al.; with values of their own, customers are weighed by what they bring.

References
----------
Verbraken, T., Verbeke, W. and Baesens, B. (2013). A novel profit maximizing metric for measuring classification
performance of customer churn prediction models. IEEE Transactions on Knowledge and Data Engineering 25(5), 961-973.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc


@dataclass(frozen=True)
class MaximumProfit:
    """Expected maximum profit of a ranking.

    Parameters
    ----------
    profit : float
        Money per customer of the base.
    share : float
        Share of the base that is contacted, mean over the acceptance.
    """

    profit: float
    share: float


def expected_maximum_profit(
    risk: np.ndarray,
    left: np.ndarray,
    value: np.ndarray | float,
    contact_cost: float,
    offer_cost: float,
    acceptance: tuple[float, float],
    weight: np.ndarray | None = None,
) -> MaximumProfit:
    """Profit of contacting customers by falling risk, with the best size for each acceptance, in the mean.

    Parameters
    ----------
    risk : array, shape (rows,)
        What the customers are ranked by; equal ones are contacted together.
    left : array, shape (rows,)
        1 for those who left, 0 for those who stayed, or the share of a row that left.
    value : array of shape (rows,) or float
        What a saved customer brings (money).
    contact_cost, offer_cost : float
        Money per contact, and per offer taken.
    acceptance : tuple of float
        Parameters of the beta distribution of the share of would-be leavers who accept.
    weight : array, shape (rows,), optional
        Customers per row; one by default.

    Returns
    -------
    MaximumProfit
        Never negative: contacting nobody is allowed.
    """
    weight = np.ones(len(risk)) if weight is None else weight
    levels, place = np.unique(-risk, return_inverse=True)
    slopes = weight * left * (value - offer_cost)
    fixed = -weight * (contact_cost + (1 - left) * offer_cost)
    parts = (slopes, fixed, weight)
    total = float(weight.sum())
    slope, level, size = (
        np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=part, minlength=len(levels)))]) / total
        for part in parts
    )
    best, knots = upper_envelope(slope, level)
    alpha, beta = acceptance
    chance = np.diff(betainc(alpha, beta, knots))
    mean = alpha / (alpha + beta) * np.diff(betainc(alpha + 1, beta, knots))
    return MaximumProfit(float(slope[best] @ mean + level[best] @ chance), float(size[best] @ chance))


def upper_envelope(slope: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines that are highest somewhere between 0 and 1.

    Parameters
    ----------
    slope, level : array, shape (lines,)
        Line *k* is ``slope[k] * x + level[k]``.

    Returns
    -------
    best : array of int, shape (pieces,)
        The highest line of each piece.
    knots : array, shape (pieces + 1,)
        Where the pieces begin and end, from 0 to 1.
    """
    stack: list[int] = []
    starts: list[float] = []
    for line in np.lexsort((level, slope)):
        start = -np.inf
        while stack:
            rise = slope[line] - slope[stack[-1]]
            start = (level[stack[-1]] - level[line]) / rise if rise > 0 else -np.inf
            if start > starts[-1]:
                break
            stack.pop()
            starts.pop()
            start = -np.inf
        stack.append(int(line))
        starts.append(start)
    ends = np.append(starts[1:], np.inf)
    seen = (ends > 0) & (np.array(starts) < 1)
    return np.array(stack)[seen], np.append(np.maximum(np.array(starts)[seen], 0.0), 1.0)
