"""Covariate patterns: which columns may drive leaving, their levels, and one number for each pattern of levels.

Text keeps its values as levels (the smallest beyond a dozen become "other"), numbers are cut into ranges. A column that
cannot be a covariate is refused with its reason: it is left out, and said so, and the rest goes on.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.business_unit import BusinessUnit
from cvmlib.errors import DataError
from cvmlib.portfolio_mistakes import nearest

MOST_LEVELS, MOST_VALUES = 12, 200
NOT_STATED, OTHER = "not stated", "other"
_COUNTED = ("customer_id", "spell", "tenure", "churned", "joined", "billed", "unpriced")
LEVEL = "level__"
"""Beginning of the names of the columns that hold levels."""


@dataclass(frozen=True)
class Covariate:
    """A column that may drive leaving.

    Parameters
    ----------
    name : str
        The column.
    levels : tuple of str
        Its levels.
    cuts : tuple of float
        Where a number was cut into ranges; empty for text.
    merged : int
        Values counted together as "other".
    """

    name: str
    levels: tuple[str, ...]
    cuts: tuple[float, ...] = ()
    merged: int = 0

    def sentence(self) -> str:
        """Say what the levels are made of."""
        if self.cuts:
            return f"{self.name} is cut at {', '.join(f'{cut:g}' for cut in self.cuts)}."
        more = f", {self.merged} smaller ones counted as “{OTHER}”" if self.merged else ""
        return f"{self.name} has {len(self.levels)} levels{more}."


@dataclass(frozen=True)
class Refusal:
    """A column that is not used as a covariate: its name, and why (a sentence)."""

    name: str
    reason: str


def join_columns(spells: ir.Table, customers: ir.Table | None, unit: BusinessUnit) -> ir.Table:
    """Add a unit's covariates, and the dates on which they were measured, to its spells.

    Parameters
    ----------
    spells : ibis Table
        From `cvmlib.churn.counts.build_spells`, with the covariates that `subscriptions` holds.
    customers : ibis Table or None
        One row per customer, with the others.
    unit : BusinessUnit
        Its `retention` names the columns.

    Raises
    ------
    DataError
        A column is in neither table.
    """
    wanted = list(dict.fromkeys([*unit.retention.covariates, *unit.retention.measured_on.values()]))
    away = [name for name in wanted if name not in spells.columns]
    there = [] if customers is None else [name for name in customers.columns if name != "customer_id"]
    for name in away:
        if name not in there:
            known = sorted({*spells.columns, *there} - set(_COUNTED))
            near = nearest(name, known)
            hint = f"did you mean {near}? Otherwise " if near else ""
            raise DataError(
                f"units.{unit.name}.retention names the column {name}, which is neither in subscriptions nor in "
                f"customers; there are {', '.join(known)}. Remedy: {hint}correct the name, or map the column."
            )
    if not away:
        return spells
    right = customers.select("customer_id", *away)
    return spells.left_join(right, "customer_id").drop("customer_id_right")


def find_levels(
    spells: ir.Table, names: Sequence[str], cuts: dict[str, Sequence[float]] | None = None
) -> tuple[list[Covariate], list[Refusal]]:
    """Find the levels of each covariate.

    Parameters
    ----------
    spells : ibis Table
        With the columns `names`.
    names : sequence of str
        The covariates.
    cuts : dict of str to sequence of float, optional
        Where to cut numbers; otherwise at their quartiles, when they take more than a dozen values.

    Returns
    -------
    covariates : list of Covariate
        Those with two levels or more.
    refused : list of Refusal
        The others.
    """
    found, refused = [], []
    for name in names:
        one = _find(spells, name, tuple((cuts or {}).get(name, ())))
        (found if isinstance(one, Covariate) else refused).append(one)
    return found, refused


def _find(spells: ir.Table, name: str, cuts: tuple[float, ...]) -> Covariate | Refusal:
    column = spells[name]
    if column.type().is_temporal():
        return Refusal(name, f"{name} holds dates. Map a number or a group made of them, such as an age in years.")
    if cuts and not column.type().is_numeric():
        return Refusal(name, f"{name} is to be cut at {', '.join(map(str, cuts))}, but holds text, not numbers.")
    sizes = spells.group_by(value=column).aggregate(n=spells.count()).order_by(ibis.desc("n"), "value")
    sizes = sizes.limit(MOST_VALUES + 1).execute()
    if len(sizes) < 2:
        return Refusal(name, f"{name} has one value only ({_show(sizes)}), which explains no difference.")
    if column.type().is_numeric() and not column.type().is_boolean() and (cuts or len(sizes) > MOST_LEVELS):
        return _cut(spells, name, cuts)
    if len(sizes) > MOST_VALUES:
        values = int(column.nunique().execute())
        return Refusal(
            name,
            f"{name} has {values:,} different values ({_show(sizes)}, …), too many for levels. Group them in the "
            "mapping; if they are numbers, map them as numbers, so that they can be cut into ranges.",
        )
    texts = [NOT_STATED if pd.isna(value) else str(value) for value in sizes["value"]]
    kept = texts if len(texts) <= MOST_LEVELS else texts[: MOST_LEVELS - 1]
    levels = tuple(sorted(kept)) + ((OTHER,) if len(texts) > MOST_LEVELS else ())
    return Covariate(name, levels, (), len(texts) - len(kept))


def _show(sizes: pd.DataFrame) -> str:
    return ", ".join(NOT_STATED if pd.isna(value) else f"“{value}”" for value in sizes["value"].head(3))


def _cut(spells: ir.Table, name: str, cuts: tuple[float, ...]) -> Covariate | Refusal:
    column = spells[name]
    if not cuts:
        quartiles = spells.aggregate(**{f"q{i}": column.quantile(i / 4) for i in (1, 2, 3)}).execute().iloc[0]
        cuts = tuple(dict.fromkeys(float(f"{value:.3g}") for value in quartiles))
    cuts = tuple(sorted(float(cut) for cut in cuts))
    labels = label_ranges(cuts)
    measures = spells.aggregate(low=column.min(), high=column.max(), missing=column.isnull().sum()).execute().iloc[0]
    first, last = (int(np.searchsorted(cuts, measures[end], side="right")) for end in ("low", "high"))
    if first == last and not measures["missing"]:
        return Refusal(name, f"{name} lies in one range only ({labels[first]}); cut it elsewhere.")
    return Covariate(name, tuple(labels) + ((NOT_STATED,) if measures["missing"] else ()), cuts)


def label_ranges(cuts: Sequence[float]) -> list[str]:
    """Name the ranges between cut points: a value on a cut belongs to the range above it."""
    middle = [f"{low:g} to below {high:g}" for low, high in zip(cuts, cuts[1:], strict=False)]
    return [f"below {cuts[0]:g}", *middle, f"{cuts[-1]:g} and more"]


def label_spells(spells: ir.Table, covariates: Sequence[Covariate]) -> ir.Table:
    """Add the levels of the covariates (text, ``level__NAME``), in the engine that holds them."""
    return spells.mutate(**{f"{LEVEL}{one.name}": _label(spells[one.name], one) for one in covariates})


def _label(column: ir.Column, covariate: Covariate) -> ir.StringValue:
    if not covariate.cuts:
        text = column.cast("string").fill_null(NOT_STATED)
        return text.isin(covariate.levels).ifelse(text, OTHER) if covariate.merged else text
    labels = label_ranges(covariate.cuts)
    cases = [(column < cut, label) for cut, label in zip(covariate.cuts, labels, strict=False)]
    return ibis.cases((column.isnull(), NOT_STATED), *cases, else_=labels[-1])


def number_patterns(spells: ir.Table, covariates: Sequence[Covariate]) -> tuple[ir.Table, pd.DataFrame]:
    """Give every pattern of levels a number.

    Parameters
    ----------
    spells : ibis Table
        From `label_spells`.
    covariates : sequence of Covariate
        The covariates.

    Returns
    -------
    spells : ibis Table
        With the column pattern in place of the levels.
    patterns : pandas.DataFrame
        pattern (0 = the largest), the covariates, subscriptions.
    """
    names = [covariate.name for covariate in covariates]
    if not names:
        everybody = pd.DataFrame({"pattern": [0], "subscriptions": [int(spells.count().execute())]})
        return spells.mutate(pattern=ibis.literal(0, "int64")), everybody
    levels = [f"{LEVEL}{name}" for name in names]
    patterns = spells.group_by(levels).aggregate(subscriptions=spells.count()).execute()
    patterns = patterns.sort_values(["subscriptions", *levels], ascending=[False, *[True] * len(names)])
    patterns.insert(0, "pattern", np.arange(len(patterns)))
    table = ibis.memtable(patterns.drop(columns="subscriptions").astype(dict.fromkeys(levels, "str")))
    joined = spells.inner_join(table, levels)
    spare = [name for name in joined.columns if name.startswith(LEVEL)]
    return joined.drop(*spare), patterns.rename(columns=dict(zip(levels, names, strict=True)))


def count_patterns(spells: ir.Table) -> pd.DataFrame:
    """Group spells by pattern and what became of them.

    Parameters
    ----------
    spells : ibis Table
        From `number_patterns`.

    Returns
    -------
    pandas.DataFrame
        pattern, joined (grid month), tenure (months), churned, involuntary (bool: ended without the customer's will),
        subscriptions, sorted.
    """
    involuntary = (spells.end_reason == "involuntary").fill_null(False) & spells.churned
    keys = ["pattern", "joined", "tenure", "churned", "involuntary"]
    rows = spells.mutate(involuntary=involuntary)
    counts = rows.group_by(keys).aggregate(subscriptions=rows.count()).execute()
    types = {"pattern": "int64", "churned": bool, "involuntary": bool, "subscriptions": "int64"}
    return counts.sort_values(keys, ignore_index=True).astype(types)


def as_notes(covariates: Sequence[Covariate], refused: Sequence[Refusal]) -> dict:
    """Covariates and refusals as plain data, for a file."""
    return {"covariates": [asdict(one) for one in covariates], "refused": [asdict(one) for one in refused]}


def from_notes(notes: dict) -> tuple[list[Covariate], list[Refusal]]:
    """Read what `as_notes` made."""
    kept = [
        Covariate(one["name"], tuple(one["levels"]), tuple(one["cuts"]), one["merged"]) for one in notes["covariates"]
    ]
    return kept, [Refusal(**one) for one in notes["refused"]]
