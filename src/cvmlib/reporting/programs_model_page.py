"""The parts of the models page of programs: randomisation, variance, pooling, its criticism, and placebo runs."""

import numpy as np
import pandas as pd

from cvmlib.plots.programs import shrinkage
from cvmlib.portfolio import Portfolio
from cvmlib.programs.randomisation import LIMIT
from cvmlib.programs.study import Study
from cvmlib.programs.validation import predict_each, vary_prior
from cvmlib.reporting import show
from cvmlib.reporting.words import count, listing, percent

_RANK_EDGE = 0.05
_FELT = 0.005


def show_checks(study: Study) -> None:
    """Show the tests of randomisation of all programs with two arms."""
    parts = [unit.checks.assign(unit=name).merge(unit.data.programs[["program_id", "label"]], on="program_id")
             for name, unit in study.measured.items() if len(unit.checks)]  # fmt: skip
    if not parts:
        show.prose("No program has two arms.")
        return
    checks = pd.concat(parts, ignore_index=True)
    broken = checks.loc[checks["broken"], "label"].tolist()
    text = f"{count(len(checks), 'program')} with two arms were tested at a level of {LIMIT:g}: "
    text += f"{listing(broken)} cannot be put down to chance." if broken else "all can be put down to chance."
    show.prose(show.text(text))
    names = {
        "unit": "Unit", "label": "Program", "treated": "Treated", "control": "Held back", "share": "Treated share",
        "planned": "Planned", "stated": "Plan supplied", "ratio": "p of the sizes", "segments": "p over segments",
        "past": "p of the past",
    }  # fmt: skip
    formats = {"Treated share": "percent:1", "Planned": "percent:1"}
    formats |= dict.fromkeys(["p of the sizes", "p over segments", "p of the past"], "number:4")
    shown = checks.rename(columns=names)[list(names.values())]
    show.table(shown, "Is it what chance makes?", "randomisation", formats, rows=60)


def show_variance(study: Study, portfolio: Portfolio) -> None:
    """Show how much of the variance the past explains, raw and adjusted lifts, and how heavy the tails are."""
    table = _concat(study, "lifts")
    if table.empty:
        show.prose("No program has two arms.")
        return
    names = {
        "unit": "Unit", "label": "Program", "raw": f"Raw lift per customer ({portfolio.currency})", "raw_se": "its "
        "error",
        "lift": f"Adjusted lift per customer ({portfolio.currency})", "lift_se": "error of the adjusted",
        "cut": "Variance explained by the past", "freedom": "Degrees of freedom of the error",
    }  # fmt: skip
    show.prose(
        f"The past explains {percent(table['cut'].min())} to {percent(table['cut'].max())} of the variance within the "
        f"arms. "
        "Few degrees of freedom mean that a handful of customers make up most of the variance; the error is widened "
        "accordingly."
    )
    formats = dict.fromkeys(list(names.values())[2:6], "number:2") | {"Variance explained by the past": "percent:1"}
    formats |= {"Degrees of freedom of the error": "number:0"}
    show.table(table.rename(columns=names)[list(names.values())], "Lift in money", "variance", formats, rows=60)


def _concat(study: Study, part: str) -> pd.DataFrame:
    frames = [getattr(unit, part).assign(unit=name).merge(unit.data.programs[["program_id", "label"]], on="program_id")
              for name, unit in study.measured.items()]  # fmt: skip
    kept = [frame for frame in frames if len(frame)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def _pooled_frame(study: Study, interval: float) -> pd.DataFrame:
    """Measured and pooled lifts of all programs, largest measured first."""
    labels = _labels(study)
    ends = [(1 - interval) / 2, (1 + interval) / 2]
    frame = study.order.assign(
        name=[labels[key] for key in zip(study.order["unit"], study.order["program_id"], strict=True)],
        measured=np.expm1(study.order["measured"]),
        sharp=np.expm1(study.order["lift"]),
        mean=study.pooled.mean_lift(),
        low=np.expm1(np.quantile(study.pooled.theta, ends[0], axis=0)),
        high=np.expm1(np.quantile(study.pooled.theta, ends[1], axis=0)),
    )
    return frame.sort_values("measured", ascending=False, ignore_index=True)


def _labels(study: Study) -> dict[tuple[str, str], str]:
    return {
        (name, row.program_id): f"{row.label} ({name})" if len(study.measured) > 1 else row.label
        for name, unit in study.measured.items()
        for row in unit.data.programs.itertuples()
    }


def show_pooling(study: Study, portfolio: Portfolio) -> None:
    """Show measured lifts and what they shrink to."""
    frame = _pooled_frame(study, portfolio.interval)
    if frame.empty:
        show.prose("No program has a randomised holdout that can be read, so there is nothing to pool.")
        return
    top = frame.iloc[0]
    text = (
        f"{count(len(frame), 'lift')} are pooled; programs of a unit spread around its mean with a standard deviation "
        f"of "
        f"about {percent(float(pd.Series(study.pooled.tau).median()), 1)} (posterior median). The largest measured "
        f"lift, "
        f"{percent(top['measured'], 1)} of {top['name']}, shrinks to {percent(top['mean'], 1)}. "
        f"{_say_sharpening(study)}"
    )
    show.prose(show.text(text))
    names = {
        "name": "Program",
        "measured": "Measured",
        "measured_se": "its error (log)",
        "sharp": "With conversions",
        "se": "error with conversions (log)",
        "mean": "Pooled",
        "low": "from",
        "high": "to",
    }
    ax = shrinkage(frame)
    shown = frame.rename(columns=names)[list(names.values())]
    formats = dict.fromkeys(list(names.values())[1:], "percent:1")
    caption = f"Lifts as shares of what customers spend anyway; {portfolio.interval:.0%} intervals."
    show.figure(ax.figure, text, shown, caption, "pooling", formats)


def _say_sharpening(study: Study) -> str:
    """Say what conversions took out of the errors of the lifts."""
    cut = 1 - study.order["se"] / study.order["measured_se"]
    if cut.max() < _FELT:
        return "Conversions say nothing about these lifts that money does not."
    return (
        f"Conversions, which large baskets do not blur, take up to {percent(cut.max())} off the error of a lift "
        f"({percent(cut.median())} in the median)."
    )


def show_predictive(study: Study, portfolio: Portfolio) -> None:
    """Predict every program from the others, and say how many fall outside."""
    if len(study.order) < 3:
        show.prose("With fewer than three programs none can be predicted from the others.")
        return
    table = predict_each(study, portfolio.seed)
    outside = int(((table["rank"] < _RANK_EDGE) | (table["rank"] > 1 - _RANK_EDGE)).sum())
    labels = _labels(study)
    show.prose(
        f"Predicted from all others, {outside} of {count(len(table), 'program')} fall outside their 90% interval; "
        f"about "
        f"{0.1 * len(table):.1f} should."
    )
    table["Program"] = [labels[key] for key in zip(table["unit"], table["program_id"], strict=True)]
    names = {"lift": "Measured", "low": "Predicted from", "high": "to", "rank": "Rank"}
    formats = dict.fromkeys(["Measured", "Predicted from", "to"], "percent:1") | {"Rank": "percent"}
    shown = table.rename(columns=names)[["Program", *names.values()]]
    show.table(shown, "Each program predicted from the others", "predictive", formats, rows=60)


def show_sensitivity(study: Study, portfolio: Portfolio) -> None:
    """Show the verdicts under a narrower and a wider prior."""
    table = vary_prior(study, portfolio)
    if "verdict_1" not in table.columns or table.empty:
        show.prose("No program has a randomised holdout.")
        return
    columns = [name for name in table.columns if name.startswith("verdict_")]
    turned = table[table[columns].nunique(axis=1) > 1]
    text = "No verdict depends on it." if turned.empty else f"It decides the verdict on {listing(turned['label'])}."
    show.prose(show.text(f"The prior scale is taken three times narrower and wider. {text}"))
    names = {"unit": "Unit", "label": "Program"}
    words = {"1": "as chosen", f"{1 / 3:g}": "narrower", "3": "wider"}
    for name in table.columns.drop(["unit", "label"]):
        what, _, factor = name.partition("_")
        names[name] = (
            f"{ {'pooled': 'Lift', 'probability': 'Probability', 'verdict': 'Verdict'}[what] }, {words[factor]}"
        )
    formats = {new: "percent:1" for old, new in names.items() if old.startswith("pooled")}
    formats |= {new: "percent" for old, new in names.items() if old.startswith("probability")}
    show.table(table.rename(columns=names), "Verdicts under other priors", "sensitivity", formats, rows=60)


def show_placebos(study: Study) -> None:
    """Show the regional tests with their placebo distribution."""
    rows = []
    for name, unit in study.units.items():
        regional = unit.results[unit.results["design"] == "regional"]
        rows += [
            {
                "Unit": name,
                "Program": row["label"],
                "Lift": row["pooled"],
                "from": row["pooled_low"],
                "to": row["pooled_high"],
                "Placebo p-value": row["p_value"],
                "Untreated areas that moved as much": row["moved"],
                "Remark": row["why_not"],
            }
            for row in regional.to_dict("records")
        ]
    if not rows:
        show.prose("There is no regional test.")
        return
    show.prose(
        "Interval and p-value are read from one distribution, that of placebo runs of the same areas at earlier "
        "dates, so "
        "that the p-value is below 10% exactly when the 90% interval excludes zero."
    )
    formats = dict.fromkeys(["Lift", "from", "to"], "percent:1") | {"Placebo p-value": "number:3"}
    formats |= {"Untreated areas that moved as much": "percent"}
    show.table(pd.DataFrame(rows), "Regional tests", "regional tests", formats)
