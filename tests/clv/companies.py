"""A small portfolio in a folder: a fashion shop that meets the assumptions, and a grocery whose timing does not."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cvmlib.clv import judgement, saving, study, validation, value
from cvmlib.clv.prepare import prepare_unit
from cvmlib.portfolio import Portfolio, read_portfolio
from cvmlib.tables.demo import UnitTables, simulate_unit

CONFIG = """
[portfolio]
name = "Company"
source = "data"
end_of_observation = 2026-06-30
currency = "EUR"
discount_rate = 0.10
seed = 1
sampling = { draws = 1000, tune = 600, chains = 4 }

[units.fashion]
label = "Fashion"
setting = "noncontractual"
margin = 0.45
pool = "fashion"
covariates = ["acquisition_channel"]
costs = { per_transaction = 4.0 }
[units.fashion.tables.transactions]
path = "fashion.parquet"
columns = { customer_id = "customer", date = "ordered_at", value = "quantity * unit_price" }
[units.fashion.tables.customers]
path = "people.parquet"
columns = { customer_id = "customer", acquired_on = "joined_on" }

[units.grocery]
setting = "noncontractual"
margin = 0.22
costs = { per_transaction = 0.5 }
[units.grocery.tables.transactions]
path = "grocery.parquet"
columns = { order_id = "receipt", customer_id = "loyalty_card", date = "bought_at", value = "basket_value" }
"""


@dataclass(frozen=True)
class Company:
    """The portfolio, its simulated tables, and every result of the study."""

    portfolio: Portfolio
    tables: dict[str, UnitTables]
    bases: dict[str, study.UnitBase]
    calibration: study.Models
    full: study.Models
    trials: dict[str, judgement.Trial]
    predictions: dict[str, value.Prediction]
    verdicts: dict[str, validation.Verdict]
    written: list[Path]


def study_company(folder: Path) -> Company:
    """Simulate, prepare, fit and save, as the notebook of the models does."""
    (folder / "data").mkdir()
    (folder / "company.toml").write_text(CONFIG, encoding="utf-8")
    tables = {"fashion": simulate_unit("fashion", 3000, seed=1), "grocery": simulate_unit("grocery", 250, seed=1)}
    for name, unit in tables.items():
        unit.transactions.to_parquet(folder / "data" / f"{name}.parquet")
    tables["fashion"].customers.to_parquet(folder / "data" / "people.parquet")
    portfolio = read_portfolio(folder / "company.toml")
    for name in portfolio.units:
        prepare_unit(portfolio, name)
    bases = study.read_bases(portfolio)
    calibration = study.fit_models(portfolio, bases, calibration=True)
    full = study.fit_models(portfolio, bases, like=calibration)
    trials = {name: judgement.try_unit(portfolio, base, calibration) for name, base in bases.items()}
    predictions = {name: study.predict_unit(portfolio, base, full) for name, base in bases.items()}
    verdicts = {name: judgement.judge_unit(base, full, trials[name], predictions[name]) for name, base in bases.items()}
    written = saving.save_models(portfolio, bases, full, "full")
    written += saving.save_models(portfolio, bases, calibration, "calibration")
    written += saving.save_units(portfolio, bases, full, predictions, verdicts, trials)
    return Company(portfolio, tables, bases, calibration, full, trials, predictions, verdicts, written)


def with_truth(company: Company, unit: str) -> pd.DataFrame:
    """Saved values of the customers beside their real next twelve months."""
    saved = pd.read_parquet(company.bases[unit].folder / "value.parquet")
    truth = company.tables[unit].truth
    return saved.merge(truth.assign(customer_id=truth["customer"].astype(str)), on="customer_id", validate="1:1")
