"""Simulator of subscribers with a known beta-discrete-Weibull truth: the oracle of the retention models."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.churn.bdw import log_survival, simulate_periods

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RetentionTruth:
    """True parameters of a unit.

    Parameters
    ----------
    a, b, c : float
        Beta-discrete-Weibull, see `cvmlib.churn.bdw`.
    first, renewal : float
        Multipliers of the first full month, and of months 12, 24, ….
    effects : dict of str to dict of str to float
        Covariate, level, effect on the log propensity; levels are equally frequent.
    """

    a: float = 1.2
    b: float = 48.0
    c: float = 0.9
    first: float = 1.7
    renewal: float = 3.5
    effects: Mapping[str, Mapping[str, float]] | None = None

    def exposure(self, months: int) -> Array:
        """Cumulative exposure after each month of tenure from 1 on, at multiplier 1."""
        t = np.arange(1, months + 1)
        multiplier = np.where(t % 12 == 0, self.renewal, 1.0) * np.where(t == 1, self.first, 1.0)
        return np.cumsum(multiplier * (t**self.c - (t - 1.0) ** self.c))

    def multipliers(self, customers: pd.DataFrame) -> Array:
        """Product of the covariates' multipliers of each row."""
        effects = self.effects or {}
        logs = [customers[name].map(effect).to_numpy(float) for name, effect in effects.items()]
        return np.exp(np.sum(logs, axis=0)) if logs else np.ones(len(customers))

    def survival(self, tenure: npt.NDArray[np.int64], multiplier: Array, months: int) -> Array:
        """Share of the subscribers of each tenure who stay for 0, 1, … further months: shape (rows, months + 1)."""
        exposure = np.concatenate([[0.0], self.exposure(int(tenure.max(initial=0)) + months)])
        place = tenure[:, None] + np.arange(months + 1)
        log_share = log_survival(exposure[place] * multiplier[:, None], self.a, self.b)
        return np.exp(log_share - log_share[:, :1])


def simulate_lifetimes(
    size: int, truth: RetentionTruth, months: int, rng: np.random.Generator, longest: int = 240
) -> pd.DataFrame:
    """Draw subscribers who join over some months, with their true stay.

    Parameters
    ----------
    size : int
        Subscribers, evenly spread over the months of joining.
    truth : RetentionTruth
        Parameters.
    months : int
        Months of joining, 0 … months - 1.
    rng : numpy Generator
        Source of randomness.
    longest : int, default 240
        Stays beyond are cut.

    Returns
    -------
    pandas.DataFrame
        The covariates, joined (month), stay (months of tenure in the last of which the subscriber leaves).
    """
    effects = truth.effects or {}
    customers = pd.DataFrame({name: rng.choice(list(levels), size) for name, levels in effects.items()})
    customers["joined"] = rng.integers(0, months, size)
    stay = simulate_periods(size, truth.a, truth.b, truth.exposure(longest), truth.multipliers(customers), rng)
    return customers.assign(stay=stay + 1)


def observe_lifetimes(customers: pd.DataFrame, month: int, unit: str, observed_from: int = 0) -> pd.DataFrame:
    """Count what is known of simulated subscribers at the end of a month.

    Parameters
    ----------
    customers : pandas.DataFrame
        From `simulate_lifetimes`.
    month : int
        Last month on record.
    unit : str
        Name of the unit.
    observed_from : int, default 0
        First month whose leavers are on record: who left earlier is not in the table.

    Returns
    -------
    pandas.DataFrame
        unit, the covariates, joined, entry, tenure, churned, subscriptions: rows of `cvmlib.churn.lifetimes.lay_out`.
    """
    known = customers[(customers["joined"] <= month) & (customers["joined"] + customers["stay"] >= observed_from)]
    age = month - known["joined"]
    rows = known.drop(columns="stay").assign(
        unit=unit,
        entry=(observed_from - known["joined"]).clip(lower=0),
        tenure=np.minimum(known["stay"], age),
        churned=known["stay"] <= age,
    )
    return rows.groupby(list(rows.columns), as_index=False).size().rename(columns={"size": "subscriptions"})
