"""The parts of the programs page: which programs worked and by how much, what nobody measured, what to test next."""

import pandas as pd

from cvmlib import plots
from cvmlib.programs.results import UnitResult
from cvmlib.reporting import programs_tables as tables
from cvmlib.reporting import programs_words as words
from cvmlib.reporting import show

PERIODS = 60
"""Periods of a regional test's course that are drawn, the test included."""


def show_verdict(unit: UnitResult) -> None:
    """Show how many programs work, and what limits what can be said."""
    level, headline = words.judge_page(unit.totals)
    show.verdict(level, headline, *words.list_reasons(unit.totals, unit.results))
    show.facts(words.list_facts(unit.totals))


def show_overview(unit: UnitResult) -> None:
    """Show margin back per unit of cost of every measured program, and all programs with their verdicts."""
    totals, results = unit.totals, unit.results
    sentence = words.describe_returns(results, totals)
    show.prose(show.text(sentence))
    table, formats = tables.overview_table(results, totals["currency"], totals["interval"])
    frame, title = tables.returns_frame(results), "Programs and their verdicts"
    if frame.empty:
        show.table(table, title, "programs", formats)
        return
    label = f"Margin back per {totals['currency']} spent"
    reference = words.name_hurdle(totals)
    ax = plots.forest(frame, label=label, reference=totals["hurdle"], reference_label=reference)
    caption = f"{label}, with {totals['interval']:.0%} intervals; the dashed line is what is {reference.split(':')[0]}."
    show.figure(
        ax.figure, sentence, frame.rename(columns=_FOREST), caption, "returns", dict.fromkeys(_BACK, "number:2")
    )
    show.table(table, title, "programs", formats)


_FOREST = {"name": "Program", "mean": "Margin back", "low": "from", "high": "to"}
_BACK = ("Margin back", "from", "to")


def show_reasons(unit: UnitResult) -> None:
    """Say of each program why it has its verdict."""
    show.prose(words.as_bullets(words.explain_verdicts(unit.results)))


def show_lifts(unit: UnitResult) -> None:
    """Show measured and pooled lifts, where programs were tested with a randomised holdout."""
    table, formats = tables.lift_table(unit.results, unit.totals["interval"])
    if table.empty:
        show.prose("No program was tested with a randomised holdout that could be read.")
        return
    show.table(table, "Lift of programs with a randomised holdout", "lifts", formats)


def show_value(unit: UnitResult) -> None:
    """Show what the change in predicted customer value adds."""
    totals = unit.totals
    show.prose(show.text(words.describe_value(unit.results, totals)))
    table, formats = tables.value_table(unit.results, totals["currency"], totals["interval"])
    if len(table):
        show.table(table, "Margin in the window and with customer value", "customer value", formats)


def show_regions(unit: UnitResult) -> None:
    """Show every regional test over time, and all of them in a table; nothing where there is none."""
    totals = unit.totals
    labels = unit.results.set_index("program_id")["label"]
    for program, course in unit.courses.groupby("program_id", sort=False):
        shown = course.tail(max(PERIODS, 2 * int(course["tested"].sum())))
        row = unit.results[unit.results["program_id"] == program]
        sentence = words.explain_verdicts(row)[0][1]
        began = shown.loc[shown["tested"].astype(bool), "date"].min()
        split = (began - pd.Timedelta(days=1)).date()
        ax = plots.tracking(shown, label=f"{labels[program]}: treated areas", split=split, interval=totals["interval"])
        caption = f"{labels[program]}: sales of the treated areas, and what the untreated ones let expect."
        table = tables.course_table(shown, totals["interval"])
        show.figure(ax.figure, sentence, table, caption, f"region {program}")
    table, formats = tables.region_table(unit.results, totals["interval"])
    if len(table):
        show.table(table, "Regional tests", "regional tests", formats)


def show_segments(unit: UnitResult) -> None:
    """Show which segments stand out after shrinkage."""
    labels = unit.results.set_index("program_id")["label"]
    segments = unit.segments.assign(label=unit.segments["program_id"].map(labels))
    show.prose(show.text(words.describe_segments(segments)))
    if len(segments):
        table, formats = tables.segment_table(segments, unit.totals["interval"])
        note = "Those furthest from their program first."
        show.table(table, "Lift by segment", "segments", formats, note, rows=10)


def show_scorecard(unit: UnitResult) -> None:
    """Show what each program was meant to do, what was counted, and who measured the link."""
    show.prose(show.text(words.describe_scorecard(unit.scorecard)))
    table, formats = tables.scorecard_table(unit.scorecard)
    show.table(table, "Intended and counted", "scorecard", formats)


def show_tests(unit: UnitResult) -> None:
    """Show the tests to run next, ranked by what knowing is worth."""
    show.prose(show.text(words.describe_tests(unit.tests, unit.totals)))
    table, formats = tables.tests_table(unit.tests, unit.totals["currency"])
    if len(table):
        note = "Worth below cost: not worth a test as things stand."
        show.table(table, "Tests to run next", "next tests", formats, note)
    if obstacles := words.list_obstacles(unit.tests):
        show.prose(words.as_bullets(obstacles))


def show_unknowns(unit: UnitResult) -> None:
    """List what the page leaves out or assumes."""
    show.prose("- " + "\n- ".join(show.text(line) for line in words.list_unknowns(unit.totals, unit.results)))
