"""Journeys as coalitions: which channels took part, whatever their order, and how often such journeys convert.

The pooled model of conversion (all coalitions inform each channel, none is taken at its own raw rate):

1. A journey with the channels S converts with probability ``p(S) = 1 - exp(-h0 - sum of h_c over S)``: the channels act
   as independent chances (a noisy-or), each of which can only add.
2. All ``h`` are at or above 0, with a gamma prior of shape 2 whose mean is learnt from all channels together.

The log posterior is concave in ``h`` (log(1 - exp(-x)) and log x are), so its mode is unique. Under this model the
coalition that never occurred has a probability too, which is what a Shapley value needs, and what raw rates cannot
give.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from cvmlib.attribution.paths import Paths
from cvmlib.errors import UnfitModelError

_SHAPE = 2.0  # of the gamma prior: keeps every channel off zero, and hardly moves one that is often seen
_POOLING_STEPS = 4


@dataclass(frozen=True)
class Coalitions:
    """Coalitions with their counts.

    Parameters
    ----------
    channels : tuple of str
        Names.
    member : bool array, shape (coalitions, channels)
        Who took part.
    of_path : int array, shape (paths,)
        Coalition of each path.
    conversions, nulls, value : array, shape (coalitions,)
        Journeys that converted, that did not, and value of the conversions (money).
    """

    channels: tuple[str, ...]
    member: np.ndarray
    of_path: np.ndarray
    conversions: np.ndarray
    nulls: np.ndarray
    value: np.ndarray


def count_coalitions(paths: Paths) -> Coalitions:
    """Count journeys by the set of channels in them."""
    there = np.zeros((len(paths), len(paths.channels)), dtype=bool)
    there[paths.row, paths.touches] = True
    packed = np.packbits(there, axis=1)
    keys = packed.view([("", packed.dtype)] * packed.shape[1]).ravel()
    _, first, of_path = np.unique(keys, return_index=True, return_inverse=True)
    empty = Coalitions(paths.channels, there[first], of_path, *(np.zeros(0),) * 3)
    return recount(empty, paths)


def recount(coalitions: Coalitions, paths: Paths) -> Coalitions:
    """Count the same coalitions under other weights of the paths."""
    size = len(coalitions.member)
    counts = {
        name: np.bincount(coalitions.of_path, getattr(paths, name), size) for name in ("conversions", "nulls", "value")
    }
    return replace(coalitions, **counts)


def require_identified(coalitions: Coalitions) -> None:
    """Refuse data from which the part of a channel in a coalition cannot be known.

    Raises
    ------
    UnfitModelError
        One channel only; no journey that failed, or none that converted; channels whose effects no two coalitions tell
        apart, as when every journey has one channel.
    """
    c = coalitions
    if len(c.channels) == 1:
        raise UnfitModelError(
            f"All journeys use one channel ({c.channels[0]}), so there is nobody to share with: it gets everything, by "
            "definition and not by evidence."
        )
    if c.conversions.sum() <= 0:
        raise UnfitModelError(f"None of {int(c.nulls.sum()):,} journeys converted; there are no conversions to share.")
    if c.nulls.sum() <= 0:
        raise UnfitModelError(
            f"All {int(c.conversions.sum()):,} journeys converted: without journeys that did not, no "
            "coalition converts "
            "better than another. Supply the journeys without a conversion too."
        )
    if (c.member.sum(axis=1) == 1).all():
        raise UnfitModelError(
            f"Every one of {int((c.conversions + c.nulls).sum()):,} journeys uses a single channel, "
            "so no coalition was "
            "ever seen and each channel's part in one is unknown. The rules give the counts as they are."
        )
    _require_rank(c)


def _require_rank(c: Coalitions) -> None:
    """Refuse channels whose presence is a sum of the presence of others, in every coalition seen."""
    design = np.concatenate([np.ones((len(c.member), 1)), c.member], axis=1)
    weight = np.sqrt(c.conversions + c.nulls)
    _, size, directions = np.linalg.svd(np.linalg.qr(design * weight[:, None], mode="r"))
    flat = directions[size < 1e-9 * size[0]] if len(size) == design.shape[1] else directions[len(size) - 1 :]
    if len(flat):
        mixed = (np.abs(flat[:, 1:]) > 1e-6).any(axis=0)
        names = ", ".join(name for name, is_mixed in zip(c.channels, mixed, strict=True) if is_mixed)
        raise UnfitModelError(
            f"The journeys do not tell these channels apart: {names}. They occur together, or in "
            "place of each other, in "
            "every journey, so that no comparison separates them. Merge them into one channel, or supply more journeys."
        )


@dataclass(frozen=True)
class PooledModel:
    """The fitted model: base hazard `base`, hazards `channel` of shape (channels,), and the prior's mean `scale`."""

    base: float
    channel: np.ndarray
    scale: float


def fit_coalitions(coalitions: Coalitions, start: PooledModel | None = None) -> PooledModel:
    """Find the mode of the pooled model.

    Parameters
    ----------
    coalitions : Coalitions
        See `require_identified` first.
    start : PooledModel, optional
        Where to begin; its pooling is kept then.
    """
    c = coalitions
    used = c.conversions + c.nulls > 0
    design = np.concatenate([np.ones((used.sum(), 1)), c.member[used]], axis=1)
    yes, no = c.conversions[used], c.nulls[used]
    overall = -np.log1p(-yes.sum() / (yes.sum() + no.sum()))
    if start is not None:
        h = _maximise(design, yes, no, np.concatenate([[start.base], start.channel]), start.scale)
        return PooledModel(float(h[0]), h[1:], start.scale)
    scale = overall / design[:, 1:].sum(axis=1).mean()
    h = np.full(design.shape[1], scale)
    for _ in range(_POOLING_STEPS):
        h = _maximise(design, yes, no, h, scale)
        scale = float(h[1:].mean())
    return PooledModel(float(h[0]), h[1:], scale)


def _maximise(design: np.ndarray, yes: np.ndarray, no: np.ndarray, h: np.ndarray, scale: float) -> np.ndarray:
    """Newton's method in log h with step halving: the mode of the posterior of h itself."""
    theta = np.log(np.maximum(h, 1e-12))

    def objective(theta: np.ndarray) -> float:
        h = np.exp(theta)
        x = design @ h
        return float(-(yes @ np.log(-np.expm1(-x)) - no @ x + (_SHAPE - 1) * theta.sum() - _SHAPE / scale * h.sum()))

    def derivatives(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        h = np.exp(theta)
        x = design @ h
        odds = 1 / np.expm1(x)
        slope = design.T @ (yes * odds - no) + (_SHAPE - 1) / h - _SHAPE / scale
        bend = (design * (yes * odds * (1 + odds))[:, None]).T @ design + np.diag((_SHAPE - 1) / h**2)
        return -slope * h, bend * np.outer(h, h) - np.diag(slope * h)

    result = optimize.minimize(
        objective, theta, jac=lambda t: derivatives(t)[0], hess=lambda t: derivatives(t)[1], method="trust-exact",
        options={"gtol": 1e-6 * max(1.0, float(yes.sum())) ** 0.5},
    )  # fmt: skip
    return np.exp(result.x)
