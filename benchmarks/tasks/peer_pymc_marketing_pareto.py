"""Time pymc-marketing's Pareto/NBD log-density and gradient on FOLDER/cdnow.csv; runs in .venv-peers."""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from pymc_marketing.clv import ParetoNBDModel

WEEK = 7.0
AT = np.array([0.55, 10.6, 0.6, 11.7])  # the estimates; weeks, as its default priors have it


def main(folder: Path) -> None:
    """Best of 20 series of the compiled log-density and gradient of the whole model, at points around the estimates."""
    data = pd.read_csv(folder / "cdnow.csv")
    data = data.assign(customer_id=range(len(data)), recency=data["recency"] / WEEK, T=data["T"] / WEEK)
    model = ParetoNBDModel()
    model.build_model(data=data)
    compute = model.model.logp_dlogp_function(ravel_inputs=True)
    compute.set_extra_values({})
    order = [("r", "alpha", "s", "beta").index(v.name) for v in model.model.free_RVs]
    points = np.log(AT[order]) + np.random.default_rng(1).normal(0.0, 0.05, (5, 4))
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        for point in points:
            compute(point)
        seconds.append((time.perf_counter() - start) / len(points))
    print(json.dumps({"name": f"pymc-marketing {version('pymc-marketing')}", "each": 1e6 * min(seconds)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
