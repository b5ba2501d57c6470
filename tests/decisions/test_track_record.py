"""The track record: filed once, settled by what happened, and blind to what came later."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cvmlib.churn import prepare as churn_prepare
from cvmlib.churn.simulate import PlanTruth, observe, simulate_subscriptions
from cvmlib.clv.prepare import load_unit, prepare_unit
from cvmlib.decisions.track_record import (
    COLUMNS,
    file_forecasts,
    in_group,
    load_record,
    read_filed,
    record_folder,
    score_record,
    settle,
)
from cvmlib.decisions.track_run import cut_portfolio, file_run, forecast_buyers, list_dates, replay
from cvmlib.errors import ConfigError, UnfitModelError
from cvmlib.portfolio import read_portfolio
from tests.decisions.shops import draw_log, make_live, open_club, open_shop


@pytest.fixture
def shop(tmp_path):
    return open_shop(tmp_path / "shop")


def forecast(made_on="2025-12-31", ends="2026-03-31", group="all", quantity="purchases", low=0.0, high=1e9):
    row = {"unit": "shop", "made_on": made_on, "quantity": quantity, "group": group, "months": 3, "ends": ends,
           "mean": 100.0, "low": low, "high": high, "interval": 0.9, "replayed": True}  # fmt: skip
    return pd.DataFrame([row])[COLUMNS]


def test_what_is_filed_is_never_changed(shop):
    first = file_forecasts(shop, "shop", forecast())
    assert file_forecasts(shop, "shop", forecast()) == first
    second = file_forecasts(shop, "shop", forecast(low=5.0))
    assert second != first and pd.read_parquet(first)["low"].iloc[0] == 0.0
    assert len(read_filed(shop, "shop")) == 1 and read_filed(shop, "shop")["low"].iloc[0] == 0.0
    assert len(list(record_folder(shop, "shop").glob("*.parquet"))) == 2


def test_a_forecast_is_settled_by_what_its_customers_did(shop):
    log = draw_log()
    known = log[log["date"] <= "2025-12-31"]
    after = log[(log["date"] > "2025-12-31") & (log["date"] <= "2026-03-31")]
    mine = after[after["customer_id"].isin(known["customer_id"])]
    once = known["customer_id"].value_counts().loc[lambda n: n == 1].index
    early = known.groupby("customer_id")["date"].min().loc[lambda day: day <= "2024-12-31"].index
    for group in ("all", "bought once", "joined 2024-07-01 to 2024-12-31"):
        file_forecasts(shop, "shop", forecast(group=group))
        file_forecasts(shop, "shop", forecast(group=group, quantity="spend"))
    found = settle(shop, "shop").settled.set_index(["quantity", "group"])["actual"]
    parts = {"all": mine, "bought once": mine[mine["customer_id"].isin(once)],
             "joined 2024-07-01 to 2024-12-31": mine[mine["customer_id"].isin(early)]}  # fmt: skip
    for group, part in parts.items():
        assert found["purchases", group] == len(part) > 0
        assert found["spend", group] == pytest.approx(part["value"].sum())


def test_a_forecast_stays_open_until_the_data_reach_its_end(shop):
    file_forecasts(shop, "shop", forecast(made_on="2026-06-30", ends="2026-09-30"))
    record = settle(shop, "shop")
    assert record.settled.empty and len(record.open) == 1
    assert len(load_record(shop, "shop").open) == 1


def test_without_a_forecast_there_is_no_record(shop):
    with pytest.raises(UnfitModelError, match="No forecast of shop has been filed yet"):
        load_record(shop, "shop")


def test_a_run_files_sums_that_add_up(shop):
    prepare_unit(shop, "shop")
    filed = file_run(shop)
    assert set(filed["months"]) == {3, 6, 12} and (filed["low"] <= filed["mean"]).all()
    table = filed[(filed["quantity"] == "purchases") & (filed["months"] == 6)].set_index("group")["mean"]
    by_repeats = table.drop("all")[[name for name in table.index if not name.startswith("joined") and name != "all"]]
    assert by_repeats.sum() == pytest.approx(table["all"], rel=0.02)
    assert len(settle(shop, "shop").open) == len(filed)


def test_forecast_of_simulated_customers_is_their_expectation(shop):
    prepare_unit(shop, "shop")
    live, base = make_live(draws=400), load_unit(shop, "shop")
    rows = base.count_rows(spend=True)
    table = forecast_buyers(live, rows, base.end, shop).query("group == 'all' and months == 12")
    purchases = table.set_index("quantity").loc["purchases"]
    _, means = live.expect("", rows)
    expected = means.purchases @ rows.groupby(["frequency", "T", "recency"])["customers"].sum().to_numpy()
    assert purchases["mean"] == pytest.approx(expected, rel=0.03)


def test_a_cut_portfolio_does_not_see_what_came_later(shop):
    cut = cut_portfolio(shop, date(2025, 12, 31))
    prepare_unit(cut, "shop")
    before = load_unit(cut, "shop").count_rows(spend=True)
    log = draw_log()
    log.loc[log["date"] > "2025-12-31", "value"] = 9999.0
    log.to_parquet(shop.folder / "tables" / "log.parquet")
    again = cut_portfolio(read_portfolio(shop.path), date(2025, 12, 31))
    prepare_unit(again, "shop")
    pd.testing.assert_frame_equal(before, load_unit(again, "shop").count_rows(spend=True))
    assert cut.build_dir != shop.build_dir and cut.holdout_months == 0


def test_a_replayed_club_is_settled_by_who_stayed(tmp_path):
    plans = {"basic": PlanTruth(1.0, 10.0, np.full(60, 0.04))}
    subscriptions = observe(simulate_subscriptions(500, date(2026, 6, 30), plans, heterogeneity=0.2, seed=3),
                            date(2026, 6, 30))  # fmt: skip
    portfolio = open_club(tmp_path / "club", subscriptions)
    churn_prepare.prepare_unit(portfolio, "club")
    filed = replay(portfolio, [date(2025, 12, 31)])
    assert filed["replayed"].all() and set(filed["quantity"]) == {"active", "revenue"}
    found = settle(portfolio, "club").settled.set_index(["quantity", "months"])
    end = pd.to_datetime(subscriptions["end"])
    base = (pd.to_datetime(subscriptions["start"]) <= "2025-12-31") & (end.isna() | (end > "2025-12-31"))
    for months, day in ((3, "2026-03-31"), (6, "2026-06-30")):
        stays = base & (end.isna() | (end > day))
        assert found.loc[("active", months), "actual"] == stays.sum()
        assert found.loc[("active", months), "mean"] == pytest.approx(base.sum() * 0.96**months, rel=0.1)
        assert found.loc[("revenue", months), "actual"] >= subscriptions.loc[stays, "price"].sum()


def test_coverage_and_bias_are_those_of_the_forecasts():
    settled = pd.DataFrame({"quantity": "purchases", "inside": [True] * 9 + [False], "error": [0.1] * 10})
    row = score_record(settled).iloc[0]
    assert (row["forecasts"], row["inside"], row["coverage"], row["bias"]) == (10, 9, 0.9, pytest.approx(0.1))
    assert row["coverage_low"] < 0.9 < row["coverage_high"]


def test_groups_hold_everybody_once():
    frequency, joined = pd.Series(np.arange(30)), pd.Series(pd.date_range("2026-01-01", periods=30))
    classes = ["bought once", "1 repeat", "2 to 3 repeats", "4 repeats and more"]
    assert sum(in_group(group, frequency, joined).astype(int) for group in classes).eq(1).all()
    assert in_group("joined 2026-01-02 to 2026-01-04", frequency, joined).sum() == 3


def test_days_to_go_back_to():
    end = date(2026, 6, 30)
    assert list_dates(date(2025, 9, 30), end, "quarter") == [date(2025, 9, 30), date(2025, 12, 31), date(2026, 3, 31)]
    assert list_dates(date(2025, 3, 9), date(2025, 12, 9), "quarter") == [date(2025, m, 9) for m in (3, 6, 9)]
    assert list_dates(date(2025, 9, 30), end) == [date(2025, 9, 30)]
    with pytest.raises(ConfigError, match=r"--as-of: found 2026-06-30; expected a day before the end of observation"):
        list_dates(end, end)
    with pytest.raises(ConfigError, match=r"--every: found 'decade'; expected one of month, quarter, year"):
        list_dates(date(2025, 9, 30), end, "decade")
