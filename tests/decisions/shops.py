"""A shop and a club whose posteriors are written by hand, so that nothing has to be fitted."""

import json
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd

from cvmlib.churn.counts import active_cells, build_spells, count_subscriptions
from cvmlib.churn.fit import join_value, make_terms
from cvmlib.churn.forecast import forecast_cells, score_cells
from cvmlib.churn.live import tabulate_live
from cvmlib.churn.retention import fit_hazard
from cvmlib.clv.calendar import plain_calendar
from cvmlib.clv.counts import count_customers, count_purchases
from cvmlib.clv.families.registry import MBG_NBD
from cvmlib.clv.live import Live, live_path, value_rows, write_live
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.terms import Terms
from cvmlib.decisions.cash import count_cash
from cvmlib.decisions.prepare import CASH, FACTS
from cvmlib.decisions.value_results import CUSTOMERS
from cvmlib.decisions.value_study import save_studies, study_parts
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.programs.results import UnitResult, save_result

END = date(2026, 6, 30)
SHOP = """
[portfolio]
name = "Shop"
source = "tables"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1

[units.shop]
setting = "noncontractual"
margin = 0.4
costs = { per_transaction = 1.0, per_customer_year = 2.0 }
action_plan = { budget = 60, channels = { email = 200 }, holdout = 0.1, explore = 0.2, rest_days = 14 }

[units.shop.actions.mail]
label = "Mailing"
channel = "email"
cost = 0.2
programs = "spring"

[units.shop.actions.gift]
label = "Gift"
channel = "post"
cost = 0.5
programs = ["gift"]
stages = ["active"]
capacity = 60

[units.shop.actions.hope]
label = "Hope"
channel = "email"
cost = 0.1
programs = "hope"

[units.shop.triggers.quiet]
label = "Going quiet"
when = "probability_alive < 0.6 and value > 5"

[units.shop.tables.transactions]
path = "log.parquet"
[units.shop.tables.programs]
path = "programs.parquet"
[units.shop.tables.assignments]
path = "assignments.parquet"
"""
CLUB = """
[portfolio]
name = "Club"
source = "tables"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1

[units.club]
setting = "contractual"
margin = 0.5
costs = { per_customer_year = 6.0 }

[units.club.tables.subscriptions]
path = "subscriptions.parquet"
"""


def draw_log(customers: int = 400, seed: int = 1) -> pd.DataFrame:
    """Purchases of customers who join over two years and buy now and then: customer_id, date, value."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        day, gap = pd.Timestamp("2024-07-01") + pd.Timedelta(days=int(rng.integers(0, 700))), rng.gamma(2, 30)
        while day <= pd.Timestamp(END):
            rows.append((f"C{number:04d}", day, round(float(rng.lognormal(3.5, 0.4)), 2)))
            if rng.random() < 0.2:
                break
            day += pd.Timedelta(days=1 + int(rng.exponential(gap)))
    return pd.DataFrame(rows, columns=["customer_id", "date", "value"])


def count_log(log: pd.DataFrame, end: date) -> pd.DataFrame:
    """Counts of the log's customers, as the study makes them."""
    table = count_customers(count_purchases(ibis.memtable(log)), end)
    return table.order_by("customer_id").to_pandas().assign(pattern="")


def make_live(draws: int = 6, seed: int = 1) -> Live:
    """A posterior about plausible parameters."""
    rng = np.random.default_rng(seed)

    def around(value: float) -> np.ndarray:
        return value * np.exp(0.1 * rng.standard_normal(draws))

    purchase = Draws(MBG_NBD, (around(1.2), around(60.0), around(0.9), around(3.0)))
    spend = SpendDraws(around(6.0), around(4.0), around(18.0))
    terms = Terms(0.1, 0.4, 0.05, 1.0, 2.0)
    calendar = plain_calendar()
    calendar = type(calendar)(*(getattr(calendar, name) for name in ("now", "edges", "fitted")),
                              np.ones((draws, 1)), {}, calendar.actual, calendar.expected)  # fmt: skip
    return Live("shop", {"": purchase}, spend, calendar, terms, pd.Timestamp(END), 12, "day")


def open_shop(folder: Path, config: str = SHOP) -> Portfolio:
    """Write a shop: its log, its posterior, its customers' values, and the results of its programs."""
    (folder / "tables").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "shop.toml").write_text(config, encoding="utf-8")
    portfolio = read_portfolio(folder / "shop.toml")
    log, live = draw_log(), make_live()
    log.to_parquet(folder / "tables" / "log.parquet")
    unit = portfolio.build_dir / "units" / "shop"
    unit.mkdir(parents=True)
    counts = count_log(log, END)
    scores = value_rows(live, counts)
    names = {"purchases": "expected_purchases", "spend": "expected_spend"}
    pd.concat([counts, scores.rename(columns=names)], axis=1).to_parquet(unit / "value.parquet")
    count_purchases(ibis.memtable(log)).to_parquet(unit / "purchases.parquet")
    (unit / "base.json").write_text(json.dumps({"end": END.isoformat()}))
    write_live(live, live_path(portfolio, "shop"))
    programs = pd.DataFrame({"program_id": ["spring", "gift", "hope"], "label": ["Spring", "Gift", "Hope"]})
    programs.assign(challenge="segment", intended_outcome="revenue", start=pd.Timestamp("2026-01-01")).to_parquet(
        folder / "tables" / "programs.parquet"
    )
    lately = counts["customer_id"].head(20)
    drawn = pd.DataFrame({"program_id": "spring", "customer_id": lately, "arm": "treated"})
    drawn.assign(assigned_on=pd.Timestamp("2026-06-25")).to_parquet(folder / "tables" / "assignments.parquet")
    save_result(portfolio, study_by_hand())
    return portfolio


def study_by_hand() -> UnitResult:
    """Results of three programs: two measured, one not."""
    rng = np.random.default_rng(3)
    results = pd.DataFrame(
        {
            "program_id": ["spring", "gift", "hope"],
            "label": ["Spring", "Gift", "Hope"],
            "verdict": ["keep", "stop", "not measured"],
            "reason": ["It pays.", "It does not pay.", "Nobody was held back."],
            "window_days": [60.0, np.nan, np.nan],
            "cost": [100.0, 200.0, 50.0],
            "gain": [180.0, 60.0, np.nan],
            "gain_low": [90.0, 10.0, np.nan],
            "gain_high": [260.0, 110.0, np.nan],
            "probability": [0.9, 0.05, np.nan],
        }
    )
    tests = pd.DataFrame(columns=["program_id", "label", "reason", "why_not", "customers", "held_back", "days", "cost",
                                  "worth", "net"])  # fmt: skip
    draws = pd.DataFrame({"spring": rng.normal(0.2, 0.05, 500), "gift": rng.normal(0.12, 0.03, 500)})
    nothing = pd.DataFrame()
    return UnitResult("shop", results, nothing, tests, nothing, nothing, {"unit": "shop"}, draws)


def open_club(folder: Path, subscriptions: pd.DataFrame) -> Portfolio:
    """Write a club: its subscribers, its posterior and its scores."""
    (folder / "tables").mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "club.toml").write_text(CLUB, encoding="utf-8")
    portfolio = read_portfolio(folder / "club.toml")
    subscriptions.to_parquet(folder / "tables" / "subscriptions.parquet")
    unit = portfolio.build_dir / "units" / "club"
    unit.mkdir(parents=True)
    spells = build_spells(ibis.memtable(subscriptions), END)
    spells.mutate(pattern=0).to_parquet(unit / "subscribers.parquet")
    counts = count_subscriptions(spells)
    terms = make_terms(portfolio, portfolio.units["club"])
    posterior = fit_hazard(counts, None, 12, 200, 1)
    forecast = forecast_cells(posterior, active_cells(counts), terms, 2)
    scores = score_cells(forecast)
    tabulate_live(posterior, forecast, 2).to_parquet(unit / "live.parquet")
    stored = ibis.duckdb.connect().read_parquet(str(unit / "subscribers.parquet"))
    join_value(stored, scores, terms).order_by("customer_id").to_parquet(unit / "value.parquet")
    (unit / "totals.json").write_text(json.dumps({"end_of_observation": END.isoformat()}))
    (unit / "subscribers.json").write_text(json.dumps({"end_of_observation": END.isoformat()}))
    return portfolio


def study_values(portfolio: Portfolio, unit: str) -> pd.DataFrame:
    """Study and save the parts of value of a shop or club as they are; return its customers."""
    folder, settings = portfolio.build_dir / "units" / unit, portfolio.units[unit]
    value = pd.read_parquet(folder / "value.parquet")
    value.assign(value_low=0.5 * value["value"], value_high=2 * value["value"]).to_parquet(folder / "value.parquet")
    drawn = np.random.default_rng(5).normal(1.0, 0.05, (2, 500))
    total = {"value": value["value"].sum() * drawn[0], "purchases": 500 * drawn[1]}
    pd.DataFrame(total).to_parquet(folder / "total_draws.parquet")
    facts = {"verdict": {"level": "sound"}, "end_of_observation": END.isoformat()}
    (folder / "totals.json").write_text(json.dumps(facts))
    (folder / FACTS).write_text(json.dumps({"end": END.isoformat(), "missing": []}))
    if settings.setting == "contractual":
        pd.DataFrame({"pattern": [0], "subscriptions": [0], "plan": [""], "price": [0.0]}).to_parquet(
            folder / "patterns.parquet"
        )
    else:
        count_cash(ibis.memtable(draw_log()), settings).to_parquet(folder / CASH)
        value.to_parquet(folder / "customers.parquet")
    save_studies(portfolio, study_parts(portfolio, [unit]))
    return pd.read_parquet(folder / CUSTOMERS).set_index("customer_id")
