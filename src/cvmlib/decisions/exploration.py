"""What remains unknown is explored on purpose: a share held out at random, and a share treated by draws of the effects.

Whoever is held out gets nothing, so that the next study of programs can tell what contacting brought. Of the others a
share is treated as if a draw from the posterior were the truth (Thompson 1933, *Biometrika* 25), in a few groups with a
draw each: what may be good is tried as often as it may be the best.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.errors import ConfigError

HELD_OUT, CHOSEN = -1, 0
"""Groups: held out; treated by the mean effects. Groups above are treated by a draw of the effects each."""

GROUPS = 8


def draw_numbers(ids: Sequence[str], key: str) -> npt.NDArray[np.float64]:
    """Draw a number within [0, 1) for each customer that depends on his identifier and `key` alone.

    Parameters
    ----------
    ids : sequence of str
        Customers.
    key : str
        Names the draw, such as the period; at most 16 characters count.
    """
    padded = (key + "0" * 16)[:16]
    hashed = pd.util.hash_array(np.asarray(ids, dtype=object).astype(str).astype(object), hash_key=padded)
    return (hashed >> np.uint64(11)).astype(np.float64) / 2.0**53


def split_customers(
    ids: Sequence[str], key: str, holdout: float, explore: float, groups: int = GROUPS
) -> npt.NDArray[np.int64]:
    """Split customers at random: held out, treated by the mean effects, and groups treated by a draw each.

    Parameters
    ----------
    ids : sequence of str
        Customers.
    key : str
        Names the split; the same key gives the same split.
    holdout : float
        Share held out.
    explore : float
        Share of the others that is treated by draws.
    groups : int
        Groups with a draw each.

    Returns
    -------
    int array, shape (customers,)
        `HELD_OUT`, `CHOSEN`, or 1 to `groups`.
    """
    number = draw_numbers(ids, key)
    rest = (number - holdout) / max(1.0 - holdout, 1e-12)
    group = 1 + np.floor(np.clip(rest / max(explore, 1e-12), 0, 1 - 1e-12) * groups).astype(np.int64)
    return np.where(number < holdout, HELD_OUT, np.where(rest < explore, group, CHOSEN))


def check_capacity(unit: str, contacts: float, held_out: int) -> None:
    """Refuse a plan in which fewer customers can be contacted than are held out.

    Parameters
    ----------
    unit : str
        Name of the unit, for the message.
    contacts : float
        Contacts that capacities allow in a period.
    held_out : int
        Customers held out.

    Raises
    ------
    ConfigError
        Capacity is below the held-out share.
    """
    if contacts < held_out:
        raise ConfigError(
            f"units.{unit}.action_plan: capacity allows {contacts:,.0f} contacts in a period, but {held_out:,} "
            "customers are held out, more than can be contacted. Lower holdout, or raise the capacities in channels "
            "and actions."
        )
