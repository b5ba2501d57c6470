"""Whether the forecasts of single customers kept their promises in the holdout: chances, distributions, intervals."""

from collections.abc import Mapping

import pandas as pd

from cvmlib import plots
from cvmlib.clv.judgement import Trial
from cvmlib.clv.results import UnitValue
from cvmlib.reporting import show, words

_AGAIN_NAMES = {
    "customers": "Customers",
    "predicted": "Predicted",
    "actual": "Bought again",
    "low": "90% interval from",
    "high": "to",
}


def show_again(unit: UnitValue) -> None:
    """Show the chance of buying again in the holdout against the share that did, for the readers of a unit."""
    if unit.again is None:
        return
    _show_again(unit.again, describe_again(unit.again))


def describe_again(table: pd.DataFrame) -> str:
    """Say how well the chances of buying again were told."""
    inside = int(((table["predicted"] >= table["low"]) & (table["predicted"] <= table["high"])).sum())
    least, most = table.iloc[0], table.iloc[-1]
    return (
        f"Customers in {words.count(len(table), 'group')} by their predicted chance of buying in the holdout: of those "
        f"least likely to buy, {least['actual']:.0%} did ({least['predicted']:.0%} predicted), of those most likely "
        f"{most['actual']:.0%} ({most['predicted']:.0%}). In {inside} of the groups the prediction lies within what "
        "chance allows. Whether a customer is still one is never seen; whether one buys again is."
    )


def _show_again(table: pd.DataFrame, sentence: str) -> None:
    ax = plots.reliability(
        table, label="Share that bought in the holdout", of="Predicted chance of buying in the holdout"
    )
    shown = table.rename(columns=_AGAIN_NAMES)
    formats = {name: "percent:1" for key, name in _AGAIN_NAMES.items() if key != "customers"}
    formats[_AGAIN_NAMES["customers"]] = "number:0"
    show.figure(ax.figure, sentence, shown, sentence, "chance of buying again", formats)


def show_distributions(labels: Mapping[str, str], trials: Mapping[str, Trial | None]) -> None:
    """Show, unit by unit, where the customers' actual purchases lie in their forecast distributions."""
    for name, trial in trials.items():
        if trial is None:
            continue
        sentence = (
            f"{labels[name]}: place of each customer's actual purchases in the forecast distribution (PIT, counts "
            "spread evenly between their ends). A right forecast is flat, within the grey band but for chance; a heap "
            "in the middle means intervals that are too wide, heaps at both ends too narrow."
        )
        ax = plots.pit(trial.pit, label="Share of the customers")
        formats = dict.fromkeys(["share", "expected", "standard_error"], "percent:1") | {
            "low": "number:1",
            "high": "number:1",
        }
        show.figure(ax.figure, sentence, trial.pit, sentence, f"pit {name}", formats)
        _show_again(trial.again, f"{labels[name]}: {describe_again(trial.again)}")
    covered = [trial.coverage.assign(unit=labels[name]) for name, trial in trials.items() if trial is not None]
    if covered:
        _show_coverage(pd.concat(covered, ignore_index=True))


def _show_coverage(table: pd.DataFrame) -> None:
    names = {
        "unit": "Unit",
        "level": "Level",
        "covered": "Customers inside",
        "promised": "Promised by the forecast",
        "randomised": "Randomised PIT inside",
        "standard_error": "Standard error",
    }
    formats = dict.fromkeys([name for key, name in names.items() if key not in ("unit", "level")], "percent:1")
    formats["Level"] = "percent"
    note = (
        "Purchases come in whole numbers, so an interval holds more than its level; what the forecast gave it is "
        "promised. The randomised PIT has no such steps: a right forecast has exactly the level."
    )
    show.table(table[list(names)].rename(columns=names), "Coverage of customers' intervals", "coverage", formats, note)


def show_buyers(unit: UnitValue) -> None:
    """Show how many customers are expected to buy how often, and how many will still be customers at the horizon."""
    if unit.withheld:
        return
    totals = unit.totals
    expected, customers = totals["buyers"], totals["customers"]
    names = [str(k) for k in range(len(expected) - 1)] + [f"{len(expected) - 1} or more"]
    table = pd.DataFrame({"Purchases": names, "Customers": expected, "Share": [e / customers for e in expected]})
    show.prose(describe_buyers(totals))
    caption = f"Expected customers by purchases in the next {words.count(totals['horizon_months'], 'month')}"
    show.table(table, caption, "expected buyers", {"Customers": "number:0", "Share": "percent:1"})


def describe_buyers(totals: dict) -> str:
    """Say how many will buy at all, how many remain customers, and what comes after the horizon."""
    months = words.count(totals["horizon_months"], "month")
    silent = totals["buyers"][0] / totals["customers"]
    return (
        f"Of the {words.count(totals['customers'], 'customer')}, {words.percent(silent)} are expected not to buy in "
        f"the next {months}. {totals['alive']:,.0f} are probably still customers today, {totals['alive_later']:,.0f} "
        f"will probably be {months} from now. Beyond these {months} they are expected to bring another "
        f"{words.amount(totals['residual'], totals['currency'])}, discounted, if all goes on as it did; that far "
        "ahead no range is given."
    )
