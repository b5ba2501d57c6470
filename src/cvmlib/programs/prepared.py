"""The prepared programs of one unit: what they are in memory, and where they lie on disk."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd

from cvmlib.portfolio import Portfolio

ROWS, PROGRAMS, REGIONS, ACTIVITY = (f"program_{n}.parquet" for n in ("customers", "list", "regions", "activity"))
FACTS = "programs.json"
AREAS, MEDIA_TESTS = "program_areas.parquet", "program_media_tests.parquet"


@dataclass(frozen=True)
class UnitPrograms:
    """The prepared programs of one unit.

    Parameters
    ----------
    unit : str
        Name of the unit.
    programs : DataFrame
        One row per program: program_id, label, challenge, intended_outcome, start, end, last_drawn (when its last
        customer was assigned; its start where that is not known), cost, channel, media_channel, design (one of
        randomised, regional, matched, none), treated_share, window_days, treated and control (customers or areas).
    rows : ibis Table or None
        One row per program and customer: program_id, customer_id, arm, y, x, converted, and segment columns.
    dimensions : tuple of str
        Columns of `rows` by which uplift is told apart.
    money : bool
        Whether the outcome is money; otherwise conversions.
    baseline : dict or None
        What customers bring without any program: customers, mean, spread, explained (share of variance that the period
        before explains), over 90 days.
    regions, activity : DataFrame
        Outcomes by region and date with the regional programs' arms in `areas`; events by program, kind and week.
    areas : DataFrame
        program_id, region, arm.
    end : date
        End of observation.
    """

    unit: str
    programs: pd.DataFrame
    rows: ir.Table | None
    dimensions: tuple[str, ...]
    money: bool
    baseline: dict | None
    regions: pd.DataFrame
    areas: pd.DataFrame
    activity: pd.DataFrame
    end: date


def read_rows(path: Path) -> ir.Table:
    """Open a file of one row per program and customer."""
    return ibis.duckdb.connect().read_parquet(str(path))


def load_unit(portfolio: Portfolio, unit: str) -> UnitPrograms | None:
    """Load what `prepare_unit` wrote; None for a unit without programs."""
    folder = portfolio.build_dir / "units" / unit
    if not (folder / FACTS).is_file():
        return None
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return UnitPrograms(
        unit=unit,
        programs=pd.read_parquet(folder / PROGRAMS),
        rows=read_rows(folder / ROWS) if (folder / ROWS).is_file() else None,
        dimensions=tuple(facts["dimensions"]),
        money=facts["money"],
        baseline=facts["baseline"],
        regions=pd.read_parquet(folder / REGIONS),
        areas=pd.read_parquet(folder / AREAS),
        activity=pd.read_parquet(folder / ACTIVITY),
        end=date.fromisoformat(facts["end"]),
    )
