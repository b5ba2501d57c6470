"""What customers have brought: one row per customer and day with money in or back, counted where the tables live.

Money is net of returns, on the day of the return; margin is the product's own where it is on record, otherwise the
unit's, less the cost of each purchase. A subscription pays in advance, on the day of the month on which it began.
"""

import ibis
import ibis.expr.types as ir

from cvmlib.business_unit import BusinessUnit
from cvmlib.periods import start_of_period


def count_cash(
    transactions: ir.Table, unit: BusinessUnit, products: ir.Table | None = None, time_unit: str = "day"
) -> ir.Table:
    """Sum the money of a cleaned log by customer and period.

    Parameters
    ----------
    transactions : ibis Table
        ``customer_id``, ``date``, ``value`` (money, negative for a return), optionally ``product_id``; cleaned.
    unit : BusinessUnit
        Its margin and its cost per purchase.
    products : ibis Table, optional
        Cleaned products; with ``margin``, a product's own margin takes the place of the unit's.
    time_unit : {"hour", "day", "week"}
        Resolution of counting; a period with more bought than returned, or with a gift, is one purchase.

    Returns
    -------
    ibis Table
        customer_id, day (timestamp, start of the period), revenue (money, may be negative), margin (money, after the
        cost of the purchase), purchases (0 or 1).
    """
    rows = transactions.mutate(share=ibis.literal(unit.margin))
    own = products is not None and "margin" in products.columns and "product_id" in transactions.columns
    if own:
        known = products.select("product_id", own_margin=products.margin)
        rows = transactions.left_join(known, "product_id")
        rows = rows.mutate(share=rows.own_margin.fill_null(unit.margin))
    rows = rows.select("customer_id", "value", "share", day=start_of_period(rows.date, time_unit))
    net = rows.group_by("customer_id", "day").agg(
        revenue=rows.value.sum().round(6), gross=(rows.value * rows.share).sum().round(6), least=rows.value.min()
    )
    bought = ((net.revenue > 0) | (net.least == 0)).cast("int64")
    return net.select(
        "customer_id", "day", "revenue", margin=net.gross - unit.costs.per_transaction * bought, purchases=bought
    )


def count_payments(spells: ir.Table, unit: BusinessUnit) -> ir.Table:
    """List the monthly payments of subscriptions so far, one row each.

    Parameters
    ----------
    spells : ibis Table
        From `cvmlib.churn.counts.build_spells`.
    unit : BusinessUnit
        Its margin, its cost per payment and per customer and year.

    Returns
    -------
    ibis Table
        The columns of `count_cash`, one row per payment; the month under way has been paid.
    """
    paid = spells.tenure + ibis.ifelse(spells.churned, spells.billed.fill_null(0), 1)
    cost = unit.costs.per_transaction + unit.costs.per_customer_year / 12
    rows = spells.select("customer_id", "start", "price", number=ibis.range(0, paid.cast("int64")).unnest())
    day = rows.start.cast("timestamp") + rows.number.as_interval("M")
    return rows.select(
        "customer_id", day=day, revenue=rows.price, margin=unit.margin * rows.price - cost,
        purchases=ibis.literal(1, type="int64"),
    )  # fmt: skip


def sum_customers(cash: ir.Table, per_customer_year: float = 0.0) -> ir.Table:
    """Sum what each customer has brought, less what serving him has cost.

    Parameters
    ----------
    cash : ibis Table
        From `count_cash` or `count_payments`.
    per_customer_year : float
        Money per year between first and last purchase; nobody knows of a silent customer that he is still served.

    Returns
    -------
    ibis Table
        customer_id, first and last (timestamps), revenue, historic (money: realised margin less cost to serve).
    """
    bought = cash.purchases > 0
    sums = cash.group_by("customer_id").agg(
        first=cash.day.min(),
        last=cash.day.max(where=bought),
        revenue=cash.revenue.sum().round(6),
        margin=cash.margin.sum().round(6),
    )
    years = (sums["last"].epoch_seconds() - sums["first"].epoch_seconds()).cast("float64") / (365.25 * 86_400)
    return sums.mutate(historic=sums.margin - per_customer_year * ibis.greatest(years.fill_null(0.0), 0.0)).drop(
        "margin"
    )


def count_holdings(transactions: ir.Table, products: ir.Table) -> ir.Table:
    """Count lines and spend of each customer by product category.

    Returns
    -------
    ibis Table
        customer_id, category, lines (with money in, returned pieces not taken off), spend (money, net).
    """
    known = products.filter(products.category.notnull()).select("product_id", "category")
    rows = transactions.inner_join(known, "product_id")
    counted = rows.group_by("customer_id", "category").agg(
        lines=(rows.value > 0).sum(), spend=rows.value.sum().round(6)
    )
    return counted.filter(counted.lines > 0)
