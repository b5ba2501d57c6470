"""Fit media mixes of simulated companies and compare with their truth; prints one line of JSON per company, and all.

``python -m benchmarks.tasks.media_mix FIRST LAST``
"""

import json
import sys
import time
from dataclasses import replace

from benchmarks.media_worlds import draw_company
from cvmlib.attribution import media_effects, media_fit


def run(first: int, last: int) -> list[dict]:
    """Fit the companies of seeds `first` to `last`; per company CPU seconds, diagnostics, and channel-units inside."""
    rows = []
    for seed in range(first, last + 1):
        weeks, truth = draw_company(seed)
        start = time.process_time()
        fit = media_fit.fit_weeks(weeks, sampling=replace(media_fit.SAMPLING, seed=seed), holdout_weeks=0)
        cpu = time.process_time() - start
        inside = {}
        for unit, returns in truth.items():
            table = media_effects.tabulate_returns(fit.posterior, unit, 1.0).set_index("channel")
            for channel, value in returns.items():
                row = table.loc[channel]
                inside.setdefault(channel, []).append(bool(row["return_low"] <= value <= row["return_high"]))
        found = fit.diagnostics
        rows.append({
            "seed": seed, "cpu": cpu, "passed": found.passed, "r_hat": found.r_hat, "ess_bulk": found.ess_bulk,
            "divergences": found.divergences, "inside": inside,
        })  # fmt: skip
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
