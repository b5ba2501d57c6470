"""Write the counts of simulated programs:  ``python -m benchmarks.tasks.programs_counts FILE PROGRAMS CUSTOMERS``."""

import sys
from pathlib import Path

import numpy as np

from cvmlib.programs.simulate import simulate_counts


def main(path: Path, programs: int, customers: int) -> None:
    """Half of the programs have an effect; customers fall into ten segments."""
    rng = np.random.default_rng(3)
    lifts = np.where(np.arange(programs) % 2 == 1, rng.normal(0.06, 0.04, programs), 0.0)
    simulate_counts(lifts, [customers] * programs, rng, levels=10).to_parquet(path, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
