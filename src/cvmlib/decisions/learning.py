r"""What rounds of contacts teach about the effects of actions: beliefs that every measured round sharpens.

The effect of action *a* in stage *s* is :math:`\theta_{as} = m_a + d_{as}`: what the action does anywhere, and what
stages differ by. Both are normal before anything is measured, so beliefs stay jointly normal, and a stage learns from
the others as far as actions are alike in all stages:

.. math:: \theta \mid y \sim N(\mu, \Sigma), \qquad
          \Sigma = (\Sigma_0^{-1} + V^{-1})^{-1}, \quad \mu = \Sigma (\Sigma_0^{-1} \mu_0 + V^{-1} y).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Beliefs:
    """Jointly normal beliefs about effects.

    Parameters
    ----------
    mean : array, shape (actions, stages)
        Expected effects, as shares.
    covariance : array, shape (actions * stages, actions * stages)
        Their covariance; stages of one action lie together.
    """

    mean: Array
    covariance: Array

    def draw(self, draws: int, rng: np.random.Generator) -> Array:
        """Draw effects: shape (draws, actions, stages)."""
        factor = np.linalg.cholesky(self.covariance + 1e-14 * np.eye(len(self.covariance)))
        noise = rng.standard_normal((draws, self.mean.size)) @ factor.T
        return self.mean + noise.reshape(draws, *self.mean.shape)


def believe(actions: int, stages: int, mean: float, between: float, within: float) -> Beliefs:
    """Beliefs before anything is measured.

    Parameters
    ----------
    actions, stages : int
        How many there are.
    mean : float
        Expected effect of an action.
    between, within : float
        Standard deviations between actions, and between the stages of one.
    """
    of_action = between**2 * np.ones((stages, stages)) + within**2 * np.eye(stages)
    return Beliefs(np.full((actions, stages), float(mean)), np.kron(np.eye(actions), of_action))


def update(beliefs: Beliefs, measured: Array, covariance: Array) -> Beliefs:
    """Learn from measured effects.

    Parameters
    ----------
    beliefs : Beliefs
        Before.
    measured : array, shape (actions, stages)
        Treated less held out, as a share of what the held out bring; NaN where nobody was contacted.
    covariance : array, shape (actions * stages, actions * stages)
        Covariance of their errors: those of actions that are compared with the same held-out customers go together, so
        that which of two actions is the better one is known before either is known well.
    """
    known = np.isfinite(measured.ravel())
    if not known.any():
        return beliefs
    gain = beliefs.covariance[:, known]
    inner = gain[known] + covariance[np.ix_(known, known)]
    step = np.linalg.solve(inner, gain.T)
    mean = beliefs.mean.ravel() + step.T @ (measured.ravel()[known] - beliefs.mean.ravel()[known])
    rest = beliefs.covariance - gain @ step
    return Beliefs(mean.reshape(beliefs.mean.shape), 0.5 * (rest + rest.T))
