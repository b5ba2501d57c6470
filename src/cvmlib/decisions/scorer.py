"""Scores in real time: after each event one customer's value, chance to be alive, stage, next action and triggers."""

import datetime
from collections.abc import Mapping
from typing import Any

from cvmlib.decisions.live_buyers import Buyers
from cvmlib.decisions.live_subscribers import Subscribers
from cvmlib.decisions.plan_results import UnitPlan, has_plan, load_plan
from cvmlib.decisions.triggers import read_triggers
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio

Event = Mapping[str, Any]
Scores = dict[str, Any]

_EPOCH = datetime.datetime(1970, 1, 1)


class Scorer:
    """Scores the customers of one unit from its saved posterior.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of a unit that has been fitted.
    foresee : bool
        Whether what every customer would be worth after an event is worked out when a day begins, so that each event
        is a look-up; otherwise it is worked out when it comes.

    Raises
    ------
    UnfitModelError
        The unit has not been fitted.
    ConfigError
        A trigger cannot be read.
    """

    def __init__(self, portfolio: Portfolio, unit: str, foresee: bool = True) -> None:
        settings = portfolio.units[unit]
        self.unit, self._foresee = unit, foresee
        self._triggers = read_triggers(settings)
        self._plan = load_plan(portfolio, unit) if has_plan(portfolio, unit) else None
        self._actions = _lay_out_actions(self._plan, settings.actions) if self._plan else []
        self._spared = _read_spared(self._plan) if self._plan else {}
        self._buying = settings.setting == "noncontractual"
        windows = [action["window"] for action in self._actions if action["affects"] == "spending"]
        self._base = Buyers(portfolio, unit, windows) if self._buying else Subscribers(portfolio, unit)
        self._events: dict[str, int] = {}
        self._first = int(self._base.now.timestamp())
        if foresee and self._buying:
            self._base.foresee()

    @property
    def customers(self) -> int:
        """How many customers are known."""
        return len(self._base.known)

    def score(self, customer_id: str) -> Scores:
        """Score one customer as of the latest day.

        Raises
        ------
        DataError
            The customer is not known.
        """
        self._require(customer_id)
        scores = self._base.score(customer_id)
        scores["action"], gain = self._next_action(customer_id, scores)
        fired = [name for name, test in self._triggers.items() if test(scores)]
        return {"customer_id": customer_id, **scores, "action_gain": gain, "triggers": fired}

    def update(self, event: Event) -> Scores:
        """Take note of an event, and score its customer as of that day, or of the latest day if that is later.

        Parameters
        ----------
        event : mapping
            customer_id and date (ISO text, date or datetime); of a purchase also value (money; negative is a return);
            of a subscription what changed: plan, price (per month), or ended (true).

        Raises
        ------
        DataError
            The customer is not known, a field is missing or no number, or the event is dated before the customer's
            last one.
        """
        name = str(_take(event, "customer_id"))
        self._require(name)
        period = self._base.period(_read_time(_take(event, "date"), name))
        last = self._base.known[name].last if self._buying else self._events.get(name, self._first)
        if period < last:
            raise DataError(
                f"customer {name}: the event is dated {_say(period)}, before the last one known of him, {_say(last)}. "
                "Events must come in the order of time; the next fit takes late ones into account."
            )
        if period > int(self._base.now.timestamp()):
            self._base.open(period, self._foresee)
        if self._buying:
            self._base.buy(name, period, _read_number(_take(event, "value"), "value", name))
        else:
            self._base.change(name, event)
            self._events[name] = period
        return self.score(name)

    def _require(self, name: str) -> None:
        if name not in self._base.known:
            some = ", ".join(list(self._base.known)[:3])
            raise DataError(
                f'customer_id "{name}" is not among the {self.customers:,} customers of {self.unit} that the posterior '
                f"was fitted to (such as {some}). A new customer is scored from the next fit on."
            )

    def _next_action(self, name: str, scores: Scores) -> tuple[str, float]:
        """Action worth most at the prices of the plan's limits; none where nothing pays, or the customer is spared."""
        if name in self._spared:
            return self._spared[name], 0.0
        best, found = 0.0, ("", 0.0)
        for action in self._actions:
            if action["stages"] and scores["stage"] not in action["stages"]:
                continue
            gain = self._gain(name, action)
            worth = gain - action["price"]
            if worth > best and gain > action["cost"]:
                best, found = worth, (action["name"], gain - action["cost"])
        return found

    def _gain(self, name: str, action: Mapping) -> float:
        if action["affects"] == "spending":
            return max(self._base.margin(name, action["window"]), 0.0) * action["effects"][()]
        kept, p_leave, segment = self._base.loss(name)
        return max(kept, 0.0) * min(action["effects"].get(segment, 0.0), p_leave)


def _lay_out_actions(plan: UnitPlan, actions: Mapping) -> list[dict]:
    """Of each planned action its effect by segment, its cost, and its cost at the prices of the limits."""
    limits = {limit["name"]: limit["price"] for limit in plan.totals["limits"]}
    found = []
    for name, effect in plan.totals["effects"].items():
        action = actions.get(name)
        if action is None:
            continue
        price = action.cost * (1 + limits.get("budget", 0.0)) + limits.get(f"channel {action.channel}", 0.0)
        segments = [tuple(key) for key in effect["segments"]]
        found.append(
            {
                "name": name,
                "affects": action.affects,
                "stages": frozenset(action.stages),
                "window": plan.totals["windows"][name],
                "effects": dict(zip(segments, effect["mean"], strict=True)),
                "cost": action.cost,
                "price": price + limits.get(f"action {name}", 0.0),
            }
        )
    return found


def _read_spared(plan: UnitPlan) -> dict[str, str]:
    spared = plan.contacts[plan.contacts["arm"].isin(["held out", "resting"])]
    return dict(zip(spared["customer_id"].astype(str), spared["arm"], strict=True))


def _take(event: Event, field: str) -> Any:
    value = event.get(field)
    if value is None or value == "":
        who = f"customer {event['customer_id']}: " if event.get("customer_id") else ""
        raise DataError(f"{who}an event has no {field}; its fields are {', '.join(map(str, event)) or 'none'}.")
    return value


def _read_number(value: Any, field: str, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not abs(number) < float("inf"):
        raise DataError(f'customer {name}: found {field} "{value}"; expected a number.')
    return number


def _read_time(value: Any, name: str) -> float:
    """Seconds since 1970 of a date or time; a time with a zone is taken in that zone."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise DataError(f'customer {name}: found date "{value}"; expected one such as 2026-07-01.') from None
    if isinstance(value, datetime.datetime):
        return (value.replace(tzinfo=None) - _EPOCH).total_seconds()
    if isinstance(value, datetime.date):
        return (datetime.datetime(value.year, value.month, value.day) - _EPOCH).total_seconds()
    raise DataError(f'customer {name}: found date "{value}"; expected one such as 2026-07-01.')


def _say(seconds: int) -> str:
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return moment.date().isoformat() if moment.time() == datetime.time() else moment.isoformat(sep=" ")
