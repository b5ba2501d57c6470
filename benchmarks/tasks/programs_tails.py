"""Cover the lift in money of programs of which hardly anyone buys, and few of those a lot; prints one line of JSON.

``python -m benchmarks.tasks.programs_tails PROGRAMS``
"""

import json
import sys

import numpy as np
from scipy import stats

from cvmlib.programs.lift import measure_lift
from cvmlib.programs.sharpening import sharpen_lifts, widen_error
from cvmlib.programs.simulate import World, simulate_counts

CUSTOMERS = 4_000  # of a program, half of them treated
BUYING = (0.10, 0.05, 0.01)
SPREADS = (1.0, 1.5, 2.0)  # standard deviation of the log amount
LIFTS = (0.0, 0.3)
TOGETHER = 20  # programs of a portfolio, whose conversions are read together


def cover(world: World, programs: int, rng: np.random.Generator) -> dict[str, float]:
    """Share of the 90% intervals of the log ratio of means that hold the truth, and the error with conversions.

    found: of money alone; normal: the same, taken as normal; sharp: with what conversions say; error: root mean square
    error of sharp, as a share of that of found.
    """
    inside: dict[str, list[np.ndarray]] = {"found": [], "normal": [], "sharp": []}
    squares = np.zeros(2)
    for lift in LIFTS:
        found = measure_lift(simulate_counts([lift] * programs, [CUSTOMERS] * programs, rng, world=world))
        off = (found["log_ratio"] - np.log1p(lift)).abs()
        half = stats.norm.ppf(0.95)
        inside["found"].append(off <= half * widen_error(found))
        inside["normal"].append(off <= half * found["log_ratio_se"])
        for first in range(0, programs, TOGETHER):
            lifts, se = sharpen_lifts(found.iloc[first : first + TOGETHER])
            sharp = np.abs(lifts - np.log1p(lift))
            inside["sharp"].append(sharp <= half * se)
            squares += (sharp**2).sum(), (off.iloc[first : first + TOGETHER] ** 2).sum()
    shares = {name: float(np.concatenate(parts).mean()) for name, parts in inside.items()}
    return shares | {"error": float(np.sqrt(squares[0] / squares[1]))}


def main(programs: int) -> list[dict[str, float]]:
    """Cover every share of buyers with every spread of amounts."""
    rng, rows = np.random.default_rng(5), []
    for buying in BUYING:
        for spread in SPREADS:
            world = World(buying=buying, memory=buying, spread=spread)
            rows.append({"buying": buying, "spread": spread} | cover(world, programs, rng))
    return rows


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
