"""The media of the demo company: markets of three units, and the files that record them."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

from cvmlib.tables.demo.media import Channel, Market, Test, media_stream, simulate_market

WEEKS_A_YEAR = 52

MARKETS = (
    Market(
        "fashion",
        400_000.0,
        (
            Channel("tv", 0.050, 1.8, decay=0.6, half=2.0, flights=0.5),
            Channel("social", 0.040, 2.6, decay=0.3, half=2.5),
            Channel("video", 0.030, 1.2, decay=0.4, half=1.5),
            Channel("print", 0.025, 0.0),
            Channel("brand search", 0.020, 0.4, decay=0.1, half=2.0, follows=6.0),
        ),
        (Test("brand search", -40, 6), Test("social", -70, 6), Test("brand search", -90, 6)),
    ),
    Market(
        "boutique",
        60_000.0,
        (
            Channel("tv", 0.030, 1.3, decay=0.6, half=2.0, flights=0.4),
            Channel("social", 0.060, 2.2, decay=0.3, half=2.5),
            Channel("video", 0.020, 1.5, decay=0.4, half=1.5),
            Channel("print", 0.030, 0.0),
            Channel("brand search", 0.025, 0.3, decay=0.1, half=2.0, follows=6.0),
        ),
        (Test("brand search", -60, 6),),
        noise=0.05,
    ),
    Market(
        "mobile",
        900_000.0,
        (
            Channel("tv", 0.050, 1.5, decay=0.7, half=2.0, flights=0.6),
            Channel("radio", 0.020, 0.9, decay=0.4, half=2.0, flights=0.5),
            Channel("online display", 0.030, 1.0, decay=0.2, half=2.0, split=(-0.8, 1.8)),
            Channel("brand search", 0.020, 0.5, decay=0.1, half=2.0, follows=6.0),
        ),
        (Test("brand search", -50, 6), Test("brand search", -100, 6)),
        outlets={"shops": 0.55, "online": 0.45},
        season=0.05,
    ),
)


def media_files(seed: int, end: date, years: int) -> Iterator[tuple[str, pa.Table | dict[str, Any]]]:
    """Yield path and content of every media file: tables of each market, and the truth beside them.

    Parameters
    ----------
    seed : int
        Seed of the demo company; media have a stream of random numbers of their own.
    end : date
        Last day of observation.
    years : int
        Years of history; at least two are simulated, since a season needs them.
    """
    for market in MARKETS:
        weeks = WEEKS_A_YEAR * max(years, 2)
        made = simulate_market(market, end, weeks, media_stream(seed, market.name))
        yield f"{market.name}/media.parquet", _table(made.media)
        yield f"{market.name}/market_sales.parquet", _table(made.outcomes.rename(columns={"value": "sales"}))
        yield f"{market.name}/lift_tests.parquet", _table(made.tests.drop(columns="true_lift"))
        yield f"truth/{market.name}/media.parquet", _table(made.contributions)
        yield f"truth/{market.name}/lift_tests.parquet", _table(made.tests)
        yield f"truth/{market.name}/media.json", made.truth


def _table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
