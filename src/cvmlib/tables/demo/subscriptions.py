"""Subscriptions of a contractual unit: beta-discrete-Weibull churn with covariates, and failing payments."""

from typing import NamedTuple

import numpy as np

from cvmlib.tables.demo.company import MobileUnit, normalised
from cvmlib.tables.demo.customers import People
from cvmlib.tables.demo.seasons import FUTURE_MONTHS, Calendar, add_days, add_months
from cvmlib.tables.demo.truth import HORIZON_MONTHS, discount_factor

_LONGEST = 600  # months; a subscription that would last longer never ends


class Subscriptions(NamedTuple):
    """One chunk of subscriptions, arrays of shape (customers,); `months` is the number of months paid until the end.

    `theta` is the monthly churn probability at unit multiplier, `multiplier` the covariates' product of hazards.
    """

    activated: np.ndarray
    deactivated: np.ndarray
    voluntary: np.ndarray
    months: np.ndarray
    fee: np.ndarray
    theta: np.ndarray
    multiplier: np.ndarray


class FutureFees(NamedTuple):
    """Months paid and fees after the end, within the horizon: arrays of shape (customers,); totals of shape (36, 2)."""

    months: np.ndarray
    value: np.ndarray
    value_discounted: np.ndarray
    by_month: np.ndarray


def cumulative_hazard(unit: MobileUnit, months: int) -> np.ndarray:
    """Compute G(1), ..., G(months): minus the log survival of a customer per unit of ``-log(1 - theta)``."""
    t = np.arange(1, months + 1)
    bump = np.where(np.isin(t, unit.contract_months), unit.contract_bump, 1.0)
    bump[0] = unit.first_month
    return np.cumsum(bump * (t**unit.c - (t - 1) ** unit.c))


def hazard_multipliers(unit: MobileUnit, people: People) -> np.ndarray:
    """Multiply the hazard multipliers of each customer's covariate levels (mean 1 over each covariate)."""
    effects = normalised(unit.covariates)
    return np.exp(sum(np.array(list(effects[n].values()))[people.levels[n]] for n in unit.covariates))


def draw_subscriptions(rng: np.random.Generator, unit: MobileUnit, people: People, calendar: Calendar) -> Subscriptions:
    """Draw when each subscription ends, and whether the customer left or the payment failed."""
    size = len(people.joined)
    theta = np.clip(rng.beta(unit.a, unit.b, size), 1e-12, 1 - 1e-12)
    multiplier = hazard_multipliers(unit, people)
    allowed = rng.exponential(size=size) / (-np.log1p(-theta) * multiplier)
    leaves = np.searchsorted(cumulative_hazard(unit, _LONGEST), allowed) + 1
    fails = rng.geometric(unit.payment_failure, size) if unit.payment_failure > 0 else np.full(size, _LONGEST + 1)
    months = np.minimum(leaves, fails)
    activated = add_days(calendar.start, np.floor(people.joined))
    fees = np.array([unit.fees[plan] for plan in unit.covariates["plan"]])
    return Subscriptions(
        activated=activated,
        deactivated=add_months(activated, months),
        voluntary=leaves <= fails,
        months=months,
        fee=fees[people.levels["plan"]],
        theta=theta,
        multiplier=multiplier,
    )


def count_fees(subscriptions: Subscriptions, calendar: Calendar) -> FutureFees:
    """Count the fees charged after the end of observation: one on the first day of each month of the subscription."""
    size = len(subscriptions.months)
    first_future = calendar.first_future.astype("datetime64[M]").astype(int)
    number = first_future - subscriptions.activated.astype("datetime64[M]").astype(int)
    number = np.where(add_months(subscriptions.activated, number) < calendar.first_future, number + 1, number)
    paid, value, discounted = np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size)
    by_month = np.zeros((FUTURE_MONTHS, 2))
    for _ in range(FUTURE_MONTHS + 1):
        days = (add_months(subscriptions.activated, number) - calendar.first_future).astype(int)
        month = np.searchsorted(calendar.months_ahead - calendar.days, days, side="right") - 1
        charged = (number < subscriptions.months) & (month < FUTURE_MONTHS)
        within = charged & (month < HORIZON_MONTHS)
        paid += within
        value += subscriptions.fee * within
        discounted += subscriptions.fee * within * discount_factor(days + 1)
        by_month[:, 0] += np.bincount(month[charged], minlength=FUTURE_MONTHS)
        by_month[:, 1] += np.bincount(month[charged], subscriptions.fee[charged], minlength=FUTURE_MONTHS)
        number = number + 1
    return FutureFees(paid, value.round(2), discounted.round(4), by_month)
