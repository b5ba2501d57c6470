"""Calibrate purchase, spend and retention models by simulation:  python -m benchmarks.calibrate [--only NAME].

Prints a row per parameter; the exit code is 1 when the ranks of any are not uniform. With so many tests some p-values
are small by chance, so the smallest are judged by Holm's correction over all rows; those below 0.01 are marked.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd
from statsmodels.stats.multitest import multipletests

from cvmlib.churn import calibration as retention
from cvmlib.churn.retention_model import TITLES
from cvmlib.clv import calibration
from cvmlib.clv.families.registry import FAMILIES

LEVEL = 0.01
#: Fits that may be distrusted: more than this share would say little about the model.
MOST_REFUSED = 0.05
#: Models also calibrated with this many units in a pool, which tests the pooling that all models share.
POOLED_UNITS = 3
POOLED = ("bg_nbd", "pareto_nbd", "gamma_gamma")
#: Simulations by number of units: a pool costs several times as much as a unit.
SIMULATIONS = {1: 1000, POOLED_UNITS: 200}
#: The Erlang shape where a family takes one.
CONSTANT = 2


def find_problems() -> list[tuple[str, int]]:
    """Return name and number of units of what is calibrated."""
    names = [*FAMILIES, "gamma_gamma", *TITLES]
    return [(name, 1) for name in names] + [(name, POOLED_UNITS) for name in POOLED if name in names]


def pose(name: str, units: int) -> calibration.Problem:
    """Pose the problem of a model by its name."""
    if name == "gamma_gamma":
        return calibration.spend_problem(units=units)
    if name in TITLES:
        return calibration.Problem(**retention.pose(name)._asdict())
    family = calibration.narrow(FAMILIES[name])
    constants = {f"u{i}": CONSTANT for i in range(units)} if family.constant else None
    return calibration.purchase_problem(family, units=units, constants=constants)


def run(name: str, units: int, simulations: int, seed: int) -> tuple[pd.DataFrame, float]:
    """Calibrate one model; return its table and the CPU seconds used."""
    start = time.process_time()
    table = calibration.calibrate(pose(name, units), simulations, seed)
    return table, time.process_time() - start


def judge(table: pd.DataFrame) -> pd.DataFrame:
    """Add ``verdict`` to the rows: empty, ``small p`` (by chance, among so many), ``not uniform`` or ``refused``."""
    rejected = multipletests(table["p_value"], alpha=LEVEL, method="holm")[0]
    verdict = pd.Series("", index=table.index)
    verdict[table["p_value"] < LEVEL] = "small p"
    verdict[rejected] = "not uniform"
    verdict[table["refused"] > MOST_REFUSED * table["simulations"]] = "refused"
    return table.assign(verdict=verdict)


def main(arguments: list[str] | None = None) -> int:
    """Calibrate what the command line asks for."""
    problems = find_problems()
    parser = argparse.ArgumentParser(prog="make calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", choices=sorted({name for name, _ in problems}), help="this model")
    parser.add_argument("--simulations", type=int, help="of each (default 1000, and 200 of pools)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args(arguments)
    asked = [problem for problem in problems if options.only in (None, problem[0])]
    tables = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(run, name, units, options.simulations or SIMULATIONS[units], options.seed)
            for name, units in asked
        ]
        for future in waiting:
            table, cpu = future.result()
            tables.append(table)
            print(f"{table['model'].iloc[0]}: {cpu:.0f} CPU s", file=sys.stderr, flush=True)
    judged = judge(pd.concat(tables, ignore_index=True))
    print(judged.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    return int(judged["verdict"].isin(["not uniform", "refused"]).any())


if __name__ == "__main__":
    sys.exit(main())
