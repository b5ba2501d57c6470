"""Where the same money brings more: a plan, the probability that it beats today's, and what is lost if it does not.

A plan is a multiple of last year's spend for each channel, at the same total. What it brings is computed with every
draw of the posterior, so a plan is judged by the whole distribution of its gain over today's plan. Draws leave room for
spend that follows demand unnoticed (`cvmlib.attribution.budget_doubt`). Within limits per channel and within the spend
that was ever observed, the plan of the best gain is recommended among those that beat today's with a probability of 0.8
at least (a chance constraint: Charnes and Cooper 1959, *Management Science* 6). A gain is worth its mean, a little of
which is given for a better mean of the worst tenth (conditional value at risk: Rockafellar and Uryasev 2000, *Journal
of Risk* 2). If no plan is sure enough, the advice is to hold, and to learn first.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtr

from cvmlib.attribution.budget_options import BudgetOptions
from cvmlib.attribution.media_panel import Array

ENOUGH = 0.8
"""Probability of beating today's plan below which the advice is to hold."""
TAIL = 0.1
"""Share of the draws that count as the worst."""
CAUTION = 0.1
"""Weight of the worst draws against the mean."""
_STEPS = (0.02, 0.005, 0.001)  # shares of the budget
_SMOOTH = 0.1  # standard deviations of the gain
_SURE = 0.99  # a model is never surer of itself than that


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
        return _chance(self.gain)

    @property
    def moved(self) -> float:
        """Share of the budget that changes its channel."""
        spend = self.options.spend
        return float(0.5 * np.abs((self.plan - 1.0) * spend).sum() / spend.sum())

    @property
    def downside(self) -> float:
        """Mean gain in the worst tenth of the draws, money a week."""
        return tail_mean(self.gain)


def tail_mean(gain: Array, tail: float = TAIL) -> float:
    """Mean of the worst share of draws (conditional value at risk), in the unit of the gain."""
    count = max(int(np.ceil(tail * len(gain))), 1)
    return float(np.partition(gain, count - 1)[:count].mean())


def find_plan(options: BudgetOptions, caution: float) -> Array:
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
    return _climb(options, np.ones(len(options.channels)), lambda gain: _worth(gain, caution))


def find_sure_plan(options: BudgetOptions, start: Array) -> Array:
    """Find the plan of the best gain among those that are sure enough, `ENOUGH`, to beat today's.

    Parameters
    ----------
    options : BudgetOptions
        What can be chosen.
    start : array, shape (C,)
        A plan that is not sure enough.

    Returns
    -------
    array, shape (C,)
        Levels; those of the surest plan if even that is not sure enough.
    """
    surest = _climb(options, start, _smooth_chance)
    if _chance(options.gain(surest)) < ENOUGH:
        return surest
    return _climb(options, surest, lambda gain: _worth(gain, CAUTION) if _chance(gain) >= ENOUGH else -np.inf)


def _worth(gain: Array, caution: float) -> float:
    return (1 - caution) * float(gain.mean()) + (caution * tail_mean(gain) if caution else 0.0)


def _chance(gain: Array) -> float:
    return float(np.mean(gain > 0))


def _smooth_chance(gain: Array) -> float:
    """Probability of a gain without the steps of single draws, so that small moves tell which way it rises."""
    spread = float(gain.std())
    return float(ndtr(gain / (_SMOOTH * spread)).mean()) if spread > 0 else _chance(gain)


def _climb(options: BudgetOptions, plan: Array, worth: Callable[[Array], float]) -> Array:
    """Move money between channels, less and less, as long as what a plan's gain over today's is worth rises."""
    today = options.value(np.ones(len(options.channels)))
    best = worth(options.value(plan) - today)
    for step in _STEPS:
        money = step * options.spend.sum()
        while (move := _best_move(options, plan, money, lambda value: worth(value - today), best)) is not None:
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
    best = _judge(options, find_plan(options, CAUTION))
    if np.allclose(best.plan, 1.0):
        return replace(best, reason="No move of money within the limits is worth its risk.")
    if not fit_passed:
        return replace(best, reason="The fit did not pass its diagnostics, so nothing is recommended.")
    if best.probability < ENOUGH:
        best = _judge(options, find_sure_plan(options, best.plan))
    if best.probability < ENOUGH:
        chance = f"{best.probability:.0%}"
        reason = f"The surest plan beats today's with a probability of {chance} only; {ENOUGH:.0%} is asked for."
        return replace(best, reason=reason)
    sure = f"{best.probability:.0%}" if best.probability <= _SURE else f"more than {_SURE:.0%}"
    return replace(best, hold=False, reason=f"The plan beats today's with a probability of {sure}.")


def _judge(options: BudgetOptions, plan: Array) -> Advice:
    return Advice(options, plan, options.gain(plan), True, "")


def tabulate_plan(advice: Advice) -> pd.DataFrame:
    """Lay out a plan by channel.

    Returns
    -------
    pandas.DataFrame
        channel, now and plan (money a week), change (share), return (of last year's spend, by the model), counted (the
        return that the plan counts on, which leaves room for spend that follows demand unnoticed), lowest and highest
        (money a week held over some weeks), observed (whether the plan lies between them).
    """
    options = advice.options
    return pd.DataFrame({
        "channel": options.channels,
        "now": options.spend,
        "plan": options.spend * advice.plan,
        "change": advice.plan - 1.0,
        "return": options.undoubted / options.spend,
        "counted": [options.brings(i, 1.0).mean() / spend for i, spend in enumerate(options.spend)],
        "lowest": options.spend * options.observed_low,
        "highest": options.spend * options.observed_high,
        "observed": (advice.plan >= options.observed_low - 1e-9) & (advice.plan <= options.observed_high + 1e-9),
    }).sort_values("now", ascending=False, ignore_index=True)  # fmt: skip


def compare_plans(options: BudgetOptions, advice: Advice, interval: float = 0.9) -> pd.DataFrame:
    """The plan of the advice, that of the mean alone and the most cautious one, side by side.

    Returns
    -------
    pandas.DataFrame
        name, gain with _low and _high, worst (mean of the worst tenth), all in money a week; beats (probability), moved
        (share of the budget).
    """
    rows = []
    plans = {
        "as advised": advice.plan,
        "of the mean alone": find_plan(options, 0.0),
        "most cautious": find_plan(options, 1.0),
    }
    for name, plan in plans.items():
        one = Advice(options, plan, options.gain(plan), advice.hold, "")
        low, high = np.quantile(one.gain, [(1 - interval) / 2, (1 + interval) / 2])
        rows.append((name, float(one.gain.mean()), float(low), float(high), one.downside, one.probability, one.moved))
    return pd.DataFrame(rows, columns=["name", "gain", "gain_low", "gain_high", "worst", "beats", "moved"])
