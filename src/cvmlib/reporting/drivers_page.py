"""What drives the value of a unit's customers: how customers of each kind buy and stay, by the purchase model."""

import pandas as pd

from cvmlib import plots
from cvmlib.clv.results import UnitValue
from cvmlib.reporting import show, words
from cvmlib.reporting.value_page import WITHHELD

_NAMES = {
    "covariate": "Covariate",
    "level": "Level",
    "customers": "Customers",
    "ratio": "Times the mean customer's",
    "low": "90% interval from",
    "high": "to",
}


def show_drivers(unit: UnitValue) -> None:
    """Show what each level of the unit's covariates goes with: more purchases, longer stays, a dearer newcomer."""
    if unit.withheld:
        show.note(WITHHELD)
        return
    if unit.effects is None or unit.effects.empty:
        show.note(
            "To see what drives the value, name columns of the table `customers` as `covariates` of the unit (see "
            "data/README.md)."
        )
        return
    effects = unit.effects
    show.prose(describe_drivers(effects, unit.totals["newcomers"], unit.totals["currency"]))
    for measure, part in effects.groupby("measure", sort=False):
        name = str(measure).removesuffix(" ratio").capitalize()
        frame = part.assign(name=part["covariate"] + ": " + part["level"], mean=part["ratio"])
        ax = plots.forest(frame, label=f"{name}, times the mean customer's", reference=1.0, reference_label="the mean")
        sentence = f"{name} of each kind of customer against the mean customer's, with 90% intervals."
        formats = dict.fromkeys(list(_NAMES.values())[3:], "number:2")
        shown = part[list(_NAMES)].rename(columns=_NAMES)
        show.figure(ax.figure, sentence, shown, sentence, f"drivers {measure}", formats)
    _show_newcomers(unit)


def describe_drivers(effects: pd.DataFrame, newcomers: list[dict], currency: str) -> str:
    """Say which kind of customer stands out, and what that is worth."""
    clear = effects[(effects["low"] > 1.0) | (effects["high"] < 1.0)]
    if clear.empty:
        text = "No kind of customer differs clearly from the mean customer, as far as these covariates tell."
    else:
        far = clear.loc[clear["ratio"].map(lambda r: max(r, 1 / r)).idxmax()]
        what = far["measure"].removesuffix(" ratio")
        text = (
            f"The clearest difference: customers with {show.text(far['covariate'])} {show.text(far['level'])} have "
            f"{far['ratio']:.2f} times the {what} of the mean customer (90% interval {far['low']:.2f} to "
            f"{far['high']:.2f})."
        )
    kinds = [one for one in newcomers if one["covariate"]]
    if kinds:
        best, last = max(kinds, key=lambda one: one["value"]), min(kinds, key=lambda one: one["value"])
        text += (
            f" A newcomer with {show.text(best['covariate'])} {show.text(best['level'])} is worth most, "
            f"{words.amount(best['value'], currency)}; one with {show.text(last['covariate'])} "
            f"{show.text(last['level'])} least, {words.amount(last['value'], currency)}."
        )
    return text + " These are differences between customers who came; what changes a customer is another question."


def _show_newcomers(unit: UnitValue) -> None:
    """Show the value of a newcomer of each kind: the most that winning one may cost."""
    kinds = [one for one in unit.totals["newcomers"] if one["covariate"]]
    currency = unit.totals["currency"]
    names = {
        "covariate": "Covariate",
        "level": "Level",
        "value": f"A newcomer is worth ({currency})",
        "expected_low": "from",
        "expected_high": "to",
        "purchases": "Expected further purchases",
    }
    formats = {name: "number:2" for key, name in names.items() if key not in ("covariate", "level")}
    note = (
        f"Expected margin over the next {words.count(unit.totals['horizon_months'], 'month')}, the first purchase "
        "included, with its 90% interval: the most that winning such a customer may cost on average."
    )
    table = pd.DataFrame(kinds)[list(names)].rename(columns=names)
    show.table(table, "What newcomers of each kind are worth", "newcomers", formats, note)
