"""The demo company: its four business units and their true parameters, which no model ever reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

# Orders by hour of the day, midnight first: an online shop sells in the evening, a supermarket while it is open.
ONLINE_HOURS = (2, 1, 1, 0.5, 0.5, 1, 2, 3, 4, 5, 6, 6, 6, 6, 5, 5, 5, 6, 7, 9, 11, 10, 7, 4)
STORE_HOURS = (0, 0, 0, 0, 0, 0, 0, 3, 5, 6, 7, 7, 6, 5, 5, 6, 8, 10, 10, 7, 4, 1, 0, 0)


@dataclass(frozen=True)
class Season:
    """How a unit's purchase intensity moves over the calendar; its mean is 1 over each year of the simulation.

    Parameters
    ----------
    annual : float
        Height of the yearly cosine wave (0.25 = +25% at the top, -25% at the bottom).
    annual_top : int
        Day of the year at which that wave is highest.
    peak, dip : float
        Rise between 20 November and 23 December, and fall between 2 and 31 January, as shares.
    weekend : float
        Rise on Saturday and Sunday, as a share.
    hours : tuple of 24 floats
        Relative intensity of the hours of a day.
    """

    annual: float
    annual_top: int
    peak: float
    dip: float
    weekend: float
    hours: tuple[float, ...] = ONLINE_HOURS


@dataclass(frozen=True)
class Buying:
    """BG/NBD behaviour (Fader, Hardie and Lee 2005), with Erlang instead of exponential gaps when `erlang_shape` > 1.

    Parameters
    ----------
    rate_per_year : float
        Mean purchases a year of a living customer.
    rate_shape : float
        Shape r of the gamma distribution of rates.
    dropout_mean, dropout_concentration : float
        Mean a / (a + b) and a + b of the beta distribution of the dropout probability after each repeat purchase.
    erlang_shape : int
        1 gives a Poisson process; k gives gaps with coefficient of variation 1 / sqrt(k).
    """

    rate_per_year: float
    rate_shape: float
    dropout_mean: float
    dropout_concentration: float
    erlang_shape: int = 1

    @property
    def symbols(self) -> dict[str, float]:
        """The published symbols: r, alpha (days), a, b."""
        a = self.dropout_mean * self.dropout_concentration
        alpha = self.rate_shape / (self.rate_per_year / 365.25)
        return {"r": self.rate_shape, "alpha": alpha, "a": a, "b": self.dropout_concentration - a}


@dataclass(frozen=True)
class Spend:
    """Gamma-Gamma spend per purchase (Fader and Hardie 2013): shape p within, q across customers, mean in currency."""

    p: float
    q: float
    mean: float

    @property
    def v(self) -> float:
        """Scale v of the distribution across customers, in currency: mean = p v / (q - 1)."""
        return self.mean * (self.q - 1) / self.p


@dataclass(frozen=True)
class Level:
    """One level of a covariate: its share of customers, its effect on the log rate (or log hazard), its cost."""

    share: float
    effect: float
    cost: float = 0.0


Covariates = Mapping[str, Mapping[str, Level]]


@dataclass(frozen=True)
class Dirt:
    """Share of rows with each kind of fault, and the least number of them; `padded` and `late` are always few."""

    missing_id: float = 0.006
    duplicate: float = 0.003
    zero_value: float = 0.002
    late: float = 0.0002
    padded: float = 0.0005
    at_least: int = 2


@dataclass(frozen=True)
class Returns:
    """Share of orders sent back, at least in part, and the share of those that come back on the same day."""

    share: float = 0.12
    same_day: float = 0.10


@dataclass(frozen=True)
class Acquisition:
    """When customers come: yearly growth, how far it follows the season (0..1), and over how many last months."""

    growth: float
    seasonal: float
    months: int | None = None


@dataclass(frozen=True)
class ShopUnit:
    """A non-contractual unit: customers buy when they like and leave without saying so.

    `products` > 0 gives order lines of a catalogue of that size; 0 gives baskets bought in one of `stores` stores.
    """

    name: str
    prefix: str
    customers: int
    acquisition: Acquisition
    season: Season
    buying: Buying
    spend: Spend
    covariates: Covariates
    returns: Returns | None
    dirt: Dirt | None = field(default_factory=Dirt)
    products: int = 0
    stores: int = 0
    split_share: float = 0.01
    file: str = "transactions.parquet"


@dataclass(frozen=True)
class MobileUnit:
    """A contractual unit: monthly subscriptions with beta-discrete-Weibull churn (Fader et al. 2018).

    The probability to be still subscribed after t months is ``(1 - theta) ** (G(t) * exp(x beta))`` with
    ``theta ~ Beta(a, b)`` and ``G(t) = sum of m_k (k ** c - (k - 1) ** c)`` over months k <= t, where ``m_k`` is
    `first_month` for the first month, `contract_bump` for the months in `contract_months` and 1 otherwise. On top of
    it payments fail for good with a constant monthly probability (`payment_failure`).
    """

    name: str
    prefix: str
    customers: int
    acquisition: Acquisition
    season: Season
    covariates: Covariates
    fees: Mapping[str, float]
    a: float = 1.2
    b: float = 48.0
    c: float = 0.90
    first_month: float = 1.7
    contract_months: tuple[int, ...] = (12, 24)
    contract_bump: float = 3.5
    payment_failure: float = 0.004


def normalised(covariates: Covariates) -> dict[str, dict[str, float]]:
    """Shift the log effects of the levels so that each covariate multiplies the unit's mean rate by exactly 1."""
    effects = {}
    for name, levels in covariates.items():
        shift = np.log(sum(level.share * np.exp(level.effect) for level in levels.values()))
        effects[name] = {key: float(level.effect - shift) for key, level in levels.items()}
    return effects


def without_effects(covariates: Covariates) -> dict[str, dict[str, Level]]:
    """Keep the levels, shares and costs, and set every effect to zero."""
    return {n: {key: replace(level, effect=0.0) for key, level in v.items()} for n, v in covariates.items()}


_CHANNELS = {
    "search": Level(0.34, 0.00, 16.0),
    "social": Level(0.27, -0.16, 12.0),
    "referral": Level(0.09, 0.16, 10.0),
    "store": Level(0.14, 0.04, 6.0),
    "email": Level(0.16, 0.12, 3.0),
}
_AGES = {
    "18-29": Level(0.28, -0.06),
    "30-44": Level(0.36, 0.05),
    "45-59": Level(0.23, 0.03),
    "60+": Level(0.13, -0.05),
}
_REGIONS = {
    "north": Level(0.26, 0.03),
    "south": Level(0.31, 0.00),
    "east": Level(0.19, -0.05),
    "west": Level(0.24, 0.02),
}
_SHOPPERS = {"acquisition_channel": _CHANNELS, "age_group": _AGES, "region": _REGIONS}

FASHION = ShopUnit(
    name="fashion",
    prefix="F",
    customers=12_000,
    acquisition=Acquisition(growth=0.15, seasonal=0.5),
    season=Season(annual=0.22, annual_top=20, peak=0.35, dip=0.25, weekend=0.12),
    buying=Buying(rate_per_year=2.2, rate_shape=0.8, dropout_mean=0.12, dropout_concentration=4.0),
    spend=Spend(p=4.0, q=4.5, mean=75.0),
    covariates=_SHOPPERS,
    returns=Returns(),
    products=240,
)

BOUTIQUE = ShopUnit(
    name="boutique",
    prefix="B",
    customers=350,
    acquisition=Acquisition(growth=0.30, seasonal=0.5, months=18),
    season=FASHION.season,
    buying=Buying(rate_per_year=2.2 * 0.85, rate_shape=0.8, dropout_mean=0.13, dropout_concentration=4.0),
    spend=Spend(p=4.0, q=4.5, mean=110.0),
    covariates=_SHOPPERS,
    returns=Returns(),
    products=90,
    file="transactions.csv",
)

GROCERY = ShopUnit(
    name="grocery",
    prefix="G",
    customers=3_000,
    acquisition=Acquisition(growth=0.05, seasonal=0.3),
    season=Season(annual=0.04, annual_top=350, peak=0.10, dip=0.05, weekend=0.25, hours=STORE_HOURS),
    buying=Buying(rate_per_year=36.0, rate_shape=3.0, dropout_mean=0.015, dropout_concentration=40.0, erlang_shape=3),
    spend=Spend(p=5.0, q=5.0, mean=38.0),
    covariates={
        "acquisition_channel": {
            "store": Level(0.55, 0.02, 2.0),
            "email": Level(0.10, 0.05, 1.5),
            "referral": Level(0.09, 0.10, 5.0),
            "social": Level(0.12, -0.12, 6.0),
            "search": Level(0.14, -0.05, 7.0),
        },
        "age_group": {
            "18-29": Level(0.20, -0.10),
            "30-44": Level(0.32, 0.06),
            "45-59": Level(0.28, 0.04),
            "60+": Level(0.20, -0.04),
        },
        "region": _REGIONS,
    },
    returns=None,
    stores=12,
)

MOBILE = MobileUnit(
    name="mobile",
    prefix="M",
    customers=6_000,
    acquisition=Acquisition(growth=0.05, seasonal=0.3),
    season=Season(annual=0.03, annual_top=340, peak=0.15, dip=0.05, weekend=0.10),
    covariates={
        "acquisition_channel": {
            "store": Level(0.38, 0.00, 85.0),
            "search": Level(0.25, 0.05, 60.0),
            "social": Level(0.14, 0.15, 55.0),
            "referral": Level(0.09, -0.25, 40.0),
            "email": Level(0.14, 0.00, 25.0),
        },
        "plan": {"basic": Level(0.50, 0.20), "plus": Level(0.34, 0.00), "premium": Level(0.16, -0.35)},
        "age_group": {
            "18-29": Level(0.30, 0.25),
            "30-44": Level(0.33, 0.00),
            "45-59": Level(0.22, -0.15),
            "60+": Level(0.15, -0.35),
        },
        "region": {key: replace(level, effect=0.0) for key, level in _REGIONS.items()},
    },
    fees={"basic": 12.99, "plus": 22.99, "premium": 39.99},
)

COMPANY: dict[str, ShopUnit | MobileUnit] = {u.name: u for u in (FASHION, BOUTIQUE, GROCERY, MOBILE)}
