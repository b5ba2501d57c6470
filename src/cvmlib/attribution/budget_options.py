"""What can be chosen for a budget, and what each choice brings by every draw of the posterior.

A choice is a multiple of last year's spend for each channel. Draws leave room for spend that follows demand unnoticed
(`cvmlib.attribution.budget_doubt`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cvmlib.attribution.budget_doubt import FOLLOWS, capturable, doubt_returns
from cvmlib.attribution.media_effects import YEAR_WEEKS, MediaPosterior, mean_return, spend_of
from cvmlib.attribution.media_levels import observed_levels, respond_to_levels
from cvmlib.attribution.media_panel import Array
from cvmlib.errors import DataError

LIMIT = 0.3
"""How far a channel's spend may move unless said otherwise, as a share of last year's."""
_GRID = 33


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
    undoubted : array, shape (C,)
        Weekly outcome that each brings at today's spend if none follows demand unnoticed, in money, on average.
    """

    channels: tuple[str, ...]
    spend: Array
    low: Array
    high: Array
    observed_low: Array
    observed_high: Array
    levels: Array
    response: Array
    undoubted: Array

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


def read_options(
    posterior: MediaPosterior,
    unit: str,
    limits: Mapping[str, tuple[float, float]] | None = None,
    tested: Collection[str] = (),
    follows: float = FOLLOWS,
) -> BudgetOptions:
    """Work out what can be chosen for a unit.

    Parameters
    ----------
    posterior : MediaPosterior
        Draws.
    unit : str
        The unit.
    limits : mapping of str to pair of float, optional
        Channel to its smallest and largest level (multiples of last year's spend); ``(1, 1)`` fixes it. The others may
        move by `LIMIT`.
    tested : collection of str
        Channels that a lift test of the unit calibrates: their return is not doubted.
    follows : float
        Scale of the percent by which spend may follow a percent of demand unnoticed, where no test tells and the model
        does not take it to, see `cvmlib.attribution.budget_doubt`.

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
    asked = np.array([(limits or {}).get(channel, (1 - LIMIT, 1 + LIMIT)) for channel in channels])
    low = np.minimum(np.maximum(asked[:, 0], seen[:, 0]), 1.0)
    high = np.maximum(np.minimum(asked[:, 1], seen[:, 1]), 1.0)
    levels = np.unique(np.concatenate([np.linspace(0.0, max(2.0, asked.max()), _GRID), [1.0]]))
    scales = capturable(posterior, unit, channels, tested, follows)
    response = _respond_doubted(posterior, unit, channels, levels, scales)
    undoubted = [respond_to_levels(posterior, unit, channel, np.ones(1)).mean() for channel in channels]
    spend = np.array([spend_of(posterior, unit, channel)[-YEAR_WEEKS:].mean() for channel in channels])
    return BudgetOptions(tuple(channels), spend, low, high, *seen.T, levels, response, np.array(undoubted))


def _respond_doubted(
    posterior: MediaPosterior, unit: str, channels: Sequence[str], levels: Array, scales: Array
) -> Array:
    """Responses to the levels, less the demand that channels may capture by these scales, shape (D, C, G)."""
    returns = np.stack([mean_return(posterior, unit, channel) for channel in channels], axis=1)
    doubted = doubt_returns(returns, scales)
    taken = replace(posterior, draws={name: draws[doubted.places] for name, draws in posterior.draws.items()})
    columns = [
        respond_to_levels(taken, unit, channel, levels, captured)
        for channel, captured in zip(channels, doubted.captured.T, strict=True)
    ]
    return np.stack(columns, axis=1)
