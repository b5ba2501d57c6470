"""The one way to sample, diagnose, save and load a PyMC model."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import arviz as az
import numpy as np
import nutpie
import pandas as pd
import pymc as pm
import pytensor
import xarray as xr
from nutpie.sample import CompiledModel

from cvmlib.compiled.density import prepare_sampling
from cvmlib.compiled.tracing import UntraceableError

R_HAT_LIMIT = 1.01
ESS_LIMIT = 400
CAREFUL = (0.95, 0.99)
"""Step-size targets of further attempts, while transitions diverge."""


@dataclass(frozen=True)
class Sampling:
    """How to sample: draws and tuning steps per chain, chains, the seed, the step-size target; or a `quick` look."""

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    seed: int = 1
    target_accept: float = 0.85
    quick: bool = False


@dataclass(frozen=True)
class Diagnostics:
    """The gate every fit must pass: R-hat <= 1.01, bulk and tail ESS >= 400, no divergences."""

    r_hat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    worst: str

    @property
    def passed(self) -> bool:
        """Whether the fit may be relied on."""
        return self.r_hat <= R_HAT_LIMIT and min(self.ess_bulk, self.ess_tail) >= ESS_LIMIT and self.divergences == 0

    def sentence(self) -> str:
        """Say in one sentence whether the chains agree, with the figures."""
        figures = (
            f"largest R-hat {self.r_hat:.3f} ({self.worst}), smallest effective sample size {self.ess_bulk:.0f} in the "
            f"bulk and {self.ess_tail:.0f} in the tails, {self.divergences} divergent transitions"
        )
        if self.passed:
            return f"The sampler converged: {figures}."
        return (
            f"The sampler did not converge: {figures}; required are R-hat <= {R_HAT_LIMIT}, sample sizes >= "
            f"{ESS_LIMIT} and no divergence. Sample longer, or look at the data of the unit named."
        )


def sample(model: pm.Model, sampling: Sampling) -> xr.DataTree:
    """Sample a model with NUTS (nutpie), the same numbers for the same seed.

    When any transition diverges, the model is sampled again with smaller steps.

    Parameters
    ----------
    model : pymc.Model
        The model.
    sampling : Sampling
        Lengths and seed.

    Returns
    -------
    xarray DataTree
        Groups ``posterior`` and ``sample_stats``.
    """
    compiled = _compile(model)
    trace = _run_nuts(compiled, sampling, sampling.target_accept)
    for target in (one for one in CAREFUL if one > sampling.target_accept):
        if not int(trace["sample_stats"]["diverging"].sum()):
            break
        trace = _run_nuts(compiled, sampling, target)
    return trace


def _compile(model: pm.Model) -> CompiledModel:
    try:
        return prepare_sampling(model)
    except UntraceableError:
        with pytensor.config.change_flags(numba__fastmath=False):
            return nutpie.compile_pymc_model(model)


def _run_nuts(compiled: CompiledModel, sampling: Sampling, target_accept: float) -> xr.DataTree:
    return nutpie.sample(
        compiled,
        draws=sampling.draws,
        tune=sampling.tune,
        chains=sampling.chains,
        cores=min(2, sampling.chains),
        seed=sampling.seed,
        target_accept=target_accept,
        progress_bar=False,
    )


def summarise(trace: xr.DataTree, names: list[str]) -> pd.DataFrame:
    """Posterior mean, sd, 90% interval (equal tails), R-hat and effective sample sizes of the named variables."""
    return az.summary(trace, var_names=names, ci_prob=0.9, ci_kind="eti", round_to="none")


def diagnose(trace: xr.DataTree, names: list[str]) -> Diagnostics:
    """Measure the diagnostics gate over the named variables.

    Parameters
    ----------
    trace : xarray DataTree
        Result of `sample`.
    names : list of str
        Variables the forecasts rest on.
    """
    table = az.summary(trace, var_names=names, kind="diagnostics", round_to="none")
    # What cannot be computed (a single chain, a handful of draws, a draw that is not a number) has not converged.
    table = table.fillna({"r_hat": np.inf, "ess_bulk": 0.0, "ess_tail": 0.0})
    return Diagnostics(
        r_hat=float(table["r_hat"].max()),
        ess_bulk=float(table["ess_bulk"].min()),
        ess_tail=float(table["ess_tail"].min()),
        divergences=int(trace["sample_stats"]["diverging"].sum()),
        worst=str(table["r_hat"].idxmax()),
    )


def save(trace: xr.DataTree, path: Path, provenance: dict) -> list[Path]:
    """Save draws and sampler statistics as netCDF, with their provenance as JSON beside it.

    Parameters
    ----------
    trace : xarray DataTree
        Result of `sample`.
    path : Path
        The netCDF file; the JSON has the same stem.
    provenance : dict
        What the fit was made from: data fingerprint, configuration, seed, versions, commit, diagnostics.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = xr.DataTree.from_dict({name: trace[name].to_dataset() for name in ("posterior", "sample_stats")})
    partial = path.with_suffix(".partial")
    kept.to_netcdf(partial, engine="h5netcdf")
    partial.replace(path)
    notes = path.with_suffix(".json")
    notes.write_text(json.dumps(provenance, indent=1, sort_keys=True, default=_plain) + "\n")
    return [path, notes]


def load(path: Path) -> tuple[xr.DataTree, dict]:
    """Load what `save` wrote: the trace and its provenance."""
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        trace = tree.load()
    return trace, json.loads(path.with_suffix(".json").read_text())


def thin(values: xr.DataArray, draws: int) -> np.ndarray:
    """Take `draws` evenly spaced posterior draws of a variable over all chains: shape (draws, ...)."""
    stacked = values.stack(sample=("chain", "draw")).transpose("sample", ...).to_numpy()
    chosen = np.linspace(0, len(stacked) - 1, min(draws, len(stacked))).round().astype(int)
    return stacked[chosen]


def _plain(value: object) -> object:
    if isinstance(value, Diagnostics | Sampling):
        return asdict(value)
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
