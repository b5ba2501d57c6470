"""Traced machine code against PyTensor's own functions, model by model and operation by operation."""

import ctypes

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import stats

from cvmlib import inference
from cvmlib.compiled import density
from cvmlib.compiled.scalar_code import Code
from cvmlib.compiled.tracing import UntraceableError, trace

POINT = np.array([0.3, -1.2, 2.5, -0.4, 1.7, 0.9])


def evaluate(build, point=POINT):
    """Value of a graph of a vector by its trace, and by PyTensor in plain Python."""
    x = pt.TensorType("float64", (len(point),))("x")
    graph = pt.as_tensor(build(x))
    code = Code()
    entries = np.empty(len(point), dtype=object)
    entries[:] = [code.entry(i) for i in range(len(point))]
    (found,), checks = trace(code, [graph], {x: entries})
    result = np.empty(found.size)
    failed = code.finish(list(np.ravel(found)), checks)(len(point), found.size, point, result)
    expected = pytensor.function([x], graph, mode="FAST_COMPILE")(point)
    return failed, result.reshape(found.shape), expected


@pytest.mark.parametrize(
    "build",
    [
        lambda x: pt.exp(x) + pt.log(x**2) - pt.log1p(pt.abs(x)) * pt.expm1(x) / (2 + pt.sin(x)),
        lambda x: pt.sigmoid(x) * pt.softplus(30 * x) + pt.tanh(x) - pt.sqrt(pt.abs(x)) + pt.sign(x),
        lambda x: pt.softplus(800 * x),
        lambda x: pt.log1mexp(-pt.abs(x)) + pt.gammaln(pt.abs(x)) + pt.erf(x) + pt.erfc(x),
        lambda x: pt.switch(x > 0, x, -2 * x) + pt.maximum(x, 0.5) * pt.minimum(x, 0.1) + pt.clip(x, -1, 1) * (x > 1),
        lambda x: pt.switch((x > 0) & (x < 2) | pt.eq(x, -0.4), 1.0, 0.0) * ~(x > 2),
        lambda x: (abs(x) ** 1.5 + x**3 + 1 / x + x**0.5 * 0).sum() * 0 + pt.prod(x),
        lambda x: pt.dot(x.reshape((2, 3)).T, np.arange(4.0).reshape(2, 2)) + x.reshape((3, 2)).sum(axis=1)[:, None],
        lambda x: pt.concatenate([x[::-2], pt.cumsum(x)[1:4], x[[4, 4, 0]], pt.stack([x[0], x[-1]])]),
        lambda x: pt.set_subtensor(x[1:3], 7.0 * x[:2]) + pt.inc_subtensor(x[[0, 0, 5]], x[:3]),
        lambda x: pt.split(x, [2, 4], n_splits=2)[1] * pt.ones((3, 4)) + pt.zeros_like(x[:4]),
        lambda x: (
            x.reshape((1, 2, 3)).dimshuffle(2, "x", 1, 0).max(axis=-1).shape[0] * x.reshape((2, 3)).sum(axis=(0, 1))
        ),
        lambda x: pytensor.grad((pt.exp(x[[0, 1, 1]]) * pt.cumsum(x)[:3]).sum(), x),
    ],
)
def test_operations(build):
    failed, found, expected = evaluate(build)
    assert failed == 0
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_what_is_known_is_computed_once_and_what_is_equal_too():
    code = Code()
    x = code.entry(0)
    once = code.apply("exp", x)
    before = len(code)
    assert code.apply("exp", x) is once and code.entry(0) is x and len(code) == before
    graph = pt.dvector("x")
    entries = np.array([x], dtype=object)
    (value,), _ = trace(code, [(graph * 0.0 + 1.0 * pt.exp(np.array([2.0])))], {graph: entries})
    assert value[0] == np.exp(2.0) and len(code) == before


def hierarchy(rows=40, groups=4):
    rng = np.random.default_rng(3)
    group, y = rng.integers(0, groups, rows), rng.normal(1.0, 2.0, rows)
    with pm.Model(coords={"group": [f"g{i}" for i in range(groups)]}) as model:
        centre, spread = pm.Normal("centre", 0, 5), pm.HalfNormal("spread", 2)
        level = pm.Normal("level", centre, spread, dims="group")
        share = pm.Beta("share", 2, 3, shape=2)
        noise = pm.Gamma("noise", 2, 1)
        pm.Deterministic("twice", 2 * level, dims="group")
        pm.Normal("y", level[group] + share.sum(), noise, observed=y)
    return model


def test_a_model_has_the_density_gradient_and_variables_that_pymc_gives_it():
    model = hierarchy()
    ours = density.trace_density(model)
    theirs = density.GraphDensity(model)
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(ours.start, theirs.start)
    assert list(ours.shapes) == list(theirs.shapes) and ours.shapes == theirs.shapes
    for _ in range(5):
        point = rng.normal(0, 1.0, len(ours.start))
        (value, gradient), (expected, slope) = ours(point), theirs(point)
        assert value == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(gradient, slope, rtol=1e-11, atol=1e-12)
        expanded = theirs.expand(point)
        for name, found in ours.expand(point).items():
            np.testing.assert_allclose(found, expanded[name], rtol=1e-13)
    drawn = density.evaluate(model, ours, rng.normal(size=(2, 3, len(ours.start))))
    assert drawn["twice"].dims == ("chain", "draw", "group") and drawn["share"].shape == (2, 3, 2)
    assert list(drawn["group"].to_numpy()) == ["g0", "g1", "g2", "g3"]


def test_out_of_bounds_and_overflow_are_minus_infinity():
    with pm.Model() as model:
        x = pm.Flat("x")
        pm.Normal("y", 0.0, x, observed=1.0)
    ours = density.trace_density(model)
    assert ours(np.array([1.0]))[0] == pytest.approx(stats.norm.logpdf(1.0))
    assert ours(np.array([-1.0]))[0] == -np.inf
    with pm.Model() as model:
        pm.Potential("p", -pt.exp(pm.Flat("x")))
    assert density.trace_density(model)(np.array([800.0]))[0] == -np.inf


def test_draws_of_a_conjugate_model_are_right_and_the_same_again():
    rng = np.random.default_rng(1)
    y = rng.normal(3.0, 1.0, 25)
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 10.0)
        pm.Normal("y", mean, 1.0, observed=y)
    sampling = inference.Sampling(draws=1000, tune=300, chains=2, seed=4)
    traces = [inference.sample(model, sampling)["posterior"]["mean"].to_numpy() for _ in range(2)]
    np.testing.assert_array_equal(*traces)
    precision = 25 + 0.01
    assert traces[0].mean() == pytest.approx(y.sum() / precision, abs=5 / np.sqrt(precision * 500))
    assert traces[0].std() == pytest.approx(precision**-0.5, rel=0.15)


def test_what_cannot_be_traced_is_left_to_pymc_and_nutpie():
    y = np.random.default_rng(1).poisson(3.0, 30)
    with pm.Model() as model:
        rate = pm.Gamma("rate", 2.0, 1.0)
        nothing = pt.arctan(rate) + pt.arctan(1.0 / rate) - np.pi / 2
        pm.Potential("fit", (y * pt.log(rate) - rate).sum() + nothing)
    with pytest.raises(UntraceableError, match="ArcTan is not known"):
        density.trace_density(model)
    found = density.compile_density(model)
    assert found(np.array([1.0]))[0] == pytest.approx(stats.gamma.logpdf(np.e, 2.0) + 1.0 + (y - np.e).sum(), rel=1e-12)
    trace = inference.sample(model, inference.Sampling(draws=400, tune=300, chains=2, seed=1))
    assert trace["posterior"]["rate"].to_numpy().mean() == pytest.approx((2 + y.sum()) / 31, abs=0.06)
    with pm.Model() as long:
        pm.Potential("fit", pm.Normal("x", shape=20_000).sum())
    with pytest.raises(UntraceableError, match="too many numbers"):
        density.trace_density(long)


def test_a_function_of_c_is_called_with_its_data():
    kind = ctypes.CFUNCTYPE(
        ctypes.c_double, ctypes.POINTER(ctypes.c_double), ctypes.c_int64, ctypes.POINTER(ctypes.c_double)
    )

    @kind
    def squares(numbers, count, slopes):
        for i in range(count):
            slopes[i] = 2 * numbers[i]
        return sum(numbers[i] ** 2 for i in range(count))

    code = Code()
    numbers = [code.apply("exp", code.entry(0)), 3.0]
    found = code.call(ctypes.cast(squares, ctypes.c_void_p).value, numbers, [2], squares)
    result = np.empty(3)
    assert code.finish(found)(1, 3, np.array([0.5]), result) == 0
    np.testing.assert_allclose(result, [np.e + 9, 2 * np.exp(0.5), 6.0])
