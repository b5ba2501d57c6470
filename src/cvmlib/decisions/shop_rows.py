"""Count rows of a shop with everything the parts of value need: value ahead, gap to others, type and tier."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cvmlib.business_unit import BusinessUnit
from cvmlib.clv.live import Live
from cvmlib.decisions.latent import Rates, infer_spend, infer_unit_rates
from cvmlib.decisions.potential import Gaps, group_comparable, measure_gaps
from cvmlib.decisions.tiers import Tiers, assign_tiers, set_tiers
from cvmlib.decisions.types import TYPES, Lines, assign_types, draw_lines

Array = npt.NDArray[np.float64]

KEYS = ("pattern", "frequency", "recency", "T", "monetary_value")


@dataclass(frozen=True)
class Scored:
    """Scored count rows of one unit.

    Parameters
    ----------
    keys : tuple of str
        Columns by which rows and customers are joined.
    rows : DataFrame
        The keys, customers, current with _low and _high (value ahead, money), potential with _low and _high,
        gap (money per purchase, or per month), gap_chance, spend_each, margin_each, often, margin_year (expected),
        and the probabilities ``type_<name>`` and ``tier_<name>``.
    lines, tiers : Lines, Tiers
        What types and tiers go by.
    current, potential : array, shape (draws,)
        Totals of the unit, an outcome per draw, the same draws in both.
    each : str
        What `margin_each` and `gap` are per: ``"purchase"`` or ``"month"``.
    cost_each : float
        Cost of one (money).
    """

    keys: tuple[str, ...]
    rows: pd.DataFrame
    lines: Lines
    tiers: Tiers
    current: Array
    potential: Array
    each: str
    cost_each: float

    @property
    def type_chances(self) -> Array:
        """Probabilities of the types, shape (rows, 4)."""
        return self.rows[[f"type_{name}" for name in TYPES]].to_numpy(float)

    @property
    def tier_chances(self) -> Array:
        """Probabilities of the tiers, shape (rows, tiers)."""
        return self.rows[[f"tier_{name}" for name in self.tiers.names]].to_numpy(float)


def score_shop(live: Live, unit: BusinessUnit, rows: pd.DataFrame, totals: pd.DataFrame, seed: int = 1) -> Scored:
    """Score the count rows of a shop.

    Parameters
    ----------
    live : Live
        The unit's saved posterior.
    unit : BusinessUnit
        Its criteria of types and tiers.
    rows : DataFrame
        `KEYS`, customers, p_alive, expected_purchases, value with _low and _high, as the study of the unit saved them.
    totals : DataFrame
        Simulated totals of the unit: ``value`` and ``purchases``.
    seed : int
        Of what is drawn.
    """
    terms, customers = live.terms, rows["customers"].to_numpy(dtype=float)
    rates, spend = infer_unit_rates(live, rows), infer_spend(live.spend, rows)
    margin = terms.kept * spend.moment(1) - terms.per_transaction
    often = rates.moment(1)
    year = often * margin - terms.per_customer_year * rates.moment(0)
    there = customers * rates.moment(0)
    lines = draw_lines(margin, often, customers, unit.types)
    tiers = set_tiers(unit.tiers, float(year @ customers / max(there.sum(), 1e-9)))
    ahead = _moments_ahead(rows, rates, live, margin)
    gaps = measure_gaps(rows, live.spend, group_comparable(rows, live.spend), seed)
    potential, deviation = _value_gaps(gaps, ahead, terms.kept)
    found = rows[[*KEYS, "customers"]].assign(
        current=rows["value"],
        current_low=rows["value_low"],
        current_high=rows["value_high"],
        potential=potential,
        **_gamma_interval(potential, deviation, terms.tails),
        gap=gaps.mean,
        gap_chance=gaps.chance,
        spend_each=spend.moment(1),
        margin_each=margin,
        often=often,
        margin_year=year,
        **_columns("type", TYPES, assign_types(rates, spend, terms, lines)),
        **_columns("tier", tiers.names, assign_tiers(rates, spend, terms, tiers)),
    )
    drawn = _draw_potential(gaps, ahead, customers, totals, live, deviation, seed)
    return Scored(
        KEYS, found, lines, tiers, totals["value"].to_numpy(dtype=float), drawn, "purchase", terms.per_transaction
    )


def _columns(kind: str, names: tuple[str, ...], chances: Array) -> dict[str, Array]:
    return {f"{kind}_{name}": chances[:, place] for place, name in enumerate(names)}


def _moments_ahead(rows: pd.DataFrame, rates: Rates, live: Live, margin: Array) -> dict[str, Array]:
    """Mean and second moment of the purchases ahead of one customer of each row, discounted.

    Given his rate, purchases are taken as Poisson with a mean in proportion to it.
    """
    terms, mean = live.terms, rows["expected_purchases"].to_numpy(dtype=float)
    value, customers = rows["value"].to_numpy(dtype=float), rows["customers"].to_numpy(dtype=float)
    undiscounted = float(customers @ (mean * margin))
    years = live.months / 12
    force = np.log1p(terms.discount_rate)
    discount = -np.expm1(-force * years) / (force * years) if force else 1.0
    if not terms.per_customer_year and undiscounted > 0:
        discount = float(np.clip(value @ customers / undiscounted, 0.8 * discount, 1.0))
    first, second = rates.moment(1), rates.moment(2)
    square = mean + mean**2 * second / np.maximum(first**2, 1e-12)
    return {"purchases": mean, "discounted": mean * discount, "square": square * discount**2}


def _value_gaps(gaps: Gaps, ahead: dict[str, Array], kept: float) -> tuple[Array, Array]:
    """Potential of one customer of each row and its standard deviation (money)."""
    mean = kept * gaps.mean * ahead["discounted"]
    square = kept**2 * (gaps.mean**2 + gaps.spread**2) * ahead["square"]
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def _gamma_interval(mean: Array, deviation: Array, tails: tuple[float, float]) -> dict[str, Array]:
    """Ends of the interval of a gamma distribution of this mean and standard deviation."""
    some = (mean > 0) & (deviation > 0)
    shape = np.where(some, mean, 1.0) ** 2 / np.where(some, deviation, 1.0) ** 2
    scale = np.where(some, mean, 1.0) / shape
    low, high = (np.where(some, special.gammaincinv(shape, tail) * scale, mean) for tail in tails)
    return {"potential_low": low, "potential_high": high}


def _draw_potential(
    gaps: Gaps, ahead: dict[str, Array], customers: Array, totals: pd.DataFrame, live: Live, deviation: Array, seed: int
) -> Array:
    """Draw the potential of all customers: parameters, purchases in all, returns, customers' own differences."""
    rng = np.random.default_rng([seed, 7])
    bought = totals["purchases"].to_numpy(dtype=float)
    expected = float(customers @ ahead["purchases"])
    each = gaps.draws @ (customers * ahead["discounted"])
    chosen = rng.integers(len(each), size=len(bought))
    typical = float(customers @ (gaps.mean * ahead["discounted"])) / max(float(customers @ ahead["discounted"]), 1e-9)
    count = np.maximum(ahead["square"] - ahead["discounted"] ** 2, 0.0)  # what the total of the purchases holds already
    own = np.maximum(deviation**2 - (2 * gaps.mean * typical - typical**2) * live.terms.kept**2 * count, 0.0)
    noise = np.sqrt(float(customers @ own)) * rng.standard_normal(len(bought))
    kept = live.terms.draw_kept(len(bought), rng)
    return kept * each[chosen] * bought / max(expected, 1e-9) + noise
