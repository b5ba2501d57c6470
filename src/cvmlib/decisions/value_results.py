"""What the study of all parts of value found in one unit, saved for the reports and loaded by them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLES = (
    "parts",
    "types",
    "tiers",
    "lorenz",
    "moves",
    "clusters",
    "categories",
    "kinds",
    "partners",
    "payback",
    "costs",
    "penetration",
    "market",
    "best",
    "referrers",
    "upsell",
)
CUSTOMERS = "value_parts.parquet"


@dataclass(frozen=True)
class UnitParts:
    """Results of one unit.

    Parameters
    ----------
    unit : str
        Name of the unit.
    totals : dict
        Headline figures, what types and tiers go by, what is missing.
    tables : dict of str to DataFrame
        By the names of `TABLES`; without rows where the unit does not supply what they need.
    """

    unit: str
    totals: dict
    tables: dict[str, pd.DataFrame]

    @property
    def withheld(self) -> bool:
        """Whether the value of the unit's customers is withheld, so that only what is past may be shown."""
        return self.totals["withheld"]


def save_parts(portfolio: Portfolio, result: UnitParts, customers: "ir.Table") -> list[Path]:
    """Write the results of a unit into its folder.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    result : UnitParts
        What the reports read.
    customers : ibis Table
        One row per customer with all parts, type, tier and cluster.

    Returns
    -------
    list of Path
        ``value_parts.parquet`` (the customers), ``parts_<table>.parquet`` and ``parts.json``.
    """
    from cvmlib.clv.prepare import write_table  # pages, which only load, start sooner without it

    folder = portfolio.build_dir / "units" / result.unit
    write_table(customers, folder / CUSTOMERS)
    written = [folder / CUSTOMERS]
    for name, table in result.tables.items():
        path = folder / f"parts_{name}.parquet"
        table.to_parquet(path, index=False)
        written.append(path)
    path = folder / "parts.json"
    path.write_text(json.dumps(result.totals, indent=1) + "\n", encoding="utf-8")
    return [*written, path]


def has_parts(portfolio: Portfolio, unit: str) -> bool:
    """Whether the parts of value of a unit have been worked out."""
    return (portfolio.build_dir / "units" / unit / "parts.json").is_file()


def load_parts(portfolio: Portfolio, unit: str) -> UnitParts:
    """Load what `save_parts` wrote.

    Raises
    ------
    UnfitModelError
        The parts of value of the unit have not been worked out yet.
    """
    folder = portfolio.build_dir / "units" / unit
    if not has_parts(portfolio, unit):
        raise UnfitModelError(
            f"The parts of value of {unit} have not been worked out yet. Run notebooks/models/value_parts.ipynb or "
            "`make reports`."
        )
    tables = {name: pd.read_parquet(folder / f"parts_{name}.parquet") for name in TABLES}
    return UnitParts(unit, json.loads((folder / "parts.json").read_text(encoding="utf-8")), tables)
