"""Touchpoints and conversions of the fashion shop's app, with channels withheld at random and the truth beside them.

Orders in the app are kept in a system of their own and are no rows of ``transactions``. Every conversion has one cause:
a visitor's own intent, or one touch of one channel. Intent comes in episodes; what follows intent (retargeting, search
for the brand, coupon sites) is seen before conversions that would have come anyway, so it looks good and causes little
or nothing. Touches cause conversions one by one (a Poisson number each, some days later), so the conversions of a
channel are exactly those that would be lost without it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

WEEKS = 26
PROSPECTS = 1.5
"""Visitors who are no customers yet, for each customer of the shop."""
BASELINE = "no channel"
CHUNK = 20_000
_STREAM = 211  # of the random numbers: other purposes of the demo company have small numbers
_WARM_UP = 60.0  # days before the records begin, so that they begin in full swing
_SECONDS = 86_400


@dataclass(frozen=True)
class Channel:
    """One channel of the app's marketing and what it truly does.

    Parameters
    ----------
    name : str
        Name.
    ambient, at_customers : float
        Touches a week of any visitor, and further ones of those who are customers.
    in_episode : float
        Touches a day of a visitor with intent.
    captures : float
        Share of the conversions, whatever their cause, that pass through the channel just before.
    effect : float
        Conversions that one touch causes.
    delay : float
        Mean days from the touch to them.
    value : float
        Their mean value, as a multiple of the usual one.
    cost : float
        Money per touch.
    contents : tuple of str
        What is shown.
    """

    name: str
    ambient: float = 0.0
    at_customers: float = 0.0
    in_episode: float = 0.0
    captures: float = 0.0
    effect: float = 0.0
    delay: float = 4.0
    value: float = 1.0
    cost: float = 0.0
    contents: tuple[str, ...] = ("",)


CHANNELS = (
    Channel("video", 0.060, 0.0, 0.010, 0.0, 0.060, 7.0, 1.15, 0.35, ("brand story", "new season")),
    Channel("social", 0.075, 0.0, 0.025, 0.0, 0.036, 5.0, 0.90, 0.20, ("look book", "new season", "offer")),
    Channel("display", 0.080, 0.0, 0.050, 0.0, 0.0, 4.0, 1.0, 0.08, ("banner",)),
    Channel("generic search", 0.010, 0.0, 0.070, 0.0, 0.080, 2.0, 1.05, 0.70, ("category", "product")),
    Channel("brand search", 0.004, 0.0, 0.020, 0.45, 0.0, 2.0, 1.0, 0.15, ("brand",)),
    Channel("retargeting", 0.004, 0.0, 0.160, 0.0, 0.006, 3.0, 1.0, 0.10, ("product", "basket")),
    Channel("email", 0.0, 0.120, 0.010, 0.0, 0.040, 3.0, 1.10, 0.01, ("newsletter", "offer")),
    Channel("coupon sites", 0.0, 0.0, 0.004, 0.22, 0.0, 2.0, 1.0, 1.50, ("coupon",)),
    Channel("direct", 0.010, 0.010, 0.050, 0.35, 0.0, 2.0, 1.0, 0.0, ("",)),
)


@dataclass(frozen=True)
class Test:
    """A channel withheld from half of the visitors, drawn at random, for some whole weeks."""

    channel: str
    first_week: int
    weeks: int


TESTS = (
    Test("brand search", 2, 16),
    Test("retargeting", 4, 16),
    Test("video", 6, 16),
    Test("social", 8, 16),
    Test("display", 8, 16),
    Test("email", 3, 16),
    Test("coupon sites", 7, 16),
)
EPISODES = 0.022  # a week, of a prospect; customers have twice as many
EPISODE_DAYS = 12.0
EPISODE_CONVERSIONS = 0.42
VALUE = 62.0  # money, mean of a conversion


class JourneyTables(NamedTuple):
    """The app's tables: `touchpoints`, `conversions`, `holdouts`, and the `truth` by channel."""

    touchpoints: pa.Table
    conversions: pa.Table
    holdouts: pa.Table
    truth: pd.DataFrame


class _Log(NamedTuple):
    """Events of a chunk: `visitor` number, `day` since the records began, `channel` number."""

    visitor: np.ndarray
    day: np.ndarray
    channel: np.ndarray


def simulate_app(customers: int, seed: int, end: date, channels: tuple[Channel, ...] = CHANNELS) -> JourneyTables:
    """Simulate the app's journeys in memory; equal arguments give equal tables.

    Parameters
    ----------
    customers : int
        Customers of the shop, who are visitors of the app beside `PROSPECTS` times as many others.
    seed : int
        Seed.
    end : datetime.date
        Last day of the records, which cover `WEEKS` weeks.
    channels : tuple of Channel
        What the channels do.
    """
    chunks = list(simulate_app_chunks(customers, seed, end, channels))
    truth = sum(chunk.truth.set_index("channel") for chunk in chunks).reset_index()
    return JourneyTables(*(pa.concat_tables([chunk[i] for chunk in chunks]) for i in range(3)), truth)


def journey_files(customers: int, seed: int, end: date) -> Iterator[tuple[str, pa.Table]]:
    """Yield path and content of every file of the app's journeys."""
    tables = simulate_app(customers, seed, end)
    for name in ("touchpoints", "conversions", "holdouts"):
        yield f"fashion/{name}.parquet", getattr(tables, name)
    yield "truth/fashion/attribution.parquet", pa.Table.from_pandas(tables.truth, preserve_index=False)


def simulate_app_chunks(
    customers: int, seed: int, end: date, channels: tuple[Channel, ...] = CHANNELS
) -> Iterator[JourneyTables]:
    """Simulate the app's visitors, at most `CHUNK` at a time, each chunk from its own random numbers."""
    visitors = customers + round(PROSPECTS * customers)
    for number, first in enumerate(range(0, visitors, CHUNK)):
        sequence = np.random.SeedSequence(seed, spawn_key=(0, number, _STREAM))
        ids = np.arange(first, min(first + CHUNK, visitors))
        yield _simulate(np.random.Generator(np.random.PCG64(sequence)), ids, customers, end, channels)


def _simulate(
    rng: np.random.Generator, ids: np.ndarray, customers: int, end: date, channels: tuple[Channel, ...]
) -> JourneyTables:
    is_customer = ids < customers
    arms = rng.random((len(TESTS), len(ids))) < 0.5  # treated
    episode = _draw_episodes(rng, is_customer)
    touches = _withhold(rng, _draw_touches(rng, is_customer, episode, channels), arms, channels)
    caused = _draw_caused(rng, touches, channels)
    own = np.repeat(np.arange(len(episode[0])), rng.poisson(EPISODE_CONVERSIONS, len(episode[0])))
    day = episode[1][own] + rng.random(len(own)) * episode[2][own]
    conversions = _concat([caused, _Log(episode[0][own], day, np.full(len(own), -1))])
    captured = _withhold(rng, _draw_captures(rng, conversions, channels), arms, channels)
    days = 7.0 * WEEKS
    conversions, touches = _within(conversions, days), _within(_concat([touches, captured]), days)
    factor = np.array([channel.value for channel in channels] + [1.0])[conversions.channel]
    value = np.round(rng.gamma(3.0, VALUE / 3.0, len(factor)) * factor, 2)
    names = np.array([f"F{i + 1:07d}" if i < customers else f"P{i + 1 - customers:07d}" for i in ids])
    start = np.datetime64(end - timedelta(days=7 * WEEKS - 1))
    return JourneyTables(
        _touch_table(rng, touches, names, start, channels),
        pa.table(
            {
                "visitor": names[conversions.visitor],
                "converted_at": _moments(start, conversions.day),
                "order_value": value,
            }
        ),
        _holdout_table(arms, names, start),
        _true_effects(touches, conversions, value, channels),
    )


def _draw_episodes(rng: np.random.Generator, is_customer: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw episodes of intent: visitor, first day, length in days."""
    span = 7.0 * WEEKS + _WARM_UP
    eager = rng.gamma(0.8, 1 / 0.8, len(is_customer)) * np.where(is_customer, 2.0, 1.0)
    visitor = np.repeat(np.arange(len(eager)), rng.poisson(EPISODES * span / 7 * eager))
    return visitor, rng.random(len(visitor)) * span - _WARM_UP, rng.gamma(2.0, EPISODE_DAYS / 2, len(visitor))


def _draw_touches(
    rng: np.random.Generator, is_customer: np.ndarray, episode: tuple, channels: tuple[Channel, ...]
) -> _Log:
    """Draw the touches that do not follow a conversion: anywhere, and within episodes."""
    visitor, first, length = episode
    weeks = WEEKS + _WARM_UP / 7
    parts = []
    for number, channel in enumerate(channels):
        rate = weeks * (channel.ambient + channel.at_customers * is_customer)
        who = np.repeat(np.arange(len(is_customer)), rng.poisson(rate))
        parts.append(_Log(who, rng.random(len(who)) * 7 * weeks - _WARM_UP, np.full(len(who), number)))
        which = np.repeat(np.arange(len(visitor)), rng.poisson(channel.in_episode * length))
        day = first[which] + rng.random(len(which)) * length[which]
        parts.append(_Log(visitor[which], day, np.full(len(which), number)))
    return _concat(parts)


def _draw_caused(rng: np.random.Generator, touches: _Log, channels: tuple[Channel, ...]) -> _Log:
    """Draw the conversions that touches cause."""
    effect, delay = (np.array([getattr(channel, name) for channel in channels]) for name in ("effect", "delay"))
    cause = np.repeat(np.arange(len(touches.day)), rng.poisson(effect[touches.channel]))
    by = touches.channel[cause]
    return _Log(touches.visitor[cause], touches.day[cause] + rng.exponential(delay[by]), by)


def _draw_captures(rng: np.random.Generator, conversions: _Log, channels: tuple[Channel, ...]) -> _Log:
    """Draw the touches that conversions pass through, minutes before."""
    parts = []
    for number, channel in enumerate(channels):
        passes = np.flatnonzero(rng.random(len(conversions.day)) < channel.captures)
        minutes = rng.uniform(2, 50, len(passes))
        parts.append(
            _Log(conversions.visitor[passes], conversions.day[passes] - minutes / 1440, np.full(len(passes), number))
        )
    return _concat(parts)


def _withhold(rng: np.random.Generator, touches: _Log, arms: np.ndarray, channels: tuple[Channel, ...]) -> _Log:
    """Take away what the tests withhold; a search for the brand that finds no advertisement comes directly."""
    names = [channel.name for channel in channels]
    channel, kept = touches.channel.copy(), np.ones(len(touches.day), dtype=bool)
    for test, treated in zip(TESTS, arms, strict=True):
        inside = (touches.day >= 7 * test.first_week) & (touches.day < 7 * (test.first_week + test.weeks))
        gone = (touches.channel == names.index(test.channel)) & inside & ~treated[touches.visitor]
        if test.channel == "brand search":
            channel[gone] = names.index("direct")
        else:
            kept &= ~gone
    return _Log(touches.visitor[kept], touches.day[kept], channel[kept])


def _concat(parts: list[_Log]) -> _Log:
    return _Log(*(np.concatenate([part[i] for part in parts]) for i in range(3)))


def _within(log: _Log, days: float) -> _Log:
    """Keep what the records hold, in order of time."""
    kept = np.flatnonzero((log.day >= 0) & (log.day < days))
    kept = kept[np.argsort(log.day[kept], kind="stable")]
    return _Log(*(column[kept] for column in log))


def _moments(start: np.datetime64, day: np.ndarray) -> np.ndarray:
    return start.astype("datetime64[s]") + np.floor(day * _SECONDS).astype("timedelta64[s]")


def _touch_table(
    rng: np.random.Generator, touches: _Log, names: np.ndarray, start: np.datetime64, channels: tuple[Channel, ...]
) -> pa.Table:
    """Build the touchpoints as recorded: some fire twice, a few have no visitor or no channel."""
    size = len(touches.day)
    content = np.floor(rng.random(size) * np.array([len(c.contents) for c in channels])[touches.channel]).astype(int)
    texts = np.array([[*c.contents, "", ""][:3] for c in channels])[touches.channel, content]
    twice = np.flatnonzero(rng.random(size) < 0.02)
    row = np.concatenate([np.arange(size), twice])
    day = np.concatenate([touches.day, touches.day[twice] + rng.uniform(1, 120, len(twice)) / _SECONDS])
    order = np.argsort(day, kind="stable")
    row, day = row[order], day[order]
    nobody, unnamed = rng.random((2, len(row))) < 0.0015
    by = touches.channel[row]
    return pa.table(
        {
            "visitor": pa.array(names[touches.visitor[row]], mask=nobody),
            "touched_at": _moments(start, day),
            "channel": pa.array(np.array([c.name for c in channels])[by], mask=unnamed),
            "content": texts[row],
            "cost": np.array([c.cost for c in channels])[by],
        }
    )


def _holdout_table(arms: np.ndarray, names: np.ndarray, start: np.datetime64) -> pa.Table:
    """Build the arms of all tests: channel, visitor, arm, first and last day."""
    first = np.array([7 * test.first_week for test in TESTS])
    last = first + np.array([7 * test.weeks for test in TESTS]) - 1
    days = [
        np.repeat(start.astype("datetime64[D]") + day.astype("timedelta64[D]"), len(names)) for day in (first, last)
    ]
    return pa.table(
        {
            "channel": np.repeat([test.channel for test in TESTS], len(names)),
            "visitor": np.tile(names, len(TESTS)),
            "arm": np.where(arms, "treated", "control").ravel(),
            "first_day": days[0],
            "last_day": days[1],
        }
    )


def _true_effects(touches: _Log, conversions: _Log, value: np.ndarray, channels: tuple[Channel, ...]) -> pd.DataFrame:
    """Count touches, conversions and value by what caused them; the last row is what no channel caused."""
    size = len(channels) + 1
    by = np.where(conversions.channel < 0, size - 1, conversions.channel)
    return pd.DataFrame(
        {
            "channel": [*(channel.name for channel in channels), BASELINE],
            "touches": np.bincount(touches.channel, minlength=size),
            "conversions": np.bincount(by, minlength=size),
            "value": np.bincount(by, value, minlength=size),
        }
    )
