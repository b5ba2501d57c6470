"""Straight-line code on scalars, compiled to a function of the machine.

Numba takes ten seconds and more to compile a PyTensor graph of a hundred small arrays, much longer than many a model
takes to sample. Here the graph's numbers are followed one by one (`cvmlib.compiled.tracing`) into code without arrays,
loops and branches, which LLVM compiles in a fraction of a second. Equal expressions are computed once.
"""

import ctypes
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from llvmlite import binding

Floats = npt.NDArray[np.float64]

#: Functions of the C library, by name in the code, with their numbers of arguments.
_LIBRARY = {"exp": 1, "log": 1, "log1p": 1, "expm1": 1, "pow": 2, "tanh": 1, "sinh": 1, "cosh": 1, "sin": 1, "cos": 1}
_LIBRARY |= {"erf": 1, "erfc": 1, "lgamma": 1}
_INTRINSIC = {"sqrt": 1, "fabs": 1, "floor": 1, "ceil": 1}
_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_COMPARISON = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}


class Value:
    """A scalar that is known only when the code runs: a double, or a truth value."""

    __slots__ = ("is_bool", "name")

    def __init__(self, name: str, is_bool: bool = False) -> None:
        self.name, self.is_bool = name, is_bool


Scalar = Value | float | bool


class Code:
    """Code under construction, from the entries of one vector to those of another."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._known: dict[tuple, Value] = {}
        self._declared: set[str] = set()
        self._kept: list[object] = []

    def __len__(self) -> int:
        """How many instructions there are."""
        return len(self._lines)

    def entry(self, place: int) -> Value:
        """Return an entry of the vector that the code is given."""
        key = ("entry", place)
        if key not in self._known:
            address = self._new(f"getelementptr double, ptr %point, i64 {place}")
            self._known[key] = self._new(f"load double, ptr {address.name}")
        return self._known[key]

    def apply(self, operation: str, *arguments: Scalar) -> Value:
        """Return the result of an operation; at least one argument is a `Value`."""
        texts = tuple(self._text(one) for one in arguments)
        if operation in ("add", "mul", "and", "or", "eq", "ne"):
            texts = tuple(sorted(texts))
        key = (operation, *texts)
        if key not in self._known:
            self._known[key] = self._make(operation, texts)
        return self._known[key]

    def _make(self, operation: str, texts: tuple[str, ...]) -> Value:
        if operation in _ARITHMETIC:
            return self._new(f"{_ARITHMETIC[operation]} double {texts[0]}, {texts[1]}")
        if operation in _COMPARISON:
            return self._new(f"fcmp {_COMPARISON[operation]} double {texts[0]}, {texts[1]}", is_bool=True)
        if operation == "neg":
            return self._new(f"fneg double {texts[0]}")
        if operation in ("and", "or", "xor"):
            return self._new(f"{operation} i1 {texts[0]}, {texts[1]}", is_bool=True)
        if operation == "number":  # of a truth value
            return self._new(f"uitofp i1 {texts[0]} to double")
        if operation == "where":
            return self._new(f"select i1 {texts[0]}, double {texts[1]}, double {texts[2]}")
        name = f"llvm.{operation}.f64" if operation in _INTRINSIC else operation
        count = (_INTRINSIC | _LIBRARY)[operation]
        self._declared.add(f"declare double @{name}({', '.join(['double'] * count)})")
        return self._new(f"call double @{name}({', '.join(f'double {text}' for text in texts)})")

    def call(self, address: int, numbers: Sequence[Scalar], rest: Sequence[int], kept: object) -> list[Value]:
        """Call a function with a vector of numbers, more integers or addresses, and room for a vector of its slopes.

        Parameters
        ----------
        address : int
            Of a C function ``double f(double *numbers, int64…, double *slopes)``.
        numbers : sequence
            The vector.
        rest : sequence of int
            What comes between.
        kept : object
            What the addresses point into; kept alive with the code.

        Returns
        -------
        list of Value
            The value and the slopes.
        """
        self._kept.append(kept)
        size = len(numbers)
        given, slopes = (self._new(f"alloca [{size} x double], align 64").name for _ in range(2))
        for i, number in enumerate(numbers):
            place = self._new(f"getelementptr double, ptr {given}, i64 {i}")
            self._lines.append(f"store double {self._text(number)}, ptr {place.name}")
        between = "".join(f"i64 {one}, " for one in rest)
        value = self._new(f"call double inttoptr (i64 {address} to ptr)(ptr {given}, {between}ptr {slopes})")
        found = [value]
        for i in range(size):
            place = self._new(f"getelementptr double, ptr {slopes}, i64 {i}")
            found.append(self._new(f"load double, ptr {place.name}"))
        return found

    def finish(
        self, results: Sequence[Scalar], checks: Sequence[Scalar] = (), value: Scalar | None = None
    ) -> "Function":
        """Compile the code.

        Parameters
        ----------
        results : sequence
            What is written into a vector.
        checks : sequence
            Truth values that must hold.
        value : scalar, optional
            A further result, which is written by itself. It and the others must then be finite.
        """
        for i, result in enumerate(results):
            self._store(result, f"%results, i64 {i}")
        if value is not None:
            self._store(value, "%value, i64 0")
            checks = [*checks, self._are_finite([value, *results])]
        sound: Scalar = True
        for check in checks:
            sound = check if sound is True else self.apply("and", sound, check)
        self._lines.append(f"%failed = select i1 {self._text(sound)}, i64 0, i64 1\nret i64 %failed")
        body = "\n".join(self._lines)
        given = "ptr noalias %point, ptr noalias %results" + ", ptr noalias %value" * (value is not None)
        sizes = "i64 %size" if value is not None else "i64 %size, i64 %count"
        declared = "\n".join(sorted(self._declared))
        return Function(f"{declared}\ndefine i64 @run({sizes}, {given}, ptr %data) {{\n{body}\n}}\n", self._kept)

    def _store(self, number: Scalar, place: str) -> None:
        address = self._new(f"getelementptr double, ptr {place}")
        self._lines.append(f"store double {self._text(number)}, ptr {address.name}")

    def _are_finite(self, numbers: Sequence[Scalar]) -> Value:
        """Whether all are: a number less itself is zero where it is finite, and not a number elsewhere."""
        total: Scalar = 0.0
        for number in numbers:
            total = self.apply("add", total, self.apply("sub", number, number))
        return self.apply("eq", total, 0.0)

    def _new(self, instruction: str, is_bool: bool = False) -> Value:
        name = f"%v{len(self._lines)}"
        self._lines.append(f"{name} = {instruction}")
        return Value(name, is_bool)

    def _text(self, value: Scalar) -> str:
        if isinstance(value, Value):
            return value.name
        if isinstance(value, bool | np.bool_):
            return "true" if value else "false"
        return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016x}"


class Function:
    """Compiled code: a C function of the kinds that nutpie calls, which returns 0, or 1 where a check failed.

    With a value it is ``int64 f(int64 size, double *point, double *results, double *value, void *)``, without one
    ``int64 f(int64 size, int64 count, double *point, double *results, void *)``.
    """

    def __init__(self, source: str, kept: list[object]) -> None:
        machine = _target_machine()
        module = binding.parse_assembly(source)
        module.verify()
        passes = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=1))
        passes.getModulePassManager().run(module, passes)
        self._engine = binding.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        self._kept = kept
        self.address = self._engine.get_function_address("run")
        self._run = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 5)(self.address)

    def __call__(self, *arguments: int | Floats) -> int:
        """Call it; a vector is given as itself."""
        given = (one.ctypes.data if isinstance(one, np.ndarray) else one for one in arguments)
        return self._run(*given, None)


def _target_machine() -> binding.TargetMachine:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_default_triple().create_target_machine(opt=1, jit=True)
