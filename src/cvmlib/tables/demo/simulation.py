"""One unit of the demo company, chunk by chunk: draw customers, what they do, and the tables that record it."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from cvmlib.errors import ConfigError
from cvmlib.tables.demo.company import COMPANY, MobileUnit, ShopUnit, normalised, without_effects
from cvmlib.tables.demo.customers import People, draw_people, draw_referrers
from cvmlib.tables.demo.dirt import add_dirt
from cvmlib.tables.demo.frames import (
    customer_table,
    customer_truth,
    recorded_table,
    subscriber_truth,
    subscription_table,
)
from cvmlib.tables.demo.orders import Rows, record_baskets, record_orders
from cvmlib.tables.demo.products import Catalogue, draw_catalogue
from cvmlib.tables.demo.purchases import Purchases, count_repeats, draw_buyers, draw_purchases
from cvmlib.tables.demo.seasons import SECONDS, Calendar, add_months, add_shocks, build_calendar
from cvmlib.tables.demo.subscriptions import count_fees, draw_subscriptions
from cvmlib.tables.demo.truth import HORIZON_MONTHS, MONTH_COLUMNS, count_future

CHUNK = 20_000  # customers simulated at a time
DEFAULT_END = date(2026, 6, 30)
_CUSTOMERS, _PURCHASES, _RECORDS, _DIRT, _CATALOGUE, _SHOCKS = range(6)  # independent streams of random numbers
_NO_CHUNK = 2**31


class Chunk(NamedTuple):
    """Tables of one chunk; `behaviour` is the transactions or the subscriptions, `future` the rows of the horizon."""

    behaviour: pa.Table
    customers: pa.Table
    truth: pa.Table
    future: pa.Table | None
    months: np.ndarray


class UnitTables(NamedTuple):
    """A simulated unit in memory, as its files would be.

    `transactions` and `products` are None for a contractual unit, `subscriptions` for the others. `truth` has one row
    per customer, `months` one row per month after the end, `future` the transactions of the next 12 months (without
    faults), `parameters` the true parameters.
    """

    name: str
    transactions: pd.DataFrame | None
    subscriptions: pd.DataFrame | None
    customers: pd.DataFrame
    products: pd.DataFrame | None
    truth: pd.DataFrame
    months: pd.DataFrame
    future: pd.DataFrame | None
    parameters: dict[str, Any]


def simulate_unit(
    name: str,
    customers: int | None = None,
    seed: int = 1,
    end: date = DEFAULT_END,
    years: int = 3,
    *,
    seasonality: bool = True,
    covariates: bool = True,
    returns: bool = True,
    dirt: bool = True,
    shocks: float = 0.0,
    memory: float = 90.0,
) -> UnitTables:
    """Simulate one unit in memory.

    Parameters
    ----------
    name : {"fashion", "boutique", "grocery", "mobile"}
        The unit.
    customers : int, optional
        Number of customers; the unit's own number at scale 1 by default.
    seed, end, years
        As in `simulate`: with the same values and the number of customers of a scale, the tables are those of its
        files.
    seasonality, covariates, returns, dirt : bool
        Switch off the calendar, the effects of the covariates, the returns, the faults of the tables.
    shocks : float
        Standard deviation of a slow shock to the log purchase intensity of all customers, past and future, drawn anew
        for each seed; 0, as in the files, is none. It comes on top of the seasons, whose mean over a year is 1, so
        that the totals of a year move. New customers follow it as far as they follow the season.
    memory : float
        Days after which the autocorrelation of the shock has fallen to 1/e.

    Raises
    ------
    ConfigError
        When the unit is unknown or a number is out of range.
    """
    if name not in COMPANY:
        raise ConfigError(f"The demo company has no unit {name!r}; its units are {', '.join(COMPANY)}.")
    unit = COMPANY[name]
    size = unit.customers if customers is None else customers
    check_arguments(1.0, seed, years)
    if size < 1:
        raise ConfigError(f"A unit needs at least 1 customer; found customers = {size}.")
    if not (np.isfinite(shocks) and shocks >= 0 and memory > 0):
        raise ConfigError(
            f"Shocks need a standard deviation of 0 or more and a memory above 0; found {shocks}, {memory}."
        )
    unit = switched(unit, seasonality, covariates, returns, dirt)
    calendar = unit_calendar(unit, end, years)
    if shocks:
        calendar = add_shocks(calendar, shocks, memory, _stream(unit, seed, _NO_CHUNK, _SHOCKS))
    catalogue = unit_catalogue(unit, seed)
    chunks = list(simulate_chunks(unit, size, seed, calendar, catalogue))

    def frame(field: str) -> pd.DataFrame:
        return pa.concat_tables([getattr(chunk, field) for chunk in chunks]).to_pandas()

    contractual = isinstance(unit, MobileUnit)
    behaviour = frame("behaviour")
    return UnitTables(
        name=name,
        transactions=None if contractual else behaviour,
        subscriptions=behaviour if contractual else None,
        customers=frame("customers"),
        products=None if catalogue is None else product_table(catalogue).to_pandas(),
        truth=frame("truth"),
        months=month_table(unit, sum(chunk.months for chunk in chunks), calendar).to_pandas(),
        future=None if contractual else frame("future"),
        parameters=true_parameters(unit),
    )


def check_arguments(scale: float, seed: int, years: int) -> None:
    """Raise ConfigError for a scale that is not positive, fewer than one year, or a negative seed."""
    if not scale > 0:
        raise ConfigError(f"The demo company's scale must be above 0; found {scale}.")
    if years < 1 or years != int(years):
        raise ConfigError(f"The demo company's history must be 1 or more whole years; found years = {years}.")
    if seed < 0 or seed != int(seed):
        raise ConfigError(f"The demo company's seed must be a whole number from 0; found {seed}.")


def switched(
    unit: ShopUnit | MobileUnit, seasonality: bool, covariates: bool, returns: bool, dirt: bool
) -> ShopUnit | MobileUnit:
    """Switch off parts of the unit's behaviour."""
    changes: dict[str, Any] = {}
    if not seasonality:
        changes["season"] = None
    if not covariates:
        changes["covariates"] = without_effects(unit.covariates)
    if isinstance(unit, ShopUnit):
        if not returns:
            changes["returns"] = None
        if not dirt:
            changes["dirt"] = None
    return replace(unit, **changes)


def unit_calendar(unit: ShopUnit | MobileUnit, end: date, years: int) -> Calendar:
    """Build the calendar of the unit, from the first day of history to three years after its end."""
    return build_calendar(end, years, unit.season)


def unit_catalogue(unit: ShopUnit | MobileUnit, seed: int) -> Catalogue | None:
    """Draw the products of a unit that has them."""
    if not getattr(unit, "products", 0):
        return None
    return draw_catalogue(_stream(unit, seed, _NO_CHUNK, _CATALOGUE), unit.products, unit.prefix)


def simulate_chunks(
    unit: ShopUnit | MobileUnit, customers: int, seed: int, calendar: Calendar, catalogue: Catalogue | None
) -> Iterator[Chunk]:
    """Simulate the unit's customers, at most `CHUNK` at a time, each chunk from its own random streams."""
    orders = 0
    for number, first in enumerate(range(0, customers, CHUNK)):
        size = min(CHUNK, customers - first)
        streams = [_stream(unit, seed, number, purpose) for purpose in (_CUSTOMERS, _PURCHASES, _RECORDS, _DIRT)]
        ids = [f"{unit.prefix}{i:07d}" for i in range(first + 1, first + size + 1)]
        people = draw_people(streams[0], size, unit.acquisition, unit.covariates, calendar)
        if isinstance(unit, MobileUnit):
            yield _mobile_chunk(unit, people, ids, streams, calendar)
        else:
            chunk, orders = _shop_chunk(unit, people, ids, streams, calendar, catalogue, orders)
            yield chunk


def _stream(unit: ShopUnit | MobileUnit, seed: int, chunk: int, purpose: int) -> np.random.Generator:
    """Open the random numbers of one unit, chunk and purpose, independent of all others."""
    key = (list(COMPANY).index(unit.name), chunk, purpose)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _shop_chunk(
    unit: ShopUnit,
    people: People,
    ids: list[str],
    streams: list[np.random.Generator],
    calendar: Calendar,
    catalogue: Catalogue | None,
    orders: int,
) -> tuple[Chunk, int]:
    """Simulate a chunk of a non-contractual unit; count the orders recorded so far."""
    size = len(ids)
    buyers = draw_buyers(streams[1], people.effect, unit.buying, unit.spend)
    purchases = draw_purchases(streams[1], people.joined, buyers, unit.buying, unit.spend, calendar)
    rows = _record(unit, purchases, size, streams[2], calendar, catalogue)
    end_second = calendar.days * SECONDS
    history = rows.take(rows.second < end_second)
    horizon = (rows.second >= end_second) & (rows.second < calendar.months_ahead[HORIZON_MONTHS] * SECONDS)
    if unit.dirt is not None:
        sample = None if catalogue is None else len(catalogue.product) - 1
        history = add_dirt(streams[3], history, unit.dirt, end_second, sample)
    future = count_future(rows, size, calendar)
    alive = buyers.lifetime > count_repeats(purchases, size, calendar.days)
    referrer = draw_referrers(streams[0], people, unit.covariates, buyers.rate)
    behaviour, used = recorded_table(unit, history, ids, catalogue, calendar, orders)
    chunk = Chunk(
        behaviour=behaviour,
        customers=customer_table(unit.covariates, people, referrer, ids, calendar),
        truth=customer_truth(ids, buyers, alive, unit.spend.p / buyers.spend_rate, future),
        future=recorded_table(unit, rows.take(horizon), ids, catalogue, calendar, orders + used)[0],
        months=future.months,
    )
    return chunk, orders + used


def _record(
    unit: ShopUnit,
    purchases: Purchases,
    size: int,
    rng: np.random.Generator,
    calendar: Calendar,
    catalogue: Catalogue | None,
) -> Rows:
    """Record the rows of history and future, without faults, in order of time."""
    if catalogue is None:
        home = rng.integers(unit.stores, size=size)
        return record_baskets(rng, purchases, home, unit.stores, unit.split_share, calendar)
    favourite = rng.integers(catalogue.category_number[-1], size=size)
    return record_orders(rng, purchases, favourite, catalogue, unit.returns, unit.split_share, calendar)


def _mobile_chunk(
    unit: MobileUnit, people: People, ids: list[str], streams: list[np.random.Generator], calendar: Calendar
) -> Chunk:
    """Simulate a chunk of a contractual unit."""
    subscriptions = draw_subscriptions(streams[1], unit, people, calendar)
    fees = count_fees(subscriptions, calendar)
    referrer = draw_referrers(streams[0], people, unit.covariates, 1 / subscriptions.multiplier)
    plans = list(unit.covariates["plan"])
    return Chunk(
        behaviour=subscription_table(subscriptions, people, plans, ids, calendar),
        customers=customer_table(
            {k: v for k, v in unit.covariates.items() if k != "plan"}, people, referrer, ids, calendar
        ),
        truth=subscriber_truth(subscriptions, fees, ids, calendar),
        future=None,
        months=fees.by_month,
    )


def product_table(catalogue: Catalogue) -> pa.Table:
    """Build the unit's products file: product, category, name, price."""
    return pa.table(
        {
            "product": catalogue.product,
            "category": catalogue.category,
            "name": catalogue.name,
            "price": catalogue.cents / 100,
        }
    )


def month_table(unit: ShopUnit | MobileUnit, totals: np.ndarray, calendar: Calendar) -> pa.Table:
    """Build the true totals of each of the 36 months after the end: month number, its first day, the totals."""
    names = ("subscribers", "value") if isinstance(unit, MobileUnit) else MONTH_COLUMNS
    number = np.arange(1, len(totals) + 1)
    columns = {"month": number, "starts_on": add_months(calendar.first_future, number - 1)}
    counts = {names[0]: np.rint(totals[:, 0]).astype(np.int64)}
    return pa.table(columns | counts | {n: totals[:, i].round(2) for i, n in enumerate(names) if i > 0})


def true_parameters(unit: ShopUnit | MobileUnit) -> dict[str, Any]:
    """Collect the unit's true parameters, with the published symbols and the centred effects of the covariates."""
    parameters = asdict(unit) | {"effects": normalised(unit.covariates)}
    if isinstance(unit, ShopUnit):
        parameters["bg_nbd"] = unit.buying.symbols
        parameters["gamma_gamma"] = {"p": unit.spend.p, "q": unit.spend.q, "v": unit.spend.v}
    return parameters
