"""The demo company: its tables, its faults and its truth, measured against the closed forms of its models."""

import hashlib
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import special

from cvmlib.errors import ConfigError
from cvmlib.tables.demo import is_current, simulate, simulate_unit, simulation
from cvmlib.tables.demo.company import COMPANY, MOBILE, normalised
from cvmlib.tables.demo.orders import Rows
from cvmlib.tables.demo.seasons import add_months, add_shocks, build_calendar
from cvmlib.tables.demo.subscriptions import cumulative_hazard
from cvmlib.tables.demo.truth import count_future

END = pd.Timestamp("2026-06-30")
SHOPS = ("fashion", "boutique", "grocery")


def as_log(unit):
    """Recorded rows of a non-contractual unit in one form: customer, day, cents; only usable rows."""
    rows = unit.transactions
    if unit.name == "grocery":
        rows = rows.rename(
            columns={"loyalty_card": "customer", "bought_at": "ordered_at", "basket_value": "unit_price"}
        )
        rows = rows.assign(quantity=1, order_id=rows["receipt"])
    log = pd.DataFrame(
        {
            "customer": rows["customer"].str.strip(),
            "order": rows["order_id"],
            "time": pd.to_datetime(rows["ordered_at"]),
            "quantity": rows["quantity"],
            "cents": (rows["quantity"] * rows["unit_price"] * 100).round().astype("int64"),
        }
    )
    log["day"] = log["time"].dt.normalize()
    return log


def usable(unit):
    """The log after the treatments of the faults: what the customers really did."""
    log = as_log(unit)[~unit.transactions.duplicated()]
    return log[log["customer"].notna() & (log["customer"] != "") & (log["day"] <= END)]


def counts(log):
    """Repeat purchase days, age at the last one and at the end, per customer."""
    days = log.groupby(["customer", "day"], as_index=False)["cents"].sum()
    days = days[days["cents"] > 0]
    by = days.groupby("customer")["day"].agg(["count", "min", "max"])
    return pd.DataFrame(
        {
            "frequency": by["count"] - 1,
            "recency": (by["max"] - by["min"]).dt.days,
            "T": (END - by["min"]).dt.days,
        }
    )


def expected_future(x, recency, T, t, r, alpha, a, b):
    """Fader, Hardie and Lee (2005), equation 10, after Euler's transformation of the hypergeometric function."""
    z = t / (alpha + T + t)
    gain = 1 - (1 - z) ** (a - 1) * special.hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
    left = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * ((alpha + T) / (alpha + recency)) ** (r + x), 0.0)
    return (a + b + x - 1) / (a - 1) * gain / (1 + left)


@pytest.fixture(scope="module")
def fashion():
    return simulate_unit("fashion", seed=5)


@pytest.fixture(scope="module")
def plain():
    return simulate_unit(
        "fashion", customers=60_000, seed=2, seasonality=False, covariates=False, returns=False, dirt=False
    )


@pytest.fixture(scope="module")
def grocery():
    return simulate_unit("grocery", seed=4)


@pytest.fixture(scope="module")
def mobile():
    return simulate_unit("mobile", customers=40_000, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo")
    simulate(path, scale=0.05, seed=9)
    return path


class TestCalendar:
    @pytest.mark.parametrize("name", list(COMPANY))
    @pytest.mark.parametrize("end", [date(2026, 6, 30), date(2024, 2, 29), date(2025, 12, 31)])
    def test_operational_time_passes_as_fast_as_time_over_each_year(self, name, end):
        calendar = build_calendar(end, 3, COMPANY[name].season)
        day = add_months(calendar.first_future, 12 * np.arange(-3, 4))
        edges = (day - calendar.start).astype(int)
        assert edges[0] == 0
        assert np.allclose(calendar.to_operational(edges), edges, atol=1e-8)
        assert calendar.intensity.min() > 0

    def test_fashion_has_a_season(self):
        calendar = build_calendar(date(2026, 6, 30), 3, COMPANY["fashion"].season)
        days = pd.Series(calendar.intensity, index=pd.to_datetime(calendar.start) + pd.to_timedelta(range(2192), "D"))
        months = days.groupby(days.index.month).mean()
        assert months[12] == max(months) and 1.25 < months[12] < 1.7
        assert months[1] < 0.8 * months[12]
        assert 0.7 < min(months) < 0.85
        weekend = days.groupby(days.index.day_of_week >= 5).mean()
        assert weekend[True] / weekend[False] == pytest.approx(1.12, rel=0.01)

    def test_times_survive_the_way_there_and_back(self):
        calendar = build_calendar(date(2026, 6, 30), 1, COMPANY["fashion"].season)
        times = np.linspace(0, len(calendar.intensity), 1001)
        assert np.allclose(calendar.to_calendar(calendar.to_operational(times)), times, atol=1e-7)

    def test_a_month_without_the_day_gives_its_last_day(self):
        moved = add_months(np.array(["2024-01-31", "2023-11-30"], dtype="datetime64[D]"), np.array([1, 3]))
        assert moved.astype(str).tolist() == ["2024-02-29", "2024-02-29"]

    def test_end_on_the_last_of_june_gives_whole_years_from_july(self):
        calendar = build_calendar(date(2026, 6, 30), 3, None)
        assert str(calendar.start) == "2023-07-01"
        assert calendar.days == 1096


class TestShocks:
    def test_without_them_nothing_changes(self):
        for name in ("fashion", "grocery"):
            usual, none = simulate_unit(name, 200, seed=4), simulate_unit(name, 200, seed=4, shocks=0.0, memory=20.0)
            for field in ("transactions", "customers", "truth", "months", "future"):
                pd.testing.assert_frame_equal(getattr(usual, field), getattr(none, field))

    def test_the_log_intensity_is_an_ornstein_uhlenbeck_process(self):
        plain = build_calendar(date(2026, 6, 30), 3, COMPANY["fashion"].season)
        rng = np.random.default_rng(8)
        paths = np.array([add_shocks(plain, 0.2, 60.0, rng).intensity / plain.intensity for _ in range(600)])
        shock = np.log(paths) + 0.5 * 0.2**2
        assert shock.mean() == pytest.approx(0.0, abs=0.01)
        # 600 paths of 2192 days and a memory of 60 hold about 11,000 independent values: errors below 1% of the sd
        assert shock.std() == pytest.approx(0.2, rel=0.04)
        for lag in (1, 30, 60, 180):
            found = (shock[:, lag:] * shock[:, :-lag]).mean() / shock.var()
            assert found == pytest.approx(np.exp(-lag / 60.0), abs=0.04)
        assert paths.mean() == pytest.approx(1.0, abs=0.01)

    def test_they_move_operational_time_of_whole_years(self):
        plain = build_calendar(date(2026, 6, 30), 3, COMPANY["fashion"].season)
        moved = add_shocks(plain, 0.12, 90.0, np.random.default_rng(1))
        years = (add_months(plain.first_future, 12 * np.arange(-3, 4)) - plain.start).astype(int)
        assert (np.abs(np.diff(moved.to_operational(years)) / np.diff(years) - 1) > 0.005).sum() >= 4
        assert moved.to_operational(years[-1]) == pytest.approx(moved.intensity.sum())
        assert (moved.start, moved.days) == (plain.start, plain.days)

    def test_totals_follow_the_shock_of_their_seed(self):
        quiet = [simulate_unit("fashion", 3000, seed=s).months["purchases"] for s in range(8)]
        moved = {"shocks": 0.3, "memory": 150.0}
        shaken = [simulate_unit("fashion", 3000, seed=s, **moved).months["purchases"] for s in range(8)]
        year = [np.array([months[:12].sum() for months in one], dtype=float) for one in (quiet, shaken)]
        assert year[0].std() / year[0].mean() < 0.08 < 0.12 < year[1].std() / year[1].mean()
        again = simulate_unit("fashion", 3000, seed=7, **moved).months["purchases"]
        assert again.tolist() == shaken[7].tolist()

    @pytest.mark.parametrize(("shocks", "memory"), [(-0.1, 90.0), (float("nan"), 90.0), (0.1, 0.0)])
    def test_out_of_range(self, shocks, memory):
        with pytest.raises(ConfigError, match="standard deviation of 0 or more and a memory above 0"):
            simulate_unit("fashion", 10, shocks=shocks, memory=memory)


class TestPurchases:
    def test_repeat_purchases_agree_with_the_closed_form(self, plain):
        table = counts(usable(plain))
        p = plain.parameters["bg_nbd"]
        r, alpha, a, b = (p[k] for k in ("r", "alpha", "a", "b"))
        t = table["T"].to_numpy() + 0.5  # the first purchase is at noon on average, the end at midnight
        curve = special.hyp2f1(r, b, a + b - 1, t / (alpha + t))
        expected = (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + t)) ** r * curve)
        # purchases of the same day are one: 0.8% fewer
        assert table["frequency"].sum() / expected.sum() == pytest.approx(0.992, abs=0.015)

    def test_one_time_buyers_are_alive_and_the_others_as_often_as_the_model_says(self, plain):
        table = counts(usable(plain)).join(plain.truth.set_index("customer"))
        p = plain.parameters["bg_nbd"]
        r, alpha, a, b = (p[k] for k in ("r", "alpha", "a", "b"))
        x, recency, T = (table[k].to_numpy(dtype=float) for k in ("frequency", "recency", "T"))
        odds = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * ((alpha + T) / (alpha + recency)) ** (r + x), 0.0)
        assert table["alive"].mean() == pytest.approx((1 / (1 + odds)).mean(), abs=0.006)
        assert table.loc[table["frequency"] == 0, "alive"].mean() > 0.985  # same-day repeats are hidden

    def test_future_agrees_with_the_model_at_the_true_parameters(self, plain):
        table = counts(usable(plain)).join(plain.truth.set_index("customer"))
        x, recency, T = (table[k].to_numpy(dtype=float) for k in ("frequency", "recency", "T"))
        expected = expected_future(x, recency, T, 365.0, **plain.parameters["bg_nbd"])
        assert table["future_purchases_12m"].sum() / expected.sum() == pytest.approx(1.0, abs=0.015)

    def test_season_and_covariates_leave_the_future_unbiased_over_whole_years(self):
        unit = simulate_unit("fashion", customers=60_000, seed=6)
        table = counts(usable(unit)).join(unit.truth.set_index("customer"))
        x, recency, T = (table[k].to_numpy(dtype=float) for k in ("frequency", "recency", "T"))
        expected = expected_future(x, recency, T, 365.0, **unit.parameters["bg_nbd"])
        assert table["future_purchases_12m"].sum() / expected.sum() == pytest.approx(1.0, abs=0.015)

    def test_dead_customers_never_buy_again(self, fashion):
        dead = fashion.truth[~fashion.truth["alive"]]
        assert len(dead) > 1000
        assert dead["future_purchases_12m"].sum() == 0
        assert dead["future_value_12m_gross"].sum() == 0

    def test_spend_is_gamma_gamma(self, plain):
        log = usable(plain)
        orders = log.groupby(["customer", "day"])["cents"].sum() / 100
        mean = plain.truth.set_index("customer")["mean_spend"]
        ratio = orders / orders.index.get_level_values(0).map(mean)
        assert ratio.mean() == pytest.approx(1.0, abs=0.02)
        assert ratio.std() == pytest.approx(1 / np.sqrt(4.0), rel=0.05)
        assert mean.mean() == pytest.approx(75, rel=0.02)
        assert abs(np.corrcoef(plain.truth["purchase_rate"], plain.truth["mean_spend"])[0, 1]) < 0.02

    def test_grocery_gaps_are_regular(self):
        unit = simulate_unit("grocery", seed=4, seasonality=False, dirt=False)
        times = unit.transactions.drop_duplicates(["loyalty_card", "bought_at"])
        times = times.assign(day=times["bought_at"].dt.normalize()).drop_duplicates(["loyalty_card", "day"])
        gaps = times.groupby("loyalty_card")["bought_at"].diff().dt.total_seconds().dropna() / 86400
        rates = unit.truth.set_index("customer")["purchase_rate"]
        scaled = gaps * times.loc[gaps.index, "loyalty_card"].map(rates)
        loyal = times["loyalty_card"].map(rates).loc[gaps.index] > 0.1  # long gaps of slow buyers are cut by the end
        assert scaled[loyal].std() / scaled[loyal].mean() == pytest.approx(1 / np.sqrt(3), rel=0.04)
        assert scaled[loyal].mean() == pytest.approx(1.0, abs=0.03)

    def test_small_young_shop_has_350_customers_of_18_months(self):
        unit = simulate_unit("boutique", seed=1)
        assert len(unit.customers) == 350
        assert unit.customers["joined_on"].min() >= date(2025, 1, 1)


class TestCovariates:
    @pytest.mark.parametrize("name", list(COMPANY))
    def test_effects_leave_the_mean_rate_alone(self, name):
        covariates = COMPANY[name].covariates
        for key, effects in normalised(covariates).items():
            shares = [level.share for level in covariates[key].values()]
            assert sum(shares) == pytest.approx(1)
            assert np.dot(shares, np.exp(list(effects.values()))) == pytest.approx(1)

    def test_channels_differ_in_rate_as_stated(self, fashion):
        joined = fashion.truth.merge(fashion.customers, on="customer")
        rates = joined.groupby("acquisition_channel")["purchase_rate"].mean()
        effects = fashion.parameters["effects"]["acquisition_channel"]
        assert rates["referral"] / rates["social"] == pytest.approx(
            np.exp(effects["referral"] - effects["social"]), rel=0.15
        )
        total = sum(max(v.values()) for v in fashion.parameters["effects"].values())
        assert 0.2 < np.expm1(total) < 0.35

    @pytest.mark.parametrize("name", list(COMPANY))
    def test_referrers_came_earlier_and_are_better(self, name):
        unit = simulate_unit(name, customers=6000, seed=8)
        people = unit.customers.set_index("customer")
        referred = people["referred_by"].dropna()
        assert 0.06 < len(referred) / len(people) < 0.10
        assert (
            people.loc[referred, "joined_on"].to_numpy() <= people.loc[referred.index, "joined_on"].to_numpy()
        ).all()
        assert (referred != referred.index).all()
        assert set(people.loc[referred.index, "acquisition_channel"]) == {"referral"}
        if name != "mobile":
            rates = unit.truth.set_index("customer")["purchase_rate"]
            assert rates[referred].mean() > 1.2 * rates.mean()

    @pytest.mark.parametrize("name", list(COMPANY))
    def test_customers_join_within_the_history_at_a_cost(self, name):
        people = simulate_unit(name, customers=3000, seed=8).customers
        assert people["joined_on"].between(date(2023, 7, 1), date(2026, 6, 30)).all()
        assert people["customer"].is_unique
        assert (people["acquisition_cost"] > 0).all()


class TestRecords:
    def test_customers_start_on_the_day_they_join(self, fashion):
        first = usable(fashion).groupby("customer")["day"].min()
        joined = pd.to_datetime(fashion.customers.set_index("customer")["joined_on"])
        assert (first.sort_index() == joined.sort_index()).all()

    def test_prices_are_in_cents_and_products_known(self, fashion):
        rows = fashion.transactions
        assert np.allclose(rows["unit_price"] * 100, np.rint(rows["unit_price"] * 100), atol=1e-6)
        assert set(rows["product"]) <= set(fashion.products["product"])
        assert fashion.products["category"].nunique() == 9

    def test_orders_come_back_at_the_stated_rate(self, fashion):
        log = usable(fashion)
        back = log[log["cents"] < 0]
        orders = log[log["cents"] > 0]["order"].nunique()
        assert back["order"].nunique() / orders == pytest.approx(0.12, abs=0.01)
        bought = log[log["cents"] > 0].groupby("order")["day"].min()
        delay = (back["day"] - back["order"].map(bought)).dt.days
        assert set(delay) == {0, *range(3, 21)}
        assert (delay == 0).mean() == pytest.approx(0.08, abs=0.03)
        money = log.groupby("order")["cents"].sum()
        assert money.min() >= 0
        assert log.groupby(["customer", "day"])["cents"].sum().loc[lambda m: m <= 0].size < 0.1 * len(log)

    def test_some_orders_are_split_on_one_day(self, fashion):
        log = usable(fashion)
        bought = log[log["cents"] > 0].drop_duplicates("order")
        assert 0.012 < bought.duplicated(["customer", "day"]).mean() < 0.03

    def test_boutique_times_are_iso_text(self):
        text = simulate_unit("boutique", seed=1).transactions["ordered_at"]
        assert text.str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d").all()

    def test_order_numbers_follow_time(self, fashion):
        first = as_log(fashion).query("cents > 0").drop_duplicates("order")
        assert first["order"].is_monotonic_increasing


class TestFaults:
    @pytest.mark.parametrize("name", SHOPS)
    def test_each_kind_is_there_and_rare(self, name):
        unit = simulate_unit(name, seed=7)
        log, raw = as_log(unit), unit.transactions
        ids = raw["loyalty_card" if name == "grocery" else "customer"]
        size = len(raw)
        assert 2 <= (ids.isna() | (ids == "")).sum() < 0.009 * size
        assert ids.isna().any() and (ids == "").any()
        assert 2 <= raw.duplicated().sum() < 0.005 * size
        assert 2 <= (log["day"] > END).sum() < 0.003 * size
        assert 2 <= (log["cents"] == 0).sum() < 0.005 * size
        assert 2 <= (ids.str.strip() != ids)[ids.notna()].sum() < 0.004 * size

    @pytest.mark.parametrize("name", SHOPS)
    def test_what_is_left_after_treatment_is_the_clean_log(self, name):
        dirty, clean = (usable(simulate_unit(name, customers=800, seed=7, dirt=flag)) for flag in (True, False))
        columns = ["customer", "time", "cents"]
        dirty = dirty[dirty["cents"] != 0].sort_values(columns)[columns].reset_index(drop=True)
        clean = clean.sort_values(columns)[columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(dirty, clean)

    def test_faults_do_not_touch_the_truth(self):
        with_faults, without = (simulate_unit("fashion", customers=500, seed=7, dirt=flag) for flag in (True, False))
        pd.testing.assert_frame_equal(with_faults.truth, without.truth)


class TestTruth:
    @pytest.mark.parametrize("name", SHOPS)
    def test_future_is_the_sum_of_the_rows_to_come(self, name):
        unit = simulate_unit(name, customers=1500, seed=3)
        future = unit._replace(transactions=unit.future)
        log = as_log(future)
        assert log["day"].min() > END and log["day"].max() <= pd.Timestamp("2027-06-30")
        truth = unit.truth.set_index("customer")
        net = log.groupby("customer")["cents"].sum().reindex(truth.index, fill_value=0) / 100
        gross = log[log["cents"] > 0].groupby("customer")["cents"].sum().reindex(truth.index, fill_value=0) / 100
        assert np.allclose(truth["future_value_12m_net"], net)
        assert np.allclose(truth["future_value_12m_gross"], gross)
        per_day = log.groupby(["customer", "day"])["cents"].sum()
        days = per_day[per_day > 0].groupby("customer").size().reindex(truth.index, fill_value=0)
        assert (truth["future_purchases_12m"] == days).all()
        factor = 1.1 ** (-(log["day"] - END).dt.days / 365.25)
        discounted = (log["cents"] / 100 * factor).groupby(log["customer"]).sum().reindex(truth.index, fill_value=0)
        assert np.allclose(truth["future_value_12m_net_discounted"], discounted, atol=1e-4)

    def test_months_add_up_to_the_horizon(self, fashion):
        year = fashion.months.iloc[:12]
        assert len(fashion.months) == 36
        assert year["purchases"].sum() == fashion.truth["future_purchases_12m"].sum()
        assert year["value_net"].sum() == pytest.approx(fashion.truth["future_value_12m_net"].sum())
        assert fashion.months["starts_on"].iloc[0] == date(2026, 7, 1)

    def test_purchases_are_days_with_money_left(self):
        calendar = build_calendar(date(2026, 6, 30), 1, None)
        day = 86_400
        second = (calendar.days + np.array([0, 0, 1, 1, 2, -1])) * day
        rows = Rows(
            customer=np.array([0, 0, 0, 0, 1, 1]),
            order=np.arange(6),
            second=second,
            item=np.zeros(6, dtype=int),
            quantity=np.array([1, 1, 1, -1, 1, 1]),
            cents=np.array([500, 700, 300, 300, 100, 9900]),
            padded=np.zeros(6, dtype=bool),
        )
        future = count_future(rows, 3, calendar)
        assert future.purchases.tolist() == [1, 1, 0]
        assert future.net.tolist() == [12.0, 1.0, 0.0]
        assert future.gross.tolist() == [15.0, 1.0, 0.0]
        assert future.months[0].tolist() == [2, 16.0, 13.0]

    def test_parameters_hold_the_symbols(self, fashion):
        p = fashion.parameters["bg_nbd"]
        assert p["r"] / p["alpha"] == pytest.approx(2.2 / 365.25)
        assert p["a"] / (p["a"] + p["b"]) == pytest.approx(0.12)
        g = fashion.parameters["gamma_gamma"]
        assert g["p"] * g["v"] / (g["q"] - 1) == pytest.approx(75)


class TestSubscriptions:
    def test_survival_agrees_with_the_beta_discrete_weibull(self):
        unit = simulate_unit("mobile", customers=60_000, seed=3, covariates=False)
        history, truth = unit.subscriptions, unit.truth
        start = history["activated_on"].to_numpy().astype("datetime64[M]").astype(int)
        ends = truth["true_deactivated_on"].to_numpy(dtype="datetime64[M]")
        lasted = np.where(np.isnat(ends), 10_000, ends.astype(int) - start)
        theta = np.random.default_rng(1).beta(MOBILE.a, MOBILE.b, 200_000)
        for month in (1, 2, 11, 12, 13, 24, 36):  # known for everybody: the truth goes 36 months beyond the end
            hazard = cumulative_hazard(MOBILE, month)[-1]
            expected = np.mean((1 - theta) ** hazard) * (1 - MOBILE.payment_failure) ** month
            assert (lasted > month).mean() == pytest.approx(expected, abs=0.007)

    def test_contract_months_and_plans_show_in_the_hazard(self, mobile):
        frame = mobile.subscriptions.merge(mobile.truth, on="customer")
        start, end = (
            frame[c].to_numpy(dtype="datetime64[M]").astype("int64") for c in ("activated_on", "true_deactivated_on")
        )
        months = np.where(frame["true_deactivated_on"].isna(), 10_000, end - start)
        hazard = {m: (months == m).sum() / (months >= m).sum() for m in (1, 2, 11, 12, 13)}
        assert hazard[12] > 2 * hazard[11] and hazard[12] > 2 * hazard[13]
        assert hazard[1] > 1.3 * hazard[2]
        gone = (months <= 12).astype(float)
        by_plan = pd.Series(gone).groupby(frame["plan"].to_numpy()).mean()
        assert by_plan["basic"] > 1.1 * by_plan["plus"] > 1.2 * by_plan["premium"]

    def test_reasons_and_fees(self, mobile):
        table = mobile.subscriptions
        ended = table["deactivated_on"].notna()
        assert (ended == table["reason"].notna()).all()
        assert set(table["reason"].dropna()) == {"voluntary", "involuntary"}
        assert table.loc[ended, "deactivated_on"].max() <= date(2026, 6, 30)
        assert (table.loc[ended, "deactivated_on"] > table.loc[ended, "activated_on"]).all()
        assert table.groupby("plan")["monthly_fee"].nunique().eq(1).all()
        assert (mobile.truth["alive"] == ~ended).all()

    def test_future_fees_are_the_months_until_the_true_end(self, mobile):
        truth, table = mobile.truth, mobile.subscriptions
        ends = pd.to_datetime(truth["true_deactivated_on"]).fillna(pd.Timestamp("2100-01-01"))
        charges = np.zeros(len(truth))
        starts = table["activated_on"].to_numpy(dtype="datetime64[D]")
        for number in range(49):
            due = pd.Series(add_months(starts, number))
            charges += (due > END) & (due <= pd.Timestamp("2027-06-30")) & (due < ends)
        assert (truth["future_months_12m"] == charges).all()
        assert np.allclose(truth["future_value_12m"], charges * table["monthly_fee"])
        assert mobile.months["value"].iloc[:12].sum() == pytest.approx(truth["future_value_12m"].sum())


class TestFiles:
    def test_same_seed_same_bytes(self, folder, tmp_path):
        simulate(tmp_path, scale=0.05, seed=9)
        first, second = (
            {f.relative_to(d).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files_of(d)}
            for d in (folder, tmp_path)
        )
        assert first == second
        assert len(first) == 62

    def test_another_seed_gives_another_company(self):
        one, two = (simulate_unit("boutique", seed=s).truth for s in (1, 2))
        assert not np.allclose(one["purchase_rate"], two["purchase_rate"])

    def test_memory_and_files_agree(self, folder):
        unit = simulate_unit("fashion", customers=600, seed=9)
        pd.testing.assert_frame_equal(pd.read_parquet(folder / "fashion/transactions.parquet"), unit.transactions)
        pd.testing.assert_frame_equal(pd.read_parquet(folder / "truth/fashion/customers.parquet"), unit.truth)
        boutique = simulate_unit("boutique", customers=25, seed=9)
        text = pd.read_csv(folder / "boutique/transactions.csv")
        assert text["ordered_at"].tolist() == boutique.transactions["ordered_at"].tolist()

    def test_columns(self, folder):
        columns = {
            "fashion/transactions.parquet": "order_id customer ordered_at product quantity unit_price",
            "grocery/transactions.parquet": "receipt loyalty_card bought_at basket_value store",
            "mobile/subscriptions.parquet": "subscription_id customer activated_on deactivated_on monthly_fee plan "
            "reason",
            "boutique/products.parquet": "product category name price",
        }
        people = "customer joined_on acquisition_channel acquisition_cost referred_by age_group region"
        columns |= {f"{name}/customers.parquet": people for name in COMPANY}
        for path, names in columns.items():
            assert pq.read_schema(folder / path).names == names.split(), path
        header = (folder / "boutique/transactions.csv").read_text(encoding="utf-8").splitlines()[0]
        assert header.replace('"', "").split(",") == columns["fashion/transactions.parquet"].split()

    def test_manifest_lists_every_file(self, folder):
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        on_disk = {f.relative_to(folder).as_posix() for f in files_of(folder)} - {"manifest.json"}
        assert set(manifest["files"]) == on_disk
        assert manifest["files"]["fashion/customers.parquet"]["rows"] == 600

    def test_is_current_only_for_the_same_arguments(self, folder):
        assert is_current(folder, scale=0.05, seed=9)
        assert not is_current(folder, scale=0.06, seed=9)
        assert not is_current(folder, scale=0.05, seed=8)
        assert not is_current(folder, scale=0.05, seed=9, end=date(2025, 6, 30))
        assert not is_current(folder, scale=0.05, seed=9, years=2)

    def test_is_current_notices_missing_and_cut_files(self, tmp_path):
        assert not is_current(tmp_path / "nowhere")
        simulate(tmp_path, scale=0.01, seed=9)
        assert is_current(tmp_path, scale=0.01, seed=9)
        file = tmp_path / "grocery/transactions.parquet"
        file.write_bytes(file.read_bytes()[:-1])
        assert not is_current(tmp_path, scale=0.01, seed=9)
        file.unlink()
        assert not is_current(tmp_path, scale=0.01, seed=9)
        (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
        assert not is_current(tmp_path, scale=0.01, seed=9)

    def test_an_interrupted_run_is_not_current_and_leaves_no_halves(self, tmp_path):
        simulate(tmp_path, scale=0.01, seed=9)

        def stop(unit, done, total):
            if unit == "grocery":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            simulate(tmp_path, scale=0.01, seed=9, progress=stop)
        assert not is_current(tmp_path, scale=0.01, seed=9)
        assert not list(tmp_path.rglob("*.part"))
        assert len(pd.read_parquet(tmp_path / "grocery/customers.parquet")) == 30

    def test_progress_counts_customers(self, tmp_path):
        seen = []
        simulate(tmp_path, scale=0.01, progress=lambda *step: seen.append(step))
        assert seen == [("fashion", 120, 120), ("boutique", 25, 25), ("grocery", 30, 30), ("mobile", 60, 60)]

    def test_chunks_are_bounded_and_ids_run_on(self, monkeypatch):
        monkeypatch.setattr(simulation, "CHUNK", 100)
        unit = COMPANY["fashion"]
        calendar, catalogue = simulation.unit_calendar(unit, date(2026, 6, 30), 3), simulation.unit_catalogue(unit, 1)
        chunks = list(simulation.simulate_chunks(unit, 250, 1, calendar, catalogue))
        assert [len(chunk.truth) for chunk in chunks] == [100, 100, 50]
        whole = simulate_unit("fashion", customers=250, seed=1)
        assert whole.customers["customer"].tolist() == [f"F{i:07d}" for i in range(1, 251)]
        orders = [set(chunk.behaviour["order_id"].to_pylist()) for chunk in chunks]
        assert not orders[0] & orders[1] and not orders[1] & orders[2]
        assert min(orders[1]) == max(orders[0]) + 1

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"scale": 0}, r"scale must be above 0; found 0"),
            ({"scale": float("nan")}, r"scale must be above 0; found nan"),
            ({"years": 0}, r"whole years; found years = 0"),
            ({"seed": -1}, r"seed must be a whole number from 0; found -1"),
        ],
    )
    def test_arguments_out_of_range(self, tmp_path, arguments, words):
        with pytest.raises(ConfigError, match=words):
            simulate(tmp_path, **arguments)

    def test_unknown_unit(self):
        with pytest.raises(ConfigError, match="no unit 'toys'; its units are fashion, boutique, grocery, mobile"):
            simulate_unit("toys")

    def test_no_customers(self):
        with pytest.raises(ConfigError, match="customers = 0"):
            simulate_unit("fashion", customers=0)

    def test_other_lengths_of_history(self):
        unit = simulate_unit("boutique", customers=60, seed=1, end=date(2024, 2, 29), years=1)
        assert unit.customers["joined_on"].min() >= date(2023, 3, 1)
        assert unit.months["starts_on"].iloc[0] == date(2024, 3, 1)


def files_of(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file())
