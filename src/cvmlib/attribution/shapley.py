"""Shapley values of channels in each coalition: never negative, adding up to the total exactly, for any number.

Within a coalition S the game is the pooled model's probability to convert with each part of S, see
`cvmlib.attribution.coalitions`. Its Shapley value has the multilinear form of Owen (1972),

    phi_c = exp(-h0) (1 - exp(-h_c)) * integral over t from 0 to 1 of prod over the others j of (1 - (1 - exp(-h_j)) t),

whose integrand is a polynomial of degree |S| - 1, so that Gauss-Legendre quadrature with |S| / 2 points is exact: cost
grows with the square of the coalition, not with 2 ** |S|. The conversions of a coalition are divided in proportion to
the phi of its members, so they add up to what was observed.

`simplified` is the formula of Zhao, Mahboobi and Bagheri (2018): each coalition's conversions in equal parts. It needs
no model and no failed journey, and gives a channel that does nothing the same as its partners.
"""

import numpy as np

from cvmlib.attribution.coalitions import Coalitions, PooledModel

_ROWS = 20_000  # coalitions at a time


def divide_shapley(coalitions: Coalitions, model: PooledModel) -> np.ndarray:
    """Divide one conversion of each coalition over its members.

    Returns
    -------
    array, shape (coalitions, channels)
        Not negative; rows add up to 1.
    """
    parts = [
        _divide_some(coalitions.member[i : i + _ROWS], model.channel) for i in range(0, len(coalitions.member), _ROWS)
    ]
    return np.concatenate(parts)


def _divide_some(member: np.ndarray, hazard: np.ndarray) -> np.ndarray:
    nodes, weights = np.polynomial.legendre.leggauss(max(1, (int(member.sum(axis=1).max()) + 1) // 2))
    lift = -np.expm1(-hazard)
    phi = np.zeros(member.shape)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        stays = np.log1p(-lift * node)
        phi += weight * np.exp(member @ stays)[:, None] * (lift / np.exp(stays))
    phi *= member
    return phi / phi.sum(axis=1, keepdims=True)


def divide_simplified(coalitions: Coalitions) -> np.ndarray:
    """Divide one conversion of each coalition in equal parts over its members: shape (coalitions, channels)."""
    return coalitions.member / coalitions.member.sum(axis=1, keepdims=True)
