"""What contacting does: the measured, shrunk effect of each action as posterior draws, or why there is none.

Effects are those of the programs that the portfolio file names for an action. On spending: the lift in the window, as a
share of what the customer would bring untreated, pooled over programs (`cvmlib.programs.pooling`). On leaving: the
share of those contacted who stay because of it, by plan and year of tenure (`cvmlib.churn.experiment`). An action
whose programs were not measured with a holdout drawn at random has no effect that could be promised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from cvmlib.business_unit import Action
from cvmlib.errors import ConfigError, DataError
from cvmlib.portfolio_mistakes import unknown

Array = npt.NDArray[np.float64]

DRAWS = 1000
WINDOW_DAYS = 90.0


@dataclass(frozen=True)
class Effect:
    """The effect of one action.

    Parameters
    ----------
    draws : array, shape (draws, segments)
        On spending: lift as a share of the customer's margin in the window, one segment for all. On leaving: share of
        those contacted who stay because of it.
    segments : tuple
        Key of each column: ``(plan, year of tenure)`` on leaving, ``()`` for all on spending.
    window : float
        Days in which it counts.
    """

    draws: Array
    segments: tuple = ((),)
    window: float = WINDOW_DAYS

    @property
    def mean(self) -> Array:
        """Mean of each segment."""
        return self.draws.mean(axis=0)


def measure_actions(
    unit: str,
    actions: Mapping[str, Action],
    results: pd.DataFrame,
    draws: pd.DataFrame,
    leaving: pd.DataFrame | None = None,
    interval: float = 0.9,
    seed: int = 1,
) -> tuple[dict[str, Effect], dict[str, str]]:
    """Find the effect of every action.

    Parameters
    ----------
    unit : str
        Name of the unit, for messages.
    actions : mapping of str to Action
        From the portfolio file.
    results, draws : DataFrame
        Results of the unit's programs and their posterior draws (`cvmlib.programs.results.UnitResult`).
    leaving : DataFrame, optional
        Effects on leaving by segment (`cvmlib.churn.experiment.tabulate_effects`).
    interval : float
        Probability of the intervals in `leaving`.
    seed : int
        Seed of the draws of effects on leaving.

    Returns
    -------
    effects : dict of str to Effect
        Of the actions that were measured.
    reasons : dict of str to str
        Why the others have none, a sentence each.

    Raises
    ------
    ConfigError
        An action names a program that does not exist.
    """
    known = results.set_index("program_id")
    effects, reasons = {}, {}
    for number, (name, action) in enumerate(actions.items()):
        for program in action.programs:
            if program not in known.index:
                at = f'units.{unit}.actions.{name}.programs: found "{program}"'
                raise ConfigError(f"{at}; {unknown(program, known.index, 'program')}")
        measured = [program for program in action.programs if program in draws.columns]
        if action.affects == "leaving":
            found = _effect_on_leaving(leaving, interval, seed + number)
        else:
            found = _effect_on_spending(known.loc[measured], draws[measured]) if measured else None
        if found is None:
            reasons[name] = explain_missing(action, known)
        else:
            effects[name] = found
    return effects, reasons


def require_effects(unit: str, effects: Mapping[str, Effect], reasons: Mapping[str, str]) -> None:
    """Refuse to plan where no action has a measured effect.

    Raises
    ------
    DataError
        None has; the message says why of each.
    """
    if not effects:
        listed = " ".join(f"{name}: {why}" for name, why in reasons.items())
        raise DataError(
            f"units.{unit}.actions: none of {len(reasons)} actions has a measured effect, so there is nothing to plan "
            f"with. {listed} Hold customers back at random in a program, record both arms in assignments, and name the "
            "program."
        )


def explain_missing(action: Action, known: pd.DataFrame) -> str:
    """Say why an action has no measured effect: what became of each of its programs."""
    if action.affects == "leaving":
        return "no randomised retention program was counted, so nobody knows whom it keeps."
    parts = []
    for program in action.programs:
        row = known.loc[program]
        parts.append(f"{program} is {row['verdict']}: {str(row['reason']).rstrip('.')}.")
    return " ".join(parts)


def _effect_on_spending(programs: pd.DataFrame, draws: pd.DataFrame) -> Effect:
    """Mean of the programs' lifts, each with the weight of its precision."""
    values = draws.to_numpy(float)
    weight = 1.0 / np.maximum(values.var(axis=0), 1e-12)
    window = programs["window_days"].astype(float).fillna(WINDOW_DAYS)
    lift = values @ (weight / weight.sum())
    return Effect(lift[:, None], window=float(window.mean()))


def _effect_on_leaving(table: pd.DataFrame | None, interval: float, seed: int) -> Effect | None:
    """Draw the effect of every segment from the normal distribution that has its mean and interval."""
    if table is None or not len(table):
        return None
    width = 2 * stats.norm.ppf((1 + interval) / 2)
    spread = (table["effect_high"] - table["effect_low"]).to_numpy(float) / width
    noise = np.random.default_rng(seed).standard_normal((DRAWS, len(table)))
    segments = tuple(zip(table["plan"], table["tenure_years"].astype(int), strict=True))
    return Effect(table["effect"].to_numpy(float) + spread * noise, segments)


def place_segments(effect: Effect, keys: Sequence[tuple]) -> npt.NDArray[np.int64]:
    """Column of `effect` for each key; -1 where it has none."""
    known = {key: place for place, key in enumerate(effect.segments)}
    return np.array([known.get(key, -1) for key in keys], dtype=np.int64)
