"""Checks of transactions: one pass counts every condition on rows; `check_history` looks at the log as a whole."""

import datetime
import math
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cvmlib.tables.check_history import check_history
from cvmlib.tables.cleaning import transaction_reason, usable_transactions
from cvmlib.tables.findings import Findings
from cvmlib.tables.mapping import KEPT, OFFSET, RAW
from cvmlib.tables.problems import count_words
from cvmlib.tables.texts import is_float_text, is_padded, strip

_OUTLIER_SD = 6.0
_MOSTLY = 0.5

_DROPPED = {
    "missing_customer_id": ("customer_id", "{rows} have no customer id", "dropped: they belong to nobody."),
    "missing_date": ("date", "{rows} have no date", "dropped."),
    "unparsable_date": (
        "date",
        "{rows} hold a date that cannot be read",
        "dropped; to keep them, write dates as 2026-06-30 or map the column with an expression such as "
        "date = \"try_strptime(day, '%d.%m.%Y')\".",
    ),
    "implausible_date": ("date", "{rows} are dated before 1900", "dropped: such dates are slips or placeholders."),
    "missing_value": ("value", "{rows} have no value", "dropped."),
    "unparsable_value": (
        "value",
        "{rows} hold a value that is no number",
        "dropped; to keep them, write numbers with a decimal point or map the column with an expression such as "
        "value = \"TRY_CAST(replace(amount, ',', '.') AS DOUBLE)\".",
    ),
    "nonfinite_value": ("value", "{rows} hold a value that is not a finite number", "dropped."),
    "future_date": ("date", "{rows} are dated after the end of observation, {end}", "dropped."),
}


def check_transactions(
    findings: Findings, end: datetime.date | None, time_unit: str, holdout_months: int
) -> dict[str, Any]:
    """Check mapped transactions and record what is found.

    Parameters
    ----------
    findings : Findings
        Where problems are recorded.
    end : datetime.date or None
        Last day of the observation; None when no row has a usable date.
    time_unit : {"hour", "day", "week"}
        Resolution of counting.
    holdout_months : int
        Months held out at the end.

    Returns
    -------
    dict
        The facts of `CheckReport.facts`.
    """
    end = end or datetime.date.today()
    table = _with_reason(findings.mapping.table, len(findings.mapping.filters), end)
    counts = _count_conditions(table)
    findings.rows = int(counts["rows"].sum())
    if findings.rows == 0:
        findings.add("empty", "", "the table has no rows", "export it again, with its rows.", fatal=True)
        return {"rows_used": 0}
    _report_filters(findings, counts)
    _report_dropped(findings, counts, end)
    if "used" not in counts.index:
        _report_nothing_left(findings, counts, end)
        return {"rows_used": 0}
    used = counts.loc["used"]
    usable = findings.mapping.passing
    usable = usable_transactions(usable, end)
    _report_ids(findings, usable, used)
    _report_values(findings, usable, used)
    _report_offsets(findings, usable, used)
    return check_history(findings, used, end, time_unit, holdout_months)


def _with_reason(table: ir.Table, filters: int, end: datetime.date) -> ir.Table:
    failed = [(~table[f"{KEPT}{i}"], f"filter_{i}") for i in range(filters)]
    reason = transaction_reason(table, end).fill_null("used")
    return table.mutate(reason=ibis.cases(*failed, else_=reason) if failed else reason)


def _count_conditions(table: ir.Table) -> pd.DataFrame:
    """Count every condition in one pass, by the reason for which rows are dropped (``used`` when they are not)."""
    value, positive = table.value, table.value > 0
    finite = value.notnull() & ~value.isnan() & ~value.isinf()
    log = ibis.ifelse(positive & finite, value, 1.0).ln()
    measures = {
        "rows": table.count(),
        "money": value.sum(where=finite),
        "zero": (value == 0).sum(),
        "negative": (value < 0).sum(),
        "negative_money": value.sum(where=finite & (value < 0)),
        "positive": (positive & finite).sum(),
        "log_mean": log.mean(where=positive & finite),
        "log_sd": log.std(where=positive & finite, how="pop"),
        "first": table.date.min(),
        "last": table.date.max(),
    }
    if f"date{RAW}" in table.columns:
        measures["offsets"] = table[f"date{RAW}"].re_search(OFFSET).sum()
    if f"customer_id{RAW}" in table.columns:
        raw = table[f"customer_id{RAW}"]
        measures["padded"] = is_padded(raw).sum()
        measures["float_ids"] = is_float_text(strip(raw)).sum()
    frame = table.group_by("reason").agg(**measures).execute().set_index("reason")
    numbers = [name for name in frame.columns if name not in ("first", "last")]
    return frame.assign(**{name: frame[name].astype("float64").fillna(0.0) for name in numbers})


def _report_filters(findings: Findings, counts: pd.DataFrame) -> None:
    for i, text in enumerate(findings.mapping.filters):
        if f"filter_{i}" in counts.index:
            row = counts.loc[f"filter_{i}"]
            findings.add(
                "filtered",
                "",
                f"the row filter “{text}” leaves out {{rows}}",
                "left out, as the portfolio file says.",
                rows=int(row["rows"]),
                money=float(row["money"]),
            )


def _report_dropped(findings: Findings, counts: pd.DataFrame, end: datetime.date) -> None:
    reason = transaction_reason(findings.mapping.passing, end)
    supplied = sum(int(n) for reason, n in counts["rows"].items() if not str(reason).startswith("filter_"))
    for kind, (column, message, treatment) in _DROPPED.items():
        if kind not in counts.index:
            continue
        rows, money = int(counts.loc[kind, "rows"]), float(counts.loc[kind, "money"])
        mostly = kind.startswith("unparsable") and rows > _MOSTLY * supplied
        findings.add(
            kind,
            column,
            message.replace("{end}", str(end)) + (", most of the table: the mapping is likely wrong" if mostly else ""),
            treatment.removeprefix("dropped; to keep them, ") if mostly else treatment,
            rows=rows,
            money=None if column == "value" else money,
            where=reason == kind,
            fatal=mostly,
        )


def _report_nothing_left(findings: Findings, counts: pd.DataFrame, end: datetime.date) -> None:
    future = counts["rows"].get("future_date", 0.0)
    if future and future >= _MOSTLY * counts["rows"].sum():
        first = counts.loc["future_date", "first"]
        findings.add(
            "end_before_first",
            "date",
            f"the end of observation, {end}, lies before the first usable date, {first:%Y-%m-%d}",
            "correct end_of_observation in [portfolio], or leave it out to observe until the last date.",
            fatal=True,
        )
        return
    findings.add(
        "no_usable_rows",
        "",
        f"no usable row is left of {count_words(findings.rows, 'row')}",
        "correct the mapping, the filters or the table; the other problems say which rows were dropped and why.",
        fatal=True,
    )


def _report_ids(findings: Findings, usable: ir.Table, used: pd.Series) -> None:
    if findings.mapping.float_ids and "customer_id" in findings.mapping.float_ids:
        findings.add(
            "float_ids",
            "customer_id",
            "customer ids are supplied as floating-point numbers, such as 17850.0",
            'read as whole numbers, such as "17850".',
        )
    if used.get("float_ids", 0):
        findings.add(
            "float_ids",
            "customer_id",
            "{rows} hold a customer id written as a floating-point number, such as 17850.0",
            'read as whole numbers, such as "17850".',
            rows=int(used.get("float_ids", 0)),
        )
    if used.get("padded", 0):
        raw = usable[f"customer_id{RAW}"]
        findings.add(
            "padded_ids",
            "customer_id",
            "{rows} hold a customer id with space around it",
            "the space is removed, so that “ A1” and “A1” are one customer.",
            rows=int(used.get("padded", 0)),
            where=is_padded(raw),
            among=usable,
        )


def _report_values(findings: Findings, usable: ir.Table, used: pd.Series) -> None:
    value = usable.value
    if used["zero"]:
        findings.add(
            "zero_value",
            "value",
            "{rows} have the value zero",
            "kept; a day on which a customer has nothing else is a purchase of value zero. To leave them out, add the "
            'row filter "value <> 0" in the terms of your columns.',
            rows=int(used["zero"]),
            where=value == 0,
            among=usable,
        )
    if used["negative"]:
        findings.add(
            "negative_value",
            "value",
            "{rows} have a negative value: returns or cancellations",
            "netted against the purchases of the same customer and day; later returns count as returned money and "
            "lower the value of a purchase.",
            rows=int(used["negative"]),
            money=float(used["negative_money"]),
            where=value < 0,
            among=usable,
        )
    limit = math.exp(min(used["log_mean"] + _OUTLIER_SD * used["log_sd"], 700.0))
    if used["positive"] >= 30 and used["log_sd"] > 0:
        _report_outliers(findings, usable, limit, math.exp(used["log_mean"]))


def _report_outliers(findings: Findings, usable: ir.Table, limit: float, typical: float) -> None:
    large = usable.filter(usable.value > limit)
    found = large.agg(rows=large.count(), money=large.value.sum()).execute().iloc[0]
    if not found["rows"]:
        return
    findings.add(
        "outlier_value",
        "value",
        f"{{rows}} have an extraordinarily large value, above {findings.money(limit)}, where "
        f"{findings.money(typical)} is typical",
        "kept; if they are slips, correct them or leave them out with a row filter, since a few such rows move every "
        "average.",
        rows=int(found["rows"]),
        money=float(found["money"]),
        where=usable.value > limit,
        among=usable,
    )


def _report_offsets(findings: Findings, usable: ir.Table, used: pd.Series) -> None:
    offsets = int(used.get("offsets", 0))
    if not offsets:
        return
    raw = usable[f"date{RAW}"]
    zones = raw.re_extract(OFFSET, 1).nullif("").fill_null("none")
    kinds = usable.select(zone=zones).distinct().limit(20).execute()["zone"]
    if len(kinds) > 1:
        findings.add(
            "mixed_time_zones",
            "date",
            f"dates come in different time zones: {{rows}} name one ({', '.join(sorted(set(kinds) - {'none'})[:4])}), "
            "others name another or none",
            "converted to UTC, dates without a zone taken as UTC; a purchase near midnight may fall on another day.",
            rows=offsets,
            where=raw.re_search(OFFSET),
            among=usable,
        )
