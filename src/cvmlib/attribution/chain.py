"""The absorbing Markov chain of any order: states and flows, counted on unique paths.

A state is the latest touches of a journey, as many as the order says, fewer at its beginning. It leads to the next
state, to a conversion or to nothing. What flows along each transition is a sum over journeys, so that a chain whose
journeys are weighted anew (a draw of the posterior) costs one product with a sparse matrix.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from cvmlib.attribution.paths import Paths
from cvmlib.errors import DataError

START = 0
"""Number of the state before the first touch."""


@dataclass(frozen=True)
class Chain:
    """States of a chain of some order and its flows.

    Parameters
    ----------
    order : int
        Touches that a state remembers.
    channels : tuple of str
        Names.
    inside : bool array, shape (states, channels)
        Whether a state remembers a channel.
    source, target : int array, shape (transitions,)
        States of each observed transition; state 0 is the start.
    flow : array, shape (transitions,)
        Journeys that took it.
    converting, failing : array, shape (states,)
        Journeys that ended in a conversion, or without one, from each state.
    value, value_sq : array, shape (states,)
        Sum of the values (money) of the conversions from each state, and of their squares.
    """

    order: int
    channels: tuple[str, ...]
    inside: np.ndarray
    source: np.ndarray
    target: np.ndarray
    flow: np.ndarray
    converting: np.ndarray
    failing: np.ndarray
    value: np.ndarray
    value_sq: np.ndarray

    @property
    def states(self) -> int:
        """Number of states, the start among them."""
        return len(self.inside)


@dataclass(frozen=True)
class Walk:
    """Which transitions each path takes.

    Parameters
    ----------
    steps : sparse array, shape (transitions, paths)
        How often a path takes a transition.
    last : int array, shape (paths,)
        State in which a path ends.
    """

    steps: sparse.csr_array
    last: np.ndarray


def context_codes(paths: Paths, order: int) -> np.ndarray:
    """Number the latest `order` touches up to and including each touch, in base (channels + 1); 0 is no touch.

    Returns
    -------
    int array, shape (touches,)
        The code before a touch is that of the touch before it, or 0 for the first of a path.

    Raises
    ------
    DataError
        When the order is below 1 or the numbers do not fit into 64 bits.
    """
    base = len(paths.channels) + 1
    if order < 1 or order != int(order):
        raise DataError(f"The order of a Markov chain must be 1, 2, 3 …; found {order}.")
    if base ** (order + 1) >= 2**63:
        most = int(63 * np.log(2) / np.log(base)) - 1
        raise DataError(
            f"A chain of order {order} over {base - 1} channels has too many possible states; use order {most} or less."
        )
    symbol = paths.touches.astype(np.int64) + 1
    place = np.arange(len(symbol)) - np.repeat(paths.offsets[:-1], paths.lengths)
    code = symbol.copy()
    for back in range(1, order):
        earlier = place >= back
        code[earlier] += symbol[np.flatnonzero(earlier) - back] * base**back
    return code


def shifted(paths: Paths, values: np.ndarray, first: int) -> np.ndarray:
    """Return the value at the touch before each touch; `first` for the first touch of a path."""
    before = np.empty_like(values)
    before[1:] = values[:-1]
    before[paths.offsets[:-1]] = first
    return before


def build_chain(paths: Paths, order: int) -> tuple[Chain, Walk]:
    """Count the chain of an order.

    Parameters
    ----------
    paths : Paths
        The journeys.
    order : int
        1 or more.

    Returns
    -------
    chain : Chain
        With the observed flows.
    walk : Walk
        To count it anew under other weights of the paths, see `reweight`.
    """
    base = len(paths.channels) + 1
    state, codes = pd.factorize(context_codes(paths, order), sort=True)
    state += 1
    before = shifted(paths, state, START)
    states = len(codes) + 1
    pair, pairs = pd.factorize(before.astype(np.int64) * states + state, sort=True)
    row = paths.row
    steps = sparse.coo_array((np.ones(len(row)), (pair, row)), shape=(len(pairs), len(paths))).tocsr()
    inside = np.zeros((states, base), dtype=bool)
    for back in range(order):
        inside[np.arange(1, states), (codes // base**back) % base] = True
    walk = Walk(steps, state[paths.offsets[1:] - 1])
    empty = np.zeros(0)
    chain = Chain(order, paths.channels, inside[:, 1:], pairs // states, pairs % states, *(empty,) * 5)
    return reweight(chain, walk, paths), walk


def reweight(chain: Chain, walk: Walk, paths: Paths) -> Chain:
    """Count the flows of a chain from the counts of its paths."""

    def ends(counts: np.ndarray) -> np.ndarray:
        return np.bincount(walk.last, counts, chain.states)

    return Chain(
        chain.order,
        chain.channels,
        chain.inside,
        chain.source,
        chain.target,
        walk.steps @ (paths.conversions + paths.nulls),
        ends(paths.conversions),
        ends(paths.nulls),
        ends(paths.value),
        ends(paths.value_sq),
    )
