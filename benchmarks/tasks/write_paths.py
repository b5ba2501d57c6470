"""Write journeys of a made-up shop, one row each:  python -m benchmarks.tasks.write_paths FOLDER JOURNEYS CHANNELS.

FOLDER/paths.parquet holds the path (text), whether it converted, and its value.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from cvmlib.attribution.simulate import channel_names, draw_transitions, simulate_journeys


def write(folder: Path, journeys: int, channels: int, seed: int = 1) -> None:
    """Simulate the journeys and write them."""
    rng = np.random.default_rng(seed)
    touches, converted, values = simulate_journeys(journeys, draw_transitions(channels, rng), rng)
    names = np.array([*(f"{name} > " for name in channel_names(channels)), ""], dtype=object)
    text = names[touches[:, 0]]
    for step in range(1, touches.shape[1]):
        going = touches[:, step] >= 0
        text[going] += names[touches[going, step]]
    path = pa.array([path[:-3] for path in text])
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({"path": path, "converted": converted, "value": values}), folder / "paths.parquet")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
