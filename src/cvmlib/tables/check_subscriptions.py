"""Checks of subscriptions: contracts with a start and, once ended, an end."""

import datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from cvmlib.tables.cleaning import clean_subscriptions, day_after, subscription_reason
from cvmlib.tables.contracts import CONTRACTS
from cvmlib.tables.findings import Findings
from cvmlib.tables.mapping import KEPT
from cvmlib.tables.problems import count_words

_DROPPED = {
    "missing_customer_id": ("customer_id", "{rows} have no customer id", "dropped: they belong to nobody."),
    "missing_start": ("start", "{rows} have no start", "dropped."),
    "unparsable_start": ("start", "{rows} hold a start that cannot be read as a date", "dropped."),
    "implausible_start": ("start", "{rows} start before 1900", "dropped: such dates are slips or placeholders."),
    "unparsable_end": ("end", "{rows} hold an end that cannot be read as a date", "dropped."),
    "implausible_end": ("end", "{rows} end before 1900", "dropped: such dates are slips or placeholders."),
    "missing_price": ("price", "{rows} have no price", "dropped."),
    "unparsable_price": ("price", "{rows} hold a price that is no number", "dropped."),
    "nonfinite_price": ("price", "{rows} hold a price that is not a finite number", "dropped."),
    "future_start": ("start", "{rows} start after the end of observation, {end}", "dropped."),
    "end_before_start": ("end", "{rows} end before the start", "dropped."),
    "negative_price": ("price", "{rows} have a negative price", "dropped."),
}

_SNAPSHOT = 20  # contracts that all end on one day are no coincidence


def check_subscriptions(findings: Findings, end: datetime.date | None) -> dict[str, Any]:
    """Check mapped subscriptions and record what is found.

    Parameters
    ----------
    findings : Findings
        Where problems are recorded.
    end : datetime.date or None
        Last day of the observation; None when no row has a usable date.

    Returns
    -------
    dict
        The facts of `CheckReport.facts`.
    """
    end = end or datetime.date.today()
    mapped = findings.mapping.table
    reason = _reason(mapped, len(findings.mapping.filters), end)
    counts = mapped.group_by(reason=reason).agg(rows=mapped.count()).execute().set_index("reason")["rows"]
    findings.rows = int(counts.sum())
    if findings.rows == 0:
        findings.add("empty", "", "the table has no rows", "export it again, with its rows.", fatal=True)
        return {"rows_used": 0}
    for i, text in enumerate(findings.mapping.filters):
        if f"filter_{i}" in counts.index:
            message = f"the row filter “{text}” leaves out {{rows}}"
            rows = int(counts[f"filter_{i}"])
            findings.add("filtered", "", message, "left out, as the portfolio file says.", rows=rows)
    dropped = subscription_reason(findings.mapping.passing, end)
    for kind, (column, message, treatment) in _DROPPED.items():
        if kind in counts.index:
            rows = int(counts[kind])
            findings.add(kind, column, message.replace("{end}", str(end)), treatment, rows=rows, where=dropped == kind)
    if "used" not in counts.index:
        message = f"no usable row is left of {count_words(findings.rows, 'row')}"
        remedy = "correct the mapping, the filters or the table; the other problems say why rows were dropped."
        findings.add("no_usable_rows", "", message, remedy, fatal=True)
        return {"rows_used": 0}
    return _check_contracts(findings, end, int(counts["used"]))


def _reason(table: ir.Table, filters: int, end: datetime.date) -> ir.StringValue:
    reason = subscription_reason(table, end).fill_null("used")
    failed = [(~table[f"{KEPT}{i}"], f"filter_{i}") for i in range(filters)]
    return ibis.cases(*failed, else_=reason) if failed else reason


def _check_contracts(findings: Findings, end: datetime.date, used: int) -> dict[str, Any]:
    cleaned = clean_subscriptions(findings.mapping.kept, end)
    far = ibis.literal(datetime.datetime(9999, 12, 31), type="timestamp")
    earlier = ibis.window(group_by="customer_id", order_by=["start", "end"], preceding=(None, 1))
    before = cleaned.end.fill_null(far).max().over(earlier)
    marked = cleaned.mutate(overlaps=(before > cleaned.start).fill_null(False))
    allowed = CONTRACTS["subscriptions"].column_by_name["end_reason"].allowed
    measures = {}
    if "end_reason" in marked.columns:
        measures["strange"] = (marked.end_reason.notnull() & ~marked.end_reason.isin(allowed)).sum()
    totals = marked.agg(
        rows=marked.count(),
        customers=marked.customer_id.nunique(),
        running=marked.end.isnull().sum(),
        overlaps=marked.overlaps.sum(),
        first=marked.start.min(),
        last=marked.start.max(),
        first_end=marked.end.min(),
        last_end=marked.end.max(),
        free=(marked.price == 0).sum(),
        **measures,
    )
    found = totals.execute().iloc[0]
    _report_contracts(findings, found, used, allowed, end)
    return {
        "rows_used": int(found["rows"]),
        "customers": int(found["customers"]),
        "running": int(found["running"]),
        "first": found["first"].date().isoformat(),
        "last": max(x for x in (found["last"], found["last_end"]) if x == x and x is not None).date().isoformat(),
    }


def _report_contracts(findings: Findings, found: Any, used: int, allowed: tuple[str, ...], end: datetime.date) -> None:
    table = findings.mapping.passing
    if copies := used - int(found["rows"]):
        message, treatment = "{rows} repeat another row in every contract column", "dropped: one of each set is kept."
        findings.add("duplicate_rows", "", message, treatment, rows=copies)
    if found["overlaps"]:
        message = "{rows} begin while another contract of the same customer runs"
        treatment = "kept: each is a contract of its own, and a customer stays while any of them runs."
        findings.add("overlapping_spells", "start", message, treatment, rows=int(found["overlaps"]))
    late = table.end >= day_after(end)
    if rows := int(table.filter(late).count().execute()):
        message = f"{{rows}} end after the end of observation, {end}"
        treatment = "taken as still running: what comes later is not known at the end of observation."
        findings.add("future_end", "end", message, treatment, rows=rows, where=late)
    if found["free"]:
        message, treatment = "{rows} have the price zero", "kept; they retain, and are worth nothing."
        findings.add("zero_price", "price", message, treatment, rows=int(found["free"]), where=table.price == 0)
    if found.get("strange", 0):
        message = f"{{rows}} hold another end reason than {' or '.join(allowed)}"
        where = table.end_reason.notnull() & ~table.end_reason.isin(allowed)
        treatment = "kept, the reason as unknown; map the column with a CASE expression."
        findings.add("unknown_text", "end_reason", message, treatment, rows=int(found.get("strange", 0)), where=where)
    if found["customers"] == 1:
        remedy = "check the mapping of customer_id: it should tell customers apart."
        findings.add("one_customer", "customer_id", "all usable rows belong to one customer", remedy, fatal=True)
    if found["first"] == found["last"] and found["running"] == found["rows"]:
        message = f"all contracts start on {found['first']:%Y-%m-%d} and none has ended"
        remedy = "check the mapping of start and end; a history needs more than one date."
        findings.add("one_date", "start", message, remedy, fatal=True)
    elif found["first_end"] == found["last_end"] and found["rows"] - found["running"] >= _SNAPSHOT:
        message = f"all {{rows}} that have ended ended on one day, {found['last_end']:%Y-%m-%d}: a snapshot, no history"
        treatment = (
            "kept; how long customers stay can be told, but not when in the calendar they leave, whether that changes, "
            "nor how well a forecast would have done."
        )
        findings.add("snapshot", "end", message, treatment, rows=int(found["rows"] - found["running"]))
    elif found["running"] == found["rows"]:
        message = "no contract has ended, so nothing is known about leaving"
        remedy = "the customer page is built; check the mapping of end."
        findings.add("no_ends", "end", message, remedy, blocks=("value",))
