"""Where the same money brings more: a plan, the probability that it beats today's, and what is lost if it does not.

A plan is a multiple of last year's spend for each channel, at the same total. What it brings is computed with every
draw of the posterior, so a plan is judged by the whole distribution of its gain over today's plan. The plan recommended
weighs the mean of that gain against the mean of its worst tenth (conditional value at risk: Rockafellar and Uryasev
2000, *Journal of Risk* 2), within limits per channel and within the spend that was ever observed. Below a probability
of 0.8 of beating today's plan it is not recommended: then the advice is to hold, and to learn first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.attribution.media_effects import (
    YEAR_WEEKS,
    MediaPosterior,
    observed_levels,
    respond_to_levels,
    spend_of,
)
from cvmlib.attribution.media_panel import Array
from cvmlib.errors import DataError

ENOUGH = 0.8
"""Probability of beating today's plan below which the advice is to hold."""
TAIL = 0.1
"""Share of the draws that count as the worst."""
CAUTION = 0.25
"""Weight of the worst draws against the mean."""
LIMIT = 0.3
"""How far a channel's spend may move unless said otherwise, as a share of last year's."""
_STEPS = (0.02, 0.005, 0.001)
_GRID = 33
_SURE = 0.99  # a model is never surer of itself than that


@dataclass(frozen=True)
class BudgetOptions:
    """What can be chosen, and what each choice brings: C channels, G levels, D draws.

    Parameters
    ----------
    channels : tuple of str
        Names.
    spend : array, shape (C,)
        Weekly spend of the last year, in money.
    low, high : array, shape (C,)
        Allowed levels, in multiples of last year's spend.
    observed_low, observed_high : array, shape (C,)
        Levels held over some weeks in the history.
    levels : array, shape (G,)
        Levels at which responses are known; between them they are interpolated.
    response : array, shape (D, C, G)
        Weekly outcome that each channel brings, in money.
    """

    channels: tuple[str, ...]
    spend: Array
    low: Array
    high: Array
    observed_low: Array
    observed_high: Array
    levels: Array
    response: Array

    def brings(self, channel: int, level: float) -> Array:
        """Weekly outcome of a channel at a level, shape (D,)."""
        place = float(np.interp(level, self.levels, np.arange(len(self.levels))))
        left = min(int(place), len(self.levels) - 2)
        part = place - left
        return (1 - part) * self.response[:, channel, left] + part * self.response[:, channel, left + 1]

    def value(self, plan: Array) -> Array:
        """Weekly outcome of a plan, shape (D,)."""
        return sum(self.brings(i, level) for i, level in enumerate(plan))

    def gain(self, plan: Array) -> Array:
        """Weekly outcome of a plan beyond today's, shape (D,)."""
        return self.value(plan) - self.value(np.ones(len(self.channels)))


@dataclass(frozen=True)
class Advice:
    """What to do with a unit's budget.

    Parameters
    ----------
    options : BudgetOptions
        What could be chosen.
    plan : array, shape (C,)
        The best plan found, in multiples of last year's spend.
    gain : array, shape (D,)
        Its weekly outcome beyond today's, by draw.
    hold : bool
        Whether the advice is to leave the budget as it is.
    reason : str
        Why, in one sentence.
    """

    options: BudgetOptions
    plan: Array
    gain: Array
    hold: bool
    reason: str

    @property
    def probability(self) -> float:
        """Probability that the plan beats today's."""
        return float(np.mean(self.gain > 0))

    @property
    def moved(self) -> float:
        """Share of the budget that changes its channel."""
        spend = self.options.spend
        return float(0.5 * np.abs((self.plan - 1.0) * spend).sum() / spend.sum())

    @property
    def downside(self) -> float:
        """Mean gain in the worst tenth of the draws, money a week."""
        return tail_mean(self.gain)


def read_options(
    posterior: MediaPosterior, unit: str, limits: Mapping[str, tuple[float, float]] | None = None, limit: float = LIMIT
) -> BudgetOptions:
    """Work out what can be chosen for a unit.

    Parameters
    ----------
    posterior : MediaPosterior
        Draws.
    unit : str
        The unit.
    limits : mapping of str to pair of float, optional
        Channel to its smallest and largest level (multiples of last year's spend); ``(1, 1)`` fixes it.
    limit : float
        Largest change of the other channels, as a share of last year's spend.

    Returns
    -------
    BudgetOptions
        Without channels that spent nothing in the last year. Where the allowed levels reach beyond those observed, they
        end there.

    Raises
    ------
    DataError
        When `limits` name a channel that the unit has not.
    """
    panel = posterior.design.panel
    if unknown := sorted(set(limits or {}) - set(panel.channels_of(unit))):
        raise DataError(
            f"{unit}: media_mix.limits name {', '.join(unknown)}; the channels of media are "
            f"{', '.join(panel.channels_of(unit))}. Name one of these, or leave the limit out."
        )
    channels = [c for c in panel.channels_of(unit) if spend_of(posterior, unit, c)[-YEAR_WEEKS:].sum() > 0]
    seen = np.array([observed_levels(posterior, unit, channel) for channel in channels])
    asked = np.array([(limits or {}).get(channel, (1 - limit, 1 + limit)) for channel in channels])
    low = np.minimum(np.maximum(asked[:, 0], seen[:, 0]), 1.0)
    high = np.maximum(np.minimum(asked[:, 1], seen[:, 1]), 1.0)
    levels = np.unique(np.concatenate([np.linspace(0.0, max(2.0, asked.max()), _GRID), [1.0]]))
    response = np.stack([respond_to_levels(posterior, unit, channel, levels) for channel in channels], axis=1)
    spend = np.array([spend_of(posterior, unit, channel)[-YEAR_WEEKS:].mean() for channel in channels])
    return BudgetOptions(tuple(channels), spend, low, high, seen[:, 0], seen[:, 1], levels, response)


def tail_mean(gain: Array, tail: float = TAIL) -> float:
    """Mean of the worst share of draws (conditional value at risk), in the unit of the gain."""
    count = max(int(np.ceil(tail * len(gain))), 1)
    return float(np.partition(gain, count - 1)[:count].mean())


def find_plan(options: BudgetOptions, caution: float = CAUTION) -> Array:
    """Find the plan of the best cautious gain by moving money from channel to channel while it helps.

    Parameters
    ----------
    options : BudgetOptions
        What can be chosen.
    caution : float
        Weight of the worst tenth of the draws; 0 maximises the mean, as optimisers of the mean do.

    Returns
    -------
    array, shape (C,)
        Levels; the total spend is today's.
    """
    today = options.value(np.ones(len(options.channels)))

    def worth(value: Array) -> float:
        gain = value - today
        return (1 - caution) * gain.mean() + (caution * tail_mean(gain) if caution else 0.0)

    plan, best = np.ones(len(options.channels)), 0.0
    budget = options.spend.sum()
    for step in _STEPS:
        while (move := _best_move(options, plan, step * budget, worth, best)) is not None:
            plan, best = move
    return plan


def _best_move(
    options: BudgetOptions, plan: Array, money: float, worth: Callable[[Array], float], best: float
) -> tuple[Array, float] | None:
    """Return the plan after the best move of an amount between two channels, and its worth; None if none helps."""
    parts = [options.brings(i, level) for i, level in enumerate(plan)]
    total, found = sum(parts), None
    change = money / options.spend
    for giver in np.flatnonzero(plan - change >= options.low - 1e-12):
        less = total - parts[giver] + options.brings(giver, plan[giver] - change[giver])
        for taker in np.flatnonzero(plan + change <= options.high + 1e-12):
            if taker == giver:
                continue
            value = worth(less - parts[taker] + options.brings(taker, plan[taker] + change[taker]))
            if value > best + 1e-9 * max(abs(best), 1.0):
                best, found = value, (giver, taker)
    if found is None:
        return None
    moved = plan.copy()
    moved[found[0]] -= change[found[0]]
    moved[found[1]] += change[found[1]]
    return moved, best


def advise(options: BudgetOptions, fit_passed: bool = True) -> Advice:
    """Recommend a plan, or to hold.

    Parameters
    ----------
    options : BudgetOptions
        What can be chosen.
    fit_passed : bool
        Whether the fit passed its diagnostics; without, the advice is to hold.
    """
    plan = find_plan(options)
    if np.allclose(plan, 1.0):
        eager = find_plan(options, caution=0.0)
        reason = "No move of money is worth its risk: what might be lost weighs as much as what might be gained."
        return Advice(options, eager, options.gain(eager), True, reason)
    gain = options.gain(plan)
    chance = float(np.mean(gain > 0))
    if not fit_passed:
        return Advice(options, plan, gain, True, "The fit did not pass its diagnostics, so nothing is recommended.")
    if chance < ENOUGH:
        reason = f"The best plan beats today's with a probability of {chance:.0%} only; {ENOUGH:.0%} is asked for."
        return Advice(options, plan, gain, True, reason)
    sure = f"{chance:.0%}" if chance <= _SURE else f"more than {_SURE:.0%}"
    return Advice(options, plan, gain, False, f"The plan beats today's with a probability of {sure}.")


def tabulate_plan(advice: Advice) -> pd.DataFrame:
    """Lay out a plan by channel.

    Returns
    -------
    pandas.DataFrame
        channel, now and plan (money a week), change (share), lowest and highest (money a week held over some weeks),
        observed (whether the plan lies between them).
    """
    options = advice.options
    return pd.DataFrame({
        "channel": options.channels,
        "now": options.spend,
        "plan": options.spend * advice.plan,
        "change": advice.plan - 1.0,
        "lowest": options.spend * options.observed_low,
        "highest": options.spend * options.observed_high,
        "observed": (advice.plan >= options.observed_low - 1e-9) & (advice.plan <= options.observed_high + 1e-9),
    }).sort_values("now", ascending=False, ignore_index=True)  # fmt: skip


def compare_plans(options: BudgetOptions, advice: Advice, interval: float = 0.9) -> pd.DataFrame:
    """Today's plan, the cautious one and that of the mean alone, side by side.

    Returns
    -------
    pandas.DataFrame
        plan, gain with _low and _high, worst (mean of the worst tenth), all in money a week; beats (probability), moved
        (share of the budget).
    """
    rows = []
    for name, plan in (("cautious", find_plan(options)), ("of the mean alone", find_plan(options, caution=0.0))):
        one = Advice(options, plan, options.gain(plan), advice.hold, "")
        low, high = np.quantile(one.gain, [(1 - interval) / 2, (1 + interval) / 2])
        rows.append((name, float(one.gain.mean()), float(low), float(high), one.downside, one.probability, one.moved))
    return pd.DataFrame(rows, columns=["plan", "gain", "gain_low", "gain_high", "worst", "beats", "moved"])
