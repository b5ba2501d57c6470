"""One compilation for many data sets: the density of a PyMC model whose data are exchanged without compiling again.

A model built on another data set of the same kind is the same graph with other constants (or shared variables) in its
likelihood. The graphs are walked side by side, and the leaves that differ become inputs of the compiled function. A
leaf that differs for the first time (it happened to be equal so far) is made an input too, at the price of one more
compilation.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.blocking import DictToArrayBijection
from pymc.pytensorf import join_nonshared_inputs, rewrite_pregrad
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.tensor.random.type import RandomType

Array = npt.NDArray[np.float64]


class SwappedDensity:
    """Log density, gradient and log-likelihood of models that differ in their data only.

    Parameters
    ----------
    model : pymc.Model
        The first of them. Its log-likelihood is the sum of its potentials.

    Raises
    ------
    ValueError
        The model has observed variables.
    """

    def __init__(self, model: pm.Model) -> None:
        self.start = DictToArrayBijection.map(model.initial_point(0))
        if model.observed_RVs:
            raise ValueError("The likelihood must be a potential; the model has observed variables.")
        self._model = model
        self._likelihood = _likelihood(model)
        self._types: dict[Variable, pt.TensorType] = {}
        self._function = None
        self._arrays: list[np.ndarray] = []
        self.compilations = 0

    def load(self, model: pm.Model) -> None:
        """Take over the data of `model`; compile where no earlier compilation fits.

        Raises
        ------
        ValueError
            The model is not the first one with other data, or has other priors.
        """
        priors = match_leaves(self._model.free_RVs, model.free_RVs)
        if not all(_equal(_value(one), _value(other)) for one, other in priors.items() if not _is_generator(one)):
            raise ValueError("The models differ in more than their data: the priors are others.")
        values = [*self._model.value_vars, self._likelihood]
        pairs = match_leaves(values, [*model.value_vars, _likelihood(model)])
        types = dict(self._types)
        for mine, theirs in pairs.items():
            value, seen = _value(theirs), types.get(mine)
            if seen is None and _equal(_value(mine), value):
                continue
            known = (seen or mine.type).shape if seen or isinstance(mine, Constant) else np.shape(_value(mine))
            lengths = zip(known, value.shape, strict=True)
            # A length that is one in every data set may broadcast; any other is left open.
            types[mine] = pt.TensorType(mine.type.dtype, shape=tuple(1 if a == b == 1 else None for a, b in lengths))
        if self._function is None or types != self._types:
            self._types = types
            self._compile()
        self._arrays = [_value(pairs[leaf]) for leaf in self._types]

    def _compile(self) -> None:
        swapped = {leaf: kind(name=f"data_{i}") for i, (leaf, kind) in enumerate(self._types.items())}
        likelihood = clone_replace(self._likelihood, replace=swapped, rebuild_strict=False)
        prior = self._model.logp(vars=self._model.free_RVs)
        point = DictToArrayBijection.rmap(self.start)
        (density, likelihood), raveled = join_nonshared_inputs(
            point, [prior + likelihood, likelihood], self._model.value_vars
        )
        gradient = pytensor.grad(rewrite_pregrad(density), raveled)
        with pytensor.config.change_flags(numba__fastmath=False):
            self._function = pytensor.function(
                [raveled, *swapped.values()],
                [density, gradient, likelihood],
                on_unused_input="ignore",
                trust_input=True,
            )
        self.compilations += 1

    def __call__(self, point: Array) -> tuple[float, Array]:
        """Log density and its gradient at a point of the unconstrained space, with the data loaded last."""
        density, gradient, _ = self._function(point, *self._arrays)
        return float(density), gradient

    def log_likelihood(self, point: Array) -> float:
        """Log-likelihood at a point of the unconstrained space."""
        return float(self._function(point, *self._arrays)[2])


def _likelihood(model: pm.Model) -> Variable:
    likelihood = sum(potential.sum() for potential in model.replace_rvs_by_values(model.potentials))
    return pt.as_tensor(likelihood, dtype="float64")


def match_leaves(first: Sequence[Variable], second: Sequence[Variable]) -> dict[Variable, Variable]:
    """Walk two graphs side by side and pair their constants and shared variables.

    Raises
    ------
    ValueError
        The graphs differ in more than their data.
    """
    pairs: dict[Variable, Variable] = {}
    waiting = list(zip(first, second, strict=True))
    while waiting:
        one, other = waiting.pop()
        if one in pairs:
            if pairs[one] is not other and not (
                _holds(other) and _holds(pairs[one]) and _equal(_value(pairs[one]), _value(other))
            ):
                raise ValueError(f"The models differ in more than their data: {one} stands for two variables.")
            continue
        if _holds(one) != _holds(other) or (one.owner is None) != (other.owner is None):
            raise ValueError(f"The models differ in more than their data: {one} and {other}.")
        pairs[one] = other
        if one.owner is None:
            if not _holds(one) and one.type != other.type:
                raise ValueError(f"The models differ in more than their data: {one} is {one.type} and {other.type}.")
            continue
        a, b = one.owner, other.owner
        if a.op != b.op or len(a.inputs) != len(b.inputs) or one.index != other.index:
            raise ValueError(f"The models differ in more than their data: {a.op} and {b.op}.")
        waiting.extend(zip(a.inputs, b.inputs, strict=True))
    return {one: other for one, other in pairs.items() if _holds(one)}


def _holds(leaf: Variable) -> bool:
    return isinstance(leaf, Constant | SharedVariable)


def _is_generator(leaf: Variable) -> bool:
    return isinstance(leaf.type, RandomType)


def _value(leaf: Variable) -> np.ndarray:
    return leaf.get_value(borrow=True) if isinstance(leaf, SharedVariable) else leaf.data


def _equal(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return type(one) is type(other) and one == other
