"""A unit of 200 subscribers beside three large ones, pooled and alone; prints one line of JSON.

``python -m benchmarks.tasks.churn_pooling FIRST LAST``
"""

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd

from cvmlib.churn import outlook, retention_model
from cvmlib.churn.lifetimes import lay_out
from cvmlib.churn.simulate_retention import RetentionTruth, observe_lifetimes, simulate_lifetimes
from cvmlib.inference import Sampling

SIZES = {"north": 4000, "south": 2500, "east": 1500, "small": 200}
SMALL = "small"
MONTHS, HORIZONS = 24, (3, 6, 12)
EFFECTS = {"plan": {"basic": 0.2, "plus": 0.0, "premium": -0.35}}
SAMPLING = Sampling(draws=1000, tune=1000, chains=4, seed=1)


def draw_truth(rng: np.random.Generator) -> RetentionTruth:
    """Draw a unit's parameters around those of the group: a fifth up or down, effects by a tenth."""
    scale, c, first, renewal = np.exp(rng.normal(0.0, [0.2, 0.05, 0.1, 0.15]))
    effects = {n: {key: value + 0.1 * rng.standard_normal() for key, value in v.items()} for n, v in EFFECTS.items()}
    usual = RetentionTruth(effects=effects)
    return replace(usual, b=usual.b * scale, c=usual.c * c, first=usual.first * first, renewal=usual.renewal * renewal)


def measure_error(counts: pd.DataFrame, truth: RetentionTruth, *, alone: bool) -> tuple[float, bool]:
    """Fit, forecast the small unit's subscribers, and compare with the true probabilities that they leave.

    Returns
    -------
    error : float
        Mean absolute error of the probability to leave within 3, 6 and 12 months, over the subscribers active now.
    passed : bool
        Whether the fit converged.
    """
    data = lay_out(counts[counts["unit"] == SMALL] if alone else counts, list(EFFECTS), months=MONTHS - 1)
    fit = retention_model.fit(data, "bdw", SAMPLING)
    active = data.active.merge(data.blocks.reset_index(names="block"), on="block")
    active = active[active["unit"] == SMALL]
    forecast = active.merge(outlook.score_patterns(fit, SMALL, HORIZONS), on=[*EFFECTS, "tenure"])
    stay = truth.survival(forecast["tenure"].to_numpy(), truth.multipliers(forecast), max(HORIZONS))
    expected = forecast[[f"leaves_{month}" for month in HORIZONS]].to_numpy()
    error = np.abs(expected - (1.0 - stay[:, list(HORIZONS)])).mean(axis=1)
    return float(np.average(error, weights=forecast["subscriptions"])), fit.passed


def run(first: int, last: int) -> list[dict]:
    """Compare pooled and alone for seeds `first` to `last`."""
    rows = []
    for seed in range(first, last + 1):
        rng = np.random.default_rng(seed)
        truths = {name: draw_truth(rng) for name in SIZES}
        parts = [
            observe_lifetimes(simulate_lifetimes(size, truths[name], MONTHS, rng), MONTHS - 1, name)
            for name, size in SIZES.items()
        ]
        counts, row = pd.concat(parts, ignore_index=True), {"seed": seed}
        for key in ("pooled", "alone"):
            row[key], row[f"{key}_passed"] = measure_error(counts, truths[SMALL], alone=key == "alone")
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
