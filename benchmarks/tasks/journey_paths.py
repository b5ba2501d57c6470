"""The journeys of FOLDER/paths.parquet as counted paths."""

from pathlib import Path

import ibis

from cvmlib.attribution.paths import Paths, parse_paths


def read_paths(folder: Path) -> Paths:
    """Group the journeys in the engine and parse the unique paths."""
    rows = ibis.duckdb.connect(threads=1, memory_limit="250MB").read_parquet(str(folder / "paths.parquet"))
    yes = rows.converted.cast("int64")
    counted = rows.group_by("path").agg(
        conversions=yes.sum(), nulls=(1 - yes).sum(), value=rows.value.sum(), value_sq=(rows.value * rows.value).sum()
    )
    return parse_paths(counted.order_by("path").execute())[0]
