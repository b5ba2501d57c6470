"""The compiled likelihood: its gradient by differences, for both forms, with weeks that were not fitted."""

from dataclasses import replace

import numpy as np
import pytest

from cvmlib.attribution import media_kernel
from cvmlib.attribution.media_design import build_design
from cvmlib.attribution.media_lift import arrange_tests, read_tests
from cvmlib.attribution.media_panel import build_panel
from tests.attribution.media_worlds import company


@pytest.fixture(scope="module")
def world():
    """Two units of unequal length; one has weeks without an outcome, and the last ones are held out."""
    units = company()
    shop, store = units["shop"], units["store"]
    weeks = np.sort(shop.outcomes["week"].unique())
    gaps = shop.outcomes["week"].isin(weeks[[20, 21, 50]])
    units["shop"] = replace(shop, outcomes=shop.outcomes[~gaps])
    units["store"] = replace(store, outcomes=store.outcomes[store.outcomes["week"] > weeks[5]])
    panel = build_panel(units)
    tests = [test for name, data in units.items() for test in read_tests(panel, name, data.tests)]
    design = build_design(panel, holdout=4)
    return design, arrange_tests(design, tests)


def point(design) -> np.ndarray:
    """Parameters in the order of `media_kernel.PARTS`."""
    rng = np.random.default_rng(3)
    series, shapes, pairs, lags = len(design.panel.series), len(design.shapes), len(design.reference), 9
    weights = rng.dirichlet(np.arange(lags, 0, -1.0), shapes)
    sizes = series * (1 + design.trend.shape[1]) + len(design.markets) * (
        design.season.shape[1] + design.controls.shape[1]
    )
    return np.concatenate([
        weights.ravel(), rng.uniform(0.5, 3.0, shapes), rng.uniform(0.7, 1.6, shapes), rng.uniform(0.0, 0.15, pairs),
        rng.uniform(-0.1, 0.1, pairs), 0.05 * rng.standard_normal(sizes), rng.uniform(0.03, 0.08, series),
        rng.uniform(0.1, 0.6, series), rng.uniform(0.1, 0.9, series),
    ])  # fmt: skip


@pytest.mark.parametrize("saturation", ["hill", "logistic"])
@pytest.mark.parametrize("tested", [True, False])
def test_gradient_agrees_with_differences_in_every_direction(world, saturation, tested):
    design, lifts = world
    data = media_kernel._pack(design, lifts if tested else None, saturation)
    x = point(design)

    def value(at: np.ndarray) -> float:
        return media_kernel._KERNEL.evaluate(at[None], *data)[0]

    gradient = media_kernel._KERNEL.evaluate(x[None], *data)[1][0]
    steps = 1e-6 * np.eye(len(x))
    differences = np.array([(value(x + step) - value(x - step)) / 2e-6 for step in steps])
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-5 * np.abs(gradient).max())


def test_weeks_without_an_outcome_do_not_count(world):
    design, lifts = world
    panel = replace(design.panel, outcome=np.where(design.fitted, design.panel.outcome, 99.0))
    other = replace(design, panel=panel)
    values = [media_kernel._KERNEL.evaluate(point(d)[None], *media_kernel._pack(d, lifts, "hill"))[0]
              for d in (design, other)]  # fmt: skip
    assert not design.fitted.all()
    assert values[0] == values[1]
