"""Advise on the budgets of simulated markets and let the truth decide; prints one line of JSON per world, and all.

``python -m benchmarks.tasks.budget_regret FIRST LAST``

All amounts are shares of what media truly bring in a week. Fits are as long as those of the reports. The optimiser of
the mean believes the posterior as it is.
"""

import json
import sys
from dataclasses import replace

import numpy as np

from benchmarks.media_worlds import draw_world, true_options
from cvmlib.attribution import media_fit
from cvmlib.attribution.budget import advise, find_plan
from cvmlib.attribution.budget_options import LIMIT, read_options


def run(first: int, last: int) -> list[dict]:
    """Per world: regrets of the advice and of the optimiser of the mean, what they promised, what holding forgoes."""
    rows = []
    for seed in range(first, last + 1):
        weeks, channels = draw_world(seed)
        sampling = replace(media_fit.SAMPLING, seed=seed)
        fit = media_fit.fit_weeks({"market": weeks}, sampling=sampling, named={"market": []}, holdout_weeks=0)
        options = read_options(fit.posterior, "market")
        advice = advise(options, fit.diagnostics.passed)
        truth = true_options(options, weeks, channels)
        count = len(options.channels)
        bounds = {"low": np.full(count, 1 - LIMIT), "high": np.full(count, 1 + LIMIT)}
        believed = replace(read_options(fit.posterior, "market", follows=0.0), **bounds)
        plans = {"advice": np.ones(count) if advice.hold else advice.plan, "mean": find_plan(believed, 0.0)}
        best = find_plan(replace(truth, **bounds), 0.0)
        brought = float(truth.value(np.ones(count))[0])
        gains = {name: float(truth.gain(plan)[0]) / brought for name, plan in plans.items()}
        most = float(truth.gain(best)[0]) / brought
        rows.append({
            "seed": seed, "passed": fit.diagnostics.passed, "hold": advice.hold,
            "probability": advice.probability, "promised": float(advice.gain.mean()) / brought,
            "promised_mean": float(believed.gain(plans["mean"]).mean()) / brought, "most": most,
            "advice": most - gains["advice"], "mean": most - gains["mean"], "forgone": gains["mean"],
        })  # fmt: skip
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
