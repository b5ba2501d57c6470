"""Count tables of a contractual unit: identical subscriptions are grouped once, in the engine that holds them.

Everything later (life table, cohort triangle, flow by month, forecast, holdout) is derived from one small table,
``plan x month of joining x tenure x left``, whose size depends on the number of months, not of subscribers.
"""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cvmlib.churn.months import closing_day, day_of_grid_month, month_index, month_index_column
from cvmlib.errors import DataError

MAX_PLANS = 12
OTHER_PLANS = "other plans"
ALL_PLANS = "all"
COUNT_COLUMNS = ("subscriptions", "price", "price_sq", "billed", "price_billed", "unpriced")


def build_spells(table: ir.Table, end: date, max_plans: int = MAX_PLANS, keep: Sequence[str] = ()) -> ir.Table:
    """One row per subscription spell, with its tenure on the month grid.

    Parameters
    ----------
    table : ibis Table
        Cleaned subscriptions: customer_id, start, end (null = active), price (money per month); optionally plan,
        end_reason, subscription_id.
    end : datetime.date
        End of observation. Spells that start later are left out; an end after it is not known yet (right censoring).
    max_plans : int, default 12
        The largest plans keep their name, the others are counted together as "other plans".
    keep : sequence of str
        Further columns of `table` to keep, such as covariates.

    Returns
    -------
    ibis Table
        customer_id, spell (1 = the customer's first), plan, price (0 where missing), unpriced (bool), start, end,
        end_reason, joined (grid month), tenure (whole months lived by the end of observation or of the spell),
        churned (bool), billed (1 when the month of leaving was still billed, 0 when not; null while active). A month is
        billed in advance, on the day of the month on which the spell began.
    """
    closing = closing_day(end)
    columns = table.columns
    start, stop = table["start"].cast("date"), table["end"].cast("date")
    stop = (stop <= ibis.literal(end)).ifelse(stop, ibis.null("date"))
    spells = table.select(
        customer_id=table["customer_id"],
        plan=table["plan"].cast("string").fill_null("not stated") if "plan" in columns else ibis.literal(ALL_PLANS),
        price=table["price"].cast("float64").fill_null(0.0),
        unpriced=table["price"].isnull() | (table["price"] <= 0),
        start=start,
        end=stop,
        end_reason=table["end_reason"].cast("string") if "end_reason" in columns else ibis.null("string"),
        **{name: table[name] for name in keep},
    ).filter(lambda t: (t.start <= ibis.literal(end)) & (t.end.isnull() | (t.end >= t.start)))
    joined = month_index_column(spells.start, closing)
    left = month_index_column(spells.end, closing)
    later_in_month = day_of_grid_month(spells.end, closing) > day_of_grid_month(spells.start, closing)
    spells = spells.mutate(
        joined=joined.cast("int64"),
        churned=spells.end.notnull(),
        tenure=(spells.end.notnull().ifelse(left, month_index(end, closing)) - joined).cast("int64"),
        billed=(later_in_month | (left == joined)).cast("int64"),
        spell=(ibis.row_number().over(group_by=spells.customer_id, order_by=spells.start) + 1).cast("int64"),
    )
    return _keep_largest_plans(spells, max_plans)


def _keep_largest_plans(spells: ir.Table, max_plans: int) -> ir.Table:
    """Name the `max_plans` - 1 largest plans when there are more; the rest become one."""
    sizes = spells.group_by("plan").aggregate(n=spells.count())
    top = sizes.order_by(sizes.n.desc(), sizes.plan).limit(max_plans + 1).execute()
    if len(top) <= max_plans:
        return spells
    kept = top["plan"].tolist()[: max_plans - 1]
    return spells.mutate(plan=spells.plan.isin(kept).ifelse(spells.plan, OTHER_PLANS))


def count_subscriptions(spells: ir.Table) -> pd.DataFrame:
    """Group spells into the count table from which everything else is derived.

    Parameters
    ----------
    spells : ibis Table
        From `build_spells`.

    Returns
    -------
    pandas.DataFrame
        One row per plan, joined (grid month), tenure (months), churned (bool), with subscriptions (count), price
        (sum, money per month), price_sq (sum of squares), billed (count whose month of leaving was billed),
        price_billed (their price) and unpriced (count without a positive price), sorted.

    Raises
    ------
    DataError
        When there is no subscription at all.
    """
    billed = spells.billed.fill_null(0)
    counts = (
        spells.group_by("plan", "joined", "tenure", "churned")
        .aggregate(
            subscriptions=spells.count(),
            price=spells.price.sum(),
            price_sq=(spells.price * spells.price).sum(),
            billed=billed.sum(),
            price_billed=(spells.price * billed).sum(),
            unpriced=spells.unpriced.sum(),
        )
        .execute()
    )
    if counts.empty:
        raise DataError(
            "Table subscriptions: no subscription starts on or before the end of observation, so there is nothing to "
            "count. Check the column mapping, the filters and end_of_observation."
        )
    keys = ["plan", "joined", "tenure", "churned"]
    types = {"plan": "str", "churned": bool, "subscriptions": "int64"}
    return counts.sort_values(keys, ignore_index=True).astype(types)


def censor_counts(counts: pd.DataFrame, month: int) -> pd.DataFrame:
    """Take the counts back to what was known at the end of an earlier month.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `count_subscriptions`.
    month : int
        Grid month after which nothing is known.

    Returns
    -------
    pandas.DataFrame
        Same columns; subscriptions that joined later are gone, those that left later are active.
    """
    known = counts[counts["joined"] <= month].copy()
    later = (known["joined"] + known["tenure"] > month) | ~known["churned"]
    known["tenure"] = np.where(later, month - known["joined"], known["tenure"])
    known["churned"] &= ~later
    known.loc[later, ["billed", "price_billed"]] = 0.0
    keys = ["plan", "joined", "tenure", "churned"]
    return known.groupby(keys, as_index=False)[list(COUNT_COLUMNS)].sum()


def infer_observed_from(counts: pd.DataFrame, expected: float = 10.0) -> int | None:
    """Month in which the records of leavers begin, when older subscriptions are in the table only if they survived.

    A table exported from a newer system often holds old joining dates but no leaver before some month. If the churn
    rates by tenure seen later would have led to at least `expected` leavers before the first recorded one, those
    subscribers were seen only because they stayed (left truncation), and they enter the life table at that month. A
    minimum term, before which nobody leaves at any time, is not mistaken for it.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `count_subscriptions`.
    expected : float, default 10
        Leavers expected before the first recorded one (if they occurred at random, seeing none has probability
        ``exp(-expected)``).

    Returns
    -------
    int or None
        First grid month whose leavers are all recorded; None when the records reach back to the first joining.
    """
    left = counts.loc[counts["churned"], "joined"] + counts.loc[counts["churned"], "tenure"]
    if left.empty:
        return None
    first = int(left.min())
    _, origin, at_risk, churned = build_cohort_cube(counts)
    month = origin + np.add.outer(np.arange(at_risk.shape[1]), np.arange(at_risk.shape[2]))
    later, earlier = month > first, month < first
    seen, gone = (at_risk * later).sum(axis=(0, 1)), (churned * later).sum(axis=(0, 1))
    hazard = gone / np.maximum(seen, 1.0)
    return first + 1 if (at_risk * earlier).sum(axis=(0, 1)) @ hazard > expected else None


def build_life_table(counts: pd.DataFrame, by: str | None = None, observed_from: int | None = None) -> pd.DataFrame:
    """Life table: how many were at risk of leaving in each month of tenure, and how many left.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `count_subscriptions`.
    by : str, optional
        Grouping column of `counts`, such as ``"plan"``.
    observed_from : int, optional
        First grid month whose leavers are recorded. Earlier months of older subscriptions are not at risk (left
        truncation): they would count survivors only.

    Returns
    -------
    pandas.DataFrame
        [by,] tenure (0 = month of joining), at_risk, churned, hazard (churned / at_risk), retention (share of joiners
        still there after the month: the Kaplan-Meier product of 1 - hazard).
    """
    entry = (observed_from - counts["joined"]).clip(lower=0) if observed_from is not None else 0 * counts["joined"]
    rows = counts.assign(entry=entry)
    rows = rows[rows["entry"] <= rows["tenure"]]
    months = int(counts["tenure"].max()) + 1
    if by is None:
        return _life_table(rows, months)
    parts = [_life_table(part, months).assign(**{by: key}) for key, part in rows.groupby(by, sort=True)]
    table = pd.concat(parts, ignore_index=True)
    return table[[by, *[c for c in table.columns if c != by]]]


def _life_table(rows: pd.DataFrame, months: int) -> pd.DataFrame:
    """Life table of one group over tenure 0 … months - 1; months without anybody at risk are left out."""
    n = rows["subscriptions"].to_numpy()
    exits = np.bincount(rows["tenure"] + 1, weights=n, minlength=months + 1)[:months]
    entries = np.bincount(rows["entry"], weights=n, minlength=months)[:months]
    left = rows[rows["churned"]]
    churned = np.bincount(left["tenure"], weights=left["subscriptions"], minlength=months)[:months]
    at_risk = np.cumsum(entries) - np.cumsum(exits)
    table = pd.DataFrame(
        {"tenure": np.arange(months), "at_risk": at_risk.astype(np.int64), "churned": churned.astype(np.int64)}
    )
    table = table[table["at_risk"] > 0].reset_index(drop=True)
    table["hazard"] = table["churned"] / table["at_risk"]
    table["retention"] = (1 - table["hazard"]).cumprod()
    return table


def active_cells(counts: pd.DataFrame) -> pd.DataFrame:
    """Active subscriptions grouped by what their forecast depends on.

    Returns
    -------
    pandas.DataFrame
        plan, tenure (months), subscriptions, price (sum), price_sq (sum of squares), one row per plan and tenure.
    """
    active = counts[~counts["churned"]]
    return active.groupby(["plan", "tenure"], as_index=False)[["subscriptions", "price", "price_sq"]].sum()


def build_cohort_cube(
    counts: pd.DataFrame, observed_from: int | None = None
) -> tuple[list[str], int, np.ndarray, np.ndarray]:
    """At risk and churned by plan, month of joining and tenure, as dense arrays.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `count_subscriptions`.
    observed_from : int, optional
        As in `build_life_table`.

    Returns
    -------
    plans : list of str
        Names along the first axis.
    first : int
        Grid month of the first row of the second axis.
    at_risk, churned : array, shape (plans, months of joining, tenures)
        Subscriptions; tenure t of joiners of month j falls in calendar month j + t.
    """
    plans = sorted(counts["plan"].unique())
    first = int(counts["joined"].min())
    shape = (len(plans), int(counts["joined"].max()) - first + 1, int(counts["tenure"].max()) + 1)
    where = (counts["plan"].map(plans.index).to_numpy(), (counts["joined"] - first).to_numpy(), counts["tenure"])
    n = counts["subscriptions"].to_numpy()
    exits, churned = np.zeros(shape), np.zeros(shape)
    np.add.at(exits, where, n)
    np.add.at(churned, where, np.where(counts["churned"], n, 0))
    at_risk = exits[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
    if observed_from is not None:
        seen = first + np.arange(shape[1])[:, None] + np.arange(shape[2])[None, :] >= observed_from
        at_risk, churned = at_risk * seen, churned * seen
    return plans, first, at_risk, churned
