"""Rules of PyTensor's scalar operations, in the few operations of `cvmlib.compiled.scalar_code`."""

import operator
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from cvmlib.compiled.scalar_code import Code, Scalar, Value


class Arithmetic:
    """Operations on scalars: at once where they are known, in code otherwise."""

    def __init__(self, code: Code) -> None:
        self._code = code

    def apply(self, operation: str, *arguments: Scalar) -> Scalar:
        """Apply an operation to scalars: at once where all are known."""
        if not any(isinstance(one, Value) for one in arguments):
            return _KNOWN[operation](*arguments)
        if operation == "where" and not isinstance(arguments[0], Value):
            return arguments[1] if arguments[0] else arguments[2]
        if operation == "where" and arguments[1] is arguments[2]:
            return arguments[1]
        if operation in ("and", "or", "xor"):
            arguments = tuple(self._truth(one) for one in arguments)
        else:
            kept = 1 if operation == "where" else 0
            arguments = (*arguments[:kept], *(self._number(one) for one in arguments[kept:]))
        if _is_simple(operation, arguments):
            return _simplify(operation, arguments)
        return self._code.apply(operation, *arguments)

    def _number(self, one: Scalar) -> Scalar:
        return self._code.apply("number", one) if isinstance(one, Value) and one.is_bool else one

    def _truth(self, one: Scalar) -> Scalar:
        if isinstance(one, Value):
            return one if one.is_bool else self._code.apply("ne", one, 0.0)
        return bool(one)


def _is_simple(operation: str, arguments: Sequence[Scalar]) -> bool:
    """Whether the result is one of the arguments, or zero, whatever the unknown number is."""
    known = [one for one in arguments if not isinstance(one, Value)]
    if len(arguments) != 2 or len(known) != 1:
        return False
    if operation in ("and", "or"):
        return True
    first = not isinstance(arguments[0], Value)
    return (
        (operation == "add" and known[0] == 0)
        or (operation == "mul" and known[0] in (0, 1))
        or (operation in ("sub", "div") and not first and known[0] == (0 if operation == "sub" else 1))
    )


def _simplify(operation: str, arguments: Sequence[Scalar]) -> Scalar:
    known = next(one for one in arguments if not isinstance(one, Value))
    unknown = next(one for one in arguments if isinstance(one, Value))
    if operation == "and":
        return unknown if known else False
    if operation == "or":
        return True if known else unknown
    # Zero times a number that overflowed is taken as zero: the masks of a model mean that it has no part.
    return 0.0 if operation == "mul" and known == 0 else unknown


def _fold(operation: str) -> Callable:
    return lambda do, first, *rest: reduce(lambda a, b: do(operation, a, b), rest, first)


def _plain(operation: str) -> Callable:
    return lambda do, *arguments: do(operation, *arguments)


def _larger(do: Callable, x: Scalar, y: Scalar) -> Scalar:
    return do("where", do("ge", x, y), x, y)


def _smaller(do: Callable, x: Scalar, y: Scalar) -> Scalar:
    return do("where", do("le", x, y), x, y)


def _sigmoid(do: Callable, x: Scalar) -> Scalar:
    return do("div", 1.0, do("add", 1.0, do("exp", do("neg", x))))


def _softplus(do: Callable, x: Scalar) -> Scalar:
    """max(x, 0) + log1p(exp(-|x|)), which neither overflows nor loses digits."""
    positive = do("where", do("gt", x, 0.0), x, 0.0)
    return do("add", positive, do("log1p", do("exp", do("neg", do("fabs", x)))))


def _log1mexp(do: Callable, x: Scalar) -> Scalar:
    """log(1 - exp(x)) for x < 0 (Maechler 2012)."""
    near = do("log", do("neg", do("expm1", x)))
    far = do("log1p", do("neg", do("exp", x)))
    return do("where", do("gt", x, -np.log(2.0)), near, far)


def _power(do: Callable, x: Scalar, y: Scalar) -> Scalar:
    if not isinstance(y, Value):
        powers = {
            1.0: lambda: x,
            2.0: lambda: do("mul", x, x),
            0.5: lambda: do("sqrt", x),
            -1.0: lambda: do("div", 1.0, x),
        }
        if float(y) in powers:
            return powers[float(y)]()
    return do("pow", x, y)


def _sign(do: Callable, x: Scalar) -> Scalar:
    return do("where", do("gt", x, 0.0), 1.0, do("where", do("lt", x, 0.0), -1.0, x))


#: Scalar operations of PyTensor, by the names of their classes.
RULES: dict[str, Callable] = {
    "Add": _fold("add"),
    "Mul": _fold("mul"),
    "Sub": _plain("sub"),
    "TrueDiv": _plain("div"),
    "Neg": _plain("neg"),
    "Exp": _plain("exp"),
    "Log": _plain("log"),
    "Log1p": _plain("log1p"),
    "Expm1": _plain("expm1"),
    "Sqrt": _plain("sqrt"),
    "Abs": _plain("fabs"),
    "Tanh": _plain("tanh"),
    "Sinh": _plain("sinh"),
    "Cosh": _plain("cosh"),
    "Sin": _plain("sin"),
    "Cos": _plain("cos"),
    "Erf": _plain("erf"),
    "Erfc": _plain("erfc"),
    "GammaLn": _plain("lgamma"),
    "Floor": _plain("floor"),
    "Ceil": _plain("ceil"),
    "Sqr": lambda do, x: do("mul", x, x),
    "Reciprocal": lambda do, x: do("div", 1.0, x),
    "Pow": _power,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Log1mexp": _log1mexp,
    "Sign": _sign,
    "Switch": _plain("where"),
    "LT": _plain("lt"),
    "LE": _plain("le"),
    "GT": _plain("gt"),
    "GE": _plain("ge"),
    "EQ": _plain("eq"),
    "NEQ": _plain("ne"),
    "AND": _fold("and"),
    "OR": _fold("or"),
    "XOR": _fold("xor"),
    "Invert": lambda do, x: do("xor", x, True),
    "IsNan": lambda do, x: do("ne", x, x),
    "Maximum": _larger,
    "Minimum": _smaller,
    "Clip": lambda do, x, low, high: _smaller(do, _larger(do, x, low), high),
    "Second": lambda do, _, y: y,
    "Identity": lambda do, x: x,
    "Cast": lambda do, x: x,
}


def _known(function: Callable) -> Callable:
    def evaluate(*arguments: float) -> float:
        with np.errstate(all="ignore"):
            return function(*(np.float64(one) for one in arguments))

    return evaluate


def _log_gamma(x: float) -> float:
    from scipy import special

    return float(special.gammaln(x))


def _error_function(name: str) -> Callable:
    def evaluate(x: float) -> float:
        from scipy import special

        return float(getattr(special, name)(x))

    return evaluate


#: The same operations on numbers that are known.
_KNOWN: dict[str, Callable] = {
    "add": _known(operator.add),
    "sub": _known(operator.sub),
    "mul": _known(operator.mul),
    "div": _known(operator.truediv),
    "neg": _known(operator.neg),
    "pow": _known(operator.pow),
    "fabs": _known(np.abs),
    **{name: _known(getattr(np, name)) for name in ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "sinh", "cosh")},
    **{name: _known(getattr(np, name)) for name in ("sin", "cos", "floor", "ceil")},
    "lgamma": _log_gamma,
    "erf": _error_function("erf"),
    "erfc": _error_function("erfc"),
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b),
    "xor": lambda a, b: bool(a) != bool(b),
    "where": lambda condition, a, b: a if condition else b,
}


#: Operations that reduce an axis: where they start, and the rule of two numbers.
REDUCTIONS = {
    "Add": (0.0, lambda do, a, b: do("add", a, b)),
    "Mul": (1.0, lambda do, a, b: do("mul", a, b)),
    "AND": (True, lambda do, a, b: do("and", a, b)),
    "OR": (False, lambda do, a, b: do("or", a, b)),
    "Maximum": (-np.inf, lambda do, a, b: _larger(do, a, b)),
    "Minimum": (np.inf, lambda do, a, b: _smaller(do, a, b)),
}
