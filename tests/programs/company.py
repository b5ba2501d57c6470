"""A small company of one unit with programs, its tables written as files."""

from pathlib import Path

import numpy as np
import pandas as pd

from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.programs.prepare import prepare_unit
from cvmlib.programs.study import Settings, Study, study_programs
from cvmlib.tables.checks import CheckReport, check_unit

TABLES = ("programs", "assignments", "activity", "transactions", "customers", "outcomes", "media")


def write_company(folder: Path, end: str = "2026-06-30", **tables: pd.DataFrame) -> Portfolio:
    """Write the tables given, and a portfolio of one unit, ``shop``, that has them."""
    lines = ['[portfolio]', 'name = "Shop"', 'source = "."', 'currency = "EUR"', 'discount_rate = 0.1',
             f"end_of_observation = {end}", '[units.shop]', 'setting = "noncontractual"', "margin = 0.5"]  # fmt: skip
    for name in TABLES:
        if name in tables:
            tables[name].to_parquet(folder / f"{name}.parquet")
            lines += [f"[units.shop.tables.{name}]", f'path = "{name}.parquet"']
    (folder / "pyproject.toml").touch()
    (folder / "shop.toml").write_text("\n".join(lines), encoding="utf-8")
    return read_portfolio(folder / "shop.toml")


def list_programs(*rows: tuple, **columns: object) -> pd.DataFrame:
    """Programs as (program_id, cost, design); further columns alike for all."""
    frame = pd.DataFrame(rows, columns=["program_id", "cost", "design"])
    texts = {"label": frame["program_id"].str.title(), "challenge": "segment", "intended_outcome": "revenue"}
    frame = frame.assign(**texts, start=pd.Timestamp("2026-01-01")).astype({"cost": float, "design": "string"})
    return frame.assign(**columns)


def draw_arm(
    program: str, treated: int, control: int, lift: float = 0.0, seed: int = 1, **columns: object
) -> pd.DataFrame:
    """Assignments with their own outcomes; the treated spend 1 + lift times as much."""
    rng = np.random.default_rng(seed)
    size = treated + control
    arm = np.where(np.arange(size) < treated, "treated", "control")
    before = rng.gamma(0.5, 40, size)
    outcome = (0.5 * before + rng.gamma(0.5, 20, size)) * np.where(arm == "treated", 1 + lift, 1.0)
    ids = [f"{program}-{i}" for i in range(size)]
    frame = pd.DataFrame({"program_id": program, "customer_id": ids, "arm": arm, "outcome": outcome, "before": before})
    return frame.assign(**columns)


def study(portfolio: Portfolio, settings: Settings | None = None) -> tuple[Study, CheckReport]:
    """Check, prepare and study the unit."""
    checks = check_unit(portfolio, "shop")
    checks.raise_if_fatal()
    prepare_unit(portfolio, "shop", checks)
    return study_programs(portfolio, ["shop"], settings), checks
