"""The stage a customer is in: what an action can be meant for."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Names = npt.NDArray[np.object_]

NEW_DAYS, NEW_MONTHS = 90, 3
ALIVE, GONE = 0.7, 0.3
RISKY = 1.5
"""Ratio to the mean hazard of the base from which a subscriber is at risk."""


def stage_buyers(p_alive: Array, frequency: Array, age: Array) -> Names:
    """Return the stage of buyers: new, active, cooling or silent.

    Parameters
    ----------
    p_alive : array, shape (rows,)
        Probability of still being a customer.
    frequency : array, shape (rows,)
        Repeat purchases.
    age : array, shape (rows,)
        Days since the first purchase.

    Returns
    -------
    array of str, shape (rows,)
        New: bought once, in the last `NEW_DAYS`. Otherwise by P(alive): active from `ALIVE`, silent below `GONE`.
    """
    p_alive, new = np.asarray(p_alive, float), (np.asarray(frequency) == 0) & (np.asarray(age) <= NEW_DAYS)
    found = np.where(p_alive >= ALIVE, "active", np.where(p_alive < GONE, "silent", "cooling"))
    return np.where(new, "new", found).astype(object)


def stage_subscribers(hazard: Array, tenure: Array, usual: float) -> Names:
    """Return the stage of subscribers: new, settled or at risk.

    Parameters
    ----------
    hazard : array, shape (rows,)
        Probability to leave in the next month.
    tenure : array, shape (rows,)
        Months since joining.
    usual : float
        Mean hazard of the base.
    """
    risky = np.asarray(hazard, float) >= RISKY * usual
    return np.where(risky, "at risk", np.where(np.asarray(tenure) < NEW_MONTHS, "new", "settled")).astype(object)
