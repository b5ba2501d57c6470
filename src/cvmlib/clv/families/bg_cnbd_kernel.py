"""BG/NBD, MBG/NBD, BG/CNBD-k and MBG/CNBD-k for PyMC: the log-likelihood of a count table, with its gradient.

The four are one: BG/NBD is BG/CNBD-1, and in a modified model a customer may leave at his first purchase already. The
arithmetic is in `cvmlib.clv.families.bg_cnbd_gradient`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pytensor.graph.basic import Variable

from cvmlib.clv.families import bg_cnbd_gradient, blocks, elementary
from cvmlib.clv.families.blocks import Blocks
from cvmlib.compiled import fused
from cvmlib.compiled.fused import Kernel, pack

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CountData:
    """A count table laid out for the kernel, in blocks; those of group g are from ``*_start[g]`` to ``*_start[g + 1]``.

    ``survivors`` has, for each frequency from 1 on, the customers above it; ``age_*`` are the distinct T, with their
    customers, the purchases of these, and the customers without any; ``row_*`` are the rows with a repeat purchase.
    """

    survivor_start: Integers
    age_start: Integers
    row_start: Integers
    group_customers: Floats
    group_repeaters: Floats
    survivors: Floats
    age: Floats
    age_customers: Floats
    age_purchases: Floats
    age_silent: Floats
    row_frequency: Floats
    row_recency: Floats
    row_T: Floats
    row_customers: Floats


def lay_out(group: Integers, frequency: Integers, recency: Floats, T: Floats, customers: Floats) -> CountData:
    """Arrange count rows for the kernel.

    Parameters
    ----------
    group : int array, shape (rows,)
        Group codes 0 … groups - 1.
    frequency, recency, T : array, shape (rows,)
        Counts; times in the model's own (scaled) unit.
    customers : array, shape (rows,)
        Customers per row.
    """
    groups = int(group.max()) + 1
    table = pd.DataFrame({"group": group, "x": frequency, "t_x": recency, "T": T, "n": np.asarray(customers, float)})
    table["purchases"] = table["x"] * table["n"]
    table["silent"] = table["n"].where(table["x"] == 0, 0.0)
    ages = table.groupby(["group", "T"], as_index=False)[["n", "purchases", "silent"]].sum()
    rows = table[table["x"] > 0].sort_values(["group", "x", "T", "t_x"], kind="stable")
    above, of_above = _count_above(rows)
    of_age, of_row = Blocks.of(ages["group"].to_numpy(), groups), Blocks.of(rows["group"].to_numpy(), groups)
    of_survivors = Blocks.of(of_above, groups)
    return CountData(
        group_customers=np.bincount(table["group"], table["n"], groups),
        group_repeaters=np.bincount(rows["group"], rows["n"], groups).astype(float),  # of no row, they are integers
        survivor_start=of_survivors.start,
        survivors=of_survivors.fill(above),
        age_start=of_age.start,
        age=of_age.fill(ages["T"], padding=1.0),
        age_customers=of_age.fill(ages["n"]),
        age_purchases=of_age.fill(ages["purchases"]),
        age_silent=of_age.fill(ages["silent"]),
        row_start=of_row.start,
        row_frequency=of_row.fill(rows["x"], padding=1.0),
        row_recency=of_row.fill(rows["t_x"], padding=1.0),
        row_T=of_row.fill(rows["T"], padding=1.0),
        row_customers=of_row.fill(rows["n"]),
    )


def _count_above(rows: pd.DataFrame) -> tuple[Floats, Integers]:
    """Of each group and each frequency from 1 to the last below its largest: the customers above it, and the group."""
    above, group = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for code, own in rows.groupby("group"):
        counts = np.bincount(own["x"], own["n"])[2:]
        above.append(counts[::-1].cumsum()[::-1])
        group.append(np.full(len(counts), code))
    return np.concatenate(above), np.concatenate(group)


def log_likelihood_of(
    data: CountData,
    r: Variable,
    alpha: Variable,
    a: Variable,
    b: Variable,
    k: Integers | None = None,
    *,
    modified: bool = False,
) -> Variable:
    """Log-likelihood of the laid-out count table as a PyTensor scalar.

    Left out is what does not depend on a parameter: of each customer ``(k - 1) sum(log(gap)) - x log(Gamma(k))``.

    Parameters
    ----------
    data : CountData
        Count table.
    r, alpha, a, b : Variable, shape (groups,)
        Parameters.
    k : int array, shape (groups,), optional
        Erlang shape of the times between purchases; by default 1, the BG/NBD or MBG/NBD.
    modified : bool
        Whether a customer may also leave at the first purchase (MBG).
    """
    return _KERNEL.log_likelihood((r, alpha, a, b), _pack(data, k, modified))


def evaluate(
    data: CountData,
    r: Floats,
    alpha: Floats,
    a: Floats,
    b: Floats,
    k: Integers | None = None,
    *,
    modified: bool = False,
) -> tuple[float, Floats]:
    """Return the log-likelihood at these parameters and its gradient, of shape (4, groups); as `log_likelihood_of`."""
    return _KERNEL.evaluate(np.array([r, alpha, a, b], dtype=float), *_pack(data, k, modified))


_KERNEL = Kernel(
    bg_cnbd_gradient.value_and_gradient,
    (bg_cnbd_gradient.__file__, blocks.__file__, elementary.__file__, fused.__file__),
)


def _pack(data: CountData, k: Integers | None, modified: bool) -> tuple[Integers, Floats]:
    groups = len(data.group_customers)
    shapes = np.broadcast_to(np.asarray(1 if k is None else k, dtype=np.int64), groups)
    return pack([shapes, np.full(groups, modified, dtype=np.int64), *vars(data).values()])
