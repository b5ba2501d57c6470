"""Advise on the budgets of simulated markets and let the truth decide; prints one line of JSON per world, and all.

``python -m benchmarks.tasks.budget_regret FIRST LAST``

All amounts are shares of what media truly bring in a week.
"""

import json
import sys
from dataclasses import replace

import numpy as np

from benchmarks.media_worlds import draw_world, true_options
from cvmlib.attribution import budget, media_fit
from cvmlib.inference import Sampling

SAMPLING = Sampling(draws=500, tune=200, chains=2, target_accept=0.9)


def run(first: int, last: int) -> list[dict]:
    """Per world: regret of the advice and of the optimiser of the mean, whether to hold, and what holding forgoes."""
    rows = []
    for seed in range(first, last + 1):
        weeks, channels = draw_world(seed)
        fit = media_fit.fit_weeks(
            {"market": weeks}, sampling=replace(SAMPLING, seed=seed), named={"market": []}, holdout_weeks=0
        )
        options = budget.read_options(fit.posterior, "market")
        advice = budget.advise(options)
        truth = true_options(options, weeks, channels)
        count = len(options.channels)
        wide = replace(options, low=np.full(count, 1 - budget.LIMIT), high=np.full(count, 1 + budget.LIMIT))
        plans = {"advice": np.ones(count) if advice.hold else advice.plan, "mean": budget.find_plan(wide, caution=0.0)}
        best = budget.find_plan(replace(truth, low=wide.low, high=wide.high), caution=0.0)
        brought = float(truth.value(np.ones(count))[0])
        gains = {name: float(truth.gain(plan)[0]) / brought for name, plan in plans.items()}
        most = float(truth.gain(best)[0]) / brought
        rows.append({
            "seed": seed, "hold": advice.hold, "probability": advice.probability, "most": most,
            "advice": most - gains["advice"], "mean": most - gains["mean"], "forgone": gains["mean"],
        })  # fmt: skip
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
