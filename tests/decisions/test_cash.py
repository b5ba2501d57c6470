"""What customers brought: to the cent, from purchases and from payments, and what they hold."""

from datetime import date

import ibis
import pandas as pd
import pytest

from cvmlib.business_unit import BusinessUnit
from cvmlib.churn.counts import build_spells
from cvmlib.decisions.cash import count_cash, count_holdings, count_payments, sum_customers

END = date(2026, 6, 30)


def unit(setting: str = "noncontractual", **costs: float) -> BusinessUnit:
    return BusinessUnit(name="u", label="U", setting=setting, margin=0.4, costs=costs, tables={})


LOG = ibis.memtable(
    pd.DataFrame(
        [
            ("a", "2026-01-01 10:00", 100.10, "p"),
            ("a", "2026-01-01 18:00", -20.05, "p"),
            ("a", "2026-02-01 09:00", -30.00, "q"),
            ("b", "2026-03-01 09:00", 0.0, "q"),
            ("b", "2026-03-05 09:00", 50.0, "unknown"),
            ("b", "2026-03-07 09:00", 10.0, None),
            ("c", "2026-03-07 09:00", -5.0, "p"),
        ],
        columns=["customer_id", "date", "value", "product_id"],
    ).assign(date=lambda t: pd.to_datetime(t["date"]))
)
PRODUCTS = ibis.memtable(pd.DataFrame({"product_id": ["p", "q"], "category": ["tops", "bags"], "margin": [0.5, None]}))


def test_returns_and_costs_are_taken_off_to_the_cent():
    cash = count_cash(LOG, unit(per_transaction=4.0))
    sums = sum_customers(cash).execute().set_index("customer_id")["historic"]
    assert sums["a"] == pytest.approx(0.4 * (100.10 - 20.05 - 30.0) - 4.0, abs=1e-9)
    assert sums["b"] == pytest.approx(0.4 * 60 - 3 * 4.0, abs=1e-9)  # a day that holds only a gift is a purchase
    assert sums["c"] == pytest.approx(-2.0, abs=1e-9)


def test_products_have_margins_of_their_own():
    cash = count_cash(LOG, unit(), PRODUCTS).execute()
    first = cash[(cash["customer_id"] == "a") & (cash["day"] == "2026-01-01")]
    assert first["margin"].item() == pytest.approx(0.5 * 80.05)
    assert cash.loc[cash["customer_id"] == "b", "margin"].sum() == pytest.approx(0.4 * 60)


def test_serving_costs_count_between_first_and_last_purchase():
    cash = count_cash(LOG, unit())
    plain, served = (sum_customers(cash, cost).execute().set_index("customer_id")["historic"] for cost in (0.0, 36.525))
    assert plain["b"] - served["b"] == pytest.approx(6 * 0.1, abs=1e-6)
    assert plain["a"] == pytest.approx(served["a"])


def test_payments_fall_due_on_the_day_of_the_month():
    rows = [
        ("a", "2026-04-15", None, 10.0, 3),  # 15 April, May, June
        ("b", "2026-01-31", "2026-03-01", 20.0, 2),  # 31 January and the last of February
        ("c", "2026-06-30", None, 30.0, 1),
        ("d", "2026-02-10", "2026-05-10", 40.0, 3),
        ("e", "2026-02-10", "2026-05-11", 50.0, 4),
    ]
    table = pd.DataFrame(rows, columns=["customer_id", "start", "end", "price", "payments"])
    table = table.assign(start=pd.to_datetime(table["start"]), end=pd.to_datetime(table["end"]))
    spells = build_spells(ibis.memtable(table), END)
    cash = count_payments(spells, unit("contractual", per_customer_year=12.0))
    sums = sum_customers(cash).execute().set_index("customer_id")
    for row in table.itertuples():
        assert sums.loc[row.customer_id, "revenue"] == pytest.approx(row.price * row.payments), row.customer_id
        assert sums.loc[row.customer_id, "historic"] == pytest.approx((0.4 * row.price - 1.0) * row.payments)
    days = cash.filter(cash.customer_id == "a").order_by("day").execute()["day"]
    assert days.dt.strftime("%m-%d").tolist() == ["04-15", "05-15", "06-15"]


def test_holdings_count_lines_with_money_in():
    found = count_holdings(LOG, PRODUCTS).execute().set_index(["customer_id", "category"])
    assert found.loc[("a", "tops"), "lines"] == 1 and found.loc[("a", "tops"), "spend"] == pytest.approx(80.05)
    assert list(found.index) == [("a", "tops")]
