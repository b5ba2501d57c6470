"""The truth about potential and influence: what customers would spend like others, and whom they will yet bring.

Both are laid beside the tables, drawn from random numbers of their own, so that no table changes. Potential is a
customer's expected gap per purchase (or month) to one drawn at random among all customers there are, who are alike but
for chance, times his real purchases of the next 12 months. Referrals go on for these 12 months as they came about in
the history: new customers join at the unit's growing pace, and some of them by an earlier customer.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import special

from cvmlib.tables.demo.company import COMPANY, MobileUnit, ShopUnit
from cvmlib.tables.demo.customers import REFERRED_SHARE, People, draw_people
from cvmlib.tables.demo.purchases import draw_buyers, draw_purchases
from cvmlib.tables.demo.seasons import Calendar, add_months, build_calendar
from cvmlib.tables.demo.subscriptions import draw_subscriptions
from cvmlib.tables.demo.truth import HORIZON_MONTHS, discount_factor

_PURPOSE = 201
_YEAR = 365.25


def value_files(folder: Path, seed: int, end: date, years: int) -> Iterator[tuple[str, pa.Table]]:
    """Yield path and content of the truth about potential and influence of every unit, made from its files.

    Parameters
    ----------
    folder : Path
        Where the demo company's tables are.
    seed, end, years : int, datetime.date, int
        Those of its simulation.
    """
    for name, unit in COMPANY.items():
        truth = pd.read_parquet(folder / "truth" / name / "customers.parquet")
        people = pd.read_parquet(folder / name / "customers.parquet", columns=["customer"])
        if isinstance(unit, MobileUnit):
            behaviour = pd.read_parquet(folder / name / "subscriptions.parquet", columns=["customer", "monthly_fee"])
            truth = truth.merge(behaviour, on="customer", validate="1:1")
        rng = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_PURPOSE, list(COMPANY).index(name))))
        )
        yield f"truth/{name}/value_parts.parquet", value_table(unit, truth, people["customer"], rng, end, years)


def value_table(
    unit: ShopUnit | MobileUnit,
    truth: pd.DataFrame,
    customers: pd.Series,
    rng: np.random.Generator,
    end: date,
    years: int,
) -> pa.Table:
    """Build the truth of one unit.

    Parameters
    ----------
    unit : ShopUnit or MobileUnit
        Its true parameters.
    truth : DataFrame
        Truth of its customers, with ``monthly_fee`` of subscribers.
    customers : Series
        Customers in the order in which they joined.
    rng : numpy Generator
        Source of randomness.
    end, years : datetime.date, int
        End and length of the history.

    Returns
    -------
    pyarrow Table
        customer, wallet_gap (money per purchase or month), potential_12m_discounted (money bought, before returns and
        margin), referrals_12m (new customers he brings), referral_value_12m_discounted (money these buy in their first
        12 months) and referral_purchases_12m_discounted (how often); discounted to the end of observation.
    """
    truth = truth.set_index("customer").loc[customers]
    gap = wallet_gap(unit, truth)
    referrer, value, purchases = draw_coming(unit, truth, rng, end, years)
    size = len(truth)
    known = referrer >= 0

    def total(weights: np.ndarray) -> np.ndarray:
        return np.bincount(referrer[known], weights[known], minlength=size)

    return pa.table(
        {
            "customer": customers.to_numpy(),
            "wallet_gap": gap.round(6),
            "potential_12m_discounted": (gap * _discounted_purchases(unit, truth)).round(6),
            "referrals_12m": total(np.ones(len(referrer))).astype(np.int64),
            "referral_value_12m_discounted": total(value).round(4),
            "referral_purchases_12m_discounted": total(purchases).round(6),
        }
    )


def wallet_gap(unit: ShopUnit | MobileUnit, truth: pd.DataFrame) -> np.ndarray:
    """Compute each customer's expected gap to another one: ``E[(other - own)^+]``, in money per purchase or month."""
    if isinstance(unit, MobileUnit):
        fee, alive = truth["monthly_fee"].to_numpy(dtype=float), truth["alive"].to_numpy(dtype=bool)
        prices, number = np.unique(fee[alive], return_counts=True)
        return np.maximum(prices - fee[:, None], 0.0) @ (number / max(alive.sum(), 1))
    own, theta, q = truth["mean_spend"].to_numpy(dtype=float), unit.spend.p * unit.spend.v, unit.spend.q
    return theta / (q - 1) * special.gammainc(q - 1, theta / own) - own * special.gammainc(q, theta / own)


def _discounted_purchases(unit: ShopUnit | MobileUnit, truth: pd.DataFrame) -> np.ndarray:
    """Real purchases (or months paid) of the next 12 months, each discounted."""
    if isinstance(unit, MobileUnit):
        return truth["future_value_12m_discounted"].to_numpy(float) / truth["monthly_fee"].to_numpy(float)
    gross = truth["future_value_12m_gross"].to_numpy(float)
    discount = truth["future_value_12m_gross_discounted"].to_numpy(float) / np.where(gross > 0, gross, 1.0)
    return truth["future_purchases_12m"].to_numpy(float) * discount


def draw_coming(
    unit: ShopUnit | MobileUnit, truth: pd.DataFrame, rng: np.random.Generator, end: date, years: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw who joins in the next 12 months: place of the referrer (-1: nobody here), money and purchases of each."""
    calendar, split = _longer_calendar(unit, end, years)
    people = _draw_newcomers(unit, len(truth), calendar, split, rng)
    if isinstance(unit, MobileUnit):
        merit = 1 / truth["hazard_multiplier"].to_numpy(dtype=float)
        subscriptions = draw_subscriptions(rng, unit, people, calendar)
        month = np.arange(HORIZON_MONTHS)
        paid = (month < subscriptions.months[:, None]) * discount_factor(
            people.joined[:, None] - split + month * _YEAR / 12
        )
        purchases = paid.sum(axis=1)
        value, own = purchases * subscriptions.fee, 1 / subscriptions.multiplier
    else:
        merit = truth["purchase_rate"].to_numpy(dtype=float)
        buyers = draw_buyers(rng, people.effect, unit.buying, unit.spend)
        bought = draw_purchases(rng, people.joined, buyers, unit.buying, unit.spend, calendar)
        early = bought.time < people.joined[bought.customer] + _YEAR
        weight = early * discount_factor(bought.time - split)
        purchases = np.bincount(bought.customer, weight, minlength=len(people.joined))
        value, own = np.bincount(bought.customer, weight * bought.value, minlength=len(people.joined)), buyers.rate
    return _choose_referrers(unit, people, merit, own, rng), value, purchases


def _longer_calendar(unit: ShopUnit | MobileUnit, end: date, years: int) -> tuple[Calendar, int]:
    """Calendar whose history has the next 12 months too, and the day on which these begin."""
    first = add_months(np.datetime64(end, "D") + np.timedelta64(1, "D"), np.array([HORIZON_MONTHS]))[0]
    later = (first - np.timedelta64(1, "D")).astype("datetime64[D]").astype(date)
    calendar = build_calendar(later, years + 1, unit.season)
    split = int((np.datetime64(end, "D") + np.timedelta64(1, "D") - calendar.start).astype(int))
    return calendar, split


def _draw_newcomers(
    unit: ShopUnit | MobileUnit, customers: int, calendar: Calendar, split: int, rng: np.random.Generator
) -> People:
    """Draw who joins after `split`, at the pace of the history."""
    acquisition = unit.acquisition
    if acquisition.months is not None:
        acquisition = replace(acquisition, months=acquisition.months + HORIZON_MONTHS)
    weights = calendar.acquisition_weights(acquisition.growth, acquisition.seasonal, acquisition.months)
    everybody = draw_people(
        rng, rng.poisson(customers * weights.sum() / weights[:split].sum()), acquisition, unit.covariates, calendar
    )
    late = everybody.joined >= split
    levels = {name: level[late] for name, level in everybody.levels.items()}
    return People(everybody.joined[late], levels, everybody.effect[late], everybody.cost[late])


def _choose_referrers(
    unit: ShopUnit | MobileUnit, people: People, merit: np.ndarray, own: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Referrer of each newcomer among those who came before, in proportion to merit; -1 for none or a newcomer."""
    channel = list(unit.covariates["acquisition_channel"]).index("referral")
    size = len(people.joined)
    recorded = (people.levels["acquisition_channel"] == channel) & (rng.random(size) < REFERRED_SHARE)
    upto = np.cumsum(np.concatenate([merit, own]))
    before = upto[len(merit) - 1 : len(merit) - 1 + size]
    chosen = np.searchsorted(upto, rng.random(size) * before, side="right")
    return np.where(recorded & (chosen < len(merit)), chosen, -1)
