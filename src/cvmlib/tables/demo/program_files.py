"""Files of the demo company's programs: programs, assignments, activity, sales by store, and the truth beside them."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cvmlib.tables.demo.campaigns import CAMPAIGNS, Campaign
from cvmlib.tables.demo.company import COMPANY, ShopUnit
from cvmlib.tables.demo.programs import (
    WINDOW_DAYS,
    Drawn,
    History,
    contract_history,
    draw_programs,
    open_stream,
    purchase_history,
)
from cvmlib.tables.demo.seasons import add_days

DESIGNS = {"drawn": "randomised", "chosen": "none", "regions": "regional"}
LEAD_WEEKS = 12
LOYAL_SHARE = 0.35  # of a store's sales that go through a loyalty card
STORE_NOISE = 0.02
_ACTIVITY, _STORES = 101, 102


def program_files(folder: Path, seed: int, end: date) -> Iterator[tuple[str, pa.Table | dict[str, Any]]]:
    """Yield path and content of every file of the programs, made from the files of the units in `folder`.

    Parameters
    ----------
    folder : Path
        Where the demo company's tables are.
    seed : int
        Its seed.
    end : datetime.date
        Last day of observation.
    """
    first_future = add_days(np.datetime64(end, "D"), 1)
    for unit in CAMPAIGNS:
        history, stores = _read_history(folder, unit)
        drawn = draw_programs(unit, history, first_future, seed)
        yield f"{unit}/programs.parquet", program_table(drawn)
        yield f"{unit}/assignments.parquet", assignment_table(drawn, history, stores)
        yield f"{unit}/activity.parquet", activity_table(unit, drawn, first_future, seed)
        truth = {d.campaign.program_id: true_effect(d) for d in drawn}
        if stores is not None:
            sales, lifts = store_sales(unit, drawn, stores, first_future, seed)
            truth |= lifts
            yield f"{unit}/store_sales.parquet", sales
        yield f"truth/{unit}/programs.json", truth


def _read_history(folder: Path, unit: str) -> tuple[History, pd.DataFrame | None]:
    """Read what a unit's customers did; of a unit with stores, also its baskets by store and day."""
    truth = pd.read_parquet(folder / "truth" / unit / "customers.parquet")
    if not isinstance(COMPANY[unit], ShopUnit):
        return contract_history(pd.read_parquet(folder / unit / "subscriptions.parquet"), truth), None
    transactions = pd.read_parquet(folder / unit / COMPANY[unit].file)
    customers = pd.read_parquet(folder / unit / "customers.parquet")
    stores = None
    if "store" in transactions.columns:
        at = transactions["bought_at"]
        stores = pd.DataFrame({"store": transactions["store"], "at": at, "value": transactions["basket_value"]})
    return purchase_history(transactions, customers, truth), stores


def program_table(drawn: list[Drawn]) -> pa.Table:
    """Build the programs, in the column names of the company's own system."""
    campaigns = [d.campaign for d in drawn]
    starts = np.array([d.start for d in drawn], dtype="datetime64[D]")
    shares = [c.share if c.design == "drawn" else None for c in campaigns]
    return pa.table(
        {
            "program": [c.program_id for c in campaigns],
            "name": [c.label for c in campaigns],
            "challenge": [c.challenge for c in campaigns],
            "goal": [c.outcome for c in campaigns],
            "started_on": starts,
            "ended_on": add_days(starts, WINDOW_DAYS - 1),
            "cost": [_cost(d) for d in drawn],
            "channel": [c.channel for c in campaigns],
            "paid_channel": pa.array([c.paid or None for c in campaigns], pa.string()),
            "design": pa.array([DESIGNS.get(c.design) for c in campaigns], pa.string()),
            "planned_share": pa.array(shares, pa.float64()),
        }
    )


def _cost(drawn: Drawn) -> float:
    per_head = drawn.campaign.reached > 0
    return round(drawn.campaign.cost * (int(drawn.treated.sum()) if per_head else 1), 2)


def assignment_table(drawn: list[Drawn], history: History, stores: pd.DataFrame | None) -> pa.Table:
    """Build the assignments: program, customer (or store), group (test or holdout), day of the draw."""
    parts = [(d.campaign.program_id, history.ids[d.rows], d.treated, d.start) for d in drawn if len(d.rows)]
    if stores is not None:
        names = np.array(sorted(stores["store"].unique()), dtype=object)
        regional = [d for d in drawn if d.campaign.design == "regions"]
        parts += [(d.campaign.program_id, names, np.arange(len(names)) < 2, d.start) for d in regional]
    sizes = [len(ids) for _, ids, _, _ in parts]
    treated = np.concatenate([np.zeros(0, dtype=bool), *(part[2] for part in parts)])
    return pa.table(
        {
            "program": pa.array(np.repeat(np.array([part[0] for part in parts], dtype=object), sizes), pa.string()),
            "customer": pa.array(
                np.concatenate([np.zeros(0, dtype=object), *(part[1] for part in parts)]), pa.string()
            ),
            "group": np.where(treated, "test", "holdout"),
            "drawn_on": np.repeat(np.array([part[3] for part in parts], dtype="datetime64[D]"), sizes).astype(
                "datetime64[D]"
            ),
        }
    )


def activity_table(unit: str, drawn: list[Drawn], first_future: np.datetime64, seed: int) -> pa.Table:
    """Build weekly counts of what each program set in motion, from twelve weeks before it to its end."""
    frames = []
    for number, d in enumerate(drawn):
        rng = open_stream(unit, seed, _ACTIVITY, number)
        monday = add_days(d.start, -((d.start.astype(int) + 3) % 7))
        weeks = add_days(monday, 7 * np.arange(-LEAD_WEEKS, WINDOW_DAYS // 7 + 1))
        weeks = weeks[weeks < first_future]
        during = weeks >= monday
        for kind in d.campaign.kinds:
            level = rng.uniform(80, 900)
            count = rng.poisson(
                level * np.exp(0.08 * rng.standard_normal(len(weeks))) * (1 + d.campaign.stirred * during)
            )
            frames.append(
                pd.DataFrame(
                    {
                        "week": weeks,
                        "kind": kind,
                        "count": count,
                        "channel": d.campaign.channel,
                        "program": d.campaign.program_id,
                    }
                )
            )
    return pa.Table.from_pandas(pd.concat(frames, ignore_index=True), preserve_index=False)


def store_sales(
    unit: str, drawn: list[Drawn], stores: pd.DataFrame, first_future: np.datetime64, seed: int
) -> tuple[pa.Table, dict[str, dict[str, float]]]:
    """Build weekly sales of each store, those without a loyalty card among them, and what regional programs added.

    The first two stores carry the true effect of the unit's regional programs.
    """
    rng = open_stream(unit, seed, _STORES, 0)
    day = stores["at"].to_numpy().astype("datetime64[D]")
    known = stores["store"].notna().to_numpy() & (day < first_future)
    monday = add_days(day, -((day.astype(int) + 3) % 7))
    weekly = stores[known].groupby([monday[known], "store"])["value"].sum().unstack(fill_value=0.0).sort_index()
    whole = weekly.index.to_numpy().astype("datetime64[D]")
    weekly = weekly[(whole >= day.min()) & (add_days(whole, 7) <= first_future)]
    weeks = weekly.index.to_numpy().astype("datetime64[D]")
    sales = weekly.to_numpy() / LOYAL_SHARE * np.exp(STORE_NOISE * rng.standard_normal(weekly.shape))
    lifts = {}
    for d in drawn:
        if d.campaign.design != "regions":
            continue
        tested = (weeks >= d.start) & (weeks < add_days(d.start, WINDOW_DAYS))
        added = d.campaign.lift * sales[tested, :2].sum()
        sales[tested, :2] *= 1 + d.campaign.lift
        lifts[d.campaign.program_id] = {"lift": d.campaign.lift, "incremental": float(added)}
    table = pd.DataFrame(sales.round(2), index=weeks, columns=list(weekly.columns)).rename_axis("week").reset_index()
    long = table.melt("week", var_name="store", value_name="sales").sort_values(["week", "store"])
    return pa.Table.from_pandas(long.astype({"store": "str"}), preserve_index=False), lifts


def true_effect(drawn: Drawn) -> dict[str, Any]:
    """Collect what is true of a program: money per treated customer, in all, and as a share of the others' spending."""
    campaign: Campaign = drawn.campaign
    facts: dict[str, Any] = {"design": campaign.design, "fault": campaign.fault}
    if drawn.truth is None:
        return facts | {"lift": None}
    treated = int(drawn.treated.sum())
    return facts | {
        "lift": drawn.truth["lift"] / drawn.truth["base"],
        "per_customer": drawn.truth["lift"],
        "incremental": drawn.truth["lift"] * treated,
        "future_per_customer": drawn.truth["future"],
        "treated": treated,
    }
