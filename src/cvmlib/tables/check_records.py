"""Checks of the optional tables against their contracts, and of the links between the tables of a unit."""

from typing import Any

import ibis
import ibis.expr.types as ir

from cvmlib.tables.contracts import COMPULSORY, CONTRACTS, Column
from cvmlib.tables.findings import Findings, as_rows
from cvmlib.tables.mapping import RAW, Mapping
from cvmlib.tables.problems import Problem, count_words

_SIGNED = frozenset(
    {
        ("outcomes", "value"),
        ("conversions", "value"),
        ("assignments", "outcome"),
        ("lift_tests", "spend"),
        ("media", "spend"),
        ("lift_tests", "lift"),
        ("lift_tests", "relative_lift"),
    }
)


def check_records(findings: Findings) -> dict[str, Any]:
    """Check an optional table: missing and unreadable values, values outside the allowed ones, repeated keys.

    Parameters
    ----------
    findings : Findings
        Where problems are recorded.

    Returns
    -------
    dict
        ``rows_used``: rows that have every required value.
    """
    contract = CONTRACTS[findings.table]
    table = findings.mapping.passing
    conditions = [
        (kind, column, where)
        for column in contract.columns
        if column.name in findings.mapping.columns
        for kind, where in _column_conditions(table, findings.table, column)
    ]
    complete = ibis.literal(True)
    for name in contract.required:
        complete = complete & table[name].notnull()
    measures = {f"n{i}": where.sum() for i, (_, _, where) in enumerate(conditions)}
    counts = table.agg(rows=table.count(), complete=complete.sum(), **measures).execute().fillna(0).iloc[0]
    findings.rows = int(counts["rows"])
    if findings.rows == 0:
        findings.add("empty", "", "the table has no rows", "export it again, with its rows.", fatal=True)
        return {"rows_used": 0}
    for i, (kind, column, where) in enumerate(conditions):
        if rows := int(counts[f"n{i}"]):
            message, treatment = _words(kind, column)
            findings.add(kind, column.name, message, treatment, rows=rows, where=where)
    _report_keys(findings)
    return {"rows_used": int(counts["complete"])}


def _column_conditions(table: ir.Table, name: str, column: Column) -> list[tuple[str, ir.BooleanValue]]:
    value, raw = table[column.name], f"{column.name}{RAW}"
    conditions = []
    if column.type != "text" and raw in table.columns:
        unparsable = value.isnull() & table[raw].notnull()
        conditions.append(("unparsable", unparsable))
        if column.required:
            conditions.append(("missing", value.isnull() & table[raw].isnull()))
    elif column.required:
        conditions.append(("missing", value.isnull()))
    if column.type == "number":
        conditions.append(("nonfinite", (value.isnan() | value.isinf()).fill_null(False)))
        if (name, column.name) not in _SIGNED:
            conditions.append(("negative", (value < 0).fill_null(False)))
    if column.allowed:
        conditions.append(("unknown_text", (value.notnull() & ~value.isin(column.allowed)).fill_null(False)))
    return conditions


def _words(kind: str, column: Column) -> tuple[str, str]:
    if kind == "missing":
        return f"{{rows}} have no {column.name}", "left out where that column is needed."
    if kind == "unparsable":
        wanted = "a number" if column.type == "number" else "a date"
        return f"{{rows}} hold text as {column.name} that cannot be read as {wanted}", "taken as missing."
    if kind == "nonfinite":
        return f"{{rows}} hold a {column.name} that is not a finite number", "taken as missing."
    if kind == "negative":
        return f"{{rows}} have a negative {column.name}", "kept as supplied; check the sign."
    return (
        f"{{rows}} hold another {column.name} than {', '.join(column.allowed)}",
        "left out where that column is needed; map it with a CASE expression.",
    )


def _report_keys(findings: Findings) -> None:
    """Report rows whose key occurs before; `clean_keyed` keeps one row per key."""
    key = [name for name in CONTRACTS[findings.table].key if name in findings.mapping.columns]
    if not key:
        return
    kept = findings.mapping.kept
    groups = kept.group_by(key).agg(copies=kept.count())
    repeated = groups.filter([groups.copies > 1, groups[key[0]].notnull()])
    rows = int((repeated.copies - 1).sum().fill_null(0).execute())
    if rows:
        findings.add(
            "duplicate_keys",
            ", ".join(key),
            f"{{rows}} repeat the {' and '.join(key)} of another row",
            f"one row per {' and '.join(key)} is kept, the first in the order of the other columns.",
            rows=rows,
        )
        findings.problems[-1].first_rows.extend(as_rows(repeated.order_by(key).limit(3)))


def check_links(unit: str, main: str, mappings: dict[str, Mapping]) -> list[Problem]:
    """Check that the tables of a unit speak of the same customers and products.

    Parameters
    ----------
    unit : str
        Name of the unit.
    main : str
        Its compulsory table.
    mappings : dict of str to Mapping
        Its tables.

    Returns
    -------
    list of Problem
        All tolerable.
    """
    problems = []
    if main in COMPULSORY.values() and main in mappings and "customers" in mappings:
        problems += _customer_links(unit, main, mappings[main].kept, mappings["customers"])
    if "products" in mappings and "transactions" in mappings and "product_id" in mappings["transactions"].columns:
        sold, known = mappings["transactions"].kept, mappings["products"].kept
        strange = _absent(sold, "product_id", known, "product_id")
        message = "{n} sold but absent from products{examples}"
        treatment = "kept, without a category; add them to products."
        problems += _link(
            unit, "transactions", "product_id", "unknown_products", "product", strange, message, treatment
        )
    return problems


def _customer_links(unit: str, main: str, log: ir.Table, mapping: Mapping) -> list[Problem]:
    customers = mapping.kept
    silent = _absent(customers, "customer_id", log, "customer_id")
    unlisted = _absent(log, "customer_id", customers, "customer_id")
    problems = _link(
        unit,
        "customers",
        "customer_id",
        "silent_customers",
        "customer",
        silent,
        f"{{n}} in customers but without a row in {main}{{examples}}",
        "left out: nothing was observed about them. Check that both tables use the same identifiers.",
    )
    problems += _link(
        unit,
        "customers",
        "customer_id",
        "unlisted_customers",
        "customer",
        unlisted,
        f"{{n}} in {main} but absent from customers{{examples}}",
        "kept, without covariates.",
    )
    if "referred_by" in mapping.columns:
        referrers = _absent(customers, "referred_by", customers, "customer_id")
        message = "{n} named as referrer but absent from customers{examples}"
        treatment = "the referral is taken as unknown."
        problems += _link(
            unit, "customers", "referred_by", "unknown_referrers", "customer", referrers, message, treatment
        )
        own = customers.filter(customers.referred_by == customers.customer_id).select(value="customer_id")
        message = "{n} named as their own referrer{examples}"
        problems += _link(unit, "customers", "referred_by", "own_referrers", "customer", own, message, treatment)
    return problems


def _absent(left: ir.Table, column: str, right: ir.Table, key: str) -> ir.Table:
    """Return the distinct values of one column that another table does not have."""
    values = left.filter(left[column].notnull()).select(value=column).distinct()
    keys = right.filter(right[key].notnull()).select(value=key).distinct()
    return values.anti_join(keys, "value")


def _link(
    unit: str,
    table: str,
    column: str,
    kind: str,
    noun: str,
    values: ir.Table,
    message: str,
    treatment: str,
) -> list[Problem]:
    rows = int(values.count().execute())
    if not rows:
        return []
    shown = sorted(str(value) for value in values.order_by("value").limit(3).execute()["value"])
    is_are = "is" if rows == 1 else "are"
    words = message.replace("{n}", f"{count_words(rows, noun)} {is_are}").replace("{examples}", f": {', '.join(shown)}")
    words += " …" if rows > len(shown) else ""
    return [Problem(unit, table, column, kind, False, words, treatment, rows, first_rows=[{column: v} for v in shown])]
