r"""Retention by tenure: a smooth life-table posterior, right under any duration dependence, without sampling chains.

Assumptions
-----------
1. A subscriber of plan *g* who has been there for *k* months leaves in the next one with probability
   :math:`\lambda_{gk}`, the same for all subscribers of that plan and tenure *as a group*: people differ, and those
   prone to leave go first, which is one reason why the hazard falls with tenure. The life table contains this.
2. The log-odds of leaving of all plans together is smooth in log tenure, apart from the month of joining and the
   anniversaries (`cvmlib.churn.smooth_hazard`); how smooth is learned from the data.
3. A plan differs from all plans together by a level, a slope in log tenure, a smooth curve and its anniversaries, each
   of which a small plan has no evidence for and therefore hardly has: small plans borrow, large ones speak for
   themselves.
4. All hazards of a calendar month share a shock (season, competitors, price rounds), whose size and persistence are
   estimated from how much more the leavers of past months varied than chance allows.
5. Price and plan stay as they are; who left does not come back (a customer who does is a new spell).

References
----------
Fader, P. S. and Hardie, B. G. S. (2007). How to project customer retention. J. Interactive Marketing 21(1), 76-90.
Kaplan, E. L. and Meier, P. (1958). Nonparametric estimation from incomplete observations. JASA 53, 457-481.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from cvmlib.churn.counts import build_cohort_cube
from cvmlib.churn.smooth_hazard import Prior, draw_hazards

ALL_PLANS_PRIOR = Prior(level=-3.5, level_sd=2.0, slope_sd=0.7)
PLAN_PRIOR = Prior(level=0.0, level_sd=0.7, slope_sd=0.2)


@dataclass(frozen=True)
class HazardPosterior:
    """Posterior of the monthly hazard by plan and tenure.

    Parameters
    ----------
    plans : tuple of str
        Plans along the second axis.
    hazard : array, shape (draws, plans, months + ahead)
        Probability to leave in each month of tenure (0 = month of joining).
    at_risk : array, shape (plans, months)
        Subscriptions at risk behind each hazard; the hazards beyond are extrapolated.
    leavers : int
        Leavers in the data.
    level : array, shape (draws,)
        Factor on all hazards: what the shocks of the observed months leave unknown about their average.
    shock_sd, shock_persistence : float
        Standard deviation of the log shock that all hazards of a calendar month share, and its lag-one correlation.
    billed : float
        Share of leavers whose month of leaving is still billed.
    """

    plans: tuple[str, ...]
    hazard: np.ndarray
    at_risk: np.ndarray
    leavers: int
    level: np.ndarray
    shock_sd: float
    shock_persistence: float
    billed: float

    @property
    def draws(self) -> int:
        """Number of posterior draws."""
        return self.hazard.shape[0]

    @property
    def months(self) -> int:
        """Number of tenure months with data."""
        return self.at_risk.shape[1]


def fit_hazard(
    counts: pd.DataFrame, observed_from: int | None = None, ahead: int = 12, draws: int = 1000, seed: int = 1
) -> HazardPosterior:
    """Posterior of the hazard by plan and tenure.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `cvmlib.churn.counts.count_subscriptions`.
    observed_from : int, optional
        First grid month whose leavers are recorded (left truncation).
    ahead : int, default 12
        Months of tenure to extrapolate: the horizon of the forecasts to come.
    draws : int, default 1000
        Posterior draws.
    seed : int, default 1
        Seed; the same counts and seed give the same draws.

    Returns
    -------
    HazardPosterior
        The posterior, with the calendar shocks.
    """
    rng = np.random.default_rng(seed)
    plans, _, cube_n, cube_d = build_cohort_cube(counts, observed_from)
    n, d = cube_n.sum(axis=1), cube_d.sum(axis=1)
    repeat = rng.random(draws)
    eta = draw_hazards(n.sum(axis=0)[None], d.sum(axis=0)[None], ahead + 1, ALL_PLANS_PRIOR, rng, draws, repeat)
    if len(plans) > 1:
        eta = draw_hazards(n, d, ahead + 1, PLAN_PRIOR, rng, draws, repeat, offset_draws=eta[:, 0])
    hazard = expit(eta)
    sd, persistence, months = estimate_shocks(cube_n, cube_d, hazard[:, :, : n.shape[1]].mean(axis=0))
    level_sd = sd * np.sqrt((1 + persistence) / (1 - persistence) / months)
    level = np.exp(level_sd * rng.standard_normal(draws) - level_sd**2 / 2)
    return HazardPosterior(tuple(plans), hazard, n, int(d.sum()), level, sd, persistence, estimate_billed_share(counts))


def estimate_shocks(n: np.ndarray, d: np.ndarray, hazard: np.ndarray) -> tuple[float, float, float]:
    """Size and persistence of calendar shocks: how much leavers per month vary beyond chance (method of moments).

    Parameters
    ----------
    n, d : array, shape (plans, months of joining, tenures)
        At risk and left, from `cvmlib.churn.counts.build_cohort_cube`.
    hazard : array, shape (plans, tenures)
        Expected hazard.

    Returns
    -------
    sd : float
        Standard deviation of the shared log factor of a calendar month.
    persistence : float
        Its lag-one correlation, in [0, 0.9].
    months : float
        Effective number of calendar months behind it.
    """
    calendar = np.add.outer(np.arange(n.shape[1]), np.arange(n.shape[2]))
    expected = np.bincount(calendar.ravel(), weights=(n * hazard[:, None, :]).sum(axis=0).ravel())
    observed = np.bincount(calendar.ravel(), weights=d.sum(axis=0).ravel())
    chance = np.bincount(calendar.ravel(), weights=(n * (hazard * (1 - hazard))[:, None, :]).sum(axis=0).ravel())
    excess = observed - expected
    square = (expected**2).sum()
    variance = ((excess**2).sum() - chance.sum()) / square if square > 0 else 0.0
    months = max(1.0, expected.sum() ** 2 / square) if square > 0 else 1.0
    if variance <= 0 or np.count_nonzero(observed) < 2:  # leavers of one month alone do not tell how months differ
        return 0.0, 0.0, months
    cross = (expected[1:] * expected[:-1]).sum()
    persistence = (excess[1:] * excess[:-1]).sum() / cross / variance if cross > 0 else 0.0
    return float(np.sqrt(np.log1p(variance))), float(np.clip(persistence, 0.0, 0.9)), float(months)


def estimate_billed_share(counts: pd.DataFrame) -> float:
    """Share of leavers whose month of leaving was billed, after the month of joining (0.5 when unknown)."""
    left = counts[counts["churned"] & (counts["tenure"] > 0)]
    total = left["subscriptions"].sum()
    return float((left["billed"].sum() + 0.5 * 5) / (total + 5))


def summarise_hazard(posterior: HazardPosterior, interval: float = 0.9) -> pd.DataFrame:
    """Hazard and retention by plan and tenure with intervals of the expectation.

    Parameters
    ----------
    posterior : HazardPosterior
        From `fit_hazard`.
    interval : float, default 0.9
        Probability of the central interval.

    Returns
    -------
    pandas.DataFrame
        plan, tenure, at_risk, hazard, hazard_low, hazard_high, retention, retention_low, retention_high.
    """
    tail = [(1 - interval) / 2, (1 + interval) / 2]
    hazard = posterior.hazard[:, :, : posterior.months]
    retention = np.cumprod(1 - hazard, axis=2)
    frame = {"plan": np.repeat(posterior.plans, posterior.months)}
    frame["tenure"] = np.tile(np.arange(posterior.months), len(posterior.plans))
    frame["at_risk"] = posterior.at_risk.ravel().astype(np.int64)
    for name, values in (("hazard", hazard), ("retention", retention)):
        low, high = np.quantile(values, tail, axis=0)
        frame |= {name: values.mean(axis=0).ravel(), f"{name}_low": low.ravel(), f"{name}_high": high.ravel()}
    return pd.DataFrame(frame)


def extend_hazard(posterior: HazardPosterior, months: int) -> np.ndarray:
    """Hazard draws up to `months` months of tenure; beyond the extrapolated ones the last month's holds.

    Returns
    -------
    array, shape (draws, plans, months)
        Without calendar shocks.
    """
    extra = max(0, months - posterior.hazard.shape[2])
    return np.concatenate([posterior.hazard, np.repeat(posterior.hazard[:, :, -1:], extra, axis=2)], axis=2)


def draw_shocks(posterior: HazardPosterior, months: int, rng: np.random.Generator) -> np.ndarray:
    """Shared factors on the hazards of the next months, including the uncertain level.

    Returns
    -------
    array, shape (draws, months)
        Mean one.
    """
    sd, rho = posterior.shock_sd, posterior.shock_persistence
    log = np.empty((posterior.draws, months))
    state = rng.standard_normal(posterior.draws)
    for month in range(months):
        log[:, month] = sd * state - sd**2 / 2
        state = rho * state + np.sqrt(1 - rho**2) * rng.standard_normal(posterior.draws)
    return posterior.level[:, None] * np.exp(log)
