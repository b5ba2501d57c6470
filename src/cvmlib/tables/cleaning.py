"""The stated treatment of dirty rows: which are dropped, which are kept, all of it lazily and on any engine.

Each function here drops exactly the rows that `cvmlib.tables.checks` reports under the same name.
"""

import datetime

import ibis
import ibis.expr.types as ir

from cvmlib.tables.contracts import CONTRACTS
from cvmlib.tables.mapping import RAW, SOURCE_ROW

EARLIEST = datetime.datetime(1900, 1, 1)
"""Dates before this are slips or placeholders."""


Reasons = list[tuple[ir.BooleanValue, str]]
"""Conditions under which a row is dropped, each with its name, the first that holds counting."""


def day_after(end: datetime.date) -> ir.TimestampScalar:
    """Return the first instant after a day, as a literal."""
    midnight = datetime.datetime.combine(end, datetime.time()) + datetime.timedelta(days=1)
    return ibis.literal(midnight, type="timestamp")


def _time_reasons(table: ir.Table, column: str) -> Reasons:
    value, raw = table[column], f"{column}{RAW}"
    reasons = [(value < ibis.literal(EARLIEST, type="timestamp"), f"implausible_{column}")]
    if raw in table.columns:
        reasons.insert(0, (value.isnull() & table[raw].notnull(), f"unparsable_{column}"))
    return reasons


def _number_reasons(table: ir.Table, column: str) -> Reasons:
    value, raw = table[column], f"{column}{RAW}"
    reasons = [(value.isnull(), f"missing_{column}"), (value.isnan() | value.isinf(), f"nonfinite_{column}")]
    if raw in table.columns:
        reasons.insert(0, (value.isnull() & table[raw].notnull(), f"unparsable_{column}"))
    return reasons


def _first_reason(reasons: Reasons) -> ir.StringValue:
    return ibis.cases(*reasons, else_=ibis.null("string"))


def _without(table: ir.Table, reasons: Reasons) -> ir.Table:
    """Leave out the rows for which any reason holds; a reason that is NULL does not."""
    return table.filter([~where.fill_null(False) for where, _ in reasons])


def _transaction_reasons(table: ir.Table, end: datetime.date) -> Reasons:
    return [
        (table.customer_id.isnull(), "missing_customer_id"),
        *_time_reasons(table, "date"),
        (table.date.isnull(), "missing_date"),
        *_number_reasons(table, "value"),
        (table.date >= day_after(end), "future_date"),
    ]


def transaction_reason(table: ir.Table, end: datetime.date) -> ir.StringValue:
    """Return why each transaction is dropped (the first reason that applies), or NULL when it is used.

    Parameters
    ----------
    table : ibis Table
        Mapped transactions; with the ``__raw`` columns of `Mapping.table`, unparsable values are told from missing.
    end : datetime.date
        Last day of the observation.
    """
    return _first_reason(_transaction_reasons(table, end))


def usable_transactions(table: ir.Table, end: datetime.date) -> ir.Table:
    """Return the rows without a `transaction_reason`; copies of rows are still among them."""
    return _without(table, _transaction_reasons(table, end))


def subscription_reason(table: ir.Table, end: datetime.date) -> ir.StringValue:
    """Return why each subscription is dropped (the first reason that applies), or NULL when it is used.

    Parameters
    ----------
    table : ibis Table
        Mapped subscriptions, as for `transaction_reason`.
    end : datetime.date
        Last day of the observation.
    """
    return _first_reason(_subscription_reasons(table, end))


def _subscription_reasons(table: ir.Table, end: datetime.date) -> Reasons:
    return [
        (table.customer_id.isnull(), "missing_customer_id"),
        *_time_reasons(table, "start"),
        (table.start.isnull(), "missing_start"),
        *_time_reasons(table, "end"),
        *_number_reasons(table, "price"),
        (table.start >= day_after(end), "future_start"),
        (table.end < table.start, "end_before_start"),
        (table.price < 0, "negative_price"),
    ]


def can_repeat(table: ir.Table) -> ir.BooleanValue:
    """Return whether an identical second row can only be a copy: the row has an order number, or a time of day.

    Two identical rows that name a customer, a day and an amount, and no more, may well be two purchases; they stay.
    """
    timed = table.date != table.date.truncate("D")
    return table.order_id.notnull() | timed if "order_id" in table.columns else timed


def _row_key(table: ir.Table) -> list[str]:
    return [SOURCE_ROW] if SOURCE_ROW in table.columns else list(table.columns)


def repeated_rows(table: ir.Table) -> ir.Table:
    """Return the rows that occur more than once, one row each: their key and ``copies``, the number of occurrences.

    Parameters
    ----------
    table : ibis Table
        Mapped transactions. Rows are the same when every supplied column is (by ``source_row``), or, without that
        column, every column of `table`.
    """
    candidates = table.filter(can_repeat(table))
    counted = candidates.group_by(_row_key(table)).agg(copies=candidates.count(), repeated_value=candidates.value.max())
    return counted.filter(counted.copies > 1)


def drop_repeated_rows(table: ir.Table, supplied: ir.Table) -> ir.Table:
    """Keep one of each set of repeated rows; the rest of the table is untouched.

    Parameters
    ----------
    table : ibis Table
        The rows to go through.
    supplied : ibis Table
        `table`, or the mapped table that it is a part of: looking for copies there spares working out twice which rows
        are used.
    """
    key = _row_key(table)
    repeated = repeated_rows(supplied).select(key)
    return table.anti_join(repeated, key).union(table.semi_join(repeated, key).distinct())


def clean_transactions(table: ir.Table, end_of_observation: datetime.date, *, deduplicate: bool = True) -> ir.Table:
    """Apply the stated treatments to mapped transactions, lazily.

    1. Dropped: rows without a customer id; with a missing or unparsable date or value, or one that is not finite; dated
       before 1900 or after `end_of_observation`.
    2. Dropped: copies of a row, when every supplied column repeats (mapped or not) **and** the row has an order number
       or a time of day. Without either, two equal rows may be two purchases of a day, and both stay.
    3. Kept: rows of value zero (a day that holds nothing else is a purchase of value zero), and negative ones: returns.
       They are netted within the customer's day when purchases are counted; later returns count as returned money.

    Parameters
    ----------
    table : ibis Table
        Result of `cvmlib.tables.sources.mapped_table`.
    end_of_observation : datetime.date
        Last day that counts.
    deduplicate : bool
        False skips the search for copies (`CheckReport` says whether there are any).

    Returns
    -------
    ibis Table
        ``customer_id`` (string), ``date`` (timestamp), ``value`` (money), and the optional columns supplied.
    """
    used = usable_transactions(table, end_of_observation)
    used = drop_repeated_rows(used, table) if deduplicate else used
    return used.drop(SOURCE_ROW) if SOURCE_ROW in used.columns else used


def clean_subscriptions(table: ir.Table, end_of_observation: datetime.date) -> ir.Table:
    """Apply the stated treatments to mapped subscriptions, lazily.

    1. Dropped: rows without a customer id or start; with an unparsable date, a missing, unparsable, infinite or
       negative price; dated before 1900; starting after `end_of_observation`; ending before they start.
    2. Dropped: copies of a row (all columns equal).
    3. A contract that ends after `end_of_observation` is running: its end is not known yet and becomes NULL, and so
       does the reason of that end.
    4. Overlapping contracts of a customer are kept: each is a contract of its own.

    Parameters
    ----------
    table : ibis Table
        Result of `cvmlib.tables.sources.mapped_table`.
    end_of_observation : datetime.date
        Last day that counts.

    Returns
    -------
    ibis Table
        ``customer_id``, ``start``, ``end`` (NULL while running), ``price`` (money per month), and the optional columns.
    """
    used = _without(table, _subscription_reasons(table, end_of_observation)).distinct()
    running = used.end >= day_after(end_of_observation)
    changes = {"end": ibis.ifelse(running, ibis.null("timestamp"), used.end)}
    if "end_reason" in used.columns:
        changes["end_reason"] = ibis.ifelse(running, ibis.null("string"), used.end_reason)
    return used.mutate(**changes)


def clean_keyed(table: ir.Table, name: str) -> ir.Table:
    """Keep one row per key of a table whose contract has one, and none without it, lazily.

    Parameters
    ----------
    table : ibis Table
        Result of `cvmlib.tables.sources.mapped_table`.
    name : str
        Name of the contract: ``customers``, ``products``, ``programs``, ``assignments``, ``media`` or ``outcomes``.

    Returns
    -------
    ibis Table
        The same columns. Of several rows with one key, the first in the order of the other columns is kept.
    """
    key = [column for column in CONTRACTS[name].key if column in table.columns]
    others = [column for column in table.columns if column not in key]
    table = table.filter([table[column].notnull() for column in key if CONTRACTS[name].column_by_name[column].required])
    place = ibis.row_number().over(group_by=key, order_by=others or key)
    return table.mutate(place__=place).filter(ibis._.place__ == 0).drop("place__")
