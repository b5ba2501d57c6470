"""Score a stream of purchases, event by event, and compare with a batch of the same days; prints one line of JSON.

``python -m benchmarks.tasks.score_event WORK CUSTOMERS EVENTS``

The posterior is that of a simulated shop at its true parameters, with some doubt about them: nothing is fitted.
"""

import json
import sys
import time
from pathlib import Path

import ibis
import numpy as np
import pandas as pd

from benchmarks.tasks.customers import simulate_units
from cvmlib.clv.calendar import Calendar
from cvmlib.clv.families.registry import MBG_NBD
from cvmlib.clv.live import Live, live_path, load_live, value_rows, write_live
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.terms import Terms
from cvmlib.decisions.latent import infer_spend, infer_unit_rates
from cvmlib.decisions.scorer import Scorer
from cvmlib.decisions.segments import Criteria, read_criteria
from cvmlib.decisions.shop_rows import KEYS, score_shop
from cvmlib.decisions.tiers import assign_tiers, tabulate_tiers
from cvmlib.decisions.types import TYPES, assign_types
from cvmlib.decisions.value_results import TABLES, UnitParts, save_parts
from cvmlib.portfolio import Portfolio, read_portfolio

DRAWS, DAYS = 400, 5
END = pd.Timestamp("2026-06-30")
CONFIG = """
[portfolio]
name = "Stream"
source = "."
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1
[units.shop]
setting = "noncontractual"
margin = 0.4
[units.shop.triggers.quiet]
label = "Going quiet"
when = "probability_alive < 0.5 and value > 20"
[units.shop.tables.transactions]
path = "none.parquet"
"""


def write_shop(work: Path, customers: int) -> Portfolio:
    """Write a portfolio, a posterior with a weekly calendar, and the customers it values."""
    rng = np.random.default_rng(1)
    work.mkdir(parents=True, exist_ok=True)
    (work / "pyproject.toml").touch()
    (work / "stream.toml").write_text(CONFIG, encoding="utf-8")
    portfolio = read_portfolio(work / "stream.toml")
    folder = portfolio.build_dir / "units" / "shop"
    folder.mkdir(parents=True, exist_ok=True)

    def around(value: float) -> np.ndarray:
        return value * np.exp(0.05 * rng.standard_normal(DRAWS))

    purchase = Draws(MBG_NBD, (around(0.8), around(60.0), around(1.2), around(4.0)))
    spend, edges = SpendDraws(around(6.0), around(4.0), around(18.0)), np.arange(-1100.0, 800.0, 7.0)
    paths = np.exp(0.15 * np.sin(edges[:-1] / 58.0) + 0.05 * rng.standard_normal((DRAWS, len(edges) - 1)))
    nothing = np.zeros(len(edges) - 1)
    calendar = Calendar(0.0, edges, paths.mean(axis=0), paths, {"scale": nothing}, nothing, nothing)
    live = Live("shop", {"": purchase}, spend, calendar, Terms(0.1, 0.4, 0.05, 1.0, 2.0), END, 12, "day")
    write_live(live, live_path(portfolio, "shop"))
    table = simulate_units(customers, "two-years")
    counts = table[["frequency", "recency", "T"]].astype(float).assign(pattern="")
    counts["monetary_value"] = np.where(counts["frequency"] > 0, rng.lognormal(3.5, 0.4, len(counts)).round(2), 0.0)
    counts["customer_id"] = [f"C{number:07d}" for number in range(len(counts))]
    counts["first"] = END - pd.to_timedelta(counts["T"], unit="D")
    counts["last"] = counts["first"] + pd.to_timedelta(counts["recency"], unit="D")
    counts["total_value"] = counts["monetary_value"] * (counts["frequency"] + 1)
    counts["frequency"] = counts["frequency"].astype(int)
    names = {"purchases": "expected_purchases", "spend": "expected_spend"}
    scores = value_rows(live, counts).rename(columns=names)
    value = pd.concat([counts, scores], axis=1)
    value.to_parquet(folder / "value.parquet")
    write_criteria(portfolio, live, value)
    return portfolio


def write_criteria(portfolio: Portfolio, live: Live, value: pd.DataFrame) -> None:
    """Write what types and tiers go by, as the study of all parts of value finds it."""
    measures = ["p_alive", "expected_purchases", "value"]
    grouped = value.groupby(list(KEYS), as_index=False)
    rows = grouped.agg(customers=("value", "size"), **{name: (name, "first") for name in measures})
    rows = rows.assign(value_low=rows["value"], value_high=rows["value"])
    totals = pd.DataFrame({"value": np.ones(DRAWS), "purchases": np.ones(DRAWS)})
    scored = score_shop(live, portfolio.units["shop"], rows, totals)
    number = rows["customers"].to_numpy(float)
    tables = dict.fromkeys(TABLES, pd.DataFrame())
    tables["tiers"] = tabulate_tiers(scored.tiers, scored.tier_chances, rows["value"].to_numpy(float), number)
    facts = {"withheld": False, "lines": vars(scored.lines), "tiers_stated": scored.tiers.stated}
    save_parts(portfolio, UnitParts("shop", facts, tables), ibis.memtable(value[["customer_id"]]))


def segment_batch(live: Live, criteria: Criteria, rows: pd.DataFrame) -> pd.DataFrame:
    """Likeliest type and tier of every row with their probabilities."""
    judged = infer_unit_rates(live, rows), infer_spend(live.spend, rows), live.terms
    found = {}
    for kind, names, chances in (
        ("type", TYPES, assign_types(*judged, criteria.lines)),
        ("tier", criteria.tiers.names, assign_tiers(*judged, criteria.tiers)),
    ):
        found[kind] = np.array(names)[chances.argmax(axis=1)]
        found[f"{kind}_probability"] = chances.max(axis=1)
    return pd.DataFrame(found)


def run(work: Path, customers: int, events: int) -> dict[str, float]:
    """Score events of some days one by one; then all of their customers in one batch of each day.

    Compared are the value, and the likeliest type and tier with their probabilities.
    """
    portfolio = write_shop(work, customers)
    known = pd.read_parquet(portfolio.build_dir / "units" / "shop" / "value.parquet").set_index("customer_id")
    rng, start = np.random.default_rng(2), time.process_time()
    scorer = Scorer(portfolio, "shop")
    opening, seconds, worst = time.process_time() - start, [], 0.0
    criteria, wrong = read_criteria(portfolio, "shop"), 0
    each = events // DAYS
    for day in range(1, DAYS + 1):
        when = END + pd.Timedelta(days=day)
        names = rng.choice(known.index, each, replace=False)
        values = rng.lognormal(3.5, 0.4, each).round(2)
        found = []
        for name, value in zip(names, values, strict=True):
            event = {"customer_id": name, "date": when.date().isoformat(), "value": float(value)}
            began = time.thread_time_ns()
            scores = scorer.update(event)
            seconds.append((time.thread_time_ns() - began) / 1e9)
            found.append(scores)
        mine = known.loc[names]
        frequency = mine["frequency"] + 1
        money = (mine["monetary_value"] * mine["frequency"] + values) / frequency
        age = (when - mine["first"]) / pd.Timedelta(days=1)
        rows = mine.assign(frequency=frequency, monetary_value=money, T=age, recency=age)
        live = load_live(portfolio, "shop").on(when)
        batch, scored = value_rows(live, rows)[["value"]].reset_index(drop=True), pd.DataFrame(found)
        batch = pd.concat([batch, segment_batch(live, criteria, rows)], axis=1)
        for name in ("value", "type_probability", "tier_probability"):
            apart = np.abs(scored[name] - batch[name]) / np.maximum(np.abs(batch[name]), 1e-6)
            worst = max(worst, float(apart.max()))
        wrong += int((scored[["type", "tier"]] != batch[["type", "tier"]]).any(axis=1).sum())
        columns = ["frequency", "monetary_value", "last"]
        known.loc[names, columns] = rows.assign(last=when)[columns]
    found = np.quantile(seconds, [0.5, 0.99, 1.0])
    return dict(zip(("median", "p99", "most"), found.tolist(), strict=True)) | {
        "opening": opening, "worst": worst, "other_segment": wrong, "events": len(seconds), "customers": customers,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
