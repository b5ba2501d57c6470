"""Classes of recency, frequency and monetary value: shares, ties and their cuts."""

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.rfm import MEASURES, score_customers
from tests.clv.bases import END, customers_of, random_base


@pytest.fixture(scope="module")
def counted():
    return customers_of(random_base(500))


def test_every_customer_is_in_one_class_of_each_measure(counted):
    found = score_customers(ibis.memtable(counted), END)
    for measure in MEASURES:
        rows = found.classes[found.classes["measure"] == measure]
        assert rows["customers"].sum() == 500
        assert rows["value_share"].sum() == pytest.approx(1)
        inner = rows.sort_values("low")
        assert (inner["high"].to_numpy()[:-1] < inner["low"].to_numpy()[1:]).all()
    assert found.cells["value"].sum() == pytest.approx(counted["total_value"].sum())
    assert found.shares("customers").to_numpy().sum() == pytest.approx(1)


def test_continuous_measures_split_into_fifths(counted):
    found = score_customers(ibis.memtable(counted), END)
    money = found.classes[found.classes["measure"] == "monetary"]
    assert money["score"].tolist() == [5, 4, 3, 2, 1]
    assert money["customer_share"].to_numpy() == pytest.approx(0.2, abs=0.005)


def test_class_one_is_the_weakest(counted):
    classes = score_customers(ibis.memtable(counted), END).classes.set_index(["measure", "score"])
    days = (pd.Timestamp(END) - counted["last"]).dt.days
    assert classes.loc[("recency", 1), "high"] == days.max()
    assert classes.loc[("recency", 5), "low"] == days.min()
    assert classes.loc[("frequency", 1), "low"] == 1


def test_ties_are_never_split():
    frequency = np.r_[np.zeros(70), np.ones(20), np.arange(2, 12)].astype(int)
    counted = pd.DataFrame({"frequency": frequency, "last": pd.Timestamp("2026-06-01"), "total_value": 10.0})
    found = score_customers(ibis.memtable(counted), END)
    rows = found.classes[found.classes["measure"] == "frequency"].set_index("score")
    assert rows["customers"].tolist() == [10, 20, 70]
    assert rows.loc[1, ["low", "high"]].tolist() == [1, 1]
    assert len(found.classes[found.classes["measure"] == "recency"]) == 1


def test_one_customer():
    counted = pd.DataFrame({"frequency": [0], "last": [pd.Timestamp("2026-06-01")], "total_value": [0.0]})
    found = score_customers(ibis.memtable(counted), END)
    assert found.shares("customers").to_numpy().tolist() == [[1.0]]
    assert found.shares("value").to_numpy().tolist() == [[0.0]]
