"""Small portfolios for the tests of tables: one unit, its tables written as files."""

import gzip
from pathlib import Path

import pandas as pd

from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.tables.checks import CheckReport, check_unit
from cvmlib.tables.problems import Problem

HEADER = "customer_id,date,value"
ROWS = ["A,2026-01-05,10.5", "A,2026-03-01,20", "B,2026-02-01,5", "C,2026-02-02,7", "C,2026-06-20,7.5"]


def make_portfolio(
    folder: Path,
    path: str = "orders.csv",
    *,
    mapping: str = "",
    more: str = "",
    end: str | None = "2026-06-30",
    setting: str = "noncontractual",
) -> Portfolio:
    """Write and read a portfolio of one unit, ``shop``, whose compulsory table is the file `path`."""
    table = "transactions" if setting == "noncontractual" else "subscriptions"
    text = f"""
[portfolio]
name = "Shop"
source = "."
currency = "EUR"
discount_rate = 0.10
holdout_months = 0
{"" if end is None else f"end_of_observation = {end}"}
[units.shop]
setting = "{setting}"
margin = 0.4
[units.shop.tables.{table}]
path = "{path}"
{mapping}
{more}
"""
    (folder / "shop.toml").write_text(text, encoding="utf-8")
    return read_portfolio(folder / "shop.toml")


def write_csv(folder: Path, rows: list[str], header: str = HEADER, name: str = "orders.csv") -> Path:
    """Write rows of text as CSV, compressed when the name ends in ``.gz``."""
    data = ("\n".join([header, *rows]) + "\n").encode()
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def check_rows(folder: Path, rows: list[str], header: str = HEADER, **settings) -> CheckReport:
    """Check a unit whose compulsory table holds these CSV rows."""
    write_csv(folder, rows, header)
    return check_unit(make_portfolio(folder, **settings), "shop")


def check_frame(folder: Path, frame: pd.DataFrame, **settings) -> CheckReport:
    """Check a unit whose compulsory table is this data frame, as Parquet."""
    frame.to_parquet(folder / "orders.parquet")
    return check_unit(make_portfolio(folder, "orders.parquet", **settings), "shop")


def find(report: CheckReport, kind: str) -> Problem:
    """Return the one problem of that kind."""
    found = [problem for problem in report.problems if problem.kind == kind]
    assert len(found) == 1, f"{kind} in {[p.kind for p in report.problems]}"
    return found[0]
