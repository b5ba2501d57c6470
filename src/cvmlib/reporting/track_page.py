"""The parts of the track-record page: what was forecast, what happened, and how far forecasts can be trusted."""

from collections.abc import Mapping

import pandas as pd

from cvmlib import plots
from cvmlib.decisions.track_record import QUANTITIES, Record, score_record
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import show
from cvmlib.reporting.words import count, percent

DRIFT = 0.15
"""Mean error of the latest forecasts from which the page speaks of drift."""


def judge_record(record: Record) -> tuple[str, str]:
    """Return the level of the page's verdict and its headline."""
    if record.settled.empty:
        number = count(len(record.open), "forecast")
        return "info", f"{number} of {record.label} are filed, and none has come to its end yet."
    whole = score_record(record.settled.assign(whole="all"), "whole").iloc[0]
    interval = record.settled["interval"].iloc[0]
    level = "sound" if whole["coverage_high"] >= interval else "caution"
    headline = (
        f"Of {count(int(whole['forecasts']), 'forecast')} of {record.label} that came to their end, "
        f"{percent(whole['coverage'])} held; {percent(interval)} were promised to."
    )
    return level, headline


def list_reasons(record: Record) -> list[str]:
    """Say how far forecasts were off, whether they drift, and how many were replayed."""
    settled = record.settled
    if settled.empty:
        return ["`cvm rerun --as-of DATE` replays history, so that there is a record from the first day on."]
    bias, size = settled["error"].mean(), settled["error"].abs().mean()
    side = "above" if bias > 0 else "below"
    sentences = [f"Outcomes were {percent(abs(bias))} {side} the forecasts on average, and {percent(size)} off."]
    latest = settled[settled["made_on"] == settled["made_on"].max()]
    drift = latest["error"].mean()
    if abs(drift) >= DRIFT and settled["made_on"].nunique() > 1:
        told = "more" if drift > 0 else "less"
        sentences.append(
            f"The forecasts of {latest['made_on'].iloc[0]} are off to one side: {percent(abs(drift))} {told} came than "
            "was forecast. What customers do may be changing."
        )
    replayed = int(settled["replayed"].sum())
    if replayed:
        verb = "was" if replayed == 1 else "were"
        sentences.append(f"{replayed:,} of them {verb} replayed from the tables as they were then.")
    return sentences


def show_verdict(record: Record) -> None:
    """Show how many forecasts held."""
    level, headline = judge_record(record)
    label = "Open" if level == "info" else ""
    show.verdict(level, headline, *list_reasons(record), label=label)


def show_outcomes(record: Record) -> None:
    """Show every settled forecast with its range and what happened."""
    settled = record.settled
    if settled.empty:
        show.prose("No forecast has come to its end yet.")
        return
    whole = settled[settled["group"].isin(["all"]) | (settled["quantity"] == "action")]
    whole = whole.sort_values(["made_on", "quantity", "months"])
    drawn = pd.DataFrame(
        {
            "name": whole["made_on"],
            "low": whole["low"] / whole["mean"],
            "high": whole["high"] / whole["mean"],
            "actual": whole["actual"] / whole["mean"],
            "inside": whole["inside"],
        }
    )
    ax = plots.kept_promises(drawn, label="Outcome and range, forecast = 1")
    caption = "Forecasts of all customers by the day they were made on: range (bar) and outcome (mark) over forecast."
    missed = int((~whole["inside"].astype(bool)).sum())
    alt = f"{count(len(whole), 'forecast')} of all customers, {missed or 'none'} of them missed."
    table, formats = tabulate_outcomes(settled)
    show.figure(ax.figure, alt, table, caption, "outcomes", formats)


def tabulate_outcomes(settled: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Arrange settled forecasts for people."""
    names = {
        "made_on": "Made on",
        "quantity": "Quantity",
        "group": "Of whom",
        "months": "Months ahead",
        "mean": "Forecast",
        "low": "from",
        "high": "to",
        "actual": "Happened",
        "inside": "Held",
        "replayed": "Replayed",
    }
    shown = settled.assign(
        quantity=settled["quantity"].map(QUANTITIES),
        inside=settled["inside"].astype(bool).map({True: "yes", False: "no"}),
        replayed=settled["replayed"].astype(bool).map({True: "yes", False: ""}),
    )
    formats = dict.fromkeys(["Forecast", "from", "to", "Happened"], "number:0")
    return shown.rename(columns=names)[list(names.values())].reset_index(drop=True), formats


def show_scores(record: Record) -> None:
    """Show coverage and bias by quantity, by group, by how far ahead, and by when the forecasts were made."""
    if record.settled.empty:
        show.prose("There is nothing to score yet.")
        return
    titles = {
        "quantity": "By quantity",
        "group": "By customers",
        "months": "By months ahead",
        "made_on": "By the day they were made on",
    }
    named = record.settled.assign(quantity=record.settled["quantity"].map(QUANTITIES))
    for by, title in titles.items():
        table = score_record(named, by)
        names = {
            by: title.removeprefix("By ").capitalize(),
            "forecasts": "Forecasts",
            "coverage": "Held",
            "coverage_low": "90% interval from",
            "coverage_high": "to",
            "bias": "Mean error",
            "size": "Mean size of the error",
        }
        formats = dict.fromkeys(["Held", "90% interval from", "to"], "percent")
        formats |= dict.fromkeys(["Mean error", "Mean size of the error"], "percent:1")
        show.table(table.rename(columns=names)[list(names.values())], title, title, formats)


def show_open(record: Record) -> None:
    """Show the forecasts whose end has not come yet."""
    shown = record.open[record.open["group"] == "all"]
    shown = pd.concat([shown, record.open[record.open["quantity"] == "action"]]).sort_values(["ends", "quantity"])
    names = {"made_on": "Made on", "quantity": "Quantity", "group": "Of whom", "ends": "Ends on", "mean": "Forecast",
             "low": "from", "high": "to"}  # fmt: skip
    table = shown.assign(quantity=shown["quantity"].map(QUANTITIES)).rename(columns=names)[list(names.values())]
    formats = dict.fromkeys(["Forecast", "from", "to"], "number:0")
    note = "An action is settled once the study of programs measures a program named ACTION-DATE."
    show.table(table.reset_index(drop=True), "Filed, and not known yet", "open", formats, note)


def show_filed(filed: pd.DataFrame, portfolio: Portfolio) -> None:
    """Show how many forecasts this run filed, by unit."""
    labels = {name: unit.label for name, unit in portfolio.units.items()}
    table = filed.assign(unit=filed["unit"].map(labels)).groupby(["unit", "made_on"], as_index=False, sort=False).size()
    table.columns = ["Unit", "Made on", "Forecasts"]
    show.table(table, "Forecasts filed", "filed")


def show_settled(records: Mapping[str, Record], portfolio: Portfolio) -> None:
    """Show of every unit how many forecasts have come to their end, and how many of them held."""
    rows = []
    for name, record in records.items():
        scored = score_record(record.settled.assign(unit=name), "unit")
        held = float(scored["coverage"].iloc[0]) if len(scored) else float("nan")
        label = portfolio.units[name].label
        rows.append({"Unit": label, "Settled": len(record.settled), "Held": held, "Open": len(record.open)})
    show.table(pd.DataFrame(rows), "Forecasts by unit", "settled", {"Held": "percent"} if rows else {})
