"""When customers buy: the calendar of a unit, for the value page and for the page of the models."""

from collections.abc import Mapping

import pandas as pd

from cvmlib import plots
from cvmlib.clv.prepare import UnitBase
from cvmlib.clv.results import UnitValue
from cvmlib.clv.study import Models
from cvmlib.reporting import show, words
from cvmlib.reporting.value_page import WITHHELD

_COLUMNS = {"date": "Week from", "mean": "Purchases, of the usual", "low": "from", "high": "to"}
_FORMATS = dict.fromkeys(["Purchases, of the usual", "from", "to"], "percent")
_SCALES = {
    "season": "Yearly pattern, sd",
    "shock": "Common shocks, sd",
    "memory": "Memory of the shocks (days)",
    "noise": "Noise of a week, sd",
    "season_shared": "Pattern shared in the pool",
    "shock_shared": "Shocks shared in the pool",
}


def show_calendar(unit: UnitValue) -> None:
    """Show how the purchases of a unit move over the year, and what that adds to the uncertainty of its total."""
    if unit.withheld:
        show.note(WITHHELD)
        return
    if unit.calendar is None:
        show.note("No calendar was estimated for this unit: it is taken to buy evenly over the year.")
        return
    sentence = describe_calendar(unit.calendar, unit.totals["pace"], unit.totals["horizon_months"])
    show.prose(sentence)
    show_intensity(unit.calendar, unit.totals["end_of_observation"], sentence, "calendar", unit.totals["label"])
    pace = unit.totals["pace"]
    whole = {_COLUMNS[name]: pace[name] for name in ("mean", "low", "high")}
    months = words.count(unit.totals["horizon_months"], "month")
    title = "All customers together over the time ahead"
    show.table(pd.DataFrame([{"Time ahead": months} | whole]), title, "pace", _FORMATS)


def describe_calendar(calendar: pd.DataFrame, pace: dict[str, float], months: int) -> str:
    """Say when customers buy most and least, and how far the total of all may move by what they share."""
    ahead = calendar[calendar["future"]]
    most, least = ahead.loc[ahead["mean"].idxmax()], ahead.loc[ahead["mean"].idxmin()]
    return (
        f"Of the {words.count(months, 'month')} ahead, the strongest week begins on {words.day(most['date'].date())}, "
        f"at {most['mean']:.0%} of the usual purchases of the same customers, and the weakest on "
        f"{words.day(least['date'].date())}, at {least['mean']:.0%}. What moves all customers at once "
        f"(seasons, and shocks that nobody can foresee) puts the whole time ahead at {pace['low']:.0%} to "
        f"{pace['high']:.0%} of the usual, most likely {pace['mean']:.0%}; the range of the value contains this."
    )


def show_intensity(calendar: pd.DataFrame, end: str, sentence: str, name: str, label: str) -> None:
    """Show the purchase intensity by week, past and forecast, as figure and table."""
    ax = plots.intensity(calendar, split=pd.Timestamp(end))
    table = calendar[list(_COLUMNS)].rename(columns=_COLUMNS)
    caption = (
        f"{label}: purchases of the same customers by week, relative to the usual. The band is the 90% interval: of "
        "the past, of what can be told from its purchases; of the future, of what a week may bring."
    )
    show.figure(ax.figure, sentence, table, caption, name, _FORMATS)


def show_calendars(bases: Mapping[str, UnitBase], models: Models) -> None:
    """Show the calendar of every unit and the scales of the process behind it."""
    rows = []
    for name, calendar in models.calendars.items():
        if calendar.plain:
            continue
        base = bases[name]
        rows.append({"Unit": base.unit.label} | {_SCALES[k]: _interval(v, k) for k, v in calendar.scales.items()})
        table, label = calendar.table(), base.unit.label
        most, least = table["mean"].max(), table["mean"].min()
        sentence = f"Purchase intensity of {label} by week: between {least:.0%} and {most:.0%} of the usual."
        show_intensity(table, base.end.isoformat(), sentence, f"calendar {name}", label)
    if not rows:
        show.note("No calendar was estimated: operational time is time.")
        return
    note = "Median and 90% interval; standard deviations are of the logarithm of the purchase intensity."
    show.table(pd.DataFrame(rows).fillna("–"), "Scales of the calendars", "calendar scales", note=note)


def _interval(values: object, name: str) -> str:
    low, middle, high = pd.Series(values).quantile([0.05, 0.5, 0.95])
    digits = 0 if name == "memory" else 2
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
