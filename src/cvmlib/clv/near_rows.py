"""Count rows of nearly alike customers merged into one, and the weights that make up for it.

A large base has hundreds of thousands of count rows, most of which differ from others by a day or a cent. The sampler
follows the posterior of far fewer: rows of one frequency whose times (or amounts) are nearly the same are one, at their
mean. What that leaves out is small, and it is not left out for good: at every draw the likelihood of the merged rows is
compared with that of all rows, and the draws are taken again by the ratio of the two, Pareto-smoothed (Vehtari,
Simpson, Gelman, Yao and Gabry 2024, *JMLR* 25). So the draws are those of the posterior of all rows, and the tail of
the ratios tells whether merging went too far; then all rows are sampled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytensor
import pytensor.tensor as pt
import xarray as xr
from arviz_stats.base import array_stats
from pytensor.graph.basic import Variable

Array = npt.NDArray[np.float64]

#: Rows with repeat purchases beyond which some are merged.
MOST = 50_000
#: Width of the classes, in logarithms at a frequency of 0: at first, and by how much more each time.
_FINEST, _COARSER = 0.01, 1.25
#: Part of the mean below which differences hardly matter.
_OFFSET = 0.1
#: Share of the draws that the weighted ones must be worth.
_LEAST_WORTH = 0.5
_EQUAL = 1e-9  # of ratios that do not differ


@dataclass(frozen=True)
class Merging:
    """What merging did to a fit.

    Parameters
    ----------
    rows, merged : int
        Count rows, and those that were sampled.
    pareto_k : float
        Shape of the tail of the ratios.
    worth : float
        Share of the draws that the weighted ones are worth.
    """

    rows: int
    merged: int
    pareto_k: float
    worth: float

    @property
    def passed(self) -> bool:
        """Whether the weights make up for what was merged."""
        return self.pareto_k < 0.7 and self.worth >= _LEAST_WORTH

    def sentence(self) -> str:
        """Say in one sentence what was merged and what that cost."""
        return (
            f"Sampled on {self.merged:,} rows of nearly alike customers, and weighted to the posterior of all "
            f"{self.rows:,} (Pareto k {self.pareto_k:.2f}, draws worth {self.worth:.0%} of their number)."
        )


def merge_near(
    rows: pd.DataFrame, columns: Sequence[str], *, geometric: bool = False, most: int | None = None
) -> pd.DataFrame:
    """Merge rows with repeat purchases that differ little in `columns`, until there are at most `most` of them.

    Classes are of equal width in ``log(v + offset) sqrt(1 + frequency)``, since the likelihood of a customer bends the
    more the more often he bought; rows without a repeat purchase are few and stay.

    Parameters
    ----------
    rows : DataFrame
        ``frequency``, ``customers``, `columns`, and others that tell customers apart exactly.
    columns : sequence of str
        Times or amounts, of zero or more.
    geometric : bool
        Keep the mean of the logarithms in each class instead of the mean.
    most : int, optional
        How many rows with repeat purchases are wanted at most; `MOST` by default.

    Returns
    -------
    DataFrame
        The same columns; `rows` itself where there are not too many.
    """
    most = MOST if most is None else most
    again = (rows["frequency"] > 0).to_numpy()
    if again.sum() <= most:
        return rows
    exact = [name for name in rows if name not in (*columns, "customers")]
    weight = rows["customers"].to_numpy(dtype=float)
    values = rows[list(columns)].to_numpy(dtype=float)
    offset = _OFFSET * np.average(values, axis=0, weights=weight).max()
    place = np.log(values + offset) * np.sqrt(1.0 + rows["frequency"].to_numpy(dtype=float))[:, None]
    place[~again] = 0.0  # told apart by their values
    kept = np.where(again[:, None], -1.0, values)
    sums = np.log(values) if geometric else values
    width = _FINEST
    while True:
        keys = rows[exact].assign(
            **{f"class_{i}": np.floor(place[:, i] / width) for i in range(len(columns))},
            **{f"kept_{i}": kept[:, i] for i in range(len(columns))},
        )
        code = keys.groupby(list(keys), sort=True).ngroup().to_numpy()
        if len(np.unique(code[again])) <= most or width > 1.0:
            break
        width *= _COARSER
    total = np.bincount(code, weight)
    found = rows[exact].iloc[np.unique(code, return_index=True)[1]].reset_index(drop=True)
    for i, name in enumerate(columns):
        mean = np.bincount(code, weight * sums[:, i]) / total
        found[name] = np.exp(mean) if geometric else mean
    return found.assign(customers=total)[list(rows)]


def evaluate_draws(density: Callable[..., Variable], values: Array) -> Array:
    """Evaluate a log-likelihood at draws of its parameters.

    Parameters
    ----------
    density : callable
        From the parameters, PyTensor vectors of shape (groups,), to the log-likelihood.
    values : array, shape (parameters, groups, draws)
        The draws.

    Returns
    -------
    array, shape (draws,)
    """
    symbols = [pt.dvector() for _ in values]
    function = pytensor.function(symbols, density(*symbols), mode="FAST_COMPILE")
    return np.array([float(function(*values[:, :, i])) for i in range(values.shape[2])])


def reweigh(trace: xr.DataTree, log_ratio: Array) -> tuple[xr.DataTree, float, float]:
    """Take the draws of a trace again, by their weights: those of each chain in their order.

    Parameters
    ----------
    trace : xarray DataTree
        With the group ``posterior``.
    log_ratio : array, shape (chains, draws)
        Logarithm of the density wanted over that sampled.

    Returns
    -------
    trace : xarray DataTree
        With as many draws; its other groups are those of the draws that were sampled.
    pareto_k, worth : float
        Shape of the tail of the ratios; share of the draws that the weighted ones are worth.
    """
    flat = log_ratio.ravel() - log_ratio.max()
    log_weights, pareto_k = array_stats.psislw(-flat) if np.ptp(flat) > _EQUAL else (np.zeros(flat.size), 0.0)
    weights = np.exp(log_weights).reshape(log_ratio.shape)
    worth = float(weights.sum() ** 2 / (weights**2).sum() / weights.size)
    posterior = trace["posterior"].to_dataset()
    chains = []
    for chain, own in enumerate(weights):
        upto = own.cumsum()
        places = (np.arange(len(own)) + 0.5) / len(own) * upto[-1]
        chosen = np.minimum(np.searchsorted(upto, places), len(own) - 1)
        chains.append(posterior.isel(chain=[chain], draw=chosen).assign_coords(draw=posterior["draw"]))
    new = trace.copy()
    new["posterior"] = xr.DataTree(xr.concat(chains, dim="chain"))
    return new, float(pareto_k), worth
