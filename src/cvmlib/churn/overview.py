"""Tables of the subscriber base: flow by month, plans, tenure, cohort triangle. No model, only what was counted."""

import numpy as np
import pandas as pd

from cvmlib.churn.months import month_start, quarter_label

PLAN_COLUMNS = ("active", "revenue", "price", "joined", "left", "churn_rate")
TENURE_BANDS = ((0, 2), (3, 5), (6, 11), (12, 23), (24, 35), (36, 59), (60, 10_000))


def tabulate_flow(counts: pd.DataFrame, end_month: int) -> pd.DataFrame:
    """Joiners, leavers, active subscriptions and revenue by month.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `cvmlib.churn.counts.count_subscriptions`.
    end_month : int
        Grid month in which the observation ends.

    Returns
    -------
    pandas.DataFrame
        month (timestamp, first day), joined, left, active (at its end), churn_rate (left / active at its beginning),
        revenue (monthly prices of those active at its end, money), price (revenue per active subscription).
    """
    months = np.arange(int(counts["joined"].min()), end_month + 1)
    left = counts[counts["churned"]]
    left_in = left["joined"] + left["tenure"]

    def monthly(values: pd.Series, month: pd.Series) -> np.ndarray:
        return values.groupby(month).sum().reindex(months, fill_value=0).to_numpy()

    flow = pd.DataFrame({"month": pd.to_datetime([month_start(m) for m in months])})
    flow["joined"] = monthly(counts["subscriptions"], counts["joined"])
    flow["left"] = monthly(left["subscriptions"], left_in)
    flow["active"] = (flow["joined"] - flow["left"]).cumsum()
    before = flow["active"].shift(fill_value=0)
    flow["churn_rate"] = (flow["left"] / before).where(before > 0)
    flow["revenue"] = (monthly(counts["price"], counts["joined"]) - monthly(left["price"], left_in)).cumsum()
    flow["revenue"] = flow["revenue"].where(flow["active"] > 0, 0.0)
    flow["price"] = (flow["revenue"] / flow["active"]).where(flow["active"] > 0)
    return flow


def summarise_base(counts: pd.DataFrame, end_month: int) -> dict[str, float]:
    """Headline numbers of the base, over the last twelve months where a period is meant.

    Returns
    -------
    dict
        subscriptions (ever), active, joined and left (last 12 months), churn_rate (per month, mean weighted by those
        at risk), revenue (money per month now), price (per active subscription), change (active against a year before,
        as a share; NaN when there were none).
    """
    flow = tabulate_flow(counts, end_month)
    year = flow.tail(12)
    before = year["active"] - year["joined"] + year["left"]
    active, start = int(flow["active"].iloc[-1]), float(before.iloc[0])
    return {
        "subscriptions": int(counts["subscriptions"].sum()),
        "active": active,
        "joined": int(year["joined"].sum()),
        "left": int(year["left"].sum()),
        "churn_rate": float(year["left"].sum() / before.sum()) if before.sum() > 0 else np.nan,
        "revenue": float(flow["revenue"].iloc[-1]),
        "price": float(flow["price"].iloc[-1]) if active else np.nan,
        "change": active / start - 1 if start > 0 else np.nan,
    }


def tabulate_plans(counts: pd.DataFrame, end_month: int) -> pd.DataFrame:
    """Active subscriptions, revenue and churn by plan, largest revenue first.

    Returns
    -------
    pandas.DataFrame
        plan, active, share (of the active), revenue (money per month), revenue_share, price (mean), joined and left
        (last 12 months), churn_rate (per month).
    """
    rows = []
    for plan, part in counts.groupby("plan", sort=True):
        base = summarise_base(part, end_month)
        rows.append({"plan": plan} | {key: base[key] for key in PLAN_COLUMNS})
    table = pd.DataFrame(rows)
    table.insert(2, "share", table["active"] / max(table["active"].sum(), 1))
    table.insert(4, "revenue_share", table["revenue"] / max(table["revenue"].sum(), 1e-12))
    return table.sort_values(["revenue", "plan"], ascending=[False, True], ignore_index=True)


def tabulate_tenure(counts: pd.DataFrame) -> pd.DataFrame:
    """Active subscriptions by how long they have been there.

    Returns
    -------
    pandas.DataFrame
        tenure (words), active, share, revenue (money per month).
    """
    active = counts[~counts["churned"]]
    rows = []
    for low, high in TENURE_BANDS:
        part = active[active["tenure"].between(low, high)]
        name = f"{low} to {high} months" if high < 10_000 else f"{low} months and more"
        rows.append({"tenure": name, "active": int(part["subscriptions"].sum()), "revenue": float(part["price"].sum())})
    table = pd.DataFrame(rows)
    table.insert(2, "share", table["active"] / max(table["active"].sum(), 1))
    reached = int(counts["tenure"].max())
    return table[[low <= reached for low, _ in TENURE_BANDS]]


def tabulate_cohorts(
    counts: pd.DataFrame, end_month: int, observed_from: int | None = None, longest: int = 12
) -> pd.DataFrame:
    """Retention triangle: share of the joiners of each quarter still there after 0, 1, 2, … quarters.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `cvmlib.churn.counts.count_subscriptions`.
    end_month : int
        Grid month in which the observation ends.
    observed_from : int, optional
        First grid month whose leavers are recorded; older cohorts, of which only survivors are known, are left out.
    longest : int, default 12
        Most recent cohorts, and quarters since joining, to show.

    Returns
    -------
    pandas.DataFrame
        Index: quarter of joining (``2025 Q1``); columns: quarters since joining; cells: share in [0, 1], NaN where not
        yet observed for all three months of joining. Quarters with joiners only.
    """
    rows = counts if observed_from is None else counts[counts["joined"] >= observed_from]
    last = (end_month + 1) // 3 - 1
    shares = {}
    for quarter in range(max(int(rows["joined"].min()) // 3 if len(rows) else last, last - longest + 1), last + 1):
        part = rows[rows["joined"] // 3 == quarter]
        joiners = part["subscriptions"].sum()
        if joiners == 0:
            continue
        known = min((end_month - (3 * quarter + 2)) // 3, longest)
        gone = [
            part.loc[part["churned"] & (part["tenure"] <= 3 * age), "subscriptions"].sum() for age in range(known + 1)
        ]
        shares[quarter_label(3 * quarter)] = pd.Series(1 - np.array(gone) / joiners)
    table = pd.DataFrame(shares).T
    table.index.name = "joined_in"
    return table
