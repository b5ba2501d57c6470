"""Checks of a transaction log as a whole: copies of rows, then customers and days, grouped in one query."""

import datetime
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from cvmlib.periods import start_of_period
from cvmlib.tables.cleaning import clean_transactions, repeated_rows, usable_transactions
from cvmlib.tables.findings import SHOWN, Findings, as_rows
from cvmlib.tables.problems import count_words
from cvmlib.tables.texts import strip


def check_history(
    findings: Findings, used: pd.Series, end: datetime.date, time_unit: str, holdout_months: int
) -> dict[str, Any]:
    """Find copies of rows, then group customers and days to see what the log as a whole can say.

    Parameters
    ----------
    findings : Findings
        Where problems are recorded.
    used : pandas.Series
        Counts over the rows that are not dropped one by one: ``rows``, ``first`` and ``last`` (timestamps).
    end : datetime.date
        Last day of the observation.
    time_unit : {"hour", "day", "week"}
        Resolution of counting.
    holdout_months : int
        Months held out at the end.

    Returns
    -------
    dict
        The facts of `CheckReport.facts`.
    """
    kept = findings.mapping.kept
    copies = _report_copies(findings, usable_transactions(kept, end))
    cleaned = clean_transactions(kept, end, deduplicate=copies > 0)
    totals = _customer_totals(cleaned, time_unit)
    first, last = used["first"].date(), used["last"].date()
    rows = int(used["rows"]) - copies
    _report_days(findings, totals, rows, time_unit)
    _report_log(findings, totals, first, last, end, holdout_months)
    return {
        "rows_used": rows,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "customers": int(totals["buyers"]),
        "repeat_customers": int(totals["repeaters"]),
        "bought": float(totals["bought"]),
        "returned": float(totals["returned"]),
    }


def _report_copies(findings: Findings, usable: ir.Table) -> int:
    repeated = repeated_rows(usable)
    found = repeated.agg(
        rows=(repeated.copies - 1).sum(), money=((repeated.copies - 1) * repeated.repeated_value).sum()
    )
    rows, money = found.execute().fillna(0).iloc[0]
    if rows:
        findings.add(
            "duplicate_rows",
            "",
            "{rows} repeat another row in every supplied column, with the same order number or time of day",
            "dropped: they are taken for copies, and one of each set is kept. To keep them, supply a line number.",
            rows=int(rows),
            money=float(money),
        )
        findings.problems[-1].first_rows.extend(_copies_shown(findings, usable, repeated))
    return int(rows)


def _copies_shown(findings: Findings, usable: ir.Table, repeated: ir.Table) -> list[dict[str, Any]]:

    key = [name for name in repeated.columns if name not in ("copies", "repeated_value")]
    shown = usable.semi_join(repeated.order_by(key).limit(SHOWN), key).select(*findings.mapping.columns[:6])
    return as_rows(shown.distinct().order_by(shown.columns).limit(SHOWN))


def _customer_totals(cleaned: ir.Table, time_unit: str) -> pd.Series:
    """Group customers and periods, then customers, then everything: one query, one row."""
    period = start_of_period(cleaned.date, time_unit)
    periods = cleaned.group_by("customer_id", period=period).agg(
        rows=cleaned.count(), net=cleaned.value.sum(), least=cleaned.value.min()
    )
    net = periods.net
    customers = periods.group_by("customer_id").agg(
        rows=periods.rows.sum(),
        periods=periods.count(),
        purchases=((net > 0) | (periods.least == 0)).sum(),
        bought=net.sum(where=net > 0),
        returned=(-net).sum(where=net < 0),
        smallest=net.min(where=net > 0),
        largest=net.max(where=net > 0),
    )
    totals = customers.agg(
        customers=customers.count(),
        folded=strip(customers.customer_id).lower().nunique(),
        buyers=(customers.purchases > 0).sum(),
        repeaters=(customers.purchases > 1).sum(),
        rows=customers.rows.sum(),
        periods=customers.periods.sum(),
        bought=customers.bought.sum(),
        returned=customers.returned.sum(),
        smallest=customers.smallest.min(),
        largest=customers.largest.max(),
    )
    return totals.execute().astype("float64").fillna(0.0).iloc[0]


def _report_days(findings: Findings, totals: pd.Series, rows: int, time_unit: str) -> None:
    repeats = int(totals["rows"] - totals["periods"])
    if repeats:
        findings.add(
            "same_day_repeats",
            "date",
            f"{{rows}} fall on a {time_unit} on which the same customer has a row already",
            f"summed: all rows of a customer and {time_unit} are one purchase.",
            rows=repeats,
        )
    if totals["returned"]:
        findings.add(
            "later_returns",
            "value",
            f"{findings.money(totals['returned'])} were returned on a later {time_unit} than the purchase, "
            f"{100 * totals['returned'] / max(totals['bought'], totals['returned']):.1f} % of the money bought",
            "counted as returned money, which lowers the value of a purchase.",
            money=float(totals["returned"]),
        )
    lonely = int(totals["customers"] - totals["buyers"])
    if lonely and totals["buyers"]:
        findings.add(
            "only_returns",
            "customer_id",
            f"{count_words(lonely, 'customer')} only returned, and bought nothing in the history",
            "left out of the customers; what they returned stays in the returned money.",
        )
    folded = int(totals["customers"] - totals["folded"])
    if folded:
        findings.add(
            "similar_ids",
            "customer_id",
            f"{count_words(folded, 'customer id')} {'differs' if folded == 1 else 'differ'} from another only by upper "
            "and lower case",
            'kept apart; if they are the same people, map customer_id = "lower(YOUR COLUMN)".',
        )


def _report_log(
    findings: Findings,
    totals: pd.Series,
    first: datetime.date,
    last: datetime.date,
    end: datetime.date,
    holdout_months: int,
) -> None:
    """Report what the log as a whole cannot say."""
    if not totals["buyers"]:
        findings.add(
            "no_purchases",
            "value",
            "no customer has a purchase: every day nets to a return",
            "check the sign of value; a purchase is positive, a return negative.",
            fatal=True,
        )
        return
    if first == last:
        findings.add(
            "one_date",
            "date",
            f"all usable rows are dated {first}; a history needs more than one date",
            "check the mapping of date: it should be the day of each purchase, not the day of the export.",
            fatal=True,
        )
    if totals["customers"] == 1:
        findings.add(
            "one_customer",
            "customer_id",
            "all usable rows belong to one customer",
            "check the mapping of customer_id: it should tell customers apart.",
            fatal=True,
        )
    elif not totals["repeaters"]:
        findings.add(
            "all_one_time",
            "customer_id",
            f"none of {count_words(int(totals['buyers']), 'customer')} bought a second time",
            "the customer page is built; a value model needs repeat purchases. Check that customer_id names the "
            "customer, not the order.",
            blocks=("value",),
        )
    _report_spend_and_span(findings, totals, first, last, end, holdout_months)


def _report_spend_and_span(
    findings: Findings,
    totals: pd.Series,
    first: datetime.date,
    last: datetime.date,
    end: datetime.date,
    holdout_months: int,
) -> None:
    if totals["buyers"] > 1 and 0 < totals["smallest"] == totals["largest"]:
        findings.add(
            "constant_value",
            "value",
            f"every purchase is worth the same, {findings.money(totals['smallest'])}",
            "spend is taken as that constant; check that value is the money of the purchase.",
        )
    span, idle = (end - first).days, (end - last).days
    if idle > max(31, 0.1 * span):
        findings.add(
            "idle_end",
            "date",
            f"the last usable date is {last}, {idle} days before the end of observation, {end}",
            "kept; the silence counts as customers not buying. If the export ends earlier, correct end_of_observation.",
        )
    if first < last and 0 < span <= holdout_months * 30.4375:
        findings.add(
            "short_history",
            "date",
            f"the history of {span} days is no longer than the {holdout_months} months held out to validate",
            "no validation on held-out months; lower holdout_months in [portfolio].",
            blocks=("holdout",),
        )
