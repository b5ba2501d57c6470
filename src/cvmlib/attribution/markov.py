"""Attribution by removal from a Markov chain of any order (Anderl et al. 2016), exact and without simulation.

Assumptions: (1) what a customer does next depends on the latest touches only, as many as the order says; (2) what a
channel is worth is what would be lost without it, by a stated rule; (3) what all journeys brought is shared out in
proportion to that. A removal says how journeys that used a channel end in the data, not what they would have done
without it: none of these shares is a causal effect.

Removal rules and where they come from (``share`` c of conversions; ``p`` probability to convert from the start):

============  =====================================================================================================
to_null       What led into a state with the channel leads to nothing. ChannelAttribution (which simulates it), MAM,
              do-attribution ``redirect_to_null``, mta-audit ``redirect_to_null``; Anderl et al. (2016), section 4.
reconnect     The states with the channel are deleted; what led into them goes the other ways, in proportion.
              mta-audit ``reconnect``.
fail          Journeys with the channel fail; the chain is fitted anew. do-attribution ``fail``.
fail_refit    The same, but journeys that nothing is left of are dropped. do-attribution ``fail_refit``.
detour        The channel is cut out of the journeys, which end as they did; nothing left: dropped; the chain is fitted
              anew. do-attribution ``detour``. Effects may have either sign.
============  =====================================================================================================

A chain fitted to whole journeys converts with exactly the share of them that converted, whatever its order, because
what flows into each state flows out of it. So the rules that fit anew need counts only; `to_null` and `reconnect`
need a linear system, see `cvmlib.attribution.absorption`.
"""

from dataclasses import dataclass

import numpy as np

from cvmlib.attribution.absorption import DENSE, TOLERANCE, start_rewards, visits
from cvmlib.attribution.chain import Chain, build_chain
from cvmlib.attribution.paths import Paths
from cvmlib.errors import UnfitModelError

RULES = ("to_null", "reconnect", "fail", "fail_refit", "detour")
SOLVED = ("to_null", "reconnect")


@dataclass(frozen=True)
class Removal:
    """What a rule says of each channel.

    Parameters
    ----------
    rule : str
        One of `RULES`.
    order : int
        Order of the chain.
    channels : tuple of str
        Names.
    effect, value_effect : array, shape (channels,)
        Share of the conversions, and of their value, lost without the channel; negative where more would come.
    conversions, value : array, shape (channels,)
        All conversions and all their value (money), shared out in proportion to the effects; NaN where `reason` says
        why that cannot be done.
    reason : str
        Empty when the effects can be made shares.
    """

    rule: str
    order: int
    channels: tuple[str, ...]
    effect: np.ndarray
    value_effect: np.ndarray
    conversions: np.ndarray
    value: np.ndarray
    reason: str = ""


def attribute_markov(paths: Paths, order: int = 1, rule: str = "to_null", fitted: Chain | None = None) -> Removal:
    """Share conversions and value out by removal effects.

    Parameters
    ----------
    paths : Paths
        The journeys.
    order : int
        Order of the chain.
    rule : str
        One of `RULES`.
    fitted : Chain, optional
        The chain of `paths`, when it has been built already.

    Returns
    -------
    Removal

    Raises
    ------
    UnfitModelError
        When nothing converted, so that there is nothing to share out.
    DataError
        When the order is impossible.
    """
    if rule not in RULES:
        raise ValueError(f"The removal rule {rule!r} is not one of {', '.join(RULES)}.")
    total, money = float(paths.conversions.sum()), float(paths.value.sum())
    if total <= 0:
        raise UnfitModelError(
            f"None of {int(paths.nulls.sum()):,} journeys converted, so there are no conversions to "
            "attribute. Check the "
            "conversions table and its customer ids."
        )
    chain = fitted or build_chain(paths, order)[0]
    if rule in SOLVED:
        effects = solved_effects(chain, rule)
    else:
        effects = np.array([_refitted(paths, order, rule, ends) for ends in (paths.conversions, paths.value)])
    sign = -1.0 if rule == "detour" else 1.0
    shared = [share_out(sign * effect, whole) for effect, whole in zip(effects, (total, money), strict=True)]
    reason = next((why for _, why in shared if why), "")
    return Removal(rule, chain.order, paths.channels, *effects, *(part for part, _ in shared), reason)


def solved_effects(chain: Chain, rule: str, tolerance: float = TOLERANCE, dense: int = DENSE) -> np.ndarray:
    """Share of conversions and of value that a removal costs, from the linear system.

    Returns
    -------
    array, shape (2, channels)
        Of conversions, and of value.
    """
    rewards = np.stack([chain.converting, chain.value]) / visits(chain)
    weights = np.concatenate([removal_weights(chain, rule), np.ones((chain.states, 1))], axis=1)
    found = start_rewards(chain, rewards, weights, tolerance, dense)
    return 1 - found[:, :-1] / np.where(found[:, -1:] > 0, found[:, -1:], 1.0)


def removal_weights(chain: Chain, rule: str) -> np.ndarray:
    """Diagonal of each channel's removal, see `cvmlib.attribution.absorption`: shape (states, channels)."""
    open_states = ~chain.inside
    if rule == "to_null":
        return open_states.astype(float)
    lost = np.zeros(chain.inside.shape)
    share = chain.flow / visits(chain)[chain.source]
    for channel in range(len(chain.channels)):
        into = chain.inside[chain.target, channel]
        lost[:, channel] = np.bincount(chain.source[into], share[into], chain.states)
    left = np.where(1 - lost > 1e-12, 1 - lost, np.inf)  # no other way: to nothing
    return open_states / left


def share_out(effects: np.ndarray, total: float) -> tuple[np.ndarray, str]:
    """Divide a total in proportion to effects; NaN and the reason where they are no shares."""
    whole, largest = effects.sum(axis=-1), np.abs(effects).max(axis=-1)
    if total == 0:
        return np.zeros_like(effects), ""
    if (effects < -1e-12 * largest).any():
        return np.full_like(effects, np.nan), "effects of both signs are no shares of a total"
    if not largest > 0:
        return np.full_like(effects, np.nan), "no removal changes anything"
    return np.clip(effects, 0.0, None) / whole * total, ""


def _refitted(paths: Paths, order: int, rule: str, ends: np.ndarray) -> np.ndarray:
    """Effects of the rules that fit anew: shares of journeys, see the module's text."""
    journeys = paths.conversions + paths.nulls
    with_channel = np.zeros((len(paths), len(paths.channels)), dtype=bool)
    with_channel[paths.row, paths.touches] = True
    base = ends.sum() / journeys.sum()
    if base == 0:
        return np.zeros(len(paths.channels))
    survives = ~with_channel if rule != "detour" else np.ones_like(with_channel)
    kept = np.ones_like(with_channel)
    if rule != "fail":
        kept = ~_emptied(paths, 1 if rule == "detour" else order)
    number = journeys @ kept
    rate = (ends @ (survives & kept)) / np.where(number > 0, number, 1.0)
    if rule == "detour":
        return np.where(number > 0, rate / base - 1, -1.0)
    return np.where(number > 0, 1 - rate / base, 1.0)


def _emptied(paths: Paths, order: int) -> np.ndarray:
    """Whether a path has no state (window of `order` touches) without a channel: bool, shape (paths, channels)."""
    found = np.ones((len(paths), len(paths.channels)), dtype=bool)
    row = paths.row
    place = np.arange(len(row)) - paths.offsets[row]
    whole = place >= np.minimum(order, paths.lengths[row]) - 1
    for channel in range(len(paths.channels)):
        is_there = np.concatenate([[0], np.cumsum(paths.touches == channel)])
        end = np.arange(1, len(row) + 1)
        seen = is_there[end] - is_there[np.maximum(end - order, paths.offsets[row])]
        found[row[whole & (seen == 0)], channel] = False
    return found
