"""Predict purchases and value of a million customers, after compilation; prints CPU seconds and the peak memory.

``python -m benchmarks.tasks.predict_million [CUSTOMERS]``. Customers like CDNOW's, of up to two years at daily
resolution; 1000 posterior draws, which are made up: as wide as those of a fit to so many customers.
"""

import json
import os
import resource
import sys

import numpy as np
import pandas as pd

from cvmlib.clv import gamma_gamma
from cvmlib.clv.ahead import Ahead
from cvmlib.clv.families import bg_nbd
from cvmlib.clv.families.registry import BG_NBD
from cvmlib.clv.purchase_model import Draws as PurchaseDraws
from cvmlib.clv.spend_model import Draws as SpendDraws
from cvmlib.clv.terms import Terms
from cvmlib.clv.value import predict

BUYING = (0.243, 30.9, 0.793, 2.426)
SPENDING = (6.25, 3.74, 15.44)
DAYS = 730
KEYS = ["frequency", "recency", "T", "monetary_value"]
MONTHS = np.r_[0, 31, 62, 92, 123, 153, 184, 215, 243, 274, 304, 335, 365].astype(float)


def simulate_rows(customers: int) -> pd.DataFrame:
    """Draw count rows, told apart by mean spend to the cent."""
    rng = np.random.default_rng(1)
    age = rng.integers(1, DAYS + 1, customers).astype(float)
    frequency, recency = bg_nbd.simulate_customers(age, *BUYING, rng)
    spend = gamma_gamma.simulate_customers(frequency, *SPENDING, rng).round(2)
    frame = pd.DataFrame(dict(zip(KEYS, (frequency, np.minimum(np.ceil(recency), age), age, spend), strict=True)))
    return frame.groupby(KEYS, as_index=False).size().rename(columns={"size": "customers"})


def make_draws(customers: int, draws: int = 1000) -> tuple[PurchaseDraws, SpendDraws]:
    """Make up posterior draws: on the log scale, as far from the truth as so many customers leave it open."""
    rng = np.random.default_rng(2)
    sd = 3.0 / np.sqrt(customers)
    around = [[value * rng.lognormal(0.0, sd, draws) for value in values] for values in (BUYING, SPENDING)]
    return PurchaseDraws(BG_NBD, tuple(around[0])), SpendDraws(*around[1])


def main(customers: int) -> None:
    """Predict twice, the first time a few, so that everything is compiled; time the second."""
    rows, draws = simulate_rows(customers), make_draws(customers)
    terms = Terms(0.1, 0.4, 0.05, per_transaction=1.0, per_customer_year=0.5, returned_share_sd=0.005)
    ahead = Ahead.plain(MONTHS, 1000)
    predict(rows.head(100), *draws, terms, ahead, seed=1)
    start = sum(os.times()[:4])
    found = predict(rows, *draws, terms, ahead, seed=1)
    cpu = sum(os.times()[:4]) - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    sizes = {"customers": int(rows["customers"].sum()), "rows": len(rows)}
    sizes["count_rows"] = len(rows[KEYS[:3]].drop_duplicates())
    print(json.dumps({"cpu": cpu, "memory": memory} | sizes | found.total("value")))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
