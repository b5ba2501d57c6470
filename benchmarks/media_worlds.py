"""Companies whose media have known returns, drawn at random for the benchmarks of the media mix and the budget."""

from datetime import date

import numpy as np

from cvmlib.attribution.budget_options import BudgetOptions
from cvmlib.attribution.media_panel import UnitWeeks
from cvmlib.tables.demo.media import Channel, Market, Test, simulate_market

END = date(2026, 6, 30)
COMPANY = {
    "tv": (0.06, 1.4, 0.65, 0.6),
    "social": (0.04, 2.0, 0.3, 1.0),
    "video": (0.03, 1.0, 0.4, 0.8),
    "print": (0.03, 0.0, 0.3, 0.7),
    "display": (0.02, 0.8, 0.3, 1.0),
    "brand search": (0.02, 0.4, 0.1, 1.0),
}
"""Share of sales, return, carry-over and share of weeks on air of each channel; print has no effect, and the spend of
search for the brand follows demand."""


def draw_company(seed: int, units: int = 5, weeks: int = 156) -> tuple[dict[str, UnitWeeks], dict[str, dict]]:
    """Draw a company of several units whose returns scatter around those of `COMPANY`, with some lift tests.

    Returns
    -------
    weeks : dict of str to UnitWeeks
        Tables of each unit.
    truth : dict of str to dict
        True returns by unit and channel.
    """
    rng = np.random.default_rng([seed, 77])
    tables, truth = {}, {}
    half = {name: 2.0 * np.exp(0.4 * rng.standard_normal()) for name in COMPANY}
    for number in range(units):
        name = f"unit {number + 1}"
        channels = tuple(
            Channel(
                channel, share * np.exp(0.3 * rng.standard_normal()), level * np.exp(0.25 * rng.standard_normal()),
                decay, half[channel], flights, 6.0 if channel == "brand search" else 0.0,
            )
            for channel, (share, level, decay, flights) in COMPANY.items()
        )  # fmt: skip
        tests = (Test("brand search", -30, 6), Test("tv", -60, 6)) if number < 2 else ()
        market = Market(name, 1e5 * np.exp(rng.standard_normal()), channels, tests)
        made = simulate_market(market, END, weeks, rng)
        outcomes = made.outcomes.assign(region="", outlet="")
        tables[name] = UnitWeeks(name, "", made.media.assign(region=""), outcomes, made.tests)
        truth[name] = {channel: found["return"] for channel, found in made.truth["channels"].items()}
    return tables, truth


def draw_world(seed: int, weeks: int = 104) -> tuple[UnitWeeks, tuple[Channel, ...]]:
    """Draw one market with four channels of any return, one of them following demand unnoticed in odd worlds."""
    rng = np.random.default_rng([seed, 78])
    returns = np.exp(rng.normal(0.3, 0.6, 4)) * (rng.random(4) > 0.15)
    channels = tuple(
        Channel(
            f"channel {i + 1}", float(rng.uniform(0.015, 0.06)), float(returns[i]), float(rng.uniform(0.1, 0.7)),
            float(2.0 * np.exp(0.4 * rng.standard_normal())), float(rng.choice([0.5, 0.8, 1.0])),
            5.0 if i == 3 and seed % 2 else 0.0,
        )
        for i in range(4)
    )  # fmt: skip
    market = Market("market", 1e5, channels, noise=float(rng.uniform(0.02, 0.06)))
    made = simulate_market(market, END, weeks, rng)
    return (
        UnitWeeks("market", "", made.media.assign(region=""), made.outcomes.assign(region="", outlet=""), made.tests),
        channels,
    )


def true_options(options: BudgetOptions, weeks: UnitWeeks, channels: tuple[Channel, ...]) -> BudgetOptions:
    """Return the same choices with the true response to each."""
    by_name = {channel.name: channel for channel in channels}
    rows = []
    for name in options.channels:
        spend = weeks.media[weeks.media["channel"] == name].sort_values("week")["spend"].to_numpy()
        rows.append([_true_response(by_name[name], spend, level) for level in options.levels])
    changes = {name: getattr(options, name) for name in options.__dataclass_fields__}
    return BudgetOptions(**changes | {"response": np.array(rows)[None]})


def _true_response(channel: Channel, spend: np.ndarray, level: float) -> float:
    """Average weekly contribution over the last year if spend had been a multiple of what it was."""
    weights = channel.decay ** np.arange(26)
    before = np.full(26, spend[:26].mean())
    carried = np.convolve(np.concatenate([before, spend]), weights / weights.sum())[26 : 26 + len(spend)] / spend.mean()
    now = carried / (carried + channel.half)
    moved = level * carried / (level * carried + channel.half)
    return float(channel.true_return * spend.sum() / now.sum() * moved[-52:].mean())
