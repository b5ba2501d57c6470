"""Attribution by rules: how a conversion is divided over the touches of its journey, whatever the other journeys did.

==================  ===========================================================================================
first, last         All to the first, or the last, touch.
linear              The same to each touch.
position            A stated share to the first and to the last touch, the rest the same to those between; with one or
                    two touches in equal parts.
last_non_direct     All to the last touch of a channel that is not direct; to the last touch when all are direct.
time_decay          In proportion to 2 ** (-age / half-life), the age being the time from the touch to the conversion.
==================  ===========================================================================================

Rules state a convention. They need no journey that failed, and no amount of data makes them a causal effect.
"""

from collections.abc import Collection

import numpy as np
from scipy import sparse

from cvmlib.attribution.paths import Paths
from cvmlib.errors import UnfitModelError

RULES = ("first", "last", "linear", "position", "last_non_direct", "time_decay")
POSITION = 0.4
"""Share of the first and of the last touch under `position`."""
DIRECT = ("direct",)
"""Names of channels that stand for a visit without a campaign, in small letters."""


def divide(paths: Paths, rule: str, direct: Collection[str] = DIRECT, ends: float = POSITION) -> sparse.csr_array:
    """Divide one conversion of each path over the channels.

    Parameters
    ----------
    paths : Paths
        The journeys; `time_decay` needs their `recency`.
    rule : str
        One of `RULES`.
    direct : collection of str
        Channels that `last_non_direct` passes over; upper and lower case do not count.
    ends : float
        Share of the first and of the last touch under `position`, at most 0.5.

    Returns
    -------
    sparse array, shape (channels, paths)
        Columns add up to 1; times conversions, or value, it gives the credit of each channel.

    Raises
    ------
    UnfitModelError
        When the rule cannot be used on these journeys; says why.
    """
    weights = _weigh(paths, rule, {name.lower() for name in direct}, ends)
    return sparse.coo_array((weights, (paths.touches, paths.row)), shape=(len(paths.channels), len(paths))).tocsr()


def _weigh(paths: Paths, rule: str, direct: set[str], ends: float) -> np.ndarray:
    """Weight of each touch within its path."""
    length = paths.lengths[paths.row]
    place = np.arange(len(paths.touches)) - paths.offsets[paths.row]
    if rule == "first":
        return (place == 0).astype(float)
    if rule == "last":
        return (place == length - 1).astype(float)
    if rule == "linear":
        return 1.0 / length
    if rule == "position":
        return _by_position(place, length, ends)
    if rule == "last_non_direct":
        return _last_non_direct(paths, place, direct)
    if rule == "time_decay":
        return _by_recency(paths)
    raise ValueError(f"The rule {rule!r} is not one of {', '.join(RULES)}.")


def _by_position(place: np.ndarray, length: np.ndarray, ends: float) -> np.ndarray:
    if not 0 < ends <= 0.5:
        raise ValueError(f"The first and the last touch get a share above 0 and at most 0.5 each; found {ends}.")
    at_end = (place == 0) | (place == length - 1)
    return np.where(length <= 2, 1.0 / length, np.where(at_end, ends, (1 - 2 * ends) / np.maximum(length - 2, 1)))


def _last_non_direct(paths: Paths, place: np.ndarray, direct: set[str]) -> np.ndarray:
    is_direct = np.array([name.lower() in direct for name in paths.channels])
    if not is_direct.any():
        raise UnfitModelError(
            f"No channel stands for direct visits: the channels are {_some(paths.channels)}; looked for "
            f"{_some(sorted(direct))}. Name yours as direct in [units.NAME.journeys]; until then this rule is the last "
            "touch."
        )
    score = np.where(is_direct[paths.touches], -1, place)
    best = np.maximum.reduceat(score, paths.offsets[:-1])
    best = np.where(best < 0, paths.lengths - 1, best)
    return (place == best[paths.row]).astype(float)


def _by_recency(paths: Paths) -> np.ndarray:
    if paths.recency is None:
        raise UnfitModelError(
            "The journeys carry no times, so touches cannot be weighted by their age. Supply "
            "touchpoints and conversions "
            "with times instead of ready paths."
        )
    whole = np.add.reduceat(paths.recency, paths.offsets[:-1])[paths.row]
    return np.where(whole > 0, paths.recency / np.where(whole > 0, whole, 1.0), 1.0 / paths.lengths[paths.row])


def _some(names: Collection[str], most: int = 8) -> str:
    shown = list(names)
    return ", ".join(shown[:most]) + (" …" if len(shown) > most else "")
