"""Small markets for tests of the media mix, simulated by the demo company's generator."""

from datetime import date

import pandas as pd

from cvmlib.attribution.media_panel import UnitWeeks
from cvmlib.tables.demo.media import Channel, Market, MarketTables, Test, media_stream, simulate_market

END = date(2026, 6, 30)
CHANNELS = (
    Channel("tv", 0.06, 1.5, decay=0.6, flights=0.5),
    Channel("print", 0.04, 0.0),
    Channel("brand search", 0.03, 0.4, decay=0.1, follows=6.0),
)
TESTS = (Test("brand search", -40, 4), Test("tv", -60, 4))


def simulate(name: str = "shop", seed: int = 1, weeks: int = 104, **changes) -> MarketTables:
    settings = {"level": 1e5, "channels": CHANNELS, "tests": TESTS} | changes
    return simulate_market(Market(name, **settings), END, weeks, media_stream(seed, name))


def as_weeks(name: str, tables: MarketTables, pool: str = "") -> UnitWeeks:
    media = tables.media if "region" in tables.media else tables.media.assign(region="")
    outcomes = tables.outcomes.assign(**{c: "" for c in ("region", "outlet") if c not in tables.outcomes})
    return UnitWeeks(name, pool, media, outcomes, pd.DataFrame(tables.tests), 0.4, name)


def company(seed: int = 1, names: tuple[str, ...] = ("shop", "store"), **changes) -> dict[str, UnitWeeks]:
    return {name: as_weeks(name, simulate(name, seed, **changes)) for name in names}
