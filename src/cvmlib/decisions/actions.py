"""What each action is expected to bring, row by row: the measured effect times what it acts on, less its cost."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvmlib.business_unit import Action, ActionPlan
from cvmlib.decisions.assignment import Limits
from cvmlib.decisions.base import Base
from cvmlib.decisions.effects import Effect, place_segments

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Opportunities:
    """Rows of customers against actions.

    Parameters
    ----------
    names : tuple of str
        The actions.
    cost : array, shape (actions,)
        Money per contact.
    worth : array, shape (rows, actions)
        Margin that an effect of one (100%) would add; 0 where the action is not for the row.
    segment : int array, shape (rows, actions)
        Column of the action's draws that applies.
    most : array, shape (rows, actions)
        Largest effect there can be: on leaving, the probability to leave.
    effects : tuple of Effect
        By action.
    """

    names: tuple[str, ...]
    cost: Array
    worth: Array
    segment: Whole
    most: Array
    effects: tuple[Effect, ...]

    def gains(self, draw: int | None = None) -> Array:
        """Incremental margin of one contact, shape (rows, actions): the mean, or under one draw of the effects."""
        found = np.zeros(self.worth.shape)
        for a, effect in enumerate(self.effects):
            size = effect.mean if draw is None else effect.draws[draw % len(effect.draws)]
            found[:, a] = self.worth[:, a] * np.minimum(size[self.segment[:, a]], self.most[:, a])
        return found

    def net(self, draw: int | None = None) -> Array:
        """`gains` less the cost of the contact; NaN where the action is not for the row."""
        return np.where(self.worth > 0, self.gains(draw) - self.cost, np.nan)

    def draw_totals(self, contacts: Array) -> Array:
        """Incremental margin of contacts (rows, actions) less their cost, by draw and action: (draws, actions)."""
        draws = min(len(effect.draws) for effect in self.effects)
        found = np.empty((draws, len(self.names)))
        for a, effect in enumerate(self.effects):
            weight = contacts[:, a] * self.worth[:, a]
            places, sizes = self.segment[:, a], effect.draws[:draws]
            total = np.zeros(draws)
            for place in np.unique(places[weight > 0]):
                mine = (places == place) & (weight > 0)
                for most in np.unique(self.most[mine, a]):
                    at = mine & (self.most[:, a] == most)
                    total += weight[at].sum() * np.minimum(sizes[:, place], most)
            found[:, a] = total - self.cost[a] * contacts[:, a].sum()
        return found


def find_opportunities(base: Base, actions: Mapping[str, Action], effects: Mapping[str, Effect]) -> Opportunities:
    """Find what each action with a measured effect is worth to each row of customers.

    Parameters
    ----------
    base : Base
        The customers.
    actions : mapping of str to Action
        From the portfolio file.
    effects : mapping of str to Effect
        From `cvmlib.decisions.effects.measure_actions`.
    """
    names, rows = tuple(effects), base.rows
    worth, segment = np.zeros((len(rows), len(names))), np.zeros((len(rows), len(names)), dtype=np.int64)
    most = np.full(worth.shape, np.inf)
    for a, name in enumerate(names):
        action, effect = actions[name], effects[name]
        fits = np.isin(rows["stage"], action.stages) if action.stages else np.ones(len(rows), dtype=bool)
        if action.affects == "leaving":
            places = place_segments(effect, rows["segment"].tolist())
            amount, fits = rows["kept"].to_numpy(float), fits & (places >= 0)
            segment[:, a], most[:, a] = np.maximum(places, 0), rows["p_leave"]
        else:
            amount = base.margins[effect.window]
        worth[:, a] = np.where(fits, np.maximum(amount, 0.0), 0.0)
    cost = np.array([actions[name].cost for name in names])
    return Opportunities(names, cost, worth, segment, most, tuple(effects.values()))


def state_limits(actions: Mapping[str, Action], names: tuple[str, ...], plan: ActionPlan, share: float = 1.0) -> Limits:
    """Limits of a period: the budget, and the capacities of channels and actions.

    Parameters
    ----------
    actions : mapping of str to Action
        From the portfolio file.
    names : tuple of str
        Those that can be taken.
    plan : ActionPlan
        From the portfolio file.
    share : float
        Factor on the budget.
    """
    labels, use, most = [], [], []
    if plan.budget is not None:
        labels.append("budget")
        use.append([actions[name].cost for name in names])
        most.append(plan.budget * share)
    for channel, capacity in plan.channels.items():
        labels.append(f"channel {channel}")
        use.append([float(actions[name].channel == channel) for name in names])
        most.append(float(capacity))
    for place, name in enumerate(names):
        if actions[name].capacity is not None:
            labels.append(f"action {name}")
            use.append([float(other == place) for other in range(len(names))])
            most.append(float(actions[name].capacity))
    shape = (len(labels), len(names))
    return Limits(tuple(labels), np.array(use, float).reshape(shape), np.array(most, float), plan.contacts_per_customer)


def count_capacity(limits: Limits, customers: int) -> float:
    """Contacts that the capacities allow in all, budget aside; at most as many as the customers may get."""
    most = float(customers * limits.per_customer)
    if not limits.use.size:
        return most
    of_action = np.full(limits.use.shape[1], most)
    total, grouped = 0.0, np.zeros(limits.use.shape[1], dtype=bool)
    for name, use, capacity in zip(limits.names, limits.use, limits.most, strict=True):
        if name.startswith("action "):
            of_action[use > 0] = np.minimum(of_action[use > 0], capacity)
    for name, use, capacity in zip(limits.names, limits.use, limits.most, strict=True):
        if name.startswith("channel "):
            total += min(capacity, of_action[use > 0].sum())
            grouped |= use > 0
    return min(total + of_action[~grouped].sum(), most)


def explain(row: Mapping, label: str, gain: float, cost: float, currency: str) -> str:
    """Say in one line why an action is recommended to a customer of a row."""
    chance = f"P(alive) {row['alive']:.0%}" if "frequency" in row else f"risk to leave {row['p_leave']:.0%}"
    return (
        f"{str(row['stage']).capitalize()}, {chance}, worth {row['value']:,.0f} {currency}: "
        f"{label} is expected to add {gain:,.2f} {currency} for {cost:,.2f} {currency}."
    )
