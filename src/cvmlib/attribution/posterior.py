"""Posterior shares: what the same customers could as well have done.

Two posteriors, for two readings of the data. `dirichlet`: each state of the chain has its own Dirichlet row over where
it leads, as if the chain were true (Dirichlet of the counts, without a prior of its own, so that a transition never
seen stays so). `bootstrap`: each journey has an exponential weight of mean 1 (the Bayesian bootstrap of Rubin 1981),
whatever made the journeys; journeys of one path are drawn together, their weights being gamma with the number of
journeys as shape. The value of the conversions of one path or state is drawn with its mean and its variance. Intervals
hold what chance did to the journeys, not whether shares are causes.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from cvmlib.attribution.absorption import DENSE, solve_dense, visits
from cvmlib.attribution.chain import Chain, Walk, reweight
from cvmlib.attribution.markov import removal_weights, share_out, solved_effects
from cvmlib.attribution.paths import Paths

POSTERIORS = ("dirichlet", "bootstrap")
INTERVAL = 0.9
_BLOCK = 3_000_000  # numbers held at a time
_ROUGH = 1e-8  # error of a drawn share


def draw_markov(
    paths: Paths,
    chain: Chain,
    walk: Walk,
    draws: int = 1000,
    rule: str = "to_null",
    posterior: str = "dirichlet",
    seed: int = 1,
) -> np.ndarray:
    """Draw conversions and value per channel by removal effects.

    Parameters
    ----------
    paths : Paths
        The journeys.
    chain, walk : Chain, Walk
        From `cvmlib.attribution.chain.build_chain`.
    draws : int
        Draws.
    rule : {"to_null", "reconnect"}
        Removal rule.
    posterior : {"dirichlet", "bootstrap"}
        See the module's text.
    seed : int
        Seed.

    Returns
    -------
    array, shape (draws, 2, channels)
        Shares of conversions and of value, each summing to 1 over the channels.
    """
    if posterior not in POSTERIORS:
        raise ValueError(f"The posterior {posterior!r} is not one of {', '.join(POSTERIORS)}.")
    rng = np.random.default_rng(seed)
    if posterior == "dirichlet":
        drawn = (_draw_rows(chain, rng) for _ in range(draws))
    else:
        drawn = (reweight(chain, walk, drawn) for drawn in draw_paths(paths, draws, rng))
    batch = max(1, _BLOCK // (chain.states**2 * len(chain.channels)))
    effects = []
    if chain.states > DENSE:
        effects = [solved_effects(each, rule, _ROUGH) for each in drawn]
    else:
        while chains := [each for _, each in zip(range(batch), drawn, strict=False)]:
            effects.extend(_solve_batch(chains, rule))
    return np.stack([np.stack([share_out(part, 1.0)[0] for part in effect]) for effect in effects])


def _solve_batch(chains: list[Chain], rule: str) -> np.ndarray:
    """Removal effects of several chains over the same states at once: shape (chains, 2, channels)."""
    states = chains[0].states
    q = np.zeros((len(chains), states, states))
    rewards, weights = [], []
    for i, chain in enumerate(chains):
        through = visits(chain)
        q[i, chain.source, chain.target] = chain.flow / through[chain.source]
        rewards.append(np.stack([chain.converting, chain.value]) / through)
        weights.append(np.concatenate([removal_weights(chain, rule), np.ones((states, 1))], axis=1))
    found = solve_dense(q, np.stack(rewards), np.stack(weights))
    return 1 - found[..., :-1] / np.where(found[..., -1:] > 0, found[..., -1:], 1.0)


def _draw_rows(chain: Chain, rng: np.random.Generator) -> Chain:
    """Draw the Dirichlet rows of a chain, as gamma flows."""
    converting = rng.standard_gamma(chain.converting)
    return replace(
        chain,
        flow=rng.standard_gamma(chain.flow),
        converting=converting,
        failing=rng.standard_gamma(chain.failing),
        value=_draw_values(chain.converting, converting, chain.value, chain.value_sq, rng),
    )


def draw_paths(paths: Paths, draws: int, rng: np.random.Generator) -> Iterator[Paths]:
    """Draw the Bayesian bootstrap: the same paths, with their journeys weighted anew."""
    for _ in range(draws):
        conversions = rng.standard_gamma(paths.conversions)
        nulls = rng.standard_gamma(paths.nulls)
        value = _draw_values(paths.conversions, conversions, paths.value, paths.value_sq, rng)
        yield replace(paths, conversions=conversions, nulls=nulls, value=value)


def _draw_values(
    counted: np.ndarray, weight: np.ndarray, value: np.ndarray, value_sq: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw sums of weighted values, given the sum of the weights: exact mean and variance, never negative."""
    n = np.maximum(counted, 1e-300)
    spread = np.sqrt(np.maximum(value_sq - value**2 / n, 0.0))
    return np.maximum(weight * (value / n) + spread * rng.standard_normal(len(n)), 0.0)


def summarise_shares(
    channels: tuple[str, ...], point: np.ndarray, draws: np.ndarray, interval: float = INTERVAL
) -> pd.DataFrame:
    """Shares with their intervals and how sure their ranks are.

    Parameters
    ----------
    channels : tuple of str
        Names.
    point : array, shape (channels,)
        Shares as counted.
    draws : array, shape (draws, channels)
        Their posterior.
    interval : float
        Probability of the intervals, equal tails.

    Returns
    -------
    pandas.DataFrame
        channel, share, low, high, rank (1 is the largest share), rank_low, rank_high, same_rank (probability of exactly
        this rank), leads (probability that the share is the largest).
    """
    tails = [(1 - interval) / 2, (1 + interval) / 2]
    low, high = np.quantile(draws, tails, axis=0)
    rank, ranks = _ranks(point[None])[0], _ranks(draws)
    rank_low, rank_high = np.quantile(ranks, tails, axis=0, method="nearest")
    columns = {
        "channel": channels,
        "share": point,
        "low": low,
        "high": high,
        "rank": rank,
        "rank_low": rank_low.astype(int),
        "rank_high": rank_high.astype(int),
        "same_rank": (ranks == rank).mean(axis=0),
        "leads": (ranks == 1).mean(axis=0),
    }
    return pd.DataFrame(columns)


def _ranks(shares: np.ndarray) -> np.ndarray:
    """Rank along the last axis, 1 for the largest."""
    return np.argsort(np.argsort(-shares, axis=-1, kind="stable"), axis=-1) + 1
