"""A compiled log-likelihood and its gradient as one PyTensor operation.

PyTensor's own gradient walks over the rows once per elementary operation; a compiled function that gives the value
together with the gradient walks over them once. PyTensor and nutpie would compile such a function anew into every model
that uses it, which takes longer than many a fit; here it is compiled once, kept, and called by its address. The
data enter as shared variables, so that a model of the same shape on other data needs no compilation either.
"""

import ctypes
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt
import pytensor
import pytensor.tensor as pt
from llvmlite import binding
from numba import types
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.cache import compile_numba_function_src
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FLOATS, _INTEGERS = types.CPointer(types.float64), types.CPointer(types.int64)
_SIGNATURE = types.float64(
    _FLOATS, types.int64, types.int64, _INTEGERS, types.int64, _FLOATS, types.int64, _FLOATS
)  # parameters, how many, groups, integers, how many, numbers, how many, gradient
_ENTRY = """
def entry(parameters, rows, groups, integers, n_integers, numbers, n_numbers, gradient):
    shape = (rows, groups)
    return function(
        carray(parameters, shape), carray(integers, n_integers), carray(numbers, n_numbers), carray(gradient, shape)
    )
"""


@dataclass(frozen=True)
class Kernel:
    """A log-likelihood with its gradient, for Numba to compile when it is first needed.

    Parameters
    ----------
    function : Numba function
        ``function(parameters, integers, numbers, gradient)`` returns the log-likelihood and fills the gradient; the
        parameters and the gradient have shape (parameters, groups), and `integers` and `numbers` are what `pack` made
        of the data.
    sources : tuple of str
        Files (``__file__``) that the function is made of; when one changes, it is compiled anew.
    """

    function: Callable
    sources: tuple[str, ...]

    @cached_property
    def name(self) -> str:
        """Name of the function, with the state of its sources."""
        state = 0
        for source in self.sources:
            state = zlib.crc32(Path(source).read_bytes(), state)
        return f"{self.function.__module__}.{self.function.__name__}.{state:08x}".replace(".", "_")

    @cached_property
    def entry(self) -> Callable:
        """The compiled function, for C; under its name it is known to the linker from now on."""
        scope = {"__name__": __name__, "function": self.function, "carray": numba.carray}
        source = compile_numba_function_src(_ENTRY, "entry", scope, cache_key=self.name)
        entry = numba.cfunc(_SIGNATURE, cache=True)(source)
        binding.add_symbol(self.name, entry.address)
        return entry

    def evaluate(self, parameters: Floats, integers: Integers, numbers: Floats) -> tuple[float, Floats]:
        """Return the log-likelihood and its gradient, outside PyTensor; arguments are those of `function`."""
        parameters, integers = np.array(parameters, dtype=float, order="C"), np.ascontiguousarray(integers)
        gradient, numbers = np.empty_like(parameters), np.ascontiguousarray(numbers)
        floats, whole = ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_int64)
        value = self.entry.ctypes(
            parameters.ctypes.data_as(floats),
            *parameters.shape,
            integers.ctypes.data_as(whole),
            integers.size,
            numbers.ctypes.data_as(floats),
            numbers.size,
            gradient.ctypes.data_as(floats),
        )
        return value, gradient

    def log_likelihood(self, parameters: Variable | Sequence[Variable], data: tuple[Integers, Floats]) -> Variable:
        """Return the log-likelihood as a PyTensor scalar.

        Parameters
        ----------
        parameters : sequence of Variable or Variable
            Each of shape (groups,), or all of them of shape (parameters, groups).
        data : tuple of array
            What `pack` returned.
        """
        integers, numbers = data
        whole = np.r_[len(integers), integers].astype(np.int64)
        packed = pytensor.shared(np.concatenate([whole.view(float), numbers]), borrow=True)
        together = parameters if isinstance(parameters, Variable) else pt.stack(list(parameters))
        return FusedLogLikelihood(self)(together, packed)[0]


def pack(arrays: Sequence[npt.NDArray]) -> tuple[Integers, Floats]:
    """Put arrays into one of integers and one of floats, for `integer_part` and `number_part` to take them out."""
    lengths = [v.size for v in arrays]
    whole = [np.issubdtype(v.dtype, np.integer) for v in arrays]
    header = np.zeros((len(arrays), 2), dtype=np.int64)
    for kind, start in ((True, header.size), (False, 0)):
        of_kind = [i for i, is_whole in enumerate(whole) if is_whole == kind]
        ends = start + np.cumsum([lengths[i] for i in of_kind])
        header[of_kind, 1] = ends
        header[of_kind, 0] = ends - [lengths[i] for i in of_kind]
    integers = [header.ravel(), *(v.ravel() for v, is_whole in zip(arrays, whole, strict=True) if is_whole)]
    numbers = [np.zeros(0), *(v.ravel() for v, is_whole in zip(arrays, whole, strict=True) if not is_whole)]
    return np.concatenate(integers).astype(np.int64), np.concatenate(numbers).astype(float)


@numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def integer_part(integers: Integers, place: int) -> Integers:  # pragma: no cover - compiled
    """Return the packed array at `place`, of integers, flat."""
    return integers[integers[2 * place] : integers[2 * place + 1]]


@numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
def number_part(integers: Integers, numbers: Floats, place: int) -> Floats:  # pragma: no cover - compiled
    """Return the packed array at `place`, of floats, flat."""
    return numbers[integers[2 * place] : integers[2 * place + 1]]


class FusedLogLikelihood(Op):
    """PyTensor operation that calls a `Kernel`: inputs are the parameters, (parameters, groups), and the data.

    The data are one array, since every shared variable adds a second to nutpie's compilation: how many integers there
    are, these, and the other numbers, the integers as the floats of the same bits.
    """

    __props__ = ("name",)

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.name = kernel, kernel.name

    def make_node(self, *inputs: Variable) -> Apply:
        """Return the node: outputs are the log-likelihood and its gradient, of the shape of the parameters."""
        return Apply(self, [pt.as_tensor(v) for v in inputs], [pt.dscalar(), pt.dmatrix()])

    def perform(self, node: Apply, inputs: list, output_storage: list) -> None:
        """Evaluate (outside Numba mode)."""
        parameters, packed = inputs
        size = packed[:1].view(np.int64)[0]
        value, gradient = self.kernel.evaluate(parameters, packed[1 : 1 + size].view(np.int64), packed[1 + size :])
        output_storage[0][0], output_storage[1][0] = np.asarray(value), gradient

    def infer_shape(self, node: Apply, shapes: list) -> list:
        """Shapes of both outputs."""
        return [(), shapes[0]]

    def pullback(self, inputs: list, outputs: list, cotangents: list) -> list:
        """Gradient by the parameters; the data are not differentiated."""
        return [cotangents[0] * outputs[1], disconnected_type()]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only the parameters are connected, and only to the log-likelihood."""
        return [[True, False], [False, False]]


@register_funcify_default_op_cache_key(FusedLogLikelihood)
def _funcify(op: FusedLogLikelihood, **kwargs: object) -> tuple[Callable, int]:
    _ = op.kernel.entry  # compiled, and known to the linker
    external = types.ExternalFunction(op.name, _SIGNATURE)

    @numba_njit
    def call(parameters: Floats, packed: Floats) -> tuple[Floats, Floats]:  # pragma: no cover - compiled
        inputs = np.ascontiguousarray(parameters)
        size = packed[:1].view(np.int64)[0]
        integers, numbers = packed[1 : 1 + size].view(np.int64), packed[1 + size :]
        gradient = np.empty(inputs.shape)
        value = external(
            inputs.ctypes,
            inputs.shape[0],
            inputs.shape[1],
            integers.ctypes,
            integers.size,
            numbers.ctypes,
            numbers.size,
            gradient.ctypes,
        )
        return np.asarray(value), gradient

    return call, 1
