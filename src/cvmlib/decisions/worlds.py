"""Simulated worlds whose effects are known: monthly rounds of contacts by rival policies under one budget.

A policy that learns knows what earlier programs measured; every round it holds customers out, tries what may be best,
measures the treated against the held out, and sharpens its beliefs. Its rivals contact those of the highest risk, or of
the highest value, first with the action that programs found best. An oracle knows the effects.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvmlib.decisions.assignment import Limits, assign
from cvmlib.decisions.learning import Beliefs, believe, update

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

ROUNDS = 12
BETWEEN, WITHIN = 0.08, 0.04
IDLE = 0.25
"""Share of the actions of a world that do nothing."""
HOLDOUT, EXPLORE, GROUPS = 0.03, 0.2, 8
DRAWS = 400


@dataclass(frozen=True)
class World:
    """A company whose effects are known.

    Parameters
    ----------
    customers, stage : int array, shape (rows,)
        Customers of each row of alike ones, and the stage they are in.
    margin, risk, value : array, shape (rows,)
        Margin of a customer in a round without contact, risk to leave, and value over the horizon (money).
    effect : array, shape (actions, stages)
        True effects, as shares of the margin.
    limits : Limits
        Budget and capacities of a round; the first is the budget.
    noise : float
        Standard deviation of a customer's margin in a round, as a multiple of its mean.
    beliefs : Beliefs
        After the earlier programs.
    """

    customers: Whole
    stage: Whole
    margin: Array
    risk: Array
    value: Array
    effect: Array
    limits: Limits
    noise: float
    beliefs: Beliefs

    @property
    def cost(self) -> Array:
        """Money per contact, shape (actions,)."""
        return self.limits.use[0]

    def worth(self, effect: Array) -> Array:
        """Value of a contact less its cost under some effects, shape (rows, actions)."""
        return self.margin[:, None] * effect[:, self.stage].T - self.cost


@dataclass(frozen=True)
class Round:
    """One round of a policy: what was true of it, and the interval it promised."""

    true: float
    low: float
    high: float


def draw_world(seed: int, rows: int = 300, actions: int = 8, stages: int = 4) -> World:
    """Draw a world.

    Parameters
    ----------
    seed : int
        Seed.
    rows, actions, stages : int
        Size.
    """
    rng = np.random.default_rng(seed)
    customers = rng.integers(100, 600, rows)
    stage = rng.integers(0, stages, rows)
    margin = rng.lognormal(2.5, 0.8, rows)
    risk = np.clip(rng.beta(1.5, 6, rows), 0.01, 0.95)
    value = margin * 12 * (1 - risk) * rng.lognormal(0, 0.2, rows)
    idle = rng.random(actions) < IDLE
    effect = rng.normal(0, BETWEEN, (actions, 1)) + rng.normal(0, WITHIN, (actions, stages))
    effect = np.where(idle[:, None], 0.0, effect)
    cost = rng.uniform(0.1, 1.0, actions)
    channel, total = rng.integers(0, 3, actions), int(customers.sum())
    use = np.vstack([cost, *[(channel == one).astype(float) for one in range(3)]])
    most = np.r_[0.25 * total * cost.mean(), np.full(3, np.floor(0.2 * total))]
    limits = Limits(("budget", "channel 0", "channel 1", "channel 2"), use, most)
    share = np.sqrt(1 - IDLE)
    beliefs = believe(actions, stages, 0.0, BETWEEN * share, WITHIN * share)
    noise = 1.5
    error = noise * np.sqrt(2 / rng.integers(3_000, 15_000, (actions, stages)))
    return World(
        customers, stage, margin, risk, value, effect, limits, noise,
        update(beliefs, rng.normal(effect, error), np.diag(error.ravel() ** 2)),
    )  # fmt: skip


def play(world: World, policy: str, seed: int, rounds: int = ROUNDS) -> list[Round]:
    """Play the rounds of a policy.

    Parameters
    ----------
    world : World
        The world.
    policy : {"learning", "oracle", "risk", "value"}
        Who decides.
    seed : int
        Seed of held-out customers and outcomes.
    rounds : int
        How many.
    """
    rng, beliefs = np.random.default_rng([seed, 1]), world.beliefs
    if policy == "oracle":
        contacts = assign(world.worth(world.effect), world.customers, world.limits).contacts
        worth = float((contacts * world.worth(world.effect)).sum())
        return [Round(worth, worth, worth)] * rounds
    if policy in ("risk", "value"):
        contacts = _first(world, world.risk if policy == "risk" else world.value)
        worth = float((contacts * world.worth(world.effect)).sum())
        return [Round(worth, np.nan, np.nan)] * rounds
    played = []
    for _ in range(rounds):
        held = rng.binomial(world.customers, HOLDOUT)
        contacts = _learn(world, beliefs, world.customers - held, rng)
        totals = _promise(world, beliefs, contacts, rng)
        low, high = np.quantile(totals, [0.05, 0.95])
        played.append(Round(float((contacts * world.worth(world.effect)).sum()), float(low), float(high)))
        beliefs = update(beliefs, *_measure(world, contacts, held, rng))
    return played


def _first(world: World, order: Array) -> Whole:
    """Contact those who come first, with the action that programs found best, or the next best once it is used up."""
    contacts, left = np.zeros((len(order), len(world.effect)), dtype=np.int64), world.limits.most.copy()
    ranked = [a for a in np.argsort(-world.beliefs.mean.mean(axis=1)) if world.beliefs.mean[a].mean() > 0]
    free = world.customers.copy()
    for i in np.argsort(-order, kind="stable"):
        for a in ranked:
            use = world.limits.use[:, a]
            room = np.min(np.where(use > 0, left / np.maximum(use, 1e-12), np.inf))
            contacts[i, a] = int(min(free[i], np.floor(room)))
            free[i] -= contacts[i, a]
            left -= contacts[i, a] * use
    return contacts


def _learn(world: World, beliefs: Beliefs, free: Whole, rng: np.random.Generator) -> Whole:
    """Contacts of the learning policy: most by mean effects, some by a draw of them for each group of explorers."""
    shares = np.r_[1 - EXPLORE, np.full(GROUPS, EXPLORE / GROUPS)]
    groups = np.array([rng.multinomial(number, shares) for number in free])
    effects = [beliefs.mean, *beliefs.draw(GROUPS, rng)]
    values = np.concatenate([world.worth(effect) for effect in effects])
    found = assign(values, groups.T.ravel(), world.limits)
    return found.contacts.reshape(len(effects), len(free), -1).sum(axis=0)


def _promise(world: World, beliefs: Beliefs, contacts: Whole, rng: np.random.Generator) -> Array:
    """Draws of the value of contacts less their cost."""
    weight = np.zeros(world.effect.shape)
    np.add.at(weight.T, world.stage, contacts * world.margin[:, None])
    return np.tensordot(beliefs.draw(DRAWS, rng), weight, 2) - float(contacts.sum(axis=0) @ world.cost)


def _measure(world: World, contacts: Whole, held: Whole, rng: np.random.Generator) -> tuple[Array, Array]:
    """Measure every action and stage: treated less held out over what the held out bring, and the errors' covariance.

    The held-out customers of a stage, weighted to the mix of the treated, are the same for all its actions.
    """
    actions, stages = world.effect.shape
    of_stage = np.eye(stages)[world.stage]
    base, brought = held * world.margin @ of_stage, (contacts * world.margin[:, None]).T @ of_stage
    spread, variance = held * world.margin**2 @ of_stage, (contacts * world.margin[:, None] ** 2).T @ of_stage
    known = (brought > 0) & (base > 0)
    own = world.noise**2 * np.where(known, variance / np.where(known, brought, 1.0) ** 2, 0.0)
    shared = world.noise**2 * spread / np.maximum(base, 1e-12) ** 2
    error = np.sqrt(own) * rng.standard_normal(own.shape) - np.sqrt(shared) * rng.standard_normal(stages)
    covariance = np.diag(own.ravel()) + np.kron(np.ones((actions, actions)), np.diag(shared))
    return np.where(known, world.effect + error, np.nan), covariance


def compare_policies(seed: int, rounds: int = ROUNDS, draw: Callable[[int], World] = draw_world) -> dict[str, float]:
    """Play one world by every policy.

    Returns
    -------
    dict of str to float
        Total true value over the rounds of learning, oracle, risk and value (money), and covered: the share of rounds
        in which the promised interval of the learning policy holds what was true.
    """
    world = draw(seed)
    played = {policy: play(world, policy, seed, rounds) for policy in ("learning", "oracle", "risk", "value")}
    found = {policy: sum(one.true for one in rows) for policy, rows in played.items()}
    learning = played["learning"]
    return found | {"covered": float(np.mean([one.low <= one.true <= one.high for one in learning]))}
