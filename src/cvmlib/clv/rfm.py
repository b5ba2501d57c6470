"""Recency, frequency and monetary value: classes of customers whose cuts are stated and never split a tie."""

from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

LEVELS = (0.2, 0.4, 0.6, 0.8)
MEASURES = ("recency", "frequency", "monetary")


@dataclass(frozen=True)
class Rfm:
    """Customers classed by recency, frequency and monetary value; class 1 is the weakest of each.

    Attributes
    ----------
    classes : DataFrame
        One row per measure and class: ``measure``, ``score``, ``low``, ``high`` (both ends observed, inclusive; days
        since the last purchase, number of purchases, or money per purchase), ``customers``, ``customer_share``,
        ``value_share``.
    cells : DataFrame
        One row per occurring combination: ``recency``, ``frequency``, ``monetary`` (scores), ``customers``,
        ``value`` (money).
    """

    classes: pd.DataFrame
    cells: pd.DataFrame

    def shares(self, of: str = "value") -> pd.DataFrame:
        """Share of ``"customers"`` or ``"value"`` by recency (rows, best first) and frequency (columns)."""
        table = self.cells.pivot_table(index="recency", columns="frequency", values=of, aggfunc="sum", fill_value=0)
        total = table.to_numpy().sum()
        table = (table / total if total else table * 0.0).sort_index(ascending=False)
        names = {m: self.classes[self.classes["measure"] == m].set_index("score") for m in ("recency", "frequency")}
        table.index = [_range(names["recency"].loc[score]) for score in table.index]
        table.columns = [_range(names["frequency"].loc[score]) for score in table.columns]
        return table


def score_customers(customers: ir.Table, end: date) -> Rfm:
    """Class customers by fifths of recency, frequency and mean value per purchase.

    Cuts are compared with the measure itself, so customers alike in it are always in one class. Where many are alike
    (most have bought once), cuts coincide and there are fewer than five classes.

    Parameters
    ----------
    customers : ibis Table
        ``frequency`` (repeat purchases), ``last`` (date of the last purchase), ``total_value`` (money).
    end : date
        Last day of observation.
    """
    last = customers["last"].cast("date").cast("timestamp").epoch_seconds()
    until = ibis.literal(int(pd.Timestamp(end).timestamp()), type="int64")
    purchases = customers.frequency.cast("int64") + 1
    measured = customers.select(
        recency=((until - last) / 86_400.0).round().cast("int64"),
        frequency=purchases,
        monetary=customers.total_value / purchases,
        value=customers.total_value,
    )
    cuts = _find_cuts(measured)
    scored = measured.mutate(**{f"{name}_score": _score(measured[name], cuts[name], name) for name in MEASURES})
    bounds = {f"{name}_{side}": getattr(scored[name], side)() for name in MEASURES for side in ("min", "max")}
    cells = scored.group_by([f"{name}_score" for name in MEASURES]).agg(
        customers=scored.count(), value=scored.value.sum(), **bounds
    )
    cells = cells.execute().rename(columns={f"{name}_score": name for name in MEASURES})
    cells = cells.sort_values(list(MEASURES), ascending=False).reset_index(drop=True)
    classes = pd.concat([_describe_classes(cells, name) for name in MEASURES], ignore_index=True)
    return Rfm(classes, cells[[*MEASURES, "customers", "value"]])


def _find_cuts(measured: ir.Table) -> dict[str, list[float]]:
    wanted = {f"{name}_{n}": measured[name].quantile(level) for name in MEASURES for n, level in enumerate(LEVELS)}
    largest = {f"{name}_max": measured[name].max() for name in MEASURES}
    found = measured.agg(**wanted, **largest).execute().iloc[0]
    cuts = {}
    for name in MEASURES:
        values = {float(found[f"{name}_{n}"]) for n in range(len(LEVELS))}
        cuts[name] = sorted(value for value in values if value < float(found[f"{name}_max"]))
    return cuts


def _score(column: ir.NumericValue, cuts: list[float], name: str) -> ir.IntegerValue:
    """Count the cuts passed, plus one; recency counts down, because few days are best."""
    score = ibis.literal(1, type="int64")
    for cut in cuts:
        passed = column <= cut if name == "recency" else column > cut
        score = score + passed.cast("int64")
    return score


def _describe_classes(cells: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = cells.groupby(name, sort=True).agg(
        low=(f"{name}_min", "min"), high=(f"{name}_max", "max"), customers=("customers", "sum"), value=("value", "sum")
    )
    rows = rows.rename_axis("score").reset_index().sort_values("score", ascending=False)
    rows.insert(0, "measure", name)
    rows["customer_share"] = rows["customers"] / rows["customers"].sum()
    value = rows.pop("value")
    rows["value_share"] = value / value.sum() if value.sum() else np.nan
    return rows


def _range(row: pd.Series) -> str:
    low, high = f"{row['low']:,.0f}", f"{row['high']:,.0f}"
    return low if low == high else f"{low}–{high}"
