"""Hierarchical Gamma-Gamma over business units.

Each unit has a mean spend per purchase, a ``p`` (regularity of one customer's purchases) and a ``q`` (likeness of
customers), partially pooled on the log scale like the purchase model. Money is divided by the geometric mean spend
of the portfolio before a prior sees it, so that a forecast does not depend on the currency's unit. ``q`` is kept above
one, without which the mean spend of a customer would be infinite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from cvmlib import inference, quick
from cvmlib.clv import gamma_gamma_kernel, near_rows
from cvmlib.clv.count_checks import check_rows
from cvmlib.clv.near_rows import Merging, evaluate_draws, merge_near, reweigh
from cvmlib.clv.pooling import Prior, pool_coordinates, pooled
from cvmlib.errors import UnfitModelError

NAMES = ["mean_spend", "p", "q"]

#: Priors on the log scales, as in the purchase model.
PRIORS = (
    Prior("log_mean_spend", 0.0, 2.0, 0.5),
    Prior("log_p", 1.0, 1.0, 0.2, centring=0.5),
    Prior("log_q_less_one", 1.0, 1.0, 0.2),
)

#: A unit whose spend varies less than this (standard deviation of log spend) has one price, not a distribution.
LEAST_VARIATION = 1e-6


@dataclass(frozen=True)
class Draws:
    """Posterior draws of one unit's Gamma-Gamma parameters, shape (draws,); `gamma` in money."""

    p: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]
    gamma: npt.NDArray[np.float64]

    def column(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Return the parameters as (draws, 1) arrays that broadcast against rows."""
        return self.p[:, None], self.q[:, None], self.gamma[:, None]


@dataclass(frozen=True)
class SpendFit:
    """A fitted spend model.

    Parameters
    ----------
    trace : xarray DataTree, or None where nothing is modelled
        The posterior.
    units : tuple of str
        Its units.
    constant : dict of str to float
        Units with one price for everything, no spread to model: the price.
    diagnostics : Diagnostics, or None
        The gate.
    merging : Merging, optional
        Of a large base, which rows were merged and what that cost.
    """

    trace: xr.DataTree | None
    units: tuple[str, ...]
    constant: dict[str, float]
    diagnostics: inference.Diagnostics | quick.Trust | None
    merging: Merging | None = None

    def draws(self, unit: str, count: int = 1000) -> Draws:
        """Take evenly spaced posterior draws for `unit`, in money; a constant price is the limit of large p and q."""
        if unit in self.constant:
            large = np.full(count, 1e9)
            return Draws(large, large, self.constant[unit] * np.full(count, (1e9 - 1) / 1e9))
        posterior = self.trace["posterior"].to_dataset().sel(unit=unit)
        mean, p, q = (inference.thin(posterior[name], count) for name in NAMES)
        return Draws(p, q, mean * (q - 1.0) / p)


def build_model(counts: pd.DataFrame, units: list[str], pools: Mapping[str, str] | None = None) -> pm.Model:
    """Build the hierarchical Gamma-Gamma.

    Parameters
    ----------
    counts : DataFrame
        ``unit``, ``frequency`` (at least one), ``monetary_value`` (above zero), ``customers``.
    units : list of str
        Units to have parameters; one without a row gets what the others tell of it.
    pools : mapping of str to str, optional
        Pool of each unit; one pool for all by default.
    """
    scale = float(np.exp(np.average(np.log(counts["monetary_value"]), weights=counts["customers"])))
    data = _lay_out(counts, units, scale)
    with pm.Model(coords=pool_coordinates(units, pools)) as model:
        log_mean, log_p, log_q = (pooled(prior, pools) for prior in PRIORS)
        pm.Deterministic("mean_spend", pt.exp(log_mean) * scale, dims="unit")
        p = pm.Deterministic("p", pt.exp(log_p), dims="unit")
        q = pm.Deterministic("q", 1.0 + pt.exp(log_q), dims="unit")
        gamma = pt.exp(log_mean) * (q - 1.0) / p
        pm.Potential("log_likelihood", gamma_gamma_kernel.log_likelihood_of(data, p, q, gamma))
    return model


def fit(counts: pd.DataFrame, sampling: inference.Sampling, pools: Mapping[str, str] | None = None) -> SpendFit:
    """Fit the hierarchical Gamma-Gamma on customers with at least one repeat purchase of some value.

    Parameters
    ----------
    counts : DataFrame
        ``unit``, ``frequency``, ``monetary_value``, ``customers``; rows without repeat purchases or money are left out.
    sampling : Sampling
        Lengths and seed.
    pools : mapping of str to str, optional
        Pool of each unit; one pool for all by default.
    """
    check_rows(counts[["unit", "frequency", "monetary_value", "customers"]], spend=True)
    kept = counts[(counts["frequency"] > 0) & (counts["monetary_value"] > 0)]
    constant = _find_constant(kept)
    units = sorted({str(u) for u in counts["unit"]})
    modelled = [u for u in units if u not in constant]
    if not modelled:
        return SpendFit(None, tuple(units), constant, None)
    kept = kept[kept["unit"].isin(modelled)]
    if len(kept) == 0:
        raise UnfitModelError(
            f"No customer of {', '.join(modelled)} has a repeat purchase of a value above zero, so spend cannot be "
            "modelled. Check the mapping of the value column."
        )
    near = rows = kept
    if len(kept) > near_rows.MOST:
        rows = kept.groupby(["unit", "frequency", "monetary_value"], as_index=False)["customers"].sum()
        near = merge_near(rows, ["monetary_value"], geometric=True)
    trace, gate = quick.sample(build_model(near, modelled, pools), sampling, NAMES)
    found = SpendFit(trace, tuple(units), constant, gate)
    if len(near) == len(rows):
        return found
    ratio = _log_likelihoods(found, rows, modelled) - _log_likelihoods(found, near, modelled)
    trace, pareto_k, worth = reweigh(trace, ratio)
    merging = Merging(len(rows), len(near), pareto_k, worth)
    if not merging.passed:
        trace, gate = quick.sample(build_model(rows, modelled, pools), sampling, NAMES)
        return SpendFit(trace, tuple(units), constant, gate)
    gate = gate if sampling.quick else inference.diagnose(trace, NAMES)
    return replace(found, trace=trace, diagnostics=gate, merging=merging)


def _lay_out(counts: pd.DataFrame, units: list[str], scale: float = 1.0) -> gamma_gamma_kernel.SpendData:
    """Arrange count rows for the kernel, money in units of `scale`."""
    x, z, n = (counts[name].to_numpy(dtype=float) for name in ("frequency", "monetary_value", "customers"))
    codes = pd.Index(units).get_indexer(counts["unit"])
    return gamma_gamma_kernel.lay_out(codes, x, x * z / scale, n, len(units))


def _log_likelihoods(fit: SpendFit, counts: pd.DataFrame, units: list[str]) -> npt.NDArray[np.float64]:
    """Log-likelihood of count rows at every draw, shape (chains, draws)."""
    sizes = fit.trace["posterior"].sizes
    shape = sizes["chain"], sizes["draw"]
    draws = [fit.draws(unit, shape[0] * shape[1]) for unit in units]
    values = np.array([[one.p, one.q, one.gamma] for one in draws]).swapaxes(0, 1)
    data = _lay_out(counts, units)
    return evaluate_draws(lambda *each: gamma_gamma_kernel.log_likelihood_of(data, *each), values).reshape(shape)


def _find_constant(kept: pd.DataFrame) -> dict[str, float]:
    """Units of one price, with the price; a single customer says nothing about how prices vary."""
    groups = kept.assign(log=np.log(kept["monetary_value"])).groupby("unit")
    spread = groups["log"].std().fillna(0.0)
    one_price = (spread < LEAST_VARIATION) & (groups["customers"].sum() > 1)
    return {str(unit): float(price) for unit, price in groups["monetary_value"].mean()[one_price].items()}
