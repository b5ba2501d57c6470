"""Fits shared by the tests of the customer value models: three pooled units of known parameters."""

import pandas as pd
import pytest

from cvmlib import inference
from cvmlib.clv import purchase_model, spend_model
from tests.clv.companies import Company, study_company
from tests.clv.worlds import World, count_unit, purchase_rows

SAMPLING = inference.Sampling(draws=500, tune=500, chains=2, seed=1)


@pytest.fixture(scope="session")
def worlds() -> dict[str, World]:
    return {
        "large": World(),
        "small": World(rate=0.02, dropout=0.15, mean_spend=70.0),
        "silent": World(),  # too young for anyone to have bought again
    }


@pytest.fixture(scope="session")
def pooled_rows(worlds) -> pd.DataFrame:
    silent = pd.DataFrame(
        {"unit": "silent", "frequency": 0, "recency": 0.0, "T": [5.0, 2.0], "monetary_value": 0.0, "customers": [30, 9]}
    )
    large = count_unit("large", worlds["large"], 3000, seed=1)
    small = count_unit("small", worlds["small"], 250, seed=2)
    return pd.concat([large, small, silent], ignore_index=True)


@pytest.fixture(scope="session")
def pooled_purchases(pooled_rows) -> purchase_model.PurchaseFit:
    return purchase_model.fit(purchase_rows(pooled_rows), SAMPLING)


@pytest.fixture(scope="session")
def pooled_spend(pooled_rows) -> spend_model.SpendFit:
    return spend_model.fit(pooled_rows, SAMPLING)


@pytest.fixture(scope="session")
def company(tmp_path_factory) -> Company:
    return study_company(tmp_path_factory.mktemp("company"))
