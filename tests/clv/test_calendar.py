"""Operational time: its algebra, and how well it is recovered from simulated customers whose seasons are known."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest

from cvmlib.clv import calendar
from cvmlib.clv.calendar import Calendar, History, estimate_calendars, plain_calendar, read_history
from cvmlib.clv.counts import count_customers, count_purchases, count_rows
from cvmlib.tables.demo import simulate_unit, simulation
from cvmlib.tables.demo.company import COMPANY
from cvmlib.tables.demo.seasons import add_shocks

END = date(2026, 6, 30)
NOW = pd.Timestamp(END)
EPOCH = pd.Timestamp("1970-01-01")


def wavy(draws: int = 5) -> Calendar:
    rng = np.random.default_rng(1)
    edges = np.arange(0.0, 701.0, 7.0)
    fitted = 1.0 + 0.4 * np.sin(np.arange(100) / 5.0)
    paths = fitted * np.exp(0.1 * rng.standard_normal((draws, 100)))
    nothing = np.zeros(100)
    return Calendar(420.0, edges, fitted, paths, {}, nothing, nothing)


def purchases_of(unit) -> pd.DataFrame:
    """Purchases by day of a simulated fashion unit without faults and returns."""
    log = unit.transactions
    log = pd.DataFrame(
        {
            "customer_id": log["customer"],
            "date": pd.to_datetime(log["ordered_at"]),
            "value": log["quantity"] * log["unit_price"],
        }
    )
    return count_purchases(ibis.memtable(log)).to_pandas()


def history_of(purchases: pd.DataFrame, end: date = END) -> History:
    table = ibis.memtable(purchases)
    return read_history(table, count_rows(count_customers(table, end)).to_pandas(), pd.Timestamp(end))


def fashion(customers: int, seed: int, **options) -> pd.DataFrame:
    return purchases_of(simulate_unit("fashion", customers, seed, dirt=False, returns=False, **options))


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return fashion(4000, seed=3, shocks=0.15)


@pytest.fixture(scope="module")
def fitted(log) -> Calendar:
    return estimate_calendars({"shop": history_of(log)}, 365.0, draws=400)["shop"]


class TestAlgebra:
    def test_elapsed_is_the_integral_of_the_intensity(self):
        waves = wavy()
        fine = np.repeat(waves.fitted, 700) / 100.0  # hundredths of a day from day 0
        for ago in (0.0, 0.37, 3.0, 7.0, 100.25, 420.0):
            integral = fine[round((420 - ago) * 100) : 42_000].sum()
            assert waves.elapsed(np.array([ago]))[0] == pytest.approx(integral, abs=1e-9)
        # Before the first edge, and after the last, operational time is time.
        assert waves.elapsed(np.array([450.0]))[0] == pytest.approx(waves.elapsed(np.array([420.0]))[0] + 30.0)
        beyond = waves.ahead(np.array([280.0, 300.0]), 5)
        assert np.diff(beyond, axis=1) == pytest.approx(20.0)

    def test_ahead_follows_the_paths(self):
        waves = wavy()
        ahead = waves.ahead(np.array([0.0, 7.0, 21.0, 280.0]), 5)
        assert ahead.shape == (5, 4)
        assert ahead[:, 0] == pytest.approx(0.0, abs=1e-12)
        assert ahead[:, 2] == pytest.approx(7.0 * waves.paths[:, 60:63].sum(axis=1))
        assert (np.diff(waves.ahead(np.linspace(0, 400, 201), 5), axis=1) > 0).all()

    def test_the_clock_joins_past_and_future(self):
        waves = wavy()
        days = np.array([-300.0, -10.0, 0.0, 10.0, 200.0])
        clock = waves.clock(days, 3)
        assert clock.shape == (3, 5) and (np.diff(clock, axis=1) > 0).all()
        assert clock[:, :2] == pytest.approx(np.tile(-waves.elapsed(np.array([300.0, 10.0])), (3, 1)))
        assert clock[:, 2] == pytest.approx(0.0, abs=1e-12)
        assert clock[:, 3:] == pytest.approx(waves.ahead(np.array([10.0, 200.0]), 3))

    def test_a_plain_calendar_is_time(self):
        plain, days = plain_calendar(), np.array([0.0, 0.4, 12.0, 900.0])
        assert plain.elapsed(days) == pytest.approx(days)
        assert plain.ahead(days, 4) == pytest.approx(np.tile(days, (4, 1)))
        assert plain.clock(-days, 2) == pytest.approx(np.tile(-days, (2, 1)))
        rows = pd.DataFrame({"frequency": [0, 2], "recency": [0.0, 30.0], "T": [5.0, 70.0], "customers": [1, 4]})
        pd.testing.assert_frame_equal(plain.convert(rows), rows)

    def test_constant_intensity_stretches_time(self):
        edges, twice = np.arange(0.0, 101.0, 10.0), np.full(10, 2.0)
        waves = Calendar(60.0, edges, twice, twice[None], {}, np.zeros(10), np.zeros(10))
        days = np.array([1.0, 25.0, 40.0])
        assert waves.elapsed(days) == pytest.approx(2 * days)
        assert waves.ahead(days, 1)[0] == pytest.approx(2 * days)

    def test_rows_keep_their_frequency_and_their_order(self):
        waves, rng = wavy(), np.random.default_rng(2)
        frequency = rng.integers(0, 4, 500)
        age = rng.integers(0, 420, 500).astype(float)
        recency = np.where(frequency > 0, np.floor(age * rng.random(500)), 0.0)
        rows = pd.DataFrame({"unit": "u", "frequency": frequency, "recency": recency, "T": age, "customers": 3})
        found = waves.convert(rows)
        pd.testing.assert_frame_equal(
            found[["unit", "frequency", "customers"]], rows[["unit", "frequency", "customers"]]
        )
        assert (found.loc[frequency == 0, "recency"] == 0).all()
        assert (found["recency"] >= 0).all() and (found["recency"] <= found["T"]).all()
        # Who is older stays older; who has bought on his last day has bought on it still.
        assert (np.diff(found["T"].to_numpy()[np.argsort(age, kind="stable")]) >= 0).all()
        same = (frequency > 0) & (recency == age)
        assert (found.loc[same, "recency"] == found.loc[same, "T"]).all() and same.any()


class TestHistory:
    def counted(self, log: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
        seen = log[log["period"] <= now]
        day = seen["period"].dt.normalize()
        first = seen.groupby("customer_id")["period"].min().dt.normalize()
        table = pd.DataFrame({"purchases": day.value_counts(), "newcomers": first.value_counts()}).fillna(0.0)
        return table.sort_index()

    @pytest.mark.parametrize("kind", ["timestamp", "date"])
    def test_counts_by_day_are_those_of_pandas(self, log, kind):
        table = ibis.memtable(log)
        if kind == "date":
            table = table.mutate(period=table.period.cast("date"))
        now = pd.Timestamp("2025-03-31")
        found = read_history(table, pd.DataFrame(), now)
        expected = self.counted(log, now)
        assert (EPOCH + pd.to_timedelta(found.days, unit="D") == expected.index).all()
        assert (found.newcomers == expected["newcomers"]).all()
        assert (found.repeats == expected["purchases"] - expected["newcomers"]).all()
        assert EPOCH + pd.Timedelta(days=found.now) == now
        assert found.days.max() <= found.now

    def test_hours_are_counted_by_day(self):
        at = pd.to_datetime(["2026-01-01 09:00", "2026-01-01 20:00", "2026-01-03 10:00", "2026-01-03 23:00"])
        log = pd.DataFrame({"customer_id": ["a", "a", "b", "a"], "period": at, "value": 1.0})
        found = read_history(ibis.memtable(log), pd.DataFrame(), pd.Timestamp("2026-01-03 22:00"))
        assert found.newcomers.tolist() == [1, 1] and found.repeats.tolist() == [1, 0]
        assert found.now == pytest.approx(found.days[1] + 22 / 24)


class TestEstimate:
    def test_recovers_the_true_operational_time(self, log, fitted):
        truth = simulation.unit_calendar(COMPANY["fashion"], END, 3)
        stream = simulation._stream(COMPANY["fashion"], 3, simulation._NO_CHUNK, simulation._SHOCKS)
        truth = add_shocks(truth, 0.15, 90.0, stream)
        start = (pd.Timestamp(truth.start) - EPOCH).days
        # Levels differ by a constant factor, that of the purchase rate: shapes are compared.
        weeks = fitted.edges[:-1][(fitted.edges[:-1] >= start + 180) & (fitted.edges[1:] <= start + truth.days)]
        actual = np.log([np.diff(truth.to_operational(np.array([w, w + 7.0]) - start))[0] / 7.0 for w in weeks])
        found = np.log(fitted.fitted[np.searchsorted(fitted.edges, weeks)])
        assert np.corrcoef(actual, found)[0, 1] > 0.9
        assert np.std(actual - found) < 0.45 * np.std(actual)
        places = np.searchsorted(fitted.edges, weeks)
        low, high = np.quantile(np.log(fitted.paths[:, places]), [0.05, 0.95], axis=0)
        shift = np.mean(actual - found)
        # Bins of one path are not independent, and the peak of Christmas is sharper than the process.
        assert np.mean((actual - shift >= low) & (actual - shift <= high)) > 0.7

    def test_the_mean_over_past_purchases_is_one_in_every_path(self, fitted):
        assert fitted.paths @ fitted.expected / fitted.expected.sum() == pytest.approx(1.0)
        assert fitted.fitted == pytest.approx(fitted.paths.mean(axis=0))
        assert fitted.actual.sum() == pytest.approx(fitted.expected @ fitted.fitted, rel=0.03)
        assert np.diff(fitted.edges) == pytest.approx(7.0)
        assert fitted.edges[-1] >= fitted.now + 365.0

    def test_the_future_is_less_certain_than_the_past(self, fitted):
        spread = np.log(fitted.paths).std(axis=0)
        known = fitted.expected > 20
        later = fitted.edges[:-1] > fitted.now
        assert spread[later].mean() > 1.5 * spread[known].mean()
        total = fitted.ahead(np.array([182.0]), 400)[:, 0]
        assert 0.03 < total.std() / total.mean() < 0.3

    def test_without_seasons_it_is_nearly_time(self):
        found = estimate_calendars({"u": history_of(fashion(3000, seed=5, seasonality=False))}, 182.0, draws=200)["u"]
        known = found.expected > 10
        assert np.abs(np.log(found.fitted[known])).max() < 0.12
        ahead = found.ahead(np.array([182.0]), 200)[:, 0]
        assert ahead.mean() == pytest.approx(182.0, rel=0.08)
        assert found.scales["season"].mean() < 0.12 and found.scales["shock"].mean() < 0.12

    def test_units_of_a_pool_share_their_seasons_and_any_order_gives_the_same(self, monkeypatch):
        monkeypatch.setattr(calendar, "_MOST_BINS", 110)  # two weeks each
        large = history_of(fashion(2500, seed=6, years=2))
        early = date(2026, 3, 31)
        small = history_of(fashion(150, seed=7, years=2).query("period <= '2026-03-31'"), early)
        found = estimate_calendars({"large": large, "small": small}, 100.0, draws=100, seed=4)
        again = estimate_calendars({"small": small, "large": large}, 100.0, draws=100, seed=4)
        for name in ("large", "small"):
            assert np.array_equal(found[name].paths, again[name].paths)
            assert np.array_equal(found[name].fitted, again[name].fitted)
        assert list(again) == ["small", "large"]
        small, large = found["small"], found["large"]
        # The earlier end of the small unit: nothing is expected of it after that, but its paths go on as far.
        assert small.now == large.now - 91 and np.array_equal(small.edges, large.edges)
        assert (small.expected[small.edges[:-1] > small.now + 1] == 0).all()
        assert small.edges[-1] >= large.now + 100
        known = large.expected > 5
        assert np.corrcoef(np.log(small.fitted[known]), np.log(large.fitted[known]))[0, 1] > 0.8
        assert {"season_shared", "shock_shared"} <= set(small.scales)

    def test_pools_do_not_touch_each_other(self):
        first, second = history_of(fashion(300, seed=8, years=1)), history_of(fashion(300, seed=9, years=1))
        both = estimate_calendars({"a": first, "b": second}, 60.0, pools={"a": "x", "b": "y"}, draws=30, seed=2)
        alone = estimate_calendars({"a": first}, 60.0, pools={"a": "x"}, draws=30, seed=2)
        assert np.array_equal(both["a"].paths, alone["a"].paths) and "season_shared" not in both["b"].scales

    def test_the_same_seed_gives_the_same_calendar(self, log, fitted):
        again = estimate_calendars({"shop": history_of(log)}, 365.0, draws=400)["shop"]
        assert np.array_equal(again.paths, fitted.paths)

    def test_a_unit_without_repeat_purchases_keeps_the_clock(self):
        log = fashion(80, seed=10, years=1).sort_values("period").drop_duplicates("customer_id")
        found = estimate_calendars({"new": history_of(log)}, 90.0, draws=200)["new"]
        assert found.actual.sum() == 0
        days = np.array([30.0, 200.0])
        assert (found.elapsed(days) > 0).all() and np.isfinite(found.paths).all()
        assert found.elapsed(days) == pytest.approx(days, rel=0.3)
        assert np.median(found.ahead(np.array([90.0]), 200)) == pytest.approx(90.0, rel=0.15)

    @pytest.mark.parametrize("days", [1, 3, 9])
    def test_a_very_short_history(self, days):
        start = END - timedelta(days=days - 1)
        rng = np.random.default_rng(days)
        at = pd.to_datetime(start) + pd.to_timedelta(rng.integers(0, days, 40), unit="D")
        log = pd.DataFrame({"customer_id": [f"c{i % 25}" for i in range(40)], "period": at, "value": 1.0})
        log = log.drop_duplicates(["customer_id", "period"])
        found = estimate_calendars({"young": history_of(log)}, 30.0, draws=200)["young"]
        rows = found.convert(history_of(log).rows)
        assert np.isfinite(rows[["recency", "T"]]).all(axis=None) and (rows["recency"] <= rows["T"]).all()
        assert np.median(found.ahead(np.array([30.0]), 200)) == pytest.approx(30.0, rel=0.2)

    def test_many_weeks_make_longer_bins(self, monkeypatch):
        monkeypatch.setattr(calendar, "_MOST_BINS", 50)
        log = fashion(200, seed=11, years=1)
        units = {"a": history_of(log), "b": history_of(log.query("customer_id < 'F0000100'"))}
        found = estimate_calendars(units, 100.0, draws=10)
        assert np.diff(found["a"].edges) == pytest.approx(21.0)  # twice 53 weeks in at most 50 bins
        assert found["a"].edges[-1] >= found["a"].now + 100.0


def test_the_table_of_a_calendar(fitted):
    table = fitted.table()
    past = table[table["date"] <= NOW]
    assert past["actual"].sum() == fitted.actual.sum() and past["expected"].sum() == pytest.approx(
        fitted.expected.sum()
    )
    assert (table["low"] <= table["high"]).all() and table["date"].is_monotonic_increasing
    assert table["mean"].to_numpy() == pytest.approx(fitted.fitted[-len(table) :])
