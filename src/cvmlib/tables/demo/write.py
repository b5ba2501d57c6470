"""Write the demo company to a folder: tables, truth, and the manifest that tells whether they are up to date."""

import json
import os
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from cvmlib.tables.demo.company import COMPANY, MobileUnit, ShopUnit
from cvmlib.tables.demo.journeys import journey_files
from cvmlib.tables.demo.media_files import media_files
from cvmlib.tables.demo.program_files import program_files
from cvmlib.tables.demo.simulation import (
    CHUNK,
    DEFAULT_END,
    check_arguments,
    month_table,
    product_table,
    simulate_chunks,
    true_parameters,
    unit_calendar,
    unit_catalogue,
)
from cvmlib.tables.demo.value_truth import value_files

VERSION = 6  # of the generator: raise it whenever the same seed gives other tables
MANIFEST = "manifest.json"
FEWEST = 25  # customers of a unit, however small the scale
_ZSTD = {"compression": "zstd"}

Progress = Callable[[str, int, int], None]


def simulate(
    folder: str | Path,
    scale: float = 1.0,
    seed: int = 1,
    end: date = DEFAULT_END,
    years: int = 3,
    progress: Progress | None = None,
) -> None:
    """Simulate the demo company and write its tables, its truth and a manifest; equal arguments give equal bytes.

    Parameters
    ----------
    folder : path
        Where to write; made when missing. Files of an earlier run are replaced one by one, each when it is complete.
    scale : float
        Multiplies the number of customers of each unit (at least 25 each); 100 is more than two million customers.
    seed : int
        Seed of all random numbers.
    end : date
        Last day of observation.
    years : int
        Whole years of history up to and including `end`.
    progress : callable, optional
        Called with the unit's name, the customers simulated so far and the unit's customers.

    Raises
    ------
    ConfigError
        When a number is out of range.
    """
    check_arguments(scale, seed, years)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    files: dict[str, dict[str, int]] = {}
    for unit in COMPANY.values():
        files |= _write_unit(folder, unit, scaled_customers(unit, scale), seed, end, years, progress)
    files |= _write_files(folder, program_files(folder, seed, end))
    files |= _write_files(folder, journey_files(scaled_customers(COMPANY["fashion"], scale), seed, end))
    files |= _write_files(folder, media_files(seed, end, years))
    files |= _write_files(folder, value_files(folder, seed, end, years))
    manifest = _settings(scale, seed, end, years) | {"files": files}
    _write_json(folder / MANIFEST, manifest)


def is_current(folder: str | Path, scale: float = 1.0, seed: int = 1, end: date = DEFAULT_END, years: int = 3) -> bool:
    """Tell whether `folder` holds the complete output of `simulate` for these arguments and this version."""
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = manifest.pop("files")
        sizes = {path: (folder / path).stat().st_size for path in files}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return False
    return manifest == _settings(scale, seed, end, years) and all(
        files[path]["bytes"] == size for path, size in sizes.items()
    )


def scaled_customers(unit: ShopUnit | MobileUnit, scale: float) -> int:
    """Scale the number of customers of a unit."""
    return max(FEWEST, round(unit.customers * scale))


def _settings(scale: float, seed: int, end: date, years: int) -> dict[str, Any]:
    """Collect what the tables depend on, as the manifest holds it."""
    return {
        "generator": "cvmlib demo company",
        "version": VERSION,
        "scale": float(scale),
        "seed": int(seed),
        "end": end.isoformat(),
        "years": int(years),
        "customers": {unit.name: scaled_customers(unit, scale) for unit in COMPANY.values()},
    }


def _write_unit(
    folder: Path,
    unit: ShopUnit | MobileUnit,
    customers: int,
    seed: int,
    end: date,
    years: int,
    progress: Progress | None,
) -> dict[str, dict[str, int]]:
    """Write one unit; return rows and bytes of each file by its path in the folder."""
    calendar, catalogue = unit_calendar(unit, end, years), unit_catalogue(unit, seed)
    behaviour = "subscriptions.parquet" if isinstance(unit, MobileUnit) else unit.file
    paths = {
        "behaviour": f"{unit.name}/{behaviour}",
        "customers": f"{unit.name}/customers.parquet",
        "truth": f"truth/{unit.name}/customers.parquet",
    }
    writers = {field: _TableFile(folder, path) for field, path in paths.items()}
    months: np.ndarray | float = 0.0
    done = 0
    try:
        for chunk in simulate_chunks(unit, customers, seed, calendar, catalogue):
            for field, writer in writers.items():
                writer.write(getattr(chunk, field))
            months = months + chunk.months
            done += len(chunk.truth)
            if progress is not None:
                progress(unit.name, done, customers)
        files = {writer.path: writer.finish() for writer in writers.values()}
    finally:
        for writer in writers.values():
            writer.abandon()
    whole = {f"truth/{unit.name}/months.parquet": month_table(unit, months, calendar)}
    if catalogue is not None:
        whole[f"{unit.name}/products.parquet"] = product_table(catalogue)
    for path, table in whole.items():
        with _TableFile(folder, path) as writer:
            writer.write(table)
            files[path] = writer.finish()
    path = f"truth/{unit.name}/parameters.json"
    _write_json(folder / path, true_parameters(unit) | {"simulated_customers": customers, "chunk": CHUNK})
    return files | {path: {"rows": 1, "bytes": (folder / path).stat().st_size}}


def _write_files(folder: Path, contents: Iterable[tuple[str, pa.Table | dict]]) -> dict[str, dict[str, int]]:
    """Write what is laid over the units; return rows and bytes of each file by its path in the folder."""
    files = {}
    for path, content in contents:
        if isinstance(content, dict):
            _write_json(folder / path, content)
            files[path] = {"rows": 1, "bytes": (folder / path).stat().st_size}
            continue
        with _TableFile(folder, path) as writer:
            writer.write(content)
            files[path] = writer.finish()
    return files


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON beside the target, then replace it in one step."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


class _TableFile:
    """A Parquet or CSV file written chunk by chunk beside its place and moved there when complete."""

    def __init__(self, folder: Path, path: str) -> None:
        self.path = path
        self._target = folder / path
        self._part = self._target.with_name(self._target.name + ".part")
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._writer: pa.parquet.ParquetWriter | pa.csv.CSVWriter | None = None
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def write(self, table: pa.Table) -> None:
        """Append a table, as one row group in Parquet."""
        if self._writer is None:
            if self.path.endswith(".csv"):
                self._writer = pa.csv.CSVWriter(self._part, table.schema)
            else:
                self._writer = pa.parquet.ParquetWriter(self._part, table.schema, **_ZSTD)
        if isinstance(self._writer, pa.csv.CSVWriter):
            self._writer.write_table(table)
        else:
            self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._rows += len(table)

    def finish(self) -> dict[str, int]:
        """Close the file and move it to its place."""
        self._close()
        os.replace(self._part, self._target)
        return {"rows": self._rows, "bytes": self._target.stat().st_size}

    def abandon(self) -> None:
        """Close the file and remove what is incomplete; nothing happens after `finish`."""
        self._close()
        self._part.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
