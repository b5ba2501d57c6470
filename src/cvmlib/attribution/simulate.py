"""Simulator of journeys that follow a Markov chain: the oracle of the chain's tests and the load of its benchmarks."""

import numpy as np

from cvmlib.attribution.chain import Chain
from cvmlib.attribution.paths import Paths, merge


def draw_transitions(channels: int, rng: np.random.Generator, stop: float = 0.28, convert: float = 0.08) -> np.ndarray:
    """Draw where the touches of a channel lead, given the channel of the touch before.

    Parameters
    ----------
    channels : int
        Number of channels.
    rng : numpy.random.Generator
        Random numbers.
    stop : float
        Mean probability that a journey ends after a touch.
    convert : float
        Mean probability that it then ends in a conversion.

    Returns
    -------
    array, shape (channels + 1, channels, channels + 2)
        By the channel before (the last: none) and the channel of the touch: probabilities of the next channel, of a
        conversion and of no more.
    """
    shape = (channels + 1, channels)
    ends = np.clip(stop * rng.gamma(8.0, 1 / 8, shape), 0.02, 0.9)
    converts = np.clip(convert * rng.gamma(2.0, 1 / 2, (1, channels)) * rng.gamma(8.0, 1 / 8, shape), 0.001, 0.9)
    popular = rng.gamma(1.5, size=channels)
    moves = rng.gamma(0.7 * popular / popular.mean(), size=(*shape, channels)) + 1e-9
    moves *= ((1 - ends) / moves.sum(axis=-1))[..., None]
    return np.concatenate([moves, (ends * converts)[..., None], (ends * (1 - converts))[..., None]], axis=-1)


def simulate_journeys(
    number: int, transitions: np.ndarray, rng: np.random.Generator, longest: int = 60, value: float = 50.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate journeys one by one.

    Parameters
    ----------
    number : int
        Journeys.
    transitions : array, shape (channels + 1, channels, channels + 2)
        From `draw_transitions`.
    rng : numpy.random.Generator
        Random numbers.
    longest : int
        Touches after which a journey ends without a conversion.
    value : float
        Mean value of a conversion (money), gamma distributed.

    Returns
    -------
    touches : int array, shape (journeys, longest)
        Channel of each touch, -1 after the last.
    converted : bool array, shape (journeys,)
    values : array, shape (journeys,)
        Money; 0 without a conversion.
    """
    channels = transitions.shape[1]
    upto = np.cumsum(transitions, axis=-1)
    touches = np.full((number, longest), -1, dtype=np.int16)
    converted = np.zeros(number, dtype=bool)
    active, before = np.arange(number), np.full(number, channels)
    now = rng.integers(channels, size=number)
    for step in range(longest):
        touches[active, step] = now
        chosen = (rng.random((len(active), 1)) > upto[before, now]).sum(axis=1)
        converted[active] = chosen == channels
        goes_on = chosen < channels
        before, now, active = now[goes_on], chosen[goes_on], active[goes_on]
        if not len(active):
            break
    return touches, converted, np.where(converted, rng.gamma(4.0, value / 4.0, number), 0.0)


def count_journeys(touches: np.ndarray, converted: np.ndarray, values: np.ndarray, names: list[str]) -> Paths:
    """Count simulated journeys as the engine would."""
    there = touches >= 0
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    yes = converted.astype(float)
    flat = touches[there].astype(np.int32)
    return merge(Paths(tuple(names), flat, offsets, yes, 1 - yes, values, values**2))


def channel_names(number: int) -> list[str]:
    """Name channels ch00, ch01 and so on."""
    return [f"ch{i:02d}" for i in range(number)]


def true_chain(transitions: np.ndarray) -> Chain:
    """Build the chain that simulated journeys follow, of order 2, with probabilities as its flows.

    Parameters
    ----------
    transitions : array, shape (channels + 1, channels, channels + 2)
        From `draw_transitions`.
    """
    channels = transitions.shape[1]
    before, now = (axis.ravel() for axis in np.indices(transitions.shape[:2]))
    inside = np.zeros((1 + len(now), channels + 1), dtype=bool)
    inside[np.arange(1, len(now) + 1), before] = True
    inside[np.arange(1, len(now) + 1), now] = True
    source = np.concatenate([np.zeros(channels, dtype=np.int64), np.repeat(np.arange(len(now)) + 1, channels)])
    opening = 1 + channels * channels + np.arange(channels)  # before: none
    following = 1 + np.repeat(now, channels) * channels + np.tile(np.arange(channels), len(now))
    flow = np.concatenate([np.full(channels, 1 / channels), transitions[..., :channels].ravel()])
    converting, failing = (np.concatenate([[0.0], transitions[..., channels + i].ravel()]) for i in (0, 1))
    target = np.concatenate([opening, following])
    names = tuple(channel_names(channels))
    return Chain(2, names, inside[:, :channels], source, target, flow, converting, failing, converting, converting)
