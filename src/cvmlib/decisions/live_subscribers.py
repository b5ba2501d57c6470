"""Subscribers between two fits: their plans, prices and months, and the saved scores of every plan and tenure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cvmlib.churn.months import closing_day, month_index
from cvmlib.churn.prepare import unit_folder
from cvmlib.decisions.base import MONTH_DAYS, read_spells
from cvmlib.decisions.segments import NONE, read_criteria, segment_subscriber
from cvmlib.decisions.stages import stage_subscribers
from cvmlib.errors import DataError
from cvmlib.portfolio import Portfolio

DAY = 86_400


@dataclass
class Spell:
    """One active subscription; `tenure` is that at the end of observation, and below zero for one that began later."""

    plan: str
    tenure: int
    price: float
    p_leave: float = 0.0
    months_lost: float = 0.0


class Subscribers:
    """The subscribers of one unit on one day; those who left are known, with no subscription.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        A contractual unit that has been fitted.
    """

    def __init__(self, portfolio: Portfolio, unit: str) -> None:
        folder, settings = unit_folder(portfolio, unit), portfolio.units[unit]
        totals = json.loads((folder / "totals.json").read_text(encoding="utf-8"))
        live = pd.read_parquet(folder / "live.parquet")
        self._criteria, self._margin = read_criteria(portfolio, unit), settings.margin
        self._cost = settings.costs.per_customer_year / 12 + settings.costs.per_transaction
        self._end = pd.Timestamp(totals["end_of_observation"])
        self._closing = closing_day(self._end.date())
        self._end_month = month_index(self._end.date(), self._closing)
        self._seconds, self._later = int(self._end.timestamp()), 0
        self._paid = [name for name in live.columns if name.startswith("paid_")]
        self._scores = {(row["plan"], row["tenure"]): row for row in live.to_dict("records")}
        self._longest = int(live["tenure"].max())
        self.plans = tuple(dict.fromkeys(live["plan"]))
        spells = read_spells(portfolio, unit)
        self.known: dict[str, list[Spell]] = {name: [] for name in _read_names(portfolio, unit)}
        for row in spells.itertuples():
            spell = Spell(row.plan, int(row.tenure), float(row.price), float(row.p_leave), float(row.months_lost))
            self.known[str(row.customer_id)].append(spell)
        merged = spells.merge(live[["plan", "tenure", "hazard"]], on=["plan", "tenure"])
        self._usual = float(merged["hazard"].mean())

    @property
    def now(self) -> pd.Timestamp:
        """Day as of which is scored."""
        return pd.Timestamp(self._seconds, unit="s")

    def period(self, seconds: float) -> int:
        """Start of the day that holds a time."""
        return int(seconds // DAY) * DAY

    def open(self, seconds: int, foresee: bool = True) -> None:
        """Go on to a later day."""
        self._seconds = seconds
        self._later = month_index(pd.Timestamp(seconds, unit="s").date(), self._closing) - self._end_month

    def change(self, name: str, event: Mapping) -> None:
        """Take note of a new plan or price, of a new subscription, or of its end.

        Raises
        ------
        DataError
            The plan is not known to the model.
        """
        spells = self.known[name]
        plan, price = event.get("plan"), event.get("price")
        if plan is not None and plan not in self.plans:
            raise DataError(
                f'customer {name}: found the plan "{plan}"; the posterior knows {", ".join(self.plans)}. A new plan is '
                "scored from the next fit on."
            )
        if event.get("ended"):
            spells.clear()
        elif spells:
            spells[0].plan = plan or spells[0].plan
            spells[0].price = float(price) if price is not None else spells[0].price
        elif plan is not None or price is not None:
            spells.append(Spell(plan or self.plans[0], -self._later, float(price or 0.0)))

    def score(self, name: str) -> dict[str, float | str | int]:
        """Scores of one subscriber: what the triggers may name."""
        found = [(self._of(spell), spell, self._monthly(spell)) for spell in self.known[name]]
        if not found:
            return {"hazard": 1.0, "probability_active": 0.0, "value": 0.0, "tenure": 0, "price": 0.0, "plan": "",
                    "stage": "left", **NONE}  # fmt: skip
        values = [monthly * score["discounted_months"] for score, _, monthly in found]
        score, spell, _ = found[int(np.argmax(values))]
        tenure = max(spell.tenure + self._later for _, spell, _ in found)
        price, stays = sum(spell.price for _, spell, _ in found), max(one["p_active"] for one, _, _ in found)
        monthly = self._margin * price - self._cost * len(found)
        return {
            "hazard": score["hazard"],
            "probability_active": stays,
            "value": sum(values),
            "tenure": tenure,
            "price": price,
            "plan": spell.plan,
            "stage": str(stage_subscribers(score["hazard"], spell.tenure + self._later, self._usual)),
            **(segment_subscriber(self._criteria, monthly, stays) if self._criteria else NONE),
        }

    def margin(self, name: str, window: float) -> float:
        """Margin that a subscriber brings untreated within `window` days."""
        months = min(max(window / MONTH_DAYS, 0.0), len(self._paid))
        low = int(np.floor(months))
        high = min(low + 1, len(self._paid))
        total = 0.0
        for spell in self.known[name]:
            paid = [0.0, *(self._of(spell)[column] for column in self._paid)]
            total += self._monthly(spell) * (paid[low] + (months - low) * (paid[high] - paid[low]))
        return total

    def loss(self, name: str) -> tuple[float, float, tuple]:
        """What a saved leaver keeps (money), the probability to leave, and the segment: plan and year of tenure."""
        spells = self.known[name]
        if not spells:
            return 0.0, 0.0, ()
        kept = sum(self._monthly(spell) * spell.months_lost for spell in spells)
        best = max(spells, key=lambda spell: self._monthly(spell) * self._of(spell)["discounted_months"])
        return kept, best.p_leave, (best.plan, (best.tenure + self._later) // 12)

    def _of(self, spell: Spell) -> Mapping:
        return self._scores[spell.plan, min(max(spell.tenure + self._later, 0), self._longest)]

    def _monthly(self, spell: Spell) -> float:
        return self._margin * spell.price - self._cost


def _read_names(portfolio: Portfolio, unit: str) -> list[str]:
    table = pd.read_parquet(unit_folder(portfolio, unit) / "subscribers.parquet", columns=["customer_id"])
    return table["customer_id"].astype(str).unique().tolist()
