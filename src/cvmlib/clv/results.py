"""What the customer-value study saved of one unit, and the tables that reports make of it. Nothing is fitted here."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cvmlib.clv.prepare import unit_folder
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio

TENTHS = 10
UNKNOWN = "(not known)"
"""Name of the group of customers whose group is not on record."""


@dataclass(frozen=True)
class UnitValue:
    """The saved value of one unit.

    Parameters
    ----------
    totals : dict
        ``totals.json``: headline figures, verdict, checks and holdout scores.
    customers : DataFrame
        One row per customer: counts, ``p_alive``, ``expected_purchases``, ``expected_spend`` and ``value`` with
        intervals (``_low``, ``_high``).
    tracking, by_frequency : DataFrame or None
        The trial on the holdout; None without one.
    calendar : DataFrame or None
        Purchase intensity by week (`cvmlib.clv.calendar.Calendar.table`); None when none was estimated.
    models : DataFrame or None
        The purchase models that were compared for the unit (`cvmlib.clv.choice.Choice`), best first.
    again : DataFrame or None
        Chance of buying again in the holdout against the share that did.
    effects : DataFrame or None
        What each level of the covariates does (`cvmlib.clv.purchase_model.tabulate_effects`); None without covariates.
    """

    totals: dict
    customers: pd.DataFrame
    tracking: pd.DataFrame | None
    by_frequency: pd.DataFrame | None
    calendar: pd.DataFrame | None = None
    models: pd.DataFrame | None = None
    again: pd.DataFrame | None = None
    effects: pd.DataFrame | None = None

    @property
    def withheld(self) -> bool:
        """Whether a check failed, so that no value may be shown."""
        return self.totals["verdict"]["level"] == "withheld"


def load_value(portfolio: Portfolio, unit: str) -> UnitValue:
    """Load what `cvmlib.clv.study.save_unit` saved.

    Raises
    ------
    UnfitModelError
        The models have not been fitted yet.
    """
    folder = unit_folder(portfolio, unit)
    if not (folder / "totals.json").is_file():
        raise UnfitModelError(
            f"The customers of {unit} have not been valued yet. Run notebooks/models/clv.ipynb or `make reports`."
        )
    return UnitValue(
        json.loads((folder / "totals.json").read_text(encoding="utf-8")),
        pd.read_parquet(folder / "value.parquet"),
        _read(folder / "tracking.parquet"),
        _read(folder / "by_frequency.parquet"),
        _read(folder / "calendar.parquet"),
        _read(folder / "models.parquet"),
        _read(folder / "again.parquet"),
        _read(folder / "effects.parquet"),
    )


def count_tenths(customers: pd.DataFrame) -> pd.DataFrame:
    """Split customers into tenths by expected value, best first.

    Parameters
    ----------
    customers : DataFrame
        With ``value`` (money), one row per customer.

    Returns
    -------
    DataFrame
        ``tenth`` (1 is best), ``customers``, ``value`` (total money), ``share`` (of all value), ``per_customer``.
    """
    value = customers["value"].sort_values(ascending=False, kind="stable")
    tenth = np.arange(len(value)) * TENTHS // max(len(value), 1) + 1
    table = value.groupby(tenth).agg(customers="size", value="sum", per_customer="mean")
    total = table["value"].sum()
    table.insert(2, "share", table["value"] / total if total else 0.0)
    return table.rename_axis("tenth").reset_index()


def count_by(customers: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Average value by a grouping of the customers, most valuable group first.

    Parameters
    ----------
    customers : DataFrame
        With ``customer_id`` and ``value``.
    groups : Series
        Group by ``customer_id`` (the index).

    Returns
    -------
    DataFrame
        ``group``, ``customers``, ``per_customer``, ``value``, ``p_alive``, ``expected_purchases``.
    """
    named = customers["customer_id"].map(groups).fillna(UNKNOWN).astype(str)
    table = customers.groupby(named).agg(
        customers=("value", "size"),
        per_customer=("value", "mean"),
        value=("value", "sum"),
        p_alive=("p_alive", "mean"),
        expected_purchases=("expected_purchases", "mean"),
    )
    return table.sort_values("per_customer", ascending=False).rename_axis("group").reset_index()


def list_best(customers: pd.DataFrame, rows: int = 500) -> pd.DataFrame:
    """List the customers of the highest expected value, with their intervals."""
    columns = ["customer_id", "value", "value_low", "value_high", "p_alive", "expected_purchases"]
    columns += ["purchases_low", "purchases_high", "expected_spend", "frequency", "last"]
    return customers.nlargest(rows, "value")[columns].reset_index(drop=True)


def list_silent(customers: pd.DataFrame, rows: int = 500) -> pd.DataFrame:
    """List valuable customers who may be leaving: high past value, P(alive) below one half."""
    columns = ["customer_id", "total_value", "frequency", "last", "p_alive", "expected_purchases", "value"]
    silent = customers[(customers["p_alive"] < 0.5) & (customers["frequency"] > 0)]
    return silent.nlargest(rows, "total_value")[columns].reset_index(drop=True)


def _read(path: Path) -> pd.DataFrame | None:
    return pd.read_parquet(path) if path.is_file() else None
