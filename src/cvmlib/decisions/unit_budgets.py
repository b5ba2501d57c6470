"""Budgets across units: what each would earn with more or less, and how one budget is best split over all."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cvmlib.decisions.plan_results import UnitPlan, has_plan, load_plan
from cvmlib.portfolio import Portfolio

STEPS = 400
"""Parts in which the whole budget is handed out."""


def load_plans(portfolio: Portfolio) -> dict[str, UnitPlan]:
    """Load the plans of all units that have one."""
    return {name: load_plan(portfolio, name) for name in portfolio.units if has_plan(portfolio, name)}


def split_budget(plans: Mapping[str, UnitPlan], total: float | None = None) -> pd.DataFrame:
    """Split a budget so that no euro would earn more in another unit.

    Value by budget is concave in every unit, so handing the budget out in small parts, each to the unit where it earns
    most, is optimal up to the size of a part.

    Parameters
    ----------
    plans : mapping of str to UnitPlan
        By unit.
    total : float, optional
        Money in all; by default what the plans of today spend.

    Returns
    -------
    DataFrame
        unit, label, now (spent today, money), value_now, next_euro (what one more unit of money would earn, net of
        itself), best (budget), value_best, change (best less now).
    """
    now = {name: float(plan.totals["cost"]) for name, plan in plans.items()}
    total = sum(now.values()) if total is None else total
    curves = {name: _concave(plan.curve) for name, plan in plans.items()}
    best, step = dict.fromkeys(plans, 0.0), total / STEPS
    for _ in range(STEPS if total > 0 else 0):
        gains = {name: _value(curves[name], best[name] + step) - _value(curves[name], best[name]) for name in plans}
        name = max(gains, key=gains.get)
        if gains[name] <= 0:
            break
        best[name] += step
    if sum(_value(curves[n], best[n]) for n in plans) <= sum(_value(curves[n], now[n]) for n in plans):
        best = dict(now)  # today's split is as good
    rows = [
        {
            "unit": name,
            "label": plan.totals["label"],
            "now": now[name],
            "value_now": _value(curves[name], now[name]),
            "next_euro": _value(curves[name], now[name] + max(step, 1e-9)) - _value(curves[name], now[name]),
            "best": best[name],
            "value_best": _value(curves[name], best[name]),
            "change": best[name] - now[name],
        }
        for name, plan in plans.items()
    ]
    table = pd.DataFrame(rows)
    return table.assign(next_euro=table["next_euro"] / step) if total > 0 else table.assign(next_euro=0.0)


def _concave(curve: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the smallest concave curve over what was spent and earned; plans are never worse than that."""
    table = curve.groupby("cost", as_index=False)["value"].max().sort_values("cost")
    corners: list[tuple[float, float]] = []
    for x, y in table[["cost", "value"]].itertuples(index=False):
        while len(corners) > 1:
            (x0, y0), (x1, y1) = corners[-2:]
            if (y1 - y0) * (x - x0) >= (y - y0) * (x1 - x0):
                break
            corners.pop()
        corners.append((float(x), float(y)))
    points = np.array(corners)
    return points[:, 0], points[:, 1]


def _value(corners: tuple[np.ndarray, np.ndarray], budget: float) -> float:
    return float(np.interp(budget, *corners))
