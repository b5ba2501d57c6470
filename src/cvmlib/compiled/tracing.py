"""Follow the numbers of a PyTensor graph one by one into straight-line code (`cvmlib.compiled.scalar_code`).

Arrays are arrays of scalars here: what moves numbers about (indexing, reshaping, joining) costs nothing when the code
runs. A graph that does more than the operations known here, or that has very many numbers, is refused.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
from pytensor.compile.ops import ViewOp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.traversal import toposort
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar.basic import Composite
from pytensor.tensor.basic import Alloc, Join, MakeVector, ScalarFromTensor, Split, TensorFromScalar
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
    unflatten_index_variables,
)

from cvmlib.compiled.fused import FusedLogLikelihood
from cvmlib.compiled.scalar_code import Code, Scalar, Value
from cvmlib.compiled.scalar_rules import REDUCTIONS, RULES, Arithmetic

#: Instructions beyond which compiling takes longer than Numba does.
MOST = 10_000


class UntraceableError(Exception):
    """The graph holds an operation that is not known here, or too many numbers."""


def trace(code: Code, outputs: Sequence[Variable], given: dict[Variable, npt.NDArray]) -> tuple[list, list[Scalar]]:
    """Follow a graph.

    Parameters
    ----------
    code : Code
        What is added to.
    outputs : sequence of Variable
        What is wanted.
    given : dict of Variable to array
        Arrays of the inputs' numbers.

    Returns
    -------
    values : list of array
        Numbers of the outputs.
    checks : list
        Truth values that the graph demands.

    Raises
    ------
    UntraceableError
        The graph cannot be followed.
    """
    tracer = _Tracer(code, given)
    for node in toposort(outputs, blockers=list(given)):
        tracer.follow(node)
    return [tracer.value(variable) for variable in outputs], tracer.checks


class _Tracer:
    def __init__(self, code: Code, given: dict[Variable, npt.NDArray]) -> None:
        self.code, self._values, self.checks = code, dict(given), []
        self._do = Arithmetic(code).apply

    def value(self, variable: Variable) -> npt.NDArray:
        if variable not in self._values:
            if isinstance(variable, Constant):
                self._values[variable] = np.asarray(variable.data) if _is_array(variable) else variable.data
            elif isinstance(variable, SharedVariable):
                self._values[variable] = variable.get_value(borrow=True)
            else:
                raise UntraceableError(f"{variable} has no value")
        return self._values[variable]

    def follow(self, node: Apply) -> None:
        inputs = [self.value(variable) for variable in node.inputs]
        if isinstance(node.op, FusedLogLikelihood):
            results = self._call(node.op, *inputs)
        elif isinstance(node.op, Shape | Shape_i):
            shape = np.array(inputs[0].shape, dtype=np.int64)
            results = [shape if isinstance(node.op, Shape) else np.asarray(shape[node.op.i])]
        elif not any(_is_symbolic(one) for one in inputs):
            results = _perform(node, inputs)
        else:
            results = [_array(one) for one in self._follow(node, inputs)]
        if len(self.code) > MOST:
            raise UntraceableError("the graph has too many numbers")
        self._values.update(zip(node.outputs, results, strict=True))

    def _follow(self, node: Apply, inputs: list) -> list:
        op = node.op
        if isinstance(op, Elemwise):
            return [self._elementwise(op.scalar_op, inputs)]
        if isinstance(op, CAReduce):
            return [self._reduce(op, inputs[0])]
        if isinstance(op, CheckAndRaise):
            self.checks += [one for condition in inputs[1:] for one in np.ravel(condition)]
            return [inputs[0]]
        if isinstance(op, IncSubtensor | AdvancedIncSubtensor):
            return [self._put(op, *inputs)]
        if isinstance(op, Dot):
            return [self._dot(*inputs)]
        if isinstance(op, CumOp) and op.mode == "add":
            return [self._cumulate(op, inputs[0])]
        for kinds, move in _MOVES.items():
            if isinstance(op, kinds):
                found = move(op, *inputs)
                return found if isinstance(found, list) else [found]
        raise UntraceableError(f"{type(op).__name__} is not known")

    def _call(self, op: FusedLogLikelihood, parameters: npt.NDArray, packed: npt.NDArray) -> list:
        if _is_symbolic(packed):
            raise UntraceableError("data that depend on parameters")
        packed = np.ascontiguousarray(packed, dtype=float)
        size = int(packed[:1].view(np.int64)[0])
        start = packed.ctypes.data
        rest = [*parameters.shape, start + 8, size, start + 8 * (1 + size), packed.size - 1 - size]
        value, *slopes = self.code.call(op.kernel.entry.address, list(parameters.ravel()), rest, (packed, op.kernel))
        return [_array(value), _array(slopes).reshape(parameters.shape)]

    def _elementwise(self, operation: object, inputs: list) -> npt.NDArray:
        name = type(operation).__name__
        if isinstance(operation, Composite) or name not in RULES:
            raise UntraceableError(f"{name} is not known")
        if name == "Cast" and not str(operation.o_type.dtype).startswith("float"):
            raise UntraceableError("a number is made an integer")
        arrays = np.broadcast_arrays(*(_array(one) for one in inputs))
        rule, found = RULES[name], np.empty(arrays[0].shape, dtype=object)
        for place in np.ndindex(found.shape):
            found[place] = rule(self._do, *(array[place] for array in arrays))
        return found

    def _reduce(self, op: CAReduce, array: npt.NDArray) -> npt.NDArray:
        name = type(op.scalar_op).__name__
        if name not in REDUCTIONS:
            raise UntraceableError(f"{type(op).__name__} is not known")
        axes = tuple(range(array.ndim)) if op.axis is None else tuple(op.axis)
        kept = [i for i in range(array.ndim) if i not in axes]
        shape = [array.shape[i] for i in kept]
        rows = array.transpose(*kept, *axes).reshape(*shape, -1)
        found = np.empty(shape, dtype=object)
        start, rule = REDUCTIONS[name]
        for place in np.ndindex(*shape):
            found[place] = reduce(lambda a, b: rule(self._do, a, b), rows[place], start)
        return found

    def _put(self, op: object, array: npt.NDArray, values: npt.NDArray, *indices: npt.NDArray) -> npt.NDArray:
        places = np.arange(array.size).reshape(array.shape)[_index(op, indices)]
        found = _array(array).copy().ravel()
        for place, one in zip(np.ravel(places), np.broadcast_to(_array(values), places.shape).ravel(), strict=True):
            found[place] = one if op.set_instead_of_inc else RULES["Add"](self._do, found[place], one)
        return found.reshape(array.shape)

    def _cumulate(self, op: CumOp, array: npt.NDArray) -> npt.NDArray:
        found = np.moveaxis(array.copy(), op.axis, 0)
        for i in range(1, len(found)):
            for place in np.ndindex(found.shape[1:]):
                found[(i, *place)] = RULES["Add"](self._do, found[(i - 1, *place)], found[(i, *place)])
        return np.moveaxis(found, 0, op.axis)

    def _dot(self, a: npt.NDArray, b: npt.NDArray) -> npt.NDArray:
        a, b = _array(a), _array(b)
        left, right = a.reshape(-1, a.shape[-1]), b.reshape(b.shape[0], -1)
        found = np.empty((len(left), right.shape[1]), dtype=object)
        for i, j in np.ndindex(found.shape):
            terms = (RULES["Mul"](self._do, x, y) for x, y in zip(left[i], right[:, j], strict=True))
            found[i, j] = reduce(lambda x, y: RULES["Add"](self._do, x, y), terms, 0.0)
        return found.reshape(a.shape[:-1] + b.shape[1:])


def _is_array(variable: Variable) -> bool:
    return isinstance(variable.data, np.ndarray | np.generic | int | float | bool)


def _is_symbolic(one: object) -> bool:
    return isinstance(one, Value) or (isinstance(one, np.ndarray) and one.dtype == object)


def _array(one: object) -> npt.NDArray:
    """Return an array of scalars."""
    if isinstance(one, np.ndarray) and one.dtype == object:
        return one
    if isinstance(one, Value):
        found = np.empty((), dtype=object)
        found[()] = one
        return found
    if isinstance(one, list):
        found = np.empty(len(one), dtype=object)
        found[:] = one
        return found
    return np.asarray(one).astype(object)


def _perform(node: Apply, inputs: list) -> list:
    """Evaluate a node of which all is known."""
    storage = [[None] for _ in node.outputs]
    ready = [variable.type.filter(one, allow_downcast=True) for variable, one in zip(node.inputs, inputs, strict=True)]
    node.op.perform(node, ready, storage)
    return [cell[0] for cell in storage]


def _index(op: object, indices: Sequence) -> object:
    """Return what NumPy takes as the index of a subtensor."""
    known = [int(one) if np.ndim(one) == 0 else np.asarray(one) for one in indices]
    return tuple(unflatten_index_variables(known, op.idx_list))


def _shuffle(op: DimShuffle, array: npt.NDArray) -> npt.NDArray:
    kept = [i for i in op.new_order if i != "x"]
    dropped = tuple(i for i in range(array.ndim) if i not in kept)
    order = np.argsort(np.argsort(kept)) if kept else []
    array = _array(array).squeeze(dropped).transpose([int(i) for i in order])
    return array[tuple(np.newaxis if i == "x" else slice(None) for i in op.new_order)]


def _join(op: Join, *arrays: npt.NDArray) -> npt.NDArray:
    return np.concatenate([_array(one) for one in arrays], axis=op.axis)


def _split(op: Split, array: npt.NDArray, sizes: npt.NDArray) -> list[npt.NDArray]:
    return list(np.split(array, np.cumsum(sizes)[:-1], axis=op.axis))


def _reshape(_: Reshape, array: npt.NDArray, shape: npt.NDArray) -> npt.NDArray:
    return array.reshape([int(one) for one in shape])


def _allocate(_: Alloc, array: npt.NDArray, *shape: npt.NDArray) -> npt.NDArray:
    return np.broadcast_to(_array(array), [int(one) for one in shape]).copy()


def _pass(_: object, array: npt.NDArray, *__: object) -> npt.NDArray:
    return array


#: What moves numbers about, by operation.
_MOVES: dict[tuple[type, ...], Callable] = {
    (DimShuffle,): _shuffle,
    (Subtensor, AdvancedSubtensor): lambda op, array, *indices: array[_index(op, indices)],
    (Join,): _join,
    (Split,): _split,
    (Reshape,): _reshape,
    (Alloc,): _allocate,
    (MakeVector,): lambda _, *scalars: _array([_array(one)[()] for one in scalars]),
    (SpecifyShape, ScalarFromTensor, TensorFromScalar, ViewOp): _pass,
}
