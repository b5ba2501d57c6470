"""Customers of one randomised program, one row each, and their counts made the slow way."""

import numpy as np
import pandas as pd

from cvmlib.programs.counts import MOMENTS


def draw_customers(size: int, rng: np.random.Generator, lift: float = 0.0, share: float = 0.5) -> pd.DataFrame:
    """Spending before (x), in the window (y) and predicted later (v), with a heavy tail."""
    x = np.where(rng.random(size) < 0.6, rng.lognormal(3.0, 0.8, size), 0.0)
    treated = rng.random(size) < share
    y = (0.5 * x + np.where(rng.random(size) < 0.3, rng.lognormal(3.0, 1.0, size), 0.0)) * np.where(
        treated, 1 + lift, 1
    )
    v = 2.0 + 0.1 * y + rng.normal(size=size)
    arm = np.where(treated, "treated", "control")
    return pd.DataFrame({"program_id": "p", "arm": arm, "x": x, "y": y, "v": v, "converted": (y > 0).astype(float)})


def count_customers(rows: pd.DataFrame, dimension: str = "", level: str = "") -> pd.DataFrame:
    """Counts of `rows` in the columns of `cvmlib.programs.counts.count_arms`."""
    y, x, v, b = rows["y"], rows["x"], rows["v"], rows["converted"]
    sums = pd.DataFrame(
        {
            "customers": 1.0, "buyers": b, "y1": y, "y2": y**2, "y3": y**3, "y4": y**4, "x1": x,
            "x2": x**2, "xy": x * y, "v1": v, "v2": v**2, "vy": v * y, "vx": v * x,
            "by": b * y, "bx": b * x,
        }
    )  # fmt: skip
    grouped = sums.groupby([rows["program_id"], rows["arm"]]).sum().reset_index()
    return grouped.assign(dimension=dimension, level=level)[["program_id", "dimension", "level", "arm", *MOMENTS]]
