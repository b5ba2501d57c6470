"""The sampler in turned coordinates against a posterior that is known."""

import numpy as np
import pymc as pm

from cvmlib.attribution.media_sampler import MediaSampler, find_scales
from cvmlib.inference import Sampling, diagnose

COVARIANCE = np.array([[1.0, 0.99], [0.99, 1.0]])


def build(centre: np.ndarray) -> pm.Model:
    precision = np.linalg.inv(COVARIANCE)
    with pm.Model() as model:
        x = pm.Flat("x", shape=2)
        away = x - pm.Data("centre", centre)
        pm.Potential("fit", -0.5 * (away * (precision @ away)).sum())
    return model


def test_draws_have_the_known_moments():
    centre = np.array([3.0, -2.0])
    trace = MediaSampler().sample(build(centre), Sampling(draws=1000, tune=200, chains=2, seed=1))
    assert diagnose(trace, ["x"]).passed
    points = trace["posterior"]["x"].to_numpy().reshape(-1, 2)
    np.testing.assert_allclose(points.mean(axis=0), centre, atol=5 / np.sqrt(400))
    np.testing.assert_allclose(np.cov(points.T), COVARIANCE, atol=0.35)
    again = MediaSampler().sample(build(centre), Sampling(draws=1000, tune=200, chains=2, seed=1))
    np.testing.assert_array_equal(points, again["posterior"]["x"].to_numpy().reshape(-1, 2))


def test_coordinates_of_a_normal_density_are_exact_from_few_draws():
    """The covariance of as few draws is far from round; together with the gradients it is not."""
    rng = np.random.default_rng(1)
    size = 60
    root = np.linalg.qr(rng.standard_normal((size, size)))[0] * np.geomspace(0.5, 2.0, size)
    covariance = root @ root.T
    points = rng.standard_normal((150, size)) @ root.T
    scales = find_scales(points, -points @ np.linalg.inv(covariance))
    left = np.linalg.eigvalsh(np.linalg.inv(scales) @ covariance @ np.linalg.inv(scales).T)
    alone = np.linalg.cholesky(np.cov(points.T))
    apart = np.linalg.eigvalsh(np.linalg.inv(alone) @ covariance @ np.linalg.inv(alone).T)
    assert left.max() / left.min() < 1.2
    assert apart.max() / apart.min() > 5.0
