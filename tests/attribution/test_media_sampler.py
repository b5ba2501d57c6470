"""The sampler in turned coordinates against a posterior that is known."""

import numpy as np
import pymc as pm

from cvmlib.attribution.media_sampler import MediaSampler
from cvmlib.inference import Sampling, diagnose

COVARIANCE = np.array([[1.0, 0.99], [0.99, 1.0]])


def build(centre: np.ndarray) -> pm.Model:
    precision = np.linalg.inv(COVARIANCE)
    with pm.Model() as model:
        x = pm.Flat("x", shape=2)
        away = x - pm.Data("centre", centre)
        pm.Potential("fit", -0.5 * (away * (precision @ away)).sum())
    return model


def test_draws_of_exchanged_data_have_the_known_moments():
    sampler = MediaSampler(build(np.zeros(2)))
    centre = np.array([3.0, -2.0])
    trace = sampler.sample(build(centre), Sampling(draws=1000, tune=200, chains=2, seed=1))
    assert diagnose(trace, ["x"]).passed
    points = trace["posterior"]["x"].to_numpy().reshape(-1, 2)
    np.testing.assert_allclose(points.mean(axis=0), centre, atol=5 / np.sqrt(400))
    np.testing.assert_allclose(np.cov(points.T), COVARIANCE, atol=0.35)
    again = sampler.sample(build(centre), Sampling(draws=1000, tune=200, chains=2, seed=1))
    np.testing.assert_array_equal(points, again["posterior"]["x"].to_numpy().reshape(-1, 2))
