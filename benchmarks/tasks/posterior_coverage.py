"""How often 90% intervals of Markov shares hold the true ones; prints one line of JSON.

``python -m benchmarks.tasks.posterior_coverage SIMULATIONS``
"""

import json
import sys

import numpy as np

from cvmlib.attribution.chain import build_chain
from cvmlib.attribution.markov import share_out, solved_effects
from cvmlib.attribution.posterior import POSTERIORS, draw_markov
from cvmlib.attribution.simulate import channel_names, count_journeys, draw_transitions, simulate_journeys, true_chain

CHANNELS, JOURNEYS, DRAWS = 6, 20_000, 400
ORDERS = (1, 2)


def run(simulations: int) -> dict[str, float]:
    """Share of channels and simulations whose true share lies inside, by order and posterior."""
    inside: dict[str, list[float]] = {f"order {order}, {kind}": [] for order in ORDERS for kind in POSTERIORS}
    for seed in range(1, simulations + 1):
        rng = np.random.default_rng(seed)
        for order in ORDERS:
            transitions = draw_transitions(CHANNELS, rng, convert=0.2)
            if order == 1:
                transitions = np.broadcast_to(transitions[-1], transitions.shape)
            truth = share_out(solved_effects(true_chain(transitions), "to_null")[0], 1.0)[0]
            paths = count_journeys(*simulate_journeys(JOURNEYS, transitions, rng), channel_names(CHANNELS))
            chain, walk = build_chain(paths, order)
            for kind in POSTERIORS:
                drawn = draw_markov(paths, chain, walk, DRAWS, posterior=kind, seed=seed)[:, 0]
                low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
                place = [int(name[2:]) for name in paths.channels]
                inside[f"order {order}, {kind}"].extend(((low <= truth[place]) & (truth[place] <= high)).tolist())
    return {name: float(np.mean(found)) for name, found in inside.items()}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))
