"""The demo company: a seeded simulation of four business units whose truth is known.

`simulate` writes its tables and its truth, `is_current` tells whether a folder holds them, `simulate_unit` gives one
unit in memory. The truth is for tests; no model reads it.
"""

from cvmlib.tables.demo.simulation import UnitTables, simulate_unit
from cvmlib.tables.demo.write import is_current, simulate

__all__ = ["UnitTables", "is_current", "simulate", "simulate_unit"]
