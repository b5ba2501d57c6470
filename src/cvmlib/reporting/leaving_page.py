"""The parts of a contractual unit's churn page: who will leave, what it costs, whom to save, and how far to trust it.

Each function shows one part. Where the value is withheld, the parts that would print money say so instead.
"""

import datetime
from dataclasses import dataclass

import pandas as pd

from cvmlib import plots
from cvmlib.churn.decision import LIFETIME, LIST_FILE, load_decision
from cvmlib.churn.drivers import load_drivers
from cvmlib.churn.fit import load_value
from cvmlib.churn.retention_model import TITLES
from cvmlib.plots.retention import hazard
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import driver_words, show, subscriber_tables, subscriber_words
from cvmlib.reporting import leaving_tables as tables
from cvmlib.reporting import leaving_words as words

SHOWN = 25


@dataclass(frozen=True)
class Leaving:
    """What the models saved of a unit for its churn page.

    Parameters
    ----------
    churn : dict
        Headline, from `cvmlib.churn.decision.load_decision`.
    found : dict of str to pandas.DataFrame
        Its tables.
    value : dict
        From `cvmlib.churn.fit.load_value`.
    drivers : dict
        From `cvmlib.churn.drivers.load_drivers`.
    interval : float
        Probability of the intervals.
    """

    churn: dict
    found: dict[str, pd.DataFrame]
    value: dict
    drivers: dict
    interval: float

    @property
    def totals(self) -> dict:
        """Headline of the value."""
        return self.value["totals"]

    @property
    def currency(self) -> str:
        """Three capital letters."""
        return self.totals["currency"]

    @property
    def withheld(self) -> bool:
        """Whether a check failed, so that no value may be shown."""
        return self.totals["verdict"]["level"] == "withheld"


def load_leaving(portfolio: Portfolio, unit: str) -> Leaving:
    """Load what the churn page of a contractual unit shows.

    Raises
    ------
    DataError
        When the models have not been run yet.
    """
    churn, found = load_decision(portfolio, unit)
    drivers = load_drivers(portfolio, unit)
    return Leaving(churn, found, load_value(portfolio, unit), drivers, portfolio.interval)


def show_verdict(unit: Leaving) -> None:
    """Show the verdict: how many leave, what it costs, whom to save."""
    verdict = unit.totals["verdict"]
    said = [words.describe_causes(unit.churn)]
    if not unit.withheld:
        said = [words.describe_list(unit.churn, unit.currency), words.describe_evidence(unit.churn), *said]
    doubts = [] if verdict["level"] == "sound" else verdict["reasons"]
    show.verdict(verdict["level"], words.describe_leaving(unit.churn, unit.totals), *said, *doubts)
    show.facts(words.list_facts(unit.churn, unit.totals, unit.found["levers"]))


def show_projection(unit: Leaving) -> None:
    """Show the active subscriptions that will still be there, month by month."""
    end = datetime.date.fromisoformat(unit.totals["end_of_observation"])
    course = unit.found["course"]
    staying = subscriber_words.describe_months(course, end, unit.churn["subscriptions"])
    show.prose(show.text(staying))
    drawn = subscriber_tables.forecast_course(course, "active")
    ax = plots.tracking(drawn, label="Subscriptions still active", interval=unit.interval)
    table = tables.course_table(course, unit.interval)
    caption = "Subscriptions active now that will still be active at the end of each month."
    show.figure(ax.figure, staying, table, caption, "projection")


def show_cohorts(unit: Leaving) -> None:
    """Show the retention triangle of the cohorts of joiners."""
    if unit.churn["snapshot"]:
        show.note(words.NO_COHORTS)
        return
    cohorts = unit.found.get("cohorts", pd.DataFrame())
    cohorts.columns = [int(age) for age in cohorts.columns]
    compared = subscriber_words.describe_cohorts(cohorts)
    show.prose(show.text(compared))
    if len(cohorts):
        ax = plots.cohort_triangle(cohorts, age_label="Quarters since joining", cohort_label="Joined in")
        table = subscriber_tables.cohorts_table(cohorts)
        caption = "Share of each quarter's joiners still there after so many quarters."
        show.figure(ax.figure, compared, table, caption, "cohorts", tables.shares(table))


def show_hazard(unit: Leaving) -> None:
    """Show the risk of leaving by month of tenure."""
    curves = unit.value["hazard"]
    risk = subscriber_words.describe_hazard(curves)
    show.prose(show.text(risk))
    ax = hazard(curves[curves["tenure"] > 0], group="plan")
    table = subscriber_tables.hazard_table(curves, unit.interval)
    formats = dict.fromkeys([name for name in table.columns if table[name].dtype.kind == "f"], "percent:1")
    caption = "Share of those still there who leave in each month: expected, with its interval, and counted (points)."
    show.figure(ax.figure, risk, table, caption, "risk of leaving", formats)


def show_drivers(unit: Leaving) -> None:
    """Show what drives leaving, where the model has covariates and may be relied on."""
    facts, effects = unit.drivers.get("facts", {}), unit.drivers.get("drivers", pd.DataFrame())
    if effects.empty or not facts["passed"]:
        show.note(words.NO_DRIVERS)
        return
    effects = effects.assign(unit="All else equal")
    told = f"{driver_words.describe_drivers(effects)} {words.ON_DRIVERS}"
    if facts["model"] == TITLES["hazard"]:
        told = f"{told} {words.DRIFTING}"
    show.prose(show.text(told))
    ax = plots.forest(driver_words.draw_effects(effects), label="Times as prone to leave", reference=1.0)
    caption = f"Propensity to leave against the average of the levels, with {unit.interval:.0%} intervals."
    table = driver_words.name_columns(effects.drop(columns="unit"))
    formats = {name: "number:2" for name in table.columns if table[name].dtype.kind == "f"}
    show.figure(ax.figure, told, table, caption, "drivers", formats)


def show_causes(unit: Leaving) -> None:
    """Show those who chose to leave apart from those whose payment failed, where the records tell."""
    if "incidence" not in unit.found:
        show.note(words.describe_causes(unit.churn))
        return
    incidence = unit.found["incidence"]
    left = words.describe_incidence(incidence)
    show.prose(show.text(left))
    ax = plots.survival(
        tables.incidence_curves(incidence),
        group="cause",
        label="Share of joiners who have left",
        time_label="Months since joining",
        top=None,
    )
    table = tables.incidence_table(incidence)
    caption = "Joiners who have left for each reason by months since joining (Aalen–Johansen)."
    show.figure(ax.figure, left, table, caption, "reasons", tables.shares(table))


def show_costs(unit: Leaving) -> None:
    """Show what leaving costs: by plan and tenure, per point of churn, and how long subscribers stay."""
    if _say_withheld(unit):
        return
    risk, window = unit.found["risk"], unit.churn["window"]
    stake = words.describe_risk(risk, unit.currency, window)
    show.prose(show.text(stake))
    parts = risk[risk["plan"].notna()].nlargest(12, "lost")
    bars = pd.DataFrame({"name": parts["plan"] + ", year " + (parts["tenure_years"] + 1).astype(str)})
    bars = bars.assign(mean=parts["lost"], low=parts["lost_low"], high=parts["lost_high"])
    ax = plots.interval_bars(bars, label=f"Margin lost by leavers of the next {window} months", unit=unit.currency)
    table = tables.risk_table(risk, unit.currency, window, unit.interval)
    caption = "Value at risk by plan and year of tenure, with the interval of what will happen."
    formats = tables.shares(table) | {name: "number:0" for name in table.columns if unit.currency in name}
    show.figure(ax.figure, stake, table, caption, "value at risk", formats)
    levers = unit.found["levers"]
    show.prose(show.text(words.describe_levers(levers, unit.currency, unit.totals["horizon_months"])))
    title = "What more or less churn does to the value"
    show.table(tables.levers_table(levers, unit.currency, unit.interval), title, "levers")
    lifetimes = unit.found["lifetimes"]
    show.prose(show.text(words.describe_lifetimes(lifetimes, LIFETIME)))
    title = f"How long a subscriber will stay, in months, cut at {LIFETIME}"
    formats = dict.fromkeys(["Months to come"], "number:1")
    show.table(tables.lifetimes_table(lifetimes, unit.interval), title, "residual lifetimes", formats)


def show_list(unit: Leaving) -> None:
    """Show the summary of the list of those whom it pays to contact, and the list."""
    if _say_withheld(unit):
        return
    saving = unit.churn["saving"]
    show.prose(show.text(words.describe_list(unit.churn, unit.currency)))
    if saving is None:
        return
    show.prose(show.text(words.describe_evidence(unit.churn)))
    if "effects" in unit.found:
        show_effects(unit)
    listed = unit.found.get("list", pd.DataFrame())
    if not len(listed):
        return
    compared = words.describe_rankings(unit.found["rankings"], saving["customers"], unit.currency)
    show.prose(show.text(compared))
    table = tables.rankings_table(unit.found["rankings"], unit.currency)
    title = f"Expected profit of {saving['customers']:,} contacts, ranked in different ways"
    show.table(table, title, "rankings", {table.columns[-1]: "number:0"})
    groups = tables.groups_table(listed, unit.currency)
    formats = tables.shares(groups) | {name: "number:0" for name in groups.columns if unit.currency in name}
    show.table(groups, "The list by plan and tenure", "list by plan", formats)
    table = tables.list_table(listed, unit.currency)
    formats = tables.shares(table) | {name: "number:2" for name in table.columns if unit.currency in name}
    note = f"The whole list is {LIST_FILE} in the unit's folder of the build."
    show.table(table, "Whom to contact, best first", "whom to contact", formats, note, SHOWN)


def show_effects(unit: Leaving) -> None:
    """Show the measured effect of a contact by plan and tenure."""
    effects = unit.found["effects"]
    kept = words.describe_effects(effects)
    show.prose(show.text(kept))
    names = effects["plan"] + ", year " + (effects["tenure_years"] + 1).astype(str)
    rows = pd.DataFrame({"name": names, "mean": effects["effect"]})
    rows = rows.assign(low=effects["effect_low"], high=effects["effect_high"])
    ax = plots.forest(rows, label="Share kept by the contact", share=True)
    table = tables.effects_table(effects, unit.interval)
    caption = f"Effect of “{unit.churn['experiment']}”, with {unit.interval:.0%} intervals."
    show.figure(ax.figure, kept, table, caption, "effect of a contact", tables.shares(table))


def show_trust(unit: Leaving) -> None:
    """Show how the forecast of the held-out months compares with what happened, and with plain projections."""
    if "scores" not in unit.found:
        show.note("No months could be held out, so the forecast was never compared with what happened.")
        return
    closest = words.describe_projections(unit.found["projections"])
    show.prose(show.text(closest))
    course = subscriber_tables.holdout_course(unit.value["holdout"], "active subscriptions")
    ax = plots.tracking(course, label="Subscriptions still active", interval=unit.interval)
    caption = "Subscriptions still there in the held-out months: what happened, and what was forecast."
    show.figure(ax.figure, closest, tables.projections_table(unit.found["projections"]), caption, "projections")
    _show_calibration(unit)
    table = tables.scores_table(unit.found["scores"], unit.interval)
    show.table(table, "Scores of the held-out months", "scores", dict.fromkeys(table.columns[2:], "number:4"))
    if "profits" in unit.found and not unit.withheld:
        show.prose(show.text(words.describe_profits(unit.found["profits"], unit.currency)))
        table = tables.profits_table(unit.found["profits"], unit.currency, unit.interval)
        formats = tables.shares(table) | {name: "number:0" for name in table.columns if unit.currency in name}
        show.table(table, "What a campaign would have earned (expected maximum profit)", "maximum profit", formats)


def _show_calibration(unit: Leaving) -> None:
    scored = words.describe_scores(unit.found["scores"])
    show.prose(show.text(scored))
    risks = unit.found["risks"]
    last = risks[(risks["horizon"] == risks["horizon"].max()) & (risks["group"] > 0)]
    series = {"expected": 100 * last["forecast"], "left": 100 * last["observed"]}
    months = int(last["horizon"].iloc[0])
    ax = plots.compared_bars(
        last["group"].astype(str).tolist(),
        series,
        label=f"Left within {months} months (%)",
        of="Tenth of risk, lowest first",
        low=100 * last["observed_low"],
        high=100 * last["observed_high"],
    )
    table = tables.risks_table(risks, unit.interval)
    caption = f"Subscribers by the risk stated at the beginning of the holdout; {unit.interval:.0%} intervals."
    show.figure(ax.figure, scored, table, caption, "calibration", tables.shares(table))


def show_unknowns(unit: Leaving) -> None:
    """Show what the page leaves out or assumes."""
    show.prose("- " + "\n- ".join(show.text(sentence) for sentence in words.list_unknowns(unit.churn)))


def _say_withheld(unit: Leaving) -> bool:
    if unit.withheld:
        show.note(words.WITHHELD)
    return unit.withheld
