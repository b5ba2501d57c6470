"""Programs x arms x segments -> customers, sums, sums of squares: every estimator runs from these counts.

The engine that holds the tables finds what each assigned customer brought in the program's window and in the equal
period before it, and groups customers of one program, arm and segment into one row. Nothing later sees a customer.
"""

from collections.abc import Callable, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from cvmlib.tables.cleaning import day_after

EVERY_PROGRAM = "*"
"""Program of a control customer who is held back from every program."""

NEWCOMERS = ("acquisition", "conversion")
"""Intended outcomes of programs whose customers may come into being after the assignment."""

WINDOW_DAYS = 90.0
"""Days over which an outcome counts where the program does not say."""

AddOutcomes = Callable[[ir.Table, ir.Table, date], ir.Table]
DAY = 86_400.0
MONTH_DAYS = 30.4375
MOST_LEVELS = 12
MOMENTS = ("customers", "buyers", "y1", "y2", "y3", "y4", "x1", "x2", "xy", "v1", "v2", "vy", "vx", "by", "bx")
"""Sums over customers: of buyers (b); of powers of y (money in the window), x (money before), v (predicted value)."""


def assign_customers(assignments: ir.Table, programs: ir.Table) -> ir.Table:
    """One row per program and customer whose arm is known and the same in every row.

    A control customer of the program ``*`` (a universal holdout) becomes a control of every program with assignments.

    Parameters
    ----------
    assignments, programs : ibis Table
        Mapped tables, see `cvmlib.tables.contracts`; one row per program.

    Returns
    -------
    ibis Table
        program_id, customer_id, arm, began (timestamp: when drawn, but not before the program starts), window (days),
        intended and, where supplied, segment, outcome, before, converted.
    """
    known = assignments.filter(
        assignments.program_id.notnull(),
        assignments.customer_id.notnull(),
        assignments.arm.isin(["treated", "control"]),
    )
    named = known.filter(known.program_id != EVERY_PROGRAM)
    shared = known.filter(known.program_id == EVERY_PROGRAM, known.arm == "control").drop("program_id")
    tested = named.select("program_id").distinct()
    rows = named.union(shared.cross_join(tested).select(*named.columns))
    optional = [name for name in ("segment", "outcome", "before", "converted") if name in rows.columns]
    assigned = rows.assigned_on.min() if "assigned_on" in rows.columns else ibis.null("timestamp")
    firsts = {name: rows[name].min() for name in optional}
    one = rows.group_by("program_id", "customer_id").agg(
        arm=rows.arm.min(), arms=rows.arm.nunique(), assigned=assigned, **firsts
    )
    one = one.filter(one.arms == 1).drop("arms")
    known_programs = programs.filter(programs.start.notnull())
    days = known_programs.window_days if "window_days" in programs.columns else ibis.null("float64")
    known_programs = known_programs.select(
        "program_id", "start", intended="intended_outcome", window=ibis.greatest(days.fill_null(WINDOW_DAYS), 1.0)
    )
    joined = one.inner_join(known_programs, "program_id")
    began = ibis.greatest(joined.assigned.fill_null(joined.start), joined.start)
    return joined.mutate(began=began).drop("assigned", "start")


def leave_out_strangers(assigned: ir.Table, customers: ir.Table | None) -> ir.Table:
    """Leave out customers acquired only after their assignment, but for programs that are to bring new ones."""
    if customers is None or "acquired_on" not in customers.columns:
        return assigned
    dated = customers.filter(customers.acquired_on.notnull()).select("customer_id", acquired=customers.acquired_on)
    later = assigned.inner_join(dated, "customer_id")
    later = later.filter(later.acquired.truncate("D") > later.began, ~later.intended.isin(NEWCOMERS))
    return assigned.anti_join(later.select("program_id", "customer_id"), ["program_id", "customer_id"])


def add_purchases(assigned: ir.Table, transactions: ir.Table, end: date) -> ir.Table:
    """Add what each customer bought in the window (y) and in as many days before it (x), and whether he bought.

    Parameters
    ----------
    assigned : ibis Table
        From `assign_customers`.
    transactions : ibis Table
        Clean transactions: customer_id, date, value (money; returns are negative).
    end : datetime.date
        Last day of the observation, which may cut the window.
    """
    log = transactions.select("customer_id", "date", "value")
    met = assigned.select("program_id", "customer_id", "began", "window").inner_join(log, "customer_id")
    seconds = (met.date.epoch_seconds() - met.began.epoch_seconds()).cast("float64")
    span = met.window * DAY
    met = met.mutate(after=seconds >= 0).filter(seconds < span, seconds >= -span, met.date < day_after(end))
    sums = met.group_by("program_id", "customer_id").agg(
        y=met.value.sum(where=met.after), x=met.value.sum(where=~met.after)
    )
    # A purchase and its return leave nothing, whatever the order in which an engine adds them.
    return _join_sums(assigned, sums, lambda rows: (rows.y.round(6) > 0).cast("float64"))


def add_fees(assigned: ir.Table, subscriptions: ir.Table, end: date) -> ir.Table:
    """Add the fees of each subscriber in the window (y) and before it (x), and whether he was there at its end.

    Fees accrue by the day, ``price / 30.4375``. Parameters as for `add_purchases`, with clean subscriptions.
    """
    contracts = subscriptions.select("customer_id", "start", "end", "price")
    met = assigned.select("program_id", "customer_id", "began", "window").inner_join(contracts, "customer_id")
    begins, closing = met.began.epoch_seconds().cast("float64"), _seconds(end)
    first, span = met.start.epoch_seconds().cast("float64"), met.window * DAY
    last = met["end"].epoch_seconds().cast("float64").fill_null(closing + 36_525 * DAY)
    stops = ibis.least(begins + span, ibis.literal(closing))
    met = met.mutate(
        y=_overlap(first, last, begins, stops) / DAY * met.price / MONTH_DAYS,
        x=_overlap(first, last, begins - span, begins) / DAY * met.price / MONTH_DAYS,
        there=((first < stops) & (last >= stops)).cast("float64"),
    )
    sums = met.group_by("program_id", "customer_id").agg(y=met.y.sum(), x=met.x.sum(), there=met.there.max())
    return _join_sums(assigned, sums, lambda rows: rows.there.fill_null(0.0))


def _seconds(end: date) -> float:
    """Seconds from 1970 to the first instant after a day."""
    return ((end - date(1970, 1, 1)).days + 1) * DAY


def _overlap(first: ir.Value, last: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
    return ibis.greatest(ibis.least(last, high) - ibis.greatest(first, low), 0.0)


def _join_sums(assigned: ir.Table, sums: ir.Table, success: Callable[[ir.Table], ir.Value]) -> ir.Table:
    keys = ["program_id", "customer_id"]
    rows = assigned.left_join(sums, keys, rname="{name}_found").drop("program_id_found", "customer_id_found")
    rows = rows.mutate(y=rows.y.fill_null(0.0), x=rows.x.fill_null(0.0))
    converted = _finite(rows.converted) if "converted" in assigned.columns else success(rows)
    return rows.mutate(converted=converted)


def take_outcomes(assigned: ir.Table) -> ir.Table:
    """Take what each customer brought from the assignments' own columns; what is not supplied is zero.

    Without ``outcome``, a conversion is the outcome itself. Without ``converted``, money above zero is a conversion.
    """
    has = set(assigned.columns)
    money = _finite(assigned.outcome if "outcome" in has else assigned.converted)
    success = _finite(assigned.converted) if "converted" in has else (money > 0).cast("float64")
    before = _finite(assigned.before) if "before" in has else ibis.literal(0.0)
    return assigned.mutate(y=money, x=before, converted=success)


def _finite(value: ir.NumericValue) -> ir.NumericValue:
    return ibis.ifelse(value.isnan() | value.isinf(), 0.0, value).fill_null(0.0)


def add_segments(rows: ir.Table, customers: ir.Table | None) -> tuple[ir.Table, list[str]]:
    """Add the customer's text covariates with 2 to 12 levels, and name all columns by which uplift can be told apart.

    Parameters
    ----------
    rows : ibis Table
        From `add_purchases`, `add_fees` or `take_outcomes`; a ``segment`` column counts as one.
    customers : ibis Table or None
        One row per customer.
    """
    known = [name for name in ("segment",) if name in rows.columns]
    if customers is not None:
        taken = {"customer_id", "acquired_on", "acquisition_cost", "referred_by", *rows.columns}
        texts = [n for n, kind in customers.schema().items() if kind.is_string() and n not in taken]
        levels = (
            customers.agg(**{name: customers[name].nunique() for name in texts}).to_pandas().iloc[0] if texts else {}
        )
        texts = [name for name in texts if 2 <= levels[name] <= MOST_LEVELS]
        keyed = customers.select("customer_id", *texts)
        rows = rows.left_join(keyed, "customer_id", rname="{name}_of").drop("customer_id_of") if texts else rows
        known += texts
    return rows, known


def count_arms(rows: ir.Table, dimensions: Sequence[str] = (), values: ir.Table | None = None) -> pd.DataFrame:
    """Group customers of one program, arm and segment into one row of sums.

    Parameters
    ----------
    rows : ibis Table
        program_id, customer_id, arm, y, x, converted, and the columns of `dimensions`.
    dimensions : sequence of str
        Columns by which customers are also told apart, one at a time.
    values : ibis Table, optional
        customer_id and value: what each customer is predicted to bring later (margin).

    Returns
    -------
    DataFrame
        program_id, arm, dimension and level (empty for all customers), and `MOMENTS`.
    """
    if values is None:
        rows = rows.mutate(v=ibis.literal(0.0))
    else:
        kept = values.group_by("customer_id").agg(v=values.value.sum().cast("float64"))
        rows = rows.left_join(kept, "customer_id", rname="{name}_valued").drop("customer_id_valued")
        rows = rows.mutate(v=rows.v.fill_null(0.0))
    frames = [_group(rows, "", ibis.literal(""))]
    frames += [_group(rows, name, rows[name].cast("string").fill_null("not known")) for name in dimensions]
    counts = pd.concat(frames, ignore_index=True)
    keys = ["program_id", "dimension", "level", "arm"]
    return counts.sort_values(keys, ignore_index=True)[[*keys, *MOMENTS]]


def _group(rows: ir.Table, dimension: str, level: ir.StringValue) -> pd.DataFrame:
    rows = rows.mutate(level=level)
    y, x, v, b = (rows[name].cast("float64") for name in ("y", "x", "v", "converted"))
    grouped = rows.group_by("program_id", "arm", "level").agg(
        customers=rows.count().cast("float64"),
        buyers=b.sum(),
        y1=y.sum(), y2=(y * y).sum(), y3=(y * y * y).sum(), y4=(y * y * y * y).sum(),
        x1=x.sum(), x2=(x * x).sum(), xy=(x * y).sum(),
        v1=v.sum(), v2=(v * v).sum(), vy=(v * y).sum(), vx=(v * x).sum(), by=(b * y).sum(), bx=(b * x).sum(),
    )  # fmt: skip
    return grouped.to_pandas().assign(dimension=dimension)


def measure_baseline(log: ir.Table, add: AddOutcomes, end: date) -> dict[str, float]:
    """Measure what customers bring over the last 90 days without regard to any program.

    Parameters
    ----------
    log : ibis Table
        Clean transactions or subscriptions.
    add : callable
        `add_purchases` or `add_fees`.
    end : datetime.date
        Last day of the observation.

    Returns
    -------
    dict
        customers (known before), mean and spread (money per customer), explained (share of the variance that the 90
        days before explain).
    """
    began = ibis.literal(pd.Timestamp(end) - pd.Timedelta(days=WINDOW_DAYS - 1), type="timestamp")
    dated = log.date if "date" in log.columns else log.start
    known = log.filter(dated < began).select("customer_id").distinct()
    everyone = known.mutate(program_id=ibis.literal(EVERY_PROGRAM), began=began, window=ibis.literal(WINDOW_DAYS))
    rows = add(everyone, log, end).mutate(arm=ibis.literal("control"))
    found = count_arms(rows)
    if found.empty:
        return {"customers": 0.0, "mean": 0.0, "spread": 0.0, "explained": 0.0}
    n, y1, y2, x1, x2, xy = (float(found[name].iloc[0]) for name in ("customers", "y1", "y2", "x1", "x2", "xy"))
    yy, xx, xy = y2 - y1**2 / n, x2 - x1**2 / n, xy - x1 * y1 / n
    explained = xy**2 / (xx * yy) if xx > 0 and yy > 0 else 0.0
    return {"customers": n, "mean": y1 / n, "spread": (max(yy, 0.0) / n) ** 0.5, "explained": explained}
