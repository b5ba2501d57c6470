"""Checks of programs and assignments together: who was treated, when, by what, and whether it can be compared."""

import datetime

import ibis
import ibis.expr.types as ir

from cvmlib.tables.findings import as_rows
from cvmlib.tables.mapping import Mapping
from cvmlib.tables.problems import Problem, count_words

EVERY_PROGRAM = "*"
NEWCOMERS = ("acquisition", "conversion")
SHOWN = 3


def check_programs(unit: str, mappings: dict[str, Mapping], end: datetime.date | None) -> list[Problem]:
    """Check that a unit's programs and assignments can be compared with each other and with its customers.

    Parameters
    ----------
    unit : str
        Name of the unit.
    mappings : dict of str to Mapping
        Its tables.
    end : datetime.date or None
        End of observation.

    Returns
    -------
    list of Problem
        All tolerable.
    """
    if "programs" not in mappings:
        return []
    programs = mappings["programs"].kept.filter(lambda t: t.program_id.notnull())
    problems = [*_costs(unit, programs), *_dates(unit, programs, end)]
    if "media" not in mappings:
        problems += _lone_channels(unit, programs)
    if "assignments" not in mappings:
        return problems
    drawn = mappings["assignments"].kept
    drawn = drawn.filter(
        drawn.program_id.notnull(), drawn.customer_id.notnull(), drawn.arm.isin(["treated", "control"])
    )
    problems += _unknown(unit, drawn, programs)
    problems += _both_arms(unit, drawn)
    problems += _empty_arms(unit, drawn, programs)
    problems += _early(unit, drawn, programs)
    problems += _overlaps(unit, drawn, programs)
    if "customers" in mappings and "acquired_on" in mappings["customers"].columns:
        problems += _strangers(unit, drawn, programs, mappings["customers"].kept)
    return problems


def _problem(
    unit: str, table: str, column: str, kind: str, found: ir.Table, message: str, treatment: str, noun: str
) -> list[Problem]:
    """Return a problem with the count and the first rows of `found`; none if there are none."""
    rows = int(found.count().execute())
    if not rows:
        return []
    first = as_rows(found.order_by(list(found.columns)).limit(SHOWN))
    words = message.replace("{n}", count_words(rows, noun)).replace("{are}", "is" if rows == 1 else "are")
    words = words.replace("{have}", "has" if rows == 1 else "have").replace("{s}", "s" if rows == 1 else "")
    return [Problem(unit, table, column, kind, False, words, treatment, rows, first_rows=first)]


def _costs(unit: str, programs: ir.Table) -> list[Problem]:
    missing = programs.filter(programs.cost.isnull()) if "cost" in programs.columns else programs
    found = missing.select("program_id", "label").distinct()
    return _problem(
        unit, "programs", "cost", "missing_cost", found,
        "{n} {have} no cost",
        "their effect is told, but no return and no verdict that rests on it; supply what each cost in all.",
        "program",
    )  # fmt: skip


def _lone_channels(unit: str, programs: ir.Table) -> list[Problem]:
    """Programs that varied a channel of media that the unit does not supply."""
    if "media_channel" not in programs.columns:
        return []
    found = programs.filter(programs.media_channel.notnull()).select("program_id", "media_channel").distinct()
    return _problem(
        unit, "programs", "media_channel", "no_media", found,
        "{n} name{s} a channel of media, but the unit supplies no media",
        "there is no media mix that it could calibrate; supply media and outcomes.", "program",
    )  # fmt: skip


def _dates(unit: str, programs: ir.Table, end: datetime.date | None) -> list[Problem]:
    problems = []
    if "end" in programs.columns:
        found = programs.filter(programs["end"] < programs.start).select("program_id", "start", "end")
        problems += _problem(
            unit, "programs", "end", "end_before_start", found,
            "{n} end{s} before the start", "the end is not used; correct it.", "program",
        )  # fmt: skip
    if end is not None:
        closing = ibis.literal(datetime.datetime.combine(end, datetime.time()), type="timestamp")
        found = programs.filter(programs.start >= closing).select("program_id", "start")
        problems += _problem(
            unit, "programs", "start", "no_outcome_yet", found,
            f"{{n}} start{{s}} on the end of observation, {end}, or later: every outcome on record lies before the "
            f"start",
            "not measured; look again when the outcomes have come in.", "program",
        )  # fmt: skip
    return problems


def _unknown(unit: str, drawn: ir.Table, programs: ir.Table) -> list[Problem]:
    named = drawn.filter(drawn.program_id != EVERY_PROGRAM).select("program_id").distinct()
    found = named.anti_join(programs.select("program_id").distinct(), "program_id")
    return _problem(
        unit, "assignments", "program_id", "unknown_programs", found,
        "{n} in assignments {are} absent from programs",
        "its assignments are left out; add it to programs.", "program",
    )  # fmt: skip


def _both_arms(unit: str, drawn: ir.Table) -> list[Problem]:
    arms = drawn.group_by("program_id", "customer_id").agg(arms=drawn.arm.nunique())
    found = arms.filter(arms.arms > 1).select("program_id", "customer_id")
    return _problem(
        unit, "assignments", "arm", "both_arms", found,
        "{n} {are} both treated and held back in one program",
        "left out of that program; check how the arms were recorded.", "customer",
    )  # fmt: skip


def _empty_arms(unit: str, drawn: ir.Table, programs: ir.Table) -> list[Problem]:
    shared = bool(drawn.filter(drawn.program_id == EVERY_PROGRAM).count().execute())
    arms = drawn.group_by("program_id").agg(
        treated=(drawn.arm == "treated").sum(), control=(drawn.arm == "control").sum()
    )
    lone = (arms.treated == 0) if shared else (arms.treated == 0) | (arms.control == 0)
    arms = arms.filter(lone, arms.program_id != EVERY_PROGRAM)
    if "design" in programs.columns:  # whoever says that there was no test is not told so
        arms = arms.anti_join(programs.filter(programs.design == "none").select("program_id"), "program_id")
    return _problem(
        unit, "assignments", "arm", "empty_arm", arms,
        "{n} {have} one empty arm",
        "nothing can be said about what it caused; hold customers back at random next time.", "program",
    )  # fmt: skip


def _early(unit: str, drawn: ir.Table, programs: ir.Table) -> list[Problem]:
    if "assigned_on" not in drawn.columns:
        return []
    dated = drawn.inner_join(programs.select("program_id", "start"), "program_id")
    found = dated.filter(dated.assigned_on.truncate("D") < dated.start.truncate("D"))
    found = found.select("program_id", "customer_id", "assigned_on", "start")
    return _problem(
        unit, "assignments", "assigned_on", "before_start", found,
        "{n} {are} dated before the start of the program",
        "outcomes count from the start of the program, not from before it.", "assignment",
    )  # fmt: skip


def _overlaps(unit: str, drawn: ir.Table, programs: ir.Table) -> list[Problem]:
    """Customers treated by two programs that ran at the same time."""
    ends = programs["end"] if "end" in programs.columns else ibis.null("timestamp")
    spans = programs.select("program_id", first="start", last=ends.fill_null(programs.start + ibis.interval(days=90)))
    other = spans.select(other_id="program_id", other_first="first", other_last="last")
    pairs = spans.cross_join(other)
    pairs = pairs.filter(
        pairs.program_id < pairs.other_id, pairs["first"] <= pairs.other_last, pairs.other_first <= pairs["last"]
    ).select("program_id", "other_id")
    treated = drawn.filter(drawn.arm == "treated").select("program_id", "customer_id").distinct()
    twice = treated.select(other_id="program_id", customer_id="customer_id")
    met = treated.inner_join(pairs, "program_id").inner_join(twice, ["other_id", "customer_id"])
    counts = met.group_by("program_id", "other_id").agg(customers=met.count())
    top = counts.order_by(counts.customers.desc(), counts.program_id, counts.other_id).limit(SHOWN).to_pandas()
    if top.empty:
        return []
    number = int(met.customer_id.nunique().execute())
    named = "; ".join(f"{row.program_id} and {row.other_id} ({row.customers:,})" for row in top.itertuples())
    message = (
        f"{count_words(number, 'customer')} {'was' if number == 1 else 'were'} treated by programs that ran at the "
        f"same "
        f"time: {named}"
    )
    treatment = (
        "kept; a lift is then that of one program where the other runs too, and is not distorted as long as the arms "
        "of "
        "each were drawn without regard to the other."
    )
    return [Problem(unit, "assignments", "customer_id", "overlapping_assignments", False, message, treatment, number)]


def _strangers(unit: str, drawn: ir.Table, programs: ir.Table, customers: ir.Table) -> list[Problem]:
    """Customers treated or held back before they were customers, by programs that are not to win new ones."""
    begun = drawn.inner_join(
        programs.filter(~programs.intended_outcome.isin(NEWCOMERS)).select("program_id", "start"), "program_id"
    )
    began = (
        ibis.greatest(begun.assigned_on.fill_null(begun.start), begun.start)
        if "assigned_on" in drawn.columns
        else begun.start
    )
    begun = begun.select("program_id", "customer_id", began=began)
    met = begun.inner_join(customers.select("customer_id", "acquired_on"), "customer_id")
    found = met.filter(met.acquired_on.truncate("D") > met.began)
    found = found.select("program_id", "customer_id", "began", "acquired_on")
    return _problem(
        unit, "assignments", "customer_id", "treated_before_acquired", found,
        "{n} {are} dated before the customer was acquired",
        "left out, in both arms; check customers.acquired_on and that both tables use the same identifiers.",
        "assignment",
    )  # fmt: skip
