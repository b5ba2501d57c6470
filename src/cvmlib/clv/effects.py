"""Effects of covariates on the purchase models: patterns of customers as groups, and what their levels add.

A unit's customers of one pattern (`cvmlib.clv.covariates`) are a group. On the link scale of a parameter that takes
effects, a group's value is the unit's plus the effects of its levels. Within a unit the effects of each covariate have
mean zero over its customers, so that the unit's parameter stays the mean of its customers.

Given that, the effects of a covariate are normal around zero, independently but for the mean. Where several units of a
pool have the covariate, the effects of a unit are normal around those of the pool, which are normal around zero. The
scales have log-normal priors, which keep them off zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from scipy import linalg

from cvmlib.clv.covariates import SEPARATOR, read_pattern

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_SCALE, _SCALE_SD = 0.3, 0.7  # of effects around zero: median and log-sd
_SPREAD, _SPREAD_SD = 0.1, 0.5  # of a unit's effects around those of its pool


@dataclass(frozen=True)
class Contrasts:
    """Levels whose effects are free but for a mean of zero over the customers, covariate by covariate.

    Parameters
    ----------
    labels : tuple of str
        Label of each level (`label_level`).
    covariate : int array, shape (contrasts,)
        Covariate of each contrast, as a place in `Design.scales`.
    matrix : array, shape (levels, contrasts)
        Effects of the levels = matrix @ contrasts; its columns are orthonormal.
    """

    labels: tuple[str, ...]
    covariate: Integers
    matrix: Array


@dataclass(frozen=True)
class Design:
    """Groups of a purchase model, and the effects that tell those of a unit apart.

    Parameters
    ----------
    patterns : dict of str to tuple of str
        Patterns of each unit, in the order of the groups.
    unit_of_group : int array, shape (groups,)
        Place of each group's unit among the units.
    levels : Contrasts
        Levels of the units.
    of_group : array, shape (groups, levels)
        Whether a group has a level.
    scales : tuple of str
        Labels of the covariates by pool: each has a scale of its own.
    pooled : Contrasts
        Levels of the pools, for covariates that several units of a pool have.
    pull : array, shape (contrasts of levels, contrasts of pooled)
        Mean of the units' contrasts = pull @ the pools' contrasts.
    """

    patterns: dict[str, tuple[str, ...]]
    unit_of_group: Integers
    levels: Contrasts
    of_group: Array
    scales: tuple[str, ...]
    pooled: Contrasts
    pull: Array

    def coordinates(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Coordinates of a model with these effects on the parameters `names`."""
        return {
            "affected": list(names),
            "level": list(self.levels.labels),
            "contrast": [
                f"{i + 1}{SEPARATOR}{self.levels.labels[row].rsplit(SEPARATOR, 1)[0]}"
                for i, row in enumerate(np.abs(self.levels.matrix).argmax(axis=0))
            ],
            "covariate": list(self.scales),
            "pooled": list(self.pooled.labels),
        }


def label_level(place: str, column: str, level: str) -> str:
    """Label of a level of a covariate of a unit or a pool."""
    return SEPARATOR.join((place or "(all)", column, level))


def split_label(label: str) -> tuple[str, str, str]:
    """Return unit or pool, column, and level of a label."""
    place, rest = label.split(SEPARATOR, 1)
    return place, *rest.rsplit(SEPARATOR, 1)


def count_levels(counts: pd.DataFrame, covariates: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Count the customers of each level.

    Parameters
    ----------
    counts : DataFrame
        ``unit``, ``pattern``, ``customers``.
    covariates : mapping of str to sequence of str
        Columns of each unit, in the order of the levels of its patterns.

    Returns
    -------
    DataFrame
        ``unit``, ``covariate``, ``level``, ``customers``, sorted by unit.

    Raises
    ------
    ValueError
        A pattern has more or fewer levels than its unit has covariates.
    """
    found = []
    for (unit, pattern), customers in counts.groupby(["unit", "pattern"])["customers"].sum().items():
        columns, levels = tuple(covariates.get(unit, ())), read_pattern(pattern)
        if len(columns) != len(levels):
            raise ValueError(f"pattern {pattern!r} of unit {unit} does not have one level of each of {columns}")
        found += [(unit, column, level, customers) for column, level in zip(columns, levels, strict=True)]
    table = pd.DataFrame(found, columns=["unit", "covariate", "level", "customers"])
    return table.groupby(["unit", "covariate", "level"], as_index=False, sort=True)["customers"].sum()


def lay_out_effects(
    counts: pd.DataFrame, covariates: Mapping[str, Sequence[str]], pools: Mapping[str, str] | None = None
) -> Design:
    """Arrange groups and effects.

    Parameters
    ----------
    counts, covariates
        As for `count_levels`.
    pools : mapping of str to str, optional
        Pool of each unit; one pool for all by default.
    """
    sizes = counts.groupby(["unit", "pattern"], sort=True)["customers"].sum()
    units = sorted({unit for unit, _ in sizes.index})
    patterns = {unit: tuple(p for u, p in sizes.index if u == unit) for unit in units}
    levels = count_levels(counts, covariates)
    levels["pool"] = levels["unit"].map(lambda unit: (pools or {}).get(unit, ""))
    scales = levels[["pool", "covariate"]].drop_duplicates().reset_index(drop=True)
    shared = levels.groupby(["pool", "covariate"]).filter(lambda one: one["unit"].nunique() > 1)
    shared = shared.groupby(["pool", "covariate", "level"], as_index=False)["customers"].sum()
    of_units, of_pools = _contrast(levels, "unit", scales), _contrast(shared, "pool", scales)
    place = {label: i for i, label in enumerate(of_units.labels)}
    of_group = np.zeros((len(sizes), len(place)))
    for row, (unit, pattern) in enumerate(sizes.index):
        for column, level in zip(covariates.get(unit, ()), read_pattern(pattern), strict=True):
            of_group[row, place[label_level(unit, column, level)]] = 1.0
    of_pool = {label: i for i, label in enumerate(of_pools.labels)}
    meets = np.zeros((len(place), len(of_pool)))
    for row, one in enumerate(levels.itertuples()):
        label = label_level(one.pool, one.covariate, one.level)
        if label in of_pool:
            meets[row, of_pool[label]] = 1.0
    return Design(
        patterns=patterns,
        unit_of_group=np.array([units.index(unit) for unit, _ in sizes.index], dtype=np.int64),
        levels=of_units,
        of_group=of_group,
        scales=tuple(SEPARATOR.join((one.pool or "(all)", one.covariate)) for one in scales.itertuples()),
        pooled=of_pools,
        pull=_centred(of_units, levels) @ meets @ of_pools.matrix,
    )


def add_effects(names: Sequence[str], design: Design) -> pt.TensorVariable:
    """Effects of the covariates on the parameters `names`, on their link scales (inside a model with `coordinates`).

    Parameters
    ----------
    names : sequence of str
        Parameters that take effects; in the model, ``effect`` has the effects of the units' levels on them,
        ``effect_pool`` those of the pools' levels, and ``effect_contrast`` what is sampled.
    design : Design
        Groups and levels.

    Returns
    -------
    Variable, shape (parameters, groups)
        What is added to the unit's value.
    """
    levels, pooled, dims = design.levels, design.pooled, ("affected", "covariate")
    if not len(levels.covariate):
        pm.Deterministic("effect", pt.zeros((len(names), len(levels.labels))), dims=("affected", "level"))
        return pt.zeros((len(names), len(design.of_group)))
    scale = pm.LogNormal("effect_scale", np.log(_SCALE), _SCALE_SD, dims=dims)
    middle, width = 0.0, scale[:, levels.covariate]
    if len(pooled.covariate):
        common = pm.Normal("effect_common", 0.0, scale[:, pooled.covariate])
        pm.Deterministic("effect_pool", _product(common, pooled.matrix), dims=("affected", "pooled"))
        spread = pm.LogNormal("effect_spread", np.log(_SPREAD), _SPREAD_SD, dims=dims)
        shared = np.isin(levels.covariate, pooled.covariate)
        middle, width = _product(common, design.pull), pt.where(shared, spread[:, levels.covariate], width)
    contrasts = pm.Normal("effect_contrast", middle, width, dims=("affected", "contrast"))
    pm.Deterministic("effect", _product(contrasts, levels.matrix), dims=("affected", "level"))
    return _product(contrasts, design.of_group @ levels.matrix)


def _product(values: pt.TensorVariable, matrix: Array) -> pt.TensorVariable:
    """``values @ matrix.T``, as a sum of products: for so few numbers a matrix product takes longer to compile."""
    return (values[:, None, :] * matrix[None, :, :]).sum(axis=-1)


def _contrast(levels: pd.DataFrame, owner: str, scales: pd.DataFrame) -> Contrasts:
    """Contrasts of the levels of each covariate of each `owner` (unit or pool), orthogonal to the customers."""
    blocks, covariate = [], []
    for _, one in levels.groupby([owner, "covariate"], sort=True):
        size, first = len(one), one.iloc[0]
        customers = one["customers"].to_numpy(dtype=float)
        blocks.append(np.linalg.qr(np.column_stack([customers, np.eye(size)[:, : size - 1]]))[0][:, 1:])
        place = (scales["pool"] == first["pool"]) & (scales["covariate"] == first["covariate"])
        covariate += [int(np.flatnonzero(place)[0])] * (size - 1)
    labels = tuple(label_level(*one) for one in levels[[owner, "covariate", "level"]].itertuples(index=False))
    matrix = linalg.block_diag(*blocks) if blocks else np.zeros((0, 0))
    return Contrasts(labels, np.array(covariate, dtype=np.int64), matrix)


def _centred(of_units: Contrasts, levels: pd.DataFrame) -> Array:
    """Matrix from any effects of the units' levels to the contrasts of these effects less their mean over customers."""
    total = levels.groupby(["unit", "covariate"])["customers"].transform("sum").to_numpy(dtype=float)
    share = levels["customers"].to_numpy(dtype=float) / total
    same = levels.groupby(["unit", "covariate"], sort=True).ngroup().to_numpy()
    centring = np.eye(len(levels)) - (same[:, None] == same[None, :]) * share[None, :]
    return of_units.matrix.T @ centring
