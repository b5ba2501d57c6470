"""Criticism of the fitted models: priors against posteriors, and what the model would have seen against what it saw."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cvmlib import inference
from cvmlib.clv import bg_nbd, purchase_model, spend_model
from cvmlib.clv.prepare import UnitBase
from cvmlib.clv.study import Models
from cvmlib.clv.validation import class_names, classify_frequency

_PRIOR_DRAWS = 20_000
_SIMULATIONS = 40

#: Parameter of the posterior: the prior it comes from, the inverse of its link, and its name for people.
_LINKS = {
    "shape": ("log_shape", np.exp, "shape r of the rates"),
    "dropout": ("logit_dropout", lambda v: 1.0 / (1.0 + np.exp(-v)), "mean dropout probability"),
    "concentration": ("log_concentration", np.exp, "concentration of dropout"),
    "p": ("log_p", np.exp, "p, regularity of spend"),
    "q": ("log_q_less_one", lambda v: 1.0 + np.exp(v), "q, likeness of customers"),
}


def sample_prior(prior: purchase_model.Prior, seed: int = 0) -> np.ndarray:
    """Draw a unit's parameter, on its link scale, from the hierarchical prior: shape (20000,)."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(prior.mean, prior.sd, _PRIOR_DRAWS)
    between = np.exp(rng.normal(np.log(prior.spread), prior.spread_sd, _PRIOR_DRAWS))
    return rng.normal(centre, between)


def compare_priors(models: Models) -> pd.DataFrame:
    """Tabulate the prior of each parameter against its posterior per unit: medians and 90% intervals.

    Returns
    -------
    DataFrame
        ``parameter``, ``name`` (unit or "prior"), ``mean`` (median), ``low``, ``high``.
    """
    priors = {prior.name: prior for prior in (*purchase_model.PRIORS, *spend_model.PRIORS)}
    rows = []
    for parameter, (prior, inverse, label) in _LINKS.items():
        trace = models.spend.trace if parameter in spend_model.NAMES else models.purchase.trace
        if trace is None:
            continue
        rows.append({"parameter": label, "name": "prior"} | _quantiles(inverse(sample_prior(priors[prior]))))
        values = trace["posterior"][parameter]
        for unit in values["unit"].to_numpy():
            rows.append({"parameter": label, "name": str(unit)} | _quantiles(values.sel(unit=unit).to_numpy().ravel()))
    return pd.DataFrame(rows)


def summarise_posteriors(models: Models) -> pd.DataFrame:
    """Tabulate every parameter of both models: mean, sd, 90% interval, R-hat and effective sample sizes."""
    parts = [inference.summarise(models.purchase.trace, purchase_model.NAMES)]
    if models.spend.trace is not None:
        parts.append(inference.summarise(models.spend.trace, spend_model.NAMES))
    return pd.concat(parts).rename_axis("parameter").reset_index()


def check_frequencies(base: UnitBase, models: Models, seed: int) -> pd.DataFrame:
    """Compare how many customers made so many repeat purchases with what the posterior predicts for their ages.

    Parameters
    ----------
    base : UnitBase
        A unit of the fit.
    models : Models
        Fitted to the whole history.
    seed : int
        Seed of the simulation.

    Returns
    -------
    DataFrame
        ``frequency`` (class, as text), ``actual``, ``expected``, ``low``, ``high`` (customers; 90% predictive
        interval).
    """
    rows = base.count_rows()
    weights = rows["customers"].to_numpy()
    actual = classify_frequency(rows["frequency"])
    draws = models.purchase.draws(base.unit.name, _SIMULATIONS)
    rng = np.random.default_rng(seed)
    ages = np.repeat(rows["T"].to_numpy(dtype=float), weights)
    simulated = np.array(
        [
            np.bincount(
                classify_frequency(bg_nbd.simulate_customers(ages, r, alpha, a, b, rng)[0]),
                minlength=len(class_names()),
            )
            for r, alpha, a, b in zip(draws.r, draws.alpha, draws.a, draws.b, strict=True)
        ]
    )
    low, high = np.quantile(simulated, [0.05, 0.95], axis=0)
    table = pd.DataFrame(
        {
            "frequency": class_names(),
            "actual": np.bincount(actual, weights, len(class_names())),
            "expected": simulated.mean(axis=0),
            "low": low,
            "high": high,
        }
    )
    return table[(table["actual"] > 0) | (table["expected"] >= 0.5)].reset_index(drop=True)


def describe_frequencies(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tabulate, per unit, the share of customers that the predicted frequencies put into a wrong class."""
    rows = [
        {
            "unit": unit,
            "misplaced": float((t["actual"] - t["expected"]).abs().sum() / 2 / t["actual"].sum()),
            "classes_inside": float(((t["actual"] >= t["low"]) & (t["actual"] <= t["high"])).mean()),
        }
        for unit, t in tables.items()
    ]
    return pd.DataFrame(rows)


def _quantiles(values: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return {"mean": float(middle), "low": float(low), "high": float(high)}
