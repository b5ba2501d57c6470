"""The study of all parts of value: every unit's customers scored, credited, typed and tiered, and what reports read."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.clv.live import load_live
from cvmlib.decisions import cash, value_tables
from cvmlib.decisions.add_on import find_add_on, fit_lines
from cvmlib.decisions.categories import find_next
from cvmlib.decisions.influence_ahead import draw_ahead
from cvmlib.decisions.payback import check_costs, sum_first_months
from cvmlib.decisions.prepare import UnitTables, load_unit
from cvmlib.decisions.shop_rows import KEYS as SHOP_KEYS
from cvmlib.decisions.shop_rows import Scored, score_shop
from cvmlib.decisions.subscriber_rows import KEYS as SUBSCRIBER_KEYS
from cvmlib.decisions.subscriber_rows import score_subscribers
from cvmlib.decisions.value_parts import Influence, Sampler, join_parts, measure_influence, sum_parts
from cvmlib.decisions.value_results import UnitParts, save_parts
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio

_MEASURES = {"noncontractual": ["p_alive", "expected_purchases", "value", "value_low", "value_high"],
             "contractual": ["p_active", "value", "value_low", "value_high"]}  # fmt: skip


@dataclass(frozen=True)
class Study:
    """One unit's results, and its customers with all parts."""

    result: UnitParts
    customers: ir.Table


def study_parts(portfolio: Portfolio, units: Iterable[str] | None = None) -> dict[str, Study]:
    """Study the parts of value of several units; of all that have a log of their customers, when none are named.

    Units whose customers have not been valued, and cannot be, have historic value and what else is past.
    """
    found = {}
    for name in portfolio.units if units is None else units:
        tables = load_unit(portfolio, name)
        if tables is not None:
            found[name] = study_unit(portfolio, tables)
    return found


def save_studies(portfolio: Portfolio, studies: dict[str, Study]) -> list[Path]:
    """Save the results of every unit."""
    return [path for one in studies.values() for path in save_parts(portfolio, one.result, one.customers)]


def study_unit(portfolio: Portfolio, tables: UnitTables) -> Study:
    """Study the parts of value of one unit."""
    unit, end = tables.unit, tables.end
    per_year = 0.0 if tables.contractual else unit.costs.per_customer_year
    past = cash.sum_customers(tables.cash, per_year)
    past = ibis.memtable(past.order_by("customer_id").execute())
    scored = score_unit(portfolio, tables)
    own = join_scores(past, tables, scored)
    notes: list[str] = []
    absent: list[str] = []
    influence = _try_influence(portfolio, tables, own, scored, notes, absent)
    customers = _add_behaviour(join_parts(own, influence), tables)
    customers = ibis.memtable(customers.order_by("customer_id").execute())
    costs = _try_costs(tables, notes, absent)
    historic = float(past.historic.sum().execute())
    totals = {
        "unit": unit.name,
        "label": unit.label,
        "setting": unit.setting,
        "currency": portfolio.currency,
        "interval": portfolio.interval,
        "horizon_months": portfolio.horizon_months,
        "end_of_observation": end.isoformat(),
        "withheld": scored is None,
        "customers": int(past.count().execute()),
        "missing": list(tables.missing),
        "notes": notes,
        "absent": absent,
        "historic": historic,
        "market": unit.market_customers,
    }
    made = value_tables.make_tables(portfolio, tables, scored, customers, influence, costs)
    if scored is not None:
        sums = {part: customers[part].sum() for part in ("current", "potential", "coming")}
        means = customers.agg(**sums).execute().iloc[0].astype(float).to_dict()
        made["parts"] = sum_parts(historic, scored.current, scored.potential, influence, means, portfolio.interval)
        totals |= value_tables.sum_up(scored, influence, value_tables.count_present(tables))
    return Study(UnitParts(unit.name, totals, made), customers)


def score_unit(portfolio: Portfolio, tables: UnitTables) -> Scored | None:
    """Score the rows of alike customers; None where their value is withheld or not worked out."""
    folder, unit = tables.folder, tables.unit
    files = [folder / name for name in ("totals.json", "total_draws.parquet", "value.parquet")]
    if not all(file.is_file() for file in files):
        return None
    verdict = json.loads(files[0].read_text(encoding="utf-8"))["verdict"]["level"]
    totals, rows = pd.read_parquet(files[1]), count_scored(tables)
    if verdict == "withheld" or rows.empty:
        return None
    if tables.contractual:
        return score_subscribers(unit, rows, totals, portfolio.interval, portfolio.seed)
    return score_shop(load_live(portfolio, unit.name), unit, rows, totals, portfolio.seed)


def count_scored(tables: UnitTables) -> pd.DataFrame:
    """Group customers with the same counts, and so the same predictions, into one weighted row."""
    values, keys = _valued(tables), list(SUBSCRIBER_KEYS if tables.contractual else SHOP_KEYS)
    measures = _MEASURES[tables.unit.setting]
    further = {name: values[name].max() for name in measures if name not in keys}
    rows = values.group_by(keys).agg(customers=values.count(), **further)
    return rows.order_by(keys).execute()


def _valued(tables: UnitTables) -> ir.Table:
    """Customers with their predictions; subscribers with their group of comparable ones."""
    local = tables.cash.get_backend()
    values = local.read_parquet(tables.folder / "value.parquet")
    if not tables.contractual:
        return values
    patterns = pd.read_parquet(tables.folder / "patterns.parquet")
    known = [name for name in patterns.columns if name not in ("pattern", "subscriptions", "plan", "price")]
    patterns["group"] = patterns.groupby(known, sort=True).ngroup() if known else 0
    spells = local.read_parquet(tables.folder / "subscribers.parquet")
    groups = spells.filter(~spells.churned).inner_join(ibis.memtable(patterns[["pattern", "group"]]), "pattern")
    groups = groups.group_by("customer_id").agg(group=groups.group.min())
    return values.inner_join(groups, "customer_id")


def join_scores(past: ir.Table, tables: UnitTables, scored: Scored | None) -> ir.Table:
    """Join the scores of the rows back to the customers; without any, money ahead is zero.

    Returns
    -------
    ibis Table
        `past` with current and potential (each with _low and _high), gap, gap_chance, margin_each, often,
        margin_year, and the probabilities of types and tiers; null for those who cannot be scored.
    """
    money = [f"{part}{end}" for part in ("current", "potential") for end in ("", "_low", "_high")]
    if scored is None:
        return past.mutate(**dict.fromkeys(money, ibis.literal(0.0)))
    keys = list(scored.keys)
    named = _valued(tables).select("customer_id", *keys)
    joined = named.inner_join(ibis.memtable(scored.rows.drop(columns="customers")), keys).drop(*keys)
    own = past.left_join(ibis.memtable(joined.execute()), "customer_id", rname="{name}_s").drop("customer_id_s")
    return own.mutate(**{name: own[name].fill_null(0.0) for name in money})


def _try_influence(
    portfolio: Portfolio, tables: UnitTables, own: ir.Table, scored: Scored | None, notes: list[str], absent: list[str]
) -> Influence | None:
    """Measure influence; None, with a word in one of the lists, where referrals are unknown or cannot be followed."""
    people = tables.people
    if people is None or "referred_by" not in people.columns or not people.referred_by.notnull().any().execute():
        absent.append("Who referred whom is not on record: map referred_by in the table customers.")
        return None
    months = portfolio.horizon_months
    referred = people.mutate(referred=people.referred_by.notnull().ifelse("yes", "no"))
    first = sum_first_months(tables.cash, referred, tables.end, months, portfolio.discount_rate, "referred")
    newcomers = value_newcomer(first)
    ahead: tuple[np.ndarray, float] | Sampler = (np.zeros(1000), 0.0)
    if scored is not None and tables.contractual:
        ahead = scored.current, float(own.current.sum().execute())
    elif scored is not None:
        ahead = _sample_buyers(portfolio, tables, len(scored.current))
    try:
        return measure_influence(
            people,
            own,
            tables.end,
            newcomers,
            ahead,
            months * 365.25 / 12,
            portfolio.discount_rate,
            portfolio.interval,
            portfolio.seed,
            tables.unit.name,
        )
    except DataError as error:
        notes.append(str(error))
        return None


def _sample_buyers(portfolio: Portfolio, tables: UnitTables, draws: int) -> Sampler:
    """Return what draws the value ahead of chosen buyers together, alike ones as one row."""
    live, keys = load_live(portfolio, tables.unit.name), [*SHOP_KEYS, "weight"]

    def draw(chosen: pd.DataFrame) -> np.ndarray:
        named = _valued(tables).inner_join(ibis.memtable(chosen), "customer_id")
        rows = named.group_by(keys).agg(customers=named.count()).order_by(keys).execute()
        return draw_ahead(live, rows, draws, portfolio.seed)

    return draw


USUAL = 0.15
"""How much newcomers who were referred are thought to differ from the others, as a share of their mean value."""


def value_newcomer(first: pd.DataFrame) -> pd.DataFrame:
    """Value of a referred newcomer: the mean of those referred, shrunk towards that of the other newcomers.

    Few customers bring very much, so that the spread of a few hundred says little of what others may bring: that of all
    newcomers is taken. The mean of the others is itself known no better than their number allows.

    Parameters
    ----------
    first : DataFrame
        From `cvmlib.decisions.payback.sum_first_months`, with the groups ``yes`` (referred) and ``no``.

    Returns
    -------
    DataFrame
        customers (that the mean is worth), mean, deviation (money): one row, or none where nobody was followed.
    """
    everybody, was = _pool(first), first["group"] == "yes"
    if everybody.empty or was.all() or not was.any():
        return everybody
    variance, usual = float(everybody["deviation"].iloc[0]) ** 2, USUAL * float(everybody["mean"].iloc[0])
    if not usual or not variance:
        return everybody
    (own, told), (other, known) = (
        (float(np.average(part["mean"], weights=part["customers"])), part["customers"].sum() / variance)
        for part in (first[was], first[~was])
    )
    known = 1 / (usual**2 + 1 / known)
    mean, worth = (told * own + known * other) / (told + known), (told + known) * variance
    return pd.DataFrame({"customers": [worth], "mean": [mean], "deviation": [np.sqrt(variance)]})


def _pool(first: pd.DataFrame) -> pd.DataFrame:
    """One group of all newcomers."""
    n = first["customers"].to_numpy(float)
    if n.sum() < 2:
        return first.iloc[:0]
    mean = float(n @ first["mean"] / n.sum())
    square = float(np.nansum((n - 1) * first["deviation"].fillna(0.0) ** 2 + n * (first["mean"] - mean) ** 2))
    return pd.DataFrame({"customers": [int(n.sum())], "mean": [mean], "deviation": [np.sqrt(square / (n.sum() - 1))]})


def _try_costs(tables: UnitTables, notes: list[str], absent: list[str]) -> ir.Table | None:
    """Customers with what winning them cost; None, with a word in one of the lists, where it is unknown or wrong."""
    people = tables.people
    if (
        people is None
        or "acquisition_cost" not in people.columns
        or not people.acquisition_cost.notnull().any().execute()
    ):
        absent.append("What winning a customer cost is not on record: map acquisition_cost in the table customers.")
        return None
    cost = people.acquisition_cost.cast("float64")
    people = people.mutate(acquisition_cost=ibis.ifelse(cost.isnan(), ibis.null("float64"), cost))
    try:
        check_costs(people, tables.unit.name)
    except DataError as error:
        notes.append(str(error))
        return None
    return people


def _add_behaviour(customers: ir.Table, tables: UnitTables) -> ir.Table:
    """Add the categories held and the next one, where they are on record, and tell the kinds of headroom apart."""
    if tables.holdings is not None:
        categories = value_tables.fit_holdings(tables.holdings)
        customers = _join_found(customers, find_next(tables.holdings, categories))
    if tables.lines is not None and (fitted := fit_lines(tables.lines)) is not None:
        customers = _join_found(customers, find_add_on(tables.lines, fitted))
    return share_out(customers)


def share_out(customers: ir.Table) -> ir.Table:
    """Share out the potential of every customer to cross-sell, add-on and up-sell.

    What lies in categories that he does not hold is cross-sell. Of the rest, what comparable customers with more
    products in a purchase would add at his own price per product, the whole gap at most, is add-on; what is left,
    dearer products, is up-sell.

    Parameters
    ----------
    customers : ibis Table
        ``potential``; where they are known, ``cross`` (share of it in categories not held), and ``gap`` and
        ``spend_each`` (money per purchase) with ``basket`` and ``more`` (`cvmlib.decisions.add_on.find_add_on`).

    Returns
    -------
    ibis Table
        With cross_sell, add_on and up_sell (money), which add up to potential; without cross.
    """
    cross, more = ibis.literal(0.0), ibis.literal(0.0)
    if "cross" in customers.columns:
        cross = customers.cross.fill_null(0.0)
    if {"more", "gap"} <= set(customers.columns):
        added = customers.spend_each / customers.basket * customers.more
        share = ibis.ifelse(customers.gap > 0, added / customers.gap, 0.0).fill_null(0.0)
        more = ibis.least(share, 1.0)
    rest = customers.potential * (1.0 - cross)
    parts = {"cross_sell": customers.potential * cross, "add_on": rest * more, "up_sell": rest * (1.0 - more)}
    return customers.mutate(**parts).drop(*({"cross"} & set(customers.columns)))


def _join_found(customers: ir.Table, found: ir.Table) -> ir.Table:
    """Join what was found of customers to them."""
    joined = customers.left_join(ibis.memtable(found.execute()), "customer_id", rname="{name}_found")
    return joined.drop("customer_id_found")
