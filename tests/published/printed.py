"""What the tests against published tables share: where the public data are, and what it means to agree with print."""

import os
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("CVM_DATA", ROOT / ".." / "shared" / "data"))
SPLIT, END = date(1997, 9, 30), date(1998, 6, 30)  # of the calibration and of the holdout of CDNOW
WEEK = 7.0


def stored(name: str) -> Path:
    """Return a file of the public data; without it the test is skipped."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {DATA}; set CVM_DATA to the folder that holds it")
    return path


def same_as_printed(found: float, printed: float) -> bool:
    """Whether a figure rounds to the printed one, to every digit that was printed."""
    digits = len(repr(printed).partition(".")[2])
    return round(found, digits) == printed
