"""Time the log-density with its gradient of pymc-marketing's model:  peer_pymc_marketing_gradient FAMILY FOLDER.

Reads FOLDER/customers.csv; runs in .venv-peers. Prints CPU microseconds for each evaluation by PyMC's compiled
function.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from pymc.blocking import DictToArrayBijection
from pymc_marketing import clv
from pymc_marketing.clv.models.basic import CLVModel

from benchmarks.tasks.peer_pymc_marketing_fit import read_customers

MODELS = {"bg_nbd": "BetaGeoModel", "mbg_nbd": "ModifiedBetaGeoModel", "pareto_nbd": "ParetoNBDModel"}


def time_evaluation(model: CLVModel, data: pd.DataFrame) -> float:
    """Build and compile; return the CPU seconds of one evaluation: the best mean of several series."""
    model.build_model(data)
    evaluate = model.model.logp_dlogp_function(ravel_inputs=True)
    evaluate.set_extra_values({})
    point = DictToArrayBijection.map(model.model.initial_point())

    def series(count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            evaluate(point)
        return (time.process_time() - start) / count

    count = max(2, int(0.5 / series(2)))
    return min(series(count) for _ in range(7))


def main(family: str, folder: Path) -> None:
    """Time the model of a family."""
    seconds = time_evaluation(getattr(clv, MODELS[family])(), read_customers(folder))
    print(json.dumps({"name": f"pymc-marketing {version('pymc-marketing')}", "microseconds": 1e6 * seconds}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
