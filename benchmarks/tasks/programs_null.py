"""Judge simulated programs, null ones and half null half real ones, raw and pooled; prints one line of JSON.

``python -m benchmarks.tasks.programs_null PORTFOLIOS PROGRAMS CUSTOMERS``
"""

import json
import sys

import numpy as np
from scipy import stats

from cvmlib.programs.lift import measure_lift
from cvmlib.programs.pooling import pool_lifts
from cvmlib.programs.sharpening import sharpen_lifts
from cvmlib.programs.simulate import simulate_counts
from cvmlib.programs.value import SCALE, break_even, value_programs

NEEDED = 0.01  # lift at which a program pays: almost any true effect would, so that null ones are tempting
REAL, SPREAD = 0.10, 0.05  # mean and standard deviation of the true lift of programs that have one


def judge_portfolio(lifts: np.ndarray, customers: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Simulate one portfolio; return per program the error of its return and whether it is scaled, raw and pooled."""
    found = measure_lift(simulate_counts(lifts, [customers] * len(lifts), rng))
    base, treated = found["base"].to_numpy(), found["treated"].to_numpy()
    worth = base * treated
    cost = NEEDED * worth
    raw, raw_se = found["relative"].to_numpy(), found["lift_se"].to_numpy() / base
    pooled = pool_lifts(*sharpen_lifts(found), np.zeros(len(lifts), int), seed=int(rng.integers(2**31)))
    money = value_programs(pooled, worth, cost, 1.0, 0.9)
    true = lifts * worth / cost
    return {
        "raw_error": raw * worth / cost - true,
        "pooled_error": money["back"].to_numpy() - true,
        "raw_scale": stats.norm.sf((break_even(worth, cost, 1.0) - raw) / raw_se) >= SCALE,
        "pooled_scale": (money["verdict"] == "scale").to_numpy(),
    }


def main(portfolios: int, programs: int, customers: int) -> dict[str, float]:
    """Judge portfolios of null programs, and as many of which every second program is real."""
    rng = np.random.default_rng(7)
    null, mixed, real = [], [], np.arange(programs) % 2 == 1
    for _ in range(portfolios):
        null.append(judge_portfolio(np.zeros(programs), customers, rng))
        lifts = np.where(real, np.maximum(rng.normal(REAL, SPREAD, programs), 2 * NEEDED), 0.0)
        mixed.append(judge_portfolio(lifts, customers, rng))

    def take(rows: list[dict[str, np.ndarray]], name: str) -> np.ndarray:
        return np.array([row[name] for row in rows], dtype=float)

    return {
        "null_scale_raw": float(take(null, "raw_scale").mean()),
        "null_scale": float(take(null, "pooled_scale").mean()),
        "error_raw": float(np.sqrt((take(mixed, "raw_error") ** 2).mean())),
        "error": float(np.sqrt((take(mixed, "pooled_error") ** 2).mean())),
        "false_raw": float(take(mixed, "raw_scale")[:, ~real].mean()),
        "false": float(take(mixed, "pooled_scale")[:, ~real].mean()),
        "found_raw": float(take(mixed, "raw_scale")[:, real].mean()),
        "found": float(take(mixed, "pooled_scale")[:, real].mean()),
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:4]))))
