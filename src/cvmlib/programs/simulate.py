"""The model's own simulator: counts of randomised programs whose true lifts are known.

Customers buy in the window with some probability and then spend a lognormal amount; what they had spent before is
like it, and correlated with it. Treatment multiplies the mean by one plus the lift, half through more buyers and half
through larger amounts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.programs.counts import MOMENTS

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """How customers behave without any program.

    Parameters
    ----------
    buying : float
        Share of customers who buy in a window.
    amount : float
        Mean amount of a buyer, money.
    spread : float
        Standard deviation of the log amount.
    memory : float
        Share of buyers who bought before too, and then an amount close to their present one.
    """

    buying: float = 0.2
    amount: float = 60.0
    spread: float = 1.0
    memory: float = 0.5


def simulate_counts(
    lifts: Sequence[float],
    customers: Sequence[int],
    rng: np.random.Generator,
    *,
    share: float = 0.5,
    world: World | None = None,
    levels: int = 0,
) -> pd.DataFrame:
    """Draw the counts of programs.

    Parameters
    ----------
    lifts : sequence of float
        True lift of each program, as a share of what customers spend untreated.
    customers : sequence of int
        Customers of each program.
    rng : numpy Generator
        Source of randomness.
    share : float
        Share treated.
    world : World, optional
        How customers behave.
    levels : int
        Levels of a segment that has no bearing on anything; 0 for none.

    Returns
    -------
    DataFrame
        As `cvmlib.programs.counts.count_arms` returns; programs are named ``p0000``, ``p0001``, …
    """
    world = world or World()
    frames = []
    for i, (lift, size) in enumerate(zip(lifts, customers, strict=True)):
        treated = rng.random(size) < share
        y, x = draw_spending(np.where(treated, lift, 0.0), world, rng)
        segment = rng.integers(max(levels, 1), size=size)
        for dimension, groups in (("", np.zeros(size, int)), *([("segment", segment)] if levels else [])):
            moments = _sum_moments(2 * groups + treated, y, x)
            code = moments.index.to_numpy()
            level = [str(number) if dimension else "" for number in code // 2]
            arm = np.where(code % 2 == 1, "treated", "control")
            frames.append(moments.assign(program_id=f"p{i:04d}", dimension=dimension, level=level, arm=arm))
    return pd.concat(frames, ignore_index=True)


def draw_spending(lift: Array, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw what customers spend in the window (y) and before it (x), given the lift of each."""
    size = len(lift)
    taste = rng.standard_normal(size)
    step = np.sqrt(1.0 + lift)
    before = rng.random(size) < world.buying
    chance = np.where(before, world.memory, (1 - world.memory) * world.buying / (1 - world.buying)) * step
    bought = rng.random(size) < chance
    level = np.log(world.amount) - world.spread**2 / 2
    y = np.where(bought, np.exp(level + world.spread * taste) * step, 0.0)
    own = 0.8 * taste + 0.6 * rng.standard_normal(size)
    return y, np.where(before, np.exp(level + world.spread * own), 0.0)


def _sum_moments(code: npt.NDArray[np.int64], y: Array, x: Array) -> pd.DataFrame:
    zero, bought = np.zeros_like(y), (y > 0).astype(float)
    columns = {
        "customers": zero + 1, "buyers": bought, "y1": y, "y2": y**2, "y3": y**3, "y4": y**4, "x1": x,
        "x2": x**2, "xy": x * y, "v1": zero, "v2": zero, "vy": zero, "vx": zero,
        "by": bought * y, "bx": bought * x,
    }  # fmt: skip
    return pd.DataFrame(columns)[list(MOMENTS)].groupby(code).sum()
