"""Parts of value, types and tiers of demo companies against their truth; prints one line of JSON.

``python -m benchmarks.tasks.value_parts WORK FIRST LAST [SCALE]``
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measure import ROOT
from cvmlib.churn import fit
from cvmlib.churn.prepare import load_units
from cvmlib.churn.prepare import prepare_unit as prepare_subscribers
from cvmlib.clv import saving, study, validation
from cvmlib.clv.prepare import prepare_unit as prepare_buyers
from cvmlib.decisions.prepare import prepare_unit
from cvmlib.decisions.types import TYPES
from cvmlib.decisions.value_study import Study, study_parts
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.reporting.steps import read_checks
from cvmlib.tables.demo import simulate

SURE = 0.8
SAMPLING = 'sampling = { quick = true }\npurchase_models = ["bg_cnbd"]\n'
DAYS = 365.25


def build_company(folder: Path, seed: int, scale: float) -> Portfolio:
    """Simulate a company and value its customers."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    text = (ROOT / "business_units.toml").read_text(encoding="utf-8").replace("[demo]", f"{SAMPLING}\n[demo]", 1)
    (folder / "business_units.toml").write_text(text, encoding="utf-8")
    portfolio = read_portfolio(folder / "business_units.toml")
    simulate(folder / "data" / "demo", scale=scale, seed=seed)
    for name, unit in portfolio.units.items():
        (prepare_subscribers if unit.setting == "contractual" else prepare_buyers)(portfolio, name)
        prepare_unit(portfolio, name, read_checks(portfolio, name))
    bases = study.read_bases(portfolio)
    models = study.fit_models(portfolio, bases)
    predictions = {name: study.predict_unit(portfolio, base, models) for name, base in bases.items()}
    saving.save_units(
        portfolio, bases, models, predictions, dict.fromkeys(bases, validation.Verdict(())), dict.fromkeys(bases)
    )
    fit.save_units(portfolio, fit.fit_units(portfolio, load_units(portfolio)))
    return portfolio


def score_company(work: Path, seed: int, scale: float) -> list[dict]:
    """Compare every unit of one company with its truth."""
    portfolio = build_company(work / f"value-parts-{seed}", seed, scale)
    data = portfolio.folder / "data" / "demo"
    rows = [score_unit(portfolio, data, name, one) | {"seed": seed} for name, one in study_parts(portfolio).items()]
    shutil.rmtree(portfolio.folder)
    return rows


def score_unit(portfolio: Portfolio, data: Path, name: str, found: Study) -> dict:
    """Compare one unit with its truth."""
    customers = found.customers.execute().set_index("customer_id")
    parts = found.result.tables["parts"].set_index("part")
    truth = pd.read_parquet(data / "truth" / name / "customers.parquet").set_index("customer")
    truth = truth.join(pd.read_parquet(data / "truth" / name / "value_parts.parquet").set_index("customer"))
    truth = truth.reindex(customers.index)
    contractual = portfolio.units[name].setting == "contractual"
    past = read_payments(data, portfolio, name) if contractual else read_purchases(data, portfolio, name)
    worth = value_future(truth, portfolio, name, data)
    true_potential = float(truth["potential_12m_discounted"] @ np.full(len(truth), worth["kept"]))
    true_influence = credit(data, name, customers["historic"] + worth["value"]) + float(worth["coming"].sum())
    types = judge(customers, [f"type_{one}" for one in TYPES], true_types(customers, truth, found, worth, contractual))
    tiers = judge(
        customers, [c for c in customers if c.startswith("tier_")], true_tiers(truth, found, worth, contractual)
    )
    whole = customers[["historic", "current", "potential", "credit", "coming"]].sum(axis=1)
    total = parts.loc[["historic", "current", "potential", "coming"], "mean"].sum()
    kinds = customers[["cross_sell", "add_on", "up_sell"]].sum(axis=1)
    return {
        "unit": name,
        "historic_error": float((customers["historic"] - past.reindex(customers.index).fillna(0.0)).abs().max()),
        "potential_true": true_potential,
        "potential": parts.loc["potential"].to_dict(),
        "potential_inside": inside(true_potential, parts.loc["potential"]),
        "influence_true": true_influence,
        "influence": parts.loc["influence"].to_dict(),
        "influence_inside": inside(true_influence, parts.loc["influence"]),
        "true": {
            "current": float(worth["value"].sum()),
            "coming": float(worth["coming"].sum()),
            "credited": credit(data, name, customers["historic"] + worth["value"]),
        },
        "found": parts["mean"].to_dict(),
        "types": types,
        "tiers": tiers,
        "sum_error": float(max((customers["value"] - whole).abs().max(), abs(customers["value"].sum() - total))),
        "kinds_error": float((kinds - customers["potential"]).abs().max()),
        "add_on": float(customers["add_on"].sum() / customers["potential"].sum()),
        "credit": float(customers["credit"].sum()),
    }


def inside(value: float, row: pd.Series) -> bool:
    """Whether a value lies inside an interval."""
    return bool(row["low"] <= value <= row["high"])


def read_purchases(data: Path, portfolio: Portfolio, name: str) -> pd.Series:
    """Historic value of each customer from the raw file, in whole cents, by the treatments data/README.md states."""
    unit = portfolio.units[name]
    file = data / unit.tables["transactions"].path
    raw = pd.read_csv(file, dtype=str) if file.suffix == ".csv" else pd.read_parquet(file)
    raw = raw.drop_duplicates()
    customer = raw["loyalty_card" if "loyalty_card" in raw else "customer"].astype("string").str.strip()
    when = pd.to_datetime(raw["bought_at" if "bought_at" in raw else "ordered_at"])
    price = raw["basket_value"] if "basket_value" in raw else raw["unit_price"]
    cents = np.rint(price.astype(float) * 100) * (1 if "basket_value" in raw else raw["quantity"].astype(float))
    table = pd.DataFrame({"customer": customer, "day": when.dt.normalize(), "cents": cents.astype("int64")})
    late = when >= pd.Timestamp(portfolio.end_of_observation) + pd.Timedelta(days=1)
    table = table[customer.notna() & (customer != "") & ~late]
    days = table.groupby(["customer", "day"])["cents"].agg(["sum", lambda v: bool((v >= 0).all())])
    bought = (days["sum"] > 0) | ((days["sum"] == 0) & days.iloc[:, 1])
    each = days["sum"].groupby("customer").sum() / 100
    return unit.margin * each - unit.costs.per_transaction * bought.groupby("customer").sum()


def read_payments(data: Path, portfolio: Portfolio, name: str) -> pd.Series:
    """Historic value of each subscriber: fees on the days of the month on which they fell due."""
    unit = portfolio.units[name]
    rows = pd.read_parquet(data / unit.tables["subscriptions"].path)
    after = pd.Timestamp(portfolio.end_of_observation) + pd.Timedelta(days=1)
    paid = []
    for row in rows.itertuples():
        start, end = pd.Timestamp(row.activated_on), row.deactivated_on
        until = after if pd.isna(end) else min(after, pd.Timestamp(end))
        number = 0
        while start + pd.DateOffset(months=number) < until:
            number += 1
        paid.append(number)
    cost = unit.costs.per_customer_year / 12 + unit.costs.per_transaction
    money = np.array(paid) * (unit.margin * rows["monthly_fee"] - cost)
    return money.groupby(rows["customer"]).sum()


def value_future(truth: pd.DataFrame, portfolio: Portfolio, name: str, data: Path) -> dict:
    """What the next 12 months really bring, in margin: of each customer, and of whom he will bring."""
    unit = portfolio.units[name]
    if unit.setting == "contractual":
        people = pd.read_parquet(data / unit.tables["subscriptions"].path).set_index("customer")
        fee = people["monthly_fee"].reindex(truth.index)
        cost = unit.costs.per_customer_year / 12
        money = truth["future_value_12m_discounted"]
        coming = (
            unit.margin * truth["referral_value_12m_discounted"] - cost * truth["referral_purchases_12m_discounted"]
        )
        return {"kept": unit.margin, "value": unit.margin * money - cost * money / fee, "coming": coming, "fee": fee}
    gross, net = truth["future_value_12m_gross"], truth["future_value_12m_net"]
    kept = unit.margin * float(net.sum() / gross.sum())
    bought = truth["future_purchases_12m"] * (
        truth["future_value_12m_gross_discounted"] / gross.where(gross > 0)
    ).fillna(0.0)
    cost = unit.costs.per_transaction
    coming = kept * truth["referral_value_12m_discounted"] - cost * truth["referral_purchases_12m_discounted"]
    value = unit.margin * truth["future_value_12m_net_discounted"] - cost * bought
    return {"kept": kept, "value": value, "coming": coming}


def credit(data: Path, name: str, value: pd.Series) -> float:
    """What is credited in all when each referred customer passes half of his account on, one customer at a time."""
    people = pd.read_parquet(data / name / "customers.parquet")
    parent = {c: p for c, p in zip(people["customer"], people["referred_by"], strict=True) if isinstance(p, str)}
    own, total = value.to_dict(), 0.0
    for customer in people["customer"]:
        share, above = 0.5, parent.get(customer)
        while above is not None:
            total += share * own.get(customer, 0.0)
            share, above = share / 2, parent.get(above)
    return total


def true_types(
    customers: pd.DataFrame, truth: pd.DataFrame, found: Study, worth: dict, contractual: bool
) -> np.ndarray:
    """Number of each customer's true type."""
    lines = found.result.totals["lines"]
    high = true_margin(truth, found, worth, contractual) >= lines["margin"]
    often = truth["alive"] & (truth["purchase_rate"] * DAYS > lines["often"]) if not contractual else None
    often = truth["future_months_12m"] >= 12 if contractual else often
    return (np.where(high, 0, 2) + np.where(often, 0, 1)).astype(int)


def true_margin(truth: pd.DataFrame, found: Study, worth: dict, contractual: bool) -> np.ndarray:
    """Margin per purchase, or per month of a subscription."""
    settings = found.result.totals["costs"]
    spend = worth["fee"] if contractual else truth["mean_spend"]
    return (worth["kept"] * spend - settings["each"]).to_numpy(float)


def true_tiers(truth: pd.DataFrame, found: Study, worth: dict, contractual: bool) -> np.ndarray:
    """Number of each customer's true tier."""
    table = found.result.tables["tiers"]
    margin = true_margin(truth, found, worth, contractual)
    year = 12 * margin if contractual else np.where(truth["alive"], truth["purchase_rate"] * DAYS * margin, 0.0)
    inside_of = (year[:, None] >= table["low"].to_numpy()) & (year[:, None] < table["high"].to_numpy())
    return np.where(inside_of.any(axis=1), inside_of.argmax(axis=1), len(table) - 1)


def judge(customers: pd.DataFrame, columns: list[str], true: np.ndarray) -> dict:
    """Customers whose assignment is sure, and those of them for whom it is right."""
    chances = customers[columns].to_numpy(float)
    known = np.isfinite(chances).all(axis=1)
    sure = known & (np.nan_to_num(chances).max(axis=1) >= SURE)
    right = np.nan_to_num(chances).argmax(axis=1) == true
    stated = float(np.nan_to_num(chances).max(axis=1)[sure].sum())
    return {
        "sure": int(sure.sum()),
        "right": int((sure & right).sum()),
        "stated": stated,
        "customers": int(known.sum()),
    }


if __name__ == "__main__":
    first, last = int(sys.argv[2]), int(sys.argv[3])
    size = float(sys.argv[4]) if len(sys.argv) > 4 else 1.0
    print(json.dumps([row for seed in range(first, last + 1) for row in score_company(Path(sys.argv[1]), seed, size)]))
