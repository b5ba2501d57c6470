"""The parts of the page of the customer-value models, for readers who want to know how the numbers came about."""

from collections.abc import Mapping

import pandas as pd

from cvmlib import plots
from cvmlib.clv import criticism, judgement, study
from cvmlib.clv.judgement import Trial
from cvmlib.clv.prepare import UnitBase
from cvmlib.clv.purchase_model import PurchaseFit
from cvmlib.clv.spend_model import SpendFit
from cvmlib.clv.study import Models
from cvmlib.clv.validation import Verdict
from cvmlib.clv.value import Prediction
from cvmlib.portfolio import Portfolio
from cvmlib.reporting import show, words

_LEVELS = ("sound", "caution", "withheld")


def show_verdict(bases: Mapping[str, UnitBase], verdicts: Mapping[str, Verdict]) -> None:
    """Show at the top how far each unit's forecast may be trusted."""
    worst = max((v.level for v in verdicts.values()), key=_LEVELS.index)
    words_of = {"sound": "passed its checks", "caution": "is usable with caution", "withheld": "is withheld"}
    sentences = [f"{bases[name].unit.label}: the forecast {words_of[v.level]}." for name, v in verdicts.items()]
    headline = {
        "sound": "The models passed all checks on every unit.",
        "caution": "The models are usable; some checks passed with reservations.",
        "withheld": "The models fail a check on at least one unit.",
    }[worst]
    show.verdict(worst, headline, *sentences)


def show_counts(bases: Mapping[str, UnitBase]) -> None:
    """Show what the models see of each unit."""
    table = study.count_bases(bases)
    total, rows = table["customers"].sum(), table["count_rows"].sum()
    show.prose(
        f"{words.count(int(total), 'customer')} became {rows:,} count rows: customers with the same frequency, recency "
        "and age are alike to the model, so one weighted row stands for all of them, and nothing is lost."
    )
    names = {
        "unit": "Unit",
        "customers": "Customers",
        "repeat_buyers": "Who bought again",
        "count_rows": "Count rows",
        "mean_frequency": "Repeat purchases per customer",
        "mean_age_days": "Mean age (days)",
    }
    formats = {names["mean_frequency"]: "number:2", names["mean_age_days"]: "number:0"}
    show.table(table.rename(columns=names), "Count rows of each unit", "count rows", formats)


def show_timing(bases: Mapping[str, UnitBase]) -> None:
    """Show how regularly the customers of each unit buy, before any model is fitted."""
    table = study.compare_regularity(bases)
    counted = {base.unit.label: base.unit.opportunity for base in bases.values() if base.unit.opportunity}
    for label, opportunity in counted.items():
        show.note(f"{show.text(label)}: purchases are counted by the {opportunity}, so their timing plays no part.")
    if len(counted) == len(bases):
        return
    if table.empty:
        show.note("Too few customers bought three times or more to test the timing of their purchases.")
        return
    sentence = (
        "Erlang shape k of the time between purchases: 1 is random timing, larger is more regular, smaller more "
        "clustered. It is estimated from the gaps alone, without a purchase model."
    )
    frame = table.rename(columns={"unit": "name", "k": "mean"})
    ax = plots.forest(frame, label="Erlang shape k", reference=1.0, reference_label="random timing")
    names = {"unit": "Unit", "k": "Erlang shape k", "low": "90% interval from", "high": "to", "customers": "Customers"}
    formats = dict.fromkeys(["Erlang shape k", "90% interval from", "to"], "number:2")
    show.figure(ax.figure, sentence, table.rename(columns=names), sentence, "timing", formats)


def show_priors(models: Models) -> None:
    """Show the prior of each parameter against the posterior of each unit."""
    table = criticism.compare_priors(models)
    show.prose(
        "Where a unit's interval is far narrower than the prior's, its data decided. Where it is hardly narrower, the "
        "unit's estimate rests on the prior and on the other units. Rates and mean spend have priors relative to the "
        "portfolio's mean age and spend, wide enough not to matter, and are not listed."
    )
    names = {"parameter": "Parameter", "name": "Unit", "mean": "Median", "low": "90% interval from", "high": "to"}
    formats = dict.fromkeys(["Median", "90% interval from", "to"], "number:3")
    show.table(table.rename(columns=names), "Priors against posteriors", "priors", formats, rows=60)


def show_convergence(fits: Mapping[str, Models | None]) -> None:
    """Show in words whether every fit converged."""
    lines = []
    for name, models in fits.items():
        if models is None:
            lines.append(f"{name}: not fitted, because the history is too short to hold out a part of it.")
            continue
        for fit in models.fits.values():
            lines.append(f"{name}, purchases by {fit.family.title}: {_describe_gate(fit)}")
        if models.spend.diagnostics is not None:
            lines.append(f"{name}, spend: {_describe_gate(models.spend)}")
        constant = ", ".join(f"{unit} ({price:,.2f})" for unit, price in models.spend.constant.items())
        if constant:
            lines.append(
                f"{name}, spend: every purchase has one price in {show.text(constant)}, so nothing is modelled there."
            )
    show.prose("\n".join(f"- {line}" for line in lines))


def _describe_gate(fit: PurchaseFit | SpendFit) -> str:
    """Say whether a fit converged, and what was merged for it."""
    merged = [fit.merging.sentence()] if fit.merging else []
    return " ".join([fit.diagnostics.sentence(), *merged])


def show_posteriors(models: Models) -> None:
    """Show every parameter with its convergence."""
    table = criticism.summarise_posteriors(models)
    formats = {c: "number:3" for c in table.columns if c not in ("model", "parameter", "ess_bulk", "ess_tail")}
    formats |= {"ess_bulk": "number:0", "ess_tail": "number:0", "mean": "number:4", "sd": "number:4"}
    formats |= {"eti90_lb": "number:4", "eti90_ub": "number:4", "mcse_mean": "number:5", "mcse_sd": "number:5"}
    formats = {k: v for k, v in formats.items() if k in table.columns}
    names = {"model": "Model", "parameter": "Parameter", "eti90_lb": "5%", "eti90_ub": "95%"}
    table = table.rename(columns=names)
    show.table(
        table, "Posterior of the parameters", "posterior", {names.get(k, k): v for k, v in formats.items()}, rows=80
    )


def show_frequencies(base: UnitBase, models: Models, seed: int) -> None:
    """Show one unit's customers by repeat purchases against the posterior's prediction."""
    table = criticism.check_frequencies(base, models, seed)
    label = base.unit.label
    inside = int(((table["actual"] >= table["low"]) & (table["actual"] <= table["high"])).sum())
    sentence = (
        f"{label}: customers by repeat purchases. In {inside} of {len(table)} classes the actual number lies in the "
        "90% interval of what the fitted model would have produced."
    )
    ax = plots.compared_bars(
        table["frequency"],
        {"actual": table["actual"], "expected": table["expected"]},
        label="Customers",
        of="Repeat purchases",
        low=table["low"],
        high=table["high"],
    )
    names = {"frequency": "Repeat purchases", "actual": "Actual", "expected": "Expected", "low": "from", "high": "to"}
    formats = dict.fromkeys(["Actual", "Expected", "from", "to"], "number:0")
    show.figure(ax.figure, sentence, table.rename(columns=names), sentence, f"frequencies {base.unit.name}", formats)


def show_all_frequencies(bases: Mapping[str, UnitBase], models: Models, seed: int) -> None:
    """Show the posterior predictive check of `show_frequencies` for every unit."""
    for base in bases.values():
        show_frequencies(base, models, seed)


def show_trials(trials: Mapping[str, Trial | None]) -> None:
    """Show the scores of the holdout of all units."""
    table = judgement.compare_trials(trials)
    if table.empty:
        show.note("No unit has a history long enough to hold out a part of it.")
        return
    names = {
        "unit": "Unit",
        "customers": "Customers",
        "actual": "Actual purchases",
        "mean": "Forecast",
        "low": "from",
        "high": "to",
        "bias": "Bias",
        "mae": "MAE",
        "rmse": "RMSE",
        "correlation": "Correlation",
        "coverage": "Coverage of customers",
    }
    formats = dict.fromkeys(["Actual purchases", "Forecast", "from", "to"], "number:0")
    formats |= {"Bias": "percent:1", "Coverage of customers": "percent:1"}
    formats |= dict.fromkeys(["MAE", "RMSE", "Correlation"], "number:3")
    note = (
        "MAE of the median and RMSE of the mean forecast, in purchases per customer. Coverage counts customers whose "
        "outcome lay in their interval."
    )
    show.table(table.rename(columns=names), "Forecast of the holdout against the outcome", "holdout", formats, note)


def show_all_checks(bases: Mapping[str, UnitBase], verdicts: Mapping[str, Verdict]) -> None:
    """Show every check on every unit."""
    rows = [
        {
            "Unit": bases[name].unit.label,
            "Check": c.name,
            "Outcome": words.OUTCOMES[c.outcome],
            "What was found": c.sentence,
        }
        for name, verdict in verdicts.items()
        for c in verdict.checks
    ]
    show.table(pd.DataFrame(rows), "Checks of every unit", "checks", rows=60)


def show_forecasts(portfolio: Portfolio, bases: Mapping[str, UnitBase], predictions: Mapping[str, Prediction],
                   verdicts: Mapping[str, Verdict]) -> None:  # fmt: skip
    """Show purchases and value over the horizon of the units whose forecast is not withheld."""
    rows = []
    for name, prediction in predictions.items():
        if verdicts[name].level == "withheld":
            continue
        bought, value = prediction.total("purchases"), prediction.total("value")
        rows.append(
            {
                "Unit": bases[name].unit.label,
                "Purchases": bought["mean"],
                "at least": bought["low"],
                "at most": bought["high"],
                f"Value ({portfolio.currency})": value["mean"],
                "from": value["low"],
                "to": value["high"],
            }
        )
    if not rows:
        show.note("The forecast of every unit is withheld.")
        return
    frame = pd.DataFrame(rows)
    formats = dict.fromkeys([c for c in frame.columns if c != "Unit"], "number:0")
    note = (
        f"Over {portfolio.horizon_months} months, with {portfolio.interval:.0%} forecast intervals. Withheld units are "
        "left out."
    )
    show.table(frame, "Forecast of each unit", "forecasts", formats, note)
