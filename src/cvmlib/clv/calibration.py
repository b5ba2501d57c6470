"""Simulation-based calibration: whether posteriors are right on average over the prior they were given.

Parameters are drawn from the prior of the model that is fitted, customers simulated from them, the model fitted, and
the rank of each true parameter among the posterior's draws noted: ranks are uniform if likelihood, prior, simulator and
fit agree (Talts, Betancourt, Simpson, Vehtari and Gelman 2018, arXiv 1804.06788). The log-likelihood at the truth is
ranked too, which sees errors that single parameters do not (Modrak et al. 2025, *Bayesian Analysis* 20).

The fit is the quick route (`cvmlib.quick`), which takes a tenth of a second; where it is not trusted it is repeated
with more proposals, and counted as refused where it is still not, but never left out.

A table without a repeat buyer cannot be fitted, and leaving such tables out would bias the ranks, so the priors are
narrowed (`narrow`) until none comes; one that comes anyway is an error. Priors of purchase models refer to the mean
age, which is the same in every simulation. That of the mean spend refers to the geometric mean of the data, which the
simulating prior cannot know: money is counted in that mean after the simulation, the truth with it, and the prior is
so wide beside the posterior of a few hundred customers that its place typically moves the latter by less than 0.02 of
its sd.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
from pymc.blocking import DictToArrayBijection, RaveledVars
from scipy import stats

from cvmlib import quick
from cvmlib.clv import gamma_gamma, purchase_model, spend_model
from cvmlib.clv.families.family import Family, Parameter
from cvmlib.errors import UnfitModelError
from cvmlib.swapping import SwappedDensity

Array = npt.NDArray[np.float64]
Values = Mapping[str, Array]

DRAWS = 99  # posterior draws that a truth is ranked among: 100 ranks, in 10 bins
BINS = 10
_PROPOSALS, _MANY_PROPOSALS = 2000, 20_000
_ENOUGH = 2 * DRAWS  # independent draws that the proposals must be worth


@dataclass(frozen=True)
class Problem:
    """What is calibrated.

    Parameters
    ----------
    name : str
        Name of the model.
    build : callable
        From a table to the PyMC model fitted to it.
    simulate : callable
        ``simulate(values, rng)``: a table under the true values of `inputs`, each of shape (units,), and by how much
        the truth of a variable moves with the units of the table (empty where it does not).
    inputs : tuple of str
        Variables of the model that `simulate` takes.
    ranked : tuple of str
        Variables of the model whose ranks are noted; the log-likelihood is added to them.
    first : DataFrame
        Any table of the kind, to build the first model on.
    """

    name: str
    build: Callable[[pd.DataFrame], pm.Model]
    simulate: Callable[[Values, np.random.Generator], tuple[pd.DataFrame, Mapping[str, float]]]
    inputs: tuple[str, ...]
    ranked: tuple[str, ...]
    first: pd.DataFrame


@dataclass(frozen=True)
class Ranks:
    """Ranks 0 … `DRAWS` of the truths: a row per simulation, a column per quantity.

    `refused` is the number of simulations whose quick fit was not trusted.
    """

    name: str
    table: pd.DataFrame
    refused: int


def narrow(family: Family, sd: float = 0.5) -> Family:
    """Return the family with no prior wider than `sd` on its link scale, so that every draw has repeat buyers."""
    parameters = tuple(replace(p, prior=replace(p.prior, sd=min(p.prior.sd, sd))) for p in family.parameters)
    return replace(family, parameters=parameters)


def purchase_problem(
    family: Family, *, units: int = 1, customers: int = 300, constants: Mapping[str, int] | None = None
) -> Problem:
    """Pose the calibration of a purchase model.

    Parameters
    ----------
    family : Family
        The model, with the priors to draw from (see `narrow`).
    units : int
        Units, in one pool.
    customers : int
        Customers of each unit; their ages are whole days from 100 to 1000, or 4 to 24 opportunities where the model
        has no rate.
    constants : mapping of str to int, optional
        The family's constant of each unit (they are called u0, u1, …).
    """
    names = [f"u{i}" for i in range(units)]
    timed = family.measures_time
    ages = np.linspace(*((100.0, 1000.0) if timed else (4.0, 24.0)), customers).round()
    constant = [np.array([constants[unit] for unit in names])] if family.constant else []

    def build(table: pd.DataFrame) -> pm.Model:
        return purchase_model.build_model(table, None, family, constants)[0]

    def simulate(values: Values, rng: np.random.Generator) -> tuple[pd.DataFrame, Mapping[str, float]]:
        published = family.published(*(values[name] for name in family.names), *constant)
        tables = []
        for unit, *parameters in zip(names, *published, strict=True):
            frequency, recency = family.simulate_customers(ages, *parameters, rng)
            tables.append(pd.DataFrame({"unit": unit, "frequency": frequency, "recency": recency, "T": ages}))
        return pd.concat(tables, ignore_index=True).assign(customers=1), {}

    typical = {p.name: np.full(units, _at_median(p, ages.mean())) for p in family.parameters}
    name = family.title if units == 1 else f"{family.title}, {units} units"
    ranked = tuple(p.prior.name for p in family.parameters)
    first, _ = simulate(typical, np.random.default_rng(0))
    return Problem(name, build, simulate, tuple(family.names), ranked, first)


def _at_median(parameter: Parameter, scale: float) -> float:
    """Value of a parameter, per day, in the middle of its prior."""
    value = np.exp(parameter.prior.mean)
    value = value / (1.0 + value) if parameter.link == "logit" else value
    return float(value / scale if parameter.per_time else value)


def spend_problem(*, units: int = 1, customers: int = 300) -> Problem:
    """Pose the calibration of the Gamma-Gamma for `customers` of one to six repeat purchases in each unit."""
    names = [f"u{i}" for i in range(units)]
    frequency = np.resize(np.arange(1, 7), customers)

    def build(table: pd.DataFrame) -> pm.Model:
        return spend_model.build_model(table, names)

    def simulate(values: Values, rng: np.random.Generator) -> tuple[pd.DataFrame, Mapping[str, float]]:
        tables = []
        for unit, mean, p, q in zip(names, *(values[name] for name in spend_model.NAMES), strict=True):
            money = gamma_gamma.simulate_customers(frequency, p, q, mean * (q - 1.0) / p, rng)
            tables.append(pd.DataFrame({"unit": unit, "frequency": frequency, "monetary_value": money}))
        table = pd.concat(tables, ignore_index=True).assign(customers=1)
        unit_of_money = np.log(table["monetary_value"]).mean()
        table["monetary_value"] /= np.exp(unit_of_money)
        return table, {"log_mean_spend": -unit_of_money, "log_mean_spend_pool": -unit_of_money}

    typical = {"mean_spend": np.ones(units), "p": np.full(units, 3.0), "q": np.full(units, 4.0)}
    name = "Gamma-Gamma" if units == 1 else f"Gamma-Gamma, {units} units"
    ranked = tuple(prior.name for prior in spend_model.PRIORS)
    first, _ = simulate(typical, np.random.default_rng(0))
    return Problem(name, build, simulate, tuple(spend_model.NAMES), ranked, first)


@dataclass(frozen=True)
class Compiled:
    """The model of a problem, compiled: serves every problem with the same `Problem.build` and priors."""

    model: pm.Model
    density: SwappedDensity
    values: Callable[[Array], Values]


def compile_problem(problem: Problem) -> Compiled:
    """Build the model of a problem on its first table, and compile what does not depend on the data."""
    model = problem.build(problem.first)
    density = SwappedDensity(model)
    return Compiled(model, density, _compile_values(model, [*problem.inputs, *problem.ranked], density.start))


def rank_truths(problem: Problem, simulations: int, seed: int = 1, compiled: Compiled | None = None) -> Ranks:
    """Simulate, fit, and rank the true values among draws of the posterior.

    Parameters
    ----------
    problem : Problem
        The model.
    simulations : int
        How many, two at least. The first of many are the same as those of few.
    seed : int
        Seed.
    compiled : Compiled, optional
        Result of `compile_problem`.

    Raises
    ------
    UnfitModelError
        A prior draw gave a table that cannot be fitted: narrow the priors.
    """
    compiled = compiled or compile_problem(problem)
    truths = _draw_prior(compiled.model, simulations, seed)
    rows, refused = [], 0
    for truth, stream in zip(truths, np.random.SeedSequence(seed).spawn(simulations), strict=True):
        rng = np.random.default_rng(stream)
        try:
            truth = _simulate(problem, compiled, truth, rng)
        except UnfitModelError as error:
            raise UnfitModelError(
                f"A draw of the prior of {problem.name} cannot be fitted; narrow it. {error}"
            ) from error
        points, trusted = _fit(compiled.density, rng)
        refused += not trusted
        rows.append(_rank(problem, compiled, truth, points))
    return Ranks(problem.name, pd.DataFrame(rows), refused)


def _simulate(problem: Problem, compiled: Compiled, truth: Array, rng: np.random.Generator) -> Array:
    """Load a table simulated under the truth; return the truth in the units of the table."""
    values = compiled.values(truth)
    table, moved = problem.simulate({name: values[name] for name in problem.inputs}, rng)
    compiled.density.load(problem.build(table))
    return _move(truth, moved, compiled.density.start)


def _rank(problem: Problem, compiled: Compiled, truth: Array, points: Array) -> dict[str, int]:
    values, drawn = compiled.values(truth), [compiled.values(point) for point in points]
    row = {}
    for name in problem.ranked:
        below = sum(np.atleast_1d(one[name] < values[name]).astype(int) for one in drawn)
        row |= _label(name, below, compiled.model)
    likelihood = compiled.density.log_likelihood
    return row | {"log_likelihood": sum(likelihood(point) < likelihood(truth) for point in points)}


def _move(point: Array, moved: Mapping[str, float], start: RaveledVars) -> Array:
    shift = [np.full(size, moved.get(name, 0.0)) for name, _, size, _ in start.point_map_info]
    return point + np.concatenate(shift)


def _fit(density: SwappedDensity, rng: np.random.Generator) -> tuple[Array, bool]:
    for proposals in (_PROPOSALS, _MANY_PROPOSALS):
        found = quick.approximate(density, density.start.data, rng, proposals=proposals, enough=_ENOUGH)
        trusted = found.trust.light and found.trust.ess >= _ENOUGH
        if trusted:
            break
    return found.resample(DRAWS, rng), trusted


def _draw_prior(model: pm.Model, draws: int, seed: int) -> Array:
    """Draw points of the unconstrained space from the prior: shape (draws, dimensions)."""
    variables = []
    for variable in model.free_RVs:
        transform = model.rvs_to_transforms[variable]
        variables.append(variable if transform is None else transform.forward(variable, *variable.owner.inputs))
    drawn = pm.draw(variables, draws=draws, random_seed=seed)
    return np.concatenate([one.reshape(draws, -1) for one in drawn], axis=1)


def _compile_values(model: pm.Model, names: list[str], start: RaveledVars) -> Callable[[Array], Values]:
    """Return a function from a point of the unconstrained space to the named variables."""
    outputs = model.replace_rvs_by_values([model[name] for name in names])
    compiled = model.compile_fn(outputs, inputs=model.value_vars, on_unused_input="ignore")
    layout = start.point_map_info

    def values_of(point: Array) -> Values:
        found = compiled(DictToArrayBijection.rmap(RaveledVars(point, layout)))
        return {name: np.array(value) for name, value in zip(names, found, strict=True)}

    return values_of


def _label(name: str, ranks: npt.NDArray[np.int64], model: pm.Model) -> dict[str, int]:
    dims = model.named_vars_to_dims.get(name) or ()
    labels = model.coords[dims[0]] if dims else [""]
    alone = len(labels) == 1
    return {name if alone else f"{name}[{label}]": int(rank) for label, rank in zip(labels, ranks, strict=True)}


def check_ranks(ranks: Ranks) -> pd.DataFrame:
    """Test the ranks of each quantity for uniformity: chi-square over `BINS` bins of equally many ranks.

    Returns
    -------
    DataFrame
        ``model``, ``parameter``, ``simulations``, ``refused`` (simulations whose fit was not trusted), ``chi_square``,
        ``p_value``.
    """
    rows = []
    for name, column in ranks.table.items():
        found = stats.chisquare(np.bincount(column * BINS // (DRAWS + 1), minlength=BINS))
        rows.append(
            {
                "model": ranks.name,
                "parameter": name,
                "simulations": len(column),
                "refused": ranks.refused,
                "chi_square": float(found.statistic),
                "p_value": float(found.pvalue),
            }
        )
    return pd.DataFrame(rows)


def calibrate(problem: Problem, simulations: int = 200, seed: int = 1) -> pd.DataFrame:
    """Calibrate one model: `rank_truths`, then `check_ranks`."""
    return check_ranks(rank_truths(problem, simulations, seed))
