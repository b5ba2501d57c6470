"""What an absorbing chain brings in, with and without each channel: one sparse linear system per removal.

For every state the expected reward until absorption solves ``x = W (Q x + r)``, with Q the transitions between states,
r the reward of ending there, and W a diagonal of weights: 0 for the states that a removal closes, 1 for the others
(what led into the closed ones leads nowhere), or 1 / (1 - what led into them) where the flow finds other ways.
Small systems are solved directly, all removals in one call. Large ones are swept, all removals at once: a sweep is one
product of a sparse and a dense matrix, and the sweeps end when the residual, times the longest expected stay, bounds
the error by `TOLERANCE`; where they would take too long, sparse LU factors solve the systems one by one.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from cvmlib.attribution.chain import START, Chain

DENSE = 400
"""Largest number of states solved directly."""
TOLERANCE = 1e-13
"""Largest error of a swept solution, relative to the largest reward."""
_SWEEPS = 4000


def start_rewards(
    chain: Chain, rewards: np.ndarray, weights: np.ndarray, tolerance: float = TOLERANCE, dense: int = DENSE
) -> np.ndarray:
    """Expected rewards of a journey from the start, under each set of weights.

    Parameters
    ----------
    chain : Chain
        Its flows give the transition probabilities.
    rewards : array, shape (kinds, states)
        Expected reward of ending in each state, per visit.
    weights : array, shape (states, removals)
        The diagonal W of each removal.
    tolerance : float
        Largest relative error of a swept solution.
    dense : int
        Largest number of states solved directly.

    Returns
    -------
    array, shape (kinds, removals)
    """
    q = sparse.csr_array(
        (chain.flow / visits(chain)[chain.source], (chain.source, chain.target)), shape=(chain.states,) * 2
    )
    if chain.states <= dense:
        return solve_dense(q.toarray(), rewards, weights)
    found = sweep(q, rewards, weights, tolerance)
    return _solve_sparse(q, rewards, weights) if found is None else found


def visits(chain: Chain) -> np.ndarray:
    """Journeys that pass through each state, counted with every visit; at least a trifle, so that it divides."""
    through = np.bincount(chain.source, chain.flow, chain.states) + chain.converting + chain.failing
    return np.maximum(through, 1e-300)


def solve_dense(q: np.ndarray, rewards: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Solve directly; leading axes of `q` (…, states, states) and `rewards` (…, kinds, states) are draws.

    Returns
    -------
    array, shape (…, kinds, removals)
    """
    w = np.moveaxis(np.asarray(weights), -1, -2)[..., None]  # (…, removals, states, 1)
    system = np.eye(q.shape[-1]) - w * q[..., None, :, :]
    right = w * np.swapaxes(rewards, -1, -2)[..., None, :, :]
    found = np.linalg.solve(system, right)[..., START, :]
    return np.swapaxes(found, -1, -2)


def sweep(q: sparse.csr_array, rewards: np.ndarray, weights: np.ndarray, tolerance: float) -> np.ndarray | None:
    """Sweep until the error is below `tolerance`; None when that takes too long.

    The last columns of the solution are the expected stays, with a reward of 1 in every state: the error of any column
    is at most its residual times the longest stay under the same weights, which is itself bounded by its own residual.
    """
    kinds, removals = len(rewards), weights.shape[1]
    scale = np.maximum(rewards.max(axis=1), 1e-300)
    right = np.repeat((rewards / scale[:, None]).T, removals, axis=1) * np.tile(weights, kinds)
    right = np.concatenate([right, np.ones_like(weights)], axis=1)
    diagonal = np.tile(weights, kinds + 1)
    x = right.copy()
    for number in range(_SWEEPS):
        new = q @ x
        new *= diagonal
        new += right
        if number % 10 == 9 and _error(x, new, removals) < tolerance:
            return new[START, : kinds * removals].reshape(kinds, removals) * scale[:, None]
        x = new
    return None


def _error(x: np.ndarray, new: np.ndarray, removals: int) -> float:
    """Bound the error of a sweep by its residuals; infinite while the stays are not yet bounded."""
    residual, stay = np.abs(new - x).max(axis=0), new[:, -removals:].max(axis=0)
    slack = residual[-removals:]
    if slack.max() >= 0.5:
        return np.inf
    return float((residual[:-removals].reshape(-1, removals) * stay / (1 - slack)).max())


def _solve_sparse(q: sparse.csr_array, rewards: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Solve the systems one by one, each over the states that its removal leaves."""
    found = np.zeros((len(rewards), weights.shape[1]))
    for number, w in enumerate(weights.T):
        left = np.flatnonzero(w > 0)
        if left[0] != START:
            continue
        system = sparse.eye_array(len(left)) - sparse.diags_array(w[left]) @ q[left][:, left]
        found[:, number] = splu(system.tocsc()).solve((w[left] * rewards[:, left]).T)[0]
    return found
