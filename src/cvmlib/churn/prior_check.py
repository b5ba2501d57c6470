"""Priors against data: what a retention model believed before it saw them, and what it believes now."""

import numpy as np
import pandas as pd
import pymc as pm

from cvmlib.churn.outlook import take_draws
from cvmlib.churn.retention_model import RetentionFit, build_model

_MEANINGS = {
    "log_risk": "Share leaving up to the reference tenure",
    "log_shape": "Shape a of the propensities",
    "log_slope": "Slope of the log risk in log exposure",
    "slope": "Slope of the log risk in log tenure",
    "log_joining": "Month of joining, times the trend",
    "log_first": "First month, times the trend",
    "log_renewal": "Renewal months, times the trend",
}


def compare_priors(fit: RetentionFit, interval: float = 0.9, draws: int = 1000, seed: int = 1) -> pd.DataFrame:
    """Interval of every unit's parameters before and after the data.

    Returns
    -------
    pandas.DataFrame
        unit, parameter (words), prior_low, prior_high, posterior_low, posterior_high, learned (1 less the ratio of the
        widths, on the scale on which the prior is normal).
    """
    values = take_draws(fit, draws)
    names = [name for name in values if name in _MEANINGS]
    model = build_model(fit.data, fit.name)
    before = dict(zip(names, pm.draw([model[name] for name in names], draws, random_seed=seed), strict=True))
    tail, rows = [(1 - interval) / 2, (1 + interval) / 2], []
    for place, unit in enumerate(fit.data.units):
        for name in names:
            prior, posterior = (np.quantile(each[name][:, place], tail) for each in (before, values))
            learned = 1.0 - np.diff(posterior)[0] / np.diff(prior)[0]
            ends = [_in_words(name, end) for end in (*prior, *posterior)]
            rows.append((unit, _MEANINGS[name], *ends, learned))
    columns = ["unit", "parameter", "prior_low", "prior_high", "posterior_low", "posterior_high", "learned"]
    return pd.DataFrame(rows, columns=columns)


def _in_words(name: str, value: float) -> float:
    """Turn a parameter into the quantity that it is named after."""
    if name == "log_risk":
        return float(-np.expm1(-np.exp(value)))
    return float(value if name == "slope" else np.exp(value))
