"""Assign 12 actions to a million customers under a budget and capacities; prints one line of JSON.

``python -m benchmarks.tasks.actions_million CUSTOMERS``
"""

import json
import sys
import time

import numpy as np

from cvmlib.decisions.assignment import Limits, assign

ACTIONS, CHANNELS = 12, 4


def draw(customers: int, seed: int = 1) -> tuple[np.ndarray, Limits]:
    """Values of every contact, all customers different, and limits of which several bind."""
    rng = np.random.default_rng(seed)
    margin = rng.lognormal(3, 1, customers)[:, None]
    cost = rng.uniform(0.1, 3.0, ACTIONS)
    value = margin * rng.normal(0.05, 0.06, ACTIONS) + margin * rng.normal(0, 0.02, (customers, ACTIONS)) - cost
    value[rng.random(value.shape) < 0.3] = np.nan
    channel = rng.integers(0, CHANNELS, ACTIONS)
    use = np.vstack([cost, *[(channel == one).astype(float) for one in range(CHANNELS)], np.eye(ACTIONS)])
    most = np.r_[0.1 * customers * cost.mean(), np.full(CHANNELS, 0.12 * customers), np.full(ACTIONS, 0.05 * customers)]
    names = ("budget", *(f"channel {one}" for one in range(CHANNELS)), *(f"action {one}" for one in range(ACTIONS)))
    return value, Limits(names, use, np.floor(most))


def run(customers: int) -> dict[str, float | bool]:
    """Assign, and check that every limit is kept."""
    value, limits = draw(customers)
    start = time.process_time()
    found = assign(value, np.ones(customers, dtype=np.int64), limits)
    seconds = time.process_time() - start
    used = limits.use @ found.contacts.sum(axis=0)
    kept = bool((used <= limits.most + 1e-6).all() and (found.contacts.sum(axis=1) <= 1).all())
    binding = int((found.prices > 1e-9).sum())
    return {"gap": found.gap, "value": found.value, "cpu": seconds, "kept": kept, "binding": binding}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))
