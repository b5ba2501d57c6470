"""The sentences of the models notebook on what drives leaving, and the names of its columns for people."""

import pandas as pd

from cvmlib.reporting.words import count, percent

_COLUMNS = {
    "bad_k": "Pareto k too high",
    "column": "Column",
    "covariate": "Covariate",
    "difference": "Difference to the best",
    "difference_se": "its standard error",
    "elpd": "Log predictive density",
    "hazard": "Risk as counted",
    "learned": "Learned from the data",
    "level": "Level",
    "model": "Model",
    "parameter": "Parameter",
    "parameters": "Parameters",
    "passed": "Reliable",
    "posterior_high": "Posterior, to",
    "posterior_low": "Posterior, from",
    "prior_high": "Prior, to",
    "prior_low": "Prior, from",
    "ratio": "Times as prone to leave",
    "ratio_high": "to",
    "ratio_low": "from",
    "reason": "Reason",
    "sentence": "How we know",
    "subscriptions": "Subscriptions",
    "unit": "Unit",
    "units": "Units",
    "used": "Used",
    "value": "Value",
    "high": "to",
    "low": "from",
}


def name_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of a table of `cvmlib.churn.drivers` their names for people."""
    return frame.rename(columns=_COLUMNS)


def describe_covariates(columns: pd.DataFrame) -> str:
    """Say which columns may drive leaving, and which were refused and why.

    Parameters
    ----------
    columns : DataFrame
        From `cvmlib.churn.drivers.tabulate_covariates`.
    """
    if columns.empty:
        return (
            "The portfolio file names no covariates (units.NAME.retention.covariates), so nothing is said about what "
            "drives leaving."
        )
    used, refused = columns[columns["used"]], columns[~columns["used"]]
    told = f"{count(len(used), 'column')} may drive leaving."
    if refused.empty:
        return told
    reasons = " ".join(f"{row.unit}: {row.sentence}" for row in refused.itertuples())
    return f"{told} {count(len(refused), 'column')} named as covariates cannot be used. {reasons}"


def describe_gates(gates: pd.DataFrame) -> str:
    """Say whether the fits may be relied on; of each that may not, why.

    Parameters
    ----------
    gates : DataFrame
        From `cvmlib.churn.drivers.tabulate_gates`.
    """
    if gates.empty:
        return "No unit has enough leavers to fit a retention model."
    bad = gates[~gates["passed"]]
    if bad.empty:
        return f"{count(len(gates), 'fit')}, and all of them may be relied on."
    told = " ".join(f"{row.model} of {row.units}: {row.sentence}" for row in bad.itertuples())
    return f"{len(bad)} of {count(len(gates), 'fit')} may not be relied on. {told}"


def describe_check(check: pd.DataFrame) -> str:
    """Say in how many months of tenure the leavers counted are what the models expect.

    Parameters
    ----------
    check : DataFrame
        From `cvmlib.churn.drivers.tabulate_check`.
    """
    if check.empty:
        return "There is no model to hold against the data."
    return (
        f"The share who left lies inside the interval of what the model expects in {percent(check['inside'].mean())} "
        f"of {count(len(check), 'month')} of tenure."
    )


def describe_choices(choices: pd.DataFrame) -> str:
    """Say which model each unit's data speak for, and why.

    Parameters
    ----------
    choices : DataFrame
        From `cvmlib.churn.drivers.tabulate_choices`.
    """
    return " ".join(f"{row.unit}: {row.reason}" for row in choices.itertuples()) or "No model was fitted."


def describe_drivers(effects: pd.DataFrame) -> str:
    """Say which levels are surely more, and which surely less prone to leave than the average of their covariate.

    Parameters
    ----------
    effects : DataFrame
        From `cvmlib.churn.drivers.tabulate_drivers`.
    """
    if effects.empty:
        return "Without covariates nothing can be said about what drives leaving."
    parts = []
    for unit, own in effects.groupby("unit", sort=False):
        more, less = own[own["ratio_low"] > 1], own[own["ratio_high"] < 1]
        sides = [
            f"{word} prone to leave are {_list_levels(part)}"
            for word, part in (("more", more.nlargest(3, "ratio")), ("less", less.nsmallest(3, "ratio")))
            if len(part)
        ]
        told = "; ".join(sides) or "no covariate makes a difference that is beyond doubt"
        parts.append(f"{unit}: {told}.")
    return " ".join(parts)


def _list_levels(effects: pd.DataFrame) -> str:
    return ", ".join(
        f"{row.covariate} “{row.level}” ({row.ratio:.2f} times, {row.ratio_low:.2f} to {row.ratio_high:.2f})"
        for row in effects.itertuples()
    )


def describe_saved(written: list, totals: pd.DataFrame) -> str:
    """Say what was saved for the reports, and how many units may be used.

    Parameters
    ----------
    written : list of Path
        The files.
    totals : DataFrame
        From `cvmlib.churn.fit.tabulate_totals`.
    """
    sound = int((totals["level"] != "withheld").sum())
    return (
        f"{count(len(written), 'file')} were saved for the reports of {count(len(totals), 'unit')}; the value of "
        f"{sound} of them may be used."
    )


def draw_effects(effects: pd.DataFrame) -> pd.DataFrame:
    """Make the rows of a forest plot of effects: name, mean, low, high.

    Parameters
    ----------
    effects : DataFrame
        From `cvmlib.churn.drivers.tabulate_drivers`.
    """
    if effects.empty:
        return pd.DataFrame({"name": [], "mean": [], "low": [], "high": []})
    several = effects["unit"].nunique() > 1
    names = effects["covariate"] + ": " + effects["level"].astype(str)
    frame = pd.DataFrame({"name": effects["unit"] + ", " + names if several else names})
    return frame.assign(mean=effects["ratio"], low=effects["ratio_low"], high=effects["ratio_high"])


def known_formats(frame: pd.DataFrame, formats: dict[str, str]) -> dict[str, str]:
    """Keep the formats of columns that a table has; a table without rows may have none of them."""
    return {name: kind for name, kind in formats.items() if name in frame.columns}
