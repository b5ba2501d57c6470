"""What simulation-based calibration needs to know of a retention model: how to build it, and how to simulate from it.

Parameters are drawn from the prior of the model that is fitted, subscribers simulated from them, the model fitted, and
the rank of each true parameter among the posterior's draws noted (Talts, Betancourt, Simpson, Vehtari and Gelman 2018,
arXiv 1804.06788). ``make calibrate`` does it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm

from cvmlib.churn import exposure
from cvmlib.churn.lifetimes import RENEWAL_MONTHS, Lifetimes, lay_out
from cvmlib.churn.retention_model import TITLES, build_model, parameter_names

Array = npt.NDArray[np.float64]

_MONTHS = 30
_LEVELS = {"plan": ("basic", "plus", "premium"), "channel": ("shop", "web")}


class Posed(NamedTuple):
    """A calibration problem.

    Parameters
    ----------
    name : str
        Name of the model.
    build : callable
        From a table of counts to the PyMC model fitted to it.
    simulate : callable
        ``simulate(values, rng)``: a table under the true values of `inputs`, and by how much truths move with it (not
        at all).
    inputs, ranked : tuple of str
        Variables of the model that `simulate` takes, and those whose ranks are noted.
    first : DataFrame
        Any table of the kind.
    """

    name: str
    build: Callable[[pd.DataFrame], pm.Model]
    simulate: Callable[[Mapping[str, Array], np.random.Generator], tuple[pd.DataFrame, dict]]
    inputs: tuple[str, ...]
    ranked: tuple[str, ...]
    first: pd.DataFrame


def pose(name: str, customers: int = 1200) -> Posed:
    """Pose the calibration of a retention model: one unit, two covariates, two years and a half.

    Parameters
    ----------
    name : {"sbg", "bdw", "hazard"}
        The model.
    customers : int
        Subscribers; they are followed for 1 to 30 months.
    """
    design = pd.MultiIndex.from_product([*_LEVELS.values(), range(1, _MONTHS + 1)], names=[*_LEVELS, "age"])
    design = design.to_frame(index=False)
    copies = max(customers // len(design), 1)
    first = _observe(design, copies, np.arange(len(design) * copies) % _MONTHS + 1)
    data = _lay_out(first)
    parameters = parameter_names(name, data)
    more = ("drift", "smooth") if name == "hazard" else ()

    def simulate(values: Mapping[str, Array], rng: np.random.Generator) -> tuple[pd.DataFrame, dict]:
        stay = _draw_stays(name, data, design, copies, values, rng)
        return _observe(design, copies, stay), {}

    return Posed(
        TITLES[name],
        lambda table: build_model(_lay_out(table), name),
        simulate,
        (*parameters, "effect", *more),
        (*parameters, "effect_scale"),
        first,
    )


def _lay_out(table: pd.DataFrame) -> Lifetimes:
    return lay_out(table, list(_LEVELS), RENEWAL_MONTHS, months=_MONTHS)


def _draw_stays(
    name: str,
    data: Lifetimes,
    design: pd.DataFrame,
    copies: int,
    values: Mapping[str, Array],
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Month in which each subscriber leaves, by the hazards of his block; beyond the last month for the others."""
    one_draw = {key: value[None] for key, value in values.items()}
    patterns = data.indicators() @ data.contrasts()[0]
    tenures = data.tenures
    risk = exposure.risk_increments(
        name, one_draw, tenures, len(tenures), data.renewal, data.unit_of_block, patterns
    )[0]  # fmt: skip
    block = design.merge(data.blocks.reset_index(names="block"), on=list(_LEVELS), how="left")["block"].to_numpy()
    reached = risk.cumsum(axis=1)[np.repeat(block, copies)]
    return (reached < rng.exponential(size=len(reached))[:, None]).sum(axis=1) + 1


def _observe(design: pd.DataFrame, copies: int, stay: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Count what is known of subscribers after their time on record."""
    people = design.loc[design.index.repeat(copies)].reset_index(drop=True)
    people = people.assign(unit="u0", tenure=np.minimum(stay, people["age"]), churned=stay <= people["age"])
    keys = ["unit", *_LEVELS, "tenure", "churned"]
    return people.groupby(keys, as_index=False).size().rename(columns={"size": "subscriptions"})
