from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.churn.counts import build_spells, count_subscriptions
from cvmlib.churn.months import month_index
from cvmlib.churn.simulate import PlanTruth, observe, simulate_subscriptions

END = date(2026, 6, 30)
END_MONTH = month_index(END)
MONTHS = np.arange(60)
PLANS = {
    "basic": PlanTruth(0.6, 10.0, 0.02 + 0.05 * np.exp(-MONTHS / 8)),
    "pro": PlanTruth(0.4, 30.0, 0.01 + 0.02 * np.exp(-MONTHS / 15)),
}


@pytest.fixture(scope="session")
def subscriptions() -> pd.DataFrame:
    return observe(simulate_subscriptions(3000, END, PLANS, heterogeneity=0.4, seed=7), END)


@pytest.fixture(scope="session")
def spells(subscriptions):
    return build_spells(ibis.memtable(subscriptions), END)


@pytest.fixture(scope="session")
def counts(spells) -> pd.DataFrame:
    return count_subscriptions(spells)


@pytest.fixture(scope="session")
def count_frame():
    """Turn a list of (customer, start, end or None, price[, plan]) into the count table at the usual end."""

    def count(rows, end=END, **more):
        names = ["customer_id", "start", "end", "price", "plan"][: len(rows[0])]
        frame = pd.DataFrame(rows, columns=names)
        frame = frame.assign(start=pd.to_datetime(frame["start"]), end=pd.to_datetime(frame["end"]))
        return count_subscriptions(build_spells(ibis.memtable(frame), end, **more))

    return count
