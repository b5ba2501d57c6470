"""One compilation serves other data: values and gradients are those of a model compiled on them."""

import numpy as np
import pymc as pm
import pytensor
import pytest
from pymc.blocking import DictToArrayBijection, RaveledVars

from cvmlib.swapping import SwappedDensity, match_leaves


def regression(
    rows: int, seed: int, groups: int = 1, *, shared: bool = False, robust: bool = False, prior_sd: float = 2
) -> pm.Model:
    """Normal likelihood, as a potential, of values in groups; the data are constants or shared variables."""
    rng = np.random.default_rng(seed)
    group = np.arange(rows) % groups
    x, y = rng.normal(size=(2, rows))
    if shared:
        x, y, group = (pytensor.shared(v) for v in (x, y, group))
    with pm.Model() as model:
        level = pm.Normal("level", 0, prior_sd, shape=groups)
        width = pm.Gamma("width", 2, 1)
        residual = (y - level[group] - 0.5 * x) / width
        pm.Potential("fit", -abs(residual) if robust else -0.5 * residual**2 - pm.math.log(width))
        pm.Potential("rest", -width * float(rows))
    return model


def expected(model: pm.Model, point: np.ndarray, layout: tuple) -> tuple[float, np.ndarray, float]:
    values = DictToArrayBijection.rmap(RaveledVars(point, layout))
    likelihood = sum(potential.sum() for potential in model.replace_rvs_by_values(model.potentials))
    fit = model.compile_fn(likelihood, inputs=model.value_vars, mode="FAST_COMPILE")(values)
    return (
        float(model.compile_logp(mode="FAST_COMPILE")(values)),
        model.compile_dlogp(mode="FAST_COMPILE")(values),
        float(fit),
    )


@pytest.mark.parametrize(
    ("groups", "shared", "mode"), [(1, False, "FAST_COMPILE"), (3, False, "NUMBA"), (2, True, "FAST_COMPILE")]
)
def test_other_data_need_no_compilation(groups, shared, mode):
    """Once compiled as in use, and twice in plain Python, which takes less time: the graphs are made alike."""
    density = SwappedDensity(regression(20, 1, groups, shared=shared))
    rng = np.random.default_rng(1)
    for seed, rows in ((2, 31), (3, 7), (4, 60)):
        model = regression(rows, seed, groups, shared=shared)
        with pytensor.config.change_flags(mode=mode):
            density.load(model)
        point = rng.normal(0, 0.3, groups + 1)
        value, gradient = density(point)
        right = expected(model, point, density.start.point_map_info)
        assert value == pytest.approx(right[0], rel=1e-12)
        assert gradient == pytest.approx(right[1], rel=1e-10)
        assert density.log_likelihood(point) == pytest.approx(right[2], rel=1e-12)
    assert density.compilations == 1


def test_what_differs_later_is_taken_in_too():
    density = SwappedDensity(regression(20, 1))
    density.load(regression(20, 2))  # as many rows: their number is a constant so far
    model = regression(25, 3)
    density.load(model)
    point = np.array([0.2, 0.1])
    assert density.compilations == 2
    assert density(point)[0] == pytest.approx(expected(model, point, density.start.point_map_info)[0], rel=1e-12)


def test_one_row_is_no_trap():
    """A length of one may broadcast; when other lengths come, they are computed rightly all the same."""
    density = SwappedDensity(regression(1, 1))
    for seed, rows in ((2, 1), (3, 5), (4, 1)):
        model = regression(rows, seed)
        density.load(model)
        point = np.array([0.2, 0.1])
        assert density(point)[0] == pytest.approx(expected(model, point, density.start.point_map_info)[0], rel=1e-12)


@pytest.mark.parametrize("change", [{"robust": True}, {"groups": 2}, {"shared": True}, {"prior_sd": 3}])
def test_another_model_is_an_error(change):
    density = SwappedDensity(regression(20, 1))
    with pytest.raises(ValueError, match="differ in more than their data"):
        density.load(regression(20, 2, **change))


def test_the_likelihood_must_be_a_potential():
    with pm.Model() as model:
        pm.Normal("seen", pm.Flat("mean"), 1.0, observed=[1.0, 2.0])
    with pytest.raises(ValueError, match="observed variables"):
        SwappedDensity(model)


def test_a_constant_cannot_stand_for_two():
    one, two = (pytensor.tensor.constant(np.full(3, v)) for v in (1.0, 2.0))
    first = [(one * 2.0).sum(), (one + 3.0).sum()]
    with pytest.raises(ValueError, match="stands for two"):
        match_leaves(first, [(one * 2.0).sum(), (two + 3.0).sum()])
    pairs = match_leaves(first, [(two * 2.0).sum(), (two + 3.0).sum()])
    assert pairs[one] is two
