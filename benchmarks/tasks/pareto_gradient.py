"""Time the Pareto/NBD's log-density and gradient on the CDNOW sample, a row a customer; prints microseconds.

The rows are also written to FOLDER/cdnow.csv, for the peer.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytensor

from benchmarks.tasks.pareto_cdnow import read_customers
from cvmlib.clv import purchase_model
from cvmlib.clv.families import registry

AT = np.log([1.8, 0.55, 1.7, 0.6])  # near the estimates; times in the mean age


def main(folder: Path) -> None:
    """Best of 200 series of the compiled log-density and gradient of the whole model, at points around `AT`."""
    customers = read_customers()
    folder.mkdir(parents=True, exist_ok=True)
    customers.drop(columns="unit").to_csv(folder / "cdnow.csv", index=False)
    model, _ = purchase_model.build_model(customers.assign(customers=1), family=registry.PARETO_NBD)
    with pytensor.config.change_flags(numba__fastmath=False):
        compute = model.logp_dlogp_function(ravel_inputs=True)
    compute.set_extra_values({})
    points = AT + np.random.default_rng(1).normal(0.0, 0.05, (20, 4))
    seconds = []
    for _ in range(200):
        start = time.perf_counter()
        for point in points:
            compute(point)
        seconds.append((time.perf_counter() - start) / len(points))
    print(json.dumps({"customers": len(customers), "each": 1e6 * min(seconds)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
