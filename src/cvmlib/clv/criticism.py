"""Criticism of the fitted models: priors against posteriors, and what the model would have seen against what it saw."""

import numpy as np
import pandas as pd

from cvmlib import inference
from cvmlib.clv import spend_model
from cvmlib.clv.pooling import Prior
from cvmlib.clv.prepare import UnitBase
from cvmlib.clv.purchase_model import PurchaseFit
from cvmlib.clv.study import Models
from cvmlib.clv.validation import class_names, classify_frequency

_PRIOR_DRAWS = 20_000
_SIMULATIONS = 40

_INVERSE = {"log": np.exp, "logit": lambda v: 1.0 / (1.0 + np.exp(-v))}

#: Parameter of the spend model: the prior it comes from, the inverse of its link, and its name for people.
_SPEND = {
    "p": ("log_p", np.exp, "p, regularity of spend"),
    "q": ("log_q_less_one", lambda v: 1.0 + np.exp(v), "q, likeness of customers"),
}


def sample_prior(prior: Prior, seed: int = 0) -> np.ndarray:
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
    several = len(models.fits) > 1
    compared = [
        (
            fit.trace["posterior"][p.name],
            p.prior,
            _INVERSE[p.link],
            f"{p.label} ({fit.family.title})" if several else p.label,
        )
        for fit in models.fits.values()
        for p in fit.family.parameters
        if not p.per_time  # its prior is for times of no unit that people know
    ]
    if models.spend.trace is not None:
        priors = {prior.name: prior for prior in spend_model.PRIORS}
        posterior = models.spend.trace["posterior"]
        compared += [
            (posterior[name], priors[prior], inverse, label) for name, (prior, inverse, label) in _SPEND.items()
        ]
    rows = []
    for values, prior, inverse, label in compared:
        rows.append({"parameter": label, "name": "prior"} | _quantiles(inverse(sample_prior(prior))))
        for unit in values["unit"].to_numpy():
            rows.append({"parameter": label, "name": str(unit)} | _quantiles(values.sel(unit=unit).to_numpy().ravel()))
    return pd.DataFrame(rows)


def _name(label: str, fit: PurchaseFit, models: Models) -> str:
    """Name of a parameter, with its model where there are several."""
    return f"{label} ({fit.family.title})" if len(models.fits) > 1 else label


def summarise_posteriors(models: Models) -> pd.DataFrame:
    """Tabulate every parameter of all models: mean, sd, 90% interval, R-hat and effective sample sizes."""
    parts = [
        inference.summarise(fit.trace, fit.family.names).assign(model=fit.family.title) for fit in models.fits.values()
    ]
    if models.spend.trace is not None:
        parts.append(inference.summarise(models.spend.trace, spend_model.NAMES).assign(model="Gamma-Gamma"))
    table = pd.concat(parts).rename_axis("parameter").reset_index()
    return table[["model", *(name for name in table if name != "model")]]


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
    of_pattern = models.purchases[base.unit.name].draws_by_pattern(base.unit.name, _SIMULATIONS)
    rng = np.random.default_rng(seed)
    age = models.calendars[base.unit.name].elapsed(rows["T"].to_numpy(dtype=float))
    simulated = 0.0
    for pattern, places in rows.groupby("pattern").indices.items():
        ages, draws = np.repeat(age[places], weights[places]), of_pattern[pattern]
        simulated = simulated + np.array(
            [
                np.bincount(
                    classify_frequency(draws.family.simulate_customers(ages, *draw, rng)[0]),
                    minlength=len(class_names()),
                )
                for draw in zip(*draws.values, strict=True)
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


def _quantiles(values: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return {"mean": float(middle), "low": float(low), "high": float(high)}
