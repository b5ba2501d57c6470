"""Customers who are alike in all that a plan looks at: row of the base, random group, rest, and channel."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.business_unit import ActionPlan
from cvmlib.decisions.base import Base
from cvmlib.decisions.exploration import split_customers


@dataclass(frozen=True)
class Cells:
    """Rows of customers who are alike in all that a plan looks at.

    Parameters
    ----------
    of_customer : int array, shape (customers,)
        Cell of each customer.
    row, group : int array, shape (cells,)
        Row of the base, and group of `exploration.split_customers`.
    rests : bool array, shape (cells,)
        Whether its customers were contacted lately.
    channel : array of str, shape (cells,)
        Channel through which they come; empty where it is not known.
    customers : int array, shape (cells,)
        How many they are.
    """

    of_customer: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    rests: npt.NDArray[np.bool_]
    channel: npt.NDArray[np.object_]
    customers: npt.NDArray[np.int64]


def lay_cells(base: Base, plan: ActionPlan, key: str, resting: set[str], channels: pd.Series) -> Cells:
    """Group the customers into cells.

    Parameters
    ----------
    base : Base
        The customers.
    plan : ActionPlan
        Held-out and explored shares.
    key : str
        Names the random split.
    resting : set of str
        Customers contacted lately.
    channels : Series
        Channel of customers, by customer_id.
    """
    group = split_customers(base.ids, key, plan.holdout, plan.explore)
    channel = pd.Series(base.ids).map(channels).fillna("").astype(str) if len(channels) else ""
    rests = np.isin(base.ids.astype(str), sorted(resting)) if resting else np.zeros(len(base.ids), dtype=bool)
    table = pd.DataFrame({"row": base.row, "group": group, "rests": rests, "channel": channel})
    grouped = table.groupby(list(table.columns), sort=True)
    cells = grouped.size().reset_index(name="customers")
    return Cells(
        grouped.ngroup().to_numpy(),
        *(cells[name].to_numpy() for name in ("row", "group", "rests")),
        cells["channel"].to_numpy(object),
        cells["customers"].to_numpy(np.int64),
    )
