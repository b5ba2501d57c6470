"""The track record: what was forecast, filed before it was known, and what happened.

Every run files its forecasts, and a replay those that it would have made: one Parquet file each, never changed again,
in ``data/derived/PORTFOLIO/track_record/UNIT``. Once the tables reach the end of a forecast it is settled. Outcomes
are counted by the same code that counts customers for the models.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from cvmlib.errors import UnfitModelError
from cvmlib.portfolio import Portfolio

COLUMNS = ["unit", "made_on", "quantity", "group", "months", "ends", "mean", "low", "high", "interval", "replayed"]
"""Of a filed forecast: dates as ISO text, `mean`, `low` and `high` in the unit of the quantity."""

QUANTITIES = {
    "purchases": "Purchases",
    "spend": "Money spent",
    "active": "Subscriptions still active",
    "revenue": "Revenue of the last month",
    "action": "Incremental margin of an action",
}
FILE = "track_record.parquet"
CLASSES = {"bought once": (0, 0), "1 repeat": (1, 1), "2 to 3 repeats": (2, 3), "4 repeats and more": (4, 10**9)}
"""Groups of buyers by their repeat purchases on the day of the forecast: fewest and most."""

Outcomes = Callable[[str, str], float]


@dataclass(frozen=True)
class Record:
    """The track record of one unit.

    Parameters
    ----------
    unit, label, currency : str
        The unit, its name for people, and the currency.
    settled : DataFrame
        Forecasts whose end has come: `COLUMNS`, actual, inside (whether within the interval), error (actual over the
        mean, less one).
    open : DataFrame
        Forecasts whose end has not come yet.
    """

    unit: str
    label: str
    currency: str
    settled: pd.DataFrame
    open: pd.DataFrame


def in_group(group: str, frequency: pd.Series, joined: pd.Series) -> pd.Series:
    """Whether buyers are in a group of forecasts.

    Parameters
    ----------
    group : str
        ``all``, one of `CLASSES`, or ``joined FIRST to LAST`` (ISO dates, both included).
    frequency : Series
        Repeat purchases on the day of the forecast.
    joined : Series of datetime
        Day of the first purchase.
    """
    if group in CLASSES:
        return frequency.between(*CLASSES[group])
    if group.startswith("joined "):
        first, _, last = group.removeprefix("joined ").partition(" to ")
        return joined.between(pd.Timestamp(first), pd.Timestamp(last))
    return pd.Series(True, index=frequency.index)


def record_folder(portfolio: Portfolio, unit: str) -> Path:
    """Folder of the filed forecasts of a unit."""
    return portfolio.record_dir / unit


def file_forecasts(portfolio: Portfolio, unit: str, forecasts: pd.DataFrame) -> Path:
    """File forecasts of one day; what was filed for that day before stays, unless it is the same.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio.
    unit : str
        Name of the unit.
    forecasts : DataFrame
        `COLUMNS`.

    Returns
    -------
    Path
        The file.
    """
    table = forecasts[COLUMNS]
    made_on, kind = table["made_on"].iloc[0], "replayed" if table["replayed"].iloc[0] else "run"
    folder = record_folder(portfolio, unit)
    folder.mkdir(parents=True, exist_ok=True)
    earlier = sorted(folder.glob(f"{made_on}-{kind}-*.parquet"))
    for path in earlier:
        if pd.read_parquet(path).equals(table.reset_index(drop=True)):
            return path
    path = folder / f"{made_on}-{kind}-{len(earlier) + 1:03d}.parquet"
    table.to_parquet(path, index=False)
    return path


def read_filed(portfolio: Portfolio, unit: str) -> pd.DataFrame:
    """Read all filed forecasts of a unit; of one filed twice, that of a run rather than of a replay, and the first."""
    paths = sorted(record_folder(portfolio, unit).glob("*.parquet"))
    if not paths:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    keys = ["made_on", "quantity", "group", "months"]
    return (
        table.sort_values(["replayed", *keys], kind="stable").drop_duplicates(keys).sort_values(keys, ignore_index=True)
    )


def settle(portfolio: Portfolio, unit: str) -> Record:
    """Hold the filed forecasts of a unit against what happened, and save the result in the unit's folder.

    Parameters
    ----------
    portfolio : Portfolio
        The portfolio, whose unit has been counted up to today's end of observation.
    unit : str
        Name of the unit.
    """
    filed = read_filed(portfolio, unit)
    actual = _count_outcomes(portfolio, unit, filed)
    table = filed.assign(actual=actual)
    known = table["actual"].notna()
    inside = (table["actual"] >= table["low"]) & (table["actual"] <= table["high"])
    table = table.assign(inside=inside.where(known, False), error=table["actual"] / table["mean"] - 1.0)
    path = portfolio.build_dir / "units" / unit / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False)
    return _split(portfolio, unit, table)


def settle_units(portfolio: Portfolio, units: Iterable[str] | None = None) -> dict[str, Record]:
    """`settle` for several units; for all that have been counted, when none are named."""
    return {
        name: settle(portfolio, name) for name in (units or portfolio.units) if find_end(portfolio, name) is not None
    }


def load_record(portfolio: Portfolio, unit: str) -> Record:
    """Load what `settle` saved.

    Raises
    ------
    UnfitModelError
        Nothing has been filed yet.
    """
    path = portfolio.build_dir / "units" / unit / FILE
    if not path.is_file():
        raise UnfitModelError(f"No forecast of {unit} has been filed yet. Run `make reports`, or `cvm rerun`.")
    return _split(portfolio, unit, pd.read_parquet(path))


def _split(portfolio: Portfolio, unit: str, table: pd.DataFrame) -> Record:
    known = table["actual"].notna()
    parts = (table[known].reset_index(drop=True), table[~known][COLUMNS].reset_index(drop=True))
    return Record(unit, portfolio.units[unit].label, portfolio.currency, *parts)


def score_record(settled: pd.DataFrame, by: str = "quantity") -> pd.DataFrame:
    """Score settled forecasts.

    Parameters
    ----------
    settled : DataFrame
        From `Record`.
    by : str
        Column to tell them apart by.

    Returns
    -------
    DataFrame
        `by`, forecasts, inside, coverage (share within the interval) with _low and _high (90%, Jeffreys, as if the
        forecasts were independent), bias (mean of outcome over forecast, less one), size (mean of its absolute value).
    """
    rows = []
    for name, part in settled.groupby(by, sort=False):
        n, hits = len(part), int(part["inside"].sum())
        low, high = stats.beta.ppf([0.05, 0.95], hits + 0.5, n - hits + 0.5)
        error = part["error"].to_numpy(float)
        error = error[np.isfinite(error)]
        rows.append(
            {
                by: name,
                "forecasts": n,
                "inside": hits,
                "coverage": hits / n,
                "coverage_low": float(low),
                "coverage_high": float(high),
                "bias": float(error.mean()) if len(error) else np.nan,
                "size": float(np.abs(error).mean()) if len(error) else np.nan,
            }
        )
    names = [by, "forecasts", "inside", "coverage", "coverage_low", "coverage_high", "bias", "size"]
    return pd.DataFrame(rows, columns=names)


def find_end(portfolio: Portfolio, unit: str) -> date | None:
    """Last day that the counts of a unit know of; None before it was counted."""
    folder = portfolio.build_dir / "units" / unit
    for name, key in (("base.json", "end"), ("subscribers.json", "end_of_observation")):
        if (folder / name).is_file():
            return date.fromisoformat(json.loads((folder / name).read_text(encoding="utf-8"))[key])
    return None


def _count_outcomes(portfolio: Portfolio, unit: str, filed: pd.DataFrame) -> pd.Series:
    """What happened to each filed forecast; missing where its end has not come."""
    found = pd.Series(np.nan, index=filed.index, dtype=float)
    end = find_end(portfolio, unit)
    if end is None or filed.empty:
        return found
    due = filed[(filed["ends"] <= end.isoformat()) & (filed["quantity"] != "action")]
    count = _count_buyers if portfolio.units[unit].setting == "noncontractual" else _count_subscribers
    for (made_on, ends), part in due.groupby(["made_on", "ends"]):
        outcome = count(portfolio, unit, date.fromisoformat(made_on), date.fromisoformat(ends))
        found.loc[part.index] = [outcome(*key) for key in zip(part["quantity"], part["group"], strict=True)]
    for place, row in filed[filed["quantity"] == "action"].iterrows():
        found.loc[place] = _read_gain(portfolio, unit, f"{row['group']}-{row['made_on']}")
    return found


def _count_buyers(portfolio: Portfolio, unit: str, made_on: date, ends: date) -> Outcomes:
    """Purchases and money, by group, of those who were customers on the day of the forecast."""
    from cvmlib.clv.counts import count_customers
    from cvmlib.clv.prepare import resolution

    log = ibis.duckdb.connect().read_parquet(str(portfolio.build_dir / "units" / unit / "purchases.parquet"))
    counted = resolution(portfolio, portfolio.units[unit])
    table = count_customers(log, made_on, time_unit=counted, holdout_end=ends)
    by = {"frequency": table.frequency, "first": table["first"].cast("date")}
    sums = table.group_by(**by).agg(purchases=table.holdout_frequency.sum(), spend=table.holdout_value.sum())
    frame = sums.to_pandas()
    joined = pd.to_datetime(frame["first"])

    def count(quantity: str, group: str) -> float:
        return float(frame.loc[in_group(group, frame["frequency"], joined), quantity].sum())

    return count


def _count_subscribers(portfolio: Portfolio, unit: str, made_on: date, ends: date) -> Outcomes:
    """Subscriptions still active, and their revenue of the last month, of those active on the day of the forecast."""
    from cvmlib.churn.months import closing_day, month_index

    spells = pd.read_parquet(portfolio.build_dir / "units" / unit / "subscribers.parquet")
    closing = closing_day(find_end(portfolio, unit))
    if closing_day(made_on) != closing:  # another month grid
        return lambda quantity, group: float("nan")
    split, last = month_index(made_on, closing), month_index(ends, closing)
    until = spells["joined"] + spells["tenure"]
    base = (spells["joined"] <= split) & ((until > split) | ~spells["churned"])
    stays = base & ((until > last) | ~spells["churned"])
    pays = stays | (base & (until == last) & spells["churned"] & (spells["billed"] == 1))
    found = {"active": float(stays.sum()), "revenue": float(spells.loc[pays, "price"].sum())}
    return lambda quantity, group: found[quantity]


def _read_gain(portfolio: Portfolio, unit: str, program: str) -> float:
    """Incremental margin that the study of programs found for an action of an earlier plan; missing before."""
    path = portfolio.build_dir / "units" / unit / "programs_results.parquet"
    if not path.is_file():
        return float("nan")
    table = pd.read_parquet(path)
    mine = table.loc[table["program_id"] == program, "gain"]
    return float(mine.iloc[0]) if len(mine) else float("nan")
