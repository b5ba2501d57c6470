"""The customers of a unit as a plan of actions sees them: identical ones are one row, with what an effect is worth.

An effect on spending is a share of the margin that a customer brings untreated in the window of its program, which the
saved posterior gives for every count row. An effect on leaving is the share of customers who stay because of the
contact; one who stays is worth what leaving would lose.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import ibis
import numpy as np
import numpy.typing as npt
import pandas as pd

from cvmlib.churn.prepare import unit_folder
from cvmlib.clv.live import load_live, value_rows
from cvmlib.decisions.stages import stage_buyers, stage_subscribers
from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio

Array = npt.NDArray[np.float64]

COUNTS = ["pattern", "frequency", "recency", "T", "monetary_value"]
MONTH_DAYS = 365.25 / 12


@dataclass(frozen=True)
class Base:
    """Customers of a unit and their rows.

    Parameters
    ----------
    ids : array of str, shape (customers,)
        Customers.
    row : int array, shape (customers,)
        Row of each.
    rows : DataFrame
        Of each row: customers, stage, value (predicted margin over the horizon, money), alive (P(alive) now, or of
        being active at the horizon), and, of subscribers, kept (money that a saved leaver keeps), p_leave and segment.
    margins : dict of float to array, shape (rows,)
        Margin that a customer of each row brings untreated, by days ahead.
    end : Timestamp
        End of observation.
    """

    ids: npt.NDArray[np.object_]
    row: npt.NDArray[np.int64]
    rows: pd.DataFrame
    margins: dict[float, Array]
    end: pd.Timestamp


def read_base(portfolio: Portfolio, unit: str, windows: Iterable[float]) -> Base:
    """Read the customers of a unit that the models valued.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.
    windows : iterable of float
        Days ahead over which margins are needed.

    Raises
    ------
    UnfitModelError
        The unit has not been valued yet.
    """
    folder = unit_folder(portfolio, unit)
    if not (folder / "value.parquet").is_file():
        raise UnfitModelError(f"The customers of {unit} have not been valued yet. Run `make reports`.")
    read = _read_buyers if portfolio.units[unit].setting == "noncontractual" else _read_subscribers
    return read(portfolio, unit, sorted(set(windows)))


def _read_buyers(portfolio: Portfolio, unit: str, windows: Sequence[float]) -> Base:
    table = ibis.duckdb.connect().read_parquet(str(unit_folder(portfolio, unit) / "value.parquet"))
    customers = table.select("customer_id", *COUNTS, "p_alive", "value").order_by("customer_id").to_pandas()
    grouped = customers.groupby(COUNTS, sort=True)
    row = grouped.ngroup().to_numpy()
    rows = grouped.agg(customers=("value", "size"), alive=("p_alive", "first"), value=("value", "first")).reset_index()
    rows["stage"] = stage_buyers(rows["alive"], rows["frequency"], rows["T"])
    live = load_live(portfolio, unit)
    live = replace(live, terms=replace(live.terms, per_customer_year=0.0))
    margins = {window: value_rows(live, rows, window)["value"].to_numpy() for window in windows}
    return Base(customers["customer_id"].to_numpy(object), row, rows, margins, live.now)


def _read_subscribers(portfolio: Portfolio, unit: str, windows: Sequence[float]) -> Base:
    spells = read_spells(portfolio, unit)
    folder, settings = unit_folder(portfolio, unit), portfolio.units[unit]
    live = pd.read_parquet(folder / "live.parquet")
    paid = [name for name in live.columns if name.startswith("paid_")]
    spells = spells.merge(live[["plan", "tenure", "hazard", "p_active", "discounted_months", *paid]],
                          on=["plan", "tenure"], how="left")  # fmt: skip
    cost = settings.costs.per_customer_year / 12 + settings.costs.per_transaction
    monthly = settings.margin * spells["price"] - cost
    usual = float(spells["hazard"].mean())
    spells = spells.assign(
        value=monthly * spells["discounted_months"],
        kept=monthly * spells["months_lost"],
        stage=stage_subscribers(spells["hazard"], spells["tenure"], usual),
        **{f"margin_{window}": monthly * _sum_months(spells[paid], window) for window in windows},
    )
    money = ["value", "kept", *(f"margin_{window}" for window in windows)]
    spells = spells.sort_values(["customer_id", "value"], ascending=[True, False])
    of_customer = spells.groupby("customer_id", sort=True)
    first = of_customer[["plan", "tenure", "stage", "p_leave", "p_active", "hazard"]].first()
    customers = pd.concat([first, of_customer[[*money, "price"]].sum()], axis=1).reset_index()
    keys = ["plan", "tenure", "price", "stage", "p_leave", *money]
    grouped = customers.groupby(keys, sort=True)
    rows = grouped.agg(customers=("hazard", "size"), alive=("p_active", "first")).reset_index()
    rows["segment"] = list(zip(rows["plan"], rows["tenure"] // 12, strict=True))
    end = pd.Timestamp(json.loads((folder / "totals.json").read_text(encoding="utf-8"))["end_of_observation"])
    margins = {window: rows[f"margin_{window}"].to_numpy(float) for window in windows}
    return Base(customers["customer_id"].to_numpy(object), grouped.ngroup().to_numpy(), rows, margins, end)


def read_spells(portfolio: Portfolio, unit: str) -> pd.DataFrame:
    """Read the active subscriptions of a unit.

    Returns
    -------
    DataFrame
        customer_id, plan, tenure (months), price (money per month), p_leave (probability to leave by choice within the
        window of saving) and months_lost (discounted months that one who leaves loses); both 0 where whom to save was
        not worked out.
    """
    folder = unit_folder(portfolio, unit)
    table = ibis.duckdb.connect().read_parquet(str(folder / "subscribers.parquet"))
    keys = ["pattern", "plan", "tenure"]
    spells = table.filter(~table.churned).select("customer_id", *keys, "price").order_by("customer_id").to_pandas()
    if not (folder / "churn_contacts.parquet").is_file():
        return spells.assign(p_leave=0.0, months_lost=0.0)
    contacts = pd.read_parquet(folder / "churn_contacts.parquet")
    on = [key for key in keys if key in contacts.columns]
    spells = spells.merge(contacts[[*on, "p_leave", "months_at_risk"]], on=on, how="left")
    lost = (spells["months_at_risk"] / spells["p_leave"].where(spells["p_leave"] > 0)).fillna(0.0)
    return spells.assign(p_leave=spells["p_leave"].fillna(0.0), months_lost=lost).drop(columns="months_at_risk")


def _sum_months(paid: pd.DataFrame, window: float) -> pd.Series:
    """Discounted monthly payments expected within `window` days, interpolated between whole months."""
    months = np.clip(window / MONTH_DAYS, 0.0, len(paid.columns))
    edges = np.column_stack([np.zeros(len(paid)), paid.to_numpy(float)])
    low = int(np.floor(months))
    high = min(low + 1, len(paid.columns))
    return pd.Series(edges[:, low] + (months - low) * (edges[:, high] - edges[:, low]), index=paid.index)
