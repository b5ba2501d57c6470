"""Estimate what pymc-marketing's BG/NBD, which cannot pool units, takes for FOLDER/customers.csv; runs in .venv-peers.

With many customers its fit does not come to its end in a reasonable time. It takes at least the time of one log-density
with gradient, measured on all the customers, times the leapfrog steps, counted in a fit to `FEW` of them, with tuning;
what else the sampler does is left out. The effective sample size is that of the fit to the few.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import arviz as az
import pandas as pd
from pymc_marketing.clv import BetaGeoModel

from benchmarks.tasks.peer_pymc_marketing_fit import fit, read_customers
from benchmarks.tasks.peer_pymc_marketing_gradient import time_evaluation

FEW = 2_500
PARAMETERS = ["r", "alpha", "a", "b"]


def count_steps(data: pd.DataFrame) -> tuple[int, float]:
    """Leapfrog steps of all chains, with tuning, and the least effective sample size (bulk)."""
    model = fit(data, draws=1000, tune=1000, discard_tuned_samples=False)
    groups = ("warmup_sample_stats", "sample_stats")
    steps = sum(int(model.idata[group]["n_steps"].sum()) for group in groups)
    table = az.summary(model.idata, var_names=PARAMETERS, kind="diagnostics", round_to="none")
    return steps, float(table["ess_bulk"].min())


def main(folder: Path) -> None:
    """Time the gradient, count the steps, multiply."""
    data = read_customers(folder)
    each = time_evaluation(BetaGeoModel(), data)
    steps, ess = count_steps(data.sample(FEW, random_state=1))
    name = f"pymc-marketing {version('pymc-marketing')}, without units, estimated as gradients x leapfrog steps"
    print(json.dumps({"name": name, "cpu": each * steps, "ess": ess, "steps": steps, "microseconds": 1e6 * each}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
