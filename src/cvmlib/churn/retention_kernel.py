"""Log-likelihood of a life table under a retention model, with its gradient, compiled.

The rows are the months of the blocks (a block is a unit and a covariate pattern). What depends on the unit alone, the
growth of exposure with tenure, is worked out once per unit; per block and month two logarithms and one exponential are
left, and nothing in months in which nobody of a block leaves or ceases to be followed. The gradient goes back through
the formulas of `cvmlib.churn.exposure` by hand.
"""

from math import exp, expm1, log, log1p

import numba
import numpy as np
import numpy.typing as npt
from pytensor.graph.basic import Variable

from cvmlib.churn import exposure
from cvmlib.churn.lifetimes import Lifetimes
from cvmlib.compiled import fused
from cvmlib.compiled.fused import Kernel, integer_part, number_part, pack

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_compile = numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_SMALLEST = 1e-12  # growth of the cumulative risk in a month in which nobody can leave


def log_likelihood(data: Lifetimes, parameters: Variable, name: str) -> Variable:
    """Log-likelihood of a life table as a PyTensor scalar.

    Parameters
    ----------
    data : Lifetimes
        The life table.
    parameters : Variable, shape (parameters, units)
        Under ``sbg`` and ``bdw``: log_risk, log_shape, log_slope (not used by the sBG), the multipliers of months, the
        effects of the contrasts. Under ``hazard``: the weights of `exposure.hazard_basis`, the effects, their drifts.
    name : {"sbg", "bdw", "hazard"}
        The model.
    """
    return _KERNELS[name].log_likelihood(parameters, _pack(data, name))


def evaluate(data: Lifetimes, parameters: Floats, name: str) -> tuple[float, Floats]:
    """Return the log-likelihood at these parameters and its gradient; as `log_likelihood`."""
    return _KERNELS[name].evaluate(parameters, *_pack(data, name))


def _pack(data: Lifetimes, name: str) -> tuple[Integers, Floats]:
    contrasts, _ = data.contrasts()
    patterns = data.indicators() @ contrasts
    if name == "hazard":
        basis = exposure.hazard_basis(data.tenures, len(data.tenures), data.renewal)
    else:
        multipliers = exposure.month_multipliers(data.tenures, data.renewal)
        kept = [name == "bdw" or key == "log_joining" for key in multipliers]
        basis = np.array(list(multipliers.values())).reshape(-1, len(data.tenures)) * np.array(kept, float)[:, None]
    facts = [
        len(data.tenures), len(basis), patterns.shape[1], exposure.reference_month(data.tenures), name == "bdw",
    ]  # fmt: skip
    return pack([
        np.array(facts, np.int64), data.unit_of_block, np.maximum(data.tenures, 0).astype(np.int64),
        basis, patterns, data.at_risk - data.left, data.left, exposure.drift_curve(data.tenures, len(data.tenures)),
    ])  # fmt: skip


@_compile
def beta_value_and_gradient(
    parameters: Floats, integers: Integers, numbers: Floats, gradient: Floats
) -> float:  # pragma: no cover - compiled
    """Return the log-likelihood of the sBG or BdW and fill the gradient."""
    facts, unit_of_block = integer_part(integers, 0), integer_part(integers, 1)
    tenure = integer_part(integers, 2)
    months, bumps, middle, duration = facts[0], facts[1], facts[3], facts[4]
    basis, patterns = number_part(integers, numbers, 3), number_part(integers, numbers, 4)
    stayed, left = number_part(integers, numbers, 5), number_part(integers, numbers, 6)
    units = parameters.shape[1]
    gradient[:] = 0.0
    exposure_of, slope = np.empty((units, months)), np.empty((units, months))
    by_exposure, by_power, step = np.zeros((units, months)), np.zeros(units), np.empty(months)
    a, b, by_a, by_b = np.empty(units), np.empty(units), np.zeros(units), np.zeros(units)
    factor, by_factor, power = np.empty(units), np.zeros(units), np.empty(units)
    for u in range(units):
        ratio = exp(parameters[0, u] - parameters[1, u])
        factor[u] = -expm1(-ratio) / ratio
        power[u] = exp(parameters[2, u]) / factor[u] if duration else 1.0
        total, total_slope = 0.0, 0.0
        for k in range(months):
            grown, grown_slope = _grow(tenure[k], power[u])
            bump = 0.0
            for j in range(bumps):
                bump += basis[j * months + k] * parameters[3 + j, u]
            total += grown * exp(bump)
            total_slope += grown_slope * exp(bump)
            exposure_of[u, k], slope[u, k] = total, total_slope
        a[u] = exp(parameters[1, u])
        b[u] = exposure_of[u, middle] / expm1(ratio)
    value = _add_blocks(
        parameters[3 + bumps :], unit_of_block, patterns, stayed, left, exposure_of, a, b, factor,
        gradient[3 + bumps :], by_exposure, by_a, by_b, by_factor,
    )  # fmt: skip
    for u in range(units):
        ratio = exp(parameters[0, u] - parameters[1, u])
        by_exposure[u, middle] += by_b[u] / expm1(ratio)
        by_ratio = -by_b[u] * b[u] * (1.0 + 1.0 / expm1(ratio))
        by_power[u] = (by_exposure[u] * slope[u]).sum()
        if duration:
            gradient[2, u] = by_power[u] * power[u]
            by_factor[u] -= by_power[u] * power[u] / factor[u]
        by_ratio += by_factor[u] * (exp(-ratio) * (ratio + 1.0) - 1.0) / (ratio * ratio)
        gradient[0, u] = by_ratio * ratio
        gradient[1, u] = by_a[u] * a[u] - by_ratio * ratio
        for k in range(months - 1, -1, -1):
            step[k] = by_exposure[u, k] + (step[k + 1] if k + 1 < months else 0.0)
        for k in range(months):
            grown = exposure_of[u, k] - (exposure_of[u, k - 1] if k else 0.0)
            for j in range(bumps):
                gradient[3 + j, u] += step[k] * grown * basis[j * months + k]
    return value


@_compile
def _grow(tenure: int, power: float) -> tuple[float, float]:  # pragma: no cover - compiled
    """Growth of ``t ** power`` in a month and its derivative by the power; the month of joining counts like the first.

    From one month to the next, ``t ** power`` grows by ``t ** power * (1 - (1 - 1 / t) ** power)``.
    """
    if tenure < 2:
        return 1.0, 0.0
    now, shrink = log(float(tenure)), log1p(-1.0 / tenure)
    value, share = exp(power * now), exp(power * shrink)
    return -value * expm1(power * shrink), value * (now - share * (now + shrink))


@_compile
def _add_blocks(
    effects: Floats,
    unit_of_block: Integers,
    patterns: Floats,
    stayed: Floats,
    left: Floats,
    exposure_of: Floats,
    a: Floats,
    b: Floats,
    factor: Floats,
    by_effects: Floats,
    by_exposure: Floats,
    by_a: Floats,
    by_b: Floats,
    by_factor: Floats,
) -> float:  # pragma: no cover - compiled
    """Add the life tables of all blocks."""
    contrasts, months = effects.shape[0], exposure_of.shape[1]
    value = 0.0
    for i in range(unit_of_block.size):
        u = unit_of_block[i]
        effect = 0.0
        for j in range(contrasts):
            effect += patterns[i * contrasts + j] * effects[j, u]
        multiplier = exp(effect / factor[u])
        before, before_z, before_a = _log_gamma_ratio(b[u], a[u])
        value -= stayed[i * months] * before
        by_b[u] -= stayed[i * months] * before_z
        by_a[u] -= stayed[i * months] * before_a
        grown_before, by_log = 0.0, 0.0
        for k in range(months):
            # The log share there after the month counts as often as subscribers stay in it, but not in the next one.
            cell, more = i * months + k, k + 1 < months
            weight, d = stayed[cell] - (stayed[cell + 1] if more else 0.0), left[cell]
            if weight == 0.0 and d == 0.0 and not (more and left[cell + 1] > 0.0):
                continue
            grown = exposure_of[u, k] * multiplier
            now, now_z, now_a = _log_gamma_ratio(b[u] + grown, a[u])
            value += weight * now
            if d > 0.0:
                risk = before - now + _SMALLEST
                value += d * log(-expm1(-risk))
                pull = d / expm1(risk)
                weight -= pull
                by_b[u] += pull * before_z
                by_a[u] += pull * before_a
                by_log += pull * before_z * grown_before
                if k > 0:
                    by_exposure[u, k - 1] += pull * before_z * multiplier
            by_b[u] += weight * now_z
            by_a[u] += weight * now_a
            by_log += weight * now_z * grown
            by_exposure[u, k] += weight * now_z * multiplier
            before, before_z, before_a, grown_before = now, now_z, now_a, grown
        for j in range(contrasts):
            by_effects[j, u] += by_log * patterns[i * contrasts + j] / factor[u]
        by_factor[u] -= by_log * effect / (factor[u] * factor[u])
    return value


@_compile
def _log_gamma_ratio(z: float, a: float) -> tuple[float, float, float]:  # pragma: no cover - compiled
    """Return ``log(Gamma(z) / Gamma(z + a))`` and its derivatives by z and a: Stirling's series, above eight."""
    rising, by_z, by_a = 1.0, 0.0, 0.0
    while z < 8.0:
        rising *= (z + a) / z
        by_z -= a / (z * (z + a))
        by_a += 1.0 / (z + a)
        z += 1.0
    high = z + a
    log_high, log_low = log(high), -log1p(a / z)
    low_inverse, high_inverse = 1.0 / z, 1.0 / high
    low_series, low_slope = _stirling(low_inverse)
    high_series, high_slope = _stirling(high_inverse)
    value = a - a * log_high + (z - 0.5) * log_low + low_series - high_series
    by_z += -low_slope + high_slope
    # Digamma is log(x) - 1 / (2 x) - slope, and log(z) - log(high) is log_low.
    by_z += log_low - 0.5 * (low_inverse - high_inverse)
    by_a += -log_high + 0.5 * high_inverse + high_slope
    return (value + log(rising) if rising != 1.0 else value), by_z, by_a


@_compile
def _stirling(inverse: float) -> tuple[float, float]:  # pragma: no cover - compiled
    """Return the series of log Gamma and minus its derivative by x, given 1/x."""
    q = inverse * inverse
    value = 1.0 / 12.0 - q * (1.0 / 360.0 - q * (1.0 / 1260.0 - q * (1.0 / 1680.0 - q * (1.0 / 1188.0))))
    slope = 1.0 / 12.0 - q * (1.0 / 120.0 - q * (1.0 / 252.0 - q * (1.0 / 240.0 - q * (1.0 / 132.0))))
    return value * inverse, slope * q


@_compile
def hazard_value_and_gradient(
    parameters: Floats, integers: Integers, numbers: Floats, gradient: Floats
) -> float:  # pragma: no cover - compiled
    """Return the log-likelihood of the smooth hazard and fill the gradient."""
    facts, unit_of_block = integer_part(integers, 0), integer_part(integers, 1)
    months, curves, contrasts = facts[0], facts[1], facts[2]
    basis, patterns = number_part(integers, numbers, 3), number_part(integers, numbers, 4)
    stayed, left = number_part(integers, numbers, 5), number_part(integers, numbers, 6)
    late = number_part(integers, numbers, 7)
    units = parameters.shape[1]
    gradient[:] = 0.0
    curve, by_curve = np.zeros((units, months)), np.zeros((units, months))
    for u in range(units):
        for j in range(curves):
            for k in range(months):
                curve[u, k] += basis[j * months + k] * parameters[j, u]
    growth, value = np.exp(curve), 0.0
    for i in range(unit_of_block.size):
        u = unit_of_block[i]
        effect, drift, by_effect, by_drift = 0.0, 0.0, 0.0, 0.0
        for j in range(contrasts):
            effect += patterns[i * contrasts + j] * parameters[curves + j, u]
            drift += patterns[i * contrasts + j] * parameters[curves + contrasts + j, u]
        for k in range(months):
            s, d = stayed[i * months + k], left[i * months + k]
            if s + d > 0.0:
                risk = growth[u, k] * exp(effect + drift * late[k]) + _SMALLEST
                value -= s * risk
                weight = -s
                if d > 0.0:
                    value += d * log(-expm1(-risk))
                    weight += d / expm1(risk)
                by_curve[u, k] += weight * risk
                by_effect += weight * risk
                by_drift += weight * risk * late[k]
        for j in range(contrasts):
            gradient[curves + j, u] += by_effect * patterns[i * contrasts + j]
            gradient[curves + contrasts + j, u] += by_drift * patterns[i * contrasts + j]
    for u in range(units):
        for j in range(curves):
            for k in range(months):
                gradient[j, u] += basis[j * months + k] * by_curve[u, k]
    return value


_SOURCES = (__file__, fused.__file__)
_BETA, _HAZARD = Kernel(beta_value_and_gradient, _SOURCES), Kernel(hazard_value_and_gradient, _SOURCES)
_KERNELS = {"sbg": _BETA, "bdw": _BETA, "hazard": _HAZARD}
