"""Programs of the demo company laid over what its customers did, without changing any of it.

An experiment pairs arms with outcomes. Whether the arm is drawn first and the outcome given the arm, or the outcome
first and the arm given the outcome, the pairs have the same distribution if the second step uses Bayes' rule. So the
customers' purchases stay as they are, and the arm of each is drawn with a probability that rises with what he spent in
the window: ``p + kappa * h``, where ``h`` grows with the outcome and has mean zero, and no slope, at every level of
what he had spent before. Then chance alone decides between customers of the same past, exactly as in a real holdout,
and the true effect is known: ``kappa`` is solved for it, and the mean of any variable in either arm is a mean with
known weights.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.tables.demo.campaigns import CAMPAIGNS, Campaign
from cvmlib.tables.demo.company import COMPANY
from cvmlib.tables.demo.seasons import add_days, add_months

Array = npt.NDArray[np.float64]

WINDOW_DAYS = 90
LATEST_JOIN = 30  # days before the start; whoever joined later is not eligible
LUCKY_DRAWS = 12
LOST_SHARE = 0.35
EDGE = 0.02  # the least chance of either arm
STRATA = 6
_ARMS = 100  # a stream of random numbers beyond those of the customers


class History(NamedTuple):
    """What the customers of a unit did, as recorded.

    `ids` and `joined` (datetime64[D]) have one entry per customer; `customer` (row of `ids`), `day` (datetime64[D]),
    `last` (datetime64[D], exclusive; the day after for a purchase) and `rate` (money per day) one per purchase or
    contract; `future` is what each customer brings in the 12 months after the end.
    """

    ids: npt.NDArray[np.object_]
    joined: npt.NDArray[np.datetime64]
    customer: npt.NDArray[np.int64]
    day: npt.NDArray[np.datetime64]
    last: npt.NDArray[np.datetime64]
    rate: Array
    future: Array


class Drawn(NamedTuple):
    """One program with its customers: arms by customer row, and the truth (None without two arms)."""

    campaign: Campaign
    start: np.datetime64
    rows: npt.NDArray[np.int64]
    treated: npt.NDArray[np.bool_]
    truth: dict[str, float] | None


def purchase_history(transactions: pd.DataFrame, customers: pd.DataFrame, truth: pd.DataFrame) -> History:
    """Arrange the transactions of a shop unit, in the columns of its files."""
    names = {"loyalty_card": "customer", "bought_at": "at", "ordered_at": "at"}
    log = transactions.rename(columns=names)
    value = log["basket_value"] if "basket_value" in log.columns else log["quantity"] * log["unit_price"]
    ids = customers["customer"].to_numpy(object)
    number = pd.Series(np.arange(len(ids)), index=ids)
    row = log["customer"].str.strip().map(number)
    day = pd.to_datetime(log["at"]).to_numpy().astype("datetime64[D]")
    known = row.notna().to_numpy() & ~log.duplicated().to_numpy()
    day = day[known]
    future = truth.set_index("customer")["future_value_12m_net"].reindex(ids).to_numpy(float)
    joined = pd.to_datetime(customers["joined_on"]).to_numpy().astype("datetime64[D]")
    row = row[known].to_numpy(np.int64)
    return History(ids, joined, row, day, add_days(day, 1), value[known].to_numpy(float), future)


def contract_history(subscriptions: pd.DataFrame, truth: pd.DataFrame) -> History:
    """Arrange the subscriptions of a contractual unit; fees accrue by the day."""
    ids = subscriptions["customer"].to_numpy(object)
    first = pd.to_datetime(subscriptions["activated_on"]).to_numpy().astype("datetime64[D]")
    last = pd.to_datetime(subscriptions["deactivated_on"]).to_numpy().astype("datetime64[D]")
    last = np.where(np.isnat(last), np.datetime64("2999-01-01"), last)
    future = truth.set_index("customer")["future_value_12m"].reindex(ids).to_numpy(float)
    rate = subscriptions["monthly_fee"].to_numpy(float) / 30.4375
    return History(ids, first, np.arange(len(ids)), first, last, rate, future)


def sum_between(history: History, low: np.datetime64, high: np.datetime64) -> Array:
    """Sum each customer's money from `low` to before `high`; what purchases lie after the end are not counted."""
    days = (np.minimum(history.last, high) - np.maximum(history.day, low)).astype(float)
    return np.bincount(history.customer, np.maximum(days, 0.0) * history.rate, minlength=len(history.ids))


def draw_programs(unit: str, history: History, first_future: np.datetime64, seed: int) -> list[Drawn]:
    """Draw the customers and arms of every program of a unit.

    Parameters
    ----------
    unit : str
        Name of the unit.
    history : History
        What its customers did, up to the end of observation.
    first_future : numpy.datetime64
        Day after the end of observation.
    seed : int
        Seed of the demo company.
    """
    drawn = []
    for number, campaign in enumerate(CAMPAIGNS.get(unit, ())):
        rng = open_stream(unit, seed, _ARMS, number)
        start = add_months(first_future, -campaign.months)
        drawn.append(_draw_program(campaign, history, start, rng))
    return drawn


def open_stream(unit: str, seed: int, purpose: int, number: int) -> np.random.Generator:
    """Open the random numbers of one program of a unit, independent of the customers' and of all other programs'."""
    key = (list(COMPANY).index(unit), number, purpose)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _draw_program(campaign: Campaign, history: History, start: np.datetime64, rng: np.random.Generator) -> Drawn:
    eligible = history.joined < add_days(start, -LATEST_JOIN)
    if history.last.max() > np.datetime64("2500-01-01"):  # contracts: only those that run
        running = np.zeros(len(history.ids), dtype=bool)
        running[history.customer[(history.day <= start) & (history.last > start)]] = True
        eligible &= running
    rows = np.flatnonzero(eligible)
    if not campaign.reached or len(rows) < 20:
        return Drawn(campaign, start, rows[:0], np.zeros(0, dtype=bool), None)
    before = sum_between(history, add_days(start, -WINDOW_DAYS), start)[rows]
    if campaign.design == "chosen":
        spent = sum_between(history, history.day.min(), start)[rows]
        best = spent >= np.quantile(spent, 1 - campaign.reached)
        return Drawn(campaign, start, rows, best, None)
    chosen = np.sort(rng.choice(len(rows), max(10, round(campaign.reached * len(rows))), replace=False))
    rows, before = rows[chosen], before[chosen]
    if campaign.design == "all":
        return Drawn(campaign, start, rows, np.ones(len(rows), dtype=bool), None)
    after = sum_between(history, start, add_days(start, WINDOW_DAYS))[rows]
    chance = tilt_chances(after, before, campaign.share, campaign.lift)
    treated = rng.random(len(rows)) < chance
    if campaign.fault == "lucky":
        draws = rng.random((LUCKY_DRAWS, len(rows))) < chance
        treated = draws[np.argmax([_difference(after, draw) for draw in draws])]
    truth = {
        "lift": _difference(after, chance),
        "base": float(np.average(after, weights=1 - chance)),
        "future": _difference(history.future[rows], chance),
    }
    if campaign.fault == "lost":
        kept = ~(treated & (before <= np.quantile(before, 0.5)) & (rng.random(len(rows)) < LOST_SHARE))
        rows, treated = rows[kept], treated[kept]
    return Drawn(campaign, start, rows, treated, truth)


def _difference(values: Array, chance: Array) -> float:
    """Mean of the treated less mean of the others, each customer counting with his chance."""
    return float(np.average(values, weights=chance) - np.average(values, weights=1 - chance))


def tilt_chances(after: Array, before: Array, share: float, lift: float) -> Array:
    """Return each customer's chance to have been treated, so that the treated spend `lift` more than the others.

    Parameters
    ----------
    after, before : array, shape (customers,)
        Money in the window and in the equal period before it.
    share : float
        Share treated: the chance at every level of `before`.
    lift : float
        True effect, as a share of the mean of those who are not treated. Chances stay within `EDGE` of the impossible,
        so a lift can be too large to be had.
    """
    if not lift:
        return np.full(len(after), share)
    h = after / (np.abs(after) + max(np.abs(after).mean(), 1e-12))
    edges = np.quantile(before[before > 0], np.linspace(0, 1, STRATA)[1:-1]) if (before > 0).any() else []
    stratum = np.where(before > 0, 1 + np.searchsorted(edges, before, side="right"), 0)
    for level in np.unique(stratum):
        inside = stratum == level
        x, y = before[inside], h[inside]
        slope = np.cov(x, y)[0, 1] / x.var(ddof=1) if inside.sum() > 2 and x.std() > 1e-9 else 0.0
        h[inside] = y - y.mean() - slope * (x - x.mean())
    joint = float((after * h).mean())
    kappa = lift * after.mean() / (joint * (1 / (share * (1 - share)) + lift / (1 - share)))
    return np.clip(share + kappa * h, EDGE, 1 - EDGE)
