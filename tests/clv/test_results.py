"""Tables that reports make of the saved values, against arithmetic by hand."""

import numpy as np
import pandas as pd
import pytest

from cvmlib.clv.results import count_by, count_tenths, list_best, list_silent, load_value
from cvmlib.errors import UnfitModelError
from tests.tables.builders import make_portfolio


def valued(values: list[float], **columns) -> pd.DataFrame:
    size = len(values)
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(size)], "value": np.asarray(values, dtype=float)})
    usual = {
        "p_alive": 0.8,
        "expected_purchases": 1.0,
        "purchases_low": 0,
        "purchases_high": 3,
        "value_low": 0.0,
        "value_high": 9.0,
        "expected_spend": 20.0,
        "frequency": 2,
        "last": pd.Timestamp("2026-01-01"),
        "total_value": 50.0,
    }
    return frame.assign(**usual | columns)


def test_tenths_by_hand():
    found = count_tenths(valued([5.0, 1.0, 100.0, 4.0, *range(10, 26)]))
    assert list(found["tenth"]) == list(range(1, 11)) and (found["customers"] == 2).all()
    assert found["value"][0] == 125.0 and found["per_customer"][0] == 62.5
    assert found["value"].iloc[-1] == 5.0
    assert found["share"].sum() == pytest.approx(1.0)
    assert found["share"][0] == pytest.approx(125 / (110 + sum(range(10, 26))))


def test_tenths_of_few_or_worthless_customers():
    few = count_tenths(valued([3.0, 2.0, 1.0]))
    assert few["customers"].sum() == 3 and few["value"].is_monotonic_decreasing
    worthless = count_tenths(valued([0.0] * 20))
    assert (worthless["share"] == 0).all() and worthless["customers"].sum() == 20
    assert len(count_tenths(valued([]))) == 0


def test_average_by_group():
    customers = valued([10.0, 20.0, 60.0, 1.0], p_alive=[0.1, 0.3, 0.5, 1.0])
    groups = pd.Series({"c0": "shop", "c1": "shop", "c2": "web", "other": "mail"})
    found = count_by(customers, groups)
    assert found["group"].tolist() == ["web", "shop", "(not known)"]
    assert found["customers"].tolist() == [1, 2, 1] and found["value"].tolist() == [60.0, 30.0, 1.0]
    assert found["per_customer"].tolist() == [60.0, 15.0, 1.0]
    assert found["p_alive"].tolist() == pytest.approx([0.5, 0.2, 1.0])


def test_the_best_come_first():
    found = list_best(valued([3.0, 9.0, 5.0]), rows=2)
    assert found["customer_id"].tolist() == ["c1", "c2"] and {"value_low", "value_high"} <= set(found)


def test_the_silent_are_repeat_buyers_who_are_likely_gone():
    customers = valued(
        [1.0, 2.0, 3.0, 4.0, 5.0],
        p_alive=[0.2, 0.49, 0.5, 0.1, 0.3],
        frequency=[3, 1, 4, 0, 2],
        total_value=[10.0, 500.0, 900.0, 800.0, 70.0],
    )
    assert list_silent(customers)["customer_id"].tolist() == ["c1", "c4", "c0"]
    assert list_silent(customers, rows=1)["customer_id"].tolist() == ["c1"]


def test_tenths_of_the_company(company):
    saved = load_value(company.portfolio, "fashion")
    found = count_tenths(saved.customers)
    assert (found["customers"] == 300).all() and found["per_customer"].is_monotonic_decreasing
    assert found["value"].sum() == pytest.approx(saved.totals["value"]["mean"])


def test_not_valued_yet(tmp_path):
    with pytest.raises(UnfitModelError, match="The customers of shop have not been valued yet. Run notebooks/models"):
        load_value(make_portfolio(tmp_path), "shop")
