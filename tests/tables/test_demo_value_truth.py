"""The truth about potential and influence: true to the simulation, and beside tables that it does not change."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cvmlib.tables.demo import simulate, simulate_unit
from cvmlib.tables.demo.company import COMPANY
from cvmlib.tables.demo.value_truth import draw_coming, value_files, wallet_gap

END = date(2026, 6, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    simulate(folder, scale=0.05, seed=2)
    return folder


def test_every_unit_has_a_row_per_customer(folder):
    for unit in COMPANY:
        truth = pd.read_parquet(folder / "truth" / unit / "value_parts.parquet")
        people = pd.read_parquet(folder / unit / "customers.parquet")
        assert truth["customer"].tolist() == people["customer"].tolist()
        assert (truth.drop(columns="customer") >= 0).all().all()


def test_the_same_seed_gives_the_same_truth(folder):
    written = {path: pd.read_parquet(folder / path) for path, _ in value_files(folder, 2, END, 3)}
    for path, table in value_files(folder, 2, END, 3):
        pd.testing.assert_frame_equal(table.to_pandas(), written[path])


def test_gap_of_a_shopper_is_that_to_simulated_others():
    unit = COMPANY["fashion"]
    rng = np.random.default_rng(1)
    others = unit.spend.p / rng.gamma(unit.spend.q, 1 / unit.spend.v, 1_000_000)
    truth = pd.DataFrame({"mean_spend": [20.0, 75.0, 300.0]})
    expected = [np.maximum(others - own, 0).mean() for own in truth["mean_spend"]]
    assert wallet_gap(unit, truth) == pytest.approx(expected, rel=0.02)


def test_gap_of_a_subscriber_is_that_to_those_there_are():
    truth = pd.DataFrame({"monthly_fee": [10.0, 20.0, 20.0, 40.0], "alive": [True, True, False, True]})
    assert wallet_gap(COMPANY["mobile"], truth) == pytest.approx([40 / 3, 20 / 3, 20 / 3, 0.0])


@pytest.mark.parametrize("name", ["fashion", "mobile"])
def test_those_to_come_are_as_many_as_the_pace_lets_expect(name):
    tables = simulate_unit(name, 6_000, seed=4)
    truth = tables.truth
    if name == "mobile":
        truth = truth.merge(tables.subscriptions[["customer", "monthly_fee"]], on="customer")
    referrer, value, purchases = draw_coming(COMPANY[name], truth, np.random.default_rng(5), END, 3)
    joined = pd.to_datetime(tables.customers["joined_on"])
    last = (joined > pd.Timestamp(END) - pd.DateOffset(years=1)).sum()
    growth = 1 + COMPANY[name].acquisition.growth
    assert len(referrer) == pytest.approx(last * growth, abs=4 * np.sqrt(2 * last))
    share = (referrer >= 0).mean()
    assert share == pytest.approx(0.09 * 0.92 * 0.87, abs=0.02)  # some are brought by other newcomers
    assert (purchases > 0).all() and (value > 0).all()
    first = tables.customers["joined_on"].iloc[referrer[referrer >= 0]]
    assert len(set(first)) > 50
