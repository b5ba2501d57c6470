"""The parts of the page about media and budget: verdict, returns, response, outlets, holdout, plan."""

import pandas as pd

from cvmlib import plots
from cvmlib.attribution import budget, media_diagnostics, media_effects, media_holdout, media_levels
from cvmlib.attribution.budget_options import read_options
from cvmlib.attribution.media_experiments import tabulate_experiments
from cvmlib.attribution.media_fit import MediaFit, folder_of, load_fit
from cvmlib.plots.media import response_curves
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import media_words as words
from cvmlib.reporting import show

METHOD = "media mix"


def read_returns(portfolio: Portfolio, fit: MediaFit, unit: str) -> pd.DataFrame:
    """Tabulate the returns of a unit, see `cvmlib.attribution.media_effects.tabulate_returns`."""
    return media_effects.tabulate_returns(fit.posterior, unit, portfolio.units[unit].margin, portfolio.interval)


def read_advice(portfolio: Portfolio, fit: MediaFit, unit: str) -> budget.Advice:
    """Find the plan for a unit's budget, or that it should be held, within the limits of the portfolio file."""
    tested = {test.channel for test in fit.tests if test.unit == unit}
    options = read_options(fit.posterior, unit, portfolio.units[unit].media_mix.limits, tested)
    return budget.advise(options, fit.diagnostics.passed)


def show_verdict(fit: MediaFit, unit: str, returns: pd.DataFrame, advice: budget.Advice, currency: str) -> None:
    """Show the verdict, and the headline numbers unless it is withheld."""
    level, headline, reasons = words.describe_verdict(fit, unit, returns, advice, currency)
    show.verdict(level, headline, *reasons)
    if level != "withheld":
        show.facts({
            "Spent on media": words.amount(float(returns["spend"].sum()), currency),
            "Brought by media": words.amount(float(returns["contribution"].sum()), currency),
            "Share of sales": words.percent(float(returns["share"].sum())),
            "Lift tests": sum(test.unit == unit for test in fit.tests),
        })  # fmt: skip


def show_returns(fit: MediaFit, unit: str, returns: pd.DataFrame, currency: str, margin: float) -> None:
    """Show the return of each channel with its interval, against the return at which it pays for itself."""
    text = words.describe_returns(returns, currency)
    show.prose(show.text(text))
    named = returns.rename(columns={"channel": "name"})
    frame = named[["name"]].assign(mean=named["return"], low=named["return_low"], high=named["return_high"])
    label = "Sales per unit of money spent"
    ax = plots.forest(frame, label=label, reference=1.0 / margin, reference_label="pays for itself")
    _figure(ax, text, returns, "Return of each channel, with its interval.", "returns")


def show_response(fit: MediaFit, unit: str, interval: float, currency: str) -> None:
    """Show response curves, marked beyond what was observed."""
    curves = media_levels.tabulate_curves(fit.posterior, unit, interval)
    seen = curves[~curves["observed"]].groupby("channel").size()
    text = "Lines are drawn as far as such spend was held over some weeks; dotted beyond, where only the form speaks."
    if len(seen):
        text += f" Levels never observed are marked in the table for {words.listing(seen.index)}."
    show.prose(show.text(text))
    _figure(
        response_curves(curves, unit=currency), text, curves, "What a week's spend brings; dots are today.", "response"
    )


def show_weeks(fit: MediaFit, unit: str, interval: float, currency: str) -> None:
    """Show the outcome week by week, with what is expected."""
    weeks = media_effects.tabulate_weeks(fit.posterior, unit, interval)
    share = float(weeks["baseline"].sum() / weeks["expected"].sum())
    text = f"Without media, {words.percent(share)} of the sales would have come all the same, so says the model."
    show.prose(show.text(text))
    ax = plots.tracking(
        weeks.rename(columns={"week": "date"}), label="Sales per week", unit=currency, interval=interval
    )
    _figure(ax, text, weeks, "Sales of each week: as they were, and as the model expects them.", "weeks")


def show_holdout(fit: MediaFit, unit: str, interval: float, currency: str) -> None:
    """Show the check on held-out weeks."""
    if fit.holdout is None:
        show.prose("No weeks were held out.")
        return
    table = media_holdout.tabulate_holdout(fit.holdout, unit, fit.holdout_weeks, interval)
    text = words.describe_holdout(media_holdout.score_holdout(table))
    show.prose(show.text(text))
    ax = plots.tracking(
        table.rename(columns={"week": "date"}), label="Sales per week", unit=currency, interval=interval
    )
    _figure(ax, text, table, "Held-out weeks: what came, and what was forecast.", "held-out weeks")


def show_outlets(fit: MediaFit, unit: str, interval: float) -> None:
    """Show what each channel brings to each outlet, and which channels the data can hardly tell apart."""
    outlets = media_effects.tabulate_outlets(fit.posterior, unit, interval)
    if len(outlets):
        taking = outlets[outlets["takes"] >= 0.8]
        text = "No channel clearly takes sales from an outlet."
        if len(taking):
            text = " ".join(
                f"{row.channel} takes sales from {row.outlet} with a probability of {words.chance(row.takes)}."
                for row in taking.itertuples()
            )
        show.prose(show.text(text))
        _table(outlets, "What channels bring to outlets", "outlets")
    else:
        show.prose("The outcomes do not tell outlets apart (column `outlet`), so what moves between them is not seen.")
    confused = media_effects.tabulate_confusions(fit.posterior, unit)
    if len(confused):
        _table(confused, "Channels that the data hardly tell apart: what one is given, the other loses", "confused")


def show_budget(advice: budget.Advice, interval: float, currency: str) -> None:
    """Show the plan beside today's, and how it compares with what the mean alone would do."""
    for text in (words.describe_budget(advice, currency), words.describe_doubts(advice)):
        if text:
            show.prose(show.text(text))
    title = "The plan that is not recommended" if advice.hold else "The plan"
    _table(budget.tabulate_plan(advice), f"{title} ({currency} a week)", "plan")
    compared = budget.compare_plans(advice.options, advice, interval)
    _table(compared, f"Plans compared ({currency} a week)", "plans")


def show_evidence(fit: MediaFit, unit: str, interval: float) -> None:
    """Show what each return rests on: collinearity, captured demand, the tests that were run."""
    table = evidence(fit, unit)
    _table(table, "What each return rests on", "evidence")
    show_experiments(fit, unit, interval)


def show_experiments(fit: MediaFit, unit: str, interval: float) -> None:
    """Show which tests calibrate which channel, where they come from, and why others do not."""
    mine = [one for one in fit.experiments if one.unit == unit]
    table = tabulate_experiments(fit.design.panel, mine, interval)
    show.prose(show.text(words.describe_experiments(table)))
    if len(table):
        shown, formats = words.name_experiments(table)
        note = (
            "Money a week, as if the whole market had been tested. A program was tested by the regions or customers it "
            "held back; a supplied lift test is taken as it stands."
        )
        show.table(shown, "Tests of these channels", "lift tests", formats, note)


def show_calibration(portfolio: Portfolio, unit: str) -> None:
    """Show the tests behind a unit's media mix on another page; nothing where there is no media mix."""
    if (folder_of(portfolio) / "notes.json").is_file():
        fit = load_fit(portfolio)
        if unit in fit.weeks:
            show_experiments(fit, unit, portfolio.interval)


def evidence(fit: MediaFit, unit: str) -> pd.DataFrame:
    """Tabulate what each return rests on: channel, inflation, widened, collinear, follows_demand, tested."""
    design = fit.design
    table = media_diagnostics.measure_collinearity(design, unit)
    marked = {c: any(design.captured[i] for i in design.panel.pairs_of(unit, c)) for c in table["channel"]}
    tested = {c: sum(t.unit == unit and t.channel == c for t in fit.tests) for c in table["channel"]}
    return table.assign(follows_demand=table["channel"].map(marked), tested=table["channel"].map(tested))


def read_shares(portfolio: Portfolio, unit: str) -> dict[str, pd.DataFrame]:
    """Return the media mix of a unit as one more method of attribution; nothing where there is none to rely on."""
    if not (folder_of(portfolio) / "notes.json").is_file():
        return {}
    fit = load_fit(portfolio)
    known = unit in fit.weeks and fit.diagnostics.passed
    return {METHOD: compare_shares(fit, unit, portfolio.interval)} if known else {}


def compare_shares(fit: MediaFit, unit: str, interval: float = 0.9) -> pd.DataFrame:
    """Shares of all sales that channels caused by the media mix: channel, share, low, high."""
    returns = media_effects.tabulate_returns(fit.posterior, unit, 1.0, interval)
    return returns.rename(columns={"share_low": "low", "share_high": "high"})[["channel", "share", "low", "high"]]


def _figure(ax: object, alt: str, table: pd.DataFrame, caption: str, name: str) -> None:
    show.figure(ax.figure, alt, words.name_columns(table), caption, name, words.formats(table))


def _table(table: pd.DataFrame, title: str, name: str) -> None:
    show.table(words.name_columns(table), title, name, words.formats(table))
