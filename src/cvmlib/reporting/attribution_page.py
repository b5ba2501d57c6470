"""The parts of the attribution page of a business unit."""

from dataclasses import dataclass

import pandas as pd

from cvmlib import plots
from cvmlib.attribution.prepare import UnitJourneys
from cvmlib.attribution.reconcile import find_disagreements
from cvmlib.attribution.study import CREDITS, Study
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import attribution_tables as tables
from cvmlib.reporting import attribution_words as words
from cvmlib.reporting import show

_DRAWN = ("first", "last", "markov", "shapley")


@dataclass(frozen=True)
class Comparison:
    """Methods side by side: their shares, where they disagree, and the names of all methods shown.

    Parameters
    ----------
    frame : DataFrame
        From `cvmlib.attribution.reconcile.reconcile`.
    found : DataFrame
        From `cvmlib.attribution.reconcile.find_disagreements`.
    names : dict of str to str
        Methods and what they are called.
    causes : tuple of str
        Methods that say what was caused, the most trusted first.
    """

    frame: pd.DataFrame
    found: pd.DataFrame
    names: dict[str, str]
    causes: tuple[str, ...]


def compare(
    study: Study, more: dict[str, pd.DataFrame] | None = None, names: dict[str, str] | None = None
) -> Comparison:
    """Set all methods of a study, and further ones, side by side.

    Parameters
    ----------
    study : Study
        The unit's study of its journeys.
    more : dict of str to DataFrame, optional
        Further methods that say what was caused, such as a media mix: channel, share, low, high (of all that was sold).
    names : dict of str to str, optional
        What those are called.
    """
    frame = tables.reconciled(study, more)
    causes = tuple(name for name in (*tables.CAUSES, *(more or {})) if name in set(frame["method"]))
    return Comparison(
        frame, find_disagreements(frame, CREDITS, causes), tables.method_names(study) | (names or {}), causes
    )


def show_verdict(study: Study, compared: Comparison, currency: str) -> None:
    """Show what marketing caused, or that nobody knows, and the headline numbers."""
    level, headline, reasons = words.judge(study, compared.found)
    show.verdict(level, headline, *reasons)
    show.facts(words.list_facts(study, currency))


def show_comparison(study: Study, compared: Comparison) -> None:
    """Show the shares of all methods, channel by channel."""
    text = words.describe_comparison(compared.found)
    show.prose(show.text(text))
    credited = {name: compared.names[name] for name in _DRAWN if name in compared.names}
    causes = {name: compared.names[name] for name in compared.causes}
    ax = plots.method_shares(compared.frame, credited, causes, spread=CREDITS)
    table = tables.side_by_side(compared.frame, compared.names)
    caption = f"Share of {study.notes['conversions']:,.0f} conversions by channel and method."
    show.figure(ax.figure, text, table, caption, "methods side by side", tables.shares_formats(table))


def show_disagreements(study: Study, compared: Comparison) -> None:
    """Show where methods disagree, with the likely reason, and which methods could not be used."""
    table = tables.disagreement_table(compared.found, compared.names)
    formats = tables.shares_formats(table)
    show.table(table, "Where the methods disagree, and the likely reason", "disagreements", formats)
    if len(study.refused):
        show.table(tables.refusal_table(study), "Methods that these journeys cannot carry", "refused methods")


def show_tests(study: Study) -> None:
    """Show the experiments."""
    text = words.describe_tests(study)
    show.prose(show.text(text))
    good = study.methods[study.methods["method"] == "experiment"]
    if len(good):
        frame = good.rename(columns={"channel": "name", "conversions": "mean"})
        ax = plots.forest(frame, label="Conversions caused", reference_label="no effect")
        formats = {"p of no effect": "number:3", "Conversions caused": "number:0", "Standard error": "number:0"}
        caption = "Conversions each tested channel caused, with intervals."
        show.figure(ax.figure, text, tables.test_table(study), caption, "experiments", formats)


def show_next_tests(study: Study, currency: str) -> None:
    """Show which channel to test next, and what the test is worth."""
    show.prose(show.text(words.describe_next(study, currency)))
    if len(study.next_tests):
        table = tables.next_table(study, currency)
        formats = {name: "percent" if "chance" in name else "money" for name in table.columns[1:]}
        note = "Money per year. A test withholds the channel from half of the customers for eight weeks."
        show.table(table, "Tests by what they would bring", "tests to run next", formats, note)


def show_credit(study: Study, currency: str, interval: float) -> None:
    """Show conversions and value by channel under the Markov chain, or the linear rule without one."""
    method = next(name for name in ("markov", "linear") if name in set(study.methods["method"]))
    ranks = words.describe_ranks(study)
    show.prose(show.text(f"{words.describe_order(study)} {ranks}".strip()))
    part = study.methods[study.methods["method"] == method].sort_values("conversions", ascending=False)
    ax = plots.forest(
        part.rename(columns={"channel": "name", "conversions": "mean"}), label="Conversions credited", reference=None
    )
    table = tables.interval_table(study, method, currency, interval)
    caption = f"Conversions credited by {tables.LABELS[method]}, with {interval:.0%} intervals."
    formats = {name: "money" for name in table.columns if name not in ("Channel",) and "ank" not in name}
    formats |= {name: "percent" for name in table.columns if name.startswith("Share")}
    show.figure(ax.figure, words.describe_spread_of(part), table, caption, "credit with intervals", formats)


def show_stages(study: Study) -> None:
    """Show where journeys stall."""
    text = words.describe_stalls(study.stages)
    show.prose(show.text(text))
    ax = plots.value_bars(
        list(study.stages["stage"]), study.stages["share_ended"], label="Share of journeys that stalled", of="Stage"
    )
    formats = {"Share of all that stalled": "percent"}
    caption = "Journeys without a conversion, by the stage of their last touch."
    show.figure(ax.figure, text, tables.stage_table(study.stages), caption, "stages", formats)


def show_movers(study: Study, interval: float) -> None:
    """Show which channels move customers on, stage by stage."""
    text = words.describe_movers(study.movers)
    show.prose(show.text(text))
    frame = study.movers.assign(name=study.movers["stage"] + ": " + study.movers["channel"])
    frame = frame.rename(columns={"moved": "mean"})
    ax = plots.forest(frame, label="Share of touches followed by a step on", reference=None, share=True)
    table = tables.mover_table(study.movers, interval)
    caption = "How often a touch is followed by a later stage or a conversion."
    show.figure(ax.figure, text, table, caption, "movers", tables.shares_formats(table))


def show_media(
    portfolio: Portfolio, unit: str, compared: Comparison, media_mix: dict[str, pd.DataFrame] | None = None
) -> None:
    """Show what the media mix of the unit says was caused beside the experiments, or say what one would need."""
    missing = [name for name in ("media", "outcomes") if name not in portfolio.units[unit].tables]
    if missing:
        show.note(
            f"There is no media mix for this unit: supply {' and '.join(missing)} (weekly spend by "
            "channel, weekly sales) in "
            "the portfolio file. It would see what leaves no touch, such as television."
        )
    elif not media_mix:
        show.note(
            "The media mix of this unit has not been fitted, or did not converge: see the page on media and budget."
        )
    for name, table in (media_mix or {}).items():
        text = (
            "The media mix sees weekly spend and all sales of the market, also where no touch is recorded. Its shares "
            "are of all those sales, not of the conversions above: orders of magnitude compare, decimals do not."
        )
        show.prose(show.text(f"{text} {words.describe_media(compared.frame, name)}".strip()))
        shown = table.rename(columns={"channel": "Channel", "share": "Share caused", "low": "From", "high": "To"})
        formats = {"Share caused": "percent:1", "From": "percent:1", "To": "percent:1"}
        show.table(shown, "Share of all sales that each channel caused, by the media mix", name, formats)


def show_findings(data: UnitJourneys, currency: str) -> None:
    """Show what was left out of the journeys, or treated, and how many rows each concerns."""
    show.prose(show.text(words.describe_findings(data.findings)))
    table = tables.finding_table(data.findings, currency)
    money = f"Money ({currency})"
    show.table(table, "What was left out or treated", "journey treatments", {"Number": "integer", money: "money"})
