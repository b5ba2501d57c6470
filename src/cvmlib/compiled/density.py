"""The log density of a PyMC model, its gradient and its deterministics as functions of the machine, and their sampling.

nutpie compiles a model by Numba, which takes much longer than sampling a model of few parameters whose likelihood is
compiled already (`cvmlib.compiled.fused`). Such a model is compiled here in a fraction of the time, as straight-line
code (`cvmlib.compiled.scalar_code`); any other is left to nutpie.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor
import xarray as xr
from nutpie.compile_pymc import CompiledPyMCModel
from pymc.blocking import DictToArrayBijection, RaveledVars
from pymc.util import is_transformed_name
from pytensor.graph.basic import Variable
from pytensor.graph.rewriting.utils import rewrite_graph

from cvmlib.compiled.scalar_code import Code, Function
from cvmlib.compiled.tracing import UntraceableError, trace

Floats = npt.NDArray[np.float64]


class Density(Protocol):
    """A model's functions of a point of its unconstrained space.

    ``shapes`` has the variables of the trace (free ones and deterministics, not transformed) with their shapes;
    ``start`` is the model's own starting point, shape (dimensions,).
    """

    shapes: dict[str, tuple[int, ...]]
    start: Floats

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        """Log density and its gradient."""

    def expand(self, point: Floats) -> dict[str, npt.NDArray]:
        """Return the variables of the trace."""


@dataclass(frozen=True)
class MachineDensity:
    """Functions of the machine; see `Density`.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Variables of the trace (free ones and deterministics, not transformed), with their shapes.
    start : array, shape (dimensions,)
        The model's own starting point.
    slope, expansion : Function
        The compiled code.
    """

    shapes: dict[str, tuple[int, ...]]
    start: Floats
    slope: Function
    expansion: Function

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        """Log density and its gradient; minus infinity where a parameter is out of bounds or a number too large."""
        point, value, gradient = np.ascontiguousarray(point, dtype=float), np.empty(1), np.empty(len(point))
        failed = self.slope(len(point), point, gradient, value)
        return (-np.inf if failed else float(value[0])), gradient

    def expand(self, point: Floats) -> dict[str, npt.NDArray]:
        """Return the variables of the trace."""
        point, found = np.ascontiguousarray(point, dtype=float), np.empty(self.size)
        self.expansion(len(point), self.size, point, found)
        return {name: found[part].reshape(self.shapes[name]) for name, part in self.places.items()}

    @property
    def size(self) -> int:
        """How many numbers the variables of the trace have."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    @property
    def places(self) -> dict[str, slice]:
        """Where the numbers of each variable of the trace are."""
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes.values())]).tolist()
        return {name: slice(*ends[i : i + 2]) for i, name in enumerate(self.shapes)}


class GraphDensity:
    """The same from PyTensor's compiled functions, for models that cannot be traced; see `Density`."""

    def __init__(self, model: pm.Model) -> None:
        first = DictToArrayBijection.map(model.initial_point(0))
        self.start, self._layout = first.data, first.point_map_info
        self._kept = _variables(model)
        self._slope = model.logp_dlogp_function(ravel_inputs=True)
        self._slope.set_extra_values({})
        self._expansion = model.compile_fn(self._kept, inputs=model.value_vars, on_unused_input="ignore")
        self.shapes = {name: np.shape(value) for name, value in self.expand(self.start).items()}

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        """Log density and its gradient."""
        value, gradient = self._slope(point)
        return float(value), gradient

    def expand(self, point: Floats) -> dict[str, npt.NDArray]:
        """Return the variables of the trace."""
        found = self._expansion(DictToArrayBijection.rmap(RaveledVars(point, self._layout)))
        return {variable.name: np.asarray(value) for variable, value in zip(self._kept, found, strict=True)}


def compile_density(model: pm.Model) -> Density:
    """Compile a model of continuous variables, the quickest way there is."""
    try:
        return trace_density(model)
    except UntraceableError:
        with pytensor.config.change_flags(numba__fastmath=False):
            return GraphDensity(model)


def evaluate(model: pm.Model, density: Density, points: Floats) -> xr.Dataset:
    """Return the variables of the trace at points of the unconstrained space.

    Parameters
    ----------
    model : pymc.Model
        The model that `density` was compiled from, for its dimensions.
    density : Density
        The model's functions.
    points : array, shape (chains, draws, dimensions)
        The points.
    """
    flat = points.reshape(-1, points.shape[-1])
    values = [density.expand(point) for point in flat]
    named = {}
    for name, shape in density.shapes.items():
        dims = model.named_vars_to_dims.get(name) or [f"{name}_dim_{i}" for i in range(len(shape))]
        stacked = np.stack([value[name] for value in values]).reshape(*points.shape[:2], *shape)
        named[name] = (["chain", "draw", *dims], stacked)
    used = {dim for dims, _ in named.values() for dim in dims}
    coords = {name: list(v) for name, v in model.coords.items() if name in used and v is not None}
    counted = {"chain": np.arange(points.shape[0]), "draw": np.arange(points.shape[1])}
    return xr.Dataset(named, coords=counted | coords)


def _variables(model: pm.Model) -> list[Variable]:
    """Variables of the trace: free ones and deterministics, not transformed."""
    return [v for v in model.unobserved_value_vars if not is_transformed_name(v.name)]


def trace_density(model: pm.Model) -> MachineDensity:
    """Compile a model.

    Parameters
    ----------
    model : pymc.Model
        A model of continuous variables.

    Raises
    ------
    UntraceableError
        It holds operations that are not known, or too many numbers.
    """
    values = [model.rvs_to_values[variable] for variable in model.free_RVs]
    if model.discrete_value_vars:
        raise UntraceableError("discrete variables")
    begin = {name: np.asarray(one, dtype=float) for name, one in model.initial_point(0).items()}
    density = rewrite_graph(model.logp(), include=("canonicalize", "stabilize"))
    slopes = pytensor.grad(density, values, disconnected_inputs="ignore")
    code = Code()
    (value, *gradient), checks = trace(code, [density, *slopes], _entries(code, values, begin))
    slope = code.finish([one for part in gradient for one in np.ravel(part)], checks, value[()])
    code = Code()
    kept = _variables(model)
    found, _ = trace(code, kept, _entries(code, values, begin))
    expansion = code.finish([one for part in found for one in np.ravel(part)])
    shapes = {v.name: np.shape(one) for v, one in zip(kept, found, strict=True)}
    start = np.concatenate([np.zeros(0), *(begin[value.name].ravel() for value in values)])
    return MachineDensity(shapes, start, slope, expansion)


def prepare_sampling(model: pm.Model) -> CompiledPyMCModel:
    """Compile a model for nutpie.

    Raises
    ------
    UntraceableError
        As for `trace_density`.
    """
    density = trace_density(model)
    coords = {name: pd.Index(labels) for name, labels in model.coords.items() if labels is not None}
    coords["unconstrained_parameter"] = pd.RangeIndex(len(density.start)).astype(str)

    def begin(seed: int) -> Floats:
        return density.start + np.random.default_rng(seed).uniform(-1.0, 1.0, len(density.start))

    return CompiledPyMCModel(
        dims={name: dims for name, dims in model.named_vars_to_dims.items() if name in density.shapes},
        compiled_logp_func=density.slope,
        compiled_expand_func=density.expansion,
        initial_point_func=begin,
        shared_data={},
        shared_var_keys={},
        user_data=np.zeros(1),
        n_expanded=density.size,
        shape_info=(list(density.shapes), list(density.places.values()), list(density.shapes.values())),
        logp_func=None,
        expand_func=None,
        _n_dim=len(density.start),
        _shapes=density.shapes,
        _coords=coords,
    )


def _entries(code: Code, values: list[Variable], begin: dict[str, Floats]) -> dict[Variable, npt.NDArray]:
    """Arrays of the entries of a point, by variable."""
    found, place = {}, 0
    for value in values:
        like = begin[value.name]
        entries = np.empty(like.size, dtype=object)
        entries[:] = [code.entry(place + i) for i in range(like.size)]
        found[value] = entries.reshape(like.shape)
        place += like.size
    return found
