"""The guard against covariates that know the future: dated too late, or made of the outcome.

A covariate must be known before the time at risk begins: at joining, or when the records of leavers begin for those who
joined earlier. What was measured later may have been measured because the customer left. A column that predicts leaving
almost perfectly, or that is the length of the stay in another form, was almost surely written afterwards.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from cvmlib.churn.covariates import Refusal

PERFECT_AUC, PERFECT_CORRELATION = 0.9, 0.95
_BINS, _FEW = 20, 200

Array = npt.NDArray[np.float64]


def find_leaks(
    spells: ir.Table, names: Sequence[str], measured_on: Mapping[str, str], records_from: date | None
) -> list[Refusal]:
    """Find the covariates that must not be used.

    Parameters
    ----------
    spells : ibis Table
        start, churned, tenure, price, the covariates and the dates on which they were measured.
    names : sequence of str
        The covariates.
    measured_on : mapping of str to str
        Column with the date of measurement, of those covariates that have one.
    records_from : datetime.date or None
        First day whose leavers are recorded.

    Returns
    -------
    list of Refusal
        Which, and why: dated after the time at risk began, predicting churn almost perfectly, or following the length
        of stay of those who left.
    """
    found = []
    for name in names:
        checks = (
            lambda name=name: _check_dates(spells, name, measured_on.get(name), records_from),
            lambda name=name: _check_outcome(spells, name),
            lambda name=name: _check_stay(spells, name),
        )
        reason = next(filter(None, (check() for check in checks)), None)
        if reason:
            found.append(Refusal(name, reason))
    return found


def _check_dates(spells: ir.Table, name: str, dated: str | None, records_from: date | None) -> str | None:
    """Compare the dates of measurement with the beginning of the time at risk."""
    if dated is None:
        return None
    day = spells[dated].cast("date")
    begin = spells.start if records_from is None else ibis.greatest(spells.start, ibis.literal(records_from))
    late = spells.filter(day > begin)
    found = late.aggregate(rows=late.count(), last=late[dated].cast("date").max()).execute().iloc[0]
    if not found["rows"]:
        return None
    first = late.order_by("customer_id").limit(3).customer_id.execute().tolist()
    where = "they joined" if records_from is None else f"they joined or, if later, {records_from}"
    return (
        f"{name} was measured after the time at risk began for {int(found['rows']):,} subscriptions (column {dated}, "
        f"up to {found['last']:%Y-%m-%d}; customers {', '.join(map(str, first))}, …): it may know who left. Supply its "
        f"values as of the day {where}; set retention.records_from to the day of a snapshot, to forecast from there."
    )


def _check_outcome(spells: ir.Table, name: str) -> str | None:
    """Predict leaving from the column alone, out of sample."""
    column = spells[name]
    value = _in_bins(spells, column) if column.type().is_numeric() and not column.type().is_boolean() else column
    rows = spells.mutate(value__=value.cast("string").fill_null(""))
    counts = rows.group_by("value__").aggregate(n=rows.count(), left=rows.churned.sum()).execute()
    auc = out_of_sample_auc(counts["n"].to_numpy(float), counts["left"].to_numpy(float))
    if auc < PERFECT_AUC:
        return None
    return (
        f"{name} alone tells who left from who stayed almost perfectly (out-of-sample AUC {auc:.2f}; up to "
        f"{PERFECT_AUC} is believed): it was most likely written when or after they left. Leave it out, or supply its "
        "values as they were before."
    )


def _in_bins(spells: ir.Table, column: ir.Column) -> ir.Value:
    """Keep a number with few values as it is; cut one with many at its quantiles."""
    if int(column.nunique().execute()) <= _FEW:
        return column
    quantiles = {f"q{i}": column.quantile(i / _BINS) for i in range(1, _BINS)}
    cuts = sorted(set(spells.aggregate(**quantiles).execute().iloc[0].dropna()))
    bins = sum((column > float(cut)).ifelse(1, 0) for cut in cuts)
    return column.isnull().ifelse(-1, bins)


def out_of_sample_auc(customers: Array, left: Array) -> float:
    """Probability that one who left is ranked above one who stayed, each by the share of leavers among the others.

    Parameters
    ----------
    customers, left : array, shape (values,)
        Of each value of a column: those who have it, and those of them who left.

    Returns
    -------
    float
        Area under the ROC curve; 0.5 when everybody or nobody left. Nobody's own outcome enters his own rank: a value
        that nobody else has is worth the share of all.
    """
    stayed, share = customers - left, left.sum() / max(customers.sum(), 1.0)
    if not left.sum() or not stayed.sum():
        return 0.5
    others = customers - 1.0
    score_left = (np.maximum(left - 1.0, 0.0) + share) / (others + 1.0)
    score_stayed = (left + share) / (others + 1.0)
    score = np.concatenate([score_left, score_stayed])
    _, place = np.unique(score.round(12), return_inverse=True)
    weight_left = np.bincount(place, np.concatenate([left, 0 * left]))
    weight_stayed = np.bincount(place, np.concatenate([0 * stayed, stayed]))
    below = np.cumsum(weight_stayed) - 0.5 * weight_stayed
    return float(weight_left @ below / (left.sum() * stayed.sum()))


def _check_stay(spells: ir.Table, name: str) -> str | None:
    """Compare a number with the length of stay of those who left, and with what they paid in it."""
    column = spells[name]
    if not column.type().is_numeric() or column.type().is_boolean() or name == "price":
        return None
    gone = spells.filter(spells.churned & (spells.tenure > 0) & column.notnull())
    value, stay = gone[name].cast("float64"), gone.tenure.cast("float64")
    paid = stay * gone.price
    found = gone.aggregate(rows=gone.count(), stay=value.corr(stay, how="pop"), paid=value.corr(paid, how="pop"))
    found = found.execute().iloc[0]
    closeness = np.nanmax(np.abs(np.array([found["stay"], found["paid"], 0.0], dtype=float)))
    if found["rows"] < _BINS or closeness < PERFECT_CORRELATION:
        return None
    what = "length of stay" if abs(found["stay"]) == closeness else "sum that they paid over their stay"
    return (
        f"{name} follows the {what} of those who left (correlation {closeness:.2f}): it was counted at the end of the "
        "stay, and is not known before. Leave it out, or supply its values as they were at the beginning."
    )
