"""The life table that the retention models read: at risk and left by unit, covariate pattern and month of tenure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.errors import DataError

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
NOT_STATED = "not stated"
RENEWAL_MONTHS = 12


@dataclass(frozen=True)
class Lifetimes:
    """Weighted rows of identical subscribers, and the life table made of them.

    A **block** is a business unit and a covariate pattern, whose subscribers the models cannot tell apart.

    Parameters
    ----------
    units : tuple of str
        Business units.
    covariates : dict of str to tuple of str
        Levels of each covariate.
    blocks : pandas.DataFrame
        unit, then the covariates: one row per block.
    tenures : int array, shape (months,)
        Months of tenure: from 0, or from 1 when nobody ever leaves in the month of joining.
    at_risk, left : array, shape (blocks, months)
        Subscribers who could leave in a month, and who did.
    rows : pandas.DataFrame
        block, entry (first month at risk), tenure (last one), left (bool: in that month), subscriptions.
    active : pandas.DataFrame
        block, tenure, subscriptions: those that have not ended.
    cut_off, at_risk_of_it : array, shape (units,)
        Subscriptions that ended although nobody wanted to leave (failed payments), and months at risk of it.
    renewal : int
        Months between renewals (12: at 12, 24, …); 0 for none.
    """

    units: tuple[str, ...]
    covariates: dict[str, tuple[str, ...]]
    blocks: pd.DataFrame
    tenures: Integers
    at_risk: Array
    left: Array
    rows: pd.DataFrame
    active: pd.DataFrame
    cut_off: Array
    at_risk_of_it: Array
    renewal: int

    @property
    def unit_of_block(self) -> Integers:
        """Place of each block's unit in `units`."""
        return self.blocks["unit"].map({name: i for i, name in enumerate(self.units)}).to_numpy(np.int64)

    @property
    def levels(self) -> list[tuple[str, str]]:
        """Covariate and level, for all levels of all covariates."""
        return [(name, level) for name, levels in self.covariates.items() for level in levels]

    def indicators(self) -> Array:
        """Whether each block has each level: shape (blocks, levels). Without a level of a covariate: zeros."""
        columns = [(self.blocks[name] == level).to_numpy(float) for name, level in self.levels]
        return np.column_stack(columns) if columns else np.zeros((len(self.blocks), 0))

    def contrasts(self) -> tuple[Array, Integers]:
        """Orthonormal contrasts between the levels of each covariate, whose effects sum to zero.

        Returns
        -------
        matrix : array, shape (levels, contrasts)
            Effects of the levels = matrix @ effects of the contrasts.
        covariate : int array, shape (contrasts,)
            Place of the covariate of each contrast.
        """
        sizes = [len(levels) for levels in self.covariates.values()]
        matrix, covariate = np.zeros((sum(sizes), sum(sizes) - len(sizes))), []
        row = column = 0
        for place, size in enumerate(sizes):
            part = np.linalg.qr(np.column_stack([np.ones(size), np.eye(size)[:, : size - 1]]))[0][:, 1:]
            matrix[row : row + size, column : column + size - 1] = part
            covariate += [place] * (size - 1)
            row, column = row + size, column + size - 1
        return matrix, np.array(covariate, dtype=np.int64)

    def customers(self, unit: str) -> pd.DataFrame:
        """Return the rows of a unit."""
        own = np.flatnonzero(self.blocks["unit"] == unit)
        return self.rows[self.rows["block"].isin(own)]


def lay_out(
    counts: pd.DataFrame, covariates: Sequence[str] = (), renewal: int = RENEWAL_MONTHS, months: int | None = None
) -> Lifetimes:
    """Arrange counted subscriptions for the retention models.

    Parameters
    ----------
    counts : pandas.DataFrame
        unit, the covariates (text), tenure (months), churned (bool), subscriptions; optionally entry (first month at
        risk: later than 0 for those who joined before leavers were recorded) and involuntary (bool: the subscription
        ended without the subscriber's will; until then he was at risk, and did not leave).
    covariates : sequence of str
        Columns of `counts`. A unit without a value has no such effect; one level alone tells nothing and is left out.
    renewal : int, default 12
        Months between renewals; 0 for none.
    months : int, optional
        Longest tenure to allow for; by default the longest there is.

    Raises
    ------
    DataError
        Nobody is at risk in any month, or nobody left.
    """
    rows = counts.assign(entry=counts["entry"] if "entry" in counts else 0)
    cut = counts["involuntary"].to_numpy(bool) if "involuntary" in counts else np.zeros(len(counts), bool)
    rows["left"] = counts["churned"].to_numpy(bool) & ~cut
    rows["cut"] = counts["churned"].to_numpy(bool) & cut
    rows = rows[(rows["entry"] <= rows["tenure"]) & (rows["subscriptions"] > 0)].reset_index(drop=True)
    _require_leavers(rows)
    levels = _find_levels(rows, covariates)
    keys = ["unit", *levels]
    rows[list(levels)] = rows[list(levels)].astype(object).where(rows[list(levels)].notna(), "")
    blocks = rows[keys].drop_duplicates().sort_values(keys, ignore_index=True)
    rows["block"] = rows.merge(blocks.reset_index(names="place"), on=keys, how="left")["place"].to_numpy()
    grouped = rows.groupby(["block", "entry", "tenure", "left", "cut"], as_index=False)["subscriptions"].sum()
    longest = int(rows["tenure"].max()) if months is None else months
    at_risk, left = _tabulate(grouped, len(blocks), longest + 1)
    units = tuple(dict.fromkeys(blocks["unit"]))
    of_unit = blocks["unit"].map({name: i for i, name in enumerate(units)}).to_numpy()
    ended = grouped[grouped["cut"]]
    cut_off = np.bincount(of_unit[ended["block"]], ended["subscriptions"], len(units))
    first = 0 if left[:, 0].any() else 1
    risk = np.bincount(of_unit, (at_risk - left)[:, first:].sum(axis=1), len(units))
    keep = ["block", "entry", "tenure", "left"]
    exits = grouped.groupby(keep, as_index=False)["subscriptions"].sum()
    running = grouped[~grouped["left"] & ~grouped["cut"]]
    active = running.groupby(["block", "tenure"], as_index=False)["subscriptions"].sum()
    return Lifetimes(
        units,
        levels,
        blocks,
        np.arange(first, longest + 1),
        at_risk[:, first:],
        left[:, first:],
        exits,
        active,
        cut_off,
        risk,
        renewal if 0 < renewal <= longest else 0,
    )


def _require_leavers(rows: pd.DataFrame) -> None:
    """Refuse what no retention model can learn from."""
    if not len(rows) or not (rows["tenure"] > 0).any():
        raise DataError(
            "Table subscriptions: no subscription has lived through a whole month at risk, so there is nothing to "
            "learn retention from. Check start, end and end_of_observation."
        )
    if not rows["left"].any():
        raise DataError(
            f"Table subscriptions: {int(rows['subscriptions'].sum()):,} subscriptions and nobody has left, so nothing "
            "is known about leaving. Check the mapping of end."
        )


def _find_levels(rows: pd.DataFrame, covariates: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Levels of each covariate over all units, in order; covariates with one level tell nothing."""
    levels = {name: tuple(sorted(rows[name].dropna().unique())) for name in covariates}
    return {name: found for name, found in levels.items() if len(found) > 1}


def _tabulate(rows: pd.DataFrame, blocks: int, months: int) -> tuple[Array, Array]:
    """At risk and left by block and month of tenure from 0 on."""
    weight = rows["subscriptions"].to_numpy(float)

    def count(month: pd.Series, weight: Array) -> Array:
        place = rows["block"].to_numpy() * (months + 1) + month.to_numpy()
        return np.bincount(place, weight, blocks * (months + 1)).reshape(blocks, months + 1)

    present = count(rows["entry"], weight) - count(rows["tenure"] + 1, weight)
    left = count(rows["tenure"], np.where(rows["left"], weight, 0.0))
    return np.round(present.cumsum(axis=1))[:, :months], left[:, :months]
