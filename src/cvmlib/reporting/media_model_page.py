"""The parts of the notebook that fits and criticises the media mix."""

import numpy as np
import pandas as pd

from cvmlib import plots
from cvmlib.attribution import media_diagnostics, media_effects, media_experiments, media_holdout
from cvmlib.attribution.media_fit import MediaFit, describe_units
from cvmlib.attribution.media_lift import arrange_tests
from cvmlib.attribution.media_model import RETURN_MEAN, RETURN_SD, predict_lifts
from cvmlib.attribution.media_transforms import ADSTOCKS, SATURATIONS
from cvmlib.reporting import media_words as words
from cvmlib.reporting import show


def show_data(fit: MediaFit, currency: str) -> None:
    """Show the data behind the fit."""
    _table(describe_units(fit), f"Weeks, channels and money ({currency}) of each unit", "units")
    if fit.design.dropped:
        show.note(f"Controls that never vary were left out: {show.text(', '.join(fit.design.dropped))}.")


def show_gate(fit: MediaFit) -> None:
    """Show whether the chains agree."""
    show.prose(show.text(fit.diagnostics.sentence()))


def show_diagnostics(fit: MediaFit) -> None:
    """Show collinearity per unit, and the test whether spend follows demand."""
    parts = [media_diagnostics.measure_collinearity(fit.design, unit).assign(unit=unit) for unit in fit.weeks]
    table = pd.concat(parts, ignore_index=True)
    _table(table[["unit", *[c for c in table.columns if c != "unit"]]], "Collinearity of spend", "collinearity")
    found = media_diagnostics.find_followers(fit.design)
    table = found.assign(pool=found["pool"].replace("", "all"), p=found["p"].map("{:.2g}".format))
    show.table(words.name_columns(table), "Does spend follow the sales of the week before?", "followers")


def show_returns(fit: MediaFit, interval: float) -> None:
    """Show returns in reference returns beside their prior."""
    design = fit.design
    rows = [{"name": "prior of a channel", "mean": RETURN_MEAN,
             "low": RETURN_MEAN - 1.645 * RETURN_SD, "high": RETURN_MEAN + 1.645 * RETURN_SD}]  # fmt: skip
    for i, pair in enumerate(design.panel.pairs):
        series = design.panel.series[pair.series]
        name = ", ".join(part for part in (series.unit, series.region, series.outlet, pair.channel) if part)
        rows.append({"name": name} | media_effects.summarise(fit.posterior.draws["ret"][:, i], interval))
    table = pd.DataFrame(rows)
    text = "Returns in multiples of the reference return, at which media bring a fifth of the sales; the prior on top."
    ax = plots.forest(table.head(40), label="Return in reference returns", reference=0.0, reference_label="no effect")
    show.figure(ax.figure, text, table, "Returns of all units, beside their prior.", "posterior returns")


def show_shapes(fit: MediaFit, interval: float) -> None:
    """Show carry-over and saturation of each channel."""
    rows = []
    form = fit.posterior.form
    for name in (*ADSTOCKS[form.adstock], *SATURATIONS[form.saturation]):
        draws = fit.posterior.draws["shape_of_delay" if name == "shape" else name]
        for number, (pool, channel) in enumerate(fit.design.shapes):
            found = media_effects.summarise(draws[:, number], interval)
            rows.append({"channel": channel, "pool": pool or "all", "parameter": name} | found)
    table = pd.DataFrame(rows)
    formats = {name: "number:2" for name in ("Mean", "Low", "High")}
    show.table(
        words.name_columns(table), "Carry-over (per week) and saturation (times average spend)", "shapes", formats
    )


def show_lifts(fit: MediaFit, interval: float) -> None:
    """Show each lift test beside what the model says to it."""
    listed = media_experiments.tabulate_experiments(fit.design.panel, fit.experiments, interval)
    for unit, part in listed.groupby("unit", sort=False):
        show.prose(f"{show.text(unit)}: {show.text(words.describe_experiments(part))}")
    arrays = arrange_tests(fit.design, list(fit.tests))
    if arrays is None:
        show.prose("There are no lift tests: nothing but time tells effect from coincidence.")
        return
    factors = media_effects.factors(fit.posterior)
    predicted = np.stack([_predict(fit, draw, factors[draw], arrays.data()) for draw in range(fit.posterior.count)])
    rows = []
    for number, test in enumerate(fit.tests):
        found = media_effects.summarise(predicted[:, number] / test.spend, interval)
        low, high = ((test.lift + sign * 1.645 * test.error) / test.spend for sign in (-1, 1))
        rows.append({
            "unit": test.unit, "channel": test.label(), "measured": test.measured_return, "measured_low": low,
            "measured_high": high, "return": found["mean"], "return_low": found["low"], "return_high": found["high"],
        })  # fmt: skip
    _table(pd.DataFrame(rows), "Sales per unit of money: measured, and by the model with the test", "lift tests")


def _predict(fit: MediaFit, draw: int, factors: np.ndarray, data: dict) -> np.ndarray:
    """Lifts by one draw of the model, in money."""
    posterior, design = fit.posterior, fit.design
    mine = [posterior.parameters(pair) for pair in range(len(design.panel.pairs))]
    parameters = {name: np.array([values[name][draw] for values in mine]) for name in mine[0]}
    return predict_lifts(posterior.form, parameters, factors, data, design.lagged.shape[2])


def show_holdouts(fit: MediaFit, interval: float) -> None:
    """Show the errors of the forecast of held-out weeks, beside the year before."""
    if fit.holdout is None:
        show.prose("No weeks were held out.")
        return
    rows = []
    for unit in fit.weeks:
        table = media_holdout.tabulate_holdout(fit.holdout, unit, fit.holdout_weeks, interval)
        rows.append({"unit": unit} | media_holdout.score_holdout(table))
    table = pd.DataFrame(rows).drop(columns=["rmse", "rmse_year_before"])
    shares = {name: "percent:1" for name in ("Bias", "Mape", "Mape year before", "Covered")}
    show.table(words.name_columns(table), "Errors of the held-out weeks", "holdout", shares | {"Weeks": "integer"})


def _table(table: pd.DataFrame, title: str, name: str) -> None:
    show.table(words.name_columns(table), title, name, words.formats(table))
