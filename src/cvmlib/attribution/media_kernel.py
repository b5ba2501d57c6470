"""Log-likelihood of the media mix and of its lift tests, with its gradient, compiled.

What varies from week to week is worked out here: carried-over and saturated spend, the baseline, and residuals that
last from week to week. The model (`cvmlib.attribution.media_model`) is left with short vectors: priors, and how
parameters of units and regions hang together. The formulas are those of `cvmlib.attribution.media_transforms` and
`cvmlib.attribution.media_effects`, which the reports use; the gradient goes back through them by hand.
"""

from math import exp, log, log1p, sqrt, tanh

import numba
import numpy as np
import numpy.typing as npt
import pytensor.tensor as pt
from pytensor.graph.basic import Variable

from cvmlib.attribution.media_design import MediaDesign
from cvmlib.attribution.media_lift import LiftArrays
from cvmlib.attribution.media_transforms import TINY
from cvmlib.compiled import fused
from cvmlib.compiled.fused import Kernel, integer_part, number_part, pack

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BEND = 0.05
"""Width, as a share of the outcome, over which what media leave of it is bent away from zero."""
REACH = 0.1
"""Share of the outcome, far below which a baseline no longer moves by as much of the outcome as its effects say."""
ROUND = 0.1
"""Width, as a share of the baseline, over which effects that add up are bent away from a baseline below zero."""
PARTS = (
    "weights", "first", "second", "associated", "caused", "level", "path", "season", "control", "sigma", "persistence",
    "compounding",
)  # fmt: skip
"""Parameters in order, see `log_likelihood`."""

_compile = numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def log_likelihood(
    design: MediaDesign, lifts: LiftArrays | None, saturation: str, parameters: dict[str, Variable]
) -> Variable:
    """Log-likelihood of the fitted weeks and of the lift tests as a PyTensor scalar.

    Parameters
    ----------
    design : MediaDesign
        S series, P pairs, C shapes, M markets, K knots, L lags.
    lifts : LiftArrays, optional
        Lift tests.
    saturation : {"hill", "logistic"}
        Form of the saturation.
    parameters : dict of str to Variable
        ``weights`` (C, L) of the carry-over; ``first`` and ``second`` (C,): half and slope, or rate and anything;
        ``associated`` and ``caused`` (P,): what goes with a pair and what it causes, as shares of the series' average
        outcome; ``level`` (S,), ``path`` (S, K), ``season`` (M, waves) and ``control`` (M, controls) of the
        baseline, as shares of the outcome; ``sigma`` and ``persistence`` (S,) of the noise; ``compounding`` (S,) of
        the effects on the baseline, from 0 (they add up) to 1 (they multiply).
    """
    flat = pt.concatenate([parameters[name].ravel() for name in PARTS])
    return _KERNEL.log_likelihood(flat[None, :], _pack(design, lifts, saturation))


def _pack(design: MediaDesign, lifts: LiftArrays | None, saturation: str) -> tuple[Integers, Floats]:
    panel = design.panel
    pairs, weeks, lags = design.lagged.shape
    facts = [
        len(panel.series), pairs, weeks, lags, len(design.shapes), len(design.markets), design.trend.shape[1],
        design.season.shape[1], design.controls.shape[1], saturation == "hill", *_lift_sizes(lifts),
    ]  # fmt: skip
    data = {} if lifts is None else lifts.data()
    none = np.zeros(0)
    return pack([
        np.array(facts, np.int64), panel.length, panel.series_of_pair, design.shape, design.market,
        design.fitted.astype(np.int64) + design.follows, np.asarray(data.get("lift_pair", none), np.int64),
        data.get("lift_of", none.reshape(0, 1)).argmax(axis=1), panel.outcome, _by_lag(design.lagged), design.trend,
        design.season, design.controls,
        *(_by_lag(data[name]) if data else none for name in ("lift_treated", "lift_control")),
        *(data.get(name, none) for name in ("lift_weeks", "lift_money", "lift", "lift_error")),
    ])  # fmt: skip


def _by_lag(lagged: Floats) -> Floats:
    """Lay the weeks of each lag beside one another, so that they are worked out several at a time."""
    return np.swapaxes(lagged, 1, 2)


def _lift_sizes(lifts: LiftArrays | None) -> tuple[int, int, int]:
    """Numbers of tests, of combinations of a test and a pair, and of weeks of the longest test."""
    return (0, 0, 0) if lifts is None else (len(lifts.tests), len(lifts.pair), lifts.weeks.shape[1])


@_compile
def value_and_gradient(
    parameters: Floats, integers: Integers, numbers: Floats, gradient: Floats
) -> float:  # pragma: no cover - compiled
    """Return the log-likelihood and fill the gradient."""
    facts, series, shape = integer_part(integers, 0), integer_part(integers, 2), integer_part(integers, 3)
    length = integer_part(integers, 1)
    pairs, weeks, lags, shapes, hill = facts[1], facts[2], facts[3], facts[4], facts[9]
    flat, slopes = parameters[0], gradient[0]
    slopes[:] = 0.0
    lagged = number_part(integers, numbers, 9).reshape(pairs, lags, weeks)
    weights, by_weights = flat[: shapes * lags].reshape(shapes, lags), slopes[: shapes * lags].reshape(shapes, lags)
    at = shapes * lags
    bend, by_bend = flat[at : at + 2 * shapes].reshape(2, shapes), slopes[at : at + 2 * shapes].reshape(2, shapes)
    at += 2 * shapes
    associated, by_associated = flat[at : at + pairs], slopes[at : at + pairs]
    caused, by_caused = flat[at + pairs : at + 2 * pairs], slopes[at + pairs : at + 2 * pairs]
    work, average = np.empty((pairs, 4, weeks)), np.empty(pairs)
    mean, by_mean = np.zeros((len(length), weeks)), np.zeros((len(length), weeks))
    left, by_left = np.ones(len(length)), np.zeros(len(length))
    for p in range(pairs):
        s, c = series[p], shape[p]
        _respond(lagged[p], length[s], weights[c], bend[0, c], bend[1, c], hill, work[p])
        average[p] = work[p, 0, : length[s]].mean()
        left[s] -= associated[p]
        for t in range(length[s]):
            mean[s, t] += associated[p] * work[p, 0, t] / average[p]
    at += 2 * pairs
    value = _add_series(flat[at:], integers, numbers, mean, left, slopes[at:], by_mean, by_left)
    by_average = np.zeros(pairs)
    value += _add_lifts(
        integers, numbers, weights, bend, caused, average, by_weights, by_bend, by_caused, by_average
    )  # fmt: skip
    by_response = np.empty(weeks)
    for p in range(pairs):
        s, c, n = series[p], shape[p], length[series[p]]
        total = _sum_products(by_mean[s], work[p, 0], n)
        by_associated[p] += total / average[p] - by_left[s]
        level = (by_average[p] - total * associated[p] / average[p] ** 2) / n
        for t in range(n):
            by_response[t] = by_mean[s, t] * associated[p] / average[p] + level
        _return_response(lagged[p], n, bend[:, c], hill, work[p], by_response, by_weights[c], by_bend[:, c])
    return value


@_compile
def _respond(
    lagged: Floats, weeks: int, weights: Floats, first: float, second: float, hill: int, work: Floats
) -> None:  # pragma: no cover - compiled
    """Fill the response of each week, its slope by its argument, the carried-over spend and (Hill) that argument."""
    start = log(first) if hill else 0.0
    response, slope, carried, argument = work[0], work[1], work[2], work[3]
    carried[:weeks] = 0.0
    for k in range(len(weights)):
        for t in range(weeks):
            carried[t] += lagged[k, t] * weights[k]
    for t in range(weeks):
        if hill:
            argument[t] = start - log(carried[t] + TINY)
            response[t] = 1.0 / (1.0 + exp(second * argument[t]))
            slope[t] = response[t] * (1.0 - response[t])
        else:
            response[t] = tanh(0.5 * first * carried[t])
            slope[t] = 0.5 * (1.0 - response[t] * response[t])


@_compile
def _return_response(
    lagged: Floats, weeks: int, bend: Floats, hill: int, work: Floats, by_response: Floats, by_weights: Floats,
    by_bend: Floats,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Add the gradient by weights and saturation, given that by the response of each week, which it overwrites."""
    first, second = bend[0], bend[1]
    for t in range(weeks):
        by_response[t] *= work[1, t]
    if hill:
        by_bend[0] -= _sum_products(by_response, np.ones(weeks), weeks) * second / first
        by_bend[1] -= _sum_products(by_response, work[3], weeks)
        for t in range(weeks):
            by_response[t] *= second / (work[2, t] + TINY)
    else:
        by_bend[0] += _sum_products(by_response, work[2], weeks)
        for t in range(weeks):
            by_response[t] *= first
    for k in range(len(by_weights)):
        by_weights[k] += _sum_products(by_response, lagged[k], weeks)


@numba.njit(fastmath={"reassoc"}, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _sum_products(one: Floats, other: Floats, count: int) -> float:  # pragma: no cover - compiled
    """Sum of products, in the order in which the processor is fast."""
    total = 0.0
    for t in range(count):
        total += one[t] * other[t]
    return total


@_compile
def _add_series(
    flat: Floats, integers: Integers, numbers: Floats, mean: Floats, left: Floats, slopes: Floats, by_mean: Floats,
    by_left: Floats,
) -> float:  # pragma: no cover - compiled  # fmt: skip
    """Return the log-likelihood of all series; fill its gradient by the baseline, the noise, the media and their share.

    `mean` holds what goes with media, `left` what they leave of the average outcome.
    """
    facts, length, market = integer_part(integers, 0), integer_part(integers, 1), integer_part(integers, 4)
    count, weeks, markets = facts[0], facts[2], facts[5]
    sizes = facts[6:9]
    state = integer_part(integers, 5).reshape(count, weeks)
    outcome = number_part(integers, numbers, 8).reshape(count, weeks)
    at = count
    noise = count + count * sizes[0] + markets * (sizes[1] + sizes[2])
    baseline, relative, error, by_error = np.empty(weeks), np.empty(weeks), np.empty(weeks), np.empty(weeks)
    steep, curved = np.empty(weeks), np.empty(weeks)
    value = 0.0
    for s in range(count):
        n = length[s]
        sigma, phi, compounding = flat[noise + s], flat[noise + count + s], flat[noise + 2 * count + s]
        baseline[:n] = flat[s]
        at = count
        for kind in range(3):
            columns = number_part(integers, numbers, 10 + kind).reshape(count, sizes[kind], weeks)
            row = at + (s if kind == 0 else market[s]) * sizes[kind]
            for j in range(sizes[kind]):
                baseline[:n] += flat[row + j] * columns[s, j, :n]
            at += (count if kind == 0 else markets) * sizes[kind]
        x = left[s] / BEND
        kept = BEND * (max(x, 0.0) + log1p(exp(-abs(x))))
        scale = sqrt(kept * kept + REACH * REACH)
        by_scale = by_kept = 0.0
        for t in range(n):
            relative[t] = baseline[t] / scale
            power, straight = exp(relative[t]), (1.0 + relative[t]) / ROUND
            added = ROUND * (max(straight, 0.0) + log1p(exp(-abs(straight))))
            curved[t] = kept * (power - added)
            steep[t] = kept * (compounding * power + (1.0 - compounding) / (1.0 + exp(-straight)))
            baseline[t] = kept * added + compounding * curved[t]
            error[t] = (outcome[s, t] - mean[s, t] - baseline[t]) / sigma if state[s, t] else 0.0
        value += _add_residuals(
            error[:n], state[s], sigma, phi, by_error, slopes[noise + s :], slopes[noise + count + s :]
        )
        for t in range(n):
            by_mean[s, t] = -by_error[t] / sigma
            by_kept += by_mean[s, t] * baseline[t] / kept
            slopes[noise + 2 * count + s] += by_mean[s, t] * curved[t]
            by_error[t] = by_mean[s, t] * steep[t] / scale  # by the effects on the baseline
            by_scale -= by_error[t] * relative[t]
            slopes[s] += by_error[t]
        by_left[s] = (by_kept + by_scale * kept / scale) / (1.0 + exp(-x))
        at = count
        for kind in range(3):
            columns = number_part(integers, numbers, 10 + kind).reshape(count, sizes[kind], weeks)
            row = at + (s if kind == 0 else market[s]) * sizes[kind]
            for j in range(sizes[kind]):
                slopes[row + j] += _sum_products(by_error, columns[s, j], n)
            at += (count if kind == 0 else markets) * sizes[kind]
    return value


@_compile
def _add_residuals(
    error: Floats, state: Integers, sigma: float, phi: float, by_error: Floats, by_sigma: Floats, by_phi: Floats
) -> float:  # pragma: no cover - compiled
    """Return the log-likelihood of standardised residuals, each of which depends on that of the week before (state 2).

    State 1 starts a stretch of fitted weeks, state 0 is not fitted.
    """
    value, stationary = 0.0, 1.0 - phi * phi
    by_error[: len(error)] = 0.0
    for t in range(len(error)):
        if state[t] == 2:
            fresh = error[t] - phi * error[t - 1]
            value -= 0.5 * fresh * fresh + log(sigma)
            by_error[t] -= fresh
            by_error[t - 1] += phi * fresh
            by_phi[0] += fresh * error[t - 1]
        elif state[t] == 1:
            value -= 0.5 * stationary * error[t] * error[t] + log(sigma) - 0.5 * log(stationary)
            by_error[t] -= stationary * error[t]
            by_phi[0] += phi * error[t] * error[t] - phi / stationary
    for t in range(len(error)):
        by_sigma[0] -= ((state[t] > 0) + by_error[t] * error[t]) / sigma
    return value


@_compile
def _add_lifts(
    integers: Integers, numbers: Floats, weights: Floats, bend: Floats, caused: Floats, average: Floats,
    by_weights: Floats, by_bend: Floats, by_caused: Floats, by_average: Floats,
) -> float:  # pragma: no cover - compiled  # fmt: skip
    """Return the log-likelihood of the lift tests and add its gradient."""
    facts, shape = integer_part(integers, 0), integer_part(integers, 3)
    pair, test = integer_part(integers, 6), integer_part(integers, 7)
    lags, hill, tests, count, weeks = facts[3], facts[9], facts[10], facts[11], facts[12]
    treated = number_part(integers, numbers, 13).reshape(count, lags, weeks)
    control = number_part(integers, numbers, 14).reshape(count, lags, weeks)
    inside = number_part(integers, numbers, 15).reshape(count, weeks)
    money, lift, spread = (number_part(integers, numbers, 16), number_part(integers, numbers, 17),
                           number_part(integers, numbers, 18))  # fmt: skip
    work, gained, missed = np.empty((count, 2, 4, weeks)), np.zeros(count), lift.copy()
    for e in range(count):
        c = shape[pair[e]]
        _respond(treated[e], weeks, weights[c], bend[0, c], bend[1, c], hill, work[e, 0])
        _respond(control[e], weeks, weights[c], bend[0, c], bend[1, c], hill, work[e, 1])
        gained[e] = ((work[e, 0, 0] - work[e, 1, 0]) * inside[e]).sum() * money[e]
        missed[test[e]] -= gained[e] * caused[pair[e]] / average[pair[e]]
    value = 0.0
    for n in range(tests):
        value -= 0.5 * (missed[n] / spread[n]) ** 2
    for e in range(count):
        p, c = pair[e], shape[pair[e]]
        by_lift = missed[test[e]] / spread[test[e]] ** 2
        by_caused[p] += by_lift * gained[e] / average[p]
        by_average[p] -= by_lift * gained[e] * caused[p] / average[p] ** 2
        by_response = by_lift * money[e] * caused[p] / average[p] * inside[e]
        by_control = -by_response
        _return_response(treated[e], weeks, bend[:, c], hill, work[e, 0], by_response, by_weights[c], by_bend[:, c])
        _return_response(control[e], weeks, bend[:, c], hill, work[e, 1], by_control, by_weights[c], by_bend[:, c])
    return value


_KERNEL = Kernel(value_and_gradient, (__file__, fused.__file__))
