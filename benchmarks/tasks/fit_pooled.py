"""Fit the hierarchical BG/NBD to simulated customers of several units; prints CPU seconds.

``python -m benchmarks.tasks.fit_pooled FOLDER BASE CUSTOMERS [--warm]``. BASE is one of `customers.BASES`; with
``--warm`` a brief fit comes first, so that everything is compiled. The customers are also written to
FOLDER/customers.csv, for the peer.
"""

import json
import os
import sys
from pathlib import Path

from benchmarks.tasks.customers import group, simulate_units
from cvmlib.clv import purchase_model
from cvmlib.inference import Sampling


def main(folder: Path, base: str, customers: int, warm: bool) -> None:
    """Simulate, fit, and time the fit."""
    each = simulate_units(customers, base)
    each.to_csv(folder / "customers.csv", index=False)
    counts = group(each)
    if warm:
        purchase_model.fit(counts, Sampling(draws=20, tune=20))
    start = sum(os.times()[:4])
    fit = purchase_model.fit(counts, Sampling(draws=1000, tune=1000, chains=4, seed=1))
    cpu, gate = sum(os.times()[:4]) - start, fit.diagnostics
    figures = {"cpu": cpu, "rows": len(counts), "passed": gate.passed, "ess": gate.ess_bulk}
    print(json.dumps(figures | {"diagnostics": gate.sentence()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), "--warm" in sys.argv[4:])
