"""Time a purchase model's log-density with its gradient as the sampler calls it:  gradient FAMILY CUSTOMERS FOLDER.

The customers are simulated, with the parameters of CDNOW at daily resolution, and written to FOLDER/customers.csv for
the peer. Prints CPU microseconds for each evaluation of the model of one unit, and the count rows.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.tasks.customers import group, simulate_units
from cvmlib.clv import purchase_model
from cvmlib.clv.families.registry import FAMILIES
from cvmlib.compiled.density import MachineDensity, trace_density


def time_evaluation(density: MachineDensity) -> float:
    """Return the CPU seconds of one call of the compiled function: the best mean of several series."""
    point = density.start + np.random.default_rng(1).uniform(-1.0, 1.0, len(density.start))
    gradient, value = np.empty_like(point), np.empty(1)

    def series(count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            if density.slope(len(point), point, gradient, value):
                raise RuntimeError("the log-density could not be evaluated")
        return (time.process_time() - start) / count

    count = max(5, int(0.2 / series(5)))
    return min(series(count) for _ in range(7))


def main(family: str, customers: int, folder: Path) -> None:
    """Simulate, compile and time."""
    each = simulate_units(customers, "cdnow")
    each.to_csv(folder / "customers.csv", index=False)
    counts = group(each)
    model, _ = purchase_model.build_model(counts, family=FAMILIES[family])
    print(json.dumps({"microseconds": 1e6 * time_evaluation(trace_density(model)), "rows": len(counts)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
