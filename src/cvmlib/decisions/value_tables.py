"""The tables of a unit's parts of value: by type, tier, cluster, category, channel, and the customers on top."""

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.clv.concentration import customers_behind, group_values, lorenz_curve, top_share
from cvmlib.decisions import clusters, migration, payback, penetration
from cvmlib.decisions.add_on import find_partners
from cvmlib.decisions.categories import count_pairs, fit_categories
from cvmlib.decisions.prepare import UnitTables
from cvmlib.decisions.shop_rows import Scored
from cvmlib.decisions.tiers import Tiers, set_tiers, tabulate_tiers
from cvmlib.decisions.types import TYPES, tabulate_types
from cvmlib.decisions.value_parts import Influence
from cvmlib.decisions.value_results import TABLES
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio
from cvmlib.programs.results import load_result

LONGEST = 500
"""Customers listed."""


def make_tables(
    portfolio: Portfolio,
    tables: UnitTables,
    scored: Scored | None,
    customers: ir.Table,
    influence: Influence | None,
    people: ir.Table | None,
) -> dict[str, pd.DataFrame]:
    """Make every table but the parts themselves; those that the unit's data do not allow have no rows.

    Parameters
    ----------
    portfolio, tables : Portfolio, UnitTables
        The unit.
    scored : Scored or None
        Its scored rows; None where their value is withheld.
    customers : ibis Table
        All customers with all parts.
    influence : Influence or None
        Referrals.
    people : ibis Table or None
        Customers with acquisition costs.
    """
    interval, made = portfolio.interval, dict.fromkeys(TABLES, pd.DataFrame())
    tiers = scored.tiers if scored else _past_tiers(portfolio, tables)
    made["moves"] = migration.estimate_moves(migration.count_moves(tables.cash, tiers, tables.end), tiers, interval)
    made["clusters"] = find_behaviour(tables, customers, portfolio.seed)
    if tables.holdings is not None:
        made["categories"] = fit_holdings(tables.holdings)
    if tables.together is not None:
        made["partners"] = find_partners(tables.together.execute())
    if people is not None:
        counts = payback.count_paybacks(tables.cash, people, tables.end)
        made["payback"] = payback.estimate_payback(counts, interval=interval)
        made["costs"] = payback.compare_costs(tables.cash, people, tables.end)
        made["penetration"] = _compare_ways(portfolio, tables, people)
    made["market"] = _value_steps(portfolio, tables, scored, customers, people, made["categories"])
    if influence is not None:
        made["referrers"] = _list_referrers(customers)
    if scored is not None:
        made |= _of_scores(scored, customers, interval, portfolio.seed)
        made["kinds"] = sum_kinds(customers, scored.potential, interval)
        made["upsell"] = _list_headroom(_add_partners(customers, tables, made["partners"]))
    return made


def _past_tiers(portfolio: Portfolio, tables: UnitTables) -> Tiers:
    """Tiers where nothing is known of what is ahead: by the mean of the last year."""
    until = pd.Timestamp(tables.end) + pd.Timedelta(days=1)
    recent = tables.cash.filter(tables.cash.day >= ibis.literal(until - pd.DateOffset(years=1), type="timestamp"))
    found = recent.agg(margin=recent.margin.sum(), customers=recent.customer_id.nunique()).execute().iloc[0]
    return set_tiers(tables.unit.tiers, float((found["margin"] or 0.0) / max(found["customers"], 1)))


def _of_scores(scored: Scored, customers: ir.Table, interval: float, seed: int) -> dict[str, pd.DataFrame]:
    """Make the tables that rest on the value ahead."""
    rows, number = scored.rows, scored.rows["customers"].to_numpy(float)
    current = rows["current"].to_numpy(float)
    groups = group_values(customers.select(total_value=ibis.greatest(customers.current, 0.0)))
    best = top_share(groups, interval=interval, seed=seed)
    curve = lorenz_curve(groups)
    step = max(len(curve) // 200, 1)
    lorenz = curve.iloc[np.unique(np.r_[np.arange(0, len(curve), step), len(curve) - 1])] if len(curve) else curve
    lorenz = lorenz.assign(top=best.mean, top_low=best.low, top_high=best.high, behind=customers_behind(groups))
    chosen = ["customer_id", "value", "value_low", "value_high", "historic", "current", "potential", "credit", "coming"]
    top = customers.order_by(ibis.desc("value"), "customer_id").limit(LONGEST)
    return {
        "types": tabulate_types(scored.type_chances, rows[["current", "potential"]], number),
        "tiers": tabulate_tiers(scored.tiers, scored.tier_chances, current, number, interval),
        "lorenz": lorenz,
        "best": _assign(top, scored).select(*chosen, "type", "type_chance", "tier", "tier_chance").execute(),
    }


def _assign(customers: ir.Table, scored: Scored) -> ir.Table:
    """Add each customer's likeliest type and tier with their probabilities."""
    for kind, names in (("type", TYPES), ("tier", scored.tiers.names)):
        columns = [customers[f"{kind}_{name}"] for name in names]
        highest = ibis.greatest(*columns) if len(columns) > 1 else columns[0]
        pairs = [(column >= highest, name) for name, column in zip(names, columns, strict=True)]
        customers = customers.mutate(**{kind: ibis.cases(*pairs, else_=ibis.null("string")), f"{kind}_chance": highest})
    return customers


KINDS = {"cross_sell": "next_chance", "add_on": "more_chance", "up_sell": "gap_chance"}
"""Kinds of headroom, and the column with the probability that goes with each."""


def sum_kinds(customers: ir.Table, potential: np.ndarray, interval: float = 0.9) -> pd.DataFrame:
    """Sum the potential of all customers by kind.

    Parameters
    ----------
    customers : ibis Table
        With the columns `KINDS`, which add up to ``potential``, and as many of their probabilities as are known.
    potential : array, shape (draws,)
        Draws of the total (money).
    interval : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        kind, value with low and high (money; the range of the total, shared out), share, and chance (mean of the
        customers' probabilities); a kind that the unit's tables cannot tell has no row.
    """
    chances = {kind: column for kind, column in KINDS.items() if column in customers.columns}
    means = {f"{kind}_chance": customers[column].mean() for kind, column in chances.items()}
    found = customers.agg(**{kind: customers[kind].sum() for kind in chances}, **means).execute().iloc[0]
    total = float(sum(found[kind] for kind in chances))
    low, high = np.quantile(potential, [(1 - interval) / 2, (1 + interval) / 2])
    rows = []
    for kind in chances:
        share = float(found[kind]) / total if total else 0.0
        ends = {"low": min(share * low, found[kind]), "high": max(share * high, found[kind])}
        rows.append({"kind": kind, "value": found[kind], **ends, "share": share, "chance": found[f"{kind}_chance"]})
    return pd.DataFrame(rows, columns=["kind", "value", "low", "high", "share", "chance"])


def _add_partners(customers: ir.Table, tables: UnitTables, partners: pd.DataFrame) -> ir.Table:
    """Add which category goes with the one that each customer buys most."""
    if tables.holdings is None or partners.empty:
        return customers
    most = tables.holdings.group_by("customer_id").agg(category=tables.holdings.category.argmax(tables.holdings.lines))
    goes = most.inner_join(ibis.memtable(partners[["category", "partner"]]), "category").execute()
    joined = customers.left_join(ibis.memtable(goes), "customer_id", rname="{name}_most")
    return joined.drop("customer_id_most", "category")


def _list_headroom(customers: ir.Table) -> pd.DataFrame:
    """List the customers of the largest potential with what they lack."""
    names = [
        "customer_id",
        "potential",
        "potential_low",
        "potential_high",
        "gap",
        "gap_chance",
        *KINDS,
    ]
    further = ("held", "next_category", "next_chance", "more_chance", "partner")
    names += [name for name in further if name in customers.columns]
    top = customers.filter(customers.potential > 0).order_by(ibis.desc("potential"), "customer_id").limit(LONGEST)
    return top.select(names).execute()


def _list_referrers(customers: ir.Table) -> pd.DataFrame:
    """List the customers of the largest influence."""
    names = ["customer_id", "brought", "received", "coming", "coming_low", "coming_high", "historic", "current"]
    table = customers.mutate(influence=customers.received + customers.coming)
    top = table.filter(table.brought > 0).order_by(ibis.desc("influence"), "customer_id").limit(LONGEST)
    return top.select("customer_id", "influence", *names[1:]).execute()


def _compare_ways(portfolio: Portfolio, tables: UnitTables, people: ir.Table) -> pd.DataFrame:
    """Compare what winning customers and doing more with those there are bring back."""
    try:
        results = load_result(portfolio, tables.unit.name).results
    except (UnfitModelError, OSError):
        results = None
    first = payback.sum_first_months(tables.cash, None, tables.end, portfolio.horizon_months, portfolio.discount_rate)
    cost = people.acquisition_cost.mean().execute()
    return penetration.compare_returns(first, float("nan" if cost is None else cost), results, portfolio.interval)


def _value_steps(
    portfolio: Portfolio,
    tables: UnitTables,
    scored: Scored | None,
    customers: ir.Table,
    people: ir.Table | None,
    categories: pd.DataFrame,
) -> pd.DataFrame:
    """Value one more customer, one more purchase and one more category."""
    first = payback.sum_first_months(tables.cash, None, tables.end, portfolio.horizon_months, portfolio.discount_rate)
    cost = None if people is None else people.acquisition_cost.mean().execute()
    account = _know_account(tables, scored, customers, categories) if scored is not None else None
    market = tables.unit.market_customers
    left = float("nan") if market is None else market - int(customers.count().execute())
    return penetration.value_steps(first, float("nan" if cost is None else cost), account, left, portfolio.interval)


def _know_account(
    tables: UnitTables, scored: Scored, customers: ir.Table, categories: pd.DataFrame
) -> penetration.Account:
    """What one more purchase or category of a present customer brings.

    What a purchase brings is as uncertain as the value of a forecast purchase; a category, as the potential.
    """
    there = count_present(tables)
    rows, weight = scored.rows, scored.rows["customers"].to_numpy(float)
    each, draws = float(np.average(rows["margin_each"], weights=weight)), np.ones(1)
    totals = pd.read_parquet(tables.folder / "total_draws.parquet")
    if scored.each == "purchase":
        each = float(np.average(rows["margin_each"], weights=weight * rows["often"].clip(lower=1e-12)))
        some = totals[totals["purchases"] > 0]
        draws = (some["value"] / some["purchases"]).to_numpy(float)
    category, potential = float("nan"), scored.potential / max(float(scored.potential.mean()), 1e-9)
    if "held" in customers.columns:
        scored_ones = customers.filter(customers.potential > 0)
        lacked = float((len(categories) - scored_ones.held.fill_null(0)).sum().execute() or 0.0)
        category = float(scored_ones.cross_sell.sum().execute()) / lacked if lacked else category
    return penetration.Account(there, each, each * draws / draws.mean(), category, category * potential)


def count_present(tables: UnitTables) -> float:
    """Count those who are still customers: buyers by their probability to be alive, subscribers with a subscription."""
    values = tables.cash.get_backend().read_parquet(tables.folder / "value.parquet")
    return float((values.count() if tables.contractual else values.p_alive.sum()).execute() or 0.0)


def find_behaviour(tables: UnitTables, customers: ir.Table, seed: int) -> pd.DataFrame:
    """Find behavioural clusters among a unit's customers; subscribers with a running subscription."""
    backend = tables.cash.get_backend()
    if tables.contractual:
        spells = backend.read_parquet(tables.folder / "subscribers.parquet")
        spells = spells.filter(~spells.churned)
        base = spells.group_by("customer_id").agg(months=spells.tenure.max(), price=spells.price.sum())
        money, features = "price", {"months": base.months}
    else:
        base = backend.read_parquet(tables.folder / "customers.parquet")
        if "held" in customers.columns:
            held = ibis.memtable(customers.select("customer_id", "held").execute())
            base = base.left_join(held, "customer_id", rname="{name}_held")
        base = base.mutate(spend=base.total_value / (base.frequency + 1))
        money, features = "spend", {"purchases": base.frequency + 1, "silence": base["T"] - base.recency}
        if "held" in base.columns:
            features["categories"] = base.held.fill_null(0)
    scale = float(base[money].mean().execute() or 0.0) or 1.0  # so that cents and euros give the same groups
    binned = clusters.bin_features(base, features | {money: base[money] / scale})
    table = clusters.find_clusters(binned, [*features, money], seed).table
    return table.assign(**{money: table[money] * scale})


def fit_holdings(holdings: ir.Table) -> pd.DataFrame:
    """Fit what customers hold by category (`cvmlib.decisions.categories`)."""
    return fit_categories(count_pairs(holdings))


def sum_up(scored: Scored, influence: Influence | None, present: float) -> dict:
    """Headline figures of a unit's scores; `present` are still customers, expected."""
    number = scored.rows["customers"].to_numpy(float)
    types, tiers = scored.type_chances, scored.tier_chances
    return {
        "each": scored.each,
        "costs": {"each": scored.cost_each},
        "scored": int(number.sum()),
        "present": present,
        "lines": {"margin": scored.lines.margin, "often": scored.lines.often, "stated": scored.lines.stated},
        "tiers_stated": scored.tiers.stated,
        "sure_types": float(number[types.max(axis=1) >= 0.8].sum() / max(number.sum(), 1)),
        "sure_tiers": float(number[tiers.max(axis=1) >= 0.8].sum() / max(number.sum(), 1)),
        "referred": influence.referred if influence else 0,
        "referrals": influence.referrals if influence else 0.0,
        "newcomer": None if influence is None or np.isnan(influence.newcomer) else influence.newcomer,
    }
