"""Weekly media spend, outcomes and lift tests of a market whose true returns are known.

A market sells through one or more series (a region, an outlet such as store and online). Its baseline is a level times
trend, season, holidays, price, promotion, a category index that is observed, and a demand that is not. Media add what
their adstocked and saturated spend brings. A channel that captures demand spends after the unobserved demand, so that
its spend and the outcome move together without the one causing the other.
"""

import zlib
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]

BURN_IN = 26  # weeks of spend before the first that is recorded
_LAGS = 26


@dataclass(frozen=True)
class Channel:
    """One channel of a market and what it truly does.

    Parameters
    ----------
    name : str
        Name.
    share : float
        Its spend as a share of the market's outcome.
    true_return : float
        Outcome per unit of money spent, on average over the observed weeks, all series together.
    decay : float
        Share of the effect that is left after a week (geometric), 0 to below 1.
    half : float
        Weekly spend, in multiples of the average one, at which half of the largest effect is reached.
    flights : float
        Share of the weeks in which it spends at all, in flights of some weeks; 1 is always.
    follows : float
        Elasticity of its spend to the unobserved demand of the week.
    split : tuple of float
        Shares of the effect by outlet, adding up to 1; empty is by the outlets' sales. A negative share takes sales
        from that outlet.
    """

    name: str
    share: float
    true_return: float
    decay: float = 0.4
    half: float = 2.0
    flights: float = 1.0
    follows: float = 0.0
    split: tuple[float, ...] = ()


@dataclass(frozen=True)
class Test:
    """A lift test: the channel was switched off in a share of the market from a week on, for some weeks.

    Parameters
    ----------
    channel : str
        The channel.
    start, weeks : int
        First week (counted from the first recorded one; negative from the last) and length.
    share : float
        Share of the market tested.
    error : float
        Standard error of the measured lift, as a share of the true lift of a channel that returns 1.
    """

    channel: str
    start: int
    weeks: int
    share: float = 0.25
    error: float = 0.2


@dataclass(frozen=True)
class Market:
    """A unit's market.

    Parameters
    ----------
    name : str
        Unit.
    level : float
        Average weekly outcome, in money.
    channels : tuple of Channel
        The media.
    tests : tuple of Test
        Lift tests.
    regions, outlets : dict of str to float
        Shares of the outcome; empty is one market.
    noise, demand : float
        Standard deviations, relative to the level, of the weekly noise and of the unobserved demand.
    season, trend, promotion, elasticity, category : float
        Amplitude of the season; growth over the whole history; effect of a promoted week, of the log price and of the
        category index, all on the log of the baseline.
    """

    name: str
    level: float
    channels: tuple[Channel, ...]
    tests: tuple[Test, ...] = ()
    regions: dict[str, float] = field(default_factory=dict)
    outlets: dict[str, float] = field(default_factory=dict)
    noise: float = 0.03
    demand: float = 0.03
    season: float = 0.10
    trend: float = 0.10
    promotion: float = 0.08
    elasticity: float = -1.0
    category: float = 0.03


class MarketTables(NamedTuple):
    """Tables of a market as its files would be, and the truth beside them.

    `media` has week, channel, spend (and region); `outcomes` week, value, price, promotion, category_index (and region,
    outlet); `tests` the lift tests; `contributions` week, channel (and region, outlet), spend, contribution; `truth`
    the true parameters and returns.
    """

    media: pd.DataFrame
    outcomes: pd.DataFrame
    tests: pd.DataFrame
    contributions: pd.DataFrame
    truth: dict[str, Any]


def media_stream(seed: int, name: str) -> np.random.Generator:
    """Return the stream of random numbers of a market's media, apart from every other stream of the demo company."""
    return np.random.default_rng([seed, zlib.crc32(b"media"), zlib.crc32(name.encode())])


def simulate_market(market: Market, end: date, weeks: int, rng: np.random.Generator) -> MarketTables:
    """Simulate the weekly tables of a market.

    Parameters
    ----------
    market : Market
        What is true.
    end : date
        Last day of observation; the last week recorded ends on it or before.
    weeks : int
        Recorded weeks.
    rng : numpy Generator
        Source of randomness.
    """
    mondays = _mondays(end, weeks)
    demand = _autoregression(rng, weeks + BURN_IN, 0.8) * market.demand
    controls = _draw_controls(rng, weeks)
    log_baseline = demand[BURN_IN:] + _seasonal(market, mondays) + _controlled(market, controls)
    spends = {c.name: _draw_spend(rng, c, market.level, demand, mondays) for c in market.channels}
    media, outcomes, effects, effect_of = [], [], [], {}
    for region, share in (market.regions or {"": 1.0}).items():
        shift = np.exp(0.1 * rng.standard_normal((len(market.channels), 1)) * bool(market.regions))
        level = market.level * share
        for i, channel in enumerate(market.channels):
            spend = spends[channel.name] * share * shift[i]
            if market.regions:
                spend = spend * np.exp(0.3 * rng.standard_normal(len(spend)))
            contribution = true_contribution(channel, spend)
            effect_of[channel.name, region] = (spend, contribution)
            media.append(_rows(mondays, channel=channel.name, region=region, spend=spend[BURN_IN:].round(2)))
        outlets = market.outlets or {"": 1.0}
        for j, (outlet, part) in enumerate(outlets.items()):
            added = np.zeros(weeks)
            for channel in market.channels:
                spend, contribution = effect_of[channel.name, region]
                mine = contribution * (channel.split[j] if channel.split else part)
                added = added + mine
                effects.append(
                    _rows(mondays, channel=channel.name, region=region, outlet=outlet, spend=spend[BURN_IN:],
                          contribution=mine)
                )  # fmt: skip
            paid = sum(c.share * c.true_return * (c.split[j] / part if c.split else 1.0) for c in market.channels)
            wobble = 0.01 * _autoregression(rng, weeks, 0.5)
            base = level * part * max(1.0 - paid, 0.3) * np.exp(log_baseline - log_baseline.mean() + wobble)
            value = base + added + level * part * market.noise * rng.standard_normal(weeks)
            outcomes.append(_rows(mondays, region=region, outlet=outlet, value=value.round(2), **controls))
    return MarketTables(
        media=_stack(media),
        outcomes=_stack(outcomes),
        tests=_measure_lifts(rng, market, effect_of, mondays),
        contributions=_stack(effects),
        truth=_truth(market, effect_of),
    )


def true_contribution(channel: Channel, spend: Array) -> Array:
    """Compute what a spend brings in each recorded week, scaled so that the return over these weeks is the true one."""
    response = _respond(channel, spend, spend[BURN_IN:].mean())
    total = response.sum()
    return response * (channel.true_return * spend[BURN_IN:].sum() / total if total > 0 else 0.0)


def _respond(channel: Channel, spend: Array, average: float) -> Array:
    weights = channel.decay ** np.arange(_LAGS)
    carried = np.convolve(spend, weights / weights.sum())[BURN_IN : len(spend)] / average
    return carried / (carried + channel.half)


def _mondays(end: date, weeks: int) -> pd.DatetimeIndex:
    last = end - timedelta(days=end.weekday() + (7 if end.weekday() < 6 else 0))
    return pd.date_range(end=pd.Timestamp(last), periods=weeks, freq="7D")


def _autoregression(rng: np.random.Generator, length: int, persistence: float) -> Array:
    shocks = rng.standard_normal(length) * np.sqrt(1 - persistence**2)
    path = np.zeros(length)
    path[0] = rng.standard_normal()
    for t in range(1, length):
        path[t] = persistence * path[t - 1] + shocks[t]
    return path


def _draw_controls(rng: np.random.Generator, weeks: int) -> dict[str, Array]:
    price = 50.0 * np.exp(0.02 * _autoregression(rng, weeks, 0.9))
    promotion = np.where(rng.random(weeks) < 0.12, rng.choice([0.43, 0.71, 1.0], weeks), 0.0)
    index = 100.0 + 10.0 * _autoregression(rng, weeks, 0.9)
    return {"price": price.round(2), "promotion": promotion, "category_index": index.round(1)}


def _seasonal(market: Market, mondays: pd.DatetimeIndex) -> Array:
    year = 2 * np.pi * mondays.day_of_year.to_numpy() / 365.25
    middle = mondays + pd.Timedelta(days=3)
    christmas = ((middle.month == 12) & (middle.day >= 18) & (middle.day <= 27)).astype(float)
    progress = np.linspace(-0.5, 0.5, len(mondays))
    wave = np.cos(year) + 0.4 * np.sin(2 * year)
    return market.season * wave + market.trend * progress + 0.15 * np.asarray(christmas)


def _controlled(market: Market, controls: dict[str, Array]) -> Array:
    return (
        market.elasticity * np.log(controls["price"] / 50.0)
        + market.promotion * controls["promotion"]
        + market.category * (controls["category_index"] - 100.0) / 10.0
    )


def _draw_spend(
    rng: np.random.Generator, channel: Channel, level: float, demand: Array, mondays: pd.DatetimeIndex
) -> Array:
    """Draw weekly spend over the burn-in and the recorded weeks, in money, with the average that the share says."""
    length = len(demand)
    planned = np.exp(0.35 * _autoregression(rng, length, 0.5) + 0.25 * rng.standard_normal(length))
    if channel.flights < 1.0:
        state = _autoregression(rng, length, 0.75)
        planned = planned * (state > np.quantile(state, 1.0 - channel.flights))
    year = 2 * np.pi * np.concatenate([np.zeros(BURN_IN), mondays.day_of_year.to_numpy() / 365.25])
    spend = planned * np.exp(0.15 * np.cos(year))
    if channel.follows:
        spend = np.exp(channel.follows * demand + 0.1 * rng.standard_normal(length))
    return spend * channel.share * level / spend[BURN_IN:].mean()


def _measure_lifts(
    rng: np.random.Generator, market: Market, effect_of: dict[tuple[str, str], tuple[Array, Array]],
    mondays: pd.DatetimeIndex,
) -> pd.DataFrame:  # fmt: skip
    """Measure each test of a channel on the air: the true lift of the tested share with noise, as the total."""
    channels = {c.name: c for c in market.channels}
    rows = []
    for test in market.tests:
        start = test.start % len(mondays)
        window = slice(start, start + test.weeks)
        lift = withheld = 0.0
        for (name, _), (spend, contribution) in effect_of.items():
            if name != test.channel:
                continue
            off = spend.copy()
            off[BURN_IN + window.start : BURN_IN + window.stop] = 0.0
            average = spend[BURN_IN:].mean()
            full = _respond(channels[name], spend, average)
            dark = _respond(channels[name], off, average)
            factor = contribution.sum() / full.sum()
            lift += test.share * factor * (full - dark)[window].sum()
            withheld += test.share * spend[BURN_IN:][window].sum()
        if not withheld > 0:  # off the air in these weeks: there is nothing to test
            continue
        error = test.error * withheld
        rows.append({
            "channel": test.channel, "start": mondays[start],
            "end": mondays[start + test.weeks - 1] + pd.Timedelta(days=6),
            "spend": round(withheld, 2), "lift": round(lift + error * rng.standard_normal(), 2),
            "lift_error": round(error, 2), "basis": "total", "market_share": test.share, "true_lift": round(lift, 2),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _truth(market: Market, effect_of: dict[tuple[str, str], tuple[Array, Array]]) -> dict[str, Any]:
    returns: dict[str, Any] = {}
    for channel in market.channels:
        mine = [pair for (name, _), pair in effect_of.items() if name == channel.name]
        spent = sum(spend[BURN_IN:].sum() for spend, _ in mine)
        brought = sum(contribution.sum() for _, contribution in mine)
        outlets = market.outlets or {"": 1.0}
        split = channel.split or tuple(outlets.values())
        returns[channel.name] = {
            "return": brought / spent,
            "spend": spent,
            "contribution": brought,
            "decay": channel.decay,
            "half": channel.half,
            "captures_demand": bool(channel.follows),
            "by_outlet": dict(zip(outlets, (brought / spent * part for part in split), strict=True)),
        }
    return {"unit": market.name, "channels": returns}


def _rows(mondays: pd.DatetimeIndex, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"week": mondays} | columns)


def _stack(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Put parts below one another; a region or outlet that is the whole market is no column."""
    table = pd.concat(parts, ignore_index=True)
    whole = [name for name in ("region", "outlet") if name in table and (table[name] == "").all()]
    return table.drop(columns=whole)
