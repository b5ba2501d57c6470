"""A small company on disk with all that the parts of value need: a shop whose posterior is known, and a phone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from cvmlib.churn import fit
from cvmlib.churn.prepare import load_units
from cvmlib.churn.prepare import prepare_unit as prepare_subscribers
from cvmlib.clv.calendar import plain_calendar
from cvmlib.clv.families.registry import FAMILIES
from cvmlib.clv.live import Live, value_rows
from cvmlib.clv.prepare import load_unit as load_buyers
from cvmlib.clv.prepare import prepare_unit as prepare_buyers
from cvmlib.clv.purchase_model import Draws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.terms import Terms
from cvmlib.decisions.prepare import prepare_unit
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.reporting.steps import read_checks
from cvmlib.tables.demo import UnitTables, simulate_unit

CONFIG = """
[portfolio]
name = "Company"
source = "data"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.1

[units.fashion]
label = "Fashion <b>"
setting = "noncontractual"
margin = 0.45
costs = { per_transaction = 4.0 }
[units.fashion.tables.transactions]
path = "transactions.parquet"
columns = { customer_id = "customer", date = "ordered_at", value = "quantity * unit_price", product_id = "product" }
[units.fashion.tables.customers]
path = "people.parquet"
columns = { customer_id = "customer", acquired_on = "joined_on" }
[units.fashion.tables.products]
path = "products.parquet"
columns = { product_id = "product" }

[units.mobile]
label = "Mobile"
setting = "contractual"
margin = 0.55
costs = { per_customer_year = 12.0 }
[units.mobile.tiers]
gold = { from = 200 }
silver = { from = 100, to = 200 }
basic = { to = 100 }
[units.mobile.tables.subscriptions]
path = "subscriptions.parquet"
columns = { customer_id = "customer", start = "activated_on", end = "deactivated_on", price = "monthly_fee" }
[units.mobile.tables.customers]
path = "subscribers.parquet"
columns = { customer_id = "customer", acquired_on = "joined_on" }
"""
SHOP = {"dirt": False, "returns": False, "seasonality": False, "covariates": False}


def write_company(
    folder: Path, shoppers: int = 1500, subscribers: int = 800
) -> tuple[Portfolio, dict[str, UnitTables]]:
    """Simulate and prepare both units; the phone's churn is fitted, the shop's posterior is the truth."""
    (folder / "data").mkdir()
    (folder / "pyproject.toml").touch()
    (folder / "company.toml").write_text(CONFIG, encoding="utf-8")
    shop, phone = simulate_unit("fashion", shoppers, seed=3, **SHOP), simulate_unit("mobile", subscribers, seed=3)
    frames = {"transactions": shop.transactions, "people": shop.customers, "products": shop.products}
    frames |= {"subscriptions": phone.subscriptions, "subscribers": phone.customers}
    for name, frame in frames.items():
        frame.to_parquet(folder / "data" / f"{name}.parquet")
    portfolio = read_portfolio(folder / "company.toml")
    prepare_buyers(portfolio, "fashion")
    prepare_subscribers(portfolio, "mobile")
    for name in portfolio.units:
        prepare_unit(portfolio, name, read_checks(portfolio, name))
    fit.save_units(portfolio, fit.fit_units(portfolio, load_units(portfolio, ["mobile"])))
    return portfolio, {"fashion": shop, "mobile": phone}


def know_posterior(portfolio: Portfolio, tables: UnitTables, draws: int = 200) -> Live:
    """Write the values that the true parameters give the shop's customers, and return the posterior: the truth."""
    truth, base = tables.parameters, load_buyers(portfolio, "fashion")
    values = tuple(np.full(draws, truth["bg_nbd"][name]) for name in ("r", "alpha", "a", "b"))
    spend = SpendDraws(*(np.full(draws, truth["gamma_gamma"][name]) for name in ("p", "q", "v")))
    terms = Terms(0.1, 0.45, per_transaction=4.0)
    purchases = {"": Draws(FAMILIES["bg_nbd"], values)}
    live = Live("fashion", purchases, spend, plain_calendar(), terms, base.now, 12, "day")
    rows = base.count_rows(spend=True)
    found = value_rows(live, rows).rename(columns={"purchases": "expected_purchases"}).drop(columns="spend")
    scored = pd.concat([rows, found], axis=1).assign(value_low=0.0, value_high=found["value"] * 3)
    keys = ["pattern", "frequency", "recency", "T", "monetary_value"]
    customers = base.customers.select("customer_id", *keys).execute()
    joined = customers.merge(scored.drop(columns=["unit", "customers"]), on=keys)
    joined.to_parquet(base.folder / "value.parquet", index=False)
    rng, mean = np.random.default_rng(1), scored["expected_purchases"] @ scored["customers"]
    bought = rng.poisson(mean, 1000).astype(float)
    money = bought / mean * float(scored["value"] @ scored["customers"])
    pd.DataFrame({"value": money, "purchases": bought}).to_parquet(base.folder / "total_draws.parquet", index=False)
    (base.folder / "totals.json").write_text(json.dumps({"verdict": {"level": "sound"}}), encoding="utf-8")
    return live
