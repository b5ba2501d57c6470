"""Exponential, logarithm and gamma function that a compiler can vectorise: no branch, no table, no call.

The functions of the C library are calls, which keep LLVM from vectorising a loop around them. These are polynomials
(minimax over the reduced range), so that a loop of them over contiguous arrays runs on four or eight numbers at once.
They are for use in other compiled functions, in loops without a division check (``error_model="numpy"``) and without
sums, whose order LLVM must not change. The exponential is accurate to 1 unit in the last place, the logarithm and the
reciprocals that come with it to 3.5.
"""

from collections.abc import Callable

import numba
from llvmlite import ir
from numba import types
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

_LOG2_E = 1.4426950408889634
# log 2 in two parts; the first has enough zeros at its end for products with an exponent to be exact.
_LOG_2_HIGH, _LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_HALF_LOG_2_PI = 0.9189385332046727
# Added to a number of magnitude below 2^51, it leaves the nearest integer in the last bits.
_ROUND = 6755399441055744.0


@intrinsic
def bits_of(context: object, number: object) -> tuple[Signature, Callable]:
    """Return the 64 bits of a float as an integer."""
    return types.int64(types.float64), lambda _, builder, __, values: builder.bitcast(values[0], ir.IntType(64))


@intrinsic
def float_of(context: object, bits: object) -> tuple[Signature, Callable]:
    """Return the float of these 64 bits."""
    return types.float64(types.int64), lambda _, builder, __, values: builder.bitcast(values[0], ir.DoubleType())


@intrinsic
def multiply_add(context: object, a: object, b: object, c: object) -> tuple[Signature, Callable]:
    """Return ``a * b + c``, in one instruction where the machine has it."""

    def build(_: object, builder: ir.IRBuilder, __: object, values: list) -> ir.Value:
        double = ir.DoubleType()
        function = builder.module.declare_intrinsic("llvm.fmuladd", [double], ir.FunctionType(double, [double] * 3))
        return builder.call(function, values)

    return types.float64(types.float64, types.float64, types.float64), build


@numba.njit(forceinline=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def exp(x: float) -> float:  # pragma: no cover - compiled
    """Return the exponential of x <= 709; below -708, that of -708 (3e-308)."""
    x = -708.0 if x < -708.0 else x
    shifted = multiply_add(x, _LOG2_E, _ROUND)
    k = shifted - _ROUND  # x = k log 2 + t with |t| <= log(2) / 2
    t = multiply_add(-k, _LOG_2_LOW, multiply_add(-k, _LOG_2_HIGH, x))
    p = multiply_add(2.4978251971975536e-08, t, 2.7625311656243345e-07)
    p = multiply_add(p, t, 2.7557642022841778e-06)
    p = multiply_add(p, t, 2.480150839353666e-05)
    p = multiply_add(p, t, 0.00019841269464180965)
    p = multiply_add(p, t, 0.001388888892700519)
    p = multiply_add(p, t, 0.00833333333350125)
    p = multiply_add(p, t, 0.0416666666666035)
    p = multiply_add(p, t, 0.16666666666666433)
    p = multiply_add(p, t, 0.5)
    p = multiply_add(p, t * t, t)
    power = float_of((bits_of(shifted) + 1023) << 52)
    return multiply_add(p, power, power)


@numba.njit(forceinline=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def log_ratio(p: float, q: float) -> tuple[float, float, float]:  # pragma: no cover - compiled
    """Return ``log(p / q)``, ``1 / p`` and ``1 / q``, with one division, for p and q between 1e-100 and 1e100.

    With ``f = 2^k q`` next to p, ``log(p / q) = k log 2 + 2 atanh((p - f) / (p + f))``.
    """
    k = (bits_of(p) - bits_of(q) + (1 << 51)) >> 52  # p / f is between 2/3 and 3/2
    f = float_of(bits_of(q) + (k << 52))
    near, product = p + f, p * q
    inverse = 1.0 / (product * near)
    s = (p - f) * (product * inverse)
    z = s * s
    series = multiply_add(0.15395943025325545, z, 0.15246601913186172)
    series = multiply_add(series, z, 0.18186536262257014)
    series = multiply_add(series, z, 0.2222213407866271)
    series = multiply_add(series, z, 0.28571429449731306)
    series = multiply_add(series, z, 0.399999999958566)
    series = multiply_add(series, z, 0.6666666666667327)
    low = multiply_add(float(k), _LOG_2_LOW, s * (z * series))
    log = multiply_add(float(k), _LOG_2_HIGH, multiply_add(2.0, s, low))
    return log, q * near * inverse, p * near * inverse


@numba.njit(forceinline=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def log_gamma(x: float) -> tuple[float, float]:  # pragma: no cover - compiled
    """Return ``log(Gamma(x))`` and its derivative, for x between 1e-12 and 1e12.

    Stirling's series at x + 8, less the eight factors in between. The error is 1e-15, or 4 units in the last place of
    ``log(Gamma(x + 8))`` or of its derivative where these are larger.
    """
    product, harmonic = x, 1.0 / x
    for i in range(1, 8):
        product *= x + i
        harmonic += 1.0 / (x + i)
    log_product, _, _ = log_ratio(product, 1.0)
    y = x + 8.0
    log, inverse, _ = log_ratio(y, 1.0)
    z = inverse * inverse
    series = multiply_add(-3617.0 / 122400.0, z, 1.0 / 156.0)
    series = multiply_add(series, z, -691.0 / 360360.0)
    series = multiply_add(series, z, 1.0 / 1188.0)
    series = multiply_add(series, z, -1.0 / 1680.0)
    series = multiply_add(series, z, 1.0 / 1260.0)
    series = multiply_add(series, z, -1.0 / 360.0)
    series = multiply_add(series, z, 1.0 / 12.0)
    slope = multiply_add(3617.0 / 8160.0, z, -1.0 / 12.0)
    slope = multiply_add(slope, z, 691.0 / 32760.0)
    slope = multiply_add(slope, z, -1.0 / 132.0)
    slope = multiply_add(slope, z, 1.0 / 240.0)
    slope = multiply_add(slope, z, -1.0 / 252.0)
    slope = multiply_add(slope, z, 1.0 / 120.0)
    slope = multiply_add(slope, z, -1.0 / 12.0)
    value = multiply_add(y - 0.5, log, _HALF_LOG_2_PI - y + series * inverse)
    return value - log_product, log - 0.5 * inverse + slope * z - harmonic
