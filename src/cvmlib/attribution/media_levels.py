"""What more or less spend would bring, and which spend was ever observed.

A response is told as far as spend was observed; beyond, it is the form of the saturation that speaks and not the data.
"""

import numpy as np
import pandas as pd

from cvmlib.attribution.media_effects import YEAR_WEEKS, MediaPosterior, spend_of, summarise
from cvmlib.attribution.media_panel import Array
from cvmlib.attribution.media_transforms import adstock_weights, carry_over, saturate

LEVEL_WEEKS = 4
"""Weeks over which spend is averaged to say which levels were observed: about as many as an effect is spread over."""


def observed_levels(posterior: MediaPosterior, unit: str, channel: str) -> tuple[float, float]:
    """Lowest and highest spend held over `LEVEL_WEEKS`, in multiples of the average of the last year."""
    spend = spend_of(posterior, unit, channel)
    now = spend[-YEAR_WEEKS:].mean()
    held = np.convolve(spend, np.ones(LEVEL_WEEKS) / LEVEL_WEEKS, mode="valid")
    return (float(held.min() / now), float(held.max() / now)) if now > 0 else (0.0, 0.0)


def respond_to_levels(
    posterior: MediaPosterior, unit: str, channel: str, levels: Array, captured: Array | float = 0.0
) -> Array:
    """Weekly contribution of a channel over the last year at multiples of its spend, shape (draws, levels).

    What a channel only captures, of shape (draws,) in reference returns, is no contribution.
    """
    total = np.zeros((posterior.count, len(levels)))
    for pair in posterior.design.panel.pairs_of(unit, channel):
        returns = posterior.draws["ret"][:, pair] - captured
        total += returns[:, None] * _reference_responses(posterior, pair, levels)
    return total


def _reference_responses(posterior: MediaPosterior, pair: int, levels: Array) -> Array:
    """What the last year's spend of a pair brings a week at the reference return, at multiples of it."""
    design, form = posterior.design, posterior.form.saturation
    found = design.panel.pairs[pair]
    weeks = len(design.panel.weeks[found.series])
    mine = posterior.parameters(pair)
    weights = adstock_weights(posterior.form.adstock, mine, design.lagged.shape[2])
    carried = carry_over(design.lagged[pair, :weeks][None], weights)
    unit = saturate(form, mine, carried).mean(axis=1) / (
        design.reference[pair] * design.panel.series[found.series].scale
    )
    late = carried[:, -YEAR_WEEKS:]
    return np.stack([saturate(form, mine, level * late).mean(axis=1) / unit for level in levels], axis=1)


def tabulate_curves(
    posterior: MediaPosterior, unit: str, interval: float = 0.9, levels: Array | None = None
) -> pd.DataFrame:
    """Response of each channel to its weekly spend, and whether such spend was ever observed.

    Returns
    -------
    pandas.DataFrame
        channel, level (multiple of last year's spend), spend (a week), response with _low and _high (a week), observed.
    """
    levels = np.linspace(0.0, 2.0, 21) if levels is None else levels
    rows = []
    for channel in posterior.design.panel.channels_of(unit):
        low, high = observed_levels(posterior, unit, channel)
        now = spend_of(posterior, unit, channel)[-YEAR_WEEKS:].mean()
        found = respond_to_levels(posterior, unit, channel, levels)
        for level, draws in zip(levels, found.T, strict=True):
            numbers = summarise(draws, interval)
            rows.append({
                "channel": channel, "level": float(level), "spend": float(level * now), "response": numbers["mean"],
                "response_low": numbers["low"], "response_high": numbers["high"],
                "observed": bool(low - 1e-9 <= level <= high + 1e-9),
            })  # fmt: skip
    return pd.DataFrame(rows)
