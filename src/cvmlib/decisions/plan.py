"""The plan of a unit's next period: who gets which action, what that is expected to bring, and how sure it is.

Held out at random, nobody is contacted; a share of the others is treated by draws of the effects (`exploration`), the
rest by their means. All of them share one budget and one set of capacities (`assignment`). What is promised is the
posterior of the value of the whole plan, exploration included.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.business_unit import Action
from cvmlib.decisions.actions import Opportunities, count_capacity, find_opportunities, state_limits
from cvmlib.decisions.assignment import Assignment, Limits, assign
from cvmlib.decisions.base import Base, read_base
from cvmlib.decisions.cells import Cells, lay_cells
from cvmlib.decisions.contacts import find_channels, find_contacted
from cvmlib.decisions.effects import Effect, measure_actions, require_effects
from cvmlib.decisions.exploration import CHOSEN, HELD_OUT, check_capacity
from cvmlib.decisions.plan_results import UnitPlan
from cvmlib.decisions.plan_tables import list_contacts, tabulate_actions, trace_budget
from cvmlib.decisions.roadmap import list_moves
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio
from cvmlib.programs.results import UnitResult, load_result


def plan_units(portfolio: Portfolio, units: Iterable[str] | None = None) -> dict[str, UnitPlan]:
    """`plan_unit` for several units; for all that name actions, when none are named."""
    found = {}
    for name in (name for name, unit in portfolio.units.items() if unit.actions):
        if units is not None and name not in units:
            continue
        try:
            found[name] = plan_unit(portfolio, name)
        except DataError as error:  # the other units are planned all the same
            found[name] = plan_nothing(portfolio, name, str(error))
    return found


def plan_nothing(portfolio: Portfolio, unit: str, why_not: str) -> UnitPlan:
    """Return the plan of a unit of whose actions no effect is known: nothing but what to stop and to test, and why."""
    programs, actions = load_result(portfolio, unit), portfolio.units[unit].actions
    _, reasons = measure_actions(unit, actions, programs.results, programs.draws)
    nobody = Opportunities((), np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0), np.int64), np.zeros((0, 0)), ())
    cells = Cells(*(np.zeros(0, np.int64) for _ in range(3)), np.zeros(0, bool), np.zeros(0, object), np.zeros(0, int))
    limits = Limits((), np.zeros((0, 0)), np.zeros(0))
    solved = Assignment(np.zeros((0, 0), np.int64), 0.0, 0.0, np.zeros(0))
    table = tabulate_actions(actions, nobody, solved, np.zeros((0, 0)), np.zeros((1, 0)), cells, reasons, 0.9)
    totals = _sum_up(portfolio, unit, cells, solved, limits, np.zeros((1, 0)), nobody) | {"why_not": why_not}
    names = "customer_id arm action label channel stage gain cost net reason".split()
    curve = pd.DataFrame([{"budget": 0.0, "cost": 0.0, "value": 0.0, "marginal": np.nan}])
    moves = list_moves(table, programs)
    return UnitPlan(unit, table, pd.DataFrame(columns=names), moves, curve, totals)


def plan_unit(portfolio: Portfolio, unit: str) -> UnitPlan:
    """Plan the next period of a unit whose customers are valued and whose programs are studied.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of a unit with actions.

    Raises
    ------
    ConfigError
        An action names an unknown program, or capacity is below the held-out share.
    DataError
        No action has a measured effect, or the value of the customers is withheld.
    """
    settings, programs = portfolio.units[unit], load_result(portfolio, unit)
    level = read_level(portfolio, unit)
    if level == "withheld":
        raise DataError(
            f"The value of the customers of {unit} is withheld because a check of its forecast failed, and with it "
            "what contacting them would bring. The pages of the unit say which check."
        )
    effects, reasons = measure_actions(
        unit, settings.actions, programs.results, programs.draws, _read_leaving(portfolio, unit), portfolio.interval,
        portfolio.seed,
    )  # fmt: skip
    require_effects(unit, effects, reasons)
    base = read_base(portfolio, unit, [effect.window for effect in effects.values()])
    key = f"{portfolio.seed}/{base.end.date().isoformat()}"
    resting = find_contacted(portfolio, unit, base.end, settings.action_plan.rest_days)
    channels = find_channels(portfolio, unit, base.end)
    cells = lay_cells(base, settings.action_plan, key, resting, channels)
    return make_plan(portfolio, unit, base, cells, effects, reasons, programs, key)


def read_level(portfolio: Portfolio, unit: str) -> str:
    """Level of the verdict on the values of a unit's customers: sound, caution or withheld; empty without any."""
    path = portfolio.build_dir / "units" / unit / "totals.json"
    if not path.is_file():
        return ""
    return json.loads(path.read_text(encoding="utf-8")).get("verdict", {}).get("level", "")


def _read_leaving(portfolio: Portfolio, unit: str) -> pd.DataFrame | None:
    path = portfolio.build_dir / "units" / unit / "churn_effects.parquet"
    return pd.read_parquet(path) if path.is_file() else None


def make_plan(
    portfolio: Portfolio,
    unit: str,
    base: Base,
    cells: Cells,
    effects: Mapping[str, Effect],
    reasons: Mapping[str, str],
    programs: UnitResult,
    key: str,
) -> UnitPlan:
    """Make the plan, see `plan_unit`."""
    settings = portfolio.units[unit]
    actions, plan = settings.actions, settings.action_plan
    every = find_opportunities(base, actions, effects)
    allowed = _allow(actions, every.names, cells)
    here = replace(every, worth=np.where(allowed, every.worth[cells.row], 0.0), segment=every.segment[cells.row],
                   most=every.most[cells.row])  # fmt: skip
    limits = state_limits(actions, every.names, plan)
    held_out = int(cells.customers[cells.group == HELD_OUT].sum())
    check_capacity(unit, count_capacity(limits, int(cells.customers.sum())), held_out)
    net = here.net()
    solved = assign(_explore(here, cells.group, net), cells.customers, limits)
    draws = here.draw_totals(solved.contacts)
    table = tabulate_actions(actions, here, solved, net, draws, cells, reasons, portfolio.interval)
    contacts = list_contacts(portfolio, unit, base, cells, here, solved, key)
    curve = trace_budget(net, cells, here, limits, solved)
    totals = _sum_up(portfolio, unit, cells, solved, limits, draws, here)
    moves = list_moves(table, programs)
    return UnitPlan(unit, table, contacts, moves, curve, totals)


def _allow(actions: Mapping[str, Action], names: tuple[str, ...], cells: Cells) -> npt.NDArray[np.bool_]:
    """Whether the customers of a cell may get each action: neither held out nor resting, and by their own channel."""
    free = (cells.group != HELD_OUT) & ~cells.rests
    by_channel = [
        (cells.channel == actions[name].channel) | (not actions[name].preferred_only) | (cells.channel == "")
        for name in names
    ]
    return free[:, None] & np.column_stack(by_channel)


def _explore(here: Opportunities, group: npt.NDArray[np.int64], net: np.ndarray) -> np.ndarray:
    """Values by which the cells are assigned: means, or in the groups that explore, a draw of the effects each."""
    found = net.copy()
    draws = min(len(effect.draws) for effect in here.effects)
    for one in np.unique(group[group > CHOSEN]):
        mine = group == one
        found[mine] = here.net(int(one) * draws // (int(group.max()) + 1))[mine]
    return found


def _sum_up(
    portfolio: Portfolio,
    unit: str,
    cells: Cells,
    solved: Assignment,
    limits: Limits,
    draws: np.ndarray,
    here: Opportunities,
) -> dict:
    """Headline figures of the plan, as JSON can hold them."""
    plan, total = portfolio.units[unit].action_plan, draws.sum(axis=1)
    low, high = np.quantile(total, [(1 - portfolio.interval) / 2, (1 + portfolio.interval) / 2])
    each = solved.contacts.sum(axis=1)
    used = limits.use @ solved.contacts.sum(axis=0)
    return {
        "unit": unit,
        "label": portfolio.units[unit].label,
        "currency": portfolio.currency,
        "interval": portfolio.interval,
        "period_days": plan.period_days,
        "customers": int(cells.customers.sum()),
        "held_out": int(cells.customers[cells.group == HELD_OUT].sum()),
        "resting": int(cells.customers[cells.rests & (cells.group != HELD_OUT)].sum()),
        "contacts": int(each.sum()),
        "explored": int(each[cells.group > CHOSEN].sum()),
        "cost": float(solved.contacts.sum(axis=0) @ here.cost),
        "value": {"mean": float(total.mean()), "low": float(low), "high": float(high)},
        "probability": float((total > 0).mean()),
        "gap": solved.gap,
        "why_not": "",
        "level": read_level(portfolio, unit),
        "limits": [
            {"name": name, "most": float(most), "used": float(spent), "price": float(price)}
            for name, most, spent, price in zip(limits.names, limits.most, used, solved.prices, strict=True)
        ],
        "holdout": plan.holdout,
        "explore": plan.explore,
        "costs": dict(zip(here.names, here.cost.tolist(), strict=True)),
        "windows": {name: effect.window for name, effect in zip(here.names, here.effects, strict=True)},
        "effects": {
            name: {"segments": [list(key) for key in effect.segments], "mean": effect.mean.tolist()}
            for name, effect in zip(here.names, here.effects, strict=True)
        },
    }
