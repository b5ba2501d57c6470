"""Hierarchical purchase models over business units: small units borrow strength, large ones speak for themselves.

Each unit has the interpretable parameters of a family (`families.family`), which are nearly orthogonal in the
posterior, unlike the published ones; on their link scales they are partially pooled (`cvmlib.clv.pooling`). Time is
divided by the mean age of the customers before a prior sees it, so that a forecast does not depend on the unit of time.

With covariates, the customers of a unit with one pattern of levels are a group: its rate and its dropout are the unit's
times the effects of its levels (`cvmlib.clv.effects`), while shape and concentration stay the unit's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from scipy import special

from cvmlib import inference, quick
from cvmlib.clv.count_checks import check_rows
from cvmlib.clv.covariates import read_pattern
from cvmlib.clv.effects import Design, add_effects, count_levels, label_level, lay_out_effects, split_label
from cvmlib.clv.families.family import Family, Parameter
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.clv.near_rows import Merging, evaluate_draws, merge_near, reweigh
from cvmlib.clv.pooling import pool_coordinates, pooled
from cvmlib.errors import UnfitModelError

_INVERSE = {"log": pt.exp, "logit": pm.math.invlogit}


@dataclass(frozen=True)
class Draws:
    """Posterior draws of one unit's published parameters, each of shape (draws,), in the order of the family; days."""

    family: Family
    values: tuple[npt.NDArray[np.float64], ...]

    def __len__(self) -> int:
        """How many draws."""
        return len(self.values[0])

    def __getitem__(self, symbol: str) -> npt.NDArray[np.float64]:
        """Draws of the published parameter `symbol`."""
        return self.values[self.family.symbols.index(symbol)]

    def thin(self, count: int) -> "Draws":
        """Keep `count` evenly spaced draws, or all where there are fewer."""
        chosen = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)
        return Draws(self.family, tuple(value[chosen] for value in self.values))

    def column(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Return the parameters as (draws, 1) arrays that broadcast against rows."""
        return tuple(value[:, None] for value in self.values)


@dataclass(frozen=True)
class PurchaseFit:
    """A fitted purchase model.

    Parameters
    ----------
    family : Family
        The model.
    trace : xarray DataTree
        The posterior.
    units : tuple of str
        Its units.
    time_scale : float
        Days of one unit of the model's time.
    diagnostics : Diagnostics
        The gate.
    constants : dict of str to int
        The family's constant of each unit, where it has one.
    covariates : dict of str to tuple of str
        Covariates of each unit that has any, in the order of the levels of its patterns.
    patterns : dict of str to tuple of str
        Patterns of the customers of each unit; the empty one where it has no covariates.
    merging : Merging, optional
        Of a large base, which rows were merged and what that cost.
    """

    family: Family
    trace: xr.DataTree
    units: tuple[str, ...]
    time_scale: float
    diagnostics: inference.Diagnostics | quick.Trust
    constants: Mapping[str, int] = field(default_factory=dict)
    covariates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    merging: Merging | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", {unit: tuple(self.patterns.get(unit, ("",))) for unit in self.units})

    def draws(self, unit: str, count: int = 1000, pattern: str = "") -> Draws:
        """Take evenly spaced posterior draws for `unit`, or for its customers of one `pattern`, in natural units.

        Parameters
        ----------
        unit : str
            A unit of the fit.
        count : int
            How many draws.
        pattern : str
            Levels of the unit's covariates; any combination of levels that the fit has seen.

        Raises
        ------
        ValueError
            The pattern does not have one level, seen by the fit, of each covariate of the unit.
        """
        posterior = self.trace["posterior"].to_dataset().sel(unit=unit)
        labels = self._labels(unit, pattern)
        values = []
        for parameter in self.family.parameters:
            value = inference.thin(posterior[parameter.name], count)
            if labels and parameter.effect:
                effects = posterior["effect"].sel(affected=parameter.name, level=labels).sum("level")
                value = _shift(parameter, value, inference.thin(effects, count))
            values.append(value)
        if self.family.constant:
            values.append(np.full(len(values[0]), self.constants[unit]))
        return Draws(self.family, tuple(self.family.published(*values)))

    def draws_by_pattern(self, unit: str, count: int = 1000) -> dict[str, Draws]:
        """Take the same posterior draws for each pattern of `unit`; of one without covariates, for the empty one."""
        return {pattern: self.draws(unit, count, pattern) for pattern in self.patterns[unit]}

    def _labels(self, unit: str, pattern: str) -> list[str]:
        columns, levels = self.covariates.get(unit, ()), read_pattern(pattern)
        seen = {tuple(one) for other in self.patterns[unit] for one in zip(columns, read_pattern(other), strict=True)}
        pairs = list(zip(columns, levels, strict=False))
        if len(columns) != len(levels) or not seen.issuperset(pairs):
            known = ", ".join(self.patterns[unit][:5]) if columns else "none, for it has no covariates"
            raise ValueError(
                f"found pattern {pattern!r} of unit {unit}; expected a level of {', '.join(columns) or 'nothing'} that "
                f"the model was fitted to. Its patterns are: {known}{' …' * (len(self.patterns[unit]) > 5)}."
            )
        return [label_level(unit, column, level) for column, level in pairs]


def _shift(
    parameter: Parameter, value: npt.NDArray[np.float64], effect: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Add an effect on the link scale."""
    return value * np.exp(effect) if parameter.link == "log" else special.expit(special.logit(value) + effect)


def build_model(
    counts: pd.DataFrame,
    pools: Mapping[str, str] | None = None,
    family: Family = BG_NBD,
    constants: Mapping[str, int] | None = None,
    covariates: Mapping[str, Sequence[str]] | None = None,
) -> tuple[pm.Model, float]:
    """Build a hierarchical purchase model on a count table.

    Parameters
    ----------
    counts : DataFrame
        ``unit``, ``frequency``, ``recency``, ``T`` (days), ``customers``; with covariates also ``pattern``.
    pools : mapping of str to str, optional
        Pool of each unit; one pool for all by default.
    family : Family
        The model.
    constants : mapping of str to int, optional
        The family's constant of each unit, where it has one.
    covariates : mapping of str to sequence of str, optional
        Covariates of each unit that has any, in the order of the levels of its patterns.

    Returns
    -------
    model : pymc.Model
        With the family's interpretable parameters per unit as deterministics; rates are per day.
    time_scale : float
        Days in the model's unit of time.
    """
    design = _design(counts, covariates, pools)
    keys = ["unit", "pattern"] if design else "unit"
    units = pd.factorize(counts["unit"], sort=True)[1]
    codes = counts.groupby(keys, sort=True).ngroup().to_numpy()
    customers = counts["customers"].to_numpy(dtype=float)
    age = counts["T"].to_numpy(dtype=float)
    if not (counts["frequency"] > 0).any():
        raise UnfitModelError(
            f"No customer of {', '.join(map(str, units))} bought more than once, so purchase rates cannot be told from "
            "dropout. Supply a longer history, or pool the unit with others that have repeat buyers."
        )
    # Opportunities are whole; only a family with a rate measures time.
    scale = float(np.average(age, weights=customers)) if family.measures_time else 1.0
    data = family.lay_out(
        codes.astype(np.int64),
        counts["frequency"].to_numpy(dtype=np.int64),
        counts["recency"].to_numpy(dtype=float) / scale,
        age / scale,
        customers,
    )
    affected = [parameter.name for parameter in family.parameters if parameter.effect]
    coordinates = design.coordinates(affected) if design else {}
    with pm.Model(coords=pool_coordinates(list(units), pools) | coordinates) as model:
        effects = add_effects(affected, design) if design else None
        values = []
        for parameter in family.parameters:
            linked, inverse = pooled(parameter.prior, pools), _INVERSE[parameter.link]
            value = inverse(linked)
            pm.Deterministic(parameter.name, value / scale if parameter.per_time else value, dims="unit")
            if design and parameter.effect:
                value = inverse(linked[design.unit_of_group] + effects[affected.index(parameter.name)])
            elif design:
                value = value[design.unit_of_group]
            values.append(value)
        if family.constant:
            constant = np.array([constants[unit] for unit in units], dtype=np.int64)
            values.append(constant[design.unit_of_group] if design else constant)
        pm.Potential("log_likelihood", family.density(data, *family.published(*values)))
    return model, scale


def fit(
    counts: pd.DataFrame,
    sampling: inference.Sampling,
    pools: Mapping[str, str] | None = None,
    family: Family = BG_NBD,
    constants: Mapping[str, int] | None = None,
    covariates: Mapping[str, Sequence[str]] | None = None,
) -> PurchaseFit:
    """Fit a hierarchical purchase model.

    Parameters
    ----------
    counts, pools, family, constants, covariates
        As for `build_model`.
    sampling : Sampling
        Lengths and seed.

    Raises
    ------
    DataError
        Count rows that no customer can have (`cvmlib.clv.count_checks`).
    UnfitModelError
        No customer of any unit bought twice.
    """
    check_rows(counts)
    near = merge_near(counts, ["recency", "T"]) if family.measures_time else counts
    found = _sample(near, sampling, pools, family, constants, covariates)
    if len(near) == len(counts):
        return found
    ratio = _log_likelihoods(found, counts) - _log_likelihoods(found, near)
    trace, pareto_k, worth = reweigh(found.trace, ratio)
    merging = Merging(len(counts), len(near), pareto_k, worth)
    if not merging.passed:
        return _sample(counts, sampling, pools, family, constants, covariates)
    gate = found.diagnostics if sampling.quick else inference.diagnose(trace, _judged(family, trace))
    return replace(found, trace=trace, diagnostics=gate, merging=merging)


def _judged(family: Family, trace: xr.DataTree) -> list[str]:
    """Names of what the chains are judged by."""
    return [*family.names, *(["effect_contrast"] if "effect_contrast" in trace["posterior"] else [])]


def _log_likelihoods(fit: PurchaseFit, counts: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Log-likelihood of count rows (times in days) at every draw, shape (chains, draws)."""
    sizes = fit.trace["posterior"].sizes
    shape = sizes["chain"], sizes["draw"]
    with_patterns = any(fit.covariates.get(unit) for unit in fit.units)
    keys = ["unit", "pattern"] if with_patterns else ["unit"]
    groups = counts[keys].drop_duplicates().sort_values(keys)
    draws = [fit.draws(one[0], shape[0] * shape[1], *one[1:]).values for one in groups.itertuples(index=False)]
    data = fit.family.lay_out(
        counts.groupby(keys, sort=True).ngroup().to_numpy(dtype=np.int64),
        counts["frequency"].to_numpy(dtype=np.int64),
        counts["recency"].to_numpy(dtype=float),
        counts["T"].to_numpy(dtype=float),
        counts["customers"].to_numpy(dtype=float),
    )
    constant = [np.array([fit.constants[unit] for unit in groups["unit"]])] if fit.family.constant else []
    values = np.array([of_group[: len(of_group) - len(constant)] for of_group in draws]).swapaxes(0, 1)
    return evaluate_draws(lambda *each: fit.family.density(data, *each, *constant), values).reshape(shape)


def _sample(
    counts: pd.DataFrame,
    sampling: inference.Sampling,
    pools: Mapping[str, str] | None,
    family: Family,
    constants: Mapping[str, int] | None,
    covariates: Mapping[str, Sequence[str]] | None,
) -> PurchaseFit:
    """Fit a model to just these rows."""
    model, scale = build_model(counts, pools, family, constants, covariates)
    effects = ["effect_contrast"] if "effect_contrast" in model.named_vars else []
    trace, diagnostics = quick.sample(model, sampling, [*family.names, *effects])
    units = tuple(str(u) for u in trace["posterior"]["unit"].to_numpy())
    design = _design(counts, covariates, pools)
    named = {unit: tuple(columns) for unit, columns in (covariates or {}).items() if columns and unit in units}
    patterns = design.patterns if design else {}
    return PurchaseFit(family, trace, units, scale, diagnostics, dict(constants or {}), named, patterns)


def _design(
    counts: pd.DataFrame, covariates: Mapping[str, Sequence[str]] | None, pools: Mapping[str, str] | None
) -> Design | None:
    """Groups and effects of the covariates of the units that there are, if any unit has some."""
    used = any((covariates or {}).get(unit) for unit in counts["unit"].unique())
    return lay_out_effects(counts, covariates, pools) if used else None


def tabulate_effects(
    fit: PurchaseFit, counts: pd.DataFrame, pools: Mapping[str, str] | None = None, interval: float = 0.9
) -> pd.DataFrame:
    """Tabulate what each level of a covariate does, against the mean customer of its unit.

    Parameters
    ----------
    fit : PurchaseFit
        A fit with covariates.
    counts : DataFrame
        ``unit``, ``pattern``, ``customers``, as for the fit, or of some of its units: levels nobody has are left out.
    pools : mapping of str to str, optional
        As for the fit.
    interval : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        ``unit`` (or, in the rows where ``pooled``, the pool: what a further unit of it is expected to be like),
        ``pooled``, ``covariate``, ``level``, ``customers``, ``parameter`` (its name), ``measure`` (the name of the
        ratio for people), ``ratio`` (median), ``low``, ``high``; no row without covariates.
    """
    posterior = fit.trace["posterior"]
    customers = count_levels(counts, fit.covariates)
    by_pool = customers.assign(unit=customers["unit"].map(lambda unit: (pools or {}).get(unit, "") or "(all)"))
    numbers = {}
    for of_pools, table in ((False, customers), (True, by_pool)):
        sums = table.groupby(["unit", "covariate", "level"])["customers"].sum()
        numbers |= {(of_pools, *key): int(n) for key, n in sums.items()}
    rows = []
    for name, dim in (("effect", "level"), ("effect_pool", "pooled")):
        if name not in posterior:
            continue
        ends = posterior[name].quantile([0.5, (1 - interval) / 2, (1 + interval) / 2], dim=("chain", "draw"))
        for label in posterior[dim].to_numpy():
            key = dim == "pooled", *split_label(str(label))
            if key not in numbers:
                continue
            for parameter in (p for p in fit.family.parameters if p.effect):
                ratios = np.exp(ends.sel({dim: label, "affected": parameter.name}).to_numpy())
                rows.append((*key, numbers[key], parameter.name, parameter.effect, *ratios))
    columns = ["pooled", "unit", "covariate", "level", "customers", "parameter", "measure", "ratio", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
